from __future__ import annotations

import functools
import itertools
import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.classes import CLASSES
from models.errors import SettingError
from stream.beat_plan import beats
from stream.block import Source
from stream.cases import CASES
from stream.patient import NOISES, LostContact
from stream.simulate import Patient, init_state, onsets, render, step
from stream.sources.pace import Pacer
from stream.sources.simulated import SimulatedSource
from stream.truth import truth

HEARTS = tuple(case for case in CASES if case != "artifact")
STEADY = tuple(case for case in HEARTS if not CASES[case].ectopy)
MURMURS = tuple(case for case in CASES if CASES[case].murmur and case != "murmur")  # that is one of the others


def in_pieces(patient: Patient, sizes: list[int]) -> np.ndarray:
    state, pieces = init_state(patient), []
    for n_samples in sizes:
        samples, state = step(patient, n_samples, state)
        pieces.append(samples)
    return np.concatenate(pieces)


def power(samples: np.ndarray) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2))


def db(ratio: float) -> float:
    return 10 * np.log10(ratio)


def stretch(samples: np.ndarray, rate_hz: int, from_s: float, until_s: float) -> np.ndarray:
    return samples[round(from_s * rate_hz) : round(until_s * rate_hz)]


def envelope(samples: np.ndarray, rate_hz: int, hop_s: float = 0.02) -> np.ndarray:
    hop = round(hop_s * rate_hz)
    return np.sqrt(np.mean(samples[: len(samples) // hop * hop].reshape(-1, hop).astype(float) ** 2, axis=1))


def strongest_repetition(samples: np.ndarray, rate_hz: int) -> tuple[float, float]:
    """Height and lag in s of the envelope's highest autocorrelation among cycles of 45 to 180 bpm."""
    curve = envelope(samples, rate_hz) - np.mean(envelope(samples, rate_hz))
    correlation = np.correlate(curve, curve, "full")[len(curve) - 1 :] / np.dot(curve, curve)
    lags = np.arange(round(60 / 180 / 0.02), round(60 / 45 / 0.02) + 1)
    best = lags[np.argmax(correlation[lags])]
    return float(correlation[best]), best * 0.02


# --- one stream, however it is cut


@settings(max_examples=30, deadline=None)
@given(
    case=st.sampled_from([*CASES]),
    noise=st.sampled_from(NOISES),
    lost=st.none() | st.builds(LostContact, st.floats(0, 10), st.floats(0.001, 10)),
    rate_hz=st.sampled_from([2000, 4000, 11_025]),
    seed=st.integers(0, 2**63 - 1),
    snr_db=st.floats(-20, 100),
    sizes=st.lists(st.one_of(st.integers(0, 300), st.integers(0, 25_000)), min_size=1, max_size=12),
)
def test_chunked_is_whole_to_the_bit_and_never_clips(case, noise, lost, rate_hz, seed, snr_db, sizes):
    lost = lost if CASES[case].heart else None
    patient = Patient(case, rate_hz=rate_hz, seed=seed, snr_db=snr_db, noise=noise, lost_contact=lost)
    whole, _ = step(patient, sum(sizes), init_state(patient))
    chunked = in_pieces(patient, sizes)
    assert chunked.dtype == np.float32
    assert chunked.shape == (sum(sizes),)
    assert np.array_equal(chunked, whole)
    assert np.all(np.abs(whole) < 1)


def test_a_state_replays_from_where_it_was_taken_whatever_becomes_of_the_samples():
    patient = Patient("murmur", seed=5)
    _, state = step(patient, 1234, init_state(patient))
    first, _ = step(patient, 3000, state)
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(step(patient, 3000, state)[0], kept)


@pytest.mark.parametrize("case", [*CLASSES, "s4", "bigeminy"])
def test_days_later_the_stream_is_the_same_small_and_still_on_its_beat(case):
    patient = Patient(case, seed=2)
    late = init_state(patient)._replace(position=100 * 3600 * 4000)
    samples, state = step(patient, 20 * 4000, late)
    assert np.array_equal(samples, np.concatenate([step(patient, 40_000, late)[0], samples[40_000:]]))
    assert state.position == late.position + 80_000
    assert len(state.rest) < patient.rate_hz
    assert power(samples) > 0
    if case in HEARTS:
        s1_s = [beat.s1_s for beat in beats(patient, 360_000, 360_020)]
        assert s1_s[0] < 360_000
        assert s1_s[-1] > 360_020
        numbers = [beat.number for beat in beats(patient, 360_000, 360_020)]
        assert numbers[0] == pytest.approx(360_000 * 1.2, abs=5)  # 72 bpm kept for 100 hours
        jump = [power(stretch(samples, 4000, t - 360_000, t - 359_999.95)) for t in s1_s[3:-3]]
        quiet = [power(stretch(samples, 4000, t - 360_000.04, t - 360_000)) for t in s1_s[3:-3]]
        assert db(np.mean(jump) / np.mean(quiet)) > (10 if case == "s4" else 15)  # an S4 ends 20 ms before S1


def test_a_second_does_not_begin_with_a_click():
    samples = render(Patient("artifact", seed=1, snr_db=-20), 60).astype(float)
    steps = np.abs(np.diff(samples))
    at_seams = steps[3999::4000]
    assert len(at_seams) == 59
    assert np.mean(at_seams) < 1.4 * np.mean(steps)


@pytest.mark.parametrize("case", ["normal", "holosystolic_murmur", "bigeminy"])
def test_it_is_much_faster_than_real_time(case):
    patient = Patient(case, 180, noise="rub")
    state, began_s = init_state(patient), time.process_time()
    step(patient, 60 * 4000, state)
    assert time.process_time() - began_s < 60 / 30


# --- cases


@pytest.mark.parametrize("case", CASES)
def test_every_case_stands_for_a_class_and_every_class_is_a_case_of_its_own(case):
    assert CASES[case].label in CLASSES
    assert case not in CLASSES or CASES[case].label == case


def test_a_class_sounds_like_the_plainest_of_its_cases():
    for ours, theirs in (("murmur", "ejection_murmur"), ("extra_heart_sound", "s3")):
        assert np.array_equal(render(Patient(ours, seed=1), 5), render(Patient(theirs, seed=1), 5))


# --- seeds


@pytest.mark.parametrize("case", [*CLASSES, "diastolic_murmur", "s4", "bigeminy"])
def test_a_seed_decides_everything(case):
    patient = Patient(case, seed=7)
    assert np.array_equal(render(patient, 3), render(Patient(case, seed=7), 3))
    other = replace(patient, seed=8)
    assert abs(np.corrcoef(render(patient, 10), render(other, 10))[0, 1]) < 0.5
    assert case == "artifact" or onsets(patient, 10) != onsets(other, 10)


def test_the_plan_does_not_depend_on_rate_or_noise_and_grows_only_at_its_end():
    patient = Patient("extrasystole", seed=3)
    assert onsets(patient, 30) == onsets(replace(patient, rate_hz=48_000, snr_db=0), 30)
    assert onsets(patient, 30) == [o for o in onsets(patient, 60) if o[0] < 30]


def test_the_same_heart_is_heard_at_every_rate():
    low, high = (render(Patient("murmur", rate_hz=rate_hz, snr_db=100), 4) for rate_hz in (4000, 16_000))
    assert np.max(np.abs(low - high[::4])) < 1e-3 * np.max(np.abs(low))


# --- rhythm


@pytest.mark.parametrize("heart_rate_bpm", [45, 72, 120, 180])
@pytest.mark.parametrize("case", ["normal", "s4", "extrasystole", "bigeminy", "trigeminy"])
def test_heart_rate_is_as_asked_and_varies_mildly(case, heart_rate_bpm):
    for seed in range(3):
        s1_s = [t_s for t_s, sound in onsets(Patient(case, heart_rate_bpm, seed=seed), 60) if sound == "S1"]
        cycles_s = np.diff(s1_s)
        realised = 60 * len(cycles_s) / (s1_s[-1] - s1_s[0])
        # An early beat at either end of the minute moves it by half a cycle.
        slack = 0 if case in STEADY else 0.5 / len(cycles_s)
        assert realised == pytest.approx(heart_rate_bpm, rel=0.02 + slack)
        if case in STEADY:
            assert 0.01 < np.std(cycles_s) / np.mean(cycles_s) < 0.06


@pytest.mark.parametrize("seed", range(3))
def test_heart_rate_varies_in_the_bands_of_blood_pressure_waves_and_breath(seed):
    s1_s = np.array([beat.s1_s for beat in beats(Patient("normal", seed=seed), 0, 600)])
    even_s = np.arange(0, 600, 0.25)
    tachogram = np.interp(even_s, s1_s[1:], np.diff(s1_s))
    spectrum = np.abs(np.fft.rfft((tachogram - tachogram.mean()) * np.hanning(len(even_s)))) ** 2
    freqs_hz = np.fft.rfftfreq(len(even_s), 0.25)
    low, high = (
        spectrum[(freqs_hz >= a) & (freqs_hz < b)].sum() / spectrum.sum() for a, b in ((0.04, 0.15), (0.15, 0.4))
    )
    assert low > 0.3
    assert high > 0.25
    assert low + high > 0.97
    assert freqs_hz[freqs_hz > 0.15][np.argmax(spectrum[freqs_hz > 0.15])] == pytest.approx(0.25, abs=0.005)


def test_the_rate_is_heard_in_the_sound_not_only_in_the_plan():
    for heart_rate_bpm in (60, 90):
        _, lag_s = strongest_repetition(render(Patient("normal", heart_rate_bpm, seed=1), 60), 4000)
        assert 60 / lag_s == pytest.approx(heart_rate_bpm, rel=0.05)


@pytest.mark.parametrize("heart_rate_bpm", [45, 72, 110])
def test_systole_is_as_measured_in_adults(heart_rate_bpm):
    planned = beats(Patient("normal", heart_rate_bpm), 0, 60)
    systole_s = np.mean([beat.s2_s - beat.s1_s for beat in planned])
    assert systole_s == pytest.approx((541 - 2.2 * heart_rate_bpm - 60) / 1000, abs=0.003)


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from(HEARTS), heart_rate_bpm=st.floats(45, 180), seed=st.integers(0, 10_000))
def test_s1_and_s2_take_turns_within_the_duration(case, heart_rate_bpm, seed):
    found = onsets(Patient(case, heart_rate_bpm, seed=seed), 20)
    times_s, sounds = zip(*found, strict=True)
    assert all(a != b for a, b in itertools.pairwise(sounds))
    assert np.min(np.diff(times_s)) > 0.085
    assert times_s[0] >= 0
    assert times_s[-1] < 20


@pytest.mark.parametrize(("case", "beats_between"), [("extrasystole", None), ("bigeminy", 2), ("trigeminy", 3)])
def test_an_extrasystole_comes_early_and_its_pause_makes_up_for_it(case, beats_between):
    planned = beats(Patient(case, seed=4), 0, 120)
    basic = {beat.number: beat.s1_s for beat in beats(Patient("normal", seed=4), 0, 120)}
    early = [k for k, beat in enumerate(planned) if beat.early and 0 < k < len(planned) - 1]
    assert len(early) > 15
    couplings = []
    for k in early:
        before, beat, after = (planned[j] for j in (k - 1, k, k + 1))
        cycle_s = basic[beat.number] - basic[before.number]
        couplings.append((beat.s1_s - before.s1_s) / cycle_s)
        assert after.s1_s == basic[after.number]
        assert not before.early
        assert not after.early
    assert min(couplings) >= 0.5
    assert max(couplings) <= 0.7
    if beats_between is None:
        assert len(set(np.diff(early))) > 3
        assert np.std(couplings) > 0.03
    else:
        assert set(np.diff(early)) == {beats_between}
        assert np.std(couplings) < 0.001


@settings(max_examples=60, deadline=None)
@given(
    case=st.sampled_from(["extrasystole", "bigeminy", "trigeminy"]),
    heart_rate_bpm=st.floats(45, 180),
    seed=st.integers(0, 10_000),
)
def test_no_beat_comes_while_the_ventricle_is_still_busy(case, heart_rate_bpm, seed):
    planned = beats(Patient(case, heart_rate_bpm, seed=seed), 0, 20)
    for before, beat, after in zip(planned, planned[1:], planned[2:], strict=False):
        assert beat.s1_s - before.s2_s > 0.089
        assert beat.next_s1_s == after.s1_s
        if beat.early:
            assert 0.47 < (beat.s1_s - before.s1_s) / ((after.s1_s - before.s1_s) / 2) < 0.77


@pytest.mark.parametrize("case", ["extrasystole", "bigeminy"])
def test_the_second_sound_of_an_extrasystole_is_soft(case):
    patient = Patient(case, seed=4, snr_db=100)
    samples = render(patient, 60)
    inside = [beat for beat in beats(patient, 0, 60) if 0 < beat.s1_s < 59]
    loud, soft = (
        np.mean([power(stretch(samples, 4000, b.s2_s, b.s2_s + 0.07)) for b in inside if b.early == early])
        for early in (False, True)
    )
    assert 6 < db(loud / soft) < 20


# --- sound


@pytest.mark.parametrize("sound", ["S1", "S2"])
def test_onsets_are_where_the_energy_jumps(sound):
    patient = Patient("normal", seed=6, rate_hz=8000, snr_db=100)
    samples = render(patient, 30)
    loudest = np.max(np.abs(samples))
    times_s = [t_s for t_s, name in onsets(patient, 29.8) if name == sound and t_s > 0.1]
    assert len(times_s) > 30
    for t_s in times_s:
        assert np.max(np.abs(stretch(samples, 8000, t_s - 0.02, t_s))) < 1e-3 * loudest
        assert np.max(np.abs(stretch(samples, 8000, t_s, t_s + 0.02))) > 0.2 * loudest


@pytest.mark.parametrize("sound", ["S1", "S2"])
def test_heart_sounds_lie_between_20_and_200_hz(sound):
    patient = Patient("normal", seed=6, snr_db=100)
    samples = render(patient, 30)
    for t_s, _ in (onset for onset in onsets(patient, 29) if onset[1] == sound):
        spectrum = np.abs(np.fft.rfft(stretch(samples, 4000, t_s, t_s + 0.15), 4000)) ** 2
        assert np.sum(spectrum[20:201]) > 0.9 * np.sum(spectrum)


def test_second_sound_falls_in_pitch_and_splits_with_breath():
    patient = Patient("normal", seed=6, snr_db=100)
    samples = render(patient, 60)
    peaks_hz = []
    for from_s, until_s in ((0, 0.025), (0.05, 0.075)):
        pieces = [stretch(samples, 4000, b.s2_s + from_s, b.s2_s + until_s) for b in beats(patient, 1, 58)]
        spectra = [np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 4000)) for piece in pieces]
        peaks_hz.append(int(np.argmax(np.mean(spectra, axis=0))))
    assert 110 < peaks_hz[0] < 160
    assert 45 < peaks_hz[1] < 100
    spread = {"in": [], "out": []}
    for beat in (b for b in beats(patient, 1, 58) if not 0.2 < b.inspiration < 0.8):
        late = power(stretch(samples, 4000, beat.s2_s + 0.07, beat.s2_s + 0.12))
        spread["in" if beat.inspiration > 0.5 else "out"].append(late)
    assert min(spread["in"]) > 10 * max(spread["out"])


