"""CPU time of each stage per second of audio, one stream, one core: `python benchmarks/stage_cost.py`.

The stages take turns, so that whatever else the machine does falls on all of them alike; printed are medians over the
rounds, and rhythm and quality together as a share of the classifier: of its network, and of front end and network.
"""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import numpy as np

from models import bundle, intervals, quality
from models.bundle import Bundle
from models.quality import Loudness
from stream.patient import Patient
from stream.simulate import render

_ROUNDS = 40
_SECONDS = 10


class Work(NamedTuple):
    """Ten seconds of a simulated patient, as far as each stage is given them."""

    model: Bundle
    audio: np.ndarray  # (n,)
    features: np.ndarray  # (frames, features)
    cuts: list[np.ndarray]  # windows, one a decision


def prepare() -> Work:
    """The shipped model and what it hears."""
    model = bundle.load()
    if model.rhythm is None or model.extrasystole is None:
        raise SystemExit("this model finds no S1 and S2, or knows no extrasystoles; give one that does")
    spec, window = model.front_end.spec, model.window
    audio = render(Patient("normal", rate_hz=spec.rate_hz), _SECONDS)
    features = model.front_end.extract(audio)
    hops = range(window.window_frames, len(features) + 1, window.hop_frames)
    cuts = [features[end - window.window_frames : end] for end in hops] * 2
    return Work(model, audio, features, cuts[: round(_SECONDS / spec.hop_s / window.hop_frames)])


def front_end(work: Work) -> None:
    """In blocks of 25 ms."""
    state = work.model.front_end.init_state()
    for begin in range(0, len(work.audio), 50):
        _, state = work.model.front_end.step(work.audio[begin : begin + 50], state)


def network(work: Work) -> None:
    """One window a decision."""
    for cut in work.cuts:
        work.model.logits(cut[None])


def beats(work: Work) -> None:
    """S1 and S2, frames as they come between decisions."""
    rhythm, hop = work.model.rhythm, work.model.window.hop_frames
    assert rhythm is not None
    state = rhythm.init_state()
    for begin in range(0, len(work.features), hop):
        _, state = rhythm.step(work.features[begin : begin + hop], state)


def spacing(work: Work) -> None:
    """The newest 10 s a decision."""
    machine, hop_s = work.model.extrasystole, work.model.front_end.spec.hop_s
    assert machine is not None
    for _ in work.cuts:
        machine.scores(intervals.describe(machine.spec, hop_s, work.features))


def index(work: Work) -> None:
    """The signal quality index, one window a decision."""
    for cut in work.cuts:
        quality.assess(work.model.front_end.spec, cut, Loudness(0.1, 0.5, 0.0), work.model.quality)


STAGES = {"front end": front_end, "network": network, "S1 and S2": beats, "spacing": spacing, "quality": index}


def measure() -> dict[str, float]:
    """Median microseconds of CPU per second of audio, by stage."""
    work = prepare()
    taken: dict[str, list[float]] = {name: [] for name in STAGES}
    for _ in range(_ROUNDS):
        for name, stage in STAGES.items():
            begin = time.process_time()
            stage(work)
            taken[name].append((time.process_time() - begin) / _SECONDS * 1e6)
    return {name: statistics.median(values[1:]) for name, values in taken.items()}


if __name__ == "__main__":
    cost = measure()
    for name, microseconds in cost.items():
        print(f"{name:<10} {microseconds:7.0f} us per second of audio")
    both = cost["S1 and S2"] + cost["spacing"] + cost["quality"]
    print(f"rhythm and quality: {both / cost['network']:.2f} of the network alone")
    print(f"                    {both / (cost['network'] + cost['front end']):.2f} of front end and network")
