"""Sessions for the tests of the report: made by the program from simulated hearts, or line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from program import RATE_HZ, heart, succeed, write_wav

#: What a listener, or somebody's file, might bring into a page.
NOTE = 'louder on <b>"inspiration"</b>; <script>console.error("run")</script><img src=http://example.test/x.png>'
MARKS = ((4.25, NOTE), (19.0, "tab\there, line\nthere"))
GAP_S = (12.0, 1.5)


def folder(into: Path) -> Path:
    """A session's folder as one that was listened to leaves it: log with marks and a gap, and its recording."""
    into.mkdir()
    sound = np.concatenate([heart(14.0, "extrasystole"), heart(14.0, "murmur")])
    source = write_wav(into.parent / "heart.wav", sound)
    start_s, length_s = GAP_S
    log, kept = into / "log.jsonl", into / "recording.wav"
    fault = f"unplug={length_s}@{start_s}"
    succeed("replay", source, "--speed", "max", "--fault", fault, "--log", log, "--record", kept, "--quiet")
    *lines, end = log.read_text(encoding="utf-8").splitlines()
    marks = [json.dumps({"type": "mark", "t_s": t_s, "note": note}) for t_s, note in MARKS]
    unknown = json.dumps({"type": "something new", "t_s": "?"})
    log.write_text("\n".join([*lines, *marks, unknown, end]) + "\n", encoding="utf-8")
    return into


def session_line(**changed: Any) -> dict[str, Any]:
    """A session's first line."""
    return {
        "type": "session",
        "schema": 1,
        "laennec": "0.1.0",
        "model": {"id": "some model", "sha256": "0" * 64},
        "source": {"kind": "device", "name": "A <microphone>", "rate_hz": RATE_HZ},
        "settings": {},
        "started": "2026-11-23T14:05:09.000+00:00",
    } | changed


def decision(t_s: float, label: str | None = "normal", status: str = "ok", **changed: Any) -> dict[str, Any]:
    """A decision's line."""
    shares = dict.fromkeys(("normal", "murmur", "extra_heart_sound", "extrasystole", "artifact"), 0.2)
    rhythm = {"confidence": 0.9, "variation": 0.1, "shortest": 0.9, "premature": []}
    return {
        "type": "decision",
        "t_s": t_s,
        "window_s": min(4.0, t_s),
        "label": label,
        "status": status,
        "probabilities": shares,
        "quality": 0.8,
        "quality_reason": "",
        "heart_rate_bpm": 70.0,
        "rhythm": rhythm,
    } | changed


def end(captured: int) -> dict[str, Any]:
    """A session's last line."""
    counts = {"captured": captured, "analysed": captured, "dropped": 0, "discarded": 0}
    return {"type": "end", "ledger": counts, "reason": "stopped"}


def write_log(path: Path, *lines: dict[str, Any] | str) -> Path:
    """A log of such lines."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path
