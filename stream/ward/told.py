"""What a ward leaves and shows, opened: one log for all streams or a folder for each, lines, recordings."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from models.bundle import Bundle
from models.errors import LaennecError, SettingError
from stream import outputs
from stream.options import Output
from stream.sessions import folder
from stream.sinks.jsonl import JsonlSink, Lines
from stream.sinks.plain import PlainSink
from stream.sinks.recorder import Recorder
from stream.sinks.sink import Sink
from stream.ward.descriptors import shortage_told
from stream.ward.feed import Feed, Member
from stream.ward.ward import Listeners


def check(output: Output) -> None:
    """Refuse what says nothing of several streams.

    Raises:
        SettingError: such an option.
    """
    if output.metrics:
        raise SettingError("--metrics tells of one stream: leave it out, or hear one channel or file")


class Told(NamedTuple):
    """Who is told of each stream, in the feed's order; and the folder that holds those of all, if one is kept."""

    listeners: list[Listeners]
    kept: Path | None


@contextlib.contextmanager
def opened(output: Output, feed: Feed, bundle: Bundle, screen: bool) -> Iterator[Told]:
    """Opens what the options ask for. Where one can't be opened, recordings are as they were.

    Raises:
        SettingError: a log, recording or folder can't be written.
        LaennecError: at the end, where a log could not be written to its end.
    """
    with contextlib.ExitStack() as leaving:
        with shortage_told():
            told = _told(output, feed, bundle, screen, leaving)
        yield told


def _told(output: Output, feed: Feed, bundle: Bundle, screen: bool, leaving: contextlib.ExitStack) -> Told:
    names = [member.name for member in feed.members]
    _check_kept(output, feed)
    own = leaving.enter_context(folder.begun_ward(output.session, names)) if output.session else None
    recorders = _recorders(output, feed.members, own)
    try:
        logs = [leaving.enter_context(outputs.log_file(each / folder.LOG, output.rotation))() for each in own or ()]
        log = leaving.enter_context(outputs.log_file(output.log, output.rotation))()
        told = _sinks(output, feed, bundle, screen, log)
        if logs:
            for each, member, lines in zip(told, feed.members, logs, strict=True):
                if lines:
                    each.append(JsonlSink(lines, member.name, outputs.head(bundle, {"source": member.description})))
    except (LaennecError, OSError):
        for recorder in recorders:
            recorder.withdraw()
        raise
    listeners = [Listeners(sinks, recorders[k] if recorders else None) for k, sinks in enumerate(told)]
    return Told(listeners, own[0].parent if own else None)


def _sinks(output: Output, feed: Feed, bundle: Bundle, screen: bool, log: Lines | None) -> list[list[Sink]]:
    """The sinks of each stream that write where those of the others do."""
    told: list[list[Sink]] = [[] for _ in feed.members]
    head = outputs.head(bundle, {"streams": {member.name: member.description for member in feed.members}})
    shared = [(log, str(output.log))] if log else []
    if output.json_lines and not output.quiet:
        shared.append((sys.stdout, "standard output"))
    for lines, name in shared:
        whole = JsonlSink(lines, name, head)
        for each, member in zip(told, feed.members, strict=True):
            each.append(whole.of(member.name))
    if not (output.json_lines or output.quiet or screen):
        for each, member in zip(told, feed.members, strict=True):
            each.append(PlainSink(sys.stdout, member.rate_hz, member.name))
    return told


def _check_kept(output: Output, feed: Feed) -> None:
    """Refuse to write over what is heard."""
    if output.session:
        return  # in new folders there is nothing to write over
    kept = {"--record": [_named(output.record, each) for each in feed.members]} if output.record else {}
    for name, paths in {**kept, "--log": [output.log] if output.log else []}.items():
        for path in paths:
            if path.resolve() in feed.reads:
                raise SettingError(f"{name} {path}: would overwrite a recording that is replayed; give another name")


def _recorders(output: Output, members: tuple[Member, ...], own: list[Path] | None) -> list[Recorder]:
    """One for each stream, or none at all."""
    if output.record is None:
        return []
    made: list[Recorder] = []
    try:
        for index, member in enumerate(members):
            path = own[index] / output.record if own else _named(output.record, member)
            made.append(Recorder(path, member.rate_hz))
    except (LaennecError, OSError):
        for recorder in made:
            recorder.withdraw()
        raise
    return made


def _named(path: Path, member: Member) -> Path:
    """x.wav of a stream: x-NAME.wav."""
    return path.with_name(f"{path.stem}-{member.name}{path.suffix}")
