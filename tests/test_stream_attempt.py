"""Opening a lost device again where the sound system hangs, refuses, or gives nothing: told, counted, in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import groupby

import numpy as np
import pytest

from models.errors import DeviceError
from stream.block import Block, Condition
from stream.sources import attempt, device, health
from stream.sources.capture import CaptureSpec
from stream.sources.devices import DeviceInfo
from stream.sources.live import LiveSource
from stream.sources.portaudio import Wanted

RATE_HZ = 4000
TICK = RATE_HZ // 100
DEVICE = DeviceInfo(0, "a stethoscope", "virtual", 1, RATE_HZ, True)


class Stream:
    """Lets go at once, or never."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound

    def abort(self) -> None:
        self._sound.callback = None
        self._sound.aborted += 1
        self._sound.released.wait()

    def close(self) -> None:
        """Nothing is left to do."""


class Sound:
    """A device on a virtual clock, as a `Backend`, whose calls hang where a test says so."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.callback: Callable[..., None] | None = None
        self.finished: Callable[[], None] = lambda: None
        self.present = self.speaks = True
        self.released, self.answers = threading.Event(), threading.Event()  # hang while not set
        self.released.set()
        self.answers.set()
        self.opened = self.aborted = self.listed = 0
        self.abandoned = False
        self.sounds = np.ones(TICK, np.float32)
        self.at: dict[float, Callable[[], None]] = {}

    def devices(self, anew: bool = False) -> list[DeviceInfo]:
        if anew:
            self.listed += 1
            self.answers.wait()
        return [DEVICE] if self.present else []

    def start(self, _wanted: Wanted, callback: Callable[..., None], finished: Callable[[], None]) -> Stream:
        self.callback, self.finished = callback, finished
        self.opened += 1
        return Stream(self)

    def abandon(self) -> None:
        self.abandoned = True

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, _seconds: float) -> None:
        self.time_s += 0.01
        for at_s in [at_s for at_s in self.at if at_s <= self.time_s]:
            self.at.pop(at_s)()
        self.deliver(TICK)

    def deliver(self, samples: int) -> None:
        if self.callback and self.speaks:
            self.callback(np.resize(self.sounds, (samples, 1)), samples, None, None)

    def unplug(self) -> None:
        self.present, self.callback = False, None
        self.finished()


@pytest.fixture
def sound() -> Sound:
    return Sound()


def told(found: list[Block | Condition]) -> list[str]:
    """What was said of the device, each once."""
    return [text for text, _ in groupby(x.detail or x.state for x in found if isinstance(x, Condition))]


def length_s(found: list[Block | Condition]) -> float:
    """Of the stream, each block beginning where the last one ended."""
    following = 0
    for block in found:
        if isinstance(block, Block):
            assert block.start - block.lost == following
            following = block.start + len(block.samples)
    return following / RATE_HZ


def passing(sound: Sound, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the virtual clock go on also while an attempt is waited for; that takes real time otherwise."""
    real = attempt.Attempt.wait

    def wait(self: attempt.Attempt, wanted_s: float) -> None:
        real(self, 0.001)
        if self.running:
            self._waited_s += wanted_s
            sound.time_s += wanted_s
        assert sound.time_s < seconds, "nobody ended it"

    monkeypatch.setattr(attempt.Attempt, "wait", wait)


