"""What is packed: a clip, its name, and where it belongs; and what of it is written."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from earmark.config import Frozen
from earmark.data.clips import Clip

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
"""Hz; Opus knows no others."""
FIELDS = ("labels", "unknown", "split", "fold", "group", "source_start", "source_end", "encoded")
"""What is kept of a row beside its sound; those that no row of a pack has are left out."""
ENDINGS = ("flac", "opus", "wav")
"""How the names of sounds end that were encoded anew."""


class Origin(NamedTuple):
    """What an earlier pack said of a sound.

    Attributes:
        start: where the recording began that it was cut out of; None for a whole one.
        end: where it ended there.
        encoded: how its name ended, where it was encoded anew.
    """

    start: float | None = None
    end: float | None = None
    encoded: str | None = None


def origin_of(said: Mapping[str, Any]) -> Origin:
    """What a pack of ours says of a sound; what cannot be so is passed over.

    Example:
        >>> origin_of({"source_start": 1.5, "source_end": 3.0, "encoded": "../../x"})
        Origin(start=1.5, end=3.0, encoded=None)
    """
    start, end, ending = _time(said.get("source_start")), _time(said.get("source_end")), said.get("encoded")
    if start is None or (end is not None and end <= start):
        end = None
    return Origin(start, end, ending if ending in ENDINGS else None)


def _time(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value < math.inf else None


class Row(NamedTuple):
    """A clip that shall be packed.

    Attributes:
        name: what it is called: a path from the folder that holds them all.
        clip: where its sound is, and what is heard.
        split: `train`, `validation` or `test`, if it says.
        fold: the fold that holds it out, if it says.
        group: what it must stay together with; empty for nothing else.
        origin: what the pack said that it lies in.
    """

    name: str
    clip: Clip
    split: str | None = None
    fold: int | None = None
    group: str = ""
    origin: Origin = Origin()


class Encoded(NamedTuple):
    """The sound of a row as the bytes of a file.

    Attributes:
        data: the bytes.
        ending: how the name of such a file ends.
        seconds: its length; None where its header does not say.
        anew: it was encoded here, and is not what its source holds.
        loud: it is louder than full scale, and so kept as 32-bit float.
    """

    data: bytes
    ending: str
    seconds: float | None
    anew: bool = False
    loud: bool = False


class Packing(Frozen):
    """How a pack is written.

    Attributes:
        to: Parquet shards, in which any row can be read by itself, or WebDataset's tar files.
        encode: the bytes of the files as they are; or decoded to mono and encoded anew: `flac` (without
            loss), `opus` (64 kbit/s or so), `int16` (wav of 16 bits).
        rate: Hz of what is encoded anew; None for that of each file.  Opus takes 8, 12, 16, 24 or 48 kHz;
            with None each file goes to the next of these.
        shard_mb: megabytes of the files that go into a shard; a larger file has one of its own.

    Example:
        >>> Packing(encode="opus", rate=44100)
        Traceback (most recent call last):
        earmark.config.ConfigError: Opus has no rate of 44100 Hz; give 8000, 12000, 16000, 24000 or 48000
    """

    to: Literal["parquet", "webdataset"] = "parquet"
    encode: Literal["as-is", "flac", "opus", "int16"] = "as-is"
    rate: int | None = Field(default=None, ge=1000, le=192_000)
    shard_mb: float = Field(default=500.0, gt=0, le=100_000)

    @model_validator(mode="after")
    def _check_rate(self) -> "Packing":
        if self.rate is not None and self.encode == "as-is":
            raise ValueError(
                f"a rate of {self.rate} Hz needs sounds that are encoded anew; "
                "give --encode flac, opus or int16"
            )
        if self.encode == "opus" and self.rate not in (None, *OPUS_RATES):
            rates = ", ".join(map(str, OPUS_RATES[:-1]))
            raise ValueError(f"Opus has no rate of {self.rate} Hz; give {rates} or {OPUS_RATES[-1]}")
        return self


def fields_of(row: Row, sound: Encoded) -> dict[str, Any]:
    """What is kept of a row beside its sound; None and empty lists for what it does not say.

    Example:
        >>> from pathlib import Path
        >>> row = Row("dog.wav", Clip(Path("dog.wav"), ("Dog",)), fold=2)
        >>> [(name, said) for name, said in fields_of(row, Encoded(b"", "wav", 1.0)).items() if said]
        [('labels', ['Dog']), ('fold', 2)]
    """
    clip, origin = row.clip, row.origin
    start, end = origin.start, origin.end
    if clip.start > 0 or clip.end is not None:
        before = origin.start or 0.0
        start, end = before + clip.start, end if clip.end is None else before + clip.end
    return {
        "labels": list(clip.labels),
        "unknown": list(clip.unknown),
        "split": row.split,
        "fold": row.fold,
        "group": row.group or None,
        "source_start": start,
        "source_end": end,
        "encoded": sound.ending if sound.anew else origin.encoded,
    }


def fields_used(rows: Iterable[Row], packing: Packing) -> tuple[str, ...]:
    """The fields that some row has, so that all shards of a pack have the same columns."""
    used: set[str] = set()
    for row in rows:
        anew = packing.encode != "as-is" or row.clip.start > 0 or row.clip.end is not None
        said = fields_of(row, Encoded(b"", "sound", None, anew=anew))
        used.update(name for name, value in said.items() if value not in (None, []))
    if "unknown" in used:
        used.add("labels")
    return tuple(name for name in FIELDS if name in used)
