"""Draw the README's pictures of the screens from simulated patients: `make pictures`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from models import bundle
from stream.block import Block
from stream.monitor.picture import svg
from stream.monitor.view import View
from stream.patient import LostContact, Patient
from stream.session import Session
from stream.snapshot import Snapshot
from stream.sources.simulated import SimulatedSource
from stream.ward import layout
from stream.ward.feed import Member, Over, Round
from stream.ward.snapshot import WardSnapshot
from stream.ward.view import WardView
from stream.ward.ward import Listeners, Ward

#: Heard at once; the last but one goes home.
WARD = (
    Patient("normal", 64, seed=1),
    Patient("murmur", 78, seed=2),
    Patient("extrasystole", 70, seed=3),
    Patient("normal", 92, seed=4, snr_db=3),
    Patient("artifact", seed=5),
    Patient("normal", 72, seed=6, lost_contact=LostContact(33, 30)),
    Patient("holosystolic_murmur", 84, seed=7),
    Patient("bigeminy", 60, seed=8),
)
_WARD_S, _HOME_S = 41.0, 30.0


def monitor(case: str, size: tuple[int, int], seconds: float) -> str:
    """The screen after some seconds of a simulated patient, as SVG."""
    source = SimulatedSource(Patient(case), duration_s=seconds, speed=None)
    session = Session(source, bundle.load(), [])
    seen: list[Snapshot] = []

    def look() -> None:
        # The newest only: drawing while listening is what the screen does, this keeps one frame of it.
        seen[:] = [session.snapshot(View(keyboard=True))]

    session.run(look)
    return svg(seen[-1], *size, f"laennec demo {case}")


class Beds:
    """The patients of `WARD`, as a feed; `look` is called before the last of them are over."""

    def __init__(self, look: Callable[[], None]) -> None:
        last = len(WARD) - 2
        lengths_s = [_HOME_S if k == last else _WARD_S for k in range(len(WARD))]
        self._sources = [SimulatedSource(*each, speed=None) for each in zip(WARD, lengths_s, strict=True)]
        self._look = look
        self.members = tuple(Member(f"bed {k}", s.rate_hz, s.description) for k, s in enumerate(self._sources, 1))
        self.name = f"{len(WARD)} simulated patients"
        self.reads: frozenset[Path] = frozenset()

    def rounds(self) -> Iterator[Round]:
        """See `Feed`."""
        playing = {k: source.blocks() for k, source in enumerate(self._sources)}
        while playing:
            given: dict[int, Block | Over] = {k: next(each, Over("end of input")) for k, each in playing.items()}
            if all(isinstance(each, Over) for each in given.values()):
                self._look()
            yield list(given.items())
            playing = {k: each for k, each in playing.items() if isinstance(given[k], Block)}

    def stop(self) -> None:
        """See `Feed`."""

    def close(self) -> None:
        """See `Feed`."""


def ward() -> str:
    """The screen of several streams at once, as SVG."""
    seen: list[WardSnapshot] = []
    beds = Beds(lambda: seen.append(listening.snapshot(WardView(keyboard=True))))
    listening = Ward(beds, bundle.load(), [Listeners()] * len(WARD))
    listening.run()
    return svg(seen[-1], 100, 5 + 2 * len(WARD), "laennec replay *.wav --together", render=layout.render)


#: By file name, without its ending.
PICTURES: Mapping[str, Callable[[], str]] = {
    "monitor": partial(monitor, "murmur", (120, 40), 41.0),
    "monitor-small": partial(monitor, "extrasystole", (80, 24), 27.0),
    "ward": ward,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (Path(__file__).parent / f"{name}.svg").write_text(draw(), encoding="utf-8")
