"""dBERT's pretraining step beside one of wav2vec 2.0 of the same size, and where ours spends its time.

    pip install transformers                # for this benchmark only
    python benchmarks/pretraining_step.py [--recipe dbert-tiny] [--rounds 5] [--seconds 2] [--batch 16]

Both have the same convolutions, width, depth, heads and crops of noise, fp32, one thread, and AdamW; theirs
is `Wav2Vec2ForPreTraining` with its own masks, 100 distractors and quantizer.  Rounds are interleaved in one
process; time is the processor's; the ratio is taken round by round.  An update of ours is all that comes
between two changes of the student: as many iterations of teacher and generators as the recipe says
(`objective.every`), and one step of the student.
"""

import argparse
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import torch

from earmark.cli.allocator import keep_memory
from earmark.models import Tagger
from earmark.recipes import PRETRAINING
from earmark.training.distributing.world import World, world
from earmark.training.optimizing.optimizer import train_mode
from earmark.training.pretraining.batch import Crops
from earmark.training.pretraining.guessing import Student
from earmark.training.pretraining.learner import PretrainLearner, guesser_of
from earmark.training.pretraining.optimizer import student_optimizer
from earmark.training.pretraining.recipe import PretrainRecipe

PARTS = ("teacher", "student", "generators", "bookkeeping")


class Ours:
    """The learner of a recipe, on noise, with a clock.

    Args:
        recipe: what is computed.
        batch: crops in a batch.
        place: this process.
    """

    def __init__(self, recipe: PretrainRecipe, batch: int, place: World) -> None:
        torch.manual_seed(0)
        self.recipe, self.batch, self.number = recipe, batch, 0
        model = Tagger(recipe.model)
        train_mode(model)
        guesser = guesser_of(model, recipe.objective)
        student = Student(guesser, guesser, student_optimizer(guesser, recipe.optimizer))
        self.learner = PretrainLearner(recipe, model, student, place)
        self.spent: Counter[str] = Counter()
        self._watch(self.learner, "hear", "teacher")
        self._watch(self.learner.targets, "find", "generators")
        self._watch(self.learner.guessing, "step", "student")
        while not self.learner.targets.seeded:
            self.iteration()

    def _watch(self, thing: Any, name: str, part: str) -> None:
        method = getattr(thing, name)

        def timed(*given: Any, **more: Any) -> Any:
            began = time.process_time()
            found = method(*given, **more)
            self.spent[part] += time.process_time() - began
            return found

        setattr(thing, name, timed)

    def iteration(self) -> None:
        """One batch."""
        n_samples = round(self.recipe.crop_seconds * self.recipe.model.frontend.sample_rate)
        noise = torch.randn(self.batch, n_samples, generator=torch.Generator().manual_seed(self.number)) * 0.1
        clips = list(range(self.batch))
        lengths = torch.full((self.batch,), n_samples)
        began = time.process_time()
        self.learner.step(Crops(noise, lengths, clips, clips, self.batch, {}), 0, self.number, None)
        self.spent["all"] += time.process_time() - began
        self.number += 1

    def update(self) -> dict[str, float]:
        """Processor seconds of an update, by what they were spent on."""
        self.spent.clear()
        for _ in range(self.recipe.objective.every):
            self.iteration()
        spent = dict(self.spent)
        spent["bookkeeping"] = spent["all"] - sum(spent.get(part, 0.0) for part in PARTS[:3])
        return spent


def theirs(recipe: PretrainRecipe, batch: int) -> Callable[[], float]:
    """A step of wav2vec 2.0 of the same size; it answers with its processor seconds."""
    import numpy as np
    import transformers
    from transformers.models.wav2vec2 import modeling_wav2vec2 as published

    encoder: Any = recipe.model.encoder
    dims, kernels, strides = zip(*encoder.convs, strict=True)
    config = transformers.Wav2Vec2Config(
        hidden_size=encoder.width,
        num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads,
        intermediate_size=encoder.width * encoder.ff_multiple,
        conv_dim=dims,
        conv_kernel=kernels,
        conv_stride=strides,
        num_feat_extract_layers=len(dims),
        num_conv_pos_embeddings=encoder.position_kernel,
        num_conv_pos_embedding_groups=encoder.position_groups,
    )
    torch.manual_seed(0)
    net = transformers.Wav2Vec2ForPreTraining(config).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-4)
    n_samples = round(recipe.crop_seconds * recipe.model.frontend.sample_rate)
    frames = int(net._get_feat_extract_output_lengths(n_samples))
    np.random.seed(0)  # theirs draws from it

    def step() -> float:
        noise = torch.randn(batch, n_samples) * 0.1
        began = time.process_time()
        hidden = published._compute_mask_indices(
            (batch, frames), config.mask_time_prob, config.mask_time_length
        )
        others = published._sample_negative_indices((batch, frames), config.num_negatives, hidden)
        said = net(
            noise,
            mask_time_indices=torch.from_numpy(hidden),
            sampled_negative_indices=torch.from_numpy(others),
        )
        said.loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return time.process_time() - began

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipe", default="dbert-tiny", choices=list(PRETRAINING))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=None, help="of a crop; the recipe's if not given")
    given = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    recipe = PRETRAINING[given.recipe]
    seconds = given.seconds or recipe.crop_seconds
    objective = recipe.objective.replace(collapse=None)  # noise is nothing to be healthy on
    recipe = recipe.replace(
        crop_seconds=seconds, jitter=0.0, precision="fp32", objective=objective, batch_size=given.batch
    )
    with world("cpu") as place:
        ours = Ours(recipe, given.batch, place)
    step = theirs(recipe, given.batch)
    ours.update()
    step()
    rounds = [(ours.update(), step()) for _ in range(given.rounds)]
    mine, other = [spent["all"] for spent, _ in rounds], [seconds for _, seconds in rounds]
    ratios = sorted(m / o for m, o in zip(mine, other, strict=True))
    every = recipe.objective.every
    heard = every * given.batch * seconds
    print(f"earmark {given.recipe}: {statistics.median(mine):.2f} s an update of {every} batches,", end=" ")
    print(f"{heard / statistics.median(mine):.1f} s of sound heard a second")
    print(f"wav2vec 2.0: {statistics.median(other):.2f} s an update of one batch,", end=" ")
    print(f"{given.batch * seconds / statistics.median(other):.1f} s of sound a second")
    told = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(f"an update of ours costs {told} of theirs")
    medians = {
        part: statistics.median(spent.get(part, 0.0) for spent, _ in rounds) for part in (*PARTS, "all")
    }
    print("of an update:", ", ".join(f"{part} {medians[part] / medians['all']:.1%}" for part in PARTS))


if __name__ == "__main__":
    main()
