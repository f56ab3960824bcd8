"""Draw the README's pictures of the monitor from simulated patients: `make pictures`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from models import bundle
from stream.monitor.picture import svg
from stream.monitor.view import View
from stream.patient import Patient
from stream.session import Session
from stream.snapshot import Snapshot
from stream.sources.simulated import SimulatedSource


class Picture(NamedTuple):
    """What a picture shows."""

    case: str
    size: tuple[int, int]
    seconds: float


#: By file name, without its ending.
PICTURES = {"monitor": Picture("murmur", (120, 40), 41.0), "monitor-small": Picture("extrasystole", (80, 24), 27.0)}


def draw(picture: Picture) -> str:
    """The screen after some seconds of a simulated patient, as SVG."""
    source = SimulatedSource(Patient(picture.case), duration_s=picture.seconds, speed=None)
    session = Session(source, bundle.load(), [])
    seen: list[Snapshot] = []

    def look() -> None:
        # The newest only: drawing while listening is what the screen does, this keeps one frame of it.
        seen[:] = [session.snapshot(View(keyboard=True))]

    session.run(look)
    return svg(seen[-1], *picture.size, f"laennec demo {picture.case}")


if __name__ == "__main__":
    for name, picture in PICTURES.items():
        (Path(__file__).parent / f"{name}.svg").write_text(draw(picture), encoding="utf-8")
