"""The pipeline: the same events however a stream is cut up, every sample accounted for, gaps kept apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import soxr
import tiny_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from models import bundle as bundles
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import Decision
from models.rhythm import Beat
from stream import meter
from stream.block import Block, Samples
from stream.pipeline import Event, Gap, Pipeline
from stream.resample import Resampler
from stream.snapshot import Ledger

RATES_HZ = (2000, 4000, 8000, 11025, 44100)
FULL_S = 3.99  # 198 frames of the default front end


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model that finds the beats of `tiny_bundle.thumps`, so that early ones count."""
    path = tmp_path_factory.mktemp("model") / "hearing.onnx"
    path.write_bytes(tiny_bundle.data_of(tiny_bundle.hearing()))
    return bundles.load(path)


@pytest.fixture(scope="module")
def slow_hop(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A front end with frames every 50 ms: its window is longer than the default's in seconds."""
    config = tiny_bundle.tiny_config(front_end={"hop_samples": 100})
    path = tmp_path_factory.mktemp("model") / "slow.onnx"
    path.write_bytes(tiny_bundle.data_of(tiny_bundle.untrained(config)))
    return bundles.load(path)


def thumps(seconds: float, rate_hz: int, gain: float = 0.3, seed: int = 0) -> Samples:
    """Something like a heart at 75 beats a minute, over hiss."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    x = np.zeros(len(t))
    for after_s, pitch_hz, height in ((0.0, 50, 1.0), (0.32, 70, 0.7)):
        since_s = (t - after_s) % 0.8
        x += height * np.exp(-since_s / 0.03) * np.sin(2 * np.pi * pitch_hz * since_s)
    return (gain * x + 0.002 * np.random.default_rng(seed).normal(size=len(t))).astype(np.float32)


@dataclass(frozen=True)
class Stream:
    """Audio and its losses: so many samples before the sample at an index of what did arrive."""

    samples: Samples
    rate_hz: int
    losses: dict[int, int]

    def blocks(self, cuts: list[int]) -> Iterator[Block]:
        """The same stream, cut at some places (twice at the same makes an empty block)."""
        left, start = dict(self.losses), 0
        inside = [c for c in cuts if c <= len(self.samples)]
        for a, b in pairwise(sorted([0, *inside, *self.losses, len(self.samples), len(self.samples)])):
            lost = left.pop(a, 0)
            start += lost
            yield Block(self.samples[a:b], start, self.rate_hz, lost, "ring overrun" if lost else "")
            start += b - a

    @property
    def captured(self) -> int:
        return len(self.samples) + sum(self.losses.values())

    def every(self, seconds: float) -> list[int]:
        return list(range(0, len(self.samples), round(seconds * self.rate_hz)))


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    rate_hz = draw(st.sampled_from(RATES_HZ))
    n = draw(st.integers(0, 8 * rate_hz))
    samples = thumps(n / rate_hz, rate_hz, draw(st.sampled_from([0.0, 0.01, 0.3, 2.0])), draw(st.integers(0, 99)))
    for at, length in draw(st.lists(st.tuples(st.integers(0, n), st.integers(1, 3000)), max_size=2)):
        samples[at : at + length] = draw(st.sampled_from([np.nan, np.inf, -3e38]))
    losses = draw(st.dictionaries(st.integers(0, len(samples)), st.integers(1, 9000), max_size=3))
    return Stream(samples, rate_hz, losses)


def hear(bundle: Bundle, stream: Stream, cuts: list[int]) -> tuple[list[Event], Ledger]:
    pipeline = Pipeline(bundle, stream.rate_hz)
    events: list[Event] = []
    captured = 0
    for block in stream.blocks(cuts):
        events += pipeline.process(block)
        captured += block.lost + len(block.samples)
        now = pipeline.ledger
        assert now.captured == captured == now.analysed + now.dropped + now.discarded
    events += pipeline.flush()
    return events, pipeline.ledger


def once(bundle: Bundle, samples: Samples, rate_hz: int) -> list[Event]:
    return hear(bundle, Stream(samples, rate_hz, {}), [])[0]


def decisions(events: list[Event]) -> list[Decision]:
    return [e for e in events if isinstance(e, Decision)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(stream=streams(), data=st.data())
def test_events_and_ledger_do_not_depend_on_how_the_stream_is_cut(
    bundle: Bundle, stream: Stream, data: st.DataObject
) -> None:
    whole, ledger = hear(bundle, stream, [])
    cuts = data.draw(st.lists(st.integers(0, max(1, len(stream.samples))), max_size=60))
    for cut in (cuts, stream.every(0.025), stream.every(0.5), stream.every(0.007)):
        assert hear(bundle, stream, cut) == (whole, ledger)
    assert ledger.captured == stream.captured == ledger.analysed + ledger.dropped + ledger.discarded
    unusable = int((~(np.abs(stream.samples) < 1e12)).sum())
    assert ledger.dropped == sum(stream.losses.values()) + unusable
    assert ledger.dropped == sum(e.lost_samples for e in whole if isinstance(e, Gap))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seconds=st.floats(9, 15),
    every=st.integers(3, 9),
    rate_hz=st.sampled_from([2000, 4000]),
    loss=st.none() | st.tuples(st.floats(0, 15), st.integers(1, 3000)),
    data=st.data(),
)
def test_nor_do_decisions_that_remember_ten_seconds(
    hearing: Bundle, seconds: float, every: int, rate_hz: int, loss: tuple[float, int] | None, data: st.DataObject
) -> None:
    samples = tiny_bundle.thumps(seconds, tiny_bundle.skipping(seconds, every), rate_hz)
    losses = {min(len(samples), round(loss[0] * rate_hz)): loss[1]} if loss else {}
    stream = Stream(samples, rate_hz, losses)
    whole = hear(hearing, stream, [])
    assert any(d.regularity and d.regularity.premature for d in decisions(whole[0])) or losses
    cuts = data.draw(st.lists(st.integers(0, len(samples)), max_size=60))
    for cut in (cuts, stream.every(0.0335), stream.every(2.3)):
        assert hear(hearing, stream, cut) == whole


def test_ten_seconds_are_remembered_and_no_more(hearing: Bundle) -> None:
    """What was heard before the window changes extrasystole alone, and what was heard before the memory nothing."""
    assert hearing.extrasystole is not None
    memory_s = hearing.extrasystole.spec.memory_frames * 0.02
    steady = tiny_bundle.thumps(13.99, np.arange(0.2, 13, 0.8))
    last = decisions(once(hearing, steady, 2000))[-1]
    moved = {}
    for end_s in (13.9 - memory_s, 13.9 - FULL_S):  # the window reaches back to 10.0 s, the memory to 3.99 s
        other = steady.copy()
        other[: round(2000 * end_s)] = 0
        moved[end_s] = np.subtract(decisions(once(hearing, other, 2000))[-1].logits, last.logits)
    before_memory, before_window = moved.values()
    k = CLASSES.index("extrasystole")
    assert not before_memory.any()
    assert abs(before_window[k]) > 1e-3
    assert not np.delete(before_window, k).any()


def test_a_gap_is_forgotten_with_all_before_it(hearing: Bundle) -> None:
    """Neither intervals nor early beats reach over it."""
    samples = tiny_bundle.thumps(12, tiny_bundle.skipping(12))
    fresh = decisions(once(hearing, samples, 2000))
    events, _ = hear(hearing, Stream(np.concatenate([samples, samples]), 2000, {len(samples): 50}), [])
    after = [d for d in decisions(events) if d.t_s > 12.025]
    assert [d.logits for d in after] == [d.logits for d in fresh]
    assert any(d.regularity and d.regularity.premature for d in fresh)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(stream=streams())
def test_no_window_spans_a_gap_and_events_come_in_order(bundle: Bundle, stream: Stream) -> None:
    heard_from_s, last_s = 0.0, 0.0
    for event in hear(bundle, stream, stream.every(0.1))[0]:
        if isinstance(event, Beat):  # told late, so between events of later times
            assert heard_from_s <= event.t_s
            continue
        assert event.t_s >= last_s - 0.5 / 2000  # the resampler rounds a stretch's length to its own samples
        last_s = event.t_s
        if isinstance(event, Gap):
            heard_from_s = event.t_s + event.lost_samples / stream.rate_hz
        else:
            assert event.t_s - event.window_s >= heard_from_s - 1e-9


@settings(max_examples=60, deadline=None, derandomize=True)
@given(stream=streams(), share=st.floats(0, 1))
def test_later_audio_never_changes_an_earlier_decision(bundle: Bundle, stream: Stream, share: float) -> None:
    whole = hear(bundle, stream, [])[0]
    n = int(share * len(stream.samples))
    part = Stream(stream.samples[:n], stream.rate_hz, {k: v for k, v in stream.losses.items() if k < n})
    pipeline = Pipeline(bundle, stream.rate_hz)
    events = [e for block in part.blocks(part.every(0.1)) for e in pipeline.process(block)]
    assert events == whole[: len(events)]


def test_a_longer_hop_is_cut_up_freely_too(slow_hop: Bundle) -> None:
    # Clipping fades along the window, so that a meter which forgets its beginning shows.
    samples = np.clip(thumps(16, 4000, gain=30) * np.linspace(1, 0.001, 64_000), -1, 1).astype(np.float32)
    stream = Stream(samples, 4000, {})
    assert hear(slow_hop, stream, stream.every(0.025)) == hear(slow_hop, stream, [])


def test_a_pipeline_carries_state_and_a_fresh_one_does_not(bundle: Bundle) -> None:
    samples, rate_hz = thumps(12, 2000), 2000
    samples[:8000] *= 0.05
    pipeline = Pipeline(bundle, rate_hz)
    first = decisions(pipeline.process(Block(samples, 0, rate_hz)))
    second = decisions(pipeline.process(Block(samples, len(samples), rate_hz)))
    assert decisions(once(bundle, samples, rate_hz))[: len(first)] == first
    # The same audio fills window and memory in both rounds: the network answers alike, but the decision remembers.
    late, again = first[-1], next(d for d in second if d.t_s == pytest.approx(first[-1].t_s + 12))
    assert late.logits == again.logits
    assert late.probabilities != again.probabilities


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_decisions_fall_due_where_the_window_says(bundle: Bundle, rate_hz: int) -> None:
    found = decisions(once(bundle, thumps(10, rate_hz), rate_hz))
    times = np.array([d.t_s for d in found])
    np.testing.assert_allclose(times, 0.99 + 0.5 * np.arange(19), atol=1e-9)
    np.testing.assert_allclose([d.window_s for d in found], np.minimum(times, FULL_S), atol=1e-9)
    assert [d.status for d in found] == ["listening"] * 6 + ["ok"] * 13
    assert all(d.label is None for d in found[:6])
    assert all(d.label is not None for d in found[6:])
    for d in found:
        assert d.probabilities is not None
        assert sum(d.probabilities) == pytest.approx(1)


def test_stream_time_counts_what_was_lost(bundle: Bundle) -> None:
    events, ledger = hear(bundle, Stream(thumps(10, 4000), 4000, {20_000: 6000}), [])
    assert [(e.t_s, e.lost_samples, e.reason) for e in events if isinstance(e, Gap)] == [(5.0, 6000, "ring overrun")]
    after = [e for e in decisions(events) if e.t_s > 5.0]
    np.testing.assert_allclose([e.t_s for e in after[:-1]], 6.5 + 0.99 + 0.5 * np.arange(len(after) - 1), atol=1e-9)
    assert [e.status for e in after] == ["gap"] * 6 + ["ok"] * (len(after) - 6)
    assert ledger == Ledger(captured=46_000, analysed=40_000, dropped=6000, discarded=0)


@pytest.mark.parametrize("seconds", [1.0, 1.2, 1.5, 2.0, 3.0, 3.49, 3.98, 3.99, 4.0])
@pytest.mark.parametrize("rate_hz", [2000, 4000])
def test_a_recording_shorter_than_the_window_is_decided_from_what_is_there(
    bundle: Bundle, seconds: float, rate_hz: int
) -> None:
    # Whole seconds end on a decision that was due anyway: it has to be taken anew, for now it speaks for all.
    last = decisions(once(bundle, thumps(seconds, rate_hz), rate_hz))[-1]
    assert last.status == "ok"
    assert last.label is not None
    assert last.t_s == last.window_s <= seconds
    assert last.t_s > seconds - 0.02 - 1e-9


def test_less_than_a_second_is_still_listening_but_answers(bundle: Bundle) -> None:
    for seconds in (0.2, 0.5, 0.97):
        (only,) = decisions(once(bundle, thumps(seconds, 4000), 4000))
        assert (only.status, only.label) == ("listening", None)
        assert only.probabilities is not None
        assert sum(only.probabilities) == pytest.approx(1)


@pytest.mark.parametrize("samples", [0, 1, 199, 755])
def test_what_no_network_can_hear_is_discarded(bundle: Bundle, samples: int) -> None:
    events, ledger = hear(bundle, Stream(thumps(samples / 4000, 4000), 4000, {}), [])
    assert events == []
    assert ledger == Ledger(captured=samples, discarded=samples)


def test_a_short_stretch_between_gaps_is_discarded(bundle: Bundle) -> None:
    events, ledger = hear(bundle, Stream(thumps(8, 4000), 4000, {16_000: 50, 16_400: 70}), [])
    gaps = [(e.t_s, e.lost_samples) for e in events if isinstance(e, Gap)]
    assert gaps == [(4.0, 50), (16_450 / 4000, 70)]
    assert ledger == Ledger(captured=32_120, analysed=31_600, dropped=120, discarded=400)


def test_neighbouring_losses_are_one_gap(bundle: Bundle) -> None:
    x, none = thumps(5, 4000), np.zeros(0, dtype=np.float32)
    bad = np.full(7, np.nan, dtype=np.float32)
    pipeline = Pipeline(bundle, 4000)
    blocks = [(x, 0), (bad, 0), (none, 0), (none, 30), (bad, 5), (none, 0), (x, 0)]
    events = [e for samples, lost in blocks for e in pipeline.process(Block(samples, 0, 4000, lost, "overrun"))]
    assert [(e.t_s, e.lost_samples) for e in events if isinstance(e, Gap)] == [(5.0, 49)]


def test_gaps_at_the_very_start_and_the_very_end(bundle: Bundle) -> None:
    events, ledger = hear(bundle, Stream(thumps(5, 4000), 4000, {0: 100, 20_000: 300}), [])
    assert (events[0].t_s, events[-1].t_s) == (0.0, 20_100 / 4000)
    assert isinstance(events[0], Gap)
    assert isinstance(events[-1], Gap)
    assert ledger == Ledger(captured=20_400, analysed=20_000, dropped=400)
    assert [d.status for d in decisions(events)][:6] == ["gap"] * 6


def test_nothing_but_losses(bundle: Bundle) -> None:
    pipeline = Pipeline(bundle, 4000)
    assert pipeline.process(Block(np.full(9, np.inf, dtype=np.float32), 5, 4000, 5, "unplugged")) == []
    assert pipeline.ledger == Ledger(captured=14, dropped=14)
    assert pipeline.flush() == [Gap(0.0, 14, "unplugged; values that are no audio")]
    assert pipeline.flush() == []
    assert pipeline.ledger == Ledger(captured=14, dropped=14)


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_silence_and_a_constant_are_a_poor_signal(bundle: Bundle, level: float) -> None:
    last = decisions(once(bundle, np.full(24_000, level, dtype=np.float32), 4000))[-1]
    assert (last.status, last.label, last.heart_rate_bpm) == ("poor_signal", None, None)
    assert last.quality is not None
    assert last.quality < 0.1
    assert last.quality_reason


def test_clipping_lowers_the_quality_and_says_so(bundle: Bundle) -> None:
    clean = decisions(once(bundle, thumps(6, 4000), 4000))[-1]
    clipped = decisions(once(bundle, np.clip(thumps(6, 4000, gain=30), -1, 1), 4000))[-1]
    assert clean.quality is not None
    assert clipped.quality is not None
    assert clipped.quality < 0.5 * clean.quality
    assert "clipping" in clipped.quality_reason


def test_float_samples_beyond_full_scale_are_heard(bundle: Bundle) -> None:
    found = decisions(once(bundle, thumps(6, 4000, gain=40_000), 4000))
    assert len(found) == 11
    assert all(np.isfinite(d.probabilities or np.nan).all() and np.isfinite(d.logits).all() for d in found)


def test_the_memory_holds_each_sample_at_its_time_and_the_level_the_last_second(bundle: Bundle) -> None:
    pipeline = Pipeline(bundle, 8000, remember=True)
    for block in Stream(np.concatenate([thumps(9, 8000), np.full(8000, 0.25, np.float32)]), 8000, {}).blocks([]):
        pipeline.process(block)
    memory = pipeline.memory
    assert memory.end / 2000 == pytest.approx(10.0 - pipeline.delay_s)
    assert 0 <= pipeline.delay_s < 0.7
    kept = memory.window(0, memory.end)
    assert np.isfinite(kept).all()
    assert (len(kept) - int(np.argmax(kept[::-1] < 0.125))) / 2000 == pytest.approx(9.0, abs=0.002)
    level = pipeline.level
    assert (level.peak, level.rms, level.clipped_share) == pytest.approx((0.25, 0.25, 0))
    pipeline.flush()
    assert memory.end == 20_000


# Resampler


def resampled(samples: Samples, rate_hz: int, cuts: list[int], to_hz: int = 2000) -> Samples:
    resampler = Resampler(rate_hz, to_hz, "HQ")
    parts = [resampler.process(part) for part in np.split(samples, sorted(cuts))]
    return np.concatenate([*parts, resampler.flush()])


@pytest.mark.parametrize("rate_hz", [2000, 2001, 4000, 8000, 11025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resampling_a_stream_is_resampling_the_whole(rate_hz: int) -> None:
    rng = np.random.default_rng(rate_hz)
    for n in (0, 1, 17, rate_hz // 3, 3 * rate_hz + 11):
        samples = rng.normal(0, 0.2, n).astype(np.float32)
        whole = soxr.resample(samples, rate_hz, 2000, "HQ") if n else samples
        for cuts in ([], list(range(0, n, max(1, rate_hz // 40))), list(rng.integers(0, n + 1, 30))):
            found = resampled(samples, rate_hz, cuts)
            assert found.dtype == np.float32
            assert np.array_equal(found, whole)
        if rate_hz == 2000:
            assert np.array_equal(whole, samples)


@pytest.mark.parametrize("rate_hz", [4000, 8000, 11025, 44_100, 192_000])
def test_an_impulse_stays_where_it_was(rate_hz: int) -> None:
    for at_s in (0.0, 0.5, 1.2345, 2.0):
        samples = np.zeros(3 * rate_hz, dtype=np.float32)
        samples[round(at_s * rate_hz)] = 1
        found = resampled(samples, rate_hz, list(range(0, len(samples), 999)))
        assert abs(int(np.abs(found).argmax()) - at_s * 2000) <= 1


@pytest.mark.parametrize("rate_hz", [4000, 11025, 48_000])
@pytest.mark.parametrize(("pitch_hz", "gain"), [(30, 1.0), (100, 1.0), (400, 1.0), (1200, 0.0)])
def test_a_sine_in_the_band_keeps_its_amplitude_and_one_above_goes(rate_hz: int, pitch_hz: int, gain: float) -> None:
    t = np.arange(4 * rate_hz) / rate_hz
    found = resampled((0.5 * np.sin(2 * np.pi * pitch_hz * t)).astype(np.float32), rate_hz, [777])
    middle = found[2000:6000]
    assert np.sqrt(2 * (middle**2).mean()) == pytest.approx(0.5 * gain, abs=1e-3)


@pytest.mark.parametrize("rate_hz", [2000, 4000, 44_100, 192_000])
def test_the_delay_is_what_the_resampler_holds_back(rate_hz: int) -> None:
    resampler, given_samples = Resampler(rate_hz, 2000, "HQ"), 0
    for k in range(1, 81):
        given_samples += len(resampler.process(np.zeros(rate_hz // 40, dtype=np.float32)))
        assert resampler.delay_s == pytest.approx(k * (rate_hz // 40) / rate_hz - given_samples / 2000)
        assert -1e-9 <= resampler.delay_s < 0.33
    resampler.flush()
    assert abs(resampler.delay_s) <= 1 / 2000
    resampler.reset()
    assert resampler.delay_s == 0


# Meter


def test_cells_hold_peak_power_and_clipping() -> None:
    samples = np.concatenate([np.full(4, 0.5), [1, -1, 0, 0], [0.1]]).astype(np.float32)
    state = meter.step(samples, meter.init_state(), 4)
    assert (state.total, len(state.tail)) == (2, 1)
    np.testing.assert_allclose(state.cells, [[0.5, 0.25, 0], [1, 0.5, 0.5]])
    heard = meter.loudness(state, 0, 2)
    assert heard == pytest.approx((np.sqrt(0.375), 1.0, 0.25))
    assert meter.loudness(state, 1, 2) == pytest.approx((np.sqrt(0.5), 1.0, 0.5))
    assert meter.loudness(meter.trim(state, 1), 0, 2) == meter.loudness(state, 1, 2)
    assert meter.loudness(state, 2, 9) == (0.0, 0.0, 0.0)


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, 500), max_size=20), cell=st.integers(1, 60), seed=st.integers(0, 99))
def test_the_meter_does_not_depend_on_cuts(cuts: list[int], cell: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 0.6, 500).astype(np.float32)
    edges = np.float32(0.9999) * np.array([1, -1]), np.nextafter(np.float32(0.9999), np.float32([0, 2])), [1, -1]
    samples[rng.integers(0, 500, 30)] = rng.choice(np.concatenate(edges), 30)  # full scale, and all but that
    whole = meter.step(samples, meter.init_state(), cell)
    state = meter.init_state()
    for part in np.split(samples, sorted(cuts)):
        state = meter.step(part, state, cell)
    assert np.array_equal(state.cells, whole.cells)
    assert np.array_equal(state.tail, whole.tail)
    assert state.total == whole.total
