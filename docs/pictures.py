"""Draw the README's picture of the monitor from a simulated patient: `make pictures`."""

from __future__ import annotations

from pathlib import Path

from models import bundle
from stream.monitor.picture import svg
from stream.patient import Patient
from stream.session import Session
from stream.snapshot import Snapshot
from stream.sources.simulated import SimulatedSource

WIDTH, HEIGHT = 80, 24
SECONDS = 24.0


def picture() -> str:
    """The screen after 24 s of a simulated patient with a murmur, as SVG."""
    source = SimulatedSource(Patient("murmur"), duration_s=SECONDS, speed=None)
    session = Session(source, bundle.load(), [])
    seen: list[Snapshot] = []

    def look() -> None:
        # The newest only: drawing while listening is what the screen does, this keeps one frame of it.
        seen[:] = [session.snapshot()]

    session.run(look)
    return svg(seen[-1], WIDTH, HEIGHT, "laennec demo murmur")


if __name__ == "__main__":
    (Path(__file__).parent / "monitor.svg").write_text(picture(), encoding="utf-8")