def test_a_capture_that_was_opened_in_vain_and_hangs_is_not_forgotten(
    sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking for devices anew would close it a second time, and wait for ever."""
    monkeypatch.setattr(device, "CLOSE_LIMIT_S", 0.05)
    live = LiveSource(None, CaptureSpec(), None, sound)

    def back_but_mute() -> None:
        sound.present, sound.speaks = True, False
        sound.released.clear()  # from here on nothing is let go

    sound.at = {5.0: sound.unplug, 6.0: back_but_mute, 40.0: live.stop}
    found = list(live.blocks())
    assert sound.opened == 2, "one was opened in vain, and no more"
    assert "the driver hangs and does not let go: reconnect the device, or start anew" in told(found)
    listed = sound.listed
    live.close()
    assert not live.closed_cleanly
    assert sound.abandoned
    sound.released.set()
    assert listed <= 4
    assert length_s(found) == pytest.approx(40, abs=0.1)


def test_a_sound_system_that_hangs_while_the_device_is_looked_for_is_told_and_time_goes_on(
    sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    passing(sound, 60, monkeypatch)
    live = LiveSource(None, CaptureSpec(), None, sound)
    sound.answers.clear()
    sound.at = {5.0: sound.unplug}
    found: list[Block | Condition] = []
    for heard in live.blocks():
        found.append(heard)
        if sound.time_s > 20:
            live.stop()
    assert "the sound system does not answer: restart it" in told(found)
    losses = [x for x in found if isinstance(x, Block) and x.lost]
    assert len(losses) > 8, "told while it passes"
    assert length_s(found) == pytest.approx(sound.time_s, abs=0.2)
    live.close()
    assert not live.closed_cleanly
    sound.answers.set()


@pytest.mark.parametrize("most_gap_s", [0.0, 0.1, 3.0, 4.0, 8.0, 20.0])
@pytest.mark.parametrize("back", ["never", "mute", "hangs"])
def test_the_longest_gap_is_kept_to_the_second(
    sound: Sound, monkeypatch: pytest.MonkeyPatch, most_gap_s: float, back: str
) -> None:
    passing(sound, 60, monkeypatch)
    live = LiveSource(None, CaptureSpec(), most_gap_s, sound)

    def mute() -> None:
        sound.present, sound.speaks = True, False

    sound.at = {5.0: sound.unplug} | ({5.5: mute} if back == "mute" else {})
    if back == "hangs":
        sound.answers.clear()
    found: list[Block | Condition] = []
    with pytest.raises(DeviceError, match=f"--max-gap {most_gap_s:g}"):
        found.extend(live.blocks())
    least_s = attempt.HANGS_S if back == "hangs" and most_gap_s else 0.0
    assert sound.time_s - 5.0 == pytest.approx(max(most_gap_s, least_s), abs=0.15)
    sound.answers.set()
    live.close()


def test_what_comes_as_the_device_is_given_up_is_counted(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stalled device wakes, between the last look and the verdict, and delivers all that it kept."""
    judge, woken = health.lost, []

    def lost(watch: health.Watch) -> bool:
        verdict = judge(watch)
        if verdict and not woken:
            woken.append(sound.time_s)
            sound.speaks = True
            sound.deliver(round((sound.time_s - 5.0) * RATE_HZ))
        return verdict

    monkeypatch.setattr(health, "lost", lost)
    live = LiveSource(None, CaptureSpec(), None, sound)

    def fall_silent() -> None:
        sound.speaks = False

    sound.at = {5.0: fall_silent, 20.0: live.stop}
    found = list(live.blocks())
    live.close()
    assert woken
    assert length_s(found) == pytest.approx(20.0, abs=0.1)
    assert sum(x.lost for x in found if isinstance(x, Block)) / RATE_HZ == pytest.approx(woken[0] - 5.0, abs=0.1)


def test_what_was_opened_is_closed_where_the_rest_fails(sound: Sound) -> None:
    """The devices are listed once, before one of them is opened."""

    def refuse(anew: bool = False) -> list[DeviceInfo]:
        raise DeviceError("PortAudio fails")

    sound.devices = refuse  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="PortAudio fails"):
        LiveSource(None, CaptureSpec(), None, sound)
    assert sound.opened == 0


def test_the_program_waits_for_a_device_that_is_letting_go_and_no_longer(
    sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "CLOSE_LIMIT_S", 0.5)
    live = LiveSource(None, CaptureSpec(), None, sound)
    sound.released.clear()
    began_s = time.monotonic()
    live.close()
    assert 0.4 < time.monotonic() - began_s < 2
    assert not live.closed_cleanly
    sound.released.set()
    live.close()  # waits until it has let go
    assert live.closed_cleanly
    assert sound.aborted == 1


def test_values_that_are_no_audio_are_told_as_a_stall(sound: Sound) -> None:
    live = LiveSource(None, CaptureSpec(), None, sound)

    def give(value: float) -> None:
        sound.sounds = np.full(TICK, value, np.float32)

    sound.at = {8.0: lambda: give(np.nan), 14.0: lambda: give(0.5), 20.0: live.stop}
    said = [(x.state, x.detail, x.start / RATE_HZ) for x in live.blocks() if isinstance(x, Condition)]
    live.close()
    stalled = ("stalled", "values that are no audio: reconnect it, or choose another input", pytest.approx(9, abs=0.2))
    assert said == [stalled, ("listening", "", pytest.approx(14, abs=0.2))]


def test_a_damaged_value_now_and_then_is_no_stall(sound: Sound) -> None:
    live = LiveSource(None, CaptureSpec(), None, sound)
    sound.sounds[7] = np.inf
    sound.at = {10.0: live.stop}
    assert not [x for x in live.blocks() if isinstance(x, Condition)]
    live.close()
