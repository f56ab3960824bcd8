"""A device that loses, stalls, drifts, goes and comes back, on a virtual clock: nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import DeviceError, SettingError
from stream.block import CONDITIONS, Block, Condition
from stream.sources.capture import CaptureSpec
from stream.sources.device import DeviceSource
from stream.sources.devices import DeviceInfo, numbered
from stream.sources.file import FileSource
from stream.sources.live import LiveSource
from stream.sources.virtual import Fault, FaultySource, VirtualSound

RATE_HZ = 4000
SCALE = 1 << 23
TICK = RATE_HZ // 100
#: How far the stream's clock may be off after a loss that was measured by clock: a callback's length and a poll.
NEAR = 4 * TICK


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes; each sample says its own index, from 1."""
    path = tmp_path_factory.mktemp("ramp") / "ramp.wav"
    soundfile.write(path, np.arange(1, 120 * RATE_HZ + 1) / SCALE, RATE_HZ, "FLOAT")
    return path


def heard(path: Path, *faults: str, most_gap_s: float | None = None) -> list[Block | Condition]:
    source = FaultySource(FileSource(path), [Fault.parse(text) for text in faults], None, most_gap_s)
    found = list(source.blocks())
    source.close()
    return found


def blocks(found: Sequence[Block | Condition]) -> list[Block]:
    return [x for x in found if isinstance(x, Block)]


def conditions(found: Sequence[Block | Condition]) -> list[tuple[str, float]]:
    """Each state once: that it is told again, with another detail, is left out."""
    told = [(x.state, x.start / RATE_HZ) for x in found if isinstance(x, Condition)]
    return [x for x, before in zip(told, [("", 0.0), *told], strict=False) if x[0] != before[0]]


def places(found: Sequence[Block | Condition]) -> np.ndarray:
    """(n, 2) of each sample: its index in the stream, and in the microphone."""
    rows = [
        np.column_stack([block.start + np.arange(len(block.samples)), np.round(block.samples * float(SCALE)) - 1])
        for block in blocks(found)
    ]
    return np.concatenate(rows).astype(np.int64)


def check_ledger(found: Sequence[Block | Condition]) -> None:
    """Each block begins where the last ended, but for what it says was lost."""
    following = 0
    for block in blocks(found):
        assert block.start - block.lost == following
        assert bool(block.lost) == bool(block.reason)
        following = block.start + len(block.samples)


def test_without_faults_it_is_the_recording(ramp: Path) -> None:
    found = heard(ramp)
    assert conditions(found) == []
    stream, microphone = places(found).T
    assert np.array_equal(stream, microphone)
    assert len(stream) == 120 * RATE_HZ


def test_an_unplugged_device_is_waited_for_and_the_time_is_counted(ramp: Path) -> None:
    found = heard(ramp, "unplug=7@20")
    check_ledger(found)
    states = conditions(found)
    assert [state for state, _ in states] == ["lost", "reconnecting", "listening"]
    assert [at_s for _, at_s in states] == pytest.approx([20, 20, 27], abs=4)
    assert states[0][1] == pytest.approx(20, abs=0.05)
    assert [x.detail for x in found if isinstance(x, Condition)][2] == "it is not there: reconnect it"
    gaps = [block for block in blocks(found) if block.lost]
    assert {gap.reason for gap in gaps} == {"the device was away"}
    assert max(gap.lost for gap in gaps) <= 2.5 * RATE_HZ  # told while it is away, not all in the end
    assert 7 - 0.05 <= sum(gap.lost for gap in gaps) / RATE_HZ <= 7 + 4  # found again at one of the attempts
    stream, microphone = places(found).T
    assert np.abs(stream - microphone).max() <= NEAR


def test_attempts_grow_apart_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.ones(2000 * 400) / 4, 2000, "PCM_16")
    found = heard(path, "unplug=300@10")
    assert 300 - 0.1 <= sum(block.lost for block in blocks(found)) / 2000 <= 300 + 5.5
    assert [state for state, _ in conditions(found)] == ["lost", "reconnecting", "listening"]


