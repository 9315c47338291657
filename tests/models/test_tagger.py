"""Which models can be described."""

import pytest

from earmark.config import ConfigError
from earmark.encoders import AST, PaSST
from earmark.frontends import KaldiFbank, LogMel
from earmark.models import TaggerConfig

SMALL = {"dim": 24, "depth": 1, "heads": 3}


def describe(**fields: object) -> TaggerConfig:
    return TaggerConfig(head=None, **fields)


def test_clips_that_the_encoder_would_fill_up_with_silence_are_refused() -> None:
    with pytest.raises(ConfigError, match="which is 998 frames, but the encoder needs 1016"):
        describe(frontend=KaldiFbank(), encoder=AST(**SMALL), clip_seconds=10.0)
    assert describe(frontend=KaldiFbank(length=1024), encoder=AST(**SMALL), clip_seconds=10.0)


@pytest.mark.parametrize("rule", ["error", "cut"])
def test_clips_beyond_the_time_table_are_refused_even_where_the_net_would_cut_them(rule: str) -> None:
    with pytest.raises(ConfigError, match="which is 6000 frames, but the encoder takes 1005"):
        describe(frontend=LogMel(), encoder=PaSST(long_input=rule, **SMALL), clip_seconds=60.0)


def test_clips_beyond_the_time_table_are_heard_where_it_is_interpolated() -> None:
    assert describe(frontend=LogMel(), encoder=PaSST(long_input="interpolate", **SMALL), clip_seconds=60.0)


def test_a_giant_is_refused_before_it_takes_memory() -> None:
    giant = PaSST(dim=16384, depth=64, heads=16)
    with pytest.raises(ConfigError, match="parameters; at most 4,000,000,000"):
        describe(frontend=LogMel(), encoder=giant).build()
