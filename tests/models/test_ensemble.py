"""Several models heard as one."""

import pytest
import torch
from torch import Tensor

from earmark.config import ConfigError
from earmark.encoders import ResidualCNN
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig, load
from earmark.models.catalog import BY_NAME, ENSEMBLES
from earmark.models.ensemble import Ensemble
from earmark.models.zoo import members_of, resolve

LABELS = LabelSet(names=("Dog", "Rain", "Siren"))


def member(seed: int = 0, rate: int = 16000, labels: LabelSet = LABELS, **changes: object) -> Tagger:
    torch.manual_seed(seed)
    frontend = LogMel(
        sample_rate=rate, n_fft=512, win_length=400, hop_length=160, n_mels=32, fmax=8000.0, fmax_jitter=1
    )
    encoder = ResidualCNN(n_bands=32, widths=(8, 16), stem=8)
    config = TaggerConfig(frontend=frontend, encoder=encoder, labels=labels, clip_seconds=1.0)
    return config.replace(**changes).build().eval()


def sound(samples: int = 16000, batch: int = 2) -> Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) / 10


def test_its_logits_are_the_mean_of_its_members() -> None:
    one, other = member(1), member(2)
    both = Ensemble([one, other])
    assert torch.equal(both(sound()), torch.stack([one(sound()), other(sound())]).mean(dim=0))
    _, encoding = both.both(sound())
    assert torch.equal(encoding.summary, torch.cat([m.encode(sound()).summary for m in (one, other)], dim=1))
    assert both.embedding_dim == encoding.summary.shape[1] == 64


def test_a_shared_front_end_computes_once() -> None:
    members = [member(1), member(2), member(3, rate=32000)]
    calls: list[int] = []
    for index, m in enumerate(members):
        m.frontend.register_forward_hook(lambda *_, index=index: calls.append(index))
    Ensemble(members)(sound(32000))
    assert calls == [0, 2]


def test_a_member_of_a_lower_rate_hears_the_same_sound() -> None:
    low, high = member(1), member(2, rate=32000)
    seconds = torch.arange(32000) / 32000
    tone = 0.3 * torch.sin(2 * torch.pi * 1000 * seconds)[None]
    alone = 0.3 * torch.sin(2 * torch.pi * 1000 * torch.arange(16000) / 16000)[None]
    both = Ensemble([low, high])
    assert both.sample_rate == 32000
    expected = torch.stack([low(alone), high(tone)]).mean(dim=0)
    torch.testing.assert_close(both(tone), expected, atol=2e-2, rtol=2e-2)


def test_each_member_pads_by_its_own_rule() -> None:
    looping, plain = member(1, padding="loop"), member(2)
    short = sound(3000)
    looped = short.repeat(1, 6)[:, :16000]
    expected = torch.stack([looping(looped), plain(short)]).mean(dim=0)
    torch.testing.assert_close(Ensemble([looping, plain])(short), expected)


def test_one_sample_is_enough() -> None:
    both = Ensemble([member(1), member(2, rate=32000)])
    assert bool(torch.isfinite(both(sound(1))).all())


def test_windows_have_the_length_of_the_shortest_clip() -> None:
    assert Ensemble([member(1), member(2, clip_seconds=0.5)]).clip_seconds == 0.5


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (lambda: [member()], "two or more"),
        (lambda: [member(), member(head=None)], "member 2 has no head"),
        (
            lambda: [member(), member(labels=LabelSet(names=("Dog", "Siren", "Rain")))],
            "member 2 has 3 labels",
        ),
        (
            lambda: [member(), member(labels=LabelSet(names=LABELS.names, exclusive=True))],
            "member 2 has 3 labels",
        ),
    ],
)
def test_what_cannot_be_averaged_is_refused(members: object, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Ensemble(members())


def test_several_names_make_an_ensemble() -> None:
    for asked in (["builtin", "builtin"], "builtin,builtin", "builtin, builtin"):
        both = load(asked)
        assert isinstance(both, Ensemble)
        assert torch.equal(both(sound(80000)), load("builtin")(sound(80000)))


def test_published_ensembles_name_published_models_of_the_same_classes() -> None:
    for entry in ENSEMBLES:
        assert members_of(entry.name) == list(entry.members)
        assert {BY_NAME[name].classes for name in entry.members} == {527}
    with pytest.raises(ConfigError, match="one of its members"):
        resolve("passt-ensemble-4")


def test_a_wrong_name_of_an_ensemble_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'passt-ensemble-5'"):
        resolve("passt-ensemble5")
