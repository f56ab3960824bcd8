"""What sessions leave behind: summaries from their logs' lines, folders listed and deleted, nothing else."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import bundle as bundles
from models.errors import InputFileError, LaennecError, SettingError
from stream import gaps, outputs
from stream.patient import Patient
from stream.report import facts, session_log
from stream.session import Session
from stream.sessions import folder, listing, removal, words
from stream.sessions.summary import checked, summarise
from stream.sinks.jsonl import JsonlSink
from stream.sources.file import FileSource
from stream.sources.simulated import SimulatedSource
from stream.sources.virtual import Fault, FaultySource

Lines = list[dict[str, Any]]
STARTED = "2026-11-23T15:20:00.000+00:00"
HEAD = {
    "type": "session",
    "schema": 1,
    "laennec": "0",
    "model": {"id": "m", "sha256": "0"},
    "source": {"kind": "file", "name": "x.wav", "rate_hz": 4000},
    "settings": {},
    "started": STARTED,
}
RHYTHM = {"confidence": 0.9, "variation": 0.1, "shortest": 0.9, "premature": []}


def decision(t_s: float, label: str | None = "normal", status: str = "ok", **more: Any) -> dict[str, Any]:
    said = {"type": "decision", "t_s": t_s, "window_s": 4.0, "label": label, "status": status}
    unknown = {"probabilities": None, "quality": None, "quality_reason": "", "heart_rate_bpm": None}
    return {**said, **unknown, "rhythm": RHYTHM, **more}


def gap(t_s: float, lost: int) -> dict[str, Any]:
    return {"type": "gap", "t_s": t_s, "lost_samples": lost, "reason": "why"}


def end(captured: int, dropped: int = 0) -> dict[str, Any]:
    counts = {"captured": captured, "analysed": captured - dropped, "dropped": dropped, "discarded": 0}
    return {"type": "end", "ledger": counts, "reason": "stopped"}


WHOLE: Lines = [HEAD, decision(4.0, None, "listening"), decision(5.0), end(20_000)]


def write(path: Path, lines: Iterable[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def kept(parent: Path, name: str = "2026-11-23T152000Z", lines: Lines = WHOLE) -> Path:
    """A session's folder with its log, without a summary."""
    return write(parent / name / folder.LOG, lines).parent


# ---------------------------------------------------------------------------------------------- summaries


def session(source: Any) -> Lines:
    """The log of a real session."""
    text, bundle = io.StringIO(), bundles.load(bundles.SHIPPED)
    sink = JsonlSink(text, "a log", outputs.header(bundle, source))
    Session(source, bundle, [sink]).run()
    return [json.loads(line) for line in text.getvalue().splitlines()]


@pytest.fixture(scope="module")
def heard() -> Lines:
    return session(SimulatedSource(Patient("bigeminy"), 20.0, speed=None))


def test_times_of_a_real_session_with_losses_add_up(heard: Lines, tmp_path: Path) -> None:
    import soundfile

    for block in SimulatedSource(Patient("normal"), 20.0, block_samples=80_000, speed=None).blocks():
        soundfile.write(tmp_path / "x.wav", block.samples, 4000, "FLOAT")
    faults = [Fault.parse("drop=3@8"), Fault.parse("unplug=3@15")]
    broken = session(FaultySource(FileSource(tmp_path / "x.wav", None, None), faults, None, None))
    for lines in (heard, broken):
        found = summarise(lines)
        ledger, rate_hz = lines[-1]["ledger"], lines[0]["source"]["rate_hz"]
        assert found["complete"]
        assert found["duration_s"] == pytest.approx(ledger["captured"] / rate_hz, abs=1e-3)
        assert found["lost_s"] == pytest.approx(ledger["dropped"] / rate_hz, abs=1e-3)
        assert sum(found["time_s"].values()) + found["lost_s"] == pytest.approx(found["duration_s"], abs=0.01)
        beats = [line["sound"] for line in lines if line["type"] == "beat"]
        assert found["beats"] == {"S1": beats.count("S1"), "S2": beats.count("S2")}
    assert summarise(heard)["early_beats"] >= 3, "bigeminy"
    assert summarise(broken)["gaps"] == 2
    assert "gap" in summarise(broken)["time_s"]


