"""The log of a long session: new files by size and by day, nothing lost, doubled or overwritten; disks that fail."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import resource
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tiny_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from program import LAENNEC, lines, refused, run, surroundings

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import LaennecError, SettingError
from stream import options, outputs
from stream.patient import Patient
from stream.put_away import put_away
from stream.session import Session
from stream.sinks import log_file
from stream.sinks.hindered import HinderedError
from stream.sinks.jsonl import JsonlSink
from stream.sinks.log_file import LogFile, Rotation
from stream.sinks.plain import PlainSink
from stream.snapshot import Ledger
from stream.sources.simulated import SimulatedSource

HEAD: dict[str, Any] = {"laennec": "0", "started": "2026-11-23T11:45:00.123+00:00"}
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def bundle(model: Path) -> Bundle:
    return bundles.load(model)


class Clock:
    """A wall clock that stands still until it is set."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def opened(path: Path, rotation: Rotation | None = None, now: Clock | None = None) -> contextlib.closing[LogFile]:
    return contextlib.closing(LogFile(path, rotation, now or Clock()))


def by_name(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: path.name)


def joined(files: list[Path]) -> list[dict[str, Any]]:
    """The lines of the files, one after the other, without the repeated session lines; each file is readable alone."""
    found: list[dict[str, Any]] = []
    for path in files:
        first, *rest = lines(path)
        assert first["type"] == "session"
        if first.get("continued"):
            begun = [line for line in found if line["type"] == "session"][-1]
            assert first == {**begun, "continued": True}
        else:
            found.append(first)
        found += rest
    return found


# Nothing is lost

LINE = st.tuples(st.sampled_from(["line", "session", "tomorrow", "earlier"]), st.integers(0, 300))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(most=st.one_of(st.none(), st.integers(1, 1500)), daily=st.booleans(), steps=st.lists(LINE, max_size=60))
def test_all_files_in_the_order_of_their_names_hold_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, most: int | None, daily: bool, steps: list[tuple[str, int]]
) -> None:
    folder, clock = tmp_path_factory.mktemp("logs"), Clock()
    with opened(folder / "x.jsonl", Rotation(most, daily), clock) as file:
        sink = JsonlSink(file.session(), "x", {**HEAD, "number": 0})
        wanted = [{"type": "session", "schema": 1, **HEAD, "number": 0}]
        for number, (what, size) in enumerate(steps, 1):
            if what == "session":
                sink = JsonlSink(file.session(), "x", {**HEAD, "number": number})
                wanted.append({"type": "session", "schema": 1, **HEAD, "number": number})
            else:
                clock.now += {"line": timedelta(), "tomorrow": timedelta(1), "earlier": -timedelta(hours=1)}[what]
                sink.notice(number, "x" * size)
                wanted.append({"type": "notice", "t_s": number, "text": "x" * size})
    files = by_name(folder)
    assert files[-1].name == "x.jsonl"
    assert joined(files) == wanted
    for path in files:
        if most is not None:
            assert path.stat().st_size <= most or len(lines(path)) <= 2
        assert len(lines(path)) >= 2 or path == files[-1]
    if most is None and not daily:
        assert len(files) == 1


def test_a_session_writes_the_same_lines_with_and_without_rotation(bundle: Bundle, tmp_path: Path) -> None:
    for name, rotation in (("whole", None), ("cut", Rotation(4000))):
        path = tmp_path / name / "log.jsonl"
        path.parent.mkdir()
        source = SimulatedSource(Patient("murmur"), 30, speed=None)
        with outputs.log_file(path, rotation) as begun:
            told = outputs.sinks(options.Output(path, quiet=True), begun(), bundle, source, screen=False)
            Session(source, bundle, told).run()
    (whole,), cut = by_name(tmp_path / "whole"), by_name(tmp_path / "cut")
    assert len(cut) > 5
    assert all(path.stat().st_size <= 4000 for path in cut)
    assert joined(cut)[1:] == lines(whole)[1:]
    assert joined(cut)[-1]["type"] == "end"


