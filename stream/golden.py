"""Golden vectors: sounds shipped beside a bundle, and the answers that torch gave for them when it was exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from models import codec
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import Decision
from models.errors import ModelError, in_words
from models.rhythm import Beat
from stream.block import Block, Samples
from stream.pipeline import Event, Pipeline
from stream.resample import RATES_HZ

_MOST_BYTES = 16 * 2**20
#: Largest difference of a probability: other processors round float32 sums otherwise.
TOLERANCE = 1e-3
_TIME_TOLERANCE_S = 1e-3
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
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        held = json.loads(path.read_text(encoding="utf-8"))
        rate_hz, cases = held["rate_hz"], held["cases"]
        if rate_hz not in range(RATES_HZ[0], RATES_HZ[1] + 1):
            raise ValueError("a sample rate that can't be heard")
        if not cases:
            raise ValueError("they hold no case")
        # numpy's max passes a NaN on, where Python's would lose it.
        worst = float(np.max([_difference(case, _hear(bundle, int(rate_hz), _samples(case))) for case in cases]))
    except OSError as error:
        raise ModelError(f"{path}: no golden vectors beside the model; export it again") from error
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise ModelError(
            f"{path}: the golden vectors are damaged ({in_words(error)}); export the model again"
        ) from error
    if not worst <= TOLERANCE:
        raise ModelError(f"{path}: a probability differs by {worst:.2g} from the exported one; reinstall Laennec")
    return sum(len(case["decisions"]) for case in cases), worst


def _samples(case: dict[str, Any]) -> Samples:
    return (codec.decode_numbers(case["int16_base64"], "<i2") / 32768).astype(np.float32)


def _hear(bundle: Bundle, rate_hz: int, samples: Samples) -> list[Event]:
    pipeline = Pipeline(bundle, rate_hz)
    starts = range(0, len(samples), _BLOCK_SAMPLES)
    blocks = (Block(samples[k : k + _BLOCK_SAMPLES], k, rate_hz) for k in starts)
    return [event for block in blocks for event in pipeline.process(block)] + pipeline.flush()


def _difference(case: dict[str, Any], heard: list[Event]) -> float:
    """Largest difference of a probability in a case whose events all came as exported."""
    name = case["name"]
    _compare_beats(name, case["beats"], [event for event in heard if isinstance(event, Beat)])
    return _compare(name, case["decisions"], [event for event in heard if isinstance(event, Decision)])


def _compare_beats(name: str, wanted: list[dict[str, Any]], found: list[Beat]) -> None:
    if [b["sound"] for b in wanted] != [b.sound for b in found]:
        raise ValueError(f"case {name!r} has other heart sounds than when exported")
    if not all(abs(w["t_s"] - f.t_s) <= _TIME_TOLERANCE_S for w, f in zip(wanted, found, strict=True)):
        raise ValueError(f"case {name!r} has its heart sounds at other times than when exported")
    if any(not abs(w["confidence"] - f.confidence) <= TOLERANCE for w, f in zip(wanted, found, strict=True)):
        raise ValueError(f"case {name!r} has its heart sounds with other confidence than when exported")


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
