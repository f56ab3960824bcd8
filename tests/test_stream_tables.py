"""Tables: each row on disk at once, gone on with wherever their writer was killed, never mixed, never overwritten."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import skip_or_fail

from models.errors import LaennecError, SettingError
from stream.ending import Tally
from stream.tables import lock, origin, out, parquet
from stream.tables.lines import Csv, Jsonl, Row
from stream.tables.origin import Origin
from stream.tabulate import tabulate

COLUMNS = ("path", "label", "p", "error")
ORIGIN = Origin("0.1.0", "tiny-1", "ab" * 32, None)
ROWS: list[Row] = [
    {"path": "a, b.wav", "label": None, "p": 0.25, "error": 'x: "no"; do'},
    {"path": "é.wav", "label": "ok", "p": 1.0, "error": None},
    {"path": "two\nlines\r.wav", "label": "ok", "p": 1e-06, "error": None},
    {"path": "one\rline.wav", "label": "ok", "p": 0.5, "error": None},
    {"path": "last.wav", "label": "murmur", "p": 0.1 + 0.2, "error": None},
]
NAMES = ("rows.csv", "rows.jsonl", "rows.parquet")


def write(path: Path | None, rows: Sequence[Row], resume: bool = False, made_by: Origin = ORIGIN) -> None:
    with out.opened(path, COLUMNS, made_by, resume) as table:
        for row in rows:
            table.write(row)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(parquet.rows(path))
    form = Jsonl(COLUMNS) if path.suffix == ".jsonl" else Csv(COLUMNS)
    return [row for row, _ in form.rows(io.BytesIO(path.read_bytes()))]


def test_rows_as_csv_and_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "a.csv", tmp_path / "b.CSV", tmp_path / "a.jsonl", None):
        write(path, ROWS[:2])
    wanted = 'path,label,p,error\n"a, b.wav",,0.25,"x: ""no""; do"\né.wav,ok,1.0,\n'
    assert (tmp_path / "a.csv").read_bytes().decode() == wanted
    assert (tmp_path / "b.CSV").read_bytes().decode() == wanted
    assert capsys.readouterr().out == wanted
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == ROWS[:2]


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_on_disk_at_once(tmp_path: Path, name: str) -> None:
    with out.opened(tmp_path / name, COLUMNS, ORIGIN) as table:
        for n, row in enumerate(ROWS):
            table.write(row)
            (written,) = [path for path in tmp_path.iterdir() if path.suffix in {".csv", ".jsonl"}]
            assert len(read(written)) == n + 1
    assert len(read(tmp_path / name)) == len(ROWS)


def test_rows_of_names_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = dict.fromkeys(COLUMNS) | {"path": os.fsdecode(b"h\xe9art.wav")}
    for path in (tmp_path / "a.csv", tmp_path / "a.jsonl", tmp_path / "a.parquet", None):
        write(path, [row])
    assert (tmp_path / "a.csv").read_text() == capsys.readouterr().out == "path,label,p,error\nh?art.wav,,,\n"
    assert read(tmp_path / "a.jsonl") == [row]
    assert read(tmp_path / "a.parquet") == [row | {"path": "h?art.wav"}]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_on_a_full_disk_are_one_refusal(tmp_path: Path, suffix: str) -> None:
    path, full = tmp_path / f"rows{suffix}", Path("/dev/full")
    if not full.exists():
        skip_or_fail("this system has no /dev/full")
    path.symlink_to(full)
    with pytest.raises(LaennecError, match=r"rows.*No space left.*free some space"):
        write(path, ROWS)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("a.txt", r"can't write \.txt; use \.csv, \.jsonl or \.parquet"),
        ("a", "can't write a name without ending"),
        ("nowhere/a.csv", "No such file or directory; give another --out"),
        ("file/a.jsonl", "Not a directory; give another --out"),
        ("folder.parquet", "Is a directory"),
        ("fifo.parquet", "Is a directory or device"),
        ("locked/a.csv", "Permission denied; give another --out"),
    ],
)
def test_tables_that_cannot_be_made_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, cause: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "locked").mkdir()
    os.mkfifo(tmp_path / "fifo.parquet")
    # The superuser, who may run this, is refused nothing.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "locked")
    with pytest.raises(SettingError, match=cause):
        out.check(tmp_path / name, resume=False)


def test_what_there_is_no_table_for_is_not_gone_on_with() -> None:
    with pytest.raises(SettingError, match=r"--resume.*--out"):
        out.check(None, resume=True)


# Going on


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_table_that_was_cut_anywhere_is_gone_on_with(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, ROWS)
    whole = path.read_bytes()
    held = set()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with out.opened(path, COLUMNS, ORIGIN, resume=True) as table:
            rows = list(table.rows())
            held.add(len(rows))
            for row in ROWS[len(rows) :]:
                table.write(row)
        assert path.read_bytes() == whole
    assert held == set(range(len(ROWS) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_table_gets_more_rows_at_its_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, ROWS[:3])
    before = read(path)
    write(path, ROWS[3:], resume=True)
    write(tmp_path / f"at-once{path.suffix}", ROWS)
    assert read(path) == read(tmp_path / f"at-once{path.suffix}")
    assert read(path)[:3] == before
    write(path, [], resume=True)
    assert len(read(path)) == len(ROWS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("laennec", "0.0.9", "version '0.0.9', not '0.1.0'"),
        ("model_id", "other-2", "model 'other-2', not 'tiny-1'"),
        ("model_sha256", "cd" * 32, "model file 'cdcdcdcdcdcd', not 'abab"),
        ("channel", 2, "channel 2, not None"),
    ],
)
def test_a_table_of_another_origin_is_left_alone(tmp_path: Path, name: str, field: str, value: Any, word: str) -> None:
    path = tmp_path / name
    write(path, ROWS, made_by=Origin(**{**vars(ORIGIN), field: value}))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(SettingError, match=rf"rows.*was made with another.*{word}.*leave out --resume"):
        write(path, ROWS, resume=True)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


ODD = [
    json.dumps({"laennec": version, "model": {"id": model, "sha256": sha256}, "channel": channel}).encode()
    for version, model, sha256, channel in [
        (5, "tiny-1", "ab", None), ("0.1.0", [], "ab", None), ("0.1.0", "tiny-1", 5, None),
        ("0.1.0", "tiny-1", None, None), ("0.1.0", "tiny-1", "ab", "left"),
    ]
]  # fmt: skip


@pytest.mark.parametrize("told", [None, b"", b"[]", b"{", b'{"laennec": "0.1.0", "model": 5}', *ODD, b"[" * 9999])
def test_a_table_that_nobody_knows_the_origin_of_is_left_alone(tmp_path: Path, told: bytes | None) -> None:
    path = tmp_path / "rows.csv"
    write(path, ROWS)
    origin.beside(path).unlink()
    if told is not None:
        origin.beside(path).write_bytes(told)
    before = path.read_bytes()
    with pytest.raises(SettingError, match=r"rows\.csv\.origin\.json, which says what made it, is missing or damaged"):
        write(path, ROWS, resume=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rows.csv", b"path,label\n"),
        ("rows.csv", b"5"),
        ("rows.csv", b"path,label,p,error\na,b\n"),
        ("rows.jsonl", b"5"),
        ("rows.jsonl", b'{"path": "a"}\n'),
        ("rows.jsonl", b"[" * 99_999 + b"\n"),
        ("rows.parquet", b"PAR1"),
        ("rows.parquet", b""),
    ],
)
def test_what_is_no_table_is_left_as_it_is(tmp_path: Path, name: str, data: bytes, resume: bool) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    origin.write(path, ORIGIN)
    with pytest.raises(SettingError, match="is no table of these columns, and is left as it is; give another --out"):
        write(path, ROWS, resume)
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet.part.jsonl"])
@pytest.mark.parametrize(
    ("column", "value"),
    [("path", 5), ("path", None), ("error", [1]), ("label", 0), ("p", "x"), ("p", True), ("p", {}), ("p", 10**400),
     ("p", 2**53 + 1), ("p", float("nan"))],
)  # fmt: skip
def test_a_row_with_a_value_of_another_kind_is_refused_before_any_work(
    tmp_path: Path, name: str, column: str, value: Any
) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[1] | {column: value}) + "\n")
    origin.write(path, ORIGIN)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(SettingError, match=rf"{name}: is damaged after 1 rows.*give another --out, or leave out --res"):
        write(tmp_path / name.removesuffix(".part.jsonl"), ROWS, resume=True)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_table_that_is_damaged_in_its_middle_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, ROWS[:2])
    damaged = path.read_bytes() + b'some"thing\n' + path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(SettingError, match="is damaged after 2 rows, and is left as it is"):
        write(path, ROWS, resume=True)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("name", NAMES)
def test_without_resume_an_older_table_is_put_away_with_its_origin(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, ROWS[:2])
    older = path.read_bytes()
    write(path, ROWS[2:], made_by=Origin("0.1.0", "new-1", "cd" * 32, 1))
    (kept,) = tmp_path.glob(f"rows.*Z{path.suffix}")
    assert kept.read_bytes() == older
    known = parquet.origin_of(kept, COLUMNS) if path.suffix == ".parquet" else origin.read(kept)
    assert known == ORIGIN
    assert len(read(path)) == len(ROWS[2:])


@pytest.mark.parametrize("name", NAMES)
def test_what_fails_before_the_first_row_leaves_an_older_table_in_its_place(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, ROWS[:2])
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with contextlib.suppress(KeyboardInterrupt), out.opened(path, COLUMNS, ORIGIN) as table:
        assert not list(table.rows())
        raise KeyboardInterrupt
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir() if ".part." not in each.name} == before
    write(path, ROWS[2:], resume=True)
    assert [row["path"] for row in read(path)] == [row["path"] for row in ROWS]


# Parquet


def test_parquet_has_types_nulls_row_groups_and_its_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet as read_by

    monkeypatch.setattr(parquet, "_ROW_GROUP", 3)
    write(tmp_path / "rows.parquet", ROWS)
    file = read_by.ParquetFile(tmp_path / "rows.parquet")
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types == {"path": "string", "label": "string", "p": "double", "error": "string"}
    assert json.loads(file.schema_arrow.metadata[b"laennec"]) == {
        "laennec": "0.1.0",
        "model": {"id": "tiny-1", "sha256": "ab" * 32},
        "channel": None,
    }
    assert file.num_row_groups == 2
    assert file.read().to_pylist() == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_parquet_of_other_types_is_left_as_it_is(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet as written_by

    path, told = tmp_path / "rows.parquet", {b"laennec": json.dumps(ORIGIN.as_json).encode()}
    odd = pa.Table.from_pylist([dict.fromkeys(COLUMNS, 1)])
    written_by.write_table(odd.replace_schema_metadata(told), path)
    with pytest.raises(SettingError, match=r"rows\.parquet: is no table of these columns"):
        write(path, ROWS, resume=True)
    assert list(tmp_path.iterdir()) == [path]


def test_a_parquet_whose_page_is_damaged_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write(path, ROWS)
    data = bytearray(path.read_bytes())
    data[4:60] = b"\xff" * 56  # the first page's head; the file's end, which says where it is, stays
    path.write_bytes(data)
    with pytest.raises(SettingError, match=r"rows\.parquet: is damaged after 0 rows.*leave out --resume"):
        write(path, ROWS, resume=True)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == data


def test_a_parquet_that_may_not_be_read_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    write(path, ROWS)

    def denied(_: Path) -> None:  # as for all but the superuser, who may run this
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(parquet, "_opened", denied)
    with pytest.raises(SettingError, match=r"rows\.parquet: can't be read: Permission denied; give another --out"):
        write(path, ROWS, resume=True)


def test_a_parquet_that_can_not_be_made_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(ValueError, match="convert"):
        parquet.write(path, COLUMNS, [ROWS[0], ROWS[1] | {"p": "x"}], ORIGIN)
    assert list(tmp_path.iterdir()) == []


def killed_after(path: Path, rows: int, resume: bool) -> None:
    """Some more of the rows are written, and then no other."""
    with contextlib.suppress(KeyboardInterrupt), out.opened(path, COLUMNS, ORIGIN, resume) as table:
        held = list(table.rows())
        assert held == ROWS[: len(held)]
        for row in ROWS[len(held) :][:rows]:
            table.write(row)
        raise KeyboardInterrupt


def test_a_killed_run_leaves_no_parquet_and_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    killed_after(path, 1, resume=False)
    part = tmp_path / "rows.parquet.part.jsonl"
    assert sorted(tmp_path.iterdir()) == [part, origin.beside(part)]
    part.write_bytes(part.read_bytes() + b'{"path": "hal')
    write(path, ROWS[1:], resume=True)
    assert read(path) == ROWS
    assert list(tmp_path.iterdir()) == [path]


def test_a_parquet_that_cannot_be_gone_on_with_keeps_what_it_holds(tmp_path: Path) -> None:
    """Killed while more rows come: the older ones stay where they are until all are there."""
    path = tmp_path / "rows.parquet"
    write(path, ROWS[:2])
    for _ in ROWS[2:]:
        killed_after(path, 1, resume=True)
        assert read(path) == ROWS[:2]
    write(path, [], resume=True)
    assert read(path) == ROWS


# Which recordings are heard


def heard(paths: Sequence[Path], calls: list[list[str]], good: bool) -> Iterator[Row]:
    """Rows of recordings; those called bad can't be used as long as they are not good."""
    calls.append([path.name for path in paths])
    for path in paths:
        error = f"{path}: no" if "bad" in path.name and not good else None
        yield {"path": str(path), "label": None if error else "ok", "p": None, "error": error}


