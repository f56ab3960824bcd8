"""Live capture through the real PortAudio and ALSA: exact, honest about losses, and never hanging on a dead device."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import numpy as np
import pytest
from audio_servers import (
    FULL_SCALE,
    alsa_environment,
    driving,
    endless,
    feeding,
    file_microphone,
    mono_file_microphone,
    pulse_server,
    ramp,
    require_portaudio,
    require_pulseaudio,
    run_driver,
)

from models.errors import DeviceError
from stream.sources import health
from stream.sources.devices import DeviceInfo, choose, numbered
from stream.sources.frame_clock import FrameClock
from stream.sources.portaudio import RefusedError, Wanted
from stream.sources.quiet import quiet_stderr

# ---------------------------------------------------------------------------------------------- exactness

RING_SAMPLES = 1 << 25  # the file plugin runs some 1000 times faster than real time: nothing may be lost meanwhile


@pytest.fixture(scope="module")
def ramp_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_portaudio()
    path = tmp_path_factory.mktemp("recording") / "ramp.raw"
    ramp(0, FULL_SCALE).tofile(path)
    return path


EXACT = f"""
rate_hz, block_frames = map(int, sys.argv[1:])
source = DeviceSource.open("filemic", CaptureSpec(rate_hz, None, {RING_SAMPLES} / rate_hz, block_frames))
blocks = take(source, 100_000)
source.close()
heard = np.concatenate([block.samples for block in blocks])
starts = np.cumsum([0] + [len(block.samples) for block in blocks])[:-1]
report(
    exact=bool(np.array_equal(counts(heard), np.arange(len(heard)))),
    in_order=[block.start for block in blocks] == starts.tolist(),
    lost=sum(block.lost for block in blocks),
    rates_hz=sorted({{block.rate_hz for block in blocks}}),
    dtype=str(heard.dtype),
    clean=source.closed_cleanly,
)
"""


@pytest.mark.parametrize(
    ("rate_hz", "block_frames"),
    [(4_000, 0), (8_000, 1), (16_000, 37), (44_100, 441), (48_000, 1009), (48_000, 48_001), (192_000, 0)],
)
def test_capture_is_exact_to_the_bit(tmp_path: Path, ramp_file: Path, rate_hz: int, block_frames: int) -> None:
    env = alsa_environment(tmp_path, mono_file_microphone("filemic", ramp_file))
    (facts,) = run_driver(EXACT, env, rate_hz, block_frames)
    assert facts == {
        "exact": True,
        "in_order": True,
        "lost": 0,
        "rates_hz": [rate_hz],
        "dtype": "float32",
        "clean": True,
    }


CHANNEL = f"""
channel = int(sys.argv[1]) or None
source = DeviceSource.open("filemic", CaptureSpec(4000, channel, {RING_SAMPLES} / 4000))
heard = np.concatenate([block.samples for block in take(source, 2000)])[:2000]
source.close()
report(heard=counts(heard).tolist(), description=source.description)
"""


@pytest.mark.parametrize(("channel", "heard", "channels"), [(None, 1, 32), (2, 2, 32), (40, 40, 40)])
def test_one_channel_is_chosen_never_a_mixture(tmp_path: Path, channel: int | None, heard: int, channels: int) -> None:
    require_portaudio()
    frames = (np.arange(20_000)[:, None] * 64 + np.arange(1, channels + 1)) / FULL_SCALE
    frames.astype(np.float32).tofile(tmp_path / "frames.raw")
    env = alsa_environment(tmp_path, file_microphone("filemic", tmp_path / "frames.raw"))
    (facts,) = run_driver(CHANNEL, env, channel or 0)
    assert facts["heard"] == (np.arange(2000) * 64 + heard).tolist()
    assert facts["description"] == {
        "kind": "device",
        "name": "filemic",
        "host_api": "ALSA",
        "index": 0,
        "id": "alsa:filemic",
        "rate_hz": 4000,
        "channel": heard,
        "channels": channels,
    }


# ---------------------------------------------------------------------------------------------- losses

OVERRUN = f"""
source = DeviceSource.open("filemic", CaptureSpec(48000, ring_s=0.5, block_frames=37))
expected, read, lost, losses, wrong = 0, 0, 0, 0, 0
for turn, block in enumerate(blocks_of(source)):
    wrong += block.start - block.lost != expected
    wrong += bool(block.lost) != ("overrun" in block.reason)
    expected = block.start + len(block.samples)
    read, lost, losses = read + len(block.samples), lost + block.lost, losses + bool(block.lost)
    if expected <= {FULL_SCALE}:  # the file's end: after it, the plugin repeats itself
        wrong += not np.array_equal(counts(block.samples), np.arange(block.start, expected))
        checked = expected
    else:
        source.stop()
    if turn % 20 == 10:
        time.sleep(0.02)  # the worker stalls