def test_murmur_fills_systole_and_only_systole_swelling_and_fading():
    normal, murmur = Patient("normal", seed=9), Patient("murmur", seed=9)
    assert onsets(normal, 40) == onsets(murmur, 40)
    plain, rough = (render(patient, 40) for patient in (normal, murmur))
    scale = init_state(normal).heart_scale / init_state(murmur).heart_scale
    planned = [beat for beat in beats(normal, 0, 40) if 0 < beat.s1_s < 38]

    def gain_db(from_share: float, until_share: float) -> float:
        places = [(b.s1_s, b.s2_s - b.s1_s) for b in planned]
        cuts = [(s1_s + from_share * long_s, s1_s + until_share * long_s) for s1_s, long_s in places]
        ours, theirs = (np.mean([power(stretch(x, 4000, *cut)) for cut in cuts]) for x in (rough * scale, plain))
        return db(ours / theirs)

    assert gain_db(0.4, 0.9) > 15
    assert gain_db(0.55, 0.65) > gain_db(0.9, 0.97) + 6
    assert abs(gain_db(1.4, 2.0)) < 3  # diastole holds the noise alone
    middle = np.concatenate([stretch(rough, 4000, b.s1_s + 0.15, b.s1_s + 0.25) for b in planned])
    spectrum = np.abs(np.fft.rfft(middle)) ** 2
    freqs_hz = np.fft.rfftfreq(len(middle), 1 / 4000)
    assert np.sum(spectrum[(freqs_hz > 45) & (freqs_hz < 310)]) > 0.9 * np.sum(spectrum)