@pytest.mark.parametrize("most_gap_s", [0.0, 3.0])
def test_a_device_that_stays_away_too_long_ends_the_session(ramp: Path, most_gap_s: float) -> None:
    source = FaultySource(FileSource(ramp), [Fault.parse("unplug=30@20")], None, most_gap_s)
    found: list[Block | Condition] = []
    with pytest.raises(DeviceError, match=f"--max-gap {most_gap_s:g}"):
        found.extend(source.blocks())
    source.close()
    assert conditions(found)[-1][0] == "gone"
    check_ledger(found)


def test_what_is_away_at_the_end_is_counted(ramp: Path) -> None:
    """Whether the session is ended meanwhile, or the device is given up."""
    found = heard(ramp, "unplug=1000@20")
    check_ledger(found)
    last = blocks(found)[-1]
    assert (len(last.samples), last.reason) == (0, "the device was away")
    assert last.start / RATE_HZ == pytest.approx(120, abs=0.1)
    assert [state for state, _ in conditions(found)] == ["lost", "reconnecting"]


def test_silence_at_the_end_is_counted(ramp: Path) -> None:
    found = heard(ramp, "stall=2@118.5")
    check_ledger(found)
    assert blocks(found)[-1].start + len(blocks(found)[-1].samples) == 120 * RATE_HZ


def test_a_loss_that_was_not_certain_yet_is_not_forgotten_when_the_device_goes(ramp: Path) -> None:
    found = heard(ramp, "drop=2@18", "unplug=3@20.5")
    check_ledger(found)
    stream, microphone = places(found).T
    assert abs(int((stream - microphone)[-1])) <= 2 * NEAR


def test_a_device_that_comes_and_goes_is_not_tried_in_a_tight_loop(ramp: Path) -> None:
    faults = [f"unplug=0.05@{at}" for at in np.arange(10, 40, 0.6).round(2)]
    found = heard(ramp, *faults)
    check_ledger(found)
    assert 5 < sum(state == "lost" for state, _ in conditions(found)) < 30
    stream, microphone = places(found).T
    assert np.abs(stream - microphone).max() <= 3 * NEAR


def test_one_of_two_of_a_make_is_never_taken_for_the_other(ramp: Path) -> None:
    class Pair(VirtualSound):
        """The device that is heard stands first; while it is away, its twin has its place and its id."""

        def devices(self, anew: bool = False) -> list[DeviceInfo]:
            twin = DeviceInfo(7, "ramp.wav", "virtual", 1, RATE_HZ, False)
            return numbered([*super().devices(anew), twin])

    sound = Pair(FileSource(ramp), [Fault("unplug", 10, 20)], None, lambda: live.stop())  # noqa: PLW0108 - made below
    live = LiveSource(None, CaptureSpec(), None, sound)
    found = list(live.blocks())
    live.close()
    check_ledger(found)
    said = [x.detail for x in found if isinstance(x, Condition) and x.state == "reconnecting"]
    assert "2 device(s) of this make were there, now 1: reconnect the same one" in said
    assert conditions(found)[-1][0] == "listening"
    assert conditions(found)[-1][1] >= 30 - 0.1


@pytest.mark.parametrize("most_gap_s", [-1.0, float("nan"), float("inf")])
def test_a_longest_gap_that_is_none_is_refused(ramp: Path, most_gap_s: float) -> None:
    with pytest.raises(SettingError, match="--max-gap"):
        heard(ramp, "stall=1@1", most_gap_s=most_gap_s)


def test_a_gap_within_the_limit_is_no_end(ramp: Path) -> None:
    assert "listening" in dict(conditions(heard(ramp, "unplug=1@20", most_gap_s=10)))


def test_a_short_stall_is_told_and_nothing_is_lost(ramp: Path) -> None:
    found = heard(ramp, "stall=3@20")
    states = conditions(found)
    assert [state for state, _ in states] == ["stalled", "listening"]
    stream, microphone = places(found).T
    assert np.array_equal(stream, microphone)
    assert len(stream) == 120 * RATE_HZ


