from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_speech_features import base, sigproc

from models.errors import SettingError
from models.frontend import FrontEnd, FrontEndSpec, Matrices, fast_length
from train.filterbank import build, front_end

SPEC = FrontEndSpec()
WHOLE = replace(SPEC, centred=False)  # python_speech_features takes a whole signal and centres no frame
CEPSTRA = replace(SPEC, cepstra=13, lifter=22)
LIGHT = ("models.frontend", "models.windows", "models.decide", "models.bundle", "models.rhythm", "models.quality")
HEAVY = ("torch", "scipy", "python_speech_features", "onnx", "sklearn", "train", "models.nets")


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def oracle_arguments(spec: FrontEndSpec) -> dict[str, Any]:
    return {
        "samplerate": spec.rate_hz,
        "winlen": spec.frame_samples / spec.rate_hz,
        "winstep": spec.hop_samples / spec.rate_hz,
        "nfilt": spec.bands,
        "nfft": spec.fft_samples,
        "lowfreq": spec.low_hz,
        "highfreq": spec.high_hz,
        "preemph": spec.pre_emphasis,
        "winfunc": np.hamming,
    }


@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97, 1.0])
@pytest.mark.parametrize("samples", [100, 139, 140, 1000, 4017])
def test_log_energies_are_those_of_python_speech_features(pre_emphasis: float, samples: int) -> None:
    spec = replace(WHOLE, pre_emphasis=pre_emphasis)
    signal = noise(samples)
    found = front_end(spec).extract(signal)
    energies, _ = base.fbank(signal.astype(np.float64), **oracle_arguments(spec))
    assert len(found) == spec.frames_in(samples) == 1 + (samples - 100) // 40
    np.testing.assert_allclose(found, np.log(energies)[: len(found)], rtol=0, atol=1e-10)


@pytest.mark.parametrize("lifter", [0, 22])
@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97, 1.0])
def test_cepstra_are_those_of_python_speech_features(lifter: int, pre_emphasis: float) -> None:
    spec = replace(CEPSTRA, centred=False, lifter=lifter, pre_emphasis=pre_emphasis)
    signal = noise(4017)
    found = front_end(spec).extract(signal)
    wanted = base.mfcc(
        signal.astype(np.float64), numcep=13, ceplifter=lifter, appendEnergy=False, **oracle_arguments(spec)
    )
    assert found.shape == (spec.frames_in(4017), 13)
    np.testing.assert_allclose(found, wanted[: len(found)], rtol=0, atol=1e-10)


def test_other_rates_and_frames_follow_python_speech_features_too() -> None:
    spec = replace(WHOLE, rate_hz=4000, high_hz=800.0, frame_samples=256, hop_samples=64, fft_samples=2048, bands=24)
    signal = noise(6001, seed=3)
    energies, _ = base.fbank(signal.astype(np.float64), **oracle_arguments(spec))
    found = front_end(spec).extract(signal)
    np.testing.assert_allclose(found, np.log(energies)[: len(found)], rtol=0, atol=1e-10)


@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97])
def test_centred_features_are_the_packages_of_each_frame_without_its_mean(pre_emphasis: float) -> None:
    spec = replace(SPEC, centred=True, pre_emphasis=pre_emphasis)
    signal = noise(2017) + np.float32(0.3)
    emphasised = sigproc.preemphasis(signal.astype(np.float64), pre_emphasis)
    arguments = oracle_arguments(spec) | {"preemph": 0}
    starts = range(0, 2017 - spec.frame_samples + 1, spec.hop_samples)
    frames = [emphasised[k : k + spec.frame_samples] for k in starts]
    wanted = np.log([base.fbank(frame - frame.mean(), **arguments)[0][0] for frame in frames])
    np.testing.assert_allclose(front_end(spec).extract(signal), wanted, rtol=0, atol=1e-10)


def test_an_offset_changes_nothing_where_frames_are_centred() -> None:
    signal, features = noise(1000).astype(np.float64), front_end(SPEC)
    np.testing.assert_allclose(features.extract(signal + 0.4), features.extract(signal), rtol=0, atol=1e-9)


