"""What the files of the PASCAL heart sounds challenge say by their names.

The names on disk are the truth: they alone carry label, noisy flag, patient (set B) and minute of recording (set A).
The csv files beside them are only compared with them. They name files that aren't there, list unlabelled ones, and
spell the names differently: `Btraining_murmur_Btraining_noisymurmur_162_1_A.wav` for `murmur_noisymurmur_162_1_A.wav`.

Source: Bentley, Nordehn, Coimbra, Mannor 2011, "The PASCAL Classifying Heart Sounds Challenge", in the layout of the
Kaggle set heartbeat-sounds.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from models.classes import class_of

_LOG = logging.getLogger(__name__)

#: Files whose audio exists under two labels (for patient 202: the end of one is the start of the other).
CONFLICTS: frozenset[str] = frozenset(
    {
        "set_a/extrahls__201104021355.wav",
        "set_a/murmur__201104021355.wav",
        "set_a/murmur__201106141148.wav",
        "set_a/normal__201106141148.wav",
        "set_b/normal__202_1308145175747_C.wav",
        "set_b/extrastole__202_1308145175747_C1.wav",
        "set_b/normal__237_1308750231222_C.wav",
        "set_b/extrastole__237_1308750231222_C.wav",
    }
)

#: Patient numbers of set B under which the same recordings lie, and the one number that stands for all.
_SAME_PATIENT = {"103": "101", "146": "101"}

#: In this month of set A, murmurs were made on top of sounds that are also there as normals, so it is one group.
_SHARED_SOUNDS_MONTH = "201108"


class Facts(NamedTuple):
    """What a file's name says."""

    label: str  # one of models.classes.CLASSES
    source: str  # "pascal_a" or "pascal_b"
    group: str
    noisy: bool


def files(folder: Path) -> dict[str, Path]:
    """The WAVs of both sets by name, `set_a/<file>` or `set_b/<file>`, wherever the sets lie.

    Args:
        folder: holds set_a and set_b, or holds a folder that does (as unpacking the Kaggle archive leaves it).
    """
    found: dict[str, Path] = {}
    for path in [*folder.glob("set_[ab]/*.wav"), *sorted(folder.glob("*/set_[ab]/*.wav"))]:
        found.setdefault(f"{path.parent.name}/{path.name}", path)
    return found


def facts(name: str) -> Facts | None:
    """Read a file's name; None for an unlabelled test file and for a name in no known form.

    Args:
        name: `set_a/<label>__<YYYYMMDDhhmm>.wav` or `set_b/<label>_[noisy<label>]_<patient>_<time>_<site>.wav`.
    """
    which, _, file = name.partition("/")
    label, *rest = _words(file)
    noisy = bool(rest) and rest[0].startswith("noisy")
    taken_from = rest[noisy:]
    known = class_of(label)
    if known is None or not taken_from:
        return None
    source = f"pascal_{which[-1]}"
    who = _day(taken_from[0]) if source == "pascal_a" else _SAME_PATIENT.get(taken_from[0], taken_from[0])
    return Facts(known, source, f"{source}/{who}", noisy)


def note_disagreements(folder: Path, labels: Mapping[str, str]) -> None:
    """Log a warning for every file to which a csv gives another label than its name; the name counts.

    Args:
        folder: as for `files`.
        labels: class by name, of the files that are there. Rows about any other file are passed over.
    """
    by_words = {_key(name): name for name in labels}
    for table in [*folder.glob("set_[ab].csv"), *sorted(folder.glob("*/set_[ab].csv"))]:
        for row in csv.DictReader(table.read_text("utf-8-sig", errors="replace").splitlines(), restval=""):
            name = by_words.get(_key(row.get("fname", "")))
            listed = row.get("label", "")
            if name and listed and class_of(listed) != labels[name]:
                _LOG.warning(
                    "%s: %s says %s, the file's name says %s; the name counts", name, table.name, listed, labels[name]
                )


def _words(file: str) -> list[str]:
    """The parts of a file's name, in the spelling of the disk whichever of the two spellings it has; at least one."""
    stem = file.removesuffix(".wav").replace("Atraining_", "").replace("Btraining_", "")
    return [word for word in stem.split("_") if word] or [""]


def _key(name: str) -> tuple[str, ...]:
    which, _, file = name.partition("/")
    return (which, *_words(file))


def _day(minute: str) -> str:
    return _SHARED_SOUNDS_MONTH if minute.startswith(_SHARED_SOUNDS_MONTH) else minute[:8]