def test_a_stall_is_told_within_a_second_even_where_nothing_follows(ramp: Path) -> None:
    source = FaultySource(FileSource(ramp), [Fault.parse("stall=100@20")], None)
    told = next(x for x in source.blocks() if isinstance(x, Condition))
    assert (told.state, told.start / RATE_HZ) == ("stalled", pytest.approx(20, abs=0.05))
    assert source._live._backend.now_s() == pytest.approx(20.8, abs=0.1)
    source.close()


def test_a_long_stall_is_a_loss_of_known_length(ramp: Path) -> None:
    found = heard(ramp, "stall=12@20")
    check_ledger(found)
    assert [state for state, _ in conditions(found)][:3] == ["stalled", "lost", "reconnecting"]
    assert conditions(found)[-1][0] == "listening"
    stream, microphone = places(found).T
    late = stream > 60 * RATE_HZ
    assert np.abs((stream - microphone)[late]).max() <= NEAR


@pytest.mark.parametrize("seconds", [0.5, 1.0, 4.0])
def test_dropped_samples_are_found_against_the_clock(ramp: Path, seconds: float) -> None:
    found = heard(ramp, f"drop={seconds}@20")
    check_ledger(found)
    stream, microphone = places(found).T
    late = stream > 40 * RATE_HZ
    assert np.abs((stream - microphone)[late]).max() <= NEAR
    assert sum(block.lost for block in blocks(found)) == pytest.approx(seconds * RATE_HZ, abs=NEAR)


@pytest.mark.parametrize("ppm", [-300, -40, 40, 300])
def test_a_drifting_clock_loses_nothing_and_its_drift_is_told(ramp: Path, ppm: int) -> None:
    source = FaultySource(FileSource(ramp), [Fault.parse(f"rate={ppm}")], None)
    found = list(source.blocks())
    assert source._live.drift_ppm == pytest.approx(ppm, abs=25)
    source.close()
    stream, microphone = places(found).T
    assert np.array_equal(stream, microphone)


def test_what_waits_in_the_ring_is_told_until_it_is_read(ramp: Path) -> None:
    sound = VirtualSound(FileSource(ramp), [], None, lambda: None)
    source = LiveSource(None, CaptureSpec(rate_hz=RATE_HZ, ring_s=1.0), 0.0, sound)
    waited_s = [source.waiting_s]
    for _ in range(150):  # ticks of 10 ms, in which nobody reads
        sound.sleep(0)
        waited_s.append(source.waiting_s)
    assert waited_s == pytest.approx([min(tick / 100, 1.0) for tick in range(151)], abs=2 / RATE_HZ)
    block = next(x for x in source.blocks() if isinstance(x, Block))
    assert block.lost == RATE_HZ / 2
    assert source.waiting_s == pytest.approx(0.9, abs=2 / RATE_HZ)
    source.close()


def test_zeros_alone_are_told_as_what_they_may_be(tmp_path: Path) -> None:
    path = tmp_path / "muted.wav"
    sound = np.random.default_rng(0).normal(0, 0.1, 20 * RATE_HZ)
    sound[8 * RATE_HZ : 14 * RATE_HZ] = 0
    soundfile.write(path, sound, RATE_HZ, "FLOAT")
    said = [x for x in heard(path) if isinstance(x, Condition)]
    assert [x.detail for x in said] == ["nothing but zeros: muted or unplugged", ""]
    assert said[0].start / RATE_HZ == pytest.approx(9, abs=0.3)
    assert said[1].start / RATE_HZ == pytest.approx(14, abs=0.3)