def in_chunks(features: FrontEnd, signal: np.ndarray, cuts: list[int]) -> np.ndarray:
    state, found, edges = features.init_state(), [], [0, *sorted(cuts), len(signal)]
    for start, end in pairwise(edges):
        new, state = features.step(signal[start:end], state)
        found.append(new)
    return np.concatenate(found)


@pytest.mark.parametrize(
    "spec",
    [SPEC, WHOLE, replace(CEPSTRA, pre_emphasis=0.97), replace(SPEC, hop_samples=3)],
    ids=["centred", "not centred", "cepstra", "dense"],
)
@given(samples=st.integers(0, 900), data=st.data())
def test_any_chunking_gives_the_whole_signals_features_bit_for_bit(
    spec: FrontEndSpec, samples: int, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, samples), max_size=30))  # equal cuts make chunks of length zero
    features, signal = front_end(spec), noise(samples)
    assert np.array_equal(in_chunks(features, signal, cuts), features.extract(signal))


def test_sample_by_sample_is_the_whole_bit_for_bit() -> None:
    features, signal = front_end(replace(SPEC, pre_emphasis=1.0)), noise(700)
    assert np.array_equal(in_chunks(features, signal, list(range(700))), features.extract(signal))


@given(cut=st.integers(0, 1500))
def test_later_input_never_changes_an_earlier_frame(cut: int) -> None:
    features, one = front_end(SPEC), noise(1500)
    other = np.concatenate([one[:cut], noise(1500 - cut, seed=9) * 5])
    settled = SPEC.frames_in(cut)
    assert np.array_equal(features.extract(one)[:settled], features.extract(other)[:settled])


def test_a_step_leaves_the_state_it_was_given_as_it_was() -> None:
    features, signal = front_end(SPEC), noise(500)
    _, state = features.step(signal[:170], features.init_state())
    previous, tail = state.previous, state.tail.copy()
    first, _ = features.step(signal[170:], state)
    again, _ = features.step(signal[170:], state)
    assert np.array_equal(first, again)
    assert state.previous == previous
    assert np.array_equal(state.tail, tail)


def test_the_state_stays_small_however_long_the_stream() -> None:
    features = front_end(SPEC)
    _, state = features.step(noise(100_003), features.init_state())
    assert len(state.tail) < SPEC.frame_samples


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(400, np.float32),
        np.full(400, 0.5, np.float32),
        np.full(400, np.finfo(np.float32).tiny, np.float32),
        np.tile(np.array([1, -1], np.float32), 200) * np.finfo(np.float32).max,
    ],
    ids=["silence", "offset", "tiny", "huge"],
)
@pytest.mark.parametrize("spec", [SPEC, CEPSTRA, replace(SPEC, pre_emphasis=1.0)])
def test_every_float32_signal_has_finite_features(signal: np.ndarray, spec: FrontEndSpec) -> None:
    found = front_end(spec).extract(signal)
    assert np.isfinite(found).all()
    assert len(found) == 8


def test_silence_and_an_offset_lie_on_the_floor() -> None:
    centred = front_end(SPEC)
    np.testing.assert_allclose(centred.extract(np.zeros(400)), SPEC.floor)
    np.testing.assert_allclose(centred.extract(np.full(400, 0.3)), SPEC.floor)
    emphasised = front_end(replace(WHOLE, pre_emphasis=1.0))
    # The first frame alone holds the step from nothing to the offset.
    np.testing.assert_allclose(emphasised.extract(np.full(400, 0.3))[1:], SPEC.floor)


def test_energies_come_back_from_as_many_cepstra_as_bands() -> None:
    full = front_end(replace(SPEC, cepstra=SPEC.bands, lifter=22))
    signal = noise(1000)
    np.testing.assert_allclose(full.log_energies(full.extract(signal)), front_end(SPEC).extract(signal), atol=1e-9)


def test_a_spec_with_empty_mel_bands_is_refused() -> None:
    narrow = replace(SPEC, fft_samples=128)
    with pytest.raises(ValueError, match="holds no FFT bin"):
        FrontEnd(narrow, build(narrow))
    with pytest.raises(SettingError, match="holds no FFT bin"):
        front_end(narrow)


