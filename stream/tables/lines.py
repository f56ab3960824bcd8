"""A row as a line of text, CSV or JSON, and back."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

Row = dict[str, Any]
#: Columns of text; the others are of numbers.
TEXTS = {"path", "label", "status", "error"}
#: A float holds whole numbers exactly up to there.
_MOST_WHOLE = 2**53


class Lines(Protocol):
    """How rows are written.

    Attributes:
        head: what a table begins with; may be empty.
        begin: what a table begins with once it holds a row.
    """

    head: str
    begin: str

    def line(self, row: Row) -> str:
        """A row, with the line feed at its end."""
        ...

    def rows(self, file: BinaryIO) -> Iterator[tuple[Row, int]]:
        """The whole rows of a file, each with the place in the file where it ends. What a killed writer left is none.

        Raises:
            ValueError: it holds something else than such rows.
        """
        ...


def lines(path: Path, columns: Sequence[str]) -> Lines:
    """How a table of that name is written: by its ending, .csv or .jsonl."""
    return Jsonl(columns) if path.suffix.lower() == ".jsonl" else Csv(columns)


class Csv:
    """Comma-separated, with a head; None is empty. Names that are no text are shown as far as they are."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self.head = self.begin = ",".join(columns) + "\n"

    def line(self, row: Row) -> str:  # noqa: D102 - as `Lines`
        text = io.StringIO()
        # A carriage return in a name is put in quotes, without which it can't be read again, only where it ends lines.
        csv.writer(text, lineterminator="\r\n").writerow([row[name] for name in self._columns])
        return text.getvalue().removesuffix("\r\n") + "\n"

    def rows(self, file: BinaryIO) -> Iterator[tuple[Row, int]]:  # noqa: D102 - as `Lines`
        end = 0
        ended = False

        def whole() -> Iterator[str]:
            nonlocal end, ended
            for line in file:
                if line.endswith(b"\n"):
                    end += len(line)
                    yield line.decode("utf-8", "surrogateescape")
            ended = True

        try:
            for number, values in enumerate(csv.reader(whole(), strict=True)):
                if len(values) != len(self._columns) or (number == 0 and values != self._columns):
                    raise ValueError
                if number:
                    yield dict(zip(self._columns, values, strict=True)), end
        except csv.Error as error:
            if not ended:  # else: cut within a name that holds a line feed
                raise ValueError from error


class Jsonl:
    """One JSON object a line, ASCII; None is null."""

    head = ""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self.begin = f'{{"{columns[0]}": '

    def line(self, row: Row) -> str:  # noqa: D102 - as `Lines`
        return json.dumps(row, allow_nan=False) + "\n"

    def rows(self, file: BinaryIO) -> Iterator[tuple[Row, int]]:  # noqa: D102 - as `Lines`
        end = 0
        for line in file:
            if not line.endswith(b"\n"):
                return
            row = _parsed(line)
            if not isinstance(row, dict) or list(row) != self._columns or not fits(row):
                raise ValueError
            end += len(line)
            yield row, end


def fits(row: Row) -> bool:
    """Whether each value is such as its column holds; any may be None but the path."""
    return row["path"] is not None and all(
        value is None or (isinstance(value, str) if name in TEXTS else _is_number(value)) for name, value in row.items()
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= _MOST_WHOLE
    return isinstance(value, float) and math.isfinite(value)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except RecursionError as error:
        raise ValueError from error