def test_a_line_is_on_disk_at_once_and_is_whole_in_every_file(tmp_path: Path) -> None:
    with opened(tmp_path / "x.jsonl", Rotation(600)) as file:
        sink = JsonlSink(file.session(), "x", HEAD)
        for number in range(50):
            sink.notice(number, "a text")
            assert joined(by_name(tmp_path))[-1]["t_s"] == number


# Days


def test_a_new_file_begins_with_the_first_line_after_midnight_utc(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 11, 23, 23, 59, 59, 999_000, UTC))
    with opened(tmp_path / "x.jsonl", Rotation(None, daily=True), clock) as file:
        sink = JsonlSink(file.session(), "x", HEAD)
        sink.notice(1, "before")
        assert len(by_name(tmp_path)) == 1
        clock.now += timedelta(milliseconds=1)
        sink.notice(2, "after")
        clock.now += timedelta(hours=-1)  # a clock that is set back begins no file
        sink.notice(3, "after")
        clock.now += timedelta(hours=2)
        sink.notice(4, "after")
    old, new = by_name(tmp_path)
    assert old.name == "x.2026-11-24T000000.000Z.jsonl"
    assert [line["text"] for line in lines(old)[1:]] == ["before"]
    assert [line["text"] for line in lines(new)[1:]] == ["after"] * 3
    assert lines(new)[0] == {**lines(old)[0], "continued": True}


def test_without_daily_midnight_is_nothing(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path / "x.jsonl", Rotation(10**6), clock) as file:
        sink = JsonlSink(file.session(), "x", HEAD)
        for number in range(4):
            clock.now += timedelta(days=number)
            sink.notice(number, "")
    assert len(by_name(tmp_path)) == 1


# Names


