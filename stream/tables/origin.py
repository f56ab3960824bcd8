"""What made a table, in a small file beside it: NAME.csv.origin.json beside NAME.csv."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.bundle import Bundle
from models.errors import SettingError

_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Origin:
    """Two tables of one origin hold the same rows for the same recordings.

    Attributes:
        laennec: version of the program.
        model_id: name and version of the model.
        model_sha256: of the model's file.
        channel: that was chosen, or None.
    """

    laennec: str
    model_id: str
    model_sha256: str
    channel: int | None

    @classmethod
    def of(cls, model: Bundle, channel: int | None) -> Origin:
        """Of what this program makes now."""
        return cls(version("laennec"), model.id, model.sha256, channel)

    @property
    def as_json(self) -> dict[str, Any]:
        """As it is written, beside a table or in Parquet's metadata."""
        model = {"id": self.model_id, "sha256": self.model_sha256}
        return {"laennec": self.laennec, "model": model, "channel": self.channel}

    @classmethod
    def from_json(cls, text: str | bytes) -> Origin:
        """The opposite of `as_json`.

        Raises:
            ValueError: it is none.
        """
        try:
            told = json.loads(text)
            found = cls(told["laennec"], told["model"]["id"], told["model"]["sha256"], told["channel"])
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError from error
        texts = (found.laennec, found.model_id, found.model_sha256)
        if not (all(isinstance(text, str) for text in texts) and isinstance(found.channel, int | None)):
            raise ValueError
        return found

    def check(self, path: Path, found: Origin) -> None:
        """Refuse to go on with a table of another origin.

        Raises:
            SettingError: it is one.
        """
        differing = [
            f"{name} {there!r:.60}, not {here!r:.60}"
            for name, there, here in (
                ("version", found.laennec, self.laennec),
                ("model", found.model_id, self.model_id),
                ("model file", found.model_sha256[:12], self.model_sha256[:12]),
                ("channel", found.channel, self.channel),
            )
            if there != here
        ]
        if differing:
            raise SettingError(
                f"{path}: was made with another {'; '.join(differing)}: its rows don't go together with new ones; "
                "give another --out, or leave out --resume"
            )


def beside(table: Path) -> Path:
    """The file that says what made a table."""
    return table.with_name(f"{table.name}.origin.json")


def write(table: Path, origin: Origin) -> None:
    """Say what makes a table, in one piece or not at all.

    Raises:
        OSError: it can't be written.
    """
    draft = table.with_name(f"{table.name}.origin.json.draft")
    draft.write_text(json.dumps(origin.as_json) + "\n", encoding="ascii")
    os.replace(draft, beside(table))  # noqa: PTH105 - the atomic one


def read(table: Path) -> Origin:
    """What made a table.

    Raises:
        SettingError: that isn't known.
    """
    path = beside(table)
    try:
        with path.open("rb") as file:
            return Origin.from_json(file.read(_MOST_BYTES))
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{table}: can't be gone on with, for {path.name}, which says what made it, is missing or damaged; "
            "give another --out, or leave out --resume"
        ) from error
