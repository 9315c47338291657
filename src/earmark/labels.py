"""A label set: what a model calls things."""

import csv
from collections import Counter
from functools import cache
from pathlib import Path

from pydantic import model_validator

from earmark.config import ConfigError, Frozen, did_you_mean


class LabelSet(Frozen):
    """The names of a model's classes, in the order of its logits.

    Attributes:
        names: what people read, such as AudioSet's display names.
        ids: machine ids, such as AudioSet's `/m/0bt9lr`; empty, or one for each name.
        exclusive: exactly one label holds for a clip.  This one bit picks softmax or sigmoid,
            the loss and the headline metric.

    Example:
        >>> LabelSet(names=("Dog", "Rain")).index("Rain")
        1
    """

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    exclusive: bool = False

    @model_validator(mode="after")
    def _check(self) -> "LabelSet":
        if len(set(self.names)) != len(self.names):
            twice = sorted(name for name, count in Counter(self.names).items() if count > 1)
            raise ValueError(f"the label {twice[0]!r} stands twice; every label needs a name of its own")
        if self.ids and len(self.ids) != len(self.names):
            raise ValueError(f"{len(self.ids)} ids for {len(self.names)} names; give one for each, or none")
        return self

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The position of a name among the logits.

        Raises:
            ConfigError: no such label; the nearest one is suggested.
        """
        if name in self.names:
            return self.names.index(name)
        hint = "; " + did_you_mean(name, self.names, f"there are {len(self)} labels, none of this name")
        raise ConfigError(f"no label {name!r}{hint}")


@cache
def audioset_labels() -> LabelSet:
    """AudioSet's 527 classes in the order of the logits of models trained on it; several may hold for a clip.

    Source:
        `class_labels_indices.csv`, published with AudioSet (Gemmeke et al., ICASSP 2017; CC BY 4.0): display
        names, and Freebase's machine ids.

    Example:
        >>> labels = audioset_labels()
        >>> len(labels), labels.names[0], labels.ids[0]
        (527, 'Speech', '/m/09x0r')
    """
    with Path(__file__).with_name("audioset.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return LabelSet(names=tuple(row["display_name"] for row in rows), ids=tuple(row["mid"] for row in rows))


ESC50 = {
    "dog": "Dog",
    "rooster": "Crowing, cock-a-doodle-doo",
    "pig": "Pig",
    "cow": "Cattle, bovinae",
    "frog": "Frog",
    "cat": "Cat",
    "hen": "Cluck",
    "insects": "Fly, housefly",
    "sheep": "Sheep",
    "crow": "Crow",
    "rain": "Rain",
    "sea_waves": "Waves, surf",
    "crackling_fire": "Crackle",
    "crickets": "Cricket",
    "chirping_birds": "Bird vocalization, bird call, bird song",
    "water_drops": "Drip",
    "wind": "Wind",
    "pouring_water": "Pour",
    "toilet_flush": "Toilet flush",
    "thunderstorm": "Thunderstorm",
    "crying_baby": "Baby cry, infant cry",
    "sneezing": "Sneeze",
    "clapping": "Clapping",
    "breathing": "Breathing",
    "coughing": "Cough",
    "footsteps": "Walk, footsteps",
    "laughing": "Laughter",
    "brushing_teeth": "Toothbrush",
    "snoring": "Snoring",
    "drinking_sipping": "Drinking, sipping",
    "door_wood_knock": "Knock",
    "mouse_click": "Mouse click",
    "keyboard_typing": "Computer keyboard",
    "door_wood_creaks": "Creak",
    "can_opening": "Can opening",
    "washing_machine": "Washing machine",
    "vacuum_cleaner": "Vacuum cleaner",
    "clock_alarm": "Alarm clock",
    "clock_tick": "Tick-tock",
    "glass_breaking": "Shatter",
    "helicopter": "Helicopter",
    "chainsaw": "Chainsaw",
    "siren": "Siren",
    "car_horn": "Vehicle horn, car horn, honking",
    "engine": "Engine",
    "train": "Train",
    "church_bells": "Church bell",
    "airplane": "Fixed-wing aircraft, airplane",
    "fireworks": "Fireworks",
    "hand_saw": "Sawing",
}
"""ESC-50's categories, in the order of its targets, and what AudioSet calls them.

Four have no AudioSet name and keep a plain one: drinking, mouse clicks, opened cans, washing machines."""

OPENMIC = (
    "accordion",
    "banjo",
    "bass",
    "cello",
    "clarinet",
    "cymbals",
    "drums",
    "flute",
    "guitar",
    "mallet_percussion",
    "mandolin",
    "organ",
    "piano",
    "saxophone",
    "synthesizer",
    "trombone",
    "trumpet",
    "ukulele",
    "violin",
    "voice",
)
"""OpenMIC-2018's instruments, in the order of its class map."""

SPEECH_COMMANDS = (
    "backward",
    "follow",
    "five",
    "bed",
    "zero",
    "on",
    "learn",
    "two",
    "house",
    "tree",
    "dog",
    "stop",
    "seven",
    "eight",
    "down",
    "six",
    "forward",
    "cat",
    "right",
    "visual",
    "four",
    "wow",
    "no",
    "nine",
    "off",
    "three",
    "left",
    "marvin",
    "yes",
    "up",
    "sheila",
    "happy",
    "bird",
    "go",
    "one",
)
"""The words of Speech Commands v2, in the order in which AST's published recipe numbers them."""

OF_CORPORA = {
    20: LabelSet(names=OPENMIC),
    35: LabelSet(names=SPEECH_COMMANDS, exclusive=True),
    50: LabelSet(names=tuple(ESC50.values()), exclusive=True),
}
"""What the classes of published models are called that were not trained on AudioSet, by their number."""