def tabulated(path: Path, names: Sequence[str], good: bool, resume: bool = True) -> tuple[list[list[str]], Tally]:
    calls: list[list[str]] = []
    tally = Tally()
    with out.opened(path, COLUMNS, ORIGIN, resume) as table:
        rows = tabulate([Path(name) for name in names], lambda paths: heard(paths, calls, good), table, tally)  # type: ignore[arg-type,return-value]
        for _ in rows:
            pass
    return [call for call in calls if call], tally


@pytest.mark.parametrize("name", NAMES)
def test_recordings_with_a_row_are_left_out_and_failed_ones_tried_again(tmp_path: Path, name: str) -> None:
    names = ["a", "bad-1", "a", os.fsdecode(b"odd\xff"), os.fsdecode(b"odd\xfe"), "bad-2", "z"]
    path, at_once = tmp_path / name, tmp_path / f"at-once{Path(name).suffix}"
    calls, tally = tabulated(path, names[:4], good=False)
    assert calls == [names[:4]]
    assert (tally.written, tally.todo) == (4, 4)
    calls, tally = tabulated(path, names, good=False)
    assert calls == [["bad-1"], names[4:]]
    assert (tally.written, tally.todo) == (7, 4)
    tabulated(at_once, names, good=False)
    assert read(path) == read(at_once)
    calls, _ = tabulated(path, [*names, "a"], good=True)
    assert calls == [["bad-1", "bad-2"], ["a"]]
    tabulated(at_once, [*names, "a"], good=True, resume=False)
    assert read(path) == read(at_once)
    assert not any(row["error"] for row in read(path))
    calls, tally = tabulated(path, names, good=False)
    assert calls == []
    assert (tally.written, tally.todo) == (7, 0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_was_heard_again_before_the_end_is_kept(tmp_path: Path, name: str, after: int) -> None:
    """Killed while those that failed are tried again: none that was is heard once more, and its row is the new one."""
    names = ["bad-0", "a", "bad-1", "bad-1", "bad-2"]
    path, at_once = tmp_path / name, tmp_path / f"at-once{Path(name).suffix}"
    tabulated(path, names, good=False)
    calls: list[list[str]] = []
    tally = Tally()
    with contextlib.suppress(KeyboardInterrupt), out.opened(path, COLUMNS, ORIGIN, resume=True) as table:
        found = [Path(name) for name in [*names, "z"]]
        rows = tabulate(found, lambda paths: heard(paths, calls, True), table, tally)  # type: ignore[arg-type,return-value]
        for count, _ in enumerate(rows, 1):
            assert (tally.written, tally.todo) == (1 + count, 5)
            if count == after:
                raise KeyboardInterrupt
    (side,) = tmp_path.glob("*.again.jsonl")
    assert side.read_bytes().count(b"\n") == after
    side.write_bytes(side.read_bytes() + b'{"path": "hal')
    calls, _ = tabulated(path, [*names, "z"], good=True)
    assert calls == [["bad-0", "bad-1", "bad-1", "bad-2"][after:], ["z"]]
    assert not [p.name for p in tmp_path.iterdir() if "again" in p.name]
    tabulated(at_once, [*names, "z"], good=True)
    assert read(path) == read(at_once)


def test_what_was_heard_again_goes_away_with_its_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for put_away in (True, False):
        write(path, [ROWS[0]])
        with out.opened(path, COLUMNS, ORIGIN, resume=True) as table:
            table.write_again(ROWS[0] | {"label": "ok", "error": None})
        if not put_away:
            path.unlink()
        write(path, [ROWS[0]], resume=not put_away)
        assert [row["path"] for row in read(path) if row["error"]] == [ROWS[0]["path"]]
        assert not (tmp_path / "rows.csv.again.jsonl").exists()
    kept = min(tmp_path.glob("rows.*Z.csv"))
    write(kept, [], resume=True)
    assert [(row["label"], row["error"]) for row in read(kept)] == [("ok", "")]


# Two commands at a time


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("resume", [False, True])
def test_a_table_that_is_being_written_is_refused(tmp_path: Path, name: str, resume: bool) -> None:
    path = tmp_path / name
    with out.opened(path, COLUMNS, ORIGIN) as table:
        table.write(ROWS[0])
        before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
        for other in (path, tmp_path / f"link{path.suffix}"):
            if other != path:
                other.symlink_to(path)
            with pytest.raises(SettingError, match=rf"{other.name}: another command writes to it.*give another --out"):
                write(other, ROWS, resume)
            assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file() and not p.is_symlink()} == before
        table.write(ROWS[1])
    assert len(read(path)) == 2
    assert not list(tmp_path.glob("*.lock"))
    write(path, ROWS[2:], resume=True)


def test_a_lock_that_its_holder_deletes_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a file of that name that a killed command left is no obstacle."""
    left, real = tmp_path / "rows.csv.lock", lock._lock
    left.touch()
    calls: list[int] = []

    def late(descriptor: int) -> None:
        real(descriptor)
        calls.append(descriptor)
        if len(calls) == 1:
            left.unlink()

    monkeypatch.setattr(lock, "_lock", late)
    with lock.held(tmp_path / "rows.csv"), pytest.raises(SettingError), lock.held(tmp_path / "rows.csv"):
        pass
    assert len(calls) == 2
    assert not left.exists()
