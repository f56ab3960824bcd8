"""The channels of one interface: one ring, one clock; what is lost is lost of each, zeros are told of each alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_stream_attempt import DEVICE, RATE_HZ, Sound, passing

from models.errors import DeviceError, SettingError
from stream import options
from stream.block import Block, Condition
from stream.ring import Ring
from stream.sources.capture import CaptureSpec
from stream.sources.devices import DeviceInfo
from stream.sources.intake import Intake
from stream.sources.live import LiveSource
from stream.ward.channels import Channels

TICKS_A_SECOND = 100


class Interface(Sound):
    """A device with several channels: each sample says its own time and channel, but those of `silent` are zeros."""

    def __init__(self, channels: int, silent: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.device = replace(DEVICE, max_input_channels=channels)
        self.width = 0
        self.silent = silent
        self.made = 0

    def devices(self, anew: bool = False) -> list[DeviceInfo]:
        return [self.device] if super().devices(anew) else []

    def start(self, wanted, callback, finished):  # type: ignore[no-untyped-def]
        self.width = wanted.channels
        return super().start(wanted, callback, finished)

    def deliver(self, samples: int) -> None:
        at = np.arange(self.made, self.made + samples)
        self.made += samples
        frames = ((at[:, None] % 30_000 + 1) * 100 + np.arange(1, self.width + 1)).astype(np.float32) / (1 << 22)
        frames[:, [n - 1 for n in self.silent if n <= self.width]] = 0
        if self.callback and self.speaks:
            self.callback(frames, samples, None, None)


Heard = list[list[Block | Condition]]


def hear(sound: Interface, channels: tuple[int, ...], until_s: float) -> tuple[Channels, Heard]:
    """What each stream is told until a time, when it is stopped."""
    feed = Channels(LiveSource(None, CaptureSpec(RATE_HZ, channels=channels), None, sound))
    sound.at[until_s] = feed.stop
    found: Heard = [[] for _ in feed.members]
    for each in feed.rounds():
        assert len({k for k, _ in each}) == len(each), "a stream twice in a round"
        for k, given_out in each:
            found[k].append(given_out)
    feed.close()
    return feed, found


def samples(found: list[Block | Condition]) -> np.ndarray:
    return np.concatenate([block.samples for block in found if isinstance(block, Block)])


def shape(found: list[Block | Condition]) -> list[tuple[int, int, str]]:
    return [(b.start, b.lost, b.reason) for b in found if isinstance(b, Block)]


@given(
    capacity=st.integers(1, 25),
    width=st.integers(1, 4),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=40),
)
def test_a_ring_of_channels_gives_what_one_of_each_gives(
    capacity: int, width: int, steps: list[tuple[bool, int]]
) -> None:
    whole, alone = Ring(capacity, width), [Ring(capacity) for _ in range(width)]
    for writes, count in [*steps, (False, capacity)]:
        if writes:
            frames = np.arange(whole.written * width, (whole.written + count) * width, dtype=np.float32)
            whole.write(frames.reshape(count, width))
            for k, ring in enumerate(alone):
                ring.write(frames.reshape(count, width)[:, k])
            continue
        reading = whole.read(count)
        for k, ring in enumerate(alone):
            single = ring.read(count)
            np.testing.assert_array_equal(reading.samples[:, k], single.samples)
            assert (reading.start, reading.lost) == (single.start, single.lost)


@given(st.lists(st.integers(1, 12), min_size=1, unique=True))
def test_the_chosen_channels_come_out_in_their_order_and_no_more_is_kept_than_lies_between_them(
    channels: list[int],
) -> None:
    intake = Intake(4000, 100, tuple(channels), lambda: 0.0)
    frames = np.random.default_rng(0).standard_normal((40, 12)).astype(np.float32)
    intake.callback(frames, 40, None, None)
    block = intake.next_block()
    assert block is not None
    np.testing.assert_array_equal(block.samples, frames[:, [n - 1 for n in channels]])
    assert intake._ring._store.shape == (100, max(channels) - min(channels) + 1)


def test_each_channel_is_told_its_own_sound() -> None:
    feed, found = hear(Interface(4), (), until_s=2.0)
    assert [member.name for member in feed.members] == ["ch1", "ch2", "ch3", "ch4"]
    assert [member.description["channel"] for member in feed.members] == [1, 2, 3, 4]
    for number, each in enumerate(found, 1):
        heard = np.round(samples(each).astype(np.float64) * (1 << 22)).astype(int)
        assert set(heard % 100) == {number}
        np.testing.assert_array_equal(np.diff(heard // 100), 1)
        assert shape(each) == shape(found[0])


def test_only_those_that_were_chosen_are_streams() -> None:
    feed, found = hear(Interface(6), (5, 2), until_s=1.0)
    assert [member.name for member in feed.members] == ["ch2", "ch5"]
    for number, each in zip((2, 5), found, strict=True):
        assert set(np.round(samples(each).astype(np.float64) * (1 << 22)).astype(int) % 100) == {number}


def test_a_device_with_one_channel_is_one_stream() -> None:
    feed, found = hear(Interface(1), (), until_s=1.0)
    assert [member.name for member in feed.members] == ["ch1"]
    assert samples(found[0]).ndim == 1
    assert len(samples(found[0])) > 0.9 * RATE_HZ


def test_a_channel_of_zeros_is_told_and_the_others_are_not() -> None:
    _, found = hear(Interface(3, silent=(2,)), (), until_s=7.0)
    told = [[(x.state, x.detail) for x in each if isinstance(x, Condition)] for each in found]
    assert told == [[], [("listening", "nothing but zeros: muted or unplugged")], []]


def test_a_device_that_goes_and_comes_back_is_one_gap_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Interface(3, silent=(3,))
    passing(sound, 60.0, monkeypatch)
    sound.at[8.0] = sound.unplug
    sound.at[11.0] = lambda: setattr(sound, "present", True)
    _, found = hear(sound, (), until_s=14.0)
    for each in found:
        assert shape(each) == shape(found[0])
        states = [x.state for x in each if isinstance(x, Condition) and not x.detail.startswith("nothing")]
        assert [s for s in states if s != "reconnecting"] == ["lost", "listening"] or each is found[2]
        assert "lost" in states
        assert "reconnecting" in states
    lost = sum(b.lost for b in found[0] if isinstance(b, Block))
    assert 2.9 < lost / RATE_HZ < 6.0
    *_, zeros = [x for x in found[2] if isinstance(x, Condition)]
    assert zeros.detail == "nothing but zeros: muted or unplugged", "told again once the device is back"


def test_a_device_that_comes_back_with_fewer_channels_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Interface(3)
    passing(sound, 60.0, monkeypatch)

    def shrink() -> None:
        sound.present, sound.device = True, replace(sound.device, max_input_channels=2)

    sound.at[2.0] = sound.unplug
    sound.at[4.0] = shrink
    _, found = hear(sound, (), until_s=9.0)
    details = [x.detail for x in found[0] if isinstance(x, Condition)]
    assert any("there is no channel 3" in detail for detail in details), details
    assert [x.state for x in found[0] if isinstance(x, Condition)][-1] == "reconnecting"


def test_a_ceiling_of_channels_is_told_where_all_are_asked_for() -> None:
    feed, found = hear(Interface(64), (), until_s=0.5)
    assert len(feed.members) == 32
    (told,) = [x for x in found[31] if isinstance(x, Condition)]
    assert "names 64 channels, the first 32 are heard" in told.detail
    feed, found = hear(Interface(32), (), until_s=0.5)
    (told,) = [x for x in found[31] if isinstance(x, Condition)]
    assert "names 32 channels, all are heard; if it is a sound server" in told.detail
    feed, found = hear(Interface(64), (40, 41), until_s=0.5)
    assert [member.name for member in feed.members] == ["ch40", "ch41"]
    assert not [x for x in found[0] if isinstance(x, Condition)]


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="there is no channel 5"):
        LiveSource(None, CaptureSpec(RATE_HZ, channels=(1, 5)), None, Interface(4))
    with pytest.raises(SettingError, match="there is no channel 0"):
        CaptureSpec(channels=(0, 1))
    with pytest.raises(SettingError, match="leave one of them out"):
        CaptureSpec(channel=1, channels=())


def test_a_ring_for_many_channels_is_bounded() -> None:
    assert CaptureSpec(ring_s=10.0).ring_samples(192_000, 32) == 1_920_000
    with pytest.raises(SettingError, match="at 192000 Hz and 32 channels choose 21 s at most"):
        CaptureSpec(ring_s=60.0).ring_samples(192_000, 32)


@pytest.mark.parametrize("text", ["", "0", "1,,2", "a", "1-4", "1;2", "-1", "1,1", "٣", "99999999"])
def test_channels_that_are_none_are_refused_by_their_option(text: str) -> None:
    with pytest.raises(SettingError, match="--channels"):
        options.channels(text, None)


def test_channels_are_put_in_order() -> None:
    assert options.channels("4, 1,3", None) == (1, 3, 4)
    assert options.channels("all", None) == ()
    assert options.channels(None, 3) is None