def test_summary_counts_what_the_lines_say() -> None:
    early = {**RHYTHM, "premature": [{"t_s": 3.0, "coupling_s": 0.5}]}
    lines = [
        HEAD,
        decision(4.0, None, "listening"),
        decision(5.0, heart_rate_bpm=70.0),
        decision(6.0, heart_rate_bpm=74.0, rhythm=early),
        decision(7.0, heart_rate_bpm=99.0, rhythm={**early, "confidence": 0.74}),
        {"type": "mark", "t_s": 7.5, "note": "coughed"},
        gap(8.0, 8000),
        decision(14.0, None, "gap"),
        decision(15.0, "murmur", rhythm=None),
        {"type": "mark", "t_s": 15.1, "note": ""},
        {"type": "weather"},
        end(62_000, dropped=8000),
    ]
    found = summarise(lines, ["b.wav", "a.wav"])
    assert found["time_s"] == {"listening": 4.0, "normal": 4.0, "gap": 4.0, "murmur": 1.5}
    assert found["heart_rate_bpm"] == {"median": 72.0, "lowest": 70.0, "highest": 74.0, "sure_share": 0.3333}
    counted = ("duration_s", "early_beats", "gaps", "lost_s", "marks", "recordings", "reason")
    assert [found[key] for key in counted] == [15.5, 1, 1, 2.0, 2, ["a.wav", "b.wav"], "stopped"]  # type: ignore[literal-required]
    assert checked(json.loads(json.dumps(found))) == found
    killed = summarise(lines[:-3])
    assert (killed["complete"], killed["ledger"], killed["reason"], killed["duration_s"]) == (False, None, None, 15.0)


def test_what_was_heard_after_a_gap_without_a_decision_is_not_the_answer_before_it() -> None:
    found = summarise([*WHOLE[:3], gap(5.0, 4000), end(24_800, 4000)])
    assert found["time_s"] == {"listening": 4.0, "normal": 1.0, "gap": 0.2}


def test_summary_is_of_one_session() -> None:
    with pytest.raises(InputFileError, match="several sessions"):
        summarise([*WHOLE, *WHOLE])
    with pytest.raises(InputFileError, match="no session"):
        summarise([])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.sampled_from(sorted(summarise(WHOLE))), JSON)
def test_a_damaged_summary_is_none_or_can_be_shown(key: str, value: Any) -> None:
    found = checked({**summarise(WHOLE), key: value})
    if found is not None:
        words.page(found, [], [])
        listing.text([listing.Row(Path("x"), found)])


# ---------------------------------------------------------------------------------------------- folders


def test_ids_sort_in_time() -> None:
    names = ["2026-11-23T152000Z", "2026-11-23T152000Z-2", "2026-11-23T152000Z-10", "2026-11-23T152001Z"]
    mixed = [names[2], names[0], names[3], names[1]]
    assert sorted(mixed, key=lambda name: folder.order(name) or ("", 0)) == names
    for foreign in (
        "x",
        "2026-11-23T152000Z-1",
        "2026-11-23T152000Z-02",
        "2026-11-23T152000Z ",
        "2026-11-23T15:20:00Z",
    ):
        assert folder.order(foreign) is None


def test_folders_made_in_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    parent = tmp_path / "new" / "sessions"
    old = os.umask(0o022)
    try:
        made = [folder._made(parent) for _ in range(12)]
    finally:
        os.umask(old)
    assert len(set(made)) == 12
    orders = [folder.order(path.name) for path in made]
    assert None not in orders
    assert orders == sorted(orders)  # type: ignore[type-var]
    assert {path.stat().st_mode & 0o777 for path in (parent, *made)} == {0o700}


def test_a_refused_session_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingError), folder.begun(tmp_path) as own:  # noqa: PT012 - what a session does
        (own / folder.LOG).touch()
        raise SettingError("no")
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_written_is_told_and_hides_no_other_failure(tmp_path: Path) -> None:
    def ended() -> None:
        with folder.begun(tmp_path) as own:
            write(own / folder.LOG, WHOLE)
            (own / folder.SUMMARY).mkdir()

    with pytest.raises(LaennecError, match=r"summary\.json: can't be written"):
        ended()
    (row,) = listing.rows(tmp_path)
    assert row.summary is not None
    assert row.summary["complete"], "told from the log"
    with pytest.raises(KeyError), folder.begun(tmp_path) as own:  # noqa: PT012
        write(own / folder.LOG, WHOLE)
        (own / folder.SUMMARY).mkdir()
        raise KeyError


