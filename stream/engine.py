"""What stretches of audio have in common, done for many of them at once: features, S1 and S2, the network, quality.

Every result is the same to the bit whatever stretches share a call, and however many. numpy and ONNX Runtime round a
sum by the shape of what it is part of, so each step either treats rows one by one, or is a graph that is exported to
treat them so (`export.listening`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from models import join, quality
from models.bundle import FRAMES_TOGETHER, Bundle
from models.classes import CLASSES
from models.decide import Decision
from models.join import Joined
from models.quality import Quality
from models.rhythm import Beat
from stream.stretch import Judged, Moment, Stretch

Array = np.ndarray

#: Stretches that are advanced in one call: more get no cheaper, and what is worked on leaves the processor's cache.
_MOST_STRETCHES = 32
#: Of all envelopes in one call: 32 of the usual length.
_ENVELOPE_FRAMES_TOGETHER = 16_000


class Work(NamedTuple):
    """A stretch that goes on."""

    stretch: Stretch
    frames: Array  # (k, frame_samples) that it has cut from its samples, k >= 0


def advance(bundle: Bundle, works: Sequence[Work]) -> list[list[Decision | Beat]]:
    """The beats and decisions that come about, in the order of each stretch.

    Args:
        bundle: the model of all of them.
        works: no stretch twice.
    """
    parts = (works[first : first + _MOST_STRETCHES] for first in range(0, len(works), _MOST_STRETCHES))
    return [told for part in parts for told in _advance(bundle, part)]


def _advance(bundle: Bundle, works: Sequence[Work]) -> list[list[Decision | Beat]]:
    stretches = [work.stretch for work in works]
    ends = accumulate(len(work.frames) for work in works)
    places = [slice(end - len(work.frames), end) for end, work in zip(ends, works, strict=True)]
    exact = bundle.front_end.features(np.concatenate([work.frames for work in works]))
    envelopes = bundle.envelopes(exact)
    features = exact.astype(np.float32)  # as the networks take them; and half as much to remember
    _find_beats(bundle, stretches, [features[place] for place in places])
    due = [each.due(features[place], envelopes[place]) for each, place in zip(stretches, places, strict=True)]
    moments = [[each for each in found if isinstance(each, Moment)] for found in due]
    judged = judge(bundle, [moment for those in moments for moment in those])
    waiting = iter(judged)
    means = [
        mean
        for stretch, those in zip(stretches, moments, strict=True)
        for mean in stretch.smooth([next(waiting) for _ in those])
    ]
    answers = zip(judged, _probabilities(means, judged), strict=True)
    return [stretch.tell(found, answers) for stretch, found in zip(stretches, due, strict=True)]


def _probabilities(means: Sequence[Array], judged: Sequence[Judged]) -> list[list[float]]:
    if not means:
        return []
    early = np.array([each.heard.early for each in judged])
    smoothed: list[list[float]] = join.probabilities(Joined(np.array(means), early).told).tolist()
    return smoothed


def _find_beats(bundle: Bundle, stretches: Sequence[Stretch], features: Sequence[Array]) -> None:
    pulses = [stretch.pulse for stretch in stretches if stretch.pulse]
    if bundle.rhythm is None or not pulses:
        return
    found = bundle.rhythm.steps(features, [pulse.state for pulse in pulses], [stretch.ended for stretch in stretches])
    for pulse, (told, state) in zip(pulses, found, strict=True):
        pulse.put(told, state)


def judge(bundle: Bundle, moments: Sequence[Moment]) -> list[Judged]:
    """What is said of moments, of any stretches."""
    logits, score = np.zeros((len(moments), len(CLASSES))), np.zeros(len(moments))
    index: dict[int, Quality] = {}
    for chosen in _alike([len(moment.window) for moment in moments], FRAMES_TOGETHER):
        windows = np.array([moments[k].window for k in chosen])
        loudness = [moments[k].loudness for k in chosen]
        logits[chosen] = bundle.logits(windows)
        logs = bundle.front_end.log_energies(windows)
        found = quality.assess_all(bundle.front_end.spec, logs, loudness, bundle.quality)
        index |= zip(chosen, found, strict=True)
    for chosen in _alike([len(moment.envelopes) for moment in moments], _ENVELOPE_FRAMES_TOGETHER):
        score[chosen] = bundle.spacing(np.array([moments[k].envelopes for k in chosen]))
    early = [len(moment.regularity.premature) if moment.regularity else 0 for moment in moments]
    heard = bundle.joined(logits, score, np.array(early))
    return [Judged(Joined(*each), index[k]) for k, each in enumerate(zip(*heard, strict=True))]


def _alike(lengths: Sequence[int], together: int) -> Iterator[list[int]]:
    """Places of equal lengths, so many that their sum is what may be heard in one call; one of them at least."""
    by_length: dict[int, list[int]] = {}
    for k, length in enumerate(lengths):
        by_length.setdefault(length, []).append(k)
    for length, places in by_length.items():
        most = max(1, together // max(1, length))
        for first in range(0, len(places), most):
            yield places[first : first + most]
