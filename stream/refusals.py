"""What options of `laennec replay` ask together that can't be done."""

from __future__ import annotations

from pathlib import Path

from models.errors import SettingError


def check_together(files: list[Path], together: bool, loop: bool, faults: bool) -> None:
    """Refuse what says nothing of several streams at once.

    Raises:
        SettingError: which options, and which to leave out.
    """
    if len(files) > 1 and not together:
        raise SettingError("--channels hears the channels of one file: give one, or --together to hear several files")
    if loop:
        raise SettingError("--loop begins a recording again as a new session: leave it out with --together, --channels")
    if faults:
        raise SettingError("--fault is for one stream: leave it out with --together and --channels")


def check_kept(files: list[Path], loop: bool, session: Path | None, record: Path | None, log: Path | None) -> None:
    """Refuse to write over what is read, several streams into one recording, and folders without end.

    Raises:
        SettingError: which options, and what to give instead.
    """
    if session and loop:
        raise SettingError("--session keeps a folder for each session, and --loop never ends: leave one of them out")
    if session:
        return  # in new folders there is nothing to write over
    if record and (loop or len(files) > 1):
        raise SettingError("--record keeps one stream: give one file, and no --loop; or --session DIR")
    for name, kept in {"--record": record, "--log": log}.items():
        if kept and kept.resolve() in {path.resolve() for path in files}:
            raise SettingError(f"{name} {kept}: would overwrite the recording that is replayed; give another name")
