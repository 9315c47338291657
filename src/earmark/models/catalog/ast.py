"""AST: the checkpoints that its authors published."""

from typing import Any

from earmark.models.catalog.entry import Published


def _ast(name: str, path: str, score: float, **more: Any) -> Published:
    url = f"https://www.dropbox.com/s/{path}.pth?dl=1"
    return Published(name=name, family="AST", url=url, score=score, license="BSD-3-Clause", **more)


_COMMANDS = {"metric": "accuracy", "classes": 35, "clip_seconds": 1.0}

AST: tuple[Published, ...] = (
    _ast("ast.as2m", "ca0b1v2nlxzyeb4/audioset_10_10_0.4593", 0.4593),
    _ast("ast.as2m-4495", "1tv0hovue1bxupk/audioset_10_10_0.4495", 0.4495),
    _ast("ast.as2m-4483", "6u5sikl4b9wo4u5/audioset_10_10_0.4483", 0.4483),
    _ast("ast.as2m-4475", "kt6i0v9fvfm1mbq/audioset_10_10_0.4475", 0.4475),
    _ast("ast-s12.as2m", "snfhx3tizr4nuc8/audioset_12_12_0.4467", 0.4467),
    _ast("ast-s14.as2m", "z18s6pemtnxm4k7/audioset_14_14_0.4431", 0.4431),
    _ast("ast-s16.as2m", "mdsa4t1xmcimia6/audioset_16_16_0.4422", 0.4422),
    _ast("ast.as20k", "u5i5v0bej24l47p/audioset_bal_10_10_0.3499", 0.3499),
    _ast("ast.speechcommands", "q0tbqpwv44pquwy/speechcommands_10_10_0.9812", 0.9812, **_COMMANDS),
)
"""Base models at stride 10 where no other is named; `ast.as2m` is the average of a run's weights."""
