"""Recordings that the listener switched on and off, paused or not: where a report draws them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from program import RATE_HZ

from models import bundle as bundles
from models.errors import InputFileError
from stream import outputs
from stream.patient import Patient
from stream.report import inputs
from stream.session import Session
from stream.sinks.jsonl import JsonlSink
from stream.sources.simulated import SimulatedSource

MODEL = bundles.load()
BLOCK = RATE_HZ // 10

Keys = dict[float, Any]


def listened(own: Path, keys: Keys, seconds: float = 20.0) -> Path:
    """A real session in a folder: at each of the times the listener pauses (True, False) or records (name, None)."""
    own.mkdir()
    source = SimulatedSource(Patient("normal"), seconds, block_samples=BLOCK, speed=None)
    with (own / "log.jsonl").open("w", encoding="utf-8") as log:
        session = Session(source, MODEL, [JsonlSink(log, "a log", outputs.header(MODEL, source))])
        left = sorted(keys.items(), reverse=True)
        blocks = 0

        def pressed() -> None:
            nonlocal blocks
            blocks += 1
            while left and left[-1][0] <= blocks * BLOCK / RATE_HZ + 1e-9:
                _, key = left.pop()
                if isinstance(key, bool):
                    session.pause(key)
                else:
                    session.record(own / key if key else None)

        session.run(pressed)
    return own


def read(path: Path, *audio: Path) -> inputs.Given:
    return inputs.read(path, list(audio), None, None, MODEL)


def covered(given: inputs.Given) -> list[tuple[float, float]]:
    assert given.recording
    return [(round(c.start_s, 6), round(c.end_s, 6)) for c in given.recording.covered]


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({4.0: "x.wav", 8.0: True, 11.0: None, 14.0: False}, (4.0, 11.0)),
        ({4.0: True, 7.0: "x.wav", 12.0: False}, (7.0, 20.0)),
        ({4.0: "x.flac", 8.0: True, 11.0: False, 15.0: None}, (4.0, 15.0)),
    ],
)
def test_a_recording_that_ends_or_begins_within_a_pause_belongs_to_its_session(
    keys: Keys, where: tuple[float, float], tmp_path: Path
) -> None:
    given = read(listened(tmp_path / "s", keys))
    assert covered(given) == [where]
    assert given.heard.gaps


def test_a_pause_that_its_recording_does_not_have_is_still_noticed(tmp_path: Path) -> None:
    own = listened(tmp_path / "s", {4.0: "x.wav", 8.0: True, 9.0: False, 10.0: True, 13.0: None, 15.0: False})
    read(own)
    beside = own / "x.wav.gaps.jsonl"
    beside.write_text("".join(beside.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    given = read(own)
    assert given.recording is None
    assert "is left out" in given.heard.caveats[-1]
    assert "the log alone has a gap of 1 s at 0:08.0" in given.heard.caveats[-1]


def test_a_sound_that_can_not_be_read_does_not_block_its_folders_report(tmp_path: Path) -> None:
    own = listened(tmp_path / "s", {4.0: "x.wav", 9.0: None}, 10.0)
    (own / "x.wav").write_bytes(b"no sound")
    given = read(own)
    assert given.recording is None
    assert given.heard.decisions
    assert "is left out" in given.heard.caveats[-1]
    assert "x.wav" in given.heard.caveats[-1]
    with pytest.raises(InputFileError, match=r"x\.wav"):
        read(own, own / "x.wav")


def test_a_recording_that_is_named_stands_where_the_log_says(tmp_path: Path) -> None:
    """In a folder or by --audio, of the folder or of the log alone."""
    own = listened(tmp_path / "own", {5.0: "k.wav", 12.0: None})
    for given in (read(own), read(own, own / "k.wav"), read(own / "log.jsonl", own / "k.wav")):
        assert covered(given) == [(5.0, 12.0)]


def test_a_recording_that_was_switched_off_is_no_stranger(tmp_path: Path) -> None:
    own = listened(tmp_path / "own", {0.0: "k.wav", 10.0: None})
    assert covered(read(own / "log.jsonl", own / "k.wav"))[0][1] == pytest.approx(10.0, abs=0.2)
