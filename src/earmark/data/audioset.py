"""AudioSet: 527 kinds of sound in ten-second pieces of YouTube videos."""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from earmark.config import ConfigError, Frozen
from earmark.data.archives import find_packs
from earmark.data.audioset_files import Listed, Recordings, read_manifest, read_segments
from earmark.data.clips import Clip, Split
from earmark.data.packs.hdf5 import read_pack
from earmark.labels import LabelSet, audioset_labels

_log = logging.getLogger(__name__)

Walk = Callable[[tuple[Path, ...]], Recordings]

LIST_FOLDERS = ("", "metadata", "csv", "csvs", "lists", "datafiles", "data", "data/datafiles", "segments")
AUDIO_FOLDERS = ("", "audio", "audios", "wav", "wavs", "mp3", "mp3_audio", "audio_segments")


class _Part(NamedTuple):
    """One of AudioSet's three parts, and what it is called by whom."""

    segments: str
    manifests: tuple[str, ...]
    folders: tuple[str, ...]


BALANCED = _Part(
    "balanced_train_segments",
    ("audioset_bal_train_data.json", "balanced_train_data.json", "bal_train_data.json", "bal_train.json"),
    ("balanced_train_segments", "balanced_train", "balance_wav", "balanced_wav", "bal_train"),
)
UNBALANCED = _Part(
    "unbalanced_train_segments",
    ("audioset_unbal_train_data.json", "unbalanced_train_data.json", "unbal_train_data.json"),
    ("unbalanced_train_segments", "unbalanced_train", "unbalanced_wav", "unbal_train"),
)
EVALUATION = _Part(
    "eval_segments",
    ("audioset_eval_data.json", "eval_data.json", "eval.json"),
    ("eval_segments", "eval", "eval_wav", "evaluation"),
)
PARTS = {"balanced": (BALANCED,), "unbalanced": (UNBALANCED,), "full": (BALANCED, UNBALANCED)}
WHOLE = (
    "audioset_bal_unbal_train_data.json",
    "whole_train_data.json",
    "whole_train.json",
)
"""What manifests of the balanced and the unbalanced part together are called."""


