"""A table as Parquet, by pyarrow. The only module that loads it, and only when asked."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import SettingError
from stream.tables.lines import TEXTS, Row, fits
from stream.tables.origin import Origin

if TYPE_CHECKING:
    import pyarrow

_KEY = b"laennec"
_ROW_GROUP = 1 << 14


def check() -> None:
    """Refuse where pyarrow is missing.

    Raises:
        SettingError: it is.
    """
    if not importlib.util.find_spec("pyarrow"):
        raise SettingError(
            "--out FILE.parquet needs pyarrow; run in the checkout: pip install -e '.[parquet]', or use .csv or .jsonl"
        )


def write(path: Path, columns: Sequence[str], rows: Iterable[Row], origin: Origin) -> None:
    """Write a table, whole or not at all, one row group after the other.

    Args:
        path: where to; what is there is replaced.
        columns: their order; `path`, `label`, `status`, `error` are strings, the others float64; all may be null.
        rows: values by columns.
        origin: into the metadata, under the key `laennec`, as JSON.

    Raises:
        OSError: it can't be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(columns).with_metadata({_KEY: json.dumps(origin.as_json).encode("ascii")})
    draft, left = path.with_name(f"{path.name}.draft"), iter(rows)
    try:
        with parquet.ParquetWriter(draft, schema, compression="zstd") as writer:
            while group := list(islice(left, _ROW_GROUP)):
                writer.write_table(pa.Table.from_pylist([_textual(row) for row in group], schema))
        os.replace(draft, path)  # noqa: PTH105 - the atomic one
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _schema(columns: Sequence[str]) -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(name, pa.string() if name in TEXTS else pa.float64()) for name in columns])


def origin_of(path: Path, columns: Sequence[str]) -> Origin:
    """What made the table that is there.

    Raises:
        SettingError: it is no such table, or can't be read.
    """
    try:
        schema = _opened(path).schema_arrow
        if not schema.equals(_schema(columns)):
            raise ValueError
        return Origin.from_json((schema.metadata or {}).get(_KEY, b""))
    except (ValueError, OSError) as error:  # pyarrow's own are such, too
        if isinstance(error, OSError) and error.errno:
            raise SettingError(f"{path}: can't be read: {os.strerror(error.errno)}; give another --out") from error
        raise SettingError(f"{path}: is no table of these columns, and is left as it is; give another --out") from error


def rows(path: Path) -> Iterator[Row]:
    """The rows of a table, a row group's at a time.

    Raises:
        SettingError: they can't be read.
    """
    count = 0
    try:
        for batch in _opened(path).iter_batches(_ROW_GROUP):
            found = batch.to_pylist()
            if not all(map(fits, found)):
                raise ValueError
            count += len(found)
            yield from found
    except (ValueError, OSError) as error:
        raise SettingError(
            f"{path}: is damaged after {count} rows, and is left as it is; give another --out, or leave out --resume"
        ) from error


def _opened(path: Path) -> pyarrow.parquet.ParquetFile:
    from pyarrow import parquet

    return parquet.ParquetFile(path)


def _textual(row: Row) -> Row:
    """A file's name may hold bytes that are no text."""
    return {k: v.encode("utf-8", "replace").decode("utf-8") if isinstance(v, str) else v for k, v in row.items()}