@functools.cache
def relative(case: str, heart_rate_bpm: float, seed: int) -> np.ndarray:
    """30 s of a patient, in relative amplitude, with hardly any noise."""
    patient = Patient(case, heart_rate_bpm, seed=seed, snr_db=100)
    return render(patient, 30).astype(float) / init_state(patient).heart_scale


def added(case: str, heart_rate_bpm: float, seed: int) -> np.ndarray:
    """What a case adds to the normal heart of the same person."""
    return relative(case, heart_rate_bpm, seed) - relative("normal", heart_rate_bpm, seed)


@pytest.mark.parametrize("heart_rate_bpm", [45, 180])
@pytest.mark.parametrize("case", [*MURMURS, "s3", "s4"])
def test_what_a_case_adds_is_heard_where_the_truth_says_and_nowhere_else(case, heart_rate_bpm):
    extra = added(case, heart_rate_bpm, seed=3)
    events = truth(Patient(case, heart_rate_bpm, seed=3), 0, 30).events
    assert len(events) == pytest.approx(30 * heart_rate_bpm / 60, abs=2)
    outside = np.ones(len(extra), bool)
    for event in events:
        span = slice(int(np.ceil(event.start_s * 4000)), int(np.ceil(event.end_s * 4000)))
        outside[span] = False
        assert event.end_s >= 29.9 or event.start_s == 0 or np.max(np.abs(extra[span])) > 0.05
    assert power(extra[outside]) < 1e-6 * power(extra[~outside])


