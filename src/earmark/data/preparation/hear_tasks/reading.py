"""Clips to samples, for those who make tasks of them."""

from collections.abc import Sequence

from earmark.data.clips import Clip
from earmark.data.feeding.sounds import Sounds, open_sounds, waveform
from earmark.data.preparation.hear_tasks.sketch import Sound


class Reader:
    """Clips by index at any rate; one process decodes, so that a bad file takes none of ours with it.

    Args:
        clips: what will be read.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = clips
        self._open: dict[int, Sounds] = {}

    def whole(self, index: int, rate: int) -> Sound:
        """A clip.

        Args:
            index: its place among the clips.
            rate: in Hz.

        Raises:
            AudioError: it cannot be read.
        """
        return waveform(self._sounds(rate), index)

    def stretch(self, index: int, start: float, seconds: float, rate: int) -> Sound:
        """A part of a clip.

        Args:
            index: its place among the clips.
            start: of the part, in seconds from the start of the clip.
            seconds: its length, less where the clip ends before.
            rate: in Hz.

        Raises:
            AudioError: it cannot be read.
        """
        return waveform(self._sounds(rate), index, round(start * rate), round(seconds * rate))

    def _sounds(self, rate: int) -> Sounds:
        if rate not in self._open:
            self._open[rate] = open_sounds(self.clips, rate)
        return self._open[rate]
