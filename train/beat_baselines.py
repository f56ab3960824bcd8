"""What beats are found without our network's peaks: plain envelope peaks, and a decoder that hears the whole recording.

Both hear everything before they answer, so they have an advantage over the stream; they are here for comparison alone.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from models.frontend import FrontEndSpec
from models.rhythm import SOUNDS, Beat, peak_part

Array = np.ndarray

_LOW_BANDS = 14  # up to some 180 Hz in the default front end
_APART_S = 0.15
#: Logarithms of typical lengths in seconds and their spread: from S1 to S2, and from S2 to S1, which the rate decides.
_LENGTHS = ((np.log(0.28), 0.25), (np.log(0.33), 0.45))
_LONGEST_S = 1.6
_PHASE_WEIGHT = 0.1
_BEGIN = -2.0
_MISSED = -4.0
_LEAST = 0.05


def envelope_peaks(spec: FrontEndSpec, features: Array) -> list[Beat]:
    """S1 and S2 as peaks of the loudness below some 180 Hz, at least 150 ms apart; the shorter interval is systole.

    Args:
        spec: the front end.
        features: (frames, bands) log energies of a whole recording.
    """
    envelope = features[:, :_LOW_BANDS].mean(axis=1)
    peaks, _ = find_peaks(envelope, distance=round(_APART_S / spec.hop_s), prominence=envelope.std())
    # A peak is the middle of a sound; its onset lies half a sound earlier.
    t_s = np.array([spec.middle_s(peak) for peak in peaks]) - 0.05
    gaps = np.diff(t_s)
    if len(gaps) < 2:
        return []
    first = int(np.median(gaps[1::2]) < np.median(gaps[::2]))  # which of the two alternating gaps is the shorter
    return [Beat(float(t), SOUNDS[(k + first) % 2], 1.0) for k, t in enumerate(t_s)]


def decoded(spec: FrontEndSpec, scores: Array) -> list[Beat]:
    """The best sequence of onsets under a model of the durations, over a whole recording.

    A semi-Markov model after Schmidt et al. 2010 and Springer et al. 2016. Ours has two states, from S1 to S2 and from
    S2 to S1, whose changes are tried at the peaks of the onsets' likelihood alone.

    Args:
        spec: the front end.
        scores: (frames, 5) from `BeatNet`: logits of both onsets and of the phase, of the frame itself.
    """
    candidates = _candidates(scores)
    if not candidates:
        return []
    phase = np.concatenate([[0.0], np.cumsum(scores[:, 3] - scores[:, 4])])
    best: list[float] = []
    before: list[int] = []
    for n, (at, sound, logit) in enumerate(candidates):
        total, link = logit + _BEGIN, -1
        for k in range(n - 1, -1, -1):
            step = _step(candidates[k], (at, sound), phase, spec.hop_s)
            if best[k] + logit + step > total:
                total, link = best[k] + logit + step, k
            if (at - candidates[k][0]) * spec.hop_s > 2 * _LONGEST_S:
                break
        best.append(total)
        before.append(link)
    place, path = int(np.argmax(best)), []
    while place >= 0:
        path.append(candidates[place])
        place = before[place]
    return [Beat(spec.middle_s(at), SOUNDS[sound], 1 / (1 + np.exp(-logit))) for at, sound, logit in reversed(path)]


def _candidates(scores: Array) -> list[tuple[float, int, float]]:
    """Peaks of either onset's logit: frame with fraction, sound, logit; ascending."""
    found = []
    for sound in range(len(SOUNDS)):
        logits = scores[:, sound]
        peaks, _ = find_peaks(logits, height=float(np.log(_LEAST / (1 - _LEAST))))
        for k in peaks:
            part = peak_part(*logits[k - 1 : k + 2])
            found.append((float(k + part), sound, float(logits[k])))
    return sorted(found)


def _step(earlier: tuple[float, int, float], later: tuple[float, int], phase: Array, hop_s: float) -> float:
    """Logarithmic score of one onset following another."""
    length_s = (later[0] - earlier[0]) * hop_s
    if length_s < 0.08:
        return -np.inf
    if length_s > _LONGEST_S:
        return _BEGIN
    if earlier[1] == later[1]:
        return _MISSED if length_s > 0.3 else -np.inf
    middle, spread = _LENGTHS[earlier[1]]
    heard = float(phase[int(later[0])] - phase[int(earlier[0])]) * (1 if earlier[1] == 0 else -1)
    return _PHASE_WEIGHT * heard - 0.5 * float((np.log(length_s) - middle) / spread) ** 2
