"""The session log read back: its files as one, every line looked at, damage named by file and line."""

from __future__ import annotations

import copy
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_case import decision, end, session_line, write_log

from models import bundle as bundles
from models.errors import InputFileError
from models.regularity import Premature, Regularity
from models.rhythm import Beat
from stream import outputs
from stream.log import reading
from stream.patient import Patient
from stream.report import session_log
from stream.session import Session
from stream.sessions.summary import summarise
from stream.sinks.jsonl import JsonlSink
from stream.sinks.log_file import LogFile, Rotation
from stream.snapshot import Ledger
from stream.sources.simulated import SimulatedSource

Lines = list[dict[str, Any]]
OLDER = "s.2026-11-22T000000.000Z.jsonl"
BEFORE = {"started": "2026-11-21T00:00:00+00:00"}


def types(path: Path) -> list[str]:
    return [line["type"] for line in reading.read(path)]


# ---------------------------------------------------------------------------------------------- what is written is read


@pytest.fixture(scope="module")
def heard() -> Lines:
    """The log of a real session."""
    text, bundle, source = io.StringIO(), bundles.load(), SimulatedSource(Patient("bigeminy"), 20.0, speed=None)
    Session(source, bundle, [JsonlSink(text, "a log", outputs.header(bundle, source))]).run()
    return [json.loads(line) for line in text.getvalue().splitlines()]


def test_a_log_that_went_on_in_new_files_reads_as_one(heard: Lines, tmp_path: Path) -> None:
    # An older session's log of that name was put away too, and is not a part of this one.
    path = write_log(tmp_path / "s.jsonl", session_line(**BEFORE), end(9))
    now = datetime(2026, 11, 23, 15, 20, tzinfo=UTC)
    file = LogFile(path, Rotation(max_bytes=4000), lambda: now)
    part = file.session()
    for line in heard:
        part.write(json.dumps(line) + "\n")
        now += timedelta(seconds=1)
    file.close()
    assert len(list(tmp_path.iterdir())) > 4
    assert list(reading.read(path)) == heard
    files = reading.files(path)
    everything = sorted(tmp_path.iterdir())
    assert everything[1:] == files
    assert reading.every_file(path) == everything
    assert len(list(reading.read_files(everything))) == 2 + len(heard)
    shown = list(reading.read(files[1]))
    assert shown == heard[: len(shown)], "a file that was put away: the log up to its end"
    assert len(shown) < len(heard)


def test_every_line_that_can_be_written_can_be_read(tmp_path: Path) -> None:
    """At the edges of what the program's own types promise."""
    from models.decide import Decision

    edge = Regularity(200.0, 1.0, 0.0, 1.0, (Premature(0.0, 0.3), Premature(1e8, 2.2)))
    path = tmp_path / "s.jsonl"
    with path.open("w", encoding="utf-8") as file:
        sink = JsonlSink(file, "s", {k: v for k, v in session_line().items() if k not in {"type", "schema"}})
        sink.decision(Decision(0.0, 0.0, None, "listening", None))
        sink.decision(Decision(3e8, 4.0, "normal", "ok", (1.0, 0, 0, 0, 0), 0.0, "words", 200.0, regularity=edge))
        sink.beat(Beat(0.0, "S2", 0.0))
        sink.gap(0.0, 1, "")
        sink.condition(0.0, "lost", "")
        sink.notice(0.0, "\udcff")
        sink.mark(0.0, "")
        sink.end(Ledger(), "")
    assert types(path)[1:] == ["decision", "decision", "beat", "gap", "device", "notice", "mark", "end"]


def test_a_log_whose_beginning_is_gone_begins_with_its_session_line(tmp_path: Path) -> None:
    write_log(tmp_path / OLDER, session_line(**BEFORE), end(9))
    path = write_log(tmp_path / "s.jsonl", session_line(continued=True), decision(90.0))
    assert types(path) == ["session", "end", "session", "decision"], "two sessions, not one"


