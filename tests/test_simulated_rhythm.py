"""S1, S2, heart rate and premature beats of simulated patients, whose truth is exact, through the whole stream.

The shipped model never heard a simulated patient. These tests say what it is sure to find in a clear one; how it does
on people is in docs/evaluation.md.
"""

from __future__ import annotations

import numpy as np
import pytest

from models import bundle
from models.bundle import Bundle
from models.decide import Decision
from models.rhythm import SOUNDS, Beat
from stream.block import Block, Samples
from stream.cases import CASES
from stream.patient import Patient
from stream.pipeline import Event, Pipeline
from stream.simulate import render
from stream.truth import truth

TOLERANCE_S = 0.06


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return bundle.load()


def hear(model: Bundle, samples: Samples, rate_hz: int) -> list[Event]:
    """All events of a stretch of audio."""
    pipeline = Pipeline(model, rate_hz)
    return pipeline.process(Block(samples, 0, rate_hz)) + pipeline.flush()


def beats_of(events: list[Event], sound: str) -> np.ndarray:
    return np.array([e.t_s for e in events if isinstance(e, Beat) and e.sound == sound])


def matched(found: np.ndarray, true: np.ndarray) -> int:
    """How many true onsets have a found one within the tolerance; each found one serves once."""
    free = list(found)
    hits = 0
    for t_s in true:
        near = [f for f in free if abs(f - t_s) <= TOLERANCE_S]
        if near:
            free.remove(min(near, key=lambda f: abs(f - t_s)))
            hits += 1
    return hits


@pytest.mark.parametrize("bpm", range(45, 181, 15))
def test_heart_rates_are_right_within_2_bpm_after_6_s_at_14_db(shipped: Bundle, bpm: int) -> None:
    patient = Patient("normal", heart_rate_bpm=bpm, snr_db=14, seed=bpm)
    events = hear(shipped, render(patient, 6.0), patient.rate_hz)
    s1 = np.array([t_s for t_s, sound in truth(patient, 0, 6.0).onsets if sound == "S1"])
    told = [e.heart_rate_bpm for e in events if isinstance(e, Decision)][-1]
    assert told is not None
    assert abs(told - 60 / np.mean(np.diff(s1))) <= 2


@pytest.mark.parametrize("case", sorted(name for name, case in CASES.items() if case.heart and not case.ectopy))
def test_nearly_every_s1_and_s2_is_found_and_few_that_are_not_there(shipped: Bundle, case: str) -> None:
    patient = Patient(case, snr_db=20, seed=3)
    events = hear(shipped, render(patient, 20.0), patient.rate_hz)
    for sound in SOUNDS:
        true = np.array([t_s for t_s, s in truth(patient, 0, 20.0).onsets if s == sound])
        found = beats_of(events, sound)
        hits = matched(found, true)
        assert 2 * hits / (len(true) + len(found)) >= 0.95, sound


@pytest.mark.parametrize("case", sorted(name for name, case in CASES.items() if case.ectopy))
@pytest.mark.parametrize("bpm", [50, 60, 72])
def test_extrasystoles_that_stand_clear_of_the_s2_before_are_all_found(shipped: Bundle, case: str, bpm: int) -> None:
    patient = Patient(case, heart_rate_bpm=bpm, snr_db=20, seed=1)
    events = hear(shipped, render(patient, 30.0), patient.rate_hz)
    heard = truth(patient, 0, 30.0)
    s2 = np.array([t_s for t_s, sound in heard.onsets if sound == "S2"])
    early = np.array([e.start_s for e in heard.events if e.name == "extrasystole" and 1 < e.start_s < 29])
    clear = np.array([t_s for t_s in early if t_s - s2[s2 < t_s].max() >= 0.15])
    told = {p.t_s for e in events if isinstance(e, Decision) and e.regularity for p in e.regularity.premature}
    assert len(clear) > 0
    s1_found, s2_found = beats_of(events, "S1"), beats_of(events, "S2")
    assert matched(s1_found, clear) == len(clear)
    # An early beat is marked where the S2 before it was found too.
    sure = np.array([t_s for t_s in clear if np.any((s2_found > t_s - 0.5) & (s2_found < t_s - 0.08))])
    assert len(sure) >= 0.8 * len(clear)
    assert matched(np.array(sorted(told)), sure) == len(sure)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("colour", ["white", "brown"])
def test_no_beat_is_found_in_pure_noise(shipped: Bundle, colour: str, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 1, 20 * 4000)
    if colour == "brown":
        noise = np.cumsum(noise)
        noise -= np.convolve(noise, np.ones(400) / 400, mode="same")  # no drift out of range
    samples = (0.3 * noise / np.abs(noise).max()).astype(np.float32)
    events = hear(shipped, samples, 4000)
    assert not [e for e in events if isinstance(e, Beat)]
    assert all(e.heart_rate_bpm is None for e in events if isinstance(e, Decision))


@pytest.mark.parametrize("seed", range(3))
def test_no_beat_is_found_in_a_simulated_artifact(shipped: Bundle, seed: int) -> None:
    patient = Patient("artifact", seed=seed)
    events = hear(shipped, render(patient, 20.0), patient.rate_hz)
    assert len([e for e in events if isinstance(e, Beat)]) <= 2
    assert all(e.heart_rate_bpm is None for e in events if isinstance(e, Decision))