class AudioSet(Frozen):
    """AudioSet as people have it: lists and folders, AST's manifests, or PaSST's packs.

    A clip that is listed but not here is counted and named, not an error: YouTube loses some every day.

    Attributes:
        subset: what is trained on: the balanced part (22,160 clips published), the unbalanced one
            (2,041,789), or both, the balanced one first.  The evaluation part is always held out.
        train_manifest: an AST manifest under the root to train on instead, where its name is not known.
        test_manifest: likewise for what is held out.

    Source:
        Gemmeke et al., Audio Set: an ontology and human-labeled dataset for audio events, ICASSP 2017; the
        manifests of AST (arXiv:2104.01778) and AudioTaggingDoneRight; the packs of PaSST (arXiv:2110.05069).

    Example:
        >>> AudioSet(subset="balanced").n_folds
        0
    """

    kind: Literal["AudioSet"] = "AudioSet"
    subset: Literal["balanced", "unbalanced", "full"] = "full"
    train_manifest: str | None = None
    test_manifest: str | None = None

    @property
    def n_folds(self) -> int:
        """There are no folds: one part is held out by its makers."""
        return 0

    @property
    def labels(self) -> LabelSet:
        """The 527 display names with their machine ids; several may hold for a clip."""
        return audioset_labels()

    def read(self, root: Path) -> Split:
        """Read the chosen part and the evaluation part under `root`.

        Packs are taken where they are, else manifests, else the official lists.  Recordings must be cut
        already: a file is one clip, from its first sample to its last.

        Args:
            root: a folder with PaSST's `mp3/balanced_train_segments_mp3.hdf` and so on; or AST's JSON
                manifests; or the lists (`balanced_train_segments.csv`, ... or under `metadata/`) and the
                recordings, however deep.

        Raises:
            ConfigError: nothing of the kind is there, a list is damaged, or none of its clips is there.
        """
        if not root.is_dir():
            raise ConfigError(f"{root} is no folder; give the one with AudioSet's lists and recordings")
        parts = PARTS[self.subset]
        named = self.train_manifest is not None or self.test_manifest is not None
        names = [f"{part.segments}_mp3.hdf" for part in (*parts, EVALUATION)]
        packs = None if named else find_packs(root, names)
        missing: list[str] = []
        walk = cache(Recordings)  # each folder is walked once, and only if need be
        if packs is not None:
            read = [read_pack(pack, self.labels.names) for pack in packs]
        elif (manifests := self._manifests(root, parts)) is not None:
            read = [self._manifest(path, root, walk, missing) for path in manifests]
        else:
            read = [self._listed(root, part, walk, missing) for part in (*parts, EVALUATION)]
        if missing:
            words = "%d clips that AudioSet lists are not under %s, such as %s"
            _log.warning(words, len(missing), root, missing[0])
        return Split(self.labels, [clip for clips in read[:-1] for clip in clips], read[-1], missing=missing)

    def _manifests(self, root: Path, parts: Sequence[_Part]) -> list[Path] | None:
        """The manifests to train on and, last, the one that is held out; None if there are none."""
        if self.train_manifest is not None or self.test_manifest is not None:
            train = root / (self.train_manifest or "")
            test = root / self.test_manifest if self.test_manifest else _first(root, EVALUATION.manifests)
            if not train.is_file() or test is None or not test.is_file():
                lost = test or root / EVALUATION.manifests[0] if train.is_file() else train
                raise ConfigError(f"there is no manifest {lost}; name both train_manifest and test_manifest")
            return [train, test]
        whole = _first(root, WHOLE) if len(parts) > 1 else None
        learned = [whole] if whole else [_first(root, part.manifests) for part in parts]
        there = [path for path in (*learned, _first(root, EVALUATION.manifests)) if path is not None]
        return there if len(there) == len(learned) + 1 else None

    def _manifest(self, path: Path, root: Path, walk: Walk, missing: list[str]) -> list[Clip]:
        clips: list[Clip] = []
        for entry in read_manifest(path, self.labels):
            found = _as_written(root, entry.name) or walk((root,)).named(entry.name)
            if found is None:
                missing.append(entry.name)
            else:
                clips.append(Clip(Path(found), entry.labels))
        return self._some(clips, path, root)

    def _listed(self, root: Path, part: _Part, walk: Walk, missing: list[str]) -> list[Clip]:
        table = _first(root, (f"{part.segments}.csv",))
        if table is None:
            raise ConfigError(
                f"no AudioSet under {root}; looked for {part.segments}_mp3.hdf, {part.manifests[0]} and "
                f"{part.segments}.csv, there and in {', '.join(filter(None, LIST_FOLDERS))}; what is trained "
                "on is chosen by corpus.subset: balanced, unbalanced or full"
            )
        folders = [root / place / name for place in AUDIO_FOLDERS for name in part.folders]
        recordings = walk(tuple(folder for folder in folders if folder.is_dir()) or (root,))
        clips: list[Clip] = []
        for segment in read_segments(table, self.labels):
            found = recordings.of(segment.name, segment.start)
            if found is None:
                missing.append(_called(segment))
            else:
                clips.append(Clip(Path(found), segment.labels))
        return self._some(clips, table, root)

    def _some(self, clips: list[Clip], listed_in: Path, root: Path) -> list[Clip]:
        if not clips:
            raise ConfigError(
                f"none of the clips of {listed_in} is under {root}; looked for Y{{ytid}}.wav, {{ytid}}.wav, "
                "{ytid}_{start}.wav and the same with other suffixes of audio"
            )
        return clips


def _first(root: Path, names: Sequence[str]) -> Path | None:
    places = (root / folder / name for name in names for folder in LIST_FOLDERS)
    return next((place for place in places if place.is_file()), None)


def _as_written(root: Path, name: str) -> str | None:
    path = root / name  # an absolute path stays as it is
    return str(path) if path.is_file() else None


def _called(segment: Listed) -> str:
    return segment.name if segment.start is None else f"{segment.name} at {segment.start:g} s"