@pytest.mark.parametrize("cut", ['{"type": "decision", "t_s": 4.', "\0\0\0", '{"type": "mark", "note": "\udcc3'])
def test_a_last_line_without_its_end_is_told_and_unknown_types_are_kept(tmp_path: Path, cut: str) -> None:
    path = write_log(tmp_path / "s.jsonl", session_line(), {"type": "weather", "t_s": "wet"})
    with path.open("ab") as file:
        file.write(cut.encode(errors="surrogateescape"))
    *whole, last = reading.read(path)
    assert last is reading.TORN
    assert [line["type"] for line in whole] == ["session", "weather"]


def test_a_last_line_that_misses_its_line_feed_alone_is_whole(tmp_path: Path) -> None:
    path = write_log(tmp_path / "s.jsonl", session_line(), end(9))
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")
    assert types(path) == ["session", "end"]
    path.write_text(path.read_text(encoding="utf-8").replace("stopped", "").replace('""', "0"), encoding="utf-8")
    with pytest.raises(InputFileError, match="line 2 is damaged: reason can't be 0"):
        types(path)


def test_a_torn_line_within_a_log_is_told_where_it_was(tmp_path: Path) -> None:
    """The power went; then somebody began anew, and the folder is read as a whole."""
    older = write_log(tmp_path / OLDER, session_line(**BEFORE))
    with older.open("a", encoding="utf-8") as file:
        file.write('{"ty')
    path = write_log(tmp_path / "s.jsonl", session_line(), end(9))
    first, second = session_log.sessions(reading.read_files(reading.every_file(path)))
    assert [caveat.split(":")[0] for caveat in first.caveats] == [
        "The log has no end",
        "The log's last line was cut off, and is left out.",
    ]
    assert second.caveats == ()


def test_a_newest_file_that_the_power_cut_left_empty_hides_no_older_one(tmp_path: Path) -> None:
    older, path = write_log(tmp_path / OLDER, session_line(), decision(1.0)), tmp_path / "s.jsonl"
    path.touch()
    assert [line["type"] for line in reading.read_files([older, path])] == ["session", "decision"]
    with pytest.raises(InputFileError, match=r"s\.jsonl: holds no whole line"):
        list(reading.read_files([path, older]))


# ---------------------------------------------------------------------------------------------- damage


def refusal(path: Path) -> str:
    with pytest.raises(InputFileError) as refused:
        list(reading.read(path))
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert "; " in said, "a remedy"
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


