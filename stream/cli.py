"""`laennec demo`, `listen` and `replay`: the commands that run sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import SettingError
from stream import options
from stream.cases import CASES
from stream.monitor.palette import ThemeName
from stream.patient import NOISES, LostContact, Patient

if TYPE_CHECKING:
    from stream.block import Source

app = typer.Typer()

SpeedOption = Annotated[str, typer.Option("--speed", metavar="X|max", help="1 is real time; max as fast as it goes.")]


@app.command()
def demo(
    case: Annotated[str, typer.Argument(metavar="CASE", help=f"One of: {', '.join(CASES)}.")] = "normal",
    heart_rate_bpm: Annotated[float, typer.Option("--heart-rate", metavar="BPM", help="45 to 180.")] = 72.0,
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another patient.")] = 0,
    snr_db: Annotated[float, typer.Option("--snr", metavar="DB", help="Heart sound over noise.")] = 20.0,
    noise: Annotated[str, typer.Option("--noise", metavar="KIND", help=f"{', '.join(NOISES)}.")] = "ambient",
    lost_contact: Annotated[
        str | None, typer.Option("--lost-contact", metavar="S@T", help="No heart for S seconds, from second T on.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="X.wav",
            help="Only write the sound, 30 s or --seconds, and X.json, X.txt: the truth. All three are replaced.",
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="How long; else until Ctrl-C.")] = None,
    speed: SpeedOption = "1",
    model: options.ModelOption = None,
    log: options.LogOption = None,
    log_max_mb: options.LogMaxOption = None,
    log_daily: options.LogDailyOption = False,
    record: options.RecordOption = None,
    session: options.SessionOption = None,
    plain: options.PlainOption = False,
    json_lines: options.JsonOption = False,
    quiet: options.QuietOption = False,
    theme: options.ThemeOption = ThemeName.DARK,
    metrics: options.MetricsOption = None,
    metrics_host: options.MetricsHostOption = None,
) -> None:
    """Listen to a simulated patient: the whole pipeline, without a device or a file. On the screen ? explains the keys.

    The network learned from real recordings alone. It mostly recognises
    normal, systolic murmurs, extrasystoles and artifact, and not yet the
    diastolic murmur, S3 and S4.
    """
    from stream import running
    from stream.sinks import truth_files
    from stream.sources.simulated import SimulatedSource

    lost = LostContact.parse(lost_contact) if lost_contact is not None else None
    patient = Patient(case, heart_rate_bpm, seed=seed, snr_db=snr_db, noise=noise, lost_contact=lost)
    if out is not None:
        if any((speed != "1", model, log, record, session, plain, json_lines, metrics)):
            unused = "--speed, --model, --log, --record, --session, --plain, --json and --metrics"
            raise SettingError(f"--out runs no session: leave out {unused}")
        said = truth_files.write(out, patient, 30.0 if seconds is None else seconds)
        if not quiet:
            typer.echo(said)
        return
    source = SimulatedSource(patient, seconds, speed=options.speed(speed))
    output = options.output(
        log, log_max_mb, log_daily, record, plain, json_lines, quiet, metrics, metrics_host, session, theme
    )
    running.run(iter([lambda: source]), model, output)


@app.command()
def listen(
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="NAME|INDEX|ID", help="See `laennec devices`; else the remembered one, or the default."
        ),
    ] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", metavar="HZ", help="2000 to 192000; else the device's own.")
    ] = None,
    channel: options.ChannelOption = None,
    channels: options.ChannelsOption = None,
    remember: Annotated[bool, typer.Option("--remember", help="Listen to this device from now on.")] = False,
    max_gap_s: options.GapOption = None,
    ring_s: Annotated[float, typer.Option("--ring", metavar="S", help="Audio that may wait for the computer.")] = 10.0,
    block_frames: Annotated[
        int, typer.Option("--block", metavar="FRAMES", help="Per delivery of the device; 0: its own choice.")
    ] = 0,
    latency: Annotated[
        str, typer.Option("--latency", metavar="low|high|S", help="What the driver may hold back.")
    ] = "high",
    model: options.ModelOption = None,
    log: options.LogOption = None,
    log_max_mb: options.LogMaxOption = None,
    log_daily: options.LogDailyOption = False,
    record: options.RecordOption = None,
    session: options.SessionOption = None,
    plain: options.PlainOption = False,
    json_lines: options.JsonOption = False,
    quiet: options.QuietOption = False,
    theme: options.ThemeOption = ThemeName.DARK,
    metrics: options.MetricsOption = None,
    metrics_host: options.MetricsHostOption = None,
) -> None:
    """Listen live, through a microphone or a digital stethoscope. q or Ctrl-C ends; ? explains the other keys.

    A device that goes away is waited for, and opened again; the time between is counted as lost.

    With --channels each channel of one interface is a stream of its own, a row on the screen.
    """
    from stream import remembered, running, wedged
    from stream.other_input import Input, Inputs
    from stream.sources.capture import CaptureSpec
    from stream.sources.live import LiveSource
    from stream.sources.portaudio import PortAudio
    from stream.sources.quiet import quiet_stderr
    from stream.ward import running as ward
    from stream.ward.channels import Channels

    several = options.channels(channels, channel)
    spec = CaptureSpec(rate, channel, ring_s, block_frames, options.latency(latency), several)
    output = options.output(
        log, log_max_mb, log_daily, record, plain, json_lines, quiet, metrics, metrics_host, session, theme
    )
    held: list[wedged.Closable] = []

    def open_device(wanted: Input) -> LiveSource:
        with remembered.instead(wanted.device) as named:
            live = wedged.bounded(lambda: LiveSource(named, replace(spec, channel=wanted.channel), max_gap_s))
        if remember and not held:
            remembered.remember(str(live.description["id"]))
        held.append(live)
        return live

    first = Input(device, channel)
    # The screen stands still while the next device is looked for.
    inputs = Inputs(open_device, first, lambda: wedged.bounded(PortAudio().devices, limit_s=2.0))
    # ALSA and PortAudio write to standard error from C when a device dies.
    with wedged.left_behind(held), quiet_stderr():
        if several is None:
            running.run(inputs, model, output)
        else:
            ward.run(lambda: Channels(open_device(first)), model, output)


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="WAV, FLAC or OGG.")],
    speed: SpeedOption = "1",
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end, as a new session.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault", metavar="KIND=S@T|rate=PPM", help="As a device with faults: drop, unplug or stall; repeatable."
        ),
    ] = None,
    max_gap_s: options.GapOption = None,
    channel: options.ChannelOption = None,
    channels: options.ChannelsOption = None,
    together: Annotated[
        bool, typer.Option("--together", help="Hear all files at the same time, each a stream of its own.")
    ] = False,
    model: options.ModelOption = None,
    log: options.LogOption = None,
    log_max_mb: options.LogMaxOption = None,
    log_daily: options.LogDailyOption = False,
    record: options.RecordOption = None,
    session: options.SessionOption = None,
    plain: options.PlainOption = False,
    json_lines: options.JsonOption = False,
    quiet: options.QuietOption = False,
    theme: options.ThemeOption = ThemeName.DARK,
    metrics: options.MetricsOption = None,
    metrics_host: options.MetricsHostOption = None,
) -> None:
    """Hear recordings as simulated streams, one after the other or --together.

    All names are checked before the first is heard. On the screen ? explains the keys.
    """
    from stream import running
    from stream.sources.file import FileSource
    from stream.sources.opening import check_name
    from stream.sources.virtual import Fault, FaultySource

    pace, faults = options.speed(speed), [Fault.parse(text) for text in fault or ()]
    if max_gap_s is not None and not faults:
        raise SettingError("--max-gap says how long a device may stay away: give a --fault too")
    several = options.channels(channels, channel)
    output = options.output(
        log, log_max_mb, log_daily, record, plain, json_lines, quiet, metrics, metrics_host, session, theme
    )
    if together or several is not None:
        from stream.ward import running as ward
        from stream.ward.files import Files

        _check_together(files, together, loop, bool(faults))
        ward.run(lambda: Files(files, [channel] if several is None else several, pace), model, output)
        return
    _check_kept(files, loop, session, record, log)
    for path in files:
        check_name(path)

    def opened(path: Path) -> Source:
        if faults:
            return FaultySource(FileSource(path, channel, None), faults, pace, max_gap_s)
        return FileSource(path, channel, pace)

    def openers() -> Iterator[Callable[[], Source]]:
        while True:
            for path in files:
                yield lambda path=path: opened(path)  # type: ignore[misc]
            if not loop:
                return

    running.run(openers(), model, output)


def _check_together(files: list[Path], together: bool, loop: bool, faults: bool) -> None:
    """Refuse what says nothing of several streams at once."""
    if len(files) > 1 and not together:
        raise SettingError("--channels hears the channels of one file: give one, or --together to hear several files")
    if loop:
        raise SettingError("--loop begins a recording again as a new session: leave it out with --together, --channels")
    if faults:
        raise SettingError("--fault is for one stream: leave it out with --together and --channels")


def _check_kept(files: list[Path], loop: bool, session: Path | None, record: Path | None, log: Path | None) -> None:
    """Refuse to write over what is read, several streams into one recording, and folders without end."""
    if session and loop:
        raise SettingError("--session keeps a folder for each session, and --loop never ends: leave one of them out")
    if session:
        return  # in new folders there is nothing to write over
    if record and (loop or len(files) > 1):
        raise SettingError("--record keeps one stream: give one file, and no --loop; or --session DIR")
    for name, kept in {"--record": record, "--log": log}.items():
        if kept and kept.resolve() in {path.resolve() for path in files}:
            raise SettingError(f"{name} {kept}: would overwrite the recording that is replayed; give another name")
