import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from earmark.config import ConfigError
from earmark.encoders import DBERT, Clusters, DBERTEncoder
from earmark.encoders.clusters import CosineHead
from earmark.encoders.dbert import joined
from earmark.encoders.dbert_layers import DBERTLayer, MaskEmbedding

TINY = DBERT(
    convs=((16, 10, 5), (16, 3, 2), (16, 2, 2)),
    width=24,
    depth=3,
    heads=3,
    ff_multiple=2,
    position_kernel=8,
    position_groups=4,
    summary_dim=10,
)
CLUSTERED = TINY.replace(clusters=Clusters(summary=(5,), conv=(6, 3), output=(7,)))


def built(config: DBERT, seed: int = 0) -> DBERTEncoder:
    torch.manual_seed(seed)
    return config.build().eval()


def sound(samples: int = 800, batch: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(batch, 1, samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (DBERT(), 95_650_560),
        (DBERT(depth=24), 180_705_024),
        (DBERT(depth=24, width=1024, heads=16), 316_871_936),
    ],
)
def test_a_described_size_has_the_published_number_of_parameters(config: DBERT, parameters: int) -> None:
    with torch.device("meta"):
        encoder = config.replace(clusters=Clusters()).build()
    assert sum(parameter.numel() for parameter in encoder.parameters()) == parameters


def test_a_frame_is_25_ms_every_20_ms_at_16_khz() -> None:
    assert (DBERT().min_frames, DBERT().frame_stride, DBERT().first_frame) == (400, 320, 199.5)


@pytest.mark.parametrize("samples", [30, 31, 49, 50, 51, 200, 799])
def test_the_stated_number_of_frames_is_what_the_convolutions_give(samples: int) -> None:
    assert (TINY.min_frames, TINY.frame_stride) == (30, 20)
    found = built(TINY).conv_features(torch.zeros(1, 1, samples))
    assert found.shape[1] == TINY.n_frames(samples)


def test_16080_samples_have_50_frames_and_50_times() -> None:
    """The published package rounds their length down to 1004 ms and fails; SPEC counts 74 such lengths."""
    assert DBERT().n_frames(16080) == 50
    assert DBERT().n_frames(399) == 0


def test_too_short_a_waveform_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"got 29 samples; its first frame takes 30"):
        built(TINY)(torch.zeros(1, 1, 29))


