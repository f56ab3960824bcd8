"""The benchmarks work, whatever the figures are: who is measured, who is skipped and why, and what is written."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT))  # where `python -m benchmarks` finds them

from benchmarks import report
from benchmarks.__main__ import DOCUMENT, README, RESULTS
from benchmarks.contender import RATES_HZ, audio, write_audio
from benchmarks.goals import GOALS
from benchmarks.ours.streams import Ward
from benchmarks.plan import CONTENDERS, OURS, QUICK
from benchmarks.rounds import FailedError, Process, Work, ratio, running, spread, take_turns
from benchmarks.stage_cost import REST, STAGES, WHOLE

HIDDEN = "sherpa-onnx with silero-vad"


def benchmarks(*arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *([path] if path else [])]))},
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quick")


@pytest.fixture(scope="module")
def quick(folder: Path) -> dict[str, Any]:
    """What a quick run leaves, on a machine where one peer can't be imported."""
    before = README.read_bytes()
    (folder / "sherpa_onnx.py").write_text("raise ImportError('it was built for another machine')\n")
    done = benchmarks("--quick", "--out", folder / "b.md", "--results", folder / "b.json", path=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert README.read_bytes() == before
    return dict(json.loads((folder / "b.json").read_text(encoding="utf-8")))


# --- a quick run


def test_every_contender_is_measured_or_skipped_by_name_with_the_reason(quick: dict[str, Any]) -> None:
    measured = [row["name"] for row in quick["costs"]]
    reasons = {row["name"]: row["reason"] for row in quick["skipped"]}
    assert sorted([*measured, *reasons]) == sorted(work.name for work in CONTENDERS)
    assert {*OURS, "python_speech_features and ONNX Runtime"} <= set(measured)
    assert reasons[HIDDEN].startswith("it was built for another machine")
    assert all(reason.endswith("'.[peers]'") for reason in reasons.values())


def test_laennec_decides_twice_a_second_while_it_is_measured(quick: dict[str, Any]) -> None:
    told = {row["name"]: row["answers_a_s"] for row in quick["costs"]}
    assert [told[name] for name in OURS] == [2.0, 2.0]


def ordered(held: dict[str, Any]) -> bool:
    return bool(0 < held["low"] <= held["median"] <= held["high"])


def test_costs_and_ratios_have_intervals(quick: dict[str, Any]) -> None:
    assert all(ordered(row[clock]) for row in quick["costs"] for clock in ("cpu_us", "wall_us"))
    pairs = {(row["ours"], row["peer"]) for row in quick["ratios"] if ordered(row)}
    assert pairs == {(ours, row["name"]) for ours in OURS for row in quick["costs"] if row["name"] not in OURS}


def test_numbers_of_streams_memory_and_latency_are_measured(quick: dict[str, Any]) -> None:
    assert [row["streams"] for row in quick["streams"]] == [*QUICK.streams]
    assert [row["streams"] for row in quick["classifier"]] == [*QUICK.classifier_streams]
    assert all(ordered(row["cpu_us"]) for row in [*quick["streams"], *quick["classifier"]])
    assert all(0 < row["before_mb"] <= row["end_mb"] <= row["most_mb"] for row in quick["memory"])
    assert all(0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"] for row in quick["latency"])
    assert all(ordered(row) for row in quick["start"].values())
    assert [row["jobs"] for row in quick["archive"]["by_jobs"] if ordered(row["rate"])] == [1, 2]
    assert all(ordered(row["started"]) for row in quick["archive"]["by_jobs"])  # without the start
    assert ordered(quick["archive"]["gain"])


def test_stages_are_those_of_the_pipeline_and_add_up(quick: dict[str, Any]) -> None:
    found = {stage: row["median"] for stage, row in quick["stages"]["1"].items()}
    assert {*STAGES, WHOLE, REST} == set(found)
    parts = [found[stage] for stage in found if stage not in (WHOLE, REST)]
    assert all(part > 0 for part in parts)
    assert sum(parts) + found[REST] == pytest.approx(found[WHOLE], rel=0.2)  # medians, each of two rounds
    assert math.isclose(sum(row["share"] for row in quick["profile"]["shares"]), 1.0)


def test_the_document_holds_all_of_it(quick: dict[str, Any], folder: Path) -> None:
    text = (folder / "b.md").read_text(encoding="utf-8")
    assert text == report.document(quick)
    assert "**A quick run**" in text
    assert f"- {HIDDEN}: it was built for another machine" in text
    for name in [*(goal.figure for goal in GOALS), *(work.name for work in CONTENDERS), *quick["made"]["versions"]]:
        assert name in text
    assert str(ROOT) not in text


# --- goals and the report


@pytest.mark.parametrize(
    ("least_us", "most_us", "verdict"), [(900.0, 999.0, "reached"), (1001.0, 1500.0, "missed"), (0.0, 0.0, "")]
)
def test_goals_are_judged_by_the_median(quick: dict[str, Any], least_us: float, most_us: float, verdict: str) -> None:
    results = deepcopy(quick)
    if verdict:
        cost = {"median": (least_us + most_us) / 2, "low": least_us, "high": most_us, "rounds": 7}
        results["streams"].append({"streams": 1024, "cpu_us": cost})
    goal = next(goal for goal in GOALS if "all stages" in goal.figure)
    assert goal.verdict(results) == (verdict or "not measured")
    found = goal.find(results)
    if found:
        assert (found.low, found.high) == pytest.approx((1e6 / most_us, 1e6 / least_us))
        assert found.low < found.value < found.high


def test_growth_is_judged_where_both_numbers_were_measured(quick: dict[str, Any]) -> None:
    goal = GOALS[-1]
    assert goal.verdict(quick) == "not measured"
    grown = {"median": 1.16, "low": 0.9, "high": 1.2, "rounds": 7}
    assert goal.verdict({**quick, "growth": grown}) == "missed"
    assert goal.verdict({**quick, "growth": {**grown, "median": 1.1}}) == "reached"


def test_the_readme_shows_figures_of_the_results(quick: dict[str, Any]) -> None:
    before = "a\n<!-- speed -->\nbefore\n<!-- end of speed -->\nb\n"
    text = report.readme(before, quick)
    assert text.startswith("a\n<!-- speed -->\n- ")
    assert text.endswith("\n<!-- end of speed -->\nb\n")
    assert "\nbefore\n" not in text
    p99_ms = next(row["p99_ms"] for row in quick["latency"] if row["block_s"] == 0.5)
    assert f"99th percentile: {report.number(p99_ms)} ms" in text
    assert report.readme(text, quick) == text


def test_the_committed_document_and_readme_are_those_of_the_results() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert not results["made"]["quick"]
    assert DOCUMENT.read_text(encoding="utf-8") == report.document(results)
    text = README.read_text(encoding="utf-8")
    assert "<!-- speed -->" in text
    assert text == report.readme(text, results)


# --- rounds


@pytest.mark.parametrize("rounds", [6, 7, 9, 15, 20, 31])
def test_the_interval_holds_the_median_in_95_of_100_cases_and_is_no_wider_than_it_must_be(rounds: int) -> None:
    found = spread([float(n) for n in reversed(range(rounds))])
    left_out = int(found.low)
    assert found == (float((rounds - 1) / 2), left_out, rounds - 1 - left_out, rounds)

    def held(out: int) -> float:  # by the binomial distribution of how many lie below the true median
        return sum(math.comb(rounds, k) for k in range(out + 1, rounds - out)) / 2**rounds

    assert held(left_out) >= 0.95 > held(left_out + 1)


@pytest.mark.parametrize("values", [[2.0], [3.0, 1.0], [5.0, 1.0, 3.0, 2.0, 4.0]])
def test_few_rounds_give_the_least_and_the_largest(values: list[float]) -> None:
    assert spread(values)[1:3] == (min(values), max(values))


class Turn(Process):
    """Notes whose turn it was."""

    def __init__(self, name: str, turns: list[str]) -> None:
        self.name = name
        self._turns = turns

    def round(self) -> dict[str, float]:
        self._turns.append(self.name)
        return {"cpu_s": float(len(self._turns)), "wall_s": 9.0, "audio_s": 1.0}


def test_contenders_take_turns_forwards_and_backwards() -> None:
    turns: list[str] = []
    taken = take_turns([Turn(name, turns) for name in "abc"], 3)
    assert "".join(turns) == "abccbaabc"
    assert [round["cpu_s"] for round in taken["a"]] == [1, 6, 7]


def test_ratios_are_taken_within_a_round() -> None:
    mine = [{"cpu_s": s, "audio_s": 10.0} for s in (2.0, 20.0, 200.0)]  # the machine becomes slower and slower
    theirs = [{"cpu_s": s, "audio_s": 5.0} for s in (2.0, 20.0, 200.0)]
    assert ratio(mine, theirs) == (0.5, 0.5, 0.5, 3)


def test_a_process_that_fails_is_told_by_name_and_reason(tmp_path: Path) -> None:
    work = Work("one without audio", "ours.streams")
    with running([work], tmp_path, max(os.sched_getaffinity(0))) as (process,), pytest.raises(FailedError) as told:
        process.told()
    assert "one without audio ended with exit code 1: FileNotFoundError" in str(told.value)


# --- what is heard


def test_streams_hear_on_without_a_gap_however_they_are_stepped(tmp_path: Path) -> None:
    write_audio(tmp_path, 8.0)
    assert [len(audio(tmp_path, rate_hz)) for rate_hz in RATES_HZ] == [8 * rate_hz for rate_hz in RATES_HZ]
    together, alone = (Ward(tmp_path, 3, joint=joint) for joint in (True, False))
    for _ in range(20):
        assert together.hear() == alone.hear()
    for ward in (together, alone):
        assert [(p.ledger.captured, p.ledger.dropped) for p in ward.pipelines] == [(40_000, 0)] * 3


# --- how it ends


def workers(folder: Path) -> list[str]:
    """Processes that were told of a folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in lines if "benchmarks.worker" in line and str(folder) in line]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_end_before_the_end_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, code: int) -> None:
    out, results = tmp_path / "b.md", tmp_path / "b.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", out, "--results", results]
    process = subprocess.Popen(
        [*map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "get ready" not in process.stderr.readline():
        assert process.poll() is None
    while not workers(tmp_path):
        time.sleep(0.01)
    process.send_signal(number)
    assert "Traceback" not in process.communicate(timeout=30)[1]
    assert process.returncode == code
    deadline_s = time.monotonic() + 10
    while workers(tmp_path):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert not [path for path in tmp_path.iterdir() if path in (out, results) or path.is_dir()]


@pytest.mark.parametrize("module", ["benchmarks.worker", "benchmarks.__main__"])
def test_a_system_without_linuxs_calls_is_refused_in_one_line(module: str, tmp_path: Path) -> None:
    elsewhere = f"""
import os, runpy, sys
del os.sched_setaffinity
sys.argv[1:] = {["benchmarks.ours.streams", str(tmp_path), "{}"] if "worker" in module else []}
runpy.run_module({module!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", elsewhere], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: processes are pinned to a core")
    assert line.endswith("run the benchmarks on Linux")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--quick"], "say where it goes"),
        (["--out", "nowhere/b.md"], "there is no folder nowhere"),
        (["--write-only", "--results", "none.json"], "measure first"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(arguments: list[str], words: str) -> None:
    done = benchmarks(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line