def test_matrices_that_do_not_fit_or_are_not_finite_are_refused() -> None:
    bank, cepstral = build(SPEC)
    broken = bank.copy()
    broken[3, np.argmax(broken[3])] = np.inf
    for matrices in (Matrices(bank[:-1], cepstral), Matrices(bank, np.zeros((13, 32))), Matrices(broken, cepstral)):
        with pytest.raises(ValueError, match="matrices"):
            FrontEnd(SPEC, matrices)


@pytest.mark.parametrize(
    "change",
    [
        {"low_hz": -1.0},
        {"low_hz": 400.0},
        {"high_hz": 1001.0},
        {"hop_samples": 0},
        {"hop_samples": 101},
        {"frame_samples": 1025},
        {"cepstra": -1},
        {"cepstra": 33},
        {"high_hz": float("nan")},
    ],
)
def test_impossible_specs_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|fit"):
        replace(SPEC, **change)


OTHER: dict[str, Any] = {
    "rate_hz": 2001,
    "resampler": "VHQ",
    "low_hz": 26.0,
    "high_hz": 401.0,
    "frame_samples": 101,
    "hop_samples": 41,
    "fft_samples": 1025,
    "bands": 33,
    "pre_emphasis": 0.5,
    "centred": False,
    "floor": -22.0,
    "cepstra": 2,
    "lifter": 5,
}


def test_every_field_of_the_spec_and_every_matrix_entry_is_in_the_digest() -> None:
    assert set(OTHER) == set(FrontEndSpec.__dataclass_fields__)
    bank, cepstral = build(CEPSTRA)
    digests = {FrontEnd(CEPSTRA, Matrices(bank, cepstral)).digest, digest_with_ones(CEPSTRA)}
    assert FrontEnd(CEPSTRA, Matrices(bank.copy(order="F"), cepstral)).digest in digests
    digests |= {digest_with_ones(replace(CEPSTRA, **{name: value})) for name, value in OTHER.items()}
    for matrix in (bank, cepstral):
        matrix[1, 2] += 1e-12
        digests.add(FrontEnd(CEPSTRA, Matrices(bank, cepstral)).digest)
    assert len(digests) == 2 + len(OTHER) + 2