@pytest.mark.parametrize("case", MURMURS)
def test_a_murmur_keeps_to_its_band(case):
    spectrum = np.abs(np.fft.rfft(added(case, 72, seed=3))) ** 2
    freqs_hz = np.fft.rfftfreq(30 * 4000, 1 / 4000)
    kind = CASES[case].murmur
    inside = (freqs_hz > kind.low_hz - 10) & (freqs_hz < kind.high_hz + 10)
    assert np.sum(spectrum[inside]) > 0.93 * np.sum(spectrum)
    centre_hz = np.sum(freqs_hz * spectrum) / np.sum(spectrum)
    assert kind.low_hz + 10 < centre_hz < kind.high_hz - 10


def test_the_murmur_of_a_leaking_aortic_valve_is_near_400_hz():
    spectrum = np.abs(np.fft.rfft(added("diastolic_murmur", 72, seed=3))) ** 2
    centre_hz = np.sum(np.fft.rfftfreq(30 * 4000, 1 / 4000) * spectrum) / np.sum(spectrum)
    assert centre_hz == pytest.approx(400, abs=25)


@pytest.mark.parametrize(
    ("case", "phase", "levels"),
    [  # in the fifths of its phase, over that of the loudest: from, until, in dB
        ("ejection_murmur", "systole", [(-40, -6), (-9, -1), (0, 0), (-9, 0), (-40, -6)]),
        ("holosystolic_murmur", "systole", [(-3, 0), (-2.5, 0), (-2.5, 0), (-2.5, 0), (-4, 0)]),
        ("early_systolic_murmur", "systole", [(-1, 0), (-7, 0), (-25, -6), (-200, -40), (-200, -40)]),
        ("innocent_ejection_murmur", "systole", [(-40, -6), (-3, 0), (-3, 0), (-40, -8), (-200, -40)]),
        ("vibratory_murmur", "systole", [(-40, -6), (-3, 0), (-3, 0), (-40, -8), (-200, -40)]),
        ("diastolic_murmur", "diastole", [(-3, 0), (-4, 0), (-8, -2), (-20, -8), (-200, -25)]),
    ],
)
def test_a_murmur_swells_and_fades_in_its_shape(case, phase, levels):
    extra = added(case, 72, seed=3)
    inside = [beat for beat in beats(Patient(case, seed=3), 0, 30) if beat.s1_s > 0 and beat.next_s1_s < 29]
    spans = [(b.s1_s, b.s2_s) if phase == "systole" else (b.s2_s, b.next_s1_s) for b in inside]

    def loudness(fifth: int) -> float:
        cuts = [(start + fifth * (end - start) / 5, start + (fifth + 1) * (end - start) / 5) for start, end in spans]
        return float(np.mean([power(stretch(extra, 4000, *cut)) for cut in cuts]))

    found = np.array([loudness(fifth) for fifth in range(5)])
    for got, (least, most) in zip(db(found / found.max() + 1e-20), levels, strict=True):
        assert least <= got <= most, db(found / found.max() + 1e-20)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("case", "name", "low_hz", "high_hz"),
    [("extra_heart_sound", "S3", 25, 70), ("s3", "S3", 25, 70), ("s4", "S4", 15, 30)],
)
def test_the_extra_sound_is_low_and_soft(case, name, low_hz, high_hz, seed):
    known = truth(Patient(case, seed=seed), 1, 29)
    samples, extra = relative(case, 72, seed), added(case, 72, seed)
    s1_s = np.array([t_s for t_s, sound in known.onsets if sound == "S1"])
    events = [event for event in known.events if s1_s[0] < event.start_s and event.end_s < s1_s[-1]]
    assert {event.name for event in events} == {name}
    for event in events:
        sound = stretch(extra, 4000, event.start_s, event.end_s)
        assert low_hz <= np.argmax(np.abs(np.fft.rfft(sound, 4000))) <= high_hz
        own_s1_s = s1_s[s1_s < event.start_s][-1] if name == "S3" else s1_s[s1_s >= event.end_s][0]
        first = stretch(samples, 4000, own_s1_s, own_s1_s + 0.1)
        assert 12 < 2 * db(np.max(np.abs(first)) / np.max(np.abs(sound))) < 18


