"""Which clips a model is counted on, where the data have folds."""

from pathlib import Path

import pytest

from earmark.config import ConfigError
from earmark.evaluation.held_out import hold_out


def test_a_fold_that_there_is_not_is_told_whatever_the_model_has_learned(tones: Path) -> None:
    with pytest.raises(ConfigError, match="esc10 has no fold 7; there are 1, 2, 3, 4, 5"):
        hold_out(["builtin"], tones, "esc10", 7, "test")
