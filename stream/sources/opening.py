"""Opens a sound file for `FileSource`, or says in one line why it holds no sound."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import soundfile

from models.errors import InputFileError
from stream.sources.quiet import quiet_stderr

#: libsndfile's code for whatever the system refused.
_SYSTEM_ERROR = 2


def check_name(path: Path) -> int:
    """Refuse what is seen without opening it to hold no sound.

    Returns:
        Its size in bytes.

    Raises:
        InputFileError: no such file, a folder, or empty.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib's own way costs as much again
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputFileError(f"{path}: no such file; check the name") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise InputFileError(f"{path}: is a folder; give a sound file (`laennec classify` walks folders)")
    if found.st_size == 0:
        raise InputFileError(f"{path}: is empty; record or copy it again")
    return found.st_size


def opened(path: Path) -> soundfile.SoundFile:
    """A sound file, open; the caller closes it.

    Raises:
        InputFileError: as `check_name`; not audio, or cut short.
    """
    size = check_name(path)
    try:
        _check_length(path, size)
        with quiet_stderr():  # a damaged MP3's decoder complains there from C
            file = _sound(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a .raw file, which says nothing of itself
        raise _no_sound(path) from error
    if file.format == "RAW":  # guessed from the name (.au, .gsm): a text would be heard as noise
        file.close()
        raise _no_sound(path)
    return file


def _sound(path: Path) -> soundfile.SoundFile:
    try:
        # As bytes, since a name need not be text; Windows has names of text alone.
        return soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path))
    except soundfile.LibsndfileError as error:
        if error.code == _SYSTEM_ERROR:
            path.open("rb").close()  # raises the system's own error, of which libsndfile keeps nothing
        raise


def no_audio(path: Path) -> InputFileError:
    """A sound file without a single sample."""
    return InputFileError(f"{path}: holds no audio; record it again")


def _unreadable(path: Path, error: OSError) -> InputFileError:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return InputFileError(
            f"{path}: can't be opened: too many files are open at once; hear fewer, or allow more (`ulimit -n`)"
        )
    return InputFileError(f"{path}: can't be read: {error.strerror}; check its name and permissions")


def _no_sound(path: Path) -> InputFileError:
    return InputFileError(f"{path}: is no sound file that can be read; give WAV, FLAC or OGG")


def _check_length(path: Path, size: int) -> None:
    """Refuse a WAV or AIFF that was cut short: libsndfile would silently read what is there.

    Programs that stream to a pipe write a size of 0 or of all ones; then the file's own length counts. Some write the
    file's length where the length without the first 8 bytes belongs.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(8)
    if head[:4] not in {b"RIFF", b"FORM"}:
        return
    promised = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big") + 8
    if promised not in (8, 2**32 + 7) and size < promised - 1 and size != promised - 8:
        raise InputFileError(f"{path}: is cut short: {size} of {promised} bytes are there; copy it again")
