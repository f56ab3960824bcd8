"""The heart's cycles of the last minutes, S1 to S1, in which a beat that came early keeps its mark. Pure."""

from __future__ import annotations

from typing import NamedTuple

from models.regularity import LONGEST_S, MEMORY_S, SHORTEST_S, Regularity
from models.rhythm import Beat

KEPT_S = 600.0  # as long as sound is kept, to be looked back at


class Cycle(NamedTuple):
    """From one S1 to the next."""

    t_s: float  # the S1 that ends it, in stream time
    length_s: float
    early: bool  # that S1 is marked as premature


class CycleState(NamedTuple):
    """What finding cycles carries from beat to beat."""

    last_s: float | None  # the newest S1; None before one and after a gap
    between: int  # S2s since then
    found: tuple[Cycle, ...]  # of the last `KEPT_S`, oldest first


def init_state() -> CycleState:
    """Before any beat."""
    return CycleState(None, 0, ())


def heard(beat: Beat, state: CycleState) -> CycleState:
    """One more heart sound, in stream time. What is no one cycle (`regularity`: a sound was missed) is left out."""
    if beat.sound != "S1":
        return state._replace(between=state.between + 1)
    found = tuple(cycle for cycle in state.found if cycle.t_s > beat.t_s - KEPT_S)
    if state.last_s is not None and state.between < 2 and SHORTEST_S <= beat.t_s - state.last_s <= LONGEST_S:
        found = (*found, Cycle(beat.t_s, beat.t_s - state.last_s, False))
    return CycleState(beat.t_s, 0, found)


def broken(state: CycleState) -> CycleState:
    """Audio was lost: no cycle spans it."""
    return state._replace(last_s=None, between=0)


def judged(t_s: float, rhythm: Regularity | None, state: CycleState) -> CycleState:
    """What a decision at `t_s` says of the beats: which came early.

    A mark may be taken back while all around its beat is remembered; after that it stays.
    """
    if rhythm is None:
        return state
    early_s = {beat.t_s for beat in rhythm.premature}
    open_s = t_s - MEMORY_S + 2 * LONGEST_S

    def marked(cycle: Cycle) -> Cycle:
        early = cycle.t_s in early_s or (cycle.early and cycle.t_s < open_s)
        return cycle if early == cycle.early else cycle._replace(early=early)

    return state._replace(found=tuple(map(marked, state.found)))