def test_files_of_one_instant_and_of_a_clock_set_back_have_names_in_order(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "x.jsonl"
    for number, back in enumerate([0, 0, 0, 3600, 86_400, 0]):
        path.write_text(str(number))
        put_away(path, clock.now - timedelta(seconds=back))
    assert [file.read_text() for file in by_name(tmp_path)] == list("012345")
    assert by_name(tmp_path)[0].name == "x.2026-11-23T120000.000Z.jsonl"
    assert by_name(tmp_path)[-1].name == "x.2026-11-23T120000.005Z.jsonl"


def test_a_name_is_in_utc_whatever_zone_the_clock_tells(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").touch()
    assert put_away(tmp_path / "x.jsonl", datetime.fromisoformat("2026-11-23T01:30:00+05:00")).name == (
        "x.2026-11-22T203000.000Z.jsonl"
    )


def test_files_of_other_logs_and_impossible_days_do_not_move_the_names(tmp_path: Path) -> None:
    for name in ("y.2099-01-01T000000.000Z.jsonl", "x.2026-13-41T000000.000Z.jsonl", "x.2099.jsonl"):
        (tmp_path / name).write_text(name)
    (tmp_path / "x.jsonl").touch()
    assert put_away(tmp_path / "x.jsonl", NOON).name == "x.2026-11-23T120000.000Z.jsonl"
    assert len(by_name(tmp_path)) == 4


def test_a_name_that_another_program_takes_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It takes it after the folder was looked through.
    monkeypatch.setattr("stream.put_away._stamps", lambda path: iter(()))
    (tmp_path / "x.2026-11-23T120000.000Z.jsonl").write_text("theirs")
    (tmp_path / "x.jsonl").write_text("ours")
    assert put_away(tmp_path / "x.jsonl", NOON).read_text() == "ours"
    assert [file.read_text() for file in by_name(tmp_path)] == ["theirs", "ours"]


# What is there already


def test_an_older_log_is_put_away_and_not_overwritten(tmp_path: Path) -> None:
    for number in range(3):
        with opened(tmp_path / "x.jsonl") as file:
            JsonlSink(file.session(), "x", {**HEAD, "number": number})
    files = by_name(tmp_path)
    assert [lines(path)[0]["number"] for path in files] == [0, 1, 2]
    assert not any("continued" in lines(path)[0] for path in files)


FOREIGN = [
    "notes\n",
    "[[" * 100_000,
    '{"type": "other"}\n',
    '"session"\n',
    '{"type": "session"}\n',
    "RIFF\xff\x00",
    "\n",
]


@pytest.mark.parametrize("text", FOREIGN, ids=range(len(FOREIGN)))
def test_what_is_no_log_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SettingError, match=r"thesis\.txt: is no log of Laennec's.*give another --log"):
        LogFile(path)
    assert path.read_text(encoding="latin-1") == text
    assert by_name(tmp_path) == [path]


def test_an_empty_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").touch()
    with opened(tmp_path / "x.jsonl") as file:
        JsonlSink(file.session(), "x", HEAD)
    assert len(lines(tmp_path / "x.jsonl")) == len(by_name(tmp_path)) == 1


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "disk" / "real.jsonl", tmp_path / "link.jsonl"
    real.parent.mkdir()
    link.symlink_to(real)
    for _ in range(2):
        with opened(link) as file:
            JsonlSink(file.session(), "x", HEAD)
    assert link.is_symlink()
    assert len(lines(link)) == 1
    assert len(by_name(real.parent)) == 2
    assert by_name(tmp_path) == [real.parent, link]


def test_the_program_puts_an_older_log_away_and_refuses_other_files(model: Path, tmp_path: Path) -> None:
    log, thesis = tmp_path / "x.jsonl", tmp_path / "thesis.txt"
    thesis.write_text("years of work\n")
    command = ("demo", "--model", model, "--seconds", 20, "--speed", "max", "--quiet", "--log")
    for _ in range(2):
        done = run(*command, log, "--log-max-mb", 0.008)
        assert (done.returncode, done.stderr) == (0, "")
    files = [path for path in by_name(tmp_path) if path.suffix == ".jsonl"]
    found = joined(files)
    half = len(found) // 2
    assert [line["type"] for line in found].count("end") == 2
    assert found[1:half] == found[half + 1 :]
    assert len(files) >= 4
    refused(run(*command, thesis), 2, thesis, "no log of Laennec's", "another --log")
    assert thesis.read_text() == "years of work\n"


def test_a_pipe_is_written_as_it_is(model: Path) -> None:
    done = run("demo", "--model", model, "--seconds", 5, "--speed", "max", "--quiet", "--log", "/dev/stdout")
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()][:: len(done.stdout.splitlines()) - 1] == [
        "session",
        "end",
    ]


# What fails


def long_name(folder: Path) -> Path:
    """A log whose name has no room for a date: it can't be put away."""
    return folder / ("x" * (os.pathconf(folder, "PC_NAME_MAX") - 10) + ".jsonl")


def test_a_rotation_that_fails_is_told_once_and_the_log_goes_on_in_the_old_file(tmp_path: Path) -> None:
    said, path = [], long_name(tmp_path)
    with opened(path, Rotation(1000)) as file:
        sink = JsonlSink(file.session(), "x", HEAD)
        for number in range(100):
            try:
                sink.notice(number, "a text")
            except HinderedError as error:
                said.append(str(error))
        file.check()
    assert len(said) == 1
    assert "no new file can be begun: File name too long; it goes on in the old one" in said[0]
    assert by_name(tmp_path) == [path]
    assert [line["t_s"] for line in lines(path)[1:]] == list(range(100))
    with pytest.raises(SettingError, match="File name too long"):
        LogFile(path)
    assert len(lines(path)) == 101