def test_list_is_newest_first_with_one_row_for_what_is_damaged(tmp_path: Path) -> None:
    kept(tmp_path, "2026-11-23T152000Z")
    kept(
        tmp_path,
        "2026-11-23T152000Z-2",
        [*WHOLE[:2], decision(4.5, "murmur"), {"type": "mark", "t_s": 4.0, "note": ""}],
    )
    kept(tmp_path, "2026-11-24T000000Z", [HEAD, decision("4")])  # type: ignore[arg-type]
    unused = kept(tmp_path, "2026-11-25T000000Z", [HEAD, decision("4")])  # type: ignore[arg-type]
    (unused / folder.SUMMARY).write_text(json.dumps(summarise(WHOLE)))
    (tmp_path / "2026-11-26T000000Z").mkdir()
    (tmp_path / "2026-11-27T000000Z").symlink_to(unused)
    (tmp_path / "notes.txt").touch()
    found = listing.rows(tmp_path)
    names = ["2026-11-25T000000Z", "2026-11-24T000000Z", "2026-11-23T152000Z-2", "2026-11-23T152000Z"]
    assert [row.path.name for row in found] == names
    head, first, damaged, killed, whole = listing.text(found).splitlines()
    assert "mostly" in head
    assert "sounds like normal heart sounds, 100 %" in first
    assert damaged.startswith(f"{names[1]}  ")
    assert "line 2 is damaged" in damaged
    assert "not ended" in killed
    assert "sounds like murmur, 100 %" in killed
    assert "not ended" not in whole
    told = listing.as_json(found)
    assert [sorted(set(row) & {"error", "complete"}) for row in told] == [
        ["complete"],
        ["error"],
        ["complete"],
        ["complete"],
    ]


def test_a_summary_that_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    own = kept(tmp_path)
    os.mkfifo(own / folder.SUMMARY)
    (row,) = listing.rows(tmp_path)
    assert row.summary == summarise(WHOLE)
    (own / folder.LOG).unlink()
    os.mkfifo(own / folder.LOG)
    (row,) = listing.rows(tmp_path)
    assert "holds no log.jsonl" in row.error


def test_page_says_it_in_words() -> None:
    found = summarise([*WHOLE[:3], gap(5.0, 4000), end(24_000, 4000)])
    text = words.page(found, [{"t_s": 61.0, "note": "cough\x1b[2J"}], [("log.jsonl", 1500), ("x.wav", 2_000_000)])
    for said in (
        "0:05; with enough sound 0:01, of which",
        "sounds like normal heart sounds, 100 %",
        "listening, too little heard, for 0:04",
        "1.0 s in 1 gap\n",
        "1:01 cough?[2J",
        "x.wav, 2.0 MB",
        "stopped",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("time_s", "told"),
    [
        ({"listening": 60.0, "gap": 4.0, "murmur": 6.0}, "sounds like murmur, 100 %"),
        ({"listening": 60.0, "murmur": 6.0, "uncertain": 3.0, "poor_signal": 1.0}, "sounds like murmur, 60 %"),
        ({"murmur": 4.0, "normal": 3.0, "uncertain": 3.0}, "changing, longest: sounds like murmur, 40 %"),
        ({"uncertain": 5.0, "normal": 5.0}, "changing, longest: uncertain, 50 %"),
        ({"poor_signal": 1000.0, "normal": 1.0}, "poor signal, 100 %"),
        ({"listening": 3.0, "gap": 1.0}, "no answer"),
    ],
)
def test_the_share_is_of_the_time_with_enough_sound(time_s: dict[str, float], told: str) -> None:
    assert words.mostly({**summarise(WHOLE), "time_s": time_s}) == told


@pytest.mark.parametrize(
    ("sure", "doubted", "unknown", "shown", "reported"),
    [
        (3, 0, 0, "72 bpm, median; 70 to 74; sure in 100 % of the decisions", "known in 100 %"),
        (3, 2, 5, "72 bpm, median; 70 to 74; sure in 30 % of the decisions", "known in 50 %"),
        (3, 20, 0, "mostly not sure, 72 bpm (median), 70 to 74; sure in 13 % of the decisions", "known in 100 %"),
        (3, 0, 500, "mostly not sure, 72 bpm (median), 70 to 74; sure in less than 1 % of the decisions", "than 1 %"),
        (0, 1, 3, "never sure", "never sure; known in 25 % of the decisions"),
        (0, 0, 3, "never sure", "not known; no steady beats were found"),
    ],
)
def test_page_and_report_tell_one_heart_rate(sure: int, doubted: int, unknown: int, shown: str, reported: str) -> None:
    rates = [(rate_bpm, RHYTHM) for rate_bpm in (71.6, 70.0, 74.0)[:sure]]
    rates += [(99.0, {**RHYTHM, "confidence": 0.74})] * doubted + [(None, RHYTHM)] * unknown
    told = [decision(5.0 + k, heart_rate_bpm=bpm, rhythm=rhythm) for k, (bpm, rhythm) in enumerate(rates)]
    lines = [HEAD, *told, end(4000 * 600)]
    probabilities = dict.fromkeys(("normal", "murmur", "extra_heart_sound", "extrasystole", "artifact"), 0.2)
    (heard,) = session_log.sessions([{**line, "probabilities": probabilities} for line in lines])
    fact = facts.facts(heard, [])[1]
    assert f"heart rate {shown}" in words.page(summarise(lines), [], [])
    assert fact.name == "Heart rate"
    assert reported in f"{fact.value}; {fact.small}"
    if sure:
        assert f"{fact.value}, {fact.small}".startswith(shown)


