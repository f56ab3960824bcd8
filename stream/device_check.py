"""What a device sounds like and how well it keeps time: listens for some seconds, and says what to do about it."""

from __future__ import annotations

import time

from models.errors import DeviceError
from stream import wedged
from stream.block import Block, is_audio
from stream.doctor import Finding
from stream.sound_check import BANDS_HZ, Capture, Drift, Sound, drift, gather, measure, quantisation_dbfs_hz
from stream.sources.capture import CaptureSpec
from stream.sources.device import DeviceSource
from stream.sources.quiet import quiet_stderr
from stream.stopping import stopping

SETTLE_S = 0.5  # a sound card's own filters swing in: not judged
LEAST_S = 1.0  # less says nothing
START_LIMIT_S = 5.0  # wireless microphones take their time

QUIET_PEAK_DBFS = -60.0  # a heart 40 dB below the peak that the README aims at: its sounds drown in 16 bits' rounding
NOISY_FLOOR_DBFS = -40.0  # 20 dB below the least peak that the README aims at
HUM_DBFS = -60.0  # 20 dB below that floor, so that its lines do not stand out of a heart's murmur
OFFSET = 0.02  # sound cards have less than 1 %
STILL_SHARE = 0.05
#: Noise of electronics is flat (0 dB, within 2), a room's rises towards low frequencies (8 dB and more for pink noise),
#: and of 150 recordings with digital stethoscopes (PASCAL set B, CirCor) none had less than -3 dB at 20-60 Hz. A
#: fourth-order high-pass at 100 Hz takes 30 dB. One of second order at 100 Hz takes 16, and pink noise hides it. Loud
#: steady sound above 150 Hz (a chainsaw, the sea: ESC-10) is mistaken for a cut: hence a quiet room.
CUT_DB = 18.0
#: Beyond, frames against clock take a drift for losses; sound cards have some 100.
MOST_DRIFT_PPM = 500.0

_LOOK = "`laennec devices` lists what there is; check cable and connection"
_GAIN = "lower the input gain in the system's sound settings, or at the stethoscope"


def examine(device: str | int | None, spec: CaptureSpec, seconds: float, held: list[wedged.Closable]) -> list[Finding]:
    """Listen through a device and judge what comes; a signal ends the listening early.

    Closing takes 2 s at most, whatever the driver does.

    Args:
        device: as `DeviceSource.open` takes it.
        spec: rate and channel.
        seconds: how long to listen, >= 1.
        held: the device is added, for `wedged.left_behind`.
    """
    with stopping() as stopper, quiet_stderr():
        try:
            source = wedged.bounded(lambda: DeviceSource.open(device, spec))
        except DeviceError as error:
            return [_refused(error)]
        held.append(source)
        try:
            stopper.watch(source)
            capture, failure = listen(source, seconds)
        finally:
            source.close()
    heard = judge(capture) if len(capture.samples) or not failure else []
    return [_device(source, capture, failure), *heard]


def listen(source: DeviceSource, seconds: float) -> tuple[Capture, DeviceError | None]:
    """What came within `seconds` of the stream, and the failure that ended it early; it may take twice as long."""
    heard: list[tuple[Block, float]] = []
    failure = None
    wanted = round((SETTLE_S + seconds) * source.rate_hz)
    limit_s = time.monotonic() + 2 * seconds + START_LIMIT_S
    try:
        for item in source.blocks():
            if isinstance(item, Block):
                heard.append((item, source.last_s))
                if item.start + len(item.samples) >= wanted:
                    break
            if time.monotonic() > limit_s:
                break
    except DeviceError as error:
        failure = error
    return gather(heard, source.rate_hz, SETTLE_S), failure


def judge(capture: Capture) -> list[Finding]:
    """Findings on a capture, in words; on its sound only where there is a second of it."""
    rate_hz, heard_s = capture.rate_hz, len(capture.samples) / capture.rate_hz
    if heard_s < LEAST_S:
        what = f"{heard_s:.1f} s of sound came, too little to judge"
        return [Finding("level", "notice", what, "listen longer, with --seconds"), _losses(capture)]
    broken = 1 - is_audio(capture.samples).mean()
    if broken:
        what = f"{broken:.1%} of the values are no audio (NaN, infinite or huge)"
        return [Finding("level", "fails", what, "reconnect it, choose another --rate or input"), _losses(capture)]
    sound = measure(capture.samples, rate_hz)
    findings = [_level(sound)]
    if sound.still_share < 1:
        findings += [_clipping(sound), _floor(sound), _offset(sound), _hum(sound), _low_band(sound, rate_hz)]
    return [*findings, _losses(capture), _clock(capture, drift(capture))]


def _refused(error: DeviceError) -> Finding:
    """The message names cause and remedy already; what holds always is added."""
    return Finding("device", "fails", str(error), _LOOK)


def _device(source: DeviceSource, capture: Capture, failure: DeviceError | None) -> Finding:
    about = source.description
    detail = (
        f"{about['name']}, {about['host_api']}: channel {about['channel']} of {about['channels']} at "
        f"{source.rate_hz} Hz, judged by {len(capture.samples) / source.rate_hz:.1f} s"
    )
    if failure:
        return Finding("device", "fails", f"{detail}; {failure}", _LOOK)
    if source.note:
        return Finding("device", "notice", f"{detail}; {source.note}", "leave --rate out, or give one that it takes")
    return Finding("device", "ok", detail)


