"""What others published for tasks of the benchmark: primary scores, as shown on its leaderboard."""

from collections.abc import Mapping

TASKS = (
    "dcase2016_task2",
    "esc50",
    "fsd50k",
    "tfds_gtzan",
    "libricount",
    "maestro",
    "nsynth_pitch-5h",
    "speech_commands-5h",
    "tfds_crema_d",
    "vox_lingua_top10",
    "vocal_imitation",
)
"""The columns of `LEADERBOARD`: names of tasks, with the mode where it matters."""

MISSING = float("nan")

LEADERBOARD: Mapping[str, tuple[float, ...]] = {
    "CED-base": (0.922, 0.966, 0.655, 0.886, 0.678, 0.148, 0.682, 0.869, 0.691, 0.386, 0.227),
    "mn40_as": (0.813, 0.961, 0.631, 0.908, 0.725, 0.019, 0.304, 0.777, 0.640, 0.318, 0.202),
    "PaSST 2lvl+mel": (0.925, 0.947, 0.641, 0.883, 0.660, MISSING, 0.256, 0.681, 0.610, 0.259, 0.182),
    "mn04_as": (0.650, 0.918, 0.567, 0.862, 0.550, 0.004, 0.126, 0.482, 0.491, 0.239, 0.144),
    "PANNs": (0.000, 0.909, MISSING, 0.860, 0.652, 0.000, 0.148, 0.560, 0.555, 0.244, 0.127),
    "OpenL3": (0.833, 0.751, 0.447, 0.879, 0.641, 0.017, 0.560, 0.680, 0.550, 0.331, 0.078),
    "wav2vec2": (0.663, 0.561, 0.342, 0.780, 0.692, 0.033, 0.402, 0.838, 0.656, 0.493, 0.080),
    "dBERT": (0.246, 0.532, 0.263, 0.674, 0.584, 0.000, 0.524, 0.566, 0.522, 0.246, 0.161),
}
"""Primary scores by system.

Source:
    docs/leaderboard.csv of hearbenchmark.com, rounded; mn04 and mn40 by EfficientAT_HEAR, CED by its authors.
"""


def published(name: str, title: str) -> dict[str, float]:
    """What systems are known to score on a task of this name.

    Args:
        name: of the task, such as esc50.
        title: with version and mode, such as nsynth_pitch-v2.2.3-5h.

    Example:
        >>> published("esc50", "esc50-v2.0.0-full")["PANNs"]
        0.909
        >>> published("nsynth_pitch", "nsynth_pitch-v2.2.3-50h")
        {}
    """
    mode = title.rpartition("-")[2]
    column = next((place for place, task in enumerate(TASKS) if task in (name, f"{name}-{mode}")), None)
    if column is None:
        return {}
    return {system: row[column] for system, row in LEADERBOARD.items() if row[column] == row[column]}
