"""Hears sound files and opens models that nobody vouches for, in a process of its own: `python untrusted.py KIND ...`.

Each file's answer is one JSON line: what was refused and how, or that all was finite, and the seconds taken. Anything
else that is raised ends the process, as does memory far beyond what is allowed; the last line names the file.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models import bundle
from models.bundle import Bundle
from models.decide import Decision
from models.errors import LaennecError
from stream import golden
from stream.block import Block
from stream.pipeline import Pipeline
from stream.sources.file import FileSource

#: Room beyond what is mapped at the start; the tests allow 500 MB of real memory, so beyond this nothing is proved.
_ROOM_BYTES = 3 * 2**30
_RATE_HZ = 4000


def hear(path: Path, model: Bundle) -> None:
    """A sound file through the whole pipeline."""
    source = FileSource(path, channel=1)
    try:
        pipeline = Pipeline(model, source.rate_hz)
        for block in source.blocks():
            check(pipeline, block)
        finish(pipeline)
    finally:
        source.close()


def open_model(path: Path, _model: Bundle) -> None:
    """A model, and if it is let through also what it says of a few seconds of sound."""
    loaded = bundle.load(path)
    samples = np.random.default_rng(0).normal(0, 0.1, 5 * _RATE_HZ).astype(np.float32)
    samples[::_RATE_HZ] = 1.0
    pipeline = Pipeline(loaded, _RATE_HZ)
    for at in range(0, len(samples), _RATE_HZ // 2):
        check(pipeline, Block(samples[at : at + _RATE_HZ // 2], at, _RATE_HZ))
    finish(pipeline)


def replay_golden(path: Path, model: Bundle) -> None:
    """Golden vectors, put beside the model."""
    golden.path_of(model).write_bytes(path.read_bytes())
    golden.replay(model)


def check(pipeline: Pipeline, block: Block) -> None:
    """What is told can be written down: JSON has no NaN and no infinity."""
    for event in pipeline.process(block):
        text = json.dumps(asdict(event) if isinstance(event, Decision) else event.t_s, allow_nan=False)
        assert "\n" not in text


def finish(pipeline: Pipeline) -> None:
    """The end is told like the rest."""
    for event in pipeline.flush():
        assert math.isfinite(event.t_s)
        if isinstance(event, Decision):
            json.dumps(asdict(event), allow_nan=False)


KINDS: dict[str, Callable[[Path, Bundle], None]] = {"sound": hear, "model": open_model, "golden": replay_golden}


def peak_mb() -> float:
    """The most memory that the process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(kind: str, good: Path, folder: Path) -> None:
    """Try every file of a folder, after what is whole: a sound file's or model's usual memory is no growth."""
    model = bundle.load(good)
    open_model(good, model)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + _ROOM_BYTES, -1))
    before_mb = peak_mb()
    for path in sorted(folder.iterdir()):
        print(json.dumps({"name": path.name}), flush=True)  # noqa: T201 - the last one is the one that broke it
        began_s = time.monotonic()
        try:
            KINDS[kind](path, model)
            said = ""
        except LaennecError as error:
            said = f"{type(error).__name__}: {error}"
        taken = {"said": said, "s": time.monotonic() - began_s, "grown_mb": peak_mb() - before_mb}
        print(json.dumps({"name": path.name, **taken}), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