def test_artifact_repeats_at_no_heart_rate_while_a_heart_does():
    for seed in range(5):
        artifact, _ = strongest_repetition(render(Patient("artifact", seed=seed), 120), 4000)
        heart, _ = strongest_repetition(render(Patient("normal", seed=seed), 120), 4000)
        assert artifact < 0.25
        assert heart > 0.4
    assert onsets(Patient("artifact"), 60) == []


@pytest.mark.parametrize(("rate_hz", "snr_db"), [(2000, -6), (4000, 20), (11_025, 6)])
@pytest.mark.parametrize(
    ("case", "noise"),
    [*((case, "ambient") for case in CLASSES), ("normal", "rub"), ("s4", "speech"), ("artifact", "rub")],
)
def test_noise_is_as_loud_as_asked(case, noise, snr_db, rate_hz):
    patient = Patient(case, rate_hz=rate_hz, seed=3, snr_db=snr_db, noise=noise)
    clean = replace(patient, snr_db=100)
    heart = render(clean, 40) * (init_state(patient).heart_scale / init_state(clean).heart_scale)
    assert db(power(heart) / power(render(patient, 40) - heart)) == pytest.approx(snr_db, abs=1)


@functools.cache
def noise_alone(noise: str, seconds: float = 60) -> np.ndarray:
    """The noise of a simulated patient."""
    heart, noisy = (Patient("normal", seed=3, snr_db=snr_db, noise=noise) for snr_db in (100, -20))
    scale = init_state(noisy).heart_scale / init_state(heart).heart_scale
    return render(noisy, seconds).astype(float) - scale * render(heart, seconds)


