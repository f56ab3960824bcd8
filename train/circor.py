"""What the tables of the CirCor DigiScope set say about each recording.

Two layouts are read: the project's own (`recordings.csv`, `audio/*.flac`) and PhysioNet's (`training_data.csv`,
`training_data/<patient>_<location>[_<take>].wav`), where the label of a recording and the person are derived from the
table as the project's own `recordings.csv` was.

Source: Oliveira et al. 2021, "The CirCor DigiScope Dataset: From Murmur Detection to Murmur Classification", IEEE JBHI.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from models.errors import InputFileError

_LOG = logging.getLogger(__name__)

#: What is known of one recording: a murmur at this site; one, but at other sites; none at any site; not known.
MURMUR, ELSEWHERE, ABSENT, UNKNOWN = "murmur", "murmur_patient_other_location", "absent", "unknown"

_FILE = re.compile(r"(?P<patient>\d+)_(?P<location>[A-Za-z]+)(?:_\d+)?")
_OWN_COLUMNS = ("file", "person", "location", "recording_label")
_PHYSIONET_COLUMNS = ("Patient ID", "Murmur", "Murmur locations", "Additional ID")


class Take(NamedTuple):
    """One recording at one site of one person."""

    path: Path
    name: str
    person: str
    location: str
    label: str  # MURMUR, ELSEWHERE, ABSENT or UNKNOWN
    age: str  # age group of the patient, as "Child"; "" where it is not known
    outcome: str  # what the clinic said in the end, "Normal" or "Abnormal"; "" where it is not known


def takes(folder: Path) -> Iterator[Take]:
    """Every recording that is both on disk and in the table, in either layout; none where there is no table.

    Args:
        folder: holds a layout's table, or a folder that does; or is PhysioNet's `training_data` itself.

    Raises:
        InputFileError: the table lacks a column.
    """
    if (folder / "recordings.csv").is_file():
        return _own(folder)
    tables = [folder / "training_data.csv", *sorted(folder.glob("*/training_data.csv"))]
    if folder.name == "training_data":
        tables.append(folder.parent / "training_data.csv")
    return next((_physionet(table) for table in tables if table.is_file()), iter(()))


def recording_label(murmur: str, murmur_locations: str, location: str) -> str:
    """The label of one site from the patient's.

    Args:
        murmur: the patient's "Present", "Absent" or "Unknown".
        murmur_locations: sites at which it was heard, joined by "+"; "nan" where it was not.
        location: the site asked about.
    """
    if murmur == "Absent":
        return ABSENT
    if murmur != "Present":
        return UNKNOWN
    return MURMUR if location in murmur_locations.split("+") else ELSEWHERE


def persons(also: Mapping[str, str]) -> dict[str, str]:
    """The person behind each patient id; a child seen in two campaigns has two ids.

    Args:
        also: patient id -> the other id of the same child ("Additional ID"), where there is one. Ids are digits.

    Returns:
        Each id that occurs -> the largest of the ids joined to it, over any number of steps, as `recordings.csv` does.
    """
    families: dict[str, set[str]] = {}
    for one, other in also.items():
        family = families.get(one, {one}) | families.get(other, {other})
        families.update(dict.fromkeys(family, family))
    return {patient: max(family, key=int) for patient, family in families.items()}


def _own(folder: Path) -> Iterator[Take]:
    for row in _rows(folder / "recordings.csv", _OWN_COLUMNS):
        path = folder / row["file"]
        if path.is_file():
            more = _known(row.get("age")), _known(row.get("outcome"))
            yield Take(path, row["file"], row["person"], row["location"], row["recording_label"], *more)
        else:
            _LOG.warning("%s is in recordings.csv and not on disk; passed over", row["file"])


def _physionet(table: Path) -> Iterator[Take]:
    rows = {_id(row["Patient ID"]): row for row in _rows(table, _PHYSIONET_COLUMNS)}
    person = persons({patient: other for patient, row in rows.items() if (other := _id(row["Additional ID"]))})
    for path in (table.parent / "training_data").glob("*.wav"):
        parts = _FILE.fullmatch(path.stem)
        if parts is None or (row := rows.get(parts["patient"])) is None:
            _LOG.warning("%s belongs to no patient in %s; passed over", path.name, table.name)
            continue
        label = recording_label(row["Murmur"], row["Murmur locations"], parts["location"])
        who = person.get(parts["patient"], parts["patient"])
        more = _known(row.get("Age")), _known(row.get("Outcome"))
        yield Take(path, f"training_data/{path.name}", who, parts["location"], label, *more)


def _rows(table: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    reader = csv.DictReader(table.read_text("utf-8-sig", errors="replace").splitlines(), restval="")
    if missing := set(columns) - set(reader.fieldnames or ()):
        raise InputFileError(f"{table} lacks the column(s) {', '.join(sorted(missing))}; take CirCor's own table")
    return list(reader)


def _known(text: str | None) -> str:
    """A word of a table; "" where there is none."""
    return "" if text is None or text.strip().lower() == "nan" else text.strip()


def _id(text: str) -> str:
    """The digits of a patient id; "" for none. Tables that went through floating point say "50379.0" and "nan"."""
    digits = re.match(r"\d+", text.strip())
    return digits.group() if digits else ""
