from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import quality
from models.decide import DecideSpec
from models.frontend import FrontEnd, FrontEndSpec
from models.quality import GOOD, Loudness, Quality, QualitySpec
from train import audio, datasets
from train.filterbank import front_end

SPEC = FrontEndSpec()
LOUD = Loudness(rms=0.05, peak=0.5, clipped_share=0.0)
T_S = np.arange(4 * SPEC.rate_hz) / SPEC.rate_hz


@pytest.fixture(scope="module")
def features() -> FrontEnd:
    return front_end(SPEC)


def noise(height: float, seed: int = 0) -> np.ndarray:
    return np.asarray(height * np.random.default_rng(seed).normal(0, 1, len(T_S)))


def beats(bpm: float = 72.0) -> np.ndarray:
    """4 s of simulated S1 and S2 with a little noise."""
    sound = noise(0.002)
    for offset_s, pitch_hz, height in ((0.0, 45.0, 0.5), (0.32 if bpm < 100 else 0.2, 65.0, 0.3)):
        since_s = (T_S - offset_s) % (60 / bpm)
        sound += height * np.exp(-since_s / 0.025) * np.sin(2 * np.pi * pitch_hz * since_s)
    return sound


def judge(features: FrontEnd, sound: np.ndarray, loudness: Loudness = LOUD) -> Quality:
    return quality.assess(SPEC, features.extract(sound), loudness)


@pytest.mark.parametrize("bpm", [45, 60, 90, 120, 150, 180])
def test_a_clear_beat_is_good_and_needs_no_reason(features: FrontEnd, bpm: int) -> None:
    found = judge(features, beats(bpm))
    assert found.value > 0.9
    assert found.reason == ""


@pytest.mark.parametrize("seconds", [1.0, 1.5, 2.0, 3.0])
def test_a_clear_beat_is_good_soon(features: FrontEnd, seconds: float) -> None:
    assert judge(features, beats()[: round(seconds * SPEC.rate_hz)]).value > 0.8


def test_a_murmur_is_no_fault(features: FrontEnd) -> None:
    systole = (T_S % (60 / 72)) < 0.3
    assert judge(features, beats() + 0.05 * noise(1, 3) * systole).value > 0.9


@pytest.mark.parametrize("offset", [0.0, 0.5])
@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97, 1.0])
@pytest.mark.parametrize("centred", [False, True])
def test_silence_and_a_flat_line_are_no_signal(offset: float, pre_emphasis: float, centred: bool) -> None:
    spec = FrontEndSpec(pre_emphasis=pre_emphasis, centred=centred)
    flat = front_end(spec).extract(np.full(8000, offset))[5:]  # without the step from nothing to the offset
    found = quality.assess(spec, flat, Loudness(offset, offset, 0.0))
    assert found.value == 0
    assert found.reason.startswith("nothing where heart sounds are" if offset else "no signal")


@pytest.mark.parametrize("frames", [0, 1])
def test_nothing_heard_is_no_signal(frames: int) -> None:
    assert quality.assess(SPEC, np.zeros((frames, SPEC.bands)), LOUD).value == 0


def test_the_longer_contact_is_lost_the_lower_the_index(features: FrontEnd) -> None:
    found = []
    for kept_s in (4.0, 3.0, 2.0, 1.0, 0.5):
        sound = beats()
        sound[round(kept_s * SPEC.rate_hz) :] = 0
        found.append(judge(features, sound))
    values = [f.value for f in found]
    assert values == sorted(values, reverse=True)
    assert values[2] < GOOD
    assert values[-1] < 0.05
    assert all(f.reason.startswith("nothing where heart sounds are") for f in found[2:])


def test_clipping_lowers_the_index_and_is_named(features: FrontEnd) -> None:
    shares = (0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.5)
    found = [judge(features, beats(), Loudness(0.3, 1.0, share)) for share in shares]
    values = [f.value for f in found]
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0
    assert all(f.reason.startswith("clipping") for f in found if f.value < GOOD)
    assert found[3].value < GOOD


