"""A log of several streams read back: each as if it had been heard alone, over all its files; damage is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decide import Decision
from models.errors import InputFileError
from stream.log import reading
from stream.sinks.jsonl import JsonlSink
from stream.sinks.log_file import LogFile, Rotation
from stream.snapshot import Ledger

NAMES = ("ch1", "bed 2", "ü")


def source(name: str, rate_hz: int = 4000) -> dict[str, Any]:
    return {"kind": "file", "name": f"{name}.wav", "rate_hz": rate_hz}


def head() -> dict[str, Any]:
    streams = {name: source(name, 4000 + k) for k, name in enumerate(NAMES)}
    return {"laennec": "0", "model": {"id": "m"}, "streams": streams, "started": "2026-11-23T12:00:00+00:00"}


def written(path: Path, order: list[int], most_bytes: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """A log to which the streams with these indices tell something, in turn; and what each tells."""
    file = LogFile(path, Rotation(most_bytes))
    whole = JsonlSink(file.session(), "log", head())
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    sinks = {name: whole.of(name) for name in NAMES}
    for number, index in enumerate(order):
        name, t_s = NAMES[index], float(number)
        if number % 2:
            sinks[name].gap(t_s, number, "away")
            told[name].append({"type": "gap", "t_s": t_s, "lost_samples": number, "reason": "away"})
        else:
            sinks[name].decision(Decision(t_s, 4.0, None, "uncertain", None))
            told[name].append({"type": "decision", "t_s": t_s})
    for name in NAMES:
        sinks[name].end(Ledger(1, 1), "over")
        told[name].append({"type": "end", "reason": "over"})
    file.close()
    return told


@given(order=st.lists(st.integers(0, 2), max_size=30), most_bytes=st.sampled_from((None, 1, 900)))
def test_each_stream_is_read_as_if_alone(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], most_bytes: int | None
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.jsonl"
    told = written(path, order, most_bytes)
    for k, name in enumerate(NAMES):
        first, *found = reading.read(path, name)
        assert first["source"] == source(name, 4000 + k)
        assert "streams" not in first
        assert [{key: line[key] for key in wanted} for line, wanted in zip(found, told[name], strict=True)] == told[
            name
        ]
        assert not any("stream" in line for line in found)


def test_a_stream_has_to_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    written(path, [0, 1])
    with pytest.raises(InputFileError, match="holds 3 streams; choose one with --stream: ch1, bed 2, ü"):
        list(reading.read(path))
    with pytest.raises(InputFileError, match="holds 3 streams, none called ch9; choose one"):
        list(reading.read(path, "ch9"))


def lines(*more: dict[str, Any], **session: Any) -> str:
    whole = [{"type": "session", "schema": 1, **head(), **session}, *more]
    return "".join(json.dumps({k: v for k, v in line.items() if v != "left out"}) + "\n" for line in whole)


GAP = {"type": "gap", "t_s": 1.0, "lost_samples": 3, "reason": "away"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (lines({**GAP, "stream": "ch9"}), "line 2 is damaged: it is of no stream that its session names"),
        (lines(GAP), "line 2 is damaged: it is of no stream"),
        (lines({**GAP, "stream": ["ch1"]}), "line 2 is damaged: it is of no stream"),
        (lines({**GAP, "stream": "ch1", "lost_samples": 0}), "lost_samples can't be 0"),
        (lines({**GAP, "stream": "ch1", "lost_samples": 10**13}), "lost_samples can't be 1"),
        (lines(streams={}), "names neither a source nor several streams"),
        (lines(streams="left out"), "names neither a source nor several streams"),
        (lines(source=source("x")), "names neither a source nor several streams, or both"),
        (lines(streams={"ch1": {"kind": "file"}}), "name is missing"),
    ],
)
def test_damage_is_named(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(InputFileError, match=why):
        list(reading.read(path, "ch1"))


def test_a_line_of_a_stream_in_a_log_of_one_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(lines({**GAP, "stream": "ch1"}, streams="left out", source=source("x")))
    with pytest.raises(InputFileError, match="line 2 is damaged: it is of no stream that its session names"):
        list(reading.read(path))


def test_many_names_are_not_all_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(lines(streams={f"bed{k}\x1b": source("x") for k in range(1000)}))
    with pytest.raises(InputFileError) as refusal:
        list(reading.read(path))
    assert "and 988 more" in str(refusal.value)
    assert len(str(refusal.value)) < 400
    assert "\x1b" not in str(refusal.value)
