"""The training loop: read it from top to bottom."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor

from earmark import __version__
from earmark.config import ConfigError
from earmark.data import Clip, Split
from earmark.data.loading import decode
from earmark.files import commit
from earmark.models import Tagger, save
from earmark.training.augment import augment_features, crop, gain
from earmark.training.objectives import classification_loss
from earmark.training.optimization import WeightAverage, cosine_factor, make_optimizer
from earmark.training.randomness import clip_generators, generator
from earmark.training.recipe import Recipe

log = logging.getLogger(__name__)


class TrainingError(RuntimeError):
    """A run that cannot go on; the sentence says why and what was kept."""


def train(
    recipe: Recipe,
    data: Path,
    out: Path | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> Tagger:
    """Train a model as a recipe says.

    Args:
        recipe: what to compute.
        data: where the corpus lies.
        out: a run folder for `recipe.json`, `metrics.jsonl` and `model.safetensors`; made if missing.
        report: called with the metrics of each epoch.

    Returns:
        The trained model, averaged if the recipe says so, in evaluation mode.

    Raises:
        ConfigError: the corpus is not there or has no clips.
        TrainingError: the loss or the gradient became NaN or infinite; that step was not applied.
    """
    split = recipe.corpus.read(data)
    if not split.train:
        raise ConfigError(f"no training clips under {data}; check the folder and the corpus")
    if out is not None:
        _start_run(out, recipe)
    torch.manual_seed(recipe.seed)
    model = recipe.model.build()
    clips, waveforms = _decode_all(split.train, model)
    targets = multi_hot(clips, split)
    average = WeightAverage(model, recipe.averaging.decay) if recipe.averaging else None
    metrics = _run_epochs(recipe, model, average, waveforms, targets, [clip.path.name for clip in clips])
    for epoch_metrics in metrics:
        if report:
            report(epoch_metrics)
        if out is not None:
            with (out / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(epoch_metrics) + "\n")
    if average:
        model.load_state_dict(average.average)
    model.eval()
    if out is not None:
        dtype = torch.float16 if recipe.weights == "fp16" else torch.float32
        save(model, out / "model.safetensors", provenance=provenance(recipe), dtype=dtype)
    return model


def provenance(recipe: Recipe) -> dict[str, Any]:
    """What a checkpoint says of the run that made it; the model describes itself already."""
    tree = recipe.to_dict()
    del tree["model"]
    return {"earmark": __version__, "license": tree.pop("license"), "recipe": tree}


def _run_epochs(
    recipe: Recipe,
    model: Tagger,
    average: WeightAverage | None,
    waveforms: list[Int16[np.ndarray, "_"]],
    targets: Float[Tensor, "clip class"],
    names: list[str],
) -> Iterator[dict[str, Any]]:
    """Train epoch after epoch and yield the metrics of each."""
    optimizer = make_optimizer(model, recipe.optimizer)
    batches_per_epoch = math.ceil(len(waveforms) / recipe.batch_size)
    n_steps = recipe.epochs * batches_per_epoch
    step = 0
    for epoch in range(recipe.epochs):
        model.train()
        started, total = time.perf_counter(), 0.0
        order = generator(recipe.seed, epoch, 0, "order").permutation(len(waveforms))
        for batch in np.array_split(order, batches_per_epoch):
            rate = recipe.optimizer.lr * cosine_factor(step, n_steps, recipe.schedule)
            for group in optimizer.param_groups:
                group["lr"] = rate
            torch.manual_seed(int(generator(recipe.seed, epoch, step, "torch").integers(2**63)))
            loss = batch_loss(recipe, model, waveforms, targets, batch.tolist(), epoch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            value = float(loss.detach())
            norm = torch.nn.utils.get_total_norm(p.grad for p in model.parameters() if p.grad is not None)
            if not (math.isfinite(value) and math.isfinite(float(norm))):
                raise TrainingError(
                    f"the loss is {value} and the gradient's norm {float(norm)} at step {step}, epoch "
                    f"{epoch + 1}; this step was not applied; its clips are "
                    + ", ".join(names[i] for i in batch)
                )
            optimizer.step()
            if average:
                average.update(model)
            total += value * len(batch)
            step += 1
        yield {
            "epoch": epoch + 1,
            "loss": total / len(waveforms),
            "lr": optimizer.param_groups[0]["lr"],
            "seconds": time.perf_counter() - started,
        }


def batch_loss(
    recipe: Recipe,
    model: Tagger,
    waveforms: list[Int16[np.ndarray, "_"]],
    targets: Float[Tensor, "clip class"],
    batch: list[int],
    epoch: int,
) -> Float[Tensor, ""]:
    """The loss of one batch: the one path of sound, with randomness between its steps."""
    augment = recipe.augment
    length = round(recipe.model.clip_seconds * model.sample_rate)
    draws = clip_generators(recipe.seed, epoch, batch, "augment")
    cut = [crop(waveforms[i], length, g if augment.crop else None) for i, g in zip(batch, draws, strict=True)]
    waveform = torch.from_numpy(np.stack(cut))
    if augment.gain_db:
        waveform = gain(waveform, augment.gain_db, draws)
    with torch.no_grad():
        features = model.frontend(waveform)
        scale = recipe.model.frontend.log_scale or (0.0, 1.0)  # a recipe takes no other front end
        features, wanted = augment_features(features, targets[batch], augment, scale, draws)
    logits = model.classify(model.encoder(features))
    return classification_loss(logits, wanted, model.labels.exclusive, recipe.label_smoothing)


def multi_hot(clips: list[Clip], split: Split) -> Float[Tensor, "clip class"]:
    """Targets: 1 where a label holds."""
    targets = torch.zeros(len(clips), len(split.labels))
    for row, clip in enumerate(clips):
        for name in clip.labels:
            targets[row, split.labels.index(name)] = 1.0
    return targets


def _decode_all(clips: list[Clip], model: Tagger) -> tuple[list[Clip], list[Int16[np.ndarray, "_"]]]:
    """Decode the training clips; the few that fail are left out, after `decode` has named them."""
    decoded = decode(clips, model.sample_rate, max_seconds=600.0)
    kept = [(clip, waveform) for clip, waveform in zip(clips, decoded, strict=True) if waveform is not None]
    if len(kept) < 0.99 * len(clips):
        raise TrainingError(
            f"{len(clips) - len(kept)} of {len(clips)} training clips cannot be decoded; mend the corpus"
        )
    return [clip for clip, _ in kept], [waveform for _, waveform in kept]


def _start_run(out: Path, recipe: Recipe) -> None:
    if (out / "model.safetensors").exists():
        raise ConfigError(f"{out} already holds a finished run; choose another folder, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.jsonl").unlink(missing_ok=True)  # of a run that never came to its end
    with commit(out / "recipe.json") as file:
        file.write(json.dumps(recipe.to_dict(), indent=2).encode())