source.close()
balanced, left = read + lost == expected, source.intake.captured - expected
report(wrong=wrong, balanced=balanced, left=left, losses=losses, lost=lost, checked=checked)
"""


def test_stalled_reader_learns_the_exact_indices_it_lost(tmp_path: Path, ramp_file: Path) -> None:
    (facts,) = run_driver(OVERRUN, alsa_environment(tmp_path, mono_file_microphone("filemic", ramp_file)))
    assert facts["wrong"] == 0
    assert facts["balanced"]
    assert facts["left"] in (0, 37), "more than the one callback that was under way when the source was stopped"
    assert facts["losses"] >= 3
    assert facts["lost"] > 24_000
    assert facts["checked"] > FULL_SCALE // 2


GAP = """
source = DeviceSource.open("pulsemic", CaptureSpec(4000))
gaps, offsets = [], []
for block in blocks_of(source):
    if block.lost:
        gaps.append([block.lost, block.reason])
    offsets.append(int(counts(block.samples)[0]) - block.start)
    if block.start > 4000 * 6:
        source.stop()
source.close()
report(gaps=gaps, error_after=offsets[-1] - offsets[0], worst=max(offsets) - offsets[0])
"""


def test_samples_the_device_lost_are_found_against_the_clock(tmp_path: Path) -> None:
    require_pulseaudio()
    lost_chunks = [np.zeros(0)] * 50  # 1 s in which the device hears, but delivers nothing of it
    with pulse_server(tmp_path, 4_000) as server, feeding(server.fifo) as fed, driving(GAP, server.env) as driver:
        before = [ramp(at, 80) for at in range(0, 10_000, 80)]
        fed.start(itertools.chain(before, lost_chunks, endless(80, start=14_000)), chunk_s=0.02)
        (facts,) = driver.finish()
    ((lost, reason),) = facts["gaps"]
    assert lost == pytest.approx(4000, abs=400)
    assert "frames against clock" in reason
    assert facts["worst"] == 4000
    assert facts["error_after"] == pytest.approx(0, abs=400), "the stream's clock is still wrong after the loss"


def lateness_seen(rate_hz: int, callbacks: list[tuple[int, float]]) -> int:
    clock = FrameClock(rate_hz)
    for captured, at_s in callbacks:
        clock.observe(captured, at_s)
    return clock.missing_samples


def steady(rate_hz: float, duration_s: float, step_s: float = 0.02) -> list[tuple[int, float]]:
    """Callbacks in bursts of two, as PortAudio makes them; (captured samples, time)."""
    times = np.arange(step_s, duration_s, step_s)
    return [(round(rate_hz * t), 100.0 + t + (step_s if index % 2 else 0.0)) for index, t in enumerate(times)]


@pytest.mark.parametrize("parts_per_million", [-300, -100, 0, 100, 300])
def test_drift_of_two_clocks_is_no_loss(parts_per_million: int) -> None:
    assert lateness_seen(4000, steady(4000 * (1 + parts_per_million * 1e-6), duration_s=3 * 3600.0, step_s=0.1)) == 0


def test_stall_that_catches_up_is_no_loss() -> None:
    callbacks = [(captured, max(at_s, 113.0) if at_s > 110.0 else at_s) for captured, at_s in steady(48_000, 30.0)]
    assert lateness_seen(48_000, callbacks) == 0


def test_late_first_sample_is_no_loss() -> None:
    assert lateness_seen(48_000, [(0, 95.0), (0, 95.0), *steady(48_000, 10.0)]) == 0


def test_faster_than_real_time_is_no_loss() -> None:
    assert lateness_seen(4000, steady(4_000_000, 10.0)) == 0


def test_each_step_is_counted_once() -> None:
    callbacks = [
        (captured - 24_000 * (at_s > 110.0) - 48_000 * (at_s > 120.0), at_s) for captured, at_s in steady(48_000, 30.0)
    ]
    assert lateness_seen(48_000, callbacks) == pytest.approx(72_000, abs=100)


# ---------------------------------------------------------------------------------------------- dead devices

WEDGED = """
source = DeviceSource.open("filemic", CaptureSpec(48000))
read = 0
try:
    for block in blocks_of(source):
        read += len(block.samples)
