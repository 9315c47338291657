"""Learning from a teacher."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.encoders import ResidualCNN
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import TaggerConfig
from earmark.training.augmentation.mixing import mix_linear
from earmark.training.supervised.distillation import Distillation, StoredTeacher, Teacher, blend
from earmark.training.supervised.objectives import clip_losses

TINY = TaggerConfig(
    frontend=LogMel(
        sample_rate=8000, n_fft=256, win_length=256, hop_length=160, n_mels=32, fmax=4000.0, fmax_jitter=1
    ),
    encoder=ResidualCNN(n_bands=32, widths=(8, 16), stem=8),
    labels=LabelSet(names=("dog", "rain", "bell")),
    clip_seconds=0.5,
)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_blended_targets_give_the_published_loss_of_mixed_clips() -> None:
    student, teacher = drawn(6, 9).requires_grad_(), drawn(6, 9) * 2
    labels = (drawn(9, 6).T > 0.5).float()
    share, partner = torch.rand(6) * 0.5 + 0.5, torch.tensor([1, 0, 3, 2, 5, 4])
    lam = share[:, None]

    def bce(targets: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(student, targets, reduction="none")

    mixed = lam * labels + (1 - lam) * labels[partner]
    taught = lam * bce(teacher.sigmoid()) + (1 - lam) * bce(teacher[partner].sigmoid())
    published = (0.1 * bce(mixed) + 0.9 * taught).mean()
    targets = mix_linear(blend(labels, teacher, Distillation(), exclusive=False), partner, share)
    ours = clip_losses(student, targets, None, exclusive=False).mean()
    torch.testing.assert_close(ours, published)
    slopes = [torch.autograd.grad(loss, student, retain_graph=True)[0] for loss in (ours, published)]
    torch.testing.assert_close(*slopes)


def test_where_labels_exclude_one_another_the_gradient_is_that_of_the_divergence() -> None:
    student, teacher, labels = drawn(4, 5).requires_grad_(), drawn(5, 4).T * 3, torch.eye(5)[:4]
    config = Distillation(share=0.7, temperature=2.0)
    soft = (teacher / 2).softmax(dim=1)
    divergence = nn.functional.kl_div(student.log_softmax(dim=1), soft, reduction="batchmean")
    published = 0.3 * nn.functional.cross_entropy(student, labels) + 0.7 * divergence
    ours = clip_losses(student, blend(labels, teacher, config, exclusive=True), None, exclusive=True).mean()
    slopes = [torch.autograd.grad(loss, student, retain_graph=True)[0] for loss in (ours, published)]
    torch.testing.assert_close(*slopes)


def test_stored_logits_are_read_by_clip_here_and_in_another_process(tmp_path: Path) -> None:
    logits = drawn(7, 3).numpy()
    np.save(tmp_path / "teacher.npy", logits.astype(np.float16))
    teacher = StoredTeacher(tmp_path / "teacher.npy", clips=7, classes=3)
    elsewhere = pickle.loads(pickle.dumps(teacher))
    assert len(pickle.dumps(teacher)) < 1000
    for one in (teacher, elsewhere):
        assert one.row(5).dtype == np.float32
        np.testing.assert_allclose(one.row(5), logits[5], rtol=1e-3)


def test_stored_logits_that_do_not_fit_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "teacher.npy"
    with pytest.raises(ConfigError, match="cannot be read as stored logits"):
        StoredTeacher(path, 7, 3)
    path.write_bytes(b"no numbers")
    with pytest.raises(ConfigError, match="cannot be read as stored logits"):
        StoredTeacher(path, 7, 3)
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(ConfigError, match="cannot be read as stored logits"):
        StoredTeacher(path, 7, 3)
    for shape in [(7, 4), (6, 3), (21,)]:
        np.save(path, np.zeros(shape, dtype=np.float32))
        with pytest.raises(ConfigError, match="there are 7 training clips and 3 labels"):
            StoredTeacher(path, 7, 3)
    np.save(path, np.zeros((7, 3), dtype=np.int64))
    with pytest.raises(ConfigError, match="floating-point"):
        StoredTeacher(path, 7, 3)
    broken = np.zeros((7, 3), dtype=np.float32)
    broken[4, 1] = np.nan
    np.save(path, broken)
    with pytest.raises(ConfigError, match="row 4 is not finite"):
        StoredTeacher(path, 7, 3)


def test_a_live_teacher_hears_the_waveforms_of_its_student() -> None:
    torch.manual_seed(0)
    model, student = TINY.build(), TINY.build()
    teacher = Teacher(model, student, Distillation(share=1.0))
    waveform = drawn(2, 4000)
    targets = teacher.blend(torch.zeros(2, 3), waveform)
    with torch.no_grad():
        torch.testing.assert_close(targets, model.eval()(waveform).sigmoid())
    assert not targets.requires_grad
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": LabelSet(names=("dog", "bell", "rain"))}, "in another order"),
        ({"clip_seconds": 0.25}, "hears 0.25 s"),
        ({"head": None}, "has no head"),
    ],
)
def test_a_teacher_that_cannot_teach_is_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Teacher(TINY.replace(**change).build(), TINY.build(), Distillation())


def test_a_teacher_of_another_rate_is_a_sentence() -> None:
    other = TINY.replace(frontend=TINY.frontend.replace(sample_rate=16000, fmax=8000.0))
    with pytest.raises(ConfigError, match="hears 16000 Hz and the student 8000 Hz"):
        Teacher(other.build(), TINY.build(), Distillation())