faults = st.lists(
    st.one_of(
        st.builds(
            Fault,
            st.sampled_from(["drop", "unplug", "stall"]),
            st.floats(0.02, 8),
            st.floats(0.1, 25),
        ),
        st.builds(Fault, st.just("rate"), st.integers(-300, 300).map(float)),
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `ramp`, but 45 s."""
    path = tmp_path_factory.mktemp("short") / "short.wav"
    soundfile.write(path, np.arange(1, 45 * RATE_HZ + 1) / SCALE, RATE_HZ, "FLOAT")
    return path


@settings(max_examples=30, deadline=None)
@given(some=faults)
def test_whatever_happens_the_ledger_is_whole_and_the_clock_is_true_in_the_end(short: Path, some: list[Fault]) -> None:
    """Against a plain reference: each sample knows when the microphone heard it."""
    source = FaultySource(FileSource(short), some, None)
    found: list[Block | Condition] = []
    try:
        found.extend(source.blocks())
    except DeviceError:
        assert not blocks(found)  # it never gave anything
        return
    finally:
        source.close()
    check_ledger(found)
    assert {state for state, _ in conditions(found)} <= set(CONDITIONS)
    if not len(places(found)):
        return
    stream, microphone = places(found).T
    assert (np.diff(microphone) > 0).all(), "a sample came twice, or in another order"
    assert (np.diff(stream) > 0).all()
    # Losses below a quarter second in a row, and drift, are all that may be left of the difference at the end.
    unseen = sum(0.3 * RATE_HZ for fault in some if fault.kind in {"drop", "stall"})
    first = microphone[0] - stream[0]  # what was over before the device was first heard
    assert abs((microphone - stream - first)[-1]) <= NEAR * (1 + len(some)) + unseen


@settings(max_examples=8, deadline=None)
@given(some=faults, seed=st.integers(0, 100))
def test_the_same_faults_give_the_same_events(short: Path, some: list[Fault], seed: int) -> None:
    def once() -> list[object]:
        source = FaultySource(FileSource(short, block_samples=37 + seed), some, None)
        told: list[object] = []
        try:
            for x in source.blocks():
                told.append(x if isinstance(x, Condition) else (x.start, len(x.samples), x.lost, x.reason))
        except DeviceError as error:
            told.append(str(error))
        source.close()
        return told

    assert once() == once()


@pytest.mark.parametrize(
    "text", ["", "drop", "drop=1", "drop=x@1", "rate=1e9", "rate=20000", "burn=1@2", "stall=1.2.3@4"]
)
def test_a_fault_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--fault"):
        Fault.parse(text)


@pytest.mark.parametrize(
    "values",
    [
        {"rate_hz": 1999},
        {"rate_hz": 192_001},
        {"channel": 0},
        {"ring_s": 0.0},
        {"ring_s": float("nan")},
        {"block_frames": -1},
        {"latency": "medium"},
        {"latency": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        CaptureSpec(**values)  # type: ignore[arg-type]


def test_a_ring_of_gigabytes_is_refused(ramp: Path) -> None:
    sound = VirtualSound(FileSource(ramp), [], None, lambda: None)
    device = sound.devices()[0]
    with pytest.raises(SettingError, match=r"--ring 9000: at 192000 Hz choose 699 s at most"):
        DeviceSource(device, CaptureSpec(rate_hz=192_000, ring_s=9000), sound)
    DeviceSource(device, CaptureSpec(rate_hz=4000, ring_s=9000), sound)


def test_a_refused_rate_is_replaced_by_one_that_works_and_said(ramp: Path) -> None:
    sound = VirtualSound(FileSource(ramp), [], None, lambda: None)
    live = LiveSource(None, CaptureSpec(rate_hz=8000), None, sound)
    assert live.rate_hz == RATE_HZ
    first = next(iter(live.blocks()))
    assert isinstance(first, Condition)
    assert (first.state, first.detail) == ("listening", "'ramp.wav' refuses 8000 Hz: heard at 4000 Hz")
    live.close()


def test_a_device_that_is_busy_is_refused_at_once(ramp: Path) -> None:
    sound = VirtualSound(FileSource(ramp), [Fault("unplug", 1e9, 0.5)], None, lambda: None)
    source = DeviceSource(sound.devices()[0], CaptureSpec(), sound)
    sound.sleep(0.6)
    with pytest.raises(DeviceError, match="is busy or gone"):
        source.start()


def test_a_fault_after_the_end_is_refused(ramp: Path) -> None:
    with pytest.raises(SettingError, match=r"--fault drop=1@120: the recording is over by then, after 120\.0 s"):
        heard(ramp, "rate=40", "drop=1@120")
