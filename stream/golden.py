"""Golden vectors: sounds shipped beside a bundle, and the answers that torch gave for them when it was exported."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import Decision
from models.errors import ModelError
from stream.block import Block, Samples
from stream.pipeline import Pipeline

#: Largest difference of a probability: other processors round float32 sums otherwise.
TOLERANCE = 1e-3
_BLOCK_SAMPLES = 37  # no divisor of anything: the streaming path is what is tested


def path_of(bundle: Bundle) -> Path:
    """Where a bundle's golden vectors lie."""
    return bundle.path.with_suffix(".golden.json")


def replay(bundle: Bundle) -> tuple[int, float]:
    """Play the golden sounds through the streaming pipeline.

    Returns:
        How many decisions were compared, and the largest difference of a probability.

    Raises:
        ModelError: no golden vectors, damaged ones, or another number, time or answer than when exported.
    """
    path = path_of(bundle)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        rate_hz, cases = int(held["rate_hz"]), [(c["name"], _samples(c), c["decisions"]) for c in held["cases"]]
        # numpy's max passes a NaN on, where Python's would lose it; of no cases at all it raises.
        worst = float(np.max([_compare(name, wanted, _hear(bundle, rate_hz, x)) for name, x, wanted in cases]))
    except OSError as error:
        raise ModelError(f"{path}: no golden vectors beside the model; export it again") from error
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path}: the golden vectors are damaged ({error}); export the model again") from error
    if not worst <= TOLERANCE:
        raise ModelError(f"{path}: a probability differs by {worst:.2g} from the exported one; reinstall Laennec")
    return sum(len(wanted) for _, _, wanted in cases), worst


def _samples(case: dict[str, Any]) -> Samples:
    data = base64.b64decode(case["int16_base64"], validate=True)
    return (np.frombuffer(data, dtype="<i2") / 32768).astype(np.float32)


def _hear(bundle: Bundle, rate_hz: int, samples: Samples) -> list[Decision]:
    pipeline = Pipeline(bundle, rate_hz)
    starts = range(0, len(samples), _BLOCK_SAMPLES)
    blocks = (Block(samples[k : k + _BLOCK_SAMPLES], k, rate_hz) for k in starts)
    events = [event for block in blocks for event in pipeline.process(block)] + pipeline.flush()
    return [event for event in events if isinstance(event, Decision)]


def _compare(name: str, wanted: list[dict[str, Any]], found: list[Decision]) -> float:
    if not wanted or any(np.shape(d["probabilities"]) != (len(CLASSES),) for d in wanted):
        raise ValueError(f"case {name!r} does not hold {len(CLASSES)} probabilities a decision")
    times = [round(d["t_s"], 6) for d in wanted]
    if times != [round(d.t_s, 6) for d in found]:
        raise ValueError(f"case {name!r} decides at other times")
    pairs = [(np.array(w["probabilities"]), np.array(d.probabilities)) for w, d in zip(wanted, found, strict=True)]
    for w, d in zip(wanted, found, strict=True):
        if (w["status"], w["label"]) != (d.status, d.label):
            then, now = f"{w['status']} {w['label']}", f"{d.status} {d.label}"
            raise ValueError(f"case {name!r} is {now} at {d.t_s:.2f} s, and was {then} when exported")
    return float(np.max([np.abs(w - f).max() for w, f in pairs]))
