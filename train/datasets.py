"""Data sets as they really are -> one table of recordings, with what is needed to split and score them honestly."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.classes import CLASSES, class_of
from models.errors import InputFileError, SettingError
from train import circor, pascal

_LOG = logging.getLogger(__name__)

_AUDIO = frozenset({".wav", ".flac", ".ogg"})
_EVERY_CLASS = (True,) * len(CLASSES)

#: CirCor was annotated for murmurs; a premature beat in it would have gone unremarked.
_CIRCOR_SPEAKS_OF = tuple(name != "extrasystole" for name in CLASSES)

#: Copies of the set go about in which recordings without a murmur are cut at 16 s: "longer" would mean "murmur".
CIRCOR_HEARD_S = 16.0

_OF_PATIENT = {
    circor.ABSENT: "normal",
    circor.MURMUR: "murmur",
    circor.ELSEWHERE: "murmur",
    circor.UNKNOWN: "unknown",
}

#: FOLD-CLIP-TAKE of ESC-10, FOLD-CLIP-TAKE-CLASS of ESC-50. Takes are cut from one clip and may overlap (Piczak 2015).
_ESC_FILE = re.compile(r"\d-(?P<clip>\d+)-[A-Z](-\d+)?")

_LAYOUTS = {
    "pascal": "set_a/*.wav and set_b/*.wav, as in the Kaggle set heartbeat-sounds",
    "circor": "PhysioNet's training_data.csv and training_data/*.wav, or recordings.csv and its audio files",
    "noise": "WAV, FLAC or OGG files in it or in folders below",
    "folder": f"a folder per class ({', '.join(CLASSES)}) with WAV, FLAC or OGG files",
}


@dataclass(frozen=True)
class Recording:
    """One audio file and what its data set says about it.

    Attributes:
        path: the file.
        name: its path within the data set, with forward slashes; unique there.
        label: one of `models.classes.CLASSES`.
        source: the recording device or domain: pascal_a, pascal_b, circor, noise or folder.
        group: recordings that share a group share a person, a session or base audio; no split separates them.
        speaks_of: per class, in the order of CLASSES: False where the data set can't tell whether it is present.
        noisy: the data set's own noisy sub-label.
        location: auscultation site, where known (CirCor: AV, PV, TV, MV, Phc).
        patient: the person, for patient-level protocols (CirCor), else "".
        patient_label: the person's class in this recording's campaign (CirCor: murmur, normal or unknown), else "".
        age: the person's age group, where known, else "".
        outcome: what the clinic said of the person in the end, where known (CirCor: Normal or Abnormal), else "".
        heard_s: only so much of it is used, where the length gives the label away; None for all.
    """

    path: Path
    name: str
    label: str
    source: str
    group: str
    speaks_of: tuple[bool, ...]
    noisy: bool = False
    location: str = ""
    patient: str = ""
    patient_label: str = ""
    age: str = ""
    outcome: str = ""
    heard_s: float | None = None


def read(kind: str, folder: Path) -> list[Recording]:
    """Every labelled recording of a data set, sorted by name.

    Args:
        kind: "pascal", "circor", "noise" or "folder".
        folder: where it lies.

    Raises:
        SettingError: unknown kind.
        InputFileError: the folder is missing, or has no recording in that kind's layout.
    """
    reader = _READERS.get(kind)
    if reader is None:
        raise SettingError(f"no data set kind {kind!r}; one of {', '.join(_READERS)}")
    return reader(folder)


def without_conflicts(recordings: Iterable[Recording]) -> list[Recording]:
    """Those whose audio does not also exist under another label (8 of PASCAL's 585 do)."""
    return [r for r in recordings if not (r.source.startswith("pascal_") and r.name in pascal.CONFLICTS)]


def read_pascal(folder: Path) -> list[Recording]:
    """PASCAL/Kaggle; labels from the files' names, unlabelled test files passed over. Errors as for `read`."""
    paths = pascal.files(folder)
    facts = {name: fact for name in paths if (fact := pascal.facts(name))}
    pascal.note_disagreements(folder, {name: fact.label for name, fact in facts.items()})
    if unlabelled := len(paths) - len(facts):
        _LOG.info("%s: %d files without a label passed over", folder, unlabelled)
    return _table(
        "pascal",
        folder,
        [
            Recording(paths[name], name, fact.label, fact.source, fact.group, _EVERY_CLASS, fact.noisy)
            for name, fact in facts.items()
        ],
    )


def read_circor(folder: Path, every: bool = False) -> list[Recording]:
    """CirCor.

    Args:
        folder: in the project's layout or PhysioNet's.
        every: also the sites of a murmur patient at which no murmur is listed, and the patients of whom it is unknown
            whether they have one. They are no clean negatives, so they are not for training; patient-level scores
            need them. Labelled normal, patient_label murmur or unknown.

    Raises:
        InputFileError: as for `read`, or the table lacks a column.
    """
    wanted = {circor.MURMUR, circor.ABSENT} | ({circor.ELSEWHERE, circor.UNKNOWN} if every else set())
    return _table("circor", folder, [_of_take(take) for take in circor.takes(folder) if take.label in wanted])


def read_noise(folder: Path) -> list[Recording]:
    """Sounds that are no heart: every audio file at any depth is an artifact. Errors as for `read`."""
    return _table("noise", folder, [_noise(path, path.relative_to(folder).as_posix()) for path in _audio_below(folder)])


def read_folder(folder: Path) -> list[Recording]:
    """A folder per class, named by the class or an alias; folders of other names are passed over, and logged.

    Nothing is known about who was recorded, so every file is a group of its own. Errors as for `read`.
    """
    found: list[Recording] = []
    for inner in sorted(path for path in folder.glob("[!.]*") if path.is_dir()):
        label = class_of(inner.name)
        if label is None:
            _LOG.warning("folder %s is named after no class; passed over", inner)
            continue
        names = {path.relative_to(folder).as_posix(): path for path in _audio_below(inner)}
        found += [Recording(path, n, label, "folder", f"folder/{n}", _EVERY_CLASS) for n, path in names.items()]
    return _table("folder", folder, found)


_READERS: dict[str, Callable[[Path], list[Recording]]] = {
    "pascal": read_pascal,
    "circor": read_circor,
    "noise": read_noise,
    "folder": read_folder,
}


def _table(kind: str, folder: Path, found: Sequence[Recording]) -> list[Recording]:
    if not folder.is_dir():
        raise InputFileError(f"no folder {folder}; give the one where the {kind} recordings lie")
    if not found:
        raise InputFileError(f"no {kind} recordings in {folder}; expected {_LAYOUTS[kind]}")
    return sorted(found, key=lambda recording: recording.name)


def _of_take(take: circor.Take) -> Recording:
    return Recording(
        path=take.path,
        name=take.name,
        label="murmur" if take.label == circor.MURMUR else "normal",
        source="circor",
        group=f"circor/{take.person}",
        speaks_of=_CIRCOR_SPEAKS_OF,
        location=take.location,
        patient=take.person,
        patient_label=_OF_PATIENT[take.label],
        age=take.age,
        outcome=take.outcome,
        heard_s=CIRCOR_HEARD_S,
    )


def _noise(path: Path, name: str) -> Recording:
    clip = _ESC_FILE.fullmatch(path.stem)
    return Recording(path, name, "artifact", "noise", f"noise/{clip['clip'] if clip else name}", _EVERY_CLASS)


def _audio_below(folder: Path) -> list[Path]:
    """Audio files at any depth; names with a leading dot are what other systems leave in archives, not audio."""
    return [p for p in folder.rglob("[!.]*") if p.suffix.lower() in _AUDIO and p.is_file()]