except DeviceError as error:
    failed_s, message, code = time.monotonic(), str(error), error.exit_code
    silent_s = source.captured_s_ago()
began_s = time.monotonic()
source.close()
source.close()
report(
    read=read, captured=source.intake.captured, failed_s=failed_s, message=message, code=code, silent_s=silent_s,
    close_s=time.monotonic() - began_s, clean=source.closed_cleanly, done_s=time.monotonic(),
)
"""


def test_wedged_driver_is_noticed_and_let_go(tmp_path: Path) -> None:
    require_portaudio()
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("filemic", fed.fifo))
        with driving(WEDGED, env) as driver:
            fed.start([ramp(0, 60_000)])
            (facts,) = driver.finish()
            exit_s = time.monotonic()
    assert facts["read"] == facts["captured"] > 59_000, "what came before the end must be handed out"
    assert "gives no more audio" in facts["message"]
    assert facts["code"] == 4
    assert facts["failed_s"] - fed.fed_last_s < 4.5
    assert 3.4 < facts["silent_s"] < 4.5
    assert facts["close_s"] < 3.0
    assert not facts["clean"]
    assert exit_s - facts["done_s"] < 2.0, "the interpreter hung at exit"


STOPPED = """
source = DeviceSource.open("filemic", CaptureSpec(4000))
read = 0
for block in blocks_of(source):
    read += len(block.samples)
    if read > 1000:
        source.stop()
        time.sleep(0.3)  # what the device goes on delivering is not taken any more
        stopped = source.intake.captured
source.close()
report(read=read, stopped=stopped, clean=source.closed_cleanly)
"""


def test_stop_drains_the_ring_and_ends(tmp_path: Path) -> None:
    require_portaudio()
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("filemic", fed.fifo))
        with driving(STOPPED, env) as driver:
            fed.start(endless(80), chunk_s=0.02)
            (facts,) = driver.finish()
    # The FIFO holds what was fed while the program started.
    assert 1000 < facts["read"] == facts["stopped"] < 20_000
    assert facts["clean"]


def silence_of(captured: int, times_s: list[float]) -> list[health.Watch]:
    """What watching says at each time, while nothing more comes."""
    watch, seen = health.look(health.Watch(), captured, times_s[0]), []
    for at_s in times_s[1:]:
        watch = health.look(watch, captured, at_s)
        seen.append(watch)
    return seen


def test_watching_counts_only_the_time_it_watched() -> None:
    watch = health.look(health.look(health.Watch(), 100, 0.0), 100, 60.0)
    assert not health.lost(watch), "the program was suspended, not the device"
    seen = silence_of(100, [60 + 0.01 * step for step in range(500)])
    assert [health.stalled(w) for w in seen].index(True) == pytest.approx(75, abs=2)
    assert [health.lost(w) for w in seen].index(True) == pytest.approx(350, abs=2)
    assert not health.stalled(health.look(seen[-1], 101, 64.0))


def test_time_is_granted_before_the_first_sample() -> None:
    seen = silence_of(0, [0.01 * step for step in range(700)])
    assert not any(health.stalled(w) for w in seen)
    assert [health.lost(w) for w in seen].index(True) == pytest.approx(500, abs=3)


@pytest.mark.parametrize("cut", [1, 7, 400])
def test_zeros_are_flat_after_a_second_if_there_was_more_before(cut: int) -> None:
    sound = np.zeros(4000, dtype=np.float32)
    sound[500] = 1e-9
    flat, since = health.Flat(), []
    for samples in np.split(np.concatenate([sound, np.zeros(2000, np.float32)]), range(cut, 6000, cut)):
        flat = health.hear(flat, samples)
        since.append(health.is_flat(flat, 4000))
    assert since.index(True) * cut == pytest.approx(4501, abs=2 * cut)
    for seconds, flat_now in ((4, False), (6, True)):  # it never spoke: it may still begin
        never = health.hear(health.Flat(), np.zeros(seconds * 4000, np.float32))
        assert health.is_flat(never, 4000) == flat_now


# ---------------------------------------------------------------------------------------------- PulseAudio

PULSE = """
rate_hz = int(sys.argv[1])
source = DeviceSource.open("pulsemic", CaptureSpec(rate_hz))
blocks = take(source, rate_hz)
heard = np.concatenate([block.samples for block in blocks])
report(
    steps=np.unique(np.diff(counts(heard))).tolist(), lost=sum(block.lost for block in blocks),
    silence=int(np.count_nonzero(heard == 0)), description=source.description,
)
try:
    for block in blocks_of(source):
        pass