def test_rubs_and_speech_come_and_go_and_ambient_noise_stays():
    spread_db = {}
    for noise in NOISES:
        quiet, loud = np.percentile(envelope(noise_alone(noise), 4000, 0.05), [20, 95])
        spread_db[noise] = 2 * db(loud / quiet)
    assert spread_db["ambient"] < 6
    assert min(spread_db["rub"], spread_db["speech"]) > 12


def test_speech_is_voiced_and_a_rub_is_not():
    flatness = {}
    for noise in ("rub", "speech"):
        frames = noise_alone(noise)[: 60 * 4000].reshape(-1, 800)  # 0.2 s
        loud = frames[np.argsort(np.mean(frames**2, axis=1))[-60:]] * np.hanning(800)
        spectra = np.abs(np.fft.rfft(loud))[:, 20:180] ** 2  # 100 to 900 Hz
        flatness[noise] = np.median(np.exp(np.mean(np.log(spectra), axis=1)) / np.mean(spectra, axis=1))
    assert flatness["speech"] < 0.5 * flatness["rub"]


def test_ambient_noise_is_pink():
    noise = noise_alone("ambient")
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    freqs_hz = np.fft.rfftfreq(len(noise), 1 / 4000)
    octaves = [np.sum(spectrum[(freqs_hz >= low) & (freqs_hz < 2 * low)]) for low in (30, 60, 120, 240, 480)]
    assert db(max(octaves) / min(octaves)) < 1