# ---------------------------------------------------------------------------------------------- deleting


@pytest.mark.parametrize("name", ["2026-01-01T000000Z", "bed 3"])
def test_a_stream_is_listed_under_an_id_by_which_it_is_found(name: str, tmp_path: Path) -> None:
    """Also where its recording was named like a session."""
    stream = kept(tmp_path / "2026-11-23T152000Z", name)
    (row,) = listing.as_json(listing.rows(tmp_path))
    assert row["id"] == f"2026-11-23T152000Z/{name}"
    assert listing.at(row["id"], tmp_path) == stream
    alone = kept(tmp_path, "2026-01-01T000000Z")
    assert listing.id_of(alone) == alone.name


def test_deleting_takes_the_sessions_files_and_the_folder(tmp_path: Path) -> None:
    other, own = kept(tmp_path, "2026-11-23T152001Z"), kept(tmp_path)
    for name in ("x.wav", "x.2.wav", "y.flac", "x.wav.gaps.jsonl", "log.2026-11-23T162000.000Z.jsonl", "summary.json"):
        (own / name).write_bytes(b"0" * 1000)
    length = sum(file.stat().st_size for file in own.iterdir())
    done = removal.remove(listing.at(own.name, tmp_path))
    assert (done.files, done.length, done.left) == (7, length, [])
    assert "deleted 7 files" in removal.told(done)
    assert list(tmp_path.iterdir()) == [other]


def test_deleting_leaves_and_names_what_is_not_the_sessions(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "precious.wav", [0])
    own = kept(tmp_path / "sessions")
    (own / "linked.wav").symlink_to(outside)
    (own / "folder").symlink_to(outside.parent)
    (own / "below.wav").mkdir()
    for name in ("notes.txt", "log.jsonl.bak", "gaps.jsonl", "x.txt.gaps.jsonl", "log.2026.jsonl"):
        (own / name).touch()
    assert "stays: below.wav, folder, gaps.jsonl" in removal.asked(own)
    done = removal.remove(own)
    assert done.files == 1
    assert len(done.left) == 8
    assert "left, as not the session's: below.wav" in removal.told(done)
    assert sorted(file.name for file in own.iterdir()) == sorted(done.left)
    assert outside.exists()
    assert listing.rows(own.parent) == []
    with pytest.raises(InputFileError, match="is no session's folder"):
        listing.at(own.name, own.parent)


def foreign_log(parent: Path) -> str:
    write(parent / "2026-11-23T152000Z" / "log.jsonl", [{"not": "ours"}])
    return "2026-11-23T152000Z"


def linked(parent: Path) -> str:
    (parent / "2026-11-23T152000Z").symlink_to(kept(parent / "elsewhere"))
    return "2026-11-23T152000Z"


def linked_log(parent: Path) -> str:
    (parent / "2026-11-23T152000Z").mkdir()
    (parent / "2026-11-23T152000Z" / "log.jsonl").symlink_to(write(parent / "log.jsonl", WHOLE))
    return "2026-11-23T152000Z"


NOT_OURS: dict[str, Callable[[Path], str]] = {
    "the folder of sessions": lambda parent: str(kept(parent).parent),
    "a log": lambda parent: str(kept(parent) / "log.jsonl"),
    "upwards": lambda parent: str(kept(parent) / ".."),
    "another name": lambda parent: str(kept(parent, "patients")),
    "foreign log": foreign_log,
    "link": linked,
    "linked log": linked_log,
    "missing": lambda parent: "2026-11-23T152000Z",
    "nothing": lambda parent: "",
    "root": lambda parent: "/",
}


@pytest.mark.parametrize("kind", NOT_OURS)
def test_what_is_no_session_is_refused(tmp_path: Path, kind: str) -> None:
    named = NOT_OURS[kind](tmp_path)
    with pytest.raises(InputFileError, match=r"no session's folder|no such session"):
        listing.at(named, tmp_path)


def test_a_session_is_named_by_id_or_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = kept(tmp_path)
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    for named, parent in (
        (own.name, tmp_path),
        (own.name, elsewhere),
        (f"{own.name}/", elsewhere),
        (str(own), elsewhere),
    ):
        assert listing.at(named, parent) == own
    monkeypatch.chdir(own)
    assert listing.at(".", elsewhere) == own


def test_gaps_file_of_a_recording_is_known_by_its_name(tmp_path: Path) -> None:
    own = kept(tmp_path)
    recording = own / "x.flac"
    recording.touch()
    gaps.write(recording, gaps.Loss(1, 1, ""))
    assert folder.own_files(own)[1] == []
