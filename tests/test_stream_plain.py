from __future__ import annotations

import io
import os
from dataclasses import replace

import pytest

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
    sink = PlainSink(stream)
    for d in decisions:
        sink.decision(d)
    return stream.getvalue().splitlines()


def test_a_session_in_lines():
    stream = Counting()
    sink = PlainSink(stream)
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
        "00:00:05.5  gap: 480 samples lost (ring overrun)",
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
    PlainSink(stream).gap(1.0, 7, "Gerät weg")
    assert raw.getvalue().split(b"\n")[0] == b"00:00:01.0  gap: 7 samples lost (Ger?t weg)"


def test_a_closed_pipe_is_passed_on():
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    with pytest.raises(BrokenPipeError):
        PlainSink(stream).gap(0.0, 1, "x")
    with pytest.raises(BrokenPipeError):  # what is buffered is tried again on closing
        stream.close()