# --- lost contact


@pytest.mark.parametrize("case", ["normal", "holosystolic_murmur", "diastolic_murmur", "s4", "bigeminy"])
def test_lost_contact_takes_the_heart_away_and_nothing_else(case):
    patient = Patient(case, seed=2, snr_db=100)
    whole, broken = (render(replace(patient, lost_contact=lost), 20) for lost in (None, LostContact(7.3, 4.4)))
    # A sound that would touch the loss is left out whole; none is longer than 0.5 s.
    assert np.array_equal(stretch(whole, 4000, 0, 6.8), stretch(broken, 4000, 0, 6.8))
    assert np.array_equal(stretch(whole, 4000, 12.2, 20), stretch(broken, 4000, 12.2, 20))
    assert power(stretch(broken, 4000, 7.3, 11.7)) < 1e-9 * power(whole)
    assert power(stretch(whole, 4000, 7.3, 11.7)) > 0.3 * power(whole)


@pytest.mark.parametrize("noise", NOISES)
def test_the_noise_goes_on_softer_while_contact_is_lost(noise):
    patient = Patient("normal", seed=2, snr_db=0, noise=noise)
    clean = replace(patient, snr_db=100)
    scale = init_state(patient).heart_scale / init_state(clean).heart_scale
    before = render(patient, 20) - scale * render(clean, 20)
    during = render(replace(patient, lost_contact=LostContact(5, 12)), 20)
    ratio = power(stretch(before, 4000, 5.1, 16.9)) / power(stretch(during, 4000, 5.1, 16.9))
    assert db(ratio) == pytest.approx(6, abs=0.1)
    jumps = np.abs(np.diff(during))
    assert max(jumps[round(t_s * 4000) - 1] for t_s in (5, 17)) < np.max(jumps[5 * 4000 : 17 * 4000])


# --- refusals


def test_an_unknown_case_is_refused_with_the_list_of_cases():
    with pytest.raises(SettingError) as refusal:
        Patient("healthy")
    assert all(case in str(refusal.value) for case in ("healthy", *CASES))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("heart_rate_bpm", 44.9),
        ("heart_rate_bpm", 181),
        ("heart_rate_bpm", float("nan")),
        ("rate_hz", 1999),
        ("rate_hz", 192_001),
        ("seed", -1),
        ("snr_db", 101),
        ("snr_db", float("inf")),
    ],
)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(SettingError, match=f"{name}.*{value}"):
        Patient("normal", **{name: value})


def test_an_unknown_noise_is_refused_with_the_list_of_noises():
    with pytest.raises(SettingError, match=r"'hum'.*ambient, rub, speech"):
        Patient("normal", noise="hum")


@pytest.mark.parametrize("lost", [(-1, 2), (1, 0), (1, -2), (float("nan"), 1), (1, float("inf")), (1, float("nan"))])
def test_an_impossible_loss_of_contact_is_refused(lost):
    with pytest.raises(SettingError, match="lost contact must begin at 0 s or later and last above 0 s"):
        Patient("normal", lost_contact=LostContact(*lost))


def test_contact_without_a_heart_can_not_be_lost():
    with pytest.raises(SettingError, match=r"'artifact'.*choose another case"):
        Patient("artifact", lost_contact=LostContact(1, 1))