def test_a_quiet_signal_is_lower_and_named_but_not_withheld(features: FrontEnd) -> None:
    rms = 10 ** (-74 / 20)
    found = judge(features, 0.004 * beats(), Loudness(rms, 4 * rms, 0.0))
    assert DecideSpec().poor_quality < found.value < GOOD
    assert found.reason.startswith("too quiet")


def test_gain_alone_changes_nothing(features: FrontEnd) -> None:
    measured = [quality.measure(SPEC, features.extract(gain * (beats() + noise(0.01)))) for gain in (0.1, 1.0, 10.0)]
    np.testing.assert_allclose(measured, [measured[1]] * 3, atol=1e-6)


def test_more_noise_lowers_the_index(features: FrontEnd) -> None:
    values = [judge(features, beats() + noise(height, 1)).value for height in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9
    assert values[-1] < 0.1


@pytest.mark.parametrize(
    ("name", "reason"), [("white", "background noise"), ("hum", "steady noise"), ("brown", "background noise")]
)
def test_noises_alone_are_poor_and_named(features: FrontEnd, name: str, reason: str) -> None:
    sound = {
        "white": noise(0.1),
        "hum": 0.1 * np.sin(2 * np.pi * 50 * T_S) + noise(0.001),
        "brown": np.cumsum(noise(0.01)),
    }[name]
    found = judge(features, sound)
    assert found.value < DecideSpec().poor_quality
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        ("periodicity", "no steady beat"),
        ("balance", "speech or rubbing"),
        ("coherence", "background noise"),
        ("concentration", "steady noise"),
        ("mobility", "speech or other"),
    ],
)
def test_the_reason_is_the_measure_that_lowers_the_index_most(features: FrontEnd, measure: str, reason: str) -> None:
    heard = features.extract(beats())
    found = quality.measure(SPEC, heard)._asdict()
    as_usual = QualitySpec(bias=-20.0, **{f"usual_{name}": x for name, x in found.items()})
    behind = {f"usual_{measure}": found[measure] + 0.5 / getattr(as_usual, measure)}
    ahead = {f"usual_{name}": x - 1 for name, x in found.items() if name != measure}
    assert quality.assess(SPEC, heard, LOUD, replace(as_usual, **behind)).reason.startswith(reason)
    assert quality.assess(SPEC, heard, LOUD, replace(as_usual, **behind, **ahead)).reason.startswith(reason)


def test_weights_must_be_numbers() -> None:
    with pytest.raises(ValueError, match="finite"):
        QualitySpec(coherence=float("nan"))
    assert all(type(value) is float for value in asdict(QualitySpec()).values())


@pytest.mark.parametrize(
    ("low_hz", "high_hz", "bands"), [(25, 180, 32), (25, 90, 16), (120, 400, 32), (210, 400, 16), (25, 400, 1)]
)
def test_a_front_end_that_lacks_an_octave_tells_a_clear_beat_from_noise(
    low_hz: float, high_hz: float, bands: int
) -> None:
    spec = FrontEndSpec(low_hz=low_hz, high_hz=high_hz, bands=bands, fft_samples=4096)
    beat, other = (front_end(spec).extract(sound) for sound in (beats(), noise(0.1)))
    assert quality.measure(spec, beat).concentration > -0.5  # -2.3 where an octave of nothing outweighs the others
    assert quality.assess(spec, beat, LOUD).value > 0.9
    assert quality.assess(spec, other, LOUD).value < quality.assess(spec, beat, LOUD).value - 0.2


@given(
    frames=st.integers(0, 220),
    bands=st.sampled_from([1, 8, 32]),
    seed=st.integers(0, 2**31),
    floored=st.floats(0, 1),
    spread=st.sampled_from([0.0, 1e-9, 6.0, 300.0]),
    rms=st.floats(0, 2),
    peak=st.floats(0, 2),
    clipped=st.floats(0, 1),
)
def test_the_index_is_a_share_and_a_low_one_has_a_reason(
    frames: int, bands: int, seed: int, floored: float, spread: float, rms: float, peak: float, clipped: float
) -> None:
    rng = np.random.default_rng(seed)
    heard = rng.normal(-12, spread, (frames, bands))
    heard[rng.random(frames) < floored] = SPEC.floor
    found = quality.assess(FrontEndSpec(bands=bands), heard, Loudness(rms, peak, clipped))
    assert 0 <= found.value <= 1
    assert bool(found.reason) == (found.value < GOOD)
    if frames > 1:
        measured = quality.measure(FrontEndSpec(bands=bands), heard)
        assert np.isfinite(measured).all()
        low, high = (0, -4, -1, -3, 0), (2, 6, 1, 0, 2)
        assert (np.array(low) <= measured).all()
        assert (measured <= np.array(high) + 1e-9).all()


