"""What a terminal sends, as keys. Pure: bytes in, keys and the bytes that are not yet whole out."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

#: Asks the terminal to say where pasted text begins and ends, and to stop that.
PASTES_ON, PASTES_OFF = b"\x1b[?2004h", b"\x1b[?2004l"

_SEQUENCE = re.compile(rb"\x1b(?:\[([0-9;?]*)[ -/]*([@-~])|O([@-~]))")
_BEGUN = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*|O)?\Z")
_PASTE, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_TEXT = re.compile(rb"[^\x00-\x1f\x7f]+")
_MOST_PASTED = 4096

_BY_LETTER = {b"A": "up", b"B": "down", b"C": "right", b"D": "left", b"H": "home", b"F": "end", b"M": "enter"}
_BY_NUMBER = {b"1": "home", b"7": "home", b"4": "end", b"8": "end", b"3": "delete", b"5": "page up", b"6": "page down"}
_CONTROLS = {b"\r": "enter", b"\n": "enter", b"\x7f": "backspace", b"\x08": "backspace"}


class Key(NamedTuple):
    """One press.

    Attributes:
        name: "text" for a character, "paste" for pasted text, else "up", "down", "left", "right", "home", "end",
            "page up", "page down", "enter", "escape", "backspace" or "delete".
        text: the character or the pasted text, printable; empty for others.
    """

    name: str
    text: str = ""


def decode(data: bytes, encoding: str = "utf-8", final: bool = False) -> tuple[list[Key], bytes]:
    """Keys in the order pressed.

    Args:
        data: what the terminal sent, after what the last call left.
        encoding: of text.
        final: nothing followed for a while: a lone escape is the key, half a sequence or character is dropped.

    Returns:
        The keys, and the bytes at the end that are not whole yet; of a paste that goes on, no more than its beginning.
    """
    keys: list[Key] = []
    while data and (found := _next(data, encoding, final)):
        pressed, data = found
        keys += pressed
    return keys, _shortened(data)


def _next(data: bytes, encoding: str, final: bool) -> tuple[list[Key], bytes] | None:
    """The keys at the beginning, and what comes after; None where the beginning is not whole."""
    if data.startswith(_PASTE):
        return _pasted(data, encoding)
    if data.startswith(b"\x1b"):
        return _escape(data, final)
    if run := _TEXT.match(data):
        return _text(data, run.end(), encoding, final)
    name = _CONTROLS.get(data[:1])
    return [Key(name)] if name else [], data[1:]


def _escape(data: bytes, final: bool) -> tuple[list[Key], bytes] | None:
    if whole := _SEQUENCE.match(data):
        numbers, letter = (whole[1] or b"").split(b";"), whole[2] or whole[3]
        name = _BY_NUMBER.get(numbers[0]) if letter == b"~" else _BY_LETTER.get(letter)
        return [Key(name)] if name else [], data[whole.end() :]
    if not _BEGUN.match(data):  # the key, and then another one
        return [Key("escape")], data[1:]
    if not final:
        return None
    return [Key("escape")] if len(data) == 1 else [], b""


def _text(data: bytes, end: int, encoding: str, final: bool) -> tuple[list[Key], bytes] | None:
    decoder = codecs.getincrementaldecoder(encoding)("ignore")
    # A character may go on only at the end of what has come.
    text = decoder.decode(data[:end], final or end < len(data))
    half = len(decoder.getstate()[0])
    if half == len(data):
        return None
    return [Key("text", c) for c in text if c.isprintable()], data[end - half :]


def _pasted(data: bytes, encoding: str) -> tuple[list[Key], bytes] | None:
    """Pasted text is one key, so that it can't press others; it is whole only with its end, however long that takes."""
    inside, end, rest = data[len(_PASTE) :].partition(_PASTE_END)
    if not end:
        return None
    text = " ".join(inside[:_MOST_PASTED].decode(encoding, "ignore").split())
    return [Key("paste", "".join(c for c in text if c.isprintable()))], rest


def _shortened(data: bytes) -> bytes:
    """A paste that goes on, without its middle where it is long; the last bytes may be the beginning of its end."""
    if len(data) <= _MOST_PASTED:
        return data
    return data[: _MOST_PASTED - len(_PASTE_END)] + data[-len(_PASTE_END) :]