HEAD = json.dumps(session_line()).encode() + b"\n"
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "holds no whole line"),
    "torn at once": (lambda path: path.write_bytes(HEAD[:40]), "holds no whole line"),
    "missing": (lambda path: None, "can't be read: No such file"),
    "folder": (lambda path: path.mkdir(), "can't be read: Is a directory"),
    "table": (
        lambda path: path.write_bytes(b'{"path": "x.wav"}\n'),
        "is no log of Laennec's: line 1: it is no session's",
    ),
    "text": (lambda path: path.write_bytes(b"hello\n"), "is no log of Laennec's: line 1: it is no whole JSON"),
    "binary": (lambda path: path.write_bytes(b"RIFF\xff\x00\n" * 9), "is no log of Laennec's: line 1: it holds bytes"),
    "a line first": (lambda path: write_log(path, decision(1.0)), "is no log of Laennec's"),
    "later schema": (
        lambda path: write_log(path, session_line(schema=2)),
        "line 1: its schema can't be 2: .* reads 1; ",
    ),
    "schema true": (lambda path: write_log(path, session_line(schema=True)), "line 1 is damaged: schema can't be true"),
    "no line feed in sight": (
        lambda path: path.write_bytes(HEAD + b"[" * (2 << 20)),
        "line 2 is damaged: it has no end",
    ),
    "no end at all": (lambda path: path.write_bytes(b" " * (2 << 20)), "is no log of Laennec's: line 1: it has no end"),
    "nested": (lambda path: path.write_bytes(HEAD + b"[" * 100_000 + b"\n"), "line 2 is damaged: .*nested without end"),
    "no UTF-8": (lambda path: path.write_bytes(HEAD + b'"\xff"\n'), "line 2 is damaged: it holds bytes"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_log_or_no_whole_one_is_refused(tmp_path: Path, kind: str) -> None:
    damage, words = FILES[kind]
    path = tmp_path / "s.jsonl"
    damage(path)
    assert re.match(words, refusal(path))


def beat(**changed: Any) -> dict[str, Any]:
    return {"type": "beat", "t_s": 1.0, "sound": "S1", "confidence": 0.5} | changed


def gap(**changed: Any) -> dict[str, Any]:
    return {"type": "gap", "t_s": 1.0, "lost_samples": 1, "reason": ""} | changed


def rhythm(**changed: Any) -> dict[str, Any]:
    return decision(1.0, rhythm={"confidence": 0.9, "variation": 0.1, "shortest": 0.9, "premature": []} | changed)


def source(**changed: Any) -> dict[str, Any]:
    return session_line(source={"kind": "file", "name": "x.wav", "rate_hz": 4000} | changed)


def without(line: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in line.items() if k != key}


ALL_SHARES = dict.fromkeys(("normal", "murmur", "extra_heart_sound", "extrasystole", "artifact"), 0.2)
SAID: list[tuple[object, str]] = [
    ("{", "it is no whole JSON"),
    ("[]", "it is no JSON object"),
    ("{}", "it has no type"),
    ('{"type": 7}', "it has no type"),
    ('{"type": "decision", "t_s": NaN}', "NaN is no number"),
    ('{"type": "beat", "t_s": 1e999}', "t_s can't be Infinity"),
    (decision(1e300), "t_s can't be 1e+300"),
    (decision(3.3e8), "t_s can't be 330000000.0"),
    (decision(-1.0), "t_s can't be -1.0"),
    ({**decision(1.0), "t_s": "4"}, 't_s can\'t be "4"'),
    (decision(1.0, window_s=3601), "window_s can't be 3601"),
    (decision(1.0, "flutter"), 'label can\'t be "flutter"'),
    (decision(1.0, "normal", "fine"), 'status can\'t be "fine"'),
    (decision(1.0, "normal", "uncertain"), "label and status do not fit together"),
    (decision(1.0, None), "label and status do not fit together"),
    (without(decision(1.0), "label"), "label is missing"),
    (without(decision(1.0), "probabilities"), "probabilities is missing"),
    (decision(1.0, probabilities={"normal": 1}), "probabilities.murmur is missing"),
    (decision(1.0, probabilities={**ALL_SHARES, "murmur": 1.1}), "probabilities.murmur can't be 1.1"),
    (decision(1.0, quality=2), "quality can't be 2"),
    (decision(1.0, quality=-0.1), "quality can't be -0.1"),
    (without(decision(1.0), "quality"), "quality is missing"),
    (decision(1.0, quality_reason=None), "quality_reason can't be null"),
    (decision(1.0, heart_rate_bpm=1001), "heart_rate_bpm can't be 1001"),
    (without(decision(1.0), "rhythm"), "rhythm is missing"),
    (decision(1.0, rhythm=[]), "rhythm can't be a list"),
    (rhythm(confidence=1.5), "rhythm.confidence can't be 1.5"),
    (rhythm(variation=-1), "rhythm.variation can't be -1"),
    (rhythm(shortest=1001), "rhythm.shortest can't be 1001"),
    (rhythm(premature=None), "rhythm.premature can't be null"),
    (rhythm(premature=[{"t_s": 1, "coupling_s": 61}]), "rhythm.premature[0].coupling_s can't be 61"),
    (rhythm(premature=[{"t_s": -1, "coupling_s": 1}]), "rhythm.premature[0].t_s can't be -1"),
    (beat(sound="S3"), 'sound can\'t be "S3"'),
    (beat(t_s=-1), "t_s can't be -1"),
    (beat(t_s=True), "t_s can't be true"),
    (beat(confidence=1.01), "confidence can't be 1.01"),
    (gap(lost_samples=0), "lost_samples can't be 0"),
    (gap(lost_samples=True), "lost_samples can't be true"),
    (gap(lost_samples=1.5), "lost_samples can't be 1.5"),
    (gap(lost_samples=10**14), "lost_samples can't be 100000000000000"),  # at 4 kHz
    (gap(reason=None), "reason can't be null"),
    ({"type": "mark", "note": "?"}, "t_s is missing"),
    ({"type": "mark", "t_s": 1}, "note is missing"),
    ({"type": "notice", "t_s": 1, "text": 1}, "text can't be 1"),
    ({"type": "device", "t_s": 1, "state": "lost"}, "detail is missing"),
    ({"type": "end", "ledger": {"captured": 1}, "reason": ""}, "ledger.analysed is missing"),
    ({"type": "end", "ledger": 7, "reason": ""}, "ledger can't be 7"),
    (end(10**14), "ledger.captured can't be 100000000000000"),
    (without(end(1), "reason"), "reason is missing"),
    (source(rate_hz=0), "source.rate_hz can't be 0"),
    (source(rate_hz=10_000_001), "source.rate_hz can't be 10000001"),
    (source(rate_hz=4000.5), "source.rate_hz can't be 4000.5"),
    (source(name=None), "source.name can't be null"),
    (session_line(model="m"), 'model can\'t be "m"'),
    (session_line(model={}), "model.id is missing"),
    (session_line(started="2026-11-23T15:20:00"), 'started can\'t be "2026-11-23T15:20:00"'),
    (session_line(started="0001-01-01T00:00:00Z"), "started can't be"),
    (session_line(continued=False), "continued can't be false"),
    (without(session_line(), "laennec"), "laennec is missing"),
]


@pytest.mark.parametrize(("line", "words"), SAID, ids=[words for _, words in SAID])
def test_a_damaged_line_is_named_by_its_number_with_what_is_wrong(line: Any, words: str, tmp_path: Path) -> None:
    path = write_log(tmp_path / "s.jsonl", session_line(), decision(0.5), line, end(8000))
    said = refusal(path)
    assert said.startswith(f"line 3 is damaged: {words}")
    assert said.endswith("; take the line out, or copy the file again")


def test_damage_is_named_in_the_file_where_it_is(tmp_path: Path) -> None:
    older = write_log(tmp_path / OLDER, session_line(), beat(t_s=-1))
    path = write_log(tmp_path / "s.jsonl", session_line(continued=True), end(9))
    with pytest.raises(InputFileError) as refused:
        list(reading.read(path))
    assert str(refused.value).startswith(f"{older}: line 2 is damaged")


def test_what_a_damaged_log_says_does_not_move_the_cursor(tmp_path: Path) -> None:
    path = write_log(tmp_path / "s.jsonl", session_line(), beat(sound="\x1b[2J\n\u202e" * 999))
    said = refusal(path)
    assert said.isprintable()
    assert len(said) < 200


# ---------------------------------------------------------------------------------------------- any line

EACH = [
    session_line(),
    rhythm(premature=[{"t_s": 1.0, "coupling_s": 0.4}]),
    beat(),
    gap(),
    {"type": "device", "t_s": 1.0, "state": "lost", "detail": "x"},
    {"type": "notice", "t_s": 1.0, "text": "x"},
    {"type": "mark", "t_s": 1.0, "note": ""},
    end(9),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in lines, whole lines too."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(places(EACH), key=str)), JSON)
def test_an_altered_log_is_refused_in_a_line_or_can_be_used(tmp_path: Path, at: tuple[Any, ...], value: Any) -> None:
    lines = copy.deepcopy(EACH)
    within: Any = lines
    for key in at[:-1]:
        within = within[key]
    within[at[-1]] = value
    path = write_log(tmp_path / "s.jsonl", *(json.dumps(line) for line in lines))
    found, refused = [], f"{path}: "
    try:
        found = list(reading.read(path))
    except InputFileError as error:
        refused = str(error)
    assert refused.startswith(f"{path}: ")
    if found:
        (heard,) = session_log.sessions(found)
        assert heard.span_s >= 0
        assert summarise(found)["duration_s"] >= 0
