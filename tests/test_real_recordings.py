"""The program on the real recordings: every file is heard, every frame is accounted for."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
import soundfile
from program import HEADER, run, succeed

from models.classes import CLASSES


@pytest.mark.timeout(300)  # 2 1/2 hours of audio
def test_all_of_pascal_and_200_of_circor_are_classified_in_one_command(shared_data: Path, tmp_path: Path) -> None:
    circor = sorted((shared_data / "circor" / "audio").glob("*.flac"))[:200]
    out = tmp_path / "rows.csv"
    done = run("classify", shared_data / "pascal", *circor, "--jobs", 2, "--out", out, timeout_s=280)
    assert (done.returncode, done.stderr) == (0, "")
    assert out.read_text().splitlines()[0] == HEADER
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 585 + 200
    assert [row["path"] for row in rows if row["error"]] == []
    assert {row["label"] for row in rows} <= {"", *CLASSES}
    for row in rows:
        assert abs(sum(float(row[f"p_{name}"]) for name in CLASSES) - 1) < 1e-4
        assert (row["label"] != "") == (row["status"] == "ok")
    short = {row["path"] for row in rows if float(row["duration_s"]) < 0.99}
    assert {row["path"] for row in rows if row["status"] == "listening"} == short
    # The shipped network learned from these: it must have learned something. How well it does is docs/evaluation.md's.
    right = Counter(
        row["label"] in row["path"].rpartition("/")[2] for row in rows if row["label"] in {"normal", "murmur"}
    )
    assert right[True] > right[False]


def test_a_replayed_murmur_is_accounted_for_to_the_frame(shared_data: Path, tmp_path: Path) -> None:
    recording = sorted((shared_data / "pascal" / "set_b").glob("murmur__*.wav"))[0]
    log = tmp_path / "x.jsonl"
    succeed("replay", recording, "--speed", "max", "--log", log, "--quiet")
    ledger = json.loads(log.read_text().splitlines()[-1])["ledger"]
    frames = soundfile.info(recording).frames
    assert ledger == {"captured": frames, "analysed": frames, "dropped": 0, "discarded": 0}