def _level(sound: Sound) -> Finding:
    if sound.still_share == 1:
        what = "nothing but silence, to the bit" if sound.peak_dbfs <= -200 else "one value over and over"
        remedy = "unmute the input, plug the microphone in, and allow the terminal to use it in the system's settings"
        return Finding("level", "fails", what, remedy)
    detail = f"{sound.level_dbfs:.1f} dBFS RMS, peak {sound.peak_dbfs:.1f} dBFS"
    if sound.still_share > STILL_SHARE:
        what = f"{detail}; {sound.still_share:.0%} of the time it stands still"
        return Finding("level", "notice", what, "switch off noise suppression and gates in the system's sound settings")
    if sound.peak_dbfs < QUIET_PEAK_DBFS:
        return Finding("level", "notice", f"{detail}: very quiet", "raise the input gain; is this the right input?")
    return Finding("level", "ok", detail)


def _clipping(sound: Sound) -> Finding:
    if sound.clipped_share:
        return Finding("clipping", "notice", f"{sound.clipped_share:.2%} of the samples are at full scale", _GAIN)
    return Finding("clipping", "ok", "none")


def _floor(sound: Sound) -> Finding:
    detail = f"{sound.floor_dbfs:.1f} dBFS in 25-400 Hz"
    if sound.floor_dbfs > NOISY_FLOOR_DBFS:
        remedy = "keep room and stethoscope still and look again; else lower the gain or change the cable"
        return Finding("noise floor", "notice", f"{detail}: loud, heart sounds may drown in it", remedy)
    return Finding("noise floor", "ok", detail)


def _offset(sound: Sound) -> Finding:
    detail = f"{sound.offset:.2%} of full scale"
    if abs(sound.offset) > OFFSET:
        what = f"{detail}: Laennec filters it out, but it takes room from one side, which clips early"
        return Finding("DC offset", "notice", what, "try another input or sound card; a cable or adapter may be faulty")
    return Finding("DC offset", "ok", detail)


def _hum(sound: Sound) -> Finding:
    if sound.hum is None:
        return Finding("hum", "ok", "no 50 or 60 Hz lines stand out")
    lines = ", ".join(map(str, sound.hum.lines_hz))
    detail = f"{lines} Hz stand out, of the {sound.hum.mains_hz} Hz mains: {sound.hum.level_dbfs:.1f} dBFS together"
    if sound.hum.level_dbfs > HUM_DBFS:
        remedy = "run the laptop on its battery, keep cables from power supplies, use a shielded cable or USB"
        return Finding("hum", "notice", detail, remedy)
    return Finding("hum", "ok", f"{detail}: too faint to matter")


def _low_band(sound: Sound, rate_hz: int) -> Finding:
    """Whether the noise floor betrays a high-pass. Noise alone can't prove one, so the words are careful."""
    low, middle, high = sound.bands_dbfs_hz
    (begin, end), (_, middle_end), (_, high_end) = BANDS_HZ
    detail = (
        f"steady noise at {begin:.0f}-{end:.0f} Hz {low - high:+.0f} dB, at {end:.0f}-{middle_end:.0f} Hz "
        f"{middle - high:+.0f} dB over {middle_end:.0f}-{high_end:.0f} Hz"
    )
    if low - high < -CUT_DB or middle - high < -CUT_DB:
        remedy = (
            "look for low cut, voice mode or noise suppression, at the device and in the system's settings; look "
            "again in a quiet room, then on a chest: if `laennec listen` shows no beats there, take another input"
        )
        return Finding("low frequencies", "notice", f"{detail}: looks cut, where heart sounds are", remedy)
    if high < quantisation_dbfs_hz(rate_hz) + CUT_DB:
        remedy = "raise the gain and look again; then on a chest, where `laennec listen` must show the beats"
        return Finding("low frequencies", "notice", f"{detail}: too quiet to tell whether they are cut", remedy)
    return Finding("low frequencies", "ok", f"{detail}: not cut steeply")


def _losses(capture: Capture) -> Finding:
    if capture.lost_samples:
        total = int(capture.counts[-1])
        share = capture.lost_samples / total
        detail = f"{capture.lost_samples} of {total} samples ({share:.1%}): {capture.lost_reasons}"
        remedy = "close other programs, use another USB port without a hub; wireless: come closer"
        return Finding("losses", "notice", detail, remedy)
    return Finding("losses", "ok", "none found (what the device itself loses in the last 3 s goes unseen)")


def _clock(capture: Capture, found: Drift | None) -> Finding:
    if found is None:
        why = "samples were lost" if capture.lost_samples else "it took too little time"
        longer = "listen longer, with --seconds; is it a real microphone?"
        remedy = "mend that first" if capture.lost_samples else longer
        return Finding("clock", "notice", f"drift is not known: {why}", remedy)
    detail = (
        f"{found.ppm:+.0f} ppm against the computer's, give or take {found.within_ppm:.0f} "
        f"after {capture.at_s[-1] - capture.at_s[0]:.0f} s"
    )
    if abs(found.ppm) - found.within_ppm > MOST_DRIFT_PPM:
        remedy = "try the device's own rate (leave --rate out), or another --rate; the computer may also be overloaded"
        return Finding("clock", "notice", f"{detail}: more than a sound card's", remedy)
    return Finding("clock", "ok", detail)
