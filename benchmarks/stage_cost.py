"""CPU time of each stage per second of audio, one stream, one core: `python benchmarks/stage_cost.py`.

The stages take turns, so that whatever else the machine does falls on all of them alike; printed are medians over the
rounds, and rhythm and quality together as a share of the classifier: of its network, and of front end and network.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from models import bundle, quality
from models.quality import Loudness
from stream.patient import Patient
from stream.simulate import render

_ROUNDS = 40
_SECONDS = 10


def stages() -> dict[str, Callable[[], None]]:
    """What each stage does for ten seconds of a simulated patient, as the stream calls it."""
    model = bundle.load()
    spec, window, rhythm = model.front_end.spec, model.window, model.rhythm
    if rhythm is None:
        raise SystemExit("this model finds no S1 and S2; give one that does")
    audio = render(Patient("normal", rate_hz=spec.rate_hz), _SECONDS)
    features = model.front_end.extract(audio)
    hops = range(window.window_frames, len(features) + 1, window.hop_frames)
    cuts = [features[end - window.window_frames : end] for end in hops] * 2
    cuts = cuts[: round(_SECONDS * spec.rate_hz / spec.hop_samples / window.hop_frames)]
    loudness = Loudness(0.1, 0.5, 0.0)

    def front_end() -> None:
        state = model.front_end.init_state()
        for begin in range(0, len(audio), 50):
            _, state = model.front_end.step(audio[begin : begin + 50], state)

    def network() -> None:
        for cut in cuts:
            model.logits(cut[None], np.array([len(cut)]))

    def beats() -> None:
        state = rhythm.init_state()
        for begin in range(0, len(features), window.hop_frames):
            _, state = rhythm.step(features[begin : begin + window.hop_frames], state)

    def index() -> None:
        for cut in cuts:
            quality.assess(spec, cut, loudness, model.quality)

    return {"front end": front_end, "network": network, "rhythm": beats, "quality": index}


def measure() -> dict[str, float]:
    """Median microseconds of CPU per second of audio, by stage."""
    todo = stages()
    taken: dict[str, list[float]] = {name: [] for name in todo}
    for _ in range(_ROUNDS):
        for name, work in todo.items():
            begin = time.process_time()
            work()
            taken[name].append((time.process_time() - begin) / _SECONDS * 1e6)
    return {name: statistics.median(values[1:]) for name, values in taken.items()}


if __name__ == "__main__":
    cost = measure()
    for name, microseconds in cost.items():
        print(f"{name:<10} {microseconds:7.0f} us per second of audio")
    both = cost["rhythm"] + cost["quality"]
    print(f"rhythm and quality: {both / cost['network']:.2f} of the network alone")
    print(f"                    {both / (cost['network'] + cost['front end']):.2f} of front end and network")
