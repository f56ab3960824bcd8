"""What a few seconds of sound say of a sound card, told from signals whose level, faults and clock are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from stream.block import Block
from stream.device_check import CUT_DB, MOST_DRIFT_PPM, judge
from stream.doctor import Finding
from stream.sound_check import Capture, Drift, drift, gather, measure

RATES_HZ = (2_000, 4_000, 16_000, 44_100, 48_000)
SECONDS = 5


def white(rate_hz: int, rms: float = 0.01, seconds: float = SECONDS, seed: int = 0) -> np.ndarray:
    return rms * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))


def pink(rate_hz: int, rms: float = 0.01, seed: int = 0) -> np.ndarray:
    """Power falling as 1 / f from 1 Hz on, made in the spectrum."""
    spectrum = np.fft.rfft(white(rate_hz, 1.0, seed=seed))
    at_hz = np.arange(len(spectrum)) / SECONDS
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(at_hz, 1.0)), SECONDS * rate_hz)
    return rms * noise / noise.std()


def sine(rate_hz: int, hz: float, amplitude: float, seconds: float = SECONDS) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def high_passed(samples: np.ndarray, rate_hz: int, cut_hz: float, order: int = 4) -> np.ndarray:
    return signal.sosfilt(signal.butter(order, cut_hz, "highpass", fs=rate_hz, output="sos"), samples)


def f32(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32)


def paced(samples: np.ndarray, rate_hz: int, lost: int = 0) -> Capture:
    """As if it had come punctually, every 20 ms."""
    counts = np.arange(1, len(samples) * 50 // rate_hz + 1) * rate_hz / 50
    return Capture(f32(samples), rate_hz, counts, 100 + counts / rate_hz, lost, "the cat" if lost else "")


def findings(samples: np.ndarray, rate_hz: int, lost: int = 0) -> dict[str, Finding]:
    found = judge(paced(samples, rate_hz, lost))
    assert len({f.name for f in found}) == len(found)
    for f in found:
        assert f.state in {"ok", "notice", "fails"}
        assert f.detail
        assert bool(f.remedy) == (f.state != "ok"), f
        assert "nan" not in f.detail
    return {f.name: f for f in found}


def not_ok(samples: np.ndarray, rate_hz: int) -> dict[str, str]:
    return {f.name: f.state for f in findings(samples, rate_hz).values() if f.state != "ok"}


# Measures


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_level_and_peak_of_a_known_sine(rate_hz: int) -> None:
    sound = measure(f32(sine(rate_hz, 100.0, 0.1)), rate_hz)
    assert sound.level_dbfs == pytest.approx(-23.01, abs=0.01)
    assert sound.peak_dbfs == pytest.approx(-20.0, abs=0.02)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_noise_floor_counts_the_front_ends_band_alone(rate_hz: int) -> None:
    in_band_db = 10 * np.log10(375 / (rate_hz / 2))
    floor_dbfs = measure(f32(white(rate_hz)), rate_hz).floor_dbfs
    assert floor_dbfs == pytest.approx(-40 + in_band_db - 1.5, abs=1.0), "the lowest tenth is 1.5 dB below the mean"
    outside = white(rate_hz) + sine(rate_hz, 10.0, 0.5) + sine(rate_hz, 700.0, 0.3)
    assert measure(f32(outside), rate_hz).floor_dbfs == pytest.approx(floor_dbfs, abs=0.2)


def test_noise_floor_is_what_is_left_between_the_beats() -> None:
    beats = sine(4_000, 60.0, 0.3) * (np.arange(SECONDS * 4_000) % 3_200 < 1_200)
    quiet = measure(f32(white(4_000)), 4_000).floor_dbfs
    assert measure(f32(white(4_000) + beats), 4_000).floor_dbfs == pytest.approx(quiet, abs=1.5)


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.2])
@pytest.mark.parametrize("full_scale", [0.9995, 1.0, -1.0])
def test_clipped_share(share: float, full_scale: float) -> None:
    samples = white(4_000)
    clipped = round(share * len(samples))
    samples[:clipped] = full_scale
    assert measure(f32(samples), 4_000).clipped_share == pytest.approx(clipped / len(samples))


@pytest.mark.parametrize("offset", [-0.3, -0.01, 0.0, 0.05])
def test_offset(offset: float) -> None:
    sound = measure(f32(white(16_000) + offset), 16_000)
    assert sound.offset == pytest.approx(offset, abs=2e-4)
    plain = measure(f32(white(16_000)), 16_000)
    assert sound.level_dbfs == pytest.approx(plain.level_dbfs, abs=1e-3)
    assert sound.bands_dbfs_hz == pytest.approx(plain.bands_dbfs_hz, abs=1e-3), "an offset leaks into the low band"


def test_still_share_counts_stretches_not_single_zeros() -> None:
    quiet_16_bit = np.round(white(48_000, 0.4)) / 32_768  # four fifths are exact zeros, as in a quiet room
    assert np.mean(quiet_16_bit == 0) > 0.7
    assert measure(f32(quiet_16_bit), 48_000).still_share == 0
    gated = white(48_000)
    gated[48_000:96_000] = 0
    gated[100_000:124_000] = 0.003
    assert measure(f32(gated), 48_000).still_share == pytest.approx(72_000 / 240_000, abs=1e-4)
    assert measure(np.zeros(48_000, np.float32), 48_000).still_share == 1


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(("mains_hz", "lines"), [(50, (50, 150)), (50, (100,)), (60, (60, 120, 180)), (60, (120,))])
def test_hum_is_found_with_its_lines_and_level(rate_hz: int, mains_hz: int, lines: tuple[int, ...]) -> None:
    amplitude = 0.01
    hum = measure(f32(pink(rate_hz, 0.001) + sum(sine(rate_hz, f, amplitude) for f in lines)), rate_hz).hum
    assert hum is not None
    assert (hum.mains_hz, hum.lines_hz) == (mains_hz, lines)
    assert hum.level_dbfs == pytest.approx(10 * np.log10(len(lines) * amplitude**2 / 2), abs=0.5)


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_does_not_hum(seed: int) -> None:
    for noise in (white(4_000, seed=seed), pink(4_000, seed=seed), high_passed(pink(4_000, seed=seed), 4_000, 100.0)):
        assert measure(f32(noise), 4_000).hum is None


def test_tone_that_is_not_the_mains_does_not_hum() -> None:
    assert measure(f32(white(4_000) + sine(4_000, 75.0, 0.1)), 4_000).hum is None


@settings(max_examples=40, deadline=None)
@given(gain_db=st.floats(-40, 20), seed=st.integers(0, 1000))
def test_gain_moves_every_level_by_just_that(gain_db: float, seed: int) -> None:
    samples = pink(2_000, 0.01, seed) + sine(2_000, 50.0, 0.02)
    before, after = (measure(f32(samples * gain), 2_000) for gain in (1.0, 10 ** (gain_db / 20)))

    def levels(sound: object) -> list[float]:
        return [sound.level_dbfs, sound.peak_dbfs, sound.floor_dbfs, sound.hum.level_dbfs, *sound.bands_dbfs_hz]

    assert np.subtract(levels(after), levels(before)) == pytest.approx(np.full(7, gain_db), abs=1e-3)
    assert after.hum.lines_hz == before.hum.lines_hz
    assert after.still_share == before.still_share == 0


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 20_000), max_size=60), skip_s=st.sampled_from([0.0, 0.5, 4.99]))
def test_how_the_capture_is_cut_up_does_not_matter(cuts: list[int], skip_s: float) -> None:
    samples = f32(white(4_000))
    edges = [0, *sorted(cuts), len(samples)]
    blocks = [Block(samples[a:b], a, 4_000) for a, b in itertools.pairwise(edges)]
    capture = gather([(block, 1.0) for block in blocks], 4_000, skip_s)
    assert np.array_equal(capture.samples, samples[round(skip_s * 4_000) :])
    assert capture.samples.dtype == np.float32
    assert capture.counts.tolist() == edges[1:]


def test_gathering_adds_up_losses_and_tells_each_reason_once() -> None:
    hum = np.ones(100, np.float32)
    blocks = [Block(hum, 0, 4_000), Block(hum, 150, 4_000, 50, "slow"), Block(hum, 260, 4_000, 10, "slow")]
    capture = gather([(block, float(i)) for i, block in enumerate(blocks)], 4_000)
    assert (capture.lost_samples, capture.lost_reasons, len(capture.samples)) == (60, "slow", 300)
    assert capture.counts.tolist() == [100, 250, 360]
    assert len(gather([], 4_000).samples) == 0


# The low band


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("seed", range(4))
def test_pink_and_white_noise_are_not_cut(rate_hz: int, seed: int) -> None:
    for noise in (white(rate_hz, seed=seed), pink(rate_hz, seed=seed)):
        assert findings(noise, rate_hz)["low frequencies"].state == "ok"


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("cut_hz", [100.0, 150.0, 300.0])
@pytest.mark.parametrize("seed", range(4))
def test_high_passed_noise_looks_cut(rate_hz: int, cut_hz: float, seed: int) -> None:
    for noise in (white(rate_hz, seed=seed), pink(rate_hz, seed=seed)):
        low = findings(high_passed(noise, rate_hz, cut_hz), rate_hz)["low frequencies"]
        assert low.state == "notice"
        assert "looks cut" in low.detail
        assert "chest" in low.remedy


def test_high_pass_is_seen_beside_hum_talk_and_offset() -> None:
    rate_hz = 16_000
    talk = sine(rate_hz, 220.0, 0.2) * (np.arange(SECONDS * rate_hz) % (3 * rate_hz) < rate_hz)
    disturbed = high_passed(pink(rate_hz), rate_hz, 100.0) + sine(rate_hz, 50.0, 0.05) + 0.01
    assert "looks cut" in findings(disturbed + talk, rate_hz)["low frequencies"].detail


def test_talk_over_a_full_band_does_not_look_cut() -> None:
    rate_hz = 16_000
    loud = high_passed(white(rate_hz, 0.3, seed=7), rate_hz, 150.0)
    talk = loud * (np.arange(len(loud)) % (2 * rate_hz) < rate_hz)  # a second of talk, a second's pause
    assert findings(talk, rate_hz)["low frequencies"].state == "notice"
    assert findings(talk + pink(rate_hz), rate_hz)["low frequencies"].state == "ok"


def test_too_quiet_a_room_tells_nothing() -> None:
    quiet = np.round(white(48_000, 1.0)) / 32_768  # one step of a 16-bit converter
    low = findings(quiet, 48_000)["low frequencies"]
    assert low.state == "notice"
    assert "too quiet to tell" in low.detail


def test_real_stethoscopes_do_not_look_cut(shared_data) -> None:
    # Recordings with an electronic stethoscope on a chest: their low frequencies are there.
    paths = (
        sorted((shared_data / "circor").glob("audio/*.flac"))[::150] + sorted(shared_data.glob("pascal/set_b/*"))[::60]
    )
    lowest = []
    for path in paths:
        samples, rate_hz = soundfile.read(path, dtype="float32")
        if len(samples) >= 2 * rate_hz:
            low, _, high = measure(samples, rate_hz).bands_dbfs_hz
            lowest.append(low - high)
    assert len(lowest) >= 15
    assert min(lowest) > -CUT_DB / 2


# The clock


def timed(ppm: float, seconds: float, period_s: float, burst: int, late_s: float, seed: int) -> Capture:
    """Deliveries of `period_s` that come `burst` at a time, each late by chance, and now and then by 150 ms."""
    rng = np.random.default_rng(seed)
    index = np.arange(1, round(seconds / period_s) + 1)
    at_s = np.ceil(index / burst) * burst * period_s + rng.exponential(late_s, len(index))
    for hiccup_s in rng.uniform(0, seconds, 2):
        at_s = np.where((at_s > hiccup_s) & (at_s < hiccup_s + 0.15), hiccup_s + 0.15, at_s)
    counts = np.floor(index * period_s * 48_000 * (1 + ppm * 1e-6))
    return Capture(np.zeros(0, np.float32), 48_000, counts, 1000 + np.maximum.accumulate(at_s))


@pytest.mark.parametrize("seconds", [2.0, 5.0, 30.0])
@pytest.mark.parametrize(("period_s", "burst"), [(0.01, 1), (0.0432, 2), (0.1, 1)])
@pytest.mark.parametrize("late_s", [0.0005, 0.005])
def test_drift_lies_within_what_is_said(seconds: float, period_s: float, burst: int, late_s: float) -> None:
    outside = 0
    for seed, ppm in enumerate(np.linspace(-2000, 2000, 21)):
        found = drift(timed(ppm, seconds, period_s, burst, late_s, seed))
        assert found is not None
        assert found.within_ppm < 80_000 / seconds
        outside += abs(found.ppm - ppm) > found.within_ppm
    assert outside <= 1


def test_listening_longer_narrows_the_drift() -> None:
    said = [drift(timed(100.0, seconds, 0.02, 2, 0.001, 3)) for seconds in (2.0, 5.0, 20.0, 60.0)]
    within = [found.within_ppm for found in said if found]
    assert len(within) == 4
    assert within == sorted(within, reverse=True)
    assert within[-1] < 100


@pytest.mark.parametrize("ppm", [-30_000.0, -3_000.0, 3_000.0, 30_000.0])
def test_far_off_clock_is_told(ppm: float) -> None:
    capture = timed(ppm, 5.0, 0.02, 1, 0.0005, 1)
    (clock,) = (
        f for f in judge(Capture(f32(white(48_000)), 48_000, capture.counts, capture.at_s)) if f.name == "clock"
    )
    assert clock.state == "notice"
    assert "more than a sound card's" in clock.detail


def test_no_drift_is_told_where_none_can_be_known() -> None:
    assert drift(gather([], 4_000)) is None
    assert drift(timed(0.0, 0.9, 0.02, 1, 0.0005, 1)) is None
    whole = timed(0.0, 5.0, 0.02, 1, 0.0005, 1)
    assert isinstance(drift(whole), Drift)
    assert drift(Capture(whole.samples, 48_000, whole.counts, whole.at_s, lost_samples=1)) is None


# Findings


def test_quiet_room_with_a_good_microphone_is_all_well() -> None:
    assert not_ok(pink(48_000, 0.003), 48_000) == {}


@pytest.mark.parametrize(
    ("name", "state", "samples"),
    [
        ("level", "notice", pink(48_000, 0.0001)),
        ("clipping", "notice", np.where(np.arange(240_000) % 5_000 == 0, 1.0, pink(48_000, 0.003))),
        ("noise floor", "notice", pink(48_000, 0.1)),
        ("DC offset", "notice", pink(48_000, 0.003) - 0.1),
        ("hum", "notice", pink(48_000, 0.003) + sine(48_000, 50.0, 0.005)),
        ("low frequencies", "notice", high_passed(pink(48_000, 0.003), 48_000, 100.0)),
    ],
)
def test_each_fault_alone_is_told_alone(name: str, state: str, samples: np.ndarray) -> None:
    assert not_ok(samples, 48_000) == {name: state}


def test_faint_hum_is_mentioned_and_does_no_harm() -> None:
    hum = findings(pink(48_000, 0.0005) + sine(48_000, 50.0, 0.001), 48_000)["hum"]
    assert hum.state == "ok"
    assert "50 Hz" in hum.detail


@pytest.mark.parametrize(("value", "words"), [(0.0, "silence"), (0.25, "one value")])
def test_muted_or_stuck_input_fails_and_nothing_else_is_judged(value: float, words: str) -> None:
    found = findings(np.full(240_000, value), 48_000)
    assert found["level"].state == "fails"
    assert words in found["level"].detail
    assert list(found) == ["level", "losses", "clock"]


def test_gated_input_is_told() -> None:
    samples = pink(48_000, 0.003)
    samples[50_000:90_000] = 0
    level = findings(samples, 48_000)["level"]
    assert level.state == "notice"
    assert "noise suppression" in level.remedy


def test_losses_are_told_and_leave_the_clock_unknown() -> None:
    found = findings(pink(48_000, 0.003), 48_000, lost=2_400)
    assert found["losses"].state == "notice"
    assert "2400 of 240000 samples (1.0%): the cat" in found["losses"].detail
    assert "not known" in found["clock"].detail


@pytest.mark.parametrize("heard_s", [0.0, 0.3, 0.99])
def test_too_little_sound_is_not_judged(heard_s: float) -> None:
    assert list(findings(white(4_000, seconds=heard_s), 4_000)) == ["level", "losses"]


def test_usual_clock_is_well() -> None:
    clock = findings(pink(48_000, 0.003), 48_000)["clock"]
    assert clock.state == "ok"
    assert float(clock.detail.split()[0]) == pytest.approx(0, abs=MOST_DRIFT_PPM)