except DeviceError as error:
    report(failed_s=time.monotonic(), message=str(error))
source.close()
report(clean=source.closed_cleanly)
"""


@pytest.mark.parametrize("rate_hz", [4_000, 44_100])
def test_pulseaudio_is_exact_and_its_death_is_noticed(tmp_path: Path, rate_hz: int) -> None:
    require_pulseaudio()
    with pulse_server(tmp_path, rate_hz) as server, feeding(server.fifo) as fed:
        fed.start(endless(rate_hz // 50, start=1), chunk_s=0.02)
        with driving(PULSE, server.env, rate_hz) as driver:
            first = driver.next_report()
            killed_s = time.monotonic()
            server.kill()
            failure, closed = driver.finish()
    assert first["steps"] == [1], "PulseAudio's stream is not the ramp that was fed"
    assert (first["silence"], first["lost"]) == (0, 0)
    assert (first["description"]["name"], first["description"]["channel"]) == ("pulsemic", 1)
    assert "went away" in failure["message"]
    assert failure["failed_s"] - killed_s < 2.0
    assert closed["clean"]


def test_suspended_source_is_noticed_though_the_stream_stays_active(tmp_path: Path) -> None:
    require_pulseaudio()
    with pulse_server(tmp_path, 4_000) as server, feeding(server.fifo) as fed:
        fed.start(endless(80, start=1), chunk_s=0.02)
        with driving(PULSE, server.env, 4_000) as driver:
            driver.next_report()
            suspended_s = time.monotonic()
            server.control("suspend-source", "mic", "1")
            failure, closed = driver.finish()
    assert "gives no more audio" in failure["message"]
    assert 3.0 < failure["failed_s"] - suspended_s < 5.5
    assert closed["clean"]


REFUSED = """
list_devices()  # PortAudio has seen the device
report(ready=True)
time.sleep(0.5)  # the server is killed now
try:
    DeviceSource.open("pulsemic", CaptureSpec(4000))
except DeviceError as error:
    report(message=str(error))
"""


def test_device_that_can_not_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    require_pulseaudio()
    with pulse_server(tmp_path, 4_000) as server, driving(REFUSED, server.env) as driver:
        driver.next_report()
        server.kill()
        (facts,) = driver.finish()
    assert "'pulsemic'" in facts["message"]
    assert "\n" not in facts["message"]


# ---------------------------------------------------------------------------------------------- choosing

SELECT = """
report(devices=[[d.index, d.name, d.host_api, d.max_input_channels, d.is_default] for d in list_devices()])
for arguments in [("nothing",), ("mic",), ("99",), ("one mic", CaptureSpec(4000, 2)), ("MANY",)]:
    try:
        source = DeviceSource.open(*arguments)
        source.close()
        report(opened=source.description["name"], rate_hz=source.rate_hz)
    except LaennecError as error:
        report(message=str(error), code=error.exit_code)
"""


def test_listing_and_refusals_through_portaudio(tmp_path: Path) -> None:
    require_portaudio()
    raw = tmp_path / "microphone.raw"
    ramp(0, 1000).tofile(raw)
    devices = mono_file_microphone("'one mic'", raw) + file_microphone("'many mic'", raw)
    listing, nothing, several, number, channel, opened = run_driver(SELECT, alsa_environment(tmp_path, devices))
    assert sorted(row[1:4] for row in listing["devices"]) == [["many mic", "ALSA", 128], ["one mic", "ALSA", 1]]
    assert sum(row[4] for row in listing["devices"]) == 1
    assert "no input device matches 'nothing'" in nothing["message"]
    assert "one mic" in nothing["message"]
    assert "several input devices match 'mic'" in several["message"]
    assert "no input device matches '99'" in number["message"]
    assert channel["message"] == "'one mic' has 1 input channel(s), so there is no channel 2"
    assert {facts["code"] for facts in (nothing, several, number, channel)} == {4}
    assert opened == {"opened": "many mic", "rate_hz": 44_100}


NO_DEVICE = """
try:
    report(devices=len(list_devices()))
    DeviceSource.open()
except DeviceError as error:
    report(message=str(error))
"""


def test_computer_without_a_microphone(tmp_path: Path) -> None:
    require_portaudio()
    (tmp_path / "asound.conf").write_text("pcm.nothing { type empty }\n")
    listing, refusal = run_driver(NO_DEVICE, {"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")})
    assert listing == {"devices": 0}
    assert "no audio input device found" in refusal["message"]


NO_PORTAUDIO = """
import ctypes.util
ctypes.util.find_library = lambda name: None  # what the system answers where the library is not installed
try:
    DeviceSource.open()