def test_lost_contact_is_read_from_seconds_at_a_time():
    assert LostContact.parse("2.5@10") == LostContact(start_s=10, length_s=2.5)
    assert LostContact.parse("2.5@10").end_s == 12.5
    for text in ("", "@", "5", "5@", "@5", "5@x", "0@3", "-1@3", "1@-3", "nan@1", "inf@1", "1@2@3"):
        with pytest.raises(SettingError, match="S@T"):
            LostContact.parse(text)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"duration_s": 0}, "--seconds 0"),
        ({"duration_s": float("inf")}, "--seconds inf"),
        ({"block_samples": 0}, "block_samples"),
        ({"speed": 0}, "speed"),
        ({"speed": -1.0}, "speed"),
    ],
)
def test_a_source_refuses_what_it_cannot_do(wrong, named):
    with pytest.raises(SettingError, match=named):
        SimulatedSource(Patient("normal"), **wrong)


# --- the source


def test_source_yields_the_patient_block_by_block():
    patient = Patient("murmur", seed=2)
    source: Source = SimulatedSource(patient, duration_s=2.01, speed=None)
    blocks = list(source.blocks())
    assert [block.start for block in blocks] == list(range(0, 8040, 100))
    assert {len(block.samples) for block in blocks[:-1]} == {100}
    assert {(block.rate_hz, block.lost) for block in blocks} == {(4000, 0)}
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), render(patient, 2.01))


def test_source_describes_itself_as_synthetic_in_json():
    description = SimulatedSource(Patient("murmur", 80, 8000, 3, 14)).description
    assert json.loads(json.dumps(description)) == {
        "kind": "simulated",
        "name": "SYNTHETIC murmur",
        "rate_hz": 8000,
        "heart_rate_bpm": 80,
        "seed": 3,
        "snr_db": 14,
        "noise": "ambient",
        "lost_contact": None,
    }
    patient = Patient("s4", noise="rub", lost_contact=LostContact(1, 2))
    description = json.loads(json.dumps(SimulatedSource(patient).description))
    assert description["noise"] == "rub"
    assert description["lost_contact"] == {"start_s": 1, "length_s": 2}


def test_source_keeps_real_time():
    began_s = time.monotonic()
    early_s = [
        (block.start + len(block.samples)) / 4000 - (time.monotonic() - began_s)
        for block in SimulatedSource(Patient("normal"), duration_s=0.6).blocks()
    ]
    assert max(early_s) <= 0
    assert time.monotonic() - began_s < 1.5


@pytest.mark.parametrize(("block_samples", "speed"), [(4000 * 60, 1.0), (100, 1.0), (100, None)])
def test_stop_ends_an_endless_source_promptly(block_samples, speed):
    source = SimulatedSource(Patient("normal"), block_samples=block_samples, speed=speed)
    listener = threading.Thread(target=lambda: list(source.blocks()), daemon=True)
    listener.start()
    time.sleep(0.4)
    assert listener.is_alive()
    began_s = time.monotonic()
    source.stop()
    listener.join(5)
    assert not listener.is_alive()
    assert time.monotonic() - began_s < 0.5  # 0.1 s on an idle machine
    source.close()
    source.close()


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.longest_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.longest_s = max(self.longest_s, seconds)


@pytest.mark.parametrize(("speed", "waited_s"), [(1.0, 3600.0), (4.0, 900.0), (None, 0.0), (float("inf"), 0.0)])
def test_pacer_neither_drifts_nor_sleeps_long(speed, waited_s):
    clock = Clock()
    pacer = Pacer(1000, speed, clock, clock.sleep)
    for until_sample in range(0, 3_600_001, 500):
        pacer.wait(until_sample, lambda: False)
    assert clock.now_s - 100 == pytest.approx(waited_s, abs=1e-6)
    assert clock.longest_s <= 0.05


def test_pacer_lets_a_late_source_catch_up():
    clock = Clock()
    pacer = Pacer(1000, 1.0, clock, clock.sleep)
    pacer.wait(100, lambda: False)
    clock.now_s += 1  # the listener was busy
    pacer.wait(200, lambda: False)
    pacer.wait(900, lambda: False)
    assert clock.now_s == pytest.approx(101.1)
    pacer.wait(1200, lambda: False)
    assert clock.now_s == pytest.approx(101.2)
