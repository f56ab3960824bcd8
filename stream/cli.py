"""`laennec demo`, `listen`, `replay`, `classify`, `devices` and `doctor`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import InputFileError, LaennecError, SettingError
from stream import display, options
from stream.block import Source
from stream.cases import CASES
from stream.patient import NOISES, LostContact, Patient
from stream.session import Session
from stream.sinks.recorder import Recorder

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
    record: options.RecordOption = None,
    plain: options.PlainOption = False,
    json_lines: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Listen to a simulated patient: the whole pipeline, without a device or a file.

    The network learned from real recordings alone. Of these patients it recognises systolic murmurs, artifact and
    mostly normal, and not yet the diastolic murmur, S3, S4 and extrasystoles.
    """
    from stream.sinks import truth_files
    from stream.sources.simulated import SimulatedSource

    lost = LostContact.parse(lost_contact) if lost_contact is not None else None
    patient = Patient(case, heart_rate_bpm, seed=seed, snr_db=snr_db, noise=noise, lost_contact=lost)
    if out is not None:
        if any((speed != "1", model, log, record, plain, json_lines)):
            raise SettingError("--out runs no session: leave out --speed, --model, --log, --record, --plain and --json")
        said = truth_files.write(out, patient, 30.0 if seconds is None else seconds)
        if not quiet:
            typer.echo(said)
        return
    source = SimulatedSource(patient, seconds, speed=options.speed(speed))
    _run(iter([lambda: source]), model, options.Output(log, record, plain, json_lines, quiet))


@app.command()
def listen(
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME|INDEX", help="See `laennec devices`; else the default.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", metavar="HZ", help="2000 to 192000; else the device's own.")
    ] = None,
    channel: options.ChannelOption = None,
    model: options.ModelOption = None,
    log: options.LogOption = None,
    record: options.RecordOption = None,
    plain: options.PlainOption = False,
    json_lines: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Listen live, through a microphone or a digital stethoscope. Ctrl-C ends."""
    from stream.sources.device import DeviceSource
    from stream.sources.portaudio import quiet_stderr

    held: list[DeviceSource] = []

    def open_device() -> Source:
        held.append(DeviceSource.open(device, rate, channel))
        return held[-1]

    try:
        with quiet_stderr():  # ALSA and PortAudio write there from C when a device dies
            _run(iter([open_device]), model, options.Output(log, record, plain, json_lines, quiet))
    except LaennecError as error:
        _leave_if_wedged(held, error)
        raise
    _leave_if_wedged(held, None)


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="WAV, FLAC or OGG.")],
    speed: SpeedOption = "1",
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end, as a new session.")] = False,
    channel: options.ChannelOption = None,
    model: options.ModelOption = None,
    log: options.LogOption = None,
    record: options.RecordOption = None,
    plain: options.PlainOption = False,
    json_lines: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Hear recordings as simulated streams."""
    from stream.sources.file import FileSource

    pace = options.speed(speed)
    if record and (loop or len(files) > 1):
        raise SettingError("--record keeps one stream: give one file, and no --loop")
    for name, kept in (("--record", record), ("--log", log)):
        if kept and kept.resolve() in {path.resolve() for path in files}:
            raise SettingError(f"{name} {kept}: would overwrite the recording that is replayed; give another name")

    def openers() -> Iterator[Callable[[], Source]]:
        while True:
            for path in files:
                yield lambda path=path: FileSource(path, channel, pace)  # type: ignore[misc]
            if not loop:
                return

    _run(openers(), model, options.Output(log, record, plain, json_lines, quiet))


@app.command()
def classify(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Sound files, or folders of them.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.csv|.jsonl", help="Else CSV on standard output.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="Files at a time.")] = 1,
    channel: options.ChannelOption = None,
    model: options.ModelOption = None,
) -> None:
    """One row per recording: what the whole of it sounds like. Folders are walked."""
    from stream import classify as classifier
    from stream.sinks.table import table

    bundle = bundles.load(model or bundles.SHIPPED)
    found = classifier.expand(paths)
    bad = 0
    with table(out, classifier.COLUMNS) as write:
        for row in classifier.rows(found, bundle, channel, jobs):
            write(row)
            bad += bool(row["error"])
    if bad:
        raise InputFileError(f"{bad} of {len(found)} recordings can't be used; see the column 'error'")


@app.command()
def devices(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What can be heard through."""
    from dataclasses import asdict

    from stream.sources import portaudio

    found = portaudio.list_devices()
    if as_json:
        typer.echo(json.dumps([asdict(d) for d in found], indent=2, ensure_ascii=False))
        return
    for d in found:
        default = "  (default)" if d.is_default else ""
        typer.echo(f"{d.index:>3}  {d.full_name}  {d.max_input_channels} ch  {d.default_rate_hz} Hz{default}")
    if not found:
        typer.echo("no audio input device found: connect one, or try `laennec demo`, which needs none")


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, model: options.ModelOption = None
) -> None:
    """What works on this machine, and what to do about the rest."""
    from stream import doctor as examiner

    findings = examiner.examine(model or bundles.SHIPPED)
    if as_json:
        typer.echo(json.dumps(examiner.as_json(findings), indent=2, ensure_ascii=False))
    else:
        for f in findings:
            typer.echo(f"{f.state:<7} {f.name:<15} {f.detail}" + (f"\n{'':24}-> {f.remedy}" if f.remedy else ""))
    if any(f.state == "fails" for f in findings):
        raise typer.Exit(5)


def _run(openers: Iterator[Callable[[], Source]], model: Path | None, output: options.Output) -> None:
    """Run a session per source, one after the other, on one screen and into one log."""
    bundle = bundles.load(model or bundles.SHIPPED)
    screen_wanted = display.wants_screen(output.plain, output.json_lines, output.quiet)
    session: Session | None = None
    try:
        with (
            options.log_file(output.log) as log,
            display.opened(screen_wanted) as screen,
            display.stopping() as stopper,
        ):
            for opener in openers:
                session = _session(opener(), bundle, output, log, screen is not None)
                stopper.watch(session)
                display.run(session, screen)
                if session.stopped:
                    break
    finally:
        if session and screen_wanted:
            display.summary(session)


def _session(
    source: Source, bundle: Bundle, output: options.Output, log: Callable[[], TextIO | None], screen: bool
) -> Session:
    try:
        recorder = Recorder(output.record, source.rate_hz) if output.record else None
        sinks = options.sinks(output, log(), bundle, source, screen)
    except (LaennecError, OSError):
        source.close()
        raise
    return Session(source, bundle, sinks, recorder, output.record.name if output.record else "")


def _leave_if_wedged(held: list, error: LaennecError | None) -> None:  # type: ignore[type-arg]
    """A driver that does not let go would keep the interpreter from ending: leave without its consent."""
    if not held or held[-1].closed_cleanly:
        return
    if error:
        typer.echo(f"laennec: {error}", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(error.exit_code if error else 0)