except DeviceError as error:
    report(message=str(error))
"""


def test_missing_portaudio_is_named_with_its_remedy(tmp_path: Path) -> None:
    (facts,) = run_driver(NO_PORTAUDIO, {})
    assert "PortAudio is not installed" in facts["message"]
    assert "apt install libportaudio2" in facts["message"]


def info(index: int, name: str, *, host_api: str = "ALSA", is_default: bool = False) -> DeviceInfo:
    return DeviceInfo(index, name, host_api, 2, 44_100, is_default)


USB, BUILT_IN, SEVEN = info(3, "USB Stethoscope"), info(5, "Built-in", is_default=True), info(9, "7")
USB_AGAIN = info(6, "USB Stethoscope", host_api="JACK")
DEVICES = [USB, BUILT_IN, USB_AGAIN, SEVEN]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, BUILT_IN),
        (3, USB),
        ("6", USB_AGAIN),
        ("built", BUILT_IN),
        ("usb stethoscope, alsa", USB),
        ("jack", USB_AGAIN),
        ("7", SEVEN),
    ],
)
def test_device_is_found_by_index_name_or_part_of_it(wanted: str | int | None, found: DeviceInfo) -> None:
    assert choose(DEVICES, wanted) == found


def test_no_default_device_lists_what_there_is() -> None:
    with pytest.raises(DeviceError, match=r"no default input device: choose one with --device from 3: USB"):
        choose([USB], None)


@pytest.mark.parametrize("wanted", [-1, "-1", 4])
def test_index_that_is_not_an_input_is_refused(wanted: str | int) -> None:
    with pytest.raises(DeviceError, match=f"no input device matches '{wanted}'"):
        choose(DEVICES, wanted)


def test_same_name_under_two_host_apis_asks_for_the_number() -> None:
    with pytest.raises(DeviceError, match="3: USB Stethoscope, ALSA; 6: USB Stethoscope, JACK"):
        choose(DEVICES, "usb stethoscope")


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        (
            "Error opening InputStream: Invalid sample rate [PaErrorCode -9997]",
            "refuses a rate of 4000 Hz.*--rate 44100",
        ),
        ("Error opening InputStream: Device unavailable [PaErrorCode -9985]", "busy or gone"),
        ("Error opening InputStream: Invalid number of channels [PaErrorCode -9998]", "2 channel.*Invalid number"),
    ],
)
def test_portaudios_refusals_are_put_into_words(complaint: str, said: str) -> None:
    refusal = RefusedError(Wanted(USB, 4000, 2, 0, "high"), complaint)
    assert refusal.rate == ("sample rate" in complaint)
    assert "'USB Stethoscope'" in str(refusal)
    with pytest.raises(DeviceError, match=said):
        raise refusal


@pytest.mark.parametrize(
    ("name", "later", "id_"),
    [
        ("USB Audio: - (hw:1,0)", "USB Audio: - (hw:3,0)", "alsa:usb-audio"),
        ("Eko CORE", "Eko CORE", "alsa:eko-core"),
        ("Mikrofon (Übung)", "Mikrofon (Übung)", "alsa:mikrofon-übung"),
        ("hw:0,0", "hw:0,0", "alsa:hw-0-0"),
    ],
)
def test_an_id_does_not_depend_on_the_order_of_plugging_in(name: str, later: str, id_: str) -> None:
    assert info(1, name).id == info(7, later).id == id_
    assert choose([USB, info(7, later)], id_) == info(7, later)


def test_two_of_one_make_are_told_apart_by_their_order() -> None:
    twins = numbered([info(1, "Eko CORE"), USB, info(4, "Eko CORE")])
    assert [device.id for device in twins] == ["alsa:eko-core", "alsa:usb-stethoscope", "alsa:eko-core#2"]
    assert choose(twins, "alsa:eko-core#2").index == 4
    assert choose(twins, "alsa:eko-core").index == 1


@pytest.mark.parametrize(
    ("name", "looks"),
    [("USB Stethoscope", True), ("Eko CORE", True), ("3M Littmann", True), ("DS32a", True), ("Gecko Audio", False)],
)
def test_what_looks_like_a_stethoscope(name: str, looks: bool) -> None:
    assert info(0, name).looks_like_stethoscope == looks


def test_quiet_stderr_drops_what_c_code_writes(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"dropped\n")
    os.write(2, b"seen again\n")
    assert capfd.readouterr().err == "seen again\n"
