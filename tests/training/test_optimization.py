"""Which weights learn, and how fast."""

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from earmark.config import ConfigError
from earmark.encoders import AST, CRNN, MN, FNet, PaSST, PlainCNN, ResidualCNN, Transformer
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import TaggerConfig
from earmark.training.optimizing.optimizer import (
    Adam,
    AdamW,
    OptimizerConfig,
    freeze,
    layer_numbers,
    make_optimizer,
    train_mode,
)

CONFIG = TaggerConfig(
    frontend=LogMel(n_mels=32),
    encoder=PaSST(n_bands=32, max_frames=98, dim=16, depth=3, heads=2),
    labels=LabelSet(names=("dog", "rain")),
    clip_seconds=0.9,
)


def model(head: bool = True) -> nn.Module:
    return (CONFIG if head else CONFIG.replace(head=None)).build()


def settings_of(network: nn.Module, config: AdamW | Adam) -> dict[str, tuple[float, float]]:
    """Scale and decay of each parameter that learns, by name."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(parameter)]: (group["scale"], group["weight_decay"])
        for group in make_optimizer(network, config).param_groups
        for parameter in group["params"]
    }


def test_every_parameter_learns_once_at_the_same_rate_and_only_matrices_are_decayed() -> None:
    network = model()
    found = settings_of(network, AdamW(weight_decay=0.1))
    assert found.keys() == {name for name, _ in network.named_parameters()}
    for name, parameter in network.named_parameters():
        assert found[name] == (1.0, 0.1 if parameter.ndim > 1 else 0.0)


@pytest.mark.parametrize("config", [AdamW(weight_decay=0.1, decay_all=True), Adam(weight_decay=0.1)])
def test_published_optimizers_decay_everything(config: AdamW | Adam) -> None:
    assert set(settings_of(model(), config).values()) == {(1.0, 0.1)}


def test_adam_has_the_published_settings_and_decays_by_the_gradient() -> None:
    optimizer = make_optimizer(model(), Adam(lr=1e-5))
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["betas"] == (0.95, 0.999)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {5e-7}


@pytest.mark.parametrize(
    "config", [AdamW(lr=0.01, weight_decay=0.1, decay_all=True), Adam(lr=0.01, weight_decay=0.1)]
)
def test_fused_steps_are_those_of_the_plain_loop(config: AdamW | Adam) -> None:
    torch.manual_seed(0)
    ours, plain = nn.Linear(4, 3), nn.Linear(4, 3)
    plain.load_state_dict(ours.state_dict())
    kind = torch.optim.Adam if config.kind == "Adam" else torch.optim.AdamW
    reference = kind(plain.parameters(), lr=0.01, weight_decay=0.1, betas=config.betas, foreach=False)
    for optimizer, network in ((make_optimizer(ours, config), ours), (reference, plain)):
        for step in range(5):
            optimizer.zero_grad()
            network(torch.full((2, 4), float(step))).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, plain.weight, atol=1e-6, rtol=1e-5)


def test_rates_fall_layer_by_layer_below_the_head() -> None:
    found = settings_of(model(), AdamW(layer_decay=0.5, head_factor=10.0))
    scales = {name: scale for name, (scale, _) in found.items()}
    assert {scale for name, scale in scales.items() if name.startswith("head.")} == {10.0}
    for layer, scale in ((0, 0.125), (1, 0.25), (2, 0.5)):
        assert scales[f"encoder.blocks.{layer}.mlp.fc1.weight"] == scale
    assert scales["encoder.norm.weight"] == 0.5
    assert scales["encoder.patch_embed.proj.weight"] == scales["encoder.cls_token"] == 0.0625


@pytest.mark.parametrize(
    ("encoder", "layers"),
    [
        (PaSST(dim=8, depth=4, heads=1), 4),
        (AST(dim=8, depth=3, heads=1), 3),
        (FNet(dim=8, depth=5), 5),
        (Transformer(depth=2), 2),
        (MN(), 17),
        (CRNN(), None),
        (ResidualCNN(), None),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_the_layers_of_any_encoder_are_told_apart_by_their_names(encoder: object, layers: int | None) -> None:
    with torch.device("meta"):
        numbers = list(layer_numbers(encoder.build()).values())
    assert sorted(set(numbers)) in (list(range(max(numbers) + 1)), list(range(1, max(numbers) + 1)))
    assert layers is None or max(numbers) == layers


def test_an_encoder_without_numbered_layers_is_a_sentence() -> None:
    config = CONFIG.replace(frontend=LogMel(n_mels=128), encoder=PlainCNN(), clip_seconds=5.0)
    network = config.build()
    with pytest.raises(ConfigError, match="PlainCNNEncoder has no numbered layers"):
        make_optimizer(network, AdamW(layer_decay=0.7))
    freeze(network, "encoder")
    learning = settings_of(network, AdamW())
    assert learning
    assert all(name.startswith("head.") for name in learning)


@pytest.mark.parametrize(
    ("what", "frozen", "free"),
    [
        ("encoder", ("encoder.norm.weight", "encoder.cls_token"), ()),
        (
            2,
            ("encoder.cls_token", "encoder.blocks.1.norm1.weight"),
            ("encoder.blocks.2.norm1.weight", "encoder.norm.weight"),
        ),
    ],
)
def test_what_is_frozen_does_not_learn(
    what: str | int, frozen: tuple[str, ...], free: tuple[str, ...]
) -> None:
    found = settings_of(model(), AdamW(freeze=what))
    assert not set(frozen) & found.keys()
    assert {*free, *(name for name in found if name.startswith("head."))} <= found.keys()


def test_more_frozen_layers_than_there_are_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="freeze is 4 but PaSSTEncoder has 3 layers"):
        make_optimizer(model(), AdamW(freeze=4))
    with pytest.raises(ConfigError, match="nothing is left to learn"):
        make_optimizer(model(head=False), AdamW(freeze="encoder"))


def test_frozen_parts_are_in_evaluation_mode_while_the_rest_trains() -> None:
    network = CONFIG.replace(encoder=ResidualCNN(n_bands=32, widths=(8, 16), stem=8)).build()
    freeze(network, "encoder")
    before = {name: buffer.clone() for name, buffer in network.encoder.named_buffers()}
    train_mode(network)
    assert network.head.training
    assert not network.encoder.training
    network.classify(network.encoder(torch.randn(2, 32, 90)))
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.encoder.named_buffers())


def test_a_tree_of_an_earlier_version_is_an_adamw() -> None:
    adapter = TypeAdapter(OptimizerConfig)
    assert adapter.validate_python({"lr": 0.1, "weight_decay": 0.2}) == AdamW(lr=0.1, weight_decay=0.2)
    for config in (AdamW(freeze=3, layer_decay=0.7), Adam(freeze="encoder")):
        assert adapter.validate_json(config.to_json()) == config