def digest_with_ones(spec: FrontEndSpec) -> str:
    ones = Matrices(np.ones((spec.bands, spec.fft_samples // 2 + 1)), np.ones((spec.cepstra, spec.bands)))
    return FrontEnd(spec, ones).digest


def test_listening_parts_import_no_training_package() -> None:
    script = f"import sys, {', '.join(LIGHT)}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# Rows, and the shorter transform

SPECS = {
    "default": SPEC,
    "not centred": WHOLE,
    "emphasised": replace(SPEC, pre_emphasis=0.97),
    "cepstra": replace(CEPSTRA, pre_emphasis=0.97),
    "odd frame": replace(SPEC, frame_samples=101),
    "odd frame and transform": replace(WHOLE, frame_samples=97, hop_samples=31, fft_samples=1025),
    "prime frame": replace(SPEC, frame_samples=211, fft_samples=2048),
    "odd transform": replace(SPEC, fft_samples=1001),
    "short transform": replace(SPEC, fft_samples=128, bands=6),
    "no padding": replace(WHOLE, frame_samples=100, fft_samples=100, bands=4),
    "just as long": replace(SPEC, fft_samples=200, bands=8),
    "a little longer": replace(SPEC, fft_samples=202, bands=8),
    "long": replace(SPEC, rate_hz=4000, high_hz=2000.0, frame_samples=256, fft_samples=8192, bands=64),
    "whole band": replace(SPEC, low_hz=0.0, high_hz=1000.0),
    "few samples": replace(SPEC, frame_samples=3, hop_samples=2, fft_samples=1024, bands=12),
    "one sample": replace(WHOLE, frame_samples=1, hop_samples=1, fft_samples=512, bands=8),
}


def of_many_kinds(spec: FrontEndSpec, count: int, seed: int) -> np.ndarray:
    """Frames of noise, tones, silence, an offset, and all magnitudes of them."""
    rng = np.random.default_rng(seed)
    n = spec.frame_samples
    frames = rng.normal(0, 0.1, (count, n))
    tones = np.sin(2 * np.pi * rng.uniform(20, 400, (count, 1)) * np.arange(n) / spec.rate_hz)
    kind = rng.integers(0, 5, count)[:, None]
    frames = np.where(kind == 1, tones, np.where(kind == 2, 0.0, np.where(kind == 3, 0.4, frames)))
    return np.asarray(frames * rng.choice([1.0, 1e-3, 1e3, 1e6, 1e11], (count, 1)))


def by_the_long_transform(spec: FrontEndSpec, matrices: Matrices, frames: np.ndarray) -> np.ndarray:
    """Features as the front end's description has them: the zero-padded transform, and the bank over all its bins."""
    if spec.centred:
        frames = frames - frames.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(frames * np.hamming(spec.frame_samples), spec.fft_samples)) ** 2 / spec.fft_samples
    logs = np.log(np.maximum(power @ matrices.bank.T, np.exp(spec.floor)))
    return np.asarray(logs @ matrices.cepstral.T if spec.cepstra else logs)


@pytest.mark.parametrize("name", SPECS)
def test_a_shorter_transform_gives_the_features_of_the_long_one(name: str) -> None:
    features = front_end(SPECS[name])
    noisy = np.random.default_rng(0).normal(0, 0.1, (400, features.spec.frame_samples))
    # Beside a pure tone, a million times and more its neighbours' energy, theirs is what is left of large numbers.
    for frames, most in ((noisy, 1e-10), (of_many_kinds(features.spec, 400, 0), 2e-8)):
        wanted = by_the_long_transform(features.spec, features.matrices, frames)
        np.testing.assert_allclose(features.features(frames), wanted, rtol=0, atol=most)


@pytest.mark.parametrize("name", SPECS)
@given(count=st.integers(1, 70), seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_a_frame_s_features_do_not_depend_on_the_frames_beside_it(name: str, count: int, seed: int) -> None:
    features = front_end(SPECS[name])
    frames = of_many_kinds(features.spec, count, seed)
    together = features.features(frames)
    assert together.shape == (count, features.spec.features)
    assert np.array_equal(np.concatenate([features.features(row[None]) for row in frames]), together)
    order = np.random.default_rng(seed).permutation(count)
    assert np.array_equal(features.features(frames[order]), together[order])
    back = features.log_energies(together)
    assert np.array_equal(np.concatenate([features.log_energies(row[None]) for row in together]), back)
    assert np.array_equal(features.log_energies(np.stack([together, together])), np.stack([back, back]))


@pytest.mark.parametrize("name", SPECS)
@given(samples=st.integers(0, 900), data=st.data())
@settings(max_examples=15, deadline=None)
def test_cutting_then_features_is_a_step(name: str, samples: int, data: st.DataObject) -> None:
    features, signal = front_end(SPECS[name]), noise(samples)
    spec, state, frames = features.spec, features.init_state(), []
    cuts = data.draw(st.lists(st.integers(0, samples), max_size=12))
    for part in np.split(signal, sorted(cuts)):
        new, state = features.cut(part, state)
        assert new.shape[1:] == (spec.frame_samples,)
        frames.append(new)
    assert len(state.tail) < max(spec.frame_samples, 2)
    whole = np.concatenate(frames)
    emphasised = signal.astype(np.float64)
    if spec.pre_emphasis and samples:
        emphasised = sigproc.preemphasis(emphasised, spec.pre_emphasis)
    starts = range(0, samples - spec.frame_samples + 1, spec.hop_samples)
    np.testing.assert_allclose(whole, [emphasised[k : k + spec.frame_samples] for k in starts] or whole, atol=1e-15)
    assert len(whole) == len(starts)
    assert np.array_equal(features.features(whole), features.extract(signal))


def test_no_frames_have_no_features() -> None:
    for features in map(front_end, SPECS.values()):
        none, state = features.cut(np.zeros(0), features.init_state())
        assert features.features(none).shape == (0, features.spec.features)
        assert len(state.tail) == 0


def test_a_fast_length_is_the_first_even_one_of_small_factors() -> None:
    fast = sorted(2 * 2**a * 3**b * 5**c for a in range(12) for b in range(8) for c in range(6))
    for least in range(1, 3001):
        assert fast_length(least) == next(length for length in fast if length >= least)
