"""What a report is made of: a session's folder, its log alone, or a sound file that is heard first."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from models.bundle import Bundle
from models.decide import Decision
from models.errors import InputFileError, SettingError, printable
from models.rhythm import Beat
from stream.log import reading
from stream.monitor.words import clock
from stream.pipeline import Gap, Pipeline
from stream.report import recording as recordings
from stream.report import session_log, takes
from stream.report.heard import Heard
from stream.report.recording import Piece, Recording
from stream.report.takes import Take
from stream.sessions.folder import LOG, order
from stream.sinks.recorder import HAS_ENDED
from stream.sinks.recording import BEGINS, ENDS
from stream.sources.file import FileSource

_NO_SOUND = "There is no sound to draw: no recording was kept, or it does not lie with the log (--audio gives it)."
#: How a session's notices begin where a recording does not hold all of it.
_IN_PART = (BEGINS, ENDS, HAS_ENDED)


class Given(NamedTuple):
    """A session, and its recording if there is one."""

    heard: Heard
    recording: Recording | None


def read(
    path: Path,
    audio: list[Path],
    number: int | None,
    channel: int | None,
    model: Bundle,
    stream: str | None = None,
) -> Given:
    """Read or hear what a path names.

    Args:
        path: a session's folder, a log, or a sound file.
        audio: the recording that belongs to a log, in one or more files; empty: what lies with it.
        number: which session of a log that holds several, from 1; None is the last.
        channel: of the sound file, from 1; None where there is only one.
        model: hears a sound file.
        stream: which of a log that holds several streams.

    Raises:
        InputFileError: nothing that can be reported, or log and recording do not belong together.
        SettingError: options that do not fit what is given.
    """
    if path.is_dir():
        if stream is not None:
            raise SettingError(f"{path}: each stream has a folder of its own: name {path / stream}, without --stream")
        return _folder(path, audio, number, channel)
    if not path.exists():
        raise InputFileError(f"{path}: no such file; give a session folder, a log or a sound file")
    if path.suffix.lower() in {".json", ".csv"}:
        raise InputFileError(f"{path}: is no log: give the session's folder or its {LOG}")
    if path.suffix.lower() == ".jsonl" or _is_log(path):
        heard = _one(path, session_log.sessions(reading.read(path, stream)), number)
        if audio and stream is not None:
            _refuse_others(path, audio, stream)
        return _joined(heard, takes.given(audio or _hinted(path, heard), heard), channel, wanted=bool(audio))
    if audio or number is not None or stream is not None:
        raise SettingError(f"{path}: is no log: --audio, --number and --stream go with a session's log")
    return _sound(path, channel, model)


def _refuse_others(log: Path, audio: list[Path], stream: str) -> None:
    """Streams heard at once are alike in rate, length and gaps: what a recording is called tells which one it holds.

    Of a name that ends as several streams' do (x-bed-2.wav: bed-2 or 2) the longest counts.
    """
    with log.open("rb") as file:  # it was read already, and found whole
        names = sorted(json.loads(file.readline())["streams"], key=len, reverse=True)
    for path in audio:
        kept = re.sub(r"\.\d+$", "", path.stem)  # x.2.wav goes on from x.wav
        own = next((name for name in names for stem in (path.stem, kept) if stem.endswith(f"-{name}")), stream)
        if own != stream:
            raise InputFileError(
                f"{path}: is by its name the recording of the stream {printable(own)}, not of {printable(stream)}; "
                f"give --audio that one's, or --stream {printable(own)}"
            )


def _is_log(path: Path) -> bool:
    try:
        return reading.is_log(path)
    except OSError:  # said when it is read as a sound
        return False


def _folder(folder: Path, audio: list[Path], number: int | None, channel: int | None) -> Given:
    log = folder / LOG
    if not log.is_file() and any(order(each.name) for each in folder.iterdir()):
        raise InputFileError(f"{folder}: holds sessions: choose one, `laennec sessions {folder}` lists them")
    if not log.is_file() and (streams := sorted(each.name for each in folder.iterdir() if (each / LOG).is_file())):
        raise InputFileError(
            f"{folder}: holds the sessions of {len(streams)} streams: choose one, as {folder / streams[0]}"
        )
    if not log.is_file():
        raise InputFileError(f"{folder}: is no session: it holds no {LOG}; give a session folder, a log or a sound")
    sessions = session_log.sessions(reading.read_files(reading.every_file(log)))
    heard = _one(folder, sessions, number)
    if audio:
        return _joined(heard, takes.given(audio, heard), channel, wanted=True)
    found = takes.in_folder(folder, sessions, (number or len(sessions)) - 1)
    alone = len(sessions) == len(found.unplaced) == 1
    own = [take for take in found.unplaced if alone or _fits(heard, take, channel)][:1]
    return _joined(
        heard, [p for take in own for p in take.pieces(0.0)] + found.placed, channel, wanted=False, partial=True
    )


def _fits(heard: Heard, take: Take, channel: int | None) -> bool:
    """Whether a take that nothing else is known of is the recording of a whole session."""
    try:
        return not recordings.mismatch(recordings.opened(take.pieces(0.0), channel), heard, partial=False)
    except InputFileError:
        return False


def _one(path: Path, sessions: list[Heard], number: int | None) -> Heard:
    if number is None:
        number = len(sessions)
    if not 1 <= number <= len(sessions):
        raise SettingError(f"{path}: holds {len(sessions)} session(s); choose --number 1 to {len(sessions)}")
    heard = sessions[number - 1]
    if len(sessions) == 1:
        return heard
    which = f"This is session {number} of the {len(sessions)} in its log; --number chooses another."
    return replace(heard, caveats=(which, *heard.caveats))


def _hinted(log: Path, heard: Heard) -> list[Path]:
    """The recording that a log names as its source, where that lies beside it."""
    name = heard.source["name"]
    if heard.source["kind"] != "file" or not name or Path(name).name != name:
        return []
    beside = log.with_name(name)
    return [beside] if beside.is_file() else []


def _joined(heard: Heard, pieces: list[Piece], channel: int | None, wanted: bool, partial: bool = False) -> Given:
    """A session with its recording; one that was only guessed at is left out where it does not fit."""
    partial = partial or any(said.text.startswith(_IN_PART) for said in heard.said)
    if not pieces:
        return Given(_noted(heard, _NO_SOUND), None)
    try:
        recording = recordings.opened(pieces, channel or _channel(heard, pieces[0].path))
        wrong = recordings.mismatch(recording, heard, partial)
        if wrong:
            raise InputFileError(
                f"{pieces[0].path}: does not belong to this session: {wrong}; give --audio the right one, or none"
            )
    except InputFileError as error:
        if wanted:
            raise
        return Given(_noted(heard, f"The recording that lies with the log is left out: {error}."), None)
    if recording.end_s is not None and recording.end_s < heard.span_s - 1:
        ends = f"The recording ends at {clock(recording.end_s)}, the session at {clock(heard.span_s)}."
        return Given(_noted(heard, ends), recording)
    return Given(heard, recording)


def _channel(heard: Heard, first: Path) -> int | None:
    """The channel that was heard of a replayed file; what Laennec records has one."""
    channel, name = heard.source.get("channel"), heard.source.get("name")
    of_source = heard.source.get("kind") == "file" and first.name == name
    return channel if of_source and isinstance(channel, int) and not isinstance(channel, bool) else None


def _noted(heard: Heard, caveat: str) -> Heard:
    return replace(heard, caveats=(*heard.caveats, caveat))


def _sound(path: Path, channel: int | None, model: Bundle) -> Given:
    """Hear a sound file as a stream, as fast as it goes."""
    source = FileSource(path, channel)
    try:
        pipeline = Pipeline(model, source.rate_hz)
        told = [event for block in source.blocks() for event in pipeline.process(block)] + pipeline.flush()
    finally:
        source.close()
    heard = Heard(
        source=source.description,
        model={"id": model.id, "sha256": model.sha256},
        version=version("laennec"),
        decisions=tuple(e for e in told if isinstance(e, Decision)),
        beats=tuple(e for e in told if isinstance(e, Beat)),
        gaps=tuple(e for e in told if isinstance(e, Gap)),
        ledger=pipeline.ledger,
        ended="end of input",
    )
    return Given(heard, recordings.opened(recordings.of_files([path]), channel))