@contextlib.contextmanager
def no_new_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def begun(path: Path, head: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(log_file, "_begun", begun)
        yield


def test_after_a_rotation_that_failed_the_next_one_is_tried_and_told_again_only_if_one_worked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []
    with opened(tmp_path / "x.jsonl", Rotation(400)) as file:
        sink = JsonlSink(file.session(), "x", HEAD)

        def tell(first: int) -> None:
            for number in range(first, first + 20):
                try:
                    sink.notice(number, "a text")
                except HinderedError:
                    said.append(number)

        for first in (0, 40):
            with no_new_files(monkeypatch):
                tell(first)
            tell(first + 20)
    assert len(said) == 2
    assert said[0] < 20
    assert 40 <= said[1] < 60
    assert [line["t_s"] for line in joined(by_name(tmp_path))[1:]] == list(range(80))


def test_a_file_that_another_program_puts_in_the_place_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl"

    def put_away_and_lose_the_race(old: Path, now: datetime) -> Path:
        kept = put_away(old, now)
        old.write_text("theirs")
        return kept

    with opened(path, Rotation(400)) as file:
        sink = JsonlSink(file.session(), "x", HEAD)
        monkeypatch.setattr(log_file, "put_away", put_away_and_lose_the_race)
        said = []
        for number in range(20):
            try:
                sink.notice(number, "a text")
            except HinderedError as error:
                said.append(str(error))
                monkeypatch.undo()
                break
        sink.notice(number + 1, "a text")
    assert "File exists" in said[0]
    kept, theirs = by_name(tmp_path)
    assert theirs.read_text() == "theirs"
    assert [line["t_s"] for line in lines(kept)[1:]] == list(range(number + 2))


def test_a_log_that_somebody_removed_goes_on_in_a_new_file(tmp_path: Path) -> None:
    with opened(tmp_path / "x.jsonl", Rotation(400)) as file:
        sink = JsonlSink(file.session(), "x", HEAD)
        sink.notice(0, "a text")
        (tmp_path / "x.jsonl").unlink()
        for number in range(1, 30):
            sink.notice(number, "a text")
    found = [line for path in by_name(tmp_path) for line in lines(path)]
    assert all(lines(path)[0]["continued"] for path in by_name(tmp_path))
    times = [line["t_s"] for line in found if line["type"] == "notice"]
    assert times == list(range(times[0], 30))
    assert times[0] < 10  # what was written to the removed file is gone with it


@contextlib.contextmanager
def files_of_at_most(length: int) -> Iterator[None]:
    """As a disk that gets full: the system writes part of the line, and refuses the rest."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("length", [800, 801, 850, 899])
def test_a_log_on_a_disk_that_gets_full_ends_with_a_whole_line_and_listening_goes_on(
    bundle: Bundle, tmp_path: Path, length: int
) -> None:
    source, plain, whole = SimulatedSource(Patient("normal"), 8, speed=None), io.StringIO(), io.StringIO()
    with opened(tmp_path / "x.jsonl") as file, files_of_at_most(length):
        sinks = [JsonlSink(file.session(), "x", HEAD), PlainSink(plain, 4000), JsonlSink(whole, "whole", HEAD)]
        session = Session(source, bundle, sinks)
        session.run()
        with pytest.raises(LaennecError, match=r"x\.jsonl: can't be written any more: File too large; free some space"):
            file.check()
    told = [json.loads(line) for line in whole.getvalue().splitlines()]
    (notice,) = [line for line in told if line["type"] == "notice"]
    assert "x.jsonl: can't be written any more: File too large" in notice["text"]
    assert "goes on without a log" in notice["text"]
    assert plain.getvalue().count("notice: ") == 1
    assert session.snapshot().notice == notice["text"]
    kept = lines(tmp_path / "x.jsonl")
    assert 1 < len(kept) < len(told)
    assert kept == told[: len(kept)]
    assert told[-1]["type"] == "end"
    assert told[-1]["ledger"]["analysed"] == 8 * source.rate_hz
    assert told[-1]["reason"] == "end of input"


def test_nothing_is_told_after_the_end(bundle: Bundle, tmp_path: Path) -> None:
    def log(most: int) -> str:
        whole = io.StringIO()
        with opened(tmp_path / f"{most}.jsonl") as file, files_of_at_most(most):
            sinks = [JsonlSink(file.session(), "x", HEAD), JsonlSink(whole, "whole", HEAD)]
            Session(SimulatedSource(Patient("normal"), 5, speed=None), bundle, sinks).run()
        return whole.getvalue()

    whole = log(10**6)
    assert log(len(whole) - 1) == whole  # only the last line does not fit


def test_an_output_that_breaks_while_a_notice_is_told_ends_the_session_properly(bundle: Bundle, tmp_path: Path) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            if "notice" in text:
                raise BrokenPipeError(errno.EPIPE, "Broken pipe")
            return super().write(text)

    source, whole = SimulatedSource(Patient("normal"), 8, speed=None), io.StringIO()
    with opened(tmp_path / "x.jsonl") as file, files_of_at_most(800):
        sinks = [JsonlSink(file.session(), "x", HEAD), JsonlSink(Gone(), "pipe", HEAD), JsonlSink(whole, "whole", HEAD)]
        Session(source, bundle, sinks).run()
    assert json.loads(whole.getvalue().splitlines()[-1])["reason"] == "output closed"


def test_the_next_session_does_not_begin_without_its_log(bundle: Bundle, tmp_path: Path) -> None:
    with opened(tmp_path / "x.jsonl") as file, files_of_at_most(300):
        sink = JsonlSink(file.session(), "x", HEAD)
        with pytest.raises(HinderedError):
            sink.notice(0, "x" * 300)
        sink.notice(1, "silently left out")
        with pytest.raises(LaennecError, match="free some space") as refusal:
            JsonlSink(file.session(), "x", HEAD)
        assert not isinstance(refusal.value, HinderedError)
    assert len(lines(tmp_path / "x.jsonl")) == 1


def test_a_rotation_that_fails_as_a_session_begins_is_told_to_that_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "x.jsonl", Rotation(100)) as file:
        sink = JsonlSink(file.session(), "x", HEAD)
        sink.notice(0, "")
        with no_new_files(monkeypatch):
            sink = JsonlSink(file.session(), "x", HEAD)
        with pytest.raises(HinderedError, match="goes on in the old one"):
            sink.end(Ledger(), "end of input")
    assert [line["type"] for line in joined(by_name(tmp_path))] == ["session", "notice", "session", "end"]


def test_the_program_listens_on_and_says_at_the_end_that_its_log_is_not_whole(model: Path, tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    arguments = ("demo", "--model", model, "--seconds", 20, "--speed", "max", "--plain", "--log", log)
    done = subprocess.run(
        [*LAENNEC, *map(str, arguments)],
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
    )
    assert done.stdout.count("  notice: ") == 1
    assert done.stdout.splitlines()[-1].startswith("end: end of input; 80000 samples captured = 80000 analysed")
    done.stdout = ""
    refused(done, 1, log, "can't be written any more", "File too large", "free some space")
    assert lines(log)[0]["type"] == "session"
    assert 4000 < log.stat().st_size <= 5000


# Options


def test_limits_as_the_options_have_them() -> None:
    log = Path("x.jsonl")
    assert options.rotation(None, None, daily=False) == options.rotation(log, None, daily=False) == Rotation(10**8)
    assert options.rotation(log, 0, daily=True) == Rotation(None, daily=True)
    assert options.rotation(log, 2.5, daily=False) == Rotation(2_500_000)
    assert options.rotation(log, 1e-9, daily=False) == Rotation(1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--log-daily",), ("give --log too",)),
        (("--log-max-mb", "1"), ("give --log too",)),
        (("--log", "x.jsonl", "--log-max-mb", "nan"), ("--log-max-mb nan", "or 0")),
        (("--log", "x.jsonl", "--log-max-mb", "-1"), ("--log-max-mb -1", "or 0")),
        (("--log", "x.jsonl", "--log-max-mb", "inf"), ("--log-max-mb inf", "or 0")),
    ],
)
def test_limits_that_can_not_be_used(tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(run("demo", *arguments, cwd=tmp_path), 2, *words)
    assert by_name(tmp_path) == []
