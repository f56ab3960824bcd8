from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from program import heart, succeed, write_wav

from models.classes import CLASSES
from models.rhythm import Beat
from stream.sinks.plain import PlainSink, stamp
from stream.snapshot import Ledger
from tests.monitor_case import decided


class Counting(io.StringIO):
    """A text stream that counts its flushes."""

    flushes = 0

    def flush(self) -> None:
        self.flushes += 1
        super().flush()


def lines_of(*decisions) -> list[str]:
    stream = io.StringIO()
    sink = PlainSink(stream, 4000)
    for d in decisions:
        sink.decision(d)
    return stream.getvalue().splitlines()


def test_a_session_in_lines():
    stream = Counting()
    sink = PlainSink(stream, 4000)
    sink.decision(replace(decided(2.0, None, "listening"), probabilities=None))
    sink.decision(decided(4.0, "murmur", heart_rate_bpm=78.2))
    sink.beat(Beat(4.2, "S1", 0.9))  # no line
    sink.decision(decided(5.0, "murmur", p=0.9))
    sink.gap(5.5, 480, "ring overrun")
    sink.decision(decided(6.0, None, "gap"))
    sink.decision(decided(9.0, None, "uncertain", heart_rate_bpm=None))
    sink.end(Ledger(48000, 47020, 480, 500), "end of file")
    assert stream.getvalue().splitlines() == [
        "00:00:02.0  listening",
        "00:00:04.0  sounds like murmur (p 0.83, quality 0.72, 78 bpm)",
        "00:00:05.5  gap: 0.12 s lost, 480 samples (ring overrun)",
        "00:00:09.0  uncertain: no class stands out (quality 0.72)",
        "end: end of file; 48000 samples captured = 47020 analysed + 480 lost + 500 discarded",
    ]
    assert stream.flushes == 5


def test_only_changes_make_lines():
    same = [decided(float(t), "normal", p=0.6 + t / 100) for t in range(20)]
    assert len(lines_of(*same)) == 1
    assert len(lines_of(*same, decided(20.0, "murmur"), *same)) == 3


def test_every_class_is_worded_as_heard_and_never_as_a_diagnosis():
    lines = lines_of(*(decided(float(i), name) for i, name in enumerate(CLASSES)))
    assert all("sounds like" in line for line in lines[:-1])
    assert "no heart sound heard (artifact)" in lines[-1]
    assert "sounds like" not in lines[-1]
    assert not any(" has " in line for line in lines)


def test_poor_signal_names_its_reason():
    (line,) = lines_of(decided(1.0, None, "poor_signal", quality_reason="too quiet"))
    assert line.startswith("00:00:01.0  poor signal: too quiet")


def test_no_cursor_movement_and_plain_ascii_words():
    lines = lines_of(
        *(decided(0.0, n) for n in CLASSES), *(decided(0.0, None, s) for s in ("uncertain", "poor_signal"))
    )
    assert all(line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("t_s", "text"),
    [
        (0.0, "00:00:00.0"),
        (59.96, "00:01:00.0"),
        (3599.99, "01:00:00.0"),
        (360_000.0, "100:00:00.0"),
        (4.04, "00:00:04.0"),
    ],
)
def test_stamp_rounds_and_carries(t_s: float, text: str):
    assert stamp(t_s) == text


def test_a_stream_that_cannot_show_a_character_does_not_end_the_session():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    PlainSink(stream, 4000).gap(1.0, 7, "Gerät weg")
    assert raw.getvalue().split(b"\n")[0] == b"00:00:01.0  gap: 0.00 s lost, 7 samples (Ger?t weg)"


def test_a_closed_pipe_is_passed_on():
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    with pytest.raises(BrokenPipeError):
        PlainSink(stream, 4000).gap(0.0, 1, "x")
    with pytest.raises(BrokenPipeError):  # what is buffered is tried again on closing
        stream.close()


#: As docs/formats.md has them.
FORMS = (
    r"(sounds like .+|no heart sound heard \(artifact\)) \(p [01]\.\d\d, quality [01]\.\d\d(, \d+ bpm)?\)",
    r"(uncertain: no class stands out|poor signal: .+) \(quality [01]\.\d\d(, \d+ bpm)?\)",
    r"listening",
    r"gap: \d+\.\d\d s lost, \d+ samples \(.+\)",
    r"device: (heard again|(stalled|lost|reconnecting|gone)( \(.+\))?)",
)
LAST = r"end: .+; \d+ samples captured = \d+ analysed \+ \d+ lost \+ \d+ discarded"


def test_a_faulty_device_makes_lines_of_the_documented_forms_alone(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "heart.wav", heart(40.0))
    faults = ("--fault", "unplug=3@12", "--fault", "stall=2@25", "--max-gap", 60)
    *found, last = succeed("replay", path, "--plain", "--speed", "max", *faults).splitlines()
    assert re.fullmatch(LAST, last)
    times, said = zip(*(line.split("  ", 1) for line in found), strict=True)
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d", time) for time in times)
    seen = {form: [text for text in said if re.fullmatch(form, text)] for form in FORMS}
    assert sum(map(len, seen.values())) == len(said), said
    assert [text.split(" (")[0] for text in seen[FORMS[-1]]] == [
        "device: lost",
        "device: reconnecting",
        "device: reconnecting",
        "device: heard again",
        "device: stalled",
        "device: heard again",
    ]
    assert len(seen[FORMS[3]]) == 1