@torch.no_grad()
def test_loudness_changes_nothing() -> None:
    encoder = built(TINY)
    torch.testing.assert_close(encoder(sound()).frames, encoder(sound() * 30).frames, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_one_norm_for_all_channels_keeps_what_one_for_each_takes_away_the_mean_spectrum() -> None:
    """A tone in noise: normed by itself every channel is as loud as any other."""
    tone = sound(4000, batch=1) / 3 + 10 * (torch.arange(4000) * 2 * torch.pi * 2030 / 16000).sin()
    differences = []
    for norm in ("channel", "clip"):
        config = TINY.replace(convs=((40, 128, 40),), first_norm=norm, filters="bands")
        normed = built(config).conv_extractor1.conv_layers[0][:3](tone)
        louder = built(config).conv_extractor1.conv_layers[0][:3](tone * 30)
        torch.testing.assert_close(normed, louder, atol=1e-3, rtol=1e-3)
        loudness = normed.var(dim=2)[0]
        differences.append(float(loudness.max() / loudness.median()))
    each, together = differences
    assert each < 1.1
    assert together > 20


@torch.no_grad()
def test_bands_lie_side_by_side_and_no_two_encoders_begin_with_the_same_phases() -> None:
    config = TINY.replace(convs=((40, 128, 40), (16, 4, 2)), filters="bands")
    first, second = (built(config, seed).conv_extractor1.conv_layers[0][0].weight for seed in (0, 1))
    assert not torch.equal(first, second)
    spectra = torch.fft.rfft(first[:, 0], n=2048).abs()
    centers = spectra.argmax(dim=1) * 16000 / 2048
    assert bool((centers.diff() > 0).all())
    assert 50 < float(centers[0]) < 200
    assert 6500 < float(centers[-1]) < 7600
    inside = (spectra**2)[30, int(centers[30] * 2048 / 16000) - 64 :][:128].sum() / (spectra[30] ** 2).sum()
    assert float(inside) > 0.95  # within 500 Hz of its center


@torch.no_grad()
def test_a_delay_by_one_frame_delays_the_frames_of_the_convolutions_by_one() -> None:
    encoder = built(TINY)
    loud = sound(TINY.frame_stride * 40, batch=1)
    loud[..., :200] = loud[..., -200:] = 0  # so that the group norm sees the same
    late = loud.roll(TINY.frame_stride, dims=-1)
    first, second = encoder.conv_features(loud), encoder.conv_features(late)
    torch.testing.assert_close(first[:, :-1], second[:, 1:], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_end_after_a_layer_is_that_layer_and_the_rest_is_not_run() -> None:
    whole, cut = built(TINY), built(TINY.replace(layer=2))
    cut.load_state_dict(whole.state_dict())
    assert (cut.config.dim, cut.config.frame_dim) == (24, 24)
    assert (whole.config.dim, whole.config.frame_dim) == (10, 16)
    assert torch.equal(cut(sound()).frames, whole(sound(), 1).frames)
    assert torch.equal(cut(sound(), 2).summary, whole(sound(), 2).summary)
    cut.transformer_layers[2].norm2.weight.fill_(float("nan"))
    assert bool(cut(sound()).summary.isfinite().all())


def test_a_layer_that_is_not_there_cannot_be_described() -> None:
    with pytest.raises(ConfigError, match="layer is 4 but depth is 3; give 1 to 3"):
        TINY.replace(layer=4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"heads": 5}, "width is 24 but heads is 5"),
        ({"position_groups": 7}, "position_groups is 7"),
        ({"convs": ((8, 100, 100),) * 4}, "frames of 100000000 samples"),
        ({"convs": ()}, "convs"),
        ({"convs": ((8, 0, 1),)}, "convs"),
        ({"clusters": {"summary": [0]}}, "clusters"),
    ],
)
def test_an_impossible_dbert_cannot_be_described(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TINY.replace(**fields)


@torch.no_grad()
def test_padding_is_left_out_of_attention() -> None:
    """Whatever stands in the frames beyond a clip's length and out of reach of the positional convolution."""
    encoder = built(TINY)
    conv = encoder.conv_features(sound())
    length = conv.shape[1] - 12
    changed = conv.clone()
    changed[1, length + 8 :] = 5.0
    lengths = torch.tensor([conv.shape[1], length])
    kept, other = (encoder.contextualize(c, lengths=lengths) for c in (conv, changed))
    assert torch.equal(kept.summary, other.summary)
    assert torch.equal(kept.frames[1, :length], other.frames[1, :length])
    without = encoder.contextualize(changed)
    assert not torch.allclose(kept.summary[1], without.summary[1])


@torch.no_grad()
def test_full_lengths_and_an_empty_mask_change_nothing() -> None:
    encoder = built(CLUSTERED)
    conv = encoder.conv_features(sound())
    lengths = torch.full((2,), conv.shape[1])
    nothing = torch.zeros(conv.shape[:2], dtype=torch.bool)
    plain, other = encoder.contextualize(conv), encoder.contextualize(conv, masked=nothing, lengths=lengths)
    torch.testing.assert_close(plain.frames, other.frames, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_what_is_masked_cannot_be_seen() -> None:
    encoder = built(CLUSTERED)
    conv = encoder.conv_features(sound())
    masked = torch.zeros(conv.shape[:2], dtype=torch.bool)
    masked[:, 10:14] = True
    changed = conv.clone()
    changed[masked] = -3.0
    before, after = (encoder.contextualize(c, masked=masked) for c in (conv, changed))
    assert torch.equal(before.frames, after.frames)
    assert not torch.allclose(before.frames, encoder.contextualize(conv).frames)


def test_pretraining_reaches_the_mask_embedding_and_every_codebook() -> None:
    encoder = built(CLUSTERED).train()
    conv = encoder.conv_features(sound())
    masked = torch.rand(conv.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.3
    said = encoder.similarities(encoder.contextualize(conv, masked=masked))
    torch.stack([sims.square().sum() for sims in (*said.summary, *said.conv, *said.output)]).sum().backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert not without


def test_an_encoder_without_clusters_says_how_to_describe_them() -> None:
    encoder = built(TINY)
    conv = encoder.conv_features(sound())
    with pytest.raises(ValueError, match=r"no mask embedding.*clusters=Clusters\(\)"):
        encoder.contextualize(conv, masked=torch.zeros(conv.shape[:2], dtype=torch.bool))
    with pytest.raises(ValueError, match="no cluster heads"):
        encoder.similarities(encoder.contextualize(conv))


def test_cluster_heads_refuse_the_frames_of_an_inner_layer() -> None:
    encoder = built(CLUSTERED)
    with pytest.raises(ValueError, match=r"frames of \(10, 16\) numbers, got \(24, 24\)"):
        encoder.similarities(encoder(sound(), 0))


@torch.no_grad()
def test_a_cosine_is_one_where_the_projection_is_on_the_codebook() -> None:
    head = CosineHead(4, 6, summary_dim=3)
    frames, summary = torch.randn(2, 5, 6), torch.randn(2, 3)
    head.codebook[2] = 7 * head.proj(torch.cat([summary[1], frames[1, 3]]))
    said = head(frames, summary)
    assert float(said[1, 3, 2]) == pytest.approx(1.0, abs=1e-6)
    assert float(said.abs().max()) <= 1 + 1e-6
    assert torch.allclose(said[:, 0], head(frames[:, 0], summary), atol=1e-6)


@pytest.mark.parametrize("rule", ["replace", "append"])
@torch.no_grad()
def test_a_mask_embedding_leaves_its_input_as_it_was(rule: str) -> None:
    masker = MaskEmbedding(6, rule)
    frames, masked = torch.randn(2, 9, 6), torch.rand(2, 9) < 0.5
    copy = frames.clone()
    found = masker(frames, masked)
    assert torch.equal(frames, copy)
    assert torch.equal(found[~masked][:, :6], frames[~masked])
    assert not torch.equal(found[masked][:, :6], frames[masked])


@torch.no_grad()
def test_a_layer_computes_what_torch_computes() -> None:
    torch.manual_seed(0)
    ours = DBERTLayer(24, 3, 48, dropout=0.1).eval()
    theirs = nn.TransformerEncoderLayer(24, 3, 48, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    theirs.train()  # its fused path gives zeros for padding
    for module in theirs.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    theirs.self_attn.dropout = 0.0
    x, valid = torch.randn(2, 7, 24), torch.arange(7) < torch.tensor([[7], [4]])
    torch.testing.assert_close(ours(x, valid), theirs(x, src_key_padding_mask=~valid), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_multiplying_the_weight_norm_out_changes_nothing() -> None:
    encoder, folded = built(TINY), built(TINY.replace(weight_norm=False), seed=1)
    encoder.positional_embedding.pos_conv[0].parametrizations.weight.original0.mul_(3.0)
    before = encoder(sound())
    parametrize.remove_parametrizations(encoder.positional_embedding.pos_conv[0], "weight")
    folded.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(before.frames, folded(sound()).frames)


@torch.no_grad()
def test_the_published_embedding_of_a_frame_begins_with_the_summary() -> None:
    encoding = built(TINY)(sound())
    vectors = joined(encoding)
    assert vectors.shape == (2, encoding.frames.shape[1], 26)
    assert torch.equal(vectors[:, 5, :10], encoding.summary)
    torch.testing.assert_close(vectors.mean(dim=1)[:, 10:], encoding.frames.mean(dim=1))
