"""What is worked out of a whole history is worked out anew only when the history is another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Concatenate, ParamSpec, TypeVar

from models.decide import Decision

P = ParamSpec("P")
R = TypeVar("R")
OfHistory = Callable[Concatenate[Sequence[Decision], P], R]


def remembered(function: OfHistory[P, R]) -> OfHistory[P, R]:
    """The same function, which gives its newest result again where it is asked for the same.

    A screen asks several times for each history, which may be hours long and must not change.
    """
    kept: list[tuple[Sequence[Decision], tuple[object, ...], R]] = []

    def ask(history: Sequence[Decision], /, *args: P.args, **kwargs: P.kwargs) -> R:
        rest = (*args, *kwargs.items())
        if not (kept and kept[0][0] is history and kept[0][1] == rest):
            kept[:] = [(history, rest, function(history, *args, **kwargs))]
        return kept[0][2]

    update_wrapper(ask, function)
    return ask
