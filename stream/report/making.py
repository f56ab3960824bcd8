"""From a session to a report's bytes, by the ending of its name, and on to the disk in one piece."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from models.bundle import Bundle
from models.errors import LaennecError, SettingError
from stream.put_away import put_away
from stream.report import heard, moments, rows, sound
from stream.report.figures import Parts
from stream.report.inputs import Given
from stream.sinks.log_file import utc_now


def parts(given: Given, model: Bundle) -> Parts:
    """What figures are drawn from; goes through the recording once.

    Raises:
        InputFileError: the recording can't be read to its end.
    """
    told = given.heard
    of = heard.spans(told)
    shown = heard.heart_heard(of)
    early = [beat for beat in heard.early_beats(told) if shown(beat.t_s)]
    chosen = moments.chosen(told, of, early)
    listened = None
    if given.recording and told.span_s > 0:
        windows = [moment.window for moment in chosen]
        lines = rows.count(told.span_s)
        fine_s, columns = lines * rows.length_s(told.span_s), lines * rows.COLUMNS
        listened = sound.listen(given.recording, model.front_end.spec, told.span_s, windows, fine_s, columns)
    return Parts(told, of, [beat for beat in told.beats if shown(beat.t_s)], early, chosen, listened)


def _html(given: Given, model: Bundle) -> bytes:
    from stream.report import page

    return page.page(parts(given, model), model).encode("utf-8")


def _png(given: Given, model: Bundle) -> bytes:
    from stream.report import plot

    return plot.png(parts(given, model))


def _labels(given: Given, model: Bundle) -> bytes:  # noqa: ARG001 - as the others
    from stream.report import labels

    return labels.track(given.heard).encode("utf-8", "replace")


def _table(given: Given, model: Bundle) -> bytes:  # noqa: ARG001 - as the others
    from stream.report import csv_table

    return csv_table.text(given.heard).encode("utf-8", "replace")


#: By the ending of the name.
MAKERS: dict[str, Callable[[Given, Bundle], bytes]] = {".html": _html, ".png": _png, ".txt": _labels, ".csv": _table}


def check_name(out: Path) -> None:
    """Refuse a name that no report can have, before anything is heard.

    Raises:
        SettingError: another ending, no such folder, or what can't be written.
    """
    if out.suffix.lower() not in MAKERS:
        raise SettingError(f"{out}: can't make a report of that ending; give {', '.join(MAKERS)}")
    if out.is_dir() or not out.parent.is_dir():
        raise SettingError(f"{out}: is no name for a file in a folder that exists; give another --out")
    if not os.access(out.parent, os.W_OK):
        raise SettingError(f"{out}: can't be written: its folder is read-only; give another --out")
    if out.suffix.lower() == ".png":
        from stream.report import plot

        plot.check()


def write(out: Path, data: bytes) -> None:
    """Write a report, as a whole or not at all. An older file of that name is put away.

    Raises:
        SettingError: it can't be written.
        LaennecError: the disk is full.
    """
    try:
        descriptor, draft = tempfile.mkstemp(dir=out.parent, prefix=".report-", suffix=out.suffix)
    except OSError as error:
        raise SettingError(f"{out}: can't be written: {error.strerror}; give another --out") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(draft, 0o666 & ~_umask())  # noqa: PTH101 - a temporary file is the owner's alone
        if out.exists():
            put_away(out.resolve(), utc_now())
        os.replace(draft, out)  # noqa: PTH105 - the atomic one
    except OSError as error:
        Path(draft).unlink(missing_ok=True)
        raise LaennecError(
            f"{out}: can't be written: {error.strerror}; free some space, or give another --out"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