def windows(features: FrontEnd, recordings: list[datasets.Recording]) -> list[float]:
    """The index of the last 4 s of each recording; the level is that of what the model hears."""
    found = []
    for recording in recordings:
        samples = audio.load(recording.path, SPEC.rate_hz)[-SPEC.span_samples(198) :]
        rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
        found.append(judge(features, samples, Loudness(rms, float(np.abs(samples).max()), 0.0)).value)
    return found


def test_the_shipped_index_tells_real_hearts_from_other_sounds(features: FrontEnd, shared_data: Path) -> None:
    pascal = datasets.without_conflicts(datasets.read("pascal", shared_data / "pascal"))
    clean = windows(features, [r for r in pascal if r.label != "artifact" and not r.noisy][::8])
    noisy = windows(features, [r for r in pascal if r.noisy][::4])
    artifact = windows(features, [r for r in pascal if r.label == "artifact"][::2])
    everyday = windows(features, datasets.read("noise", shared_data / "esc10")[::8])
    assert np.median(clean) > 0.85  # measured: .94, .81, .07, .05
    assert np.median(clean) > np.median(noisy) > GOOD
    assert np.median(artifact) < 0.2
    assert np.median(everyday) < 0.2
    assert min(clean) > DecideSpec().poor_quality


# Windows together


def of_many_kinds(count: int, frames: int, bands: int, seed: int) -> tuple[np.ndarray, list[Loudness]]:
    """Windows of noise, silence, a constant, single bursts, all magnitudes; and as many loudnesses."""
    rng = np.random.default_rng(seed)
    heard = rng.normal(-12, 1, (count, frames, bands)) * rng.choice([0.0, 1e-9, 1.0, 20.0], (count, 1, 1))
    heard += rng.choice([0.0, -23.0, 27.0], (count, 1, 1))
    heard[rng.random((count, frames)) < rng.choice([0.0, 0.3, 1.0], (count, 1))] = SPEC.floor
    loud = rng.choice([0.0, 1e-4, 0.05, 1e6], (count, 2)).tolist()
    return heard, [Loudness(*pair, float(rng.choice([0.0, 0.1, 1.0]))) for pair in loud]


@settings(max_examples=80, deadline=None)
@given(
    count=st.integers(1, 70),
    frames=st.sampled_from([0, 1, 2, 8, 9, 48, 73, 197, 198]),
    bands=st.sampled_from([1, 8, 32]),
    seed=st.integers(0, 2**31),
)
def test_windows_assessed_together_are_each_as_alone_to_the_bit(count: int, frames: int, bands: int, seed: int) -> None:
    spec = FrontEndSpec(bands=bands)
    heard, loud = of_many_kinds(count, frames, bands, seed)
    together = quality.assess_all(spec, heard, loud)
    assert together == [quality.assess(spec, *each) for each in zip(heard, loud, strict=True)]
    order = np.random.default_rng(seed).permutation(count)
    assert quality.assess_all(spec, heard[order], [loud[k] for k in order]) == [together[k] for k in order]


@pytest.mark.parametrize("frames", [2, 3, 10, 48, 198, 500])
def test_measures_take_windows_of_any_leading_axes(frames: int) -> None:
    heard, _ = of_many_kinds(64, frames, 32, frames)
    flat = np.array(quality.measure(SPEC, heard))
    assert flat.shape == (5, 64)
    assert np.array_equal(np.array([quality.measure(SPEC, each) for each in heard]).T, flat)
    shaped = quality.measure(SPEC, heard.reshape(4, 16, frames, 32))
    assert np.array_equal(np.array(shaped), flat.reshape(5, 4, 16))
