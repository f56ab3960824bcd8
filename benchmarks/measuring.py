"""Runs the plan: every part in processes of its own, one after the other, on one core."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import archive_rate, first_decision
from benchmarks.contender import write_audio
from benchmarks.plan import CONTENDERS, GROWTH, OURS, Plan
from benchmarks.rounds import ROOT, FailedError, Process, Work, cost, once, ratio, running, spread, take_turns

Say = Callable[[str], None]
Taken = dict[str, list[dict[str, float]]]


def everything(plan: Plan, folder: Path, core: int, say: Say) -> dict[str, Any]:
    """All figures, as they are kept in JSON.

    Args:
        plan: how much.
        folder: empty, for what is needed on the way.
        core: where everything runs that is measured by CPU.
        say: is told what is being done.

    Raises:
        FailedError: something of Laennec's own ended by itself.
    """
    say("rendering the audio")
    write_audio(folder, plan.audio_s)
    contest = against_peers(plan, folder, core, say)
    say(f"streams together: {', '.join(map(str, plan.streams))}")
    together = by_streams(plan, folder, core)
    say("memory, latency, stages")
    return {
        **contest,
        **together,
        "memory": [
            once(Work("memory", "ours.memory", {"streams": n, "seconds": plan.memory_s}), folder, core)
            for n in plan.memory_streams
        ],
        "latency": [
            once(Work("latency", "ours.latency", {"block_s": s, "decisions": plan.decisions}), folder, core)
            for s in (0.5, 0.02)
        ],
        "stages": {str(n): stages(plan, folder, core, n) for n in (1, plan.profile_streams)},
        "profile": profile(plan, folder, core),
        "archive": archive(plan, folder, say),
        "start": start(plan, say),
        "live": live(plan, say),
    }


def against_peers(plan: Plan, folder: Path, core: int, say: Say) -> dict[str, Any]:
    """Laennec and its peers: costs, ratios, and who was skipped and why."""
    say("peers get ready")
    skipped: list[dict[str, str]] = []
    with running(CONTENDERS, folder, core, plan.round_s) as processes:
        here: list[Process] = []
        for process in processes:
            reason = _not_ready(process)
            if reason is None:
                here.append(process)
            elif process.name in OURS:
                raise FailedError(reason)
            else:
                say(f"skipped: {process.name}: {reason}")
                skipped.append({"name": process.name, "reason": reason})
        say(f"{plan.rounds} rounds of {len(here)} contenders")
        taken = take_turns(here, plan.rounds)
        about = {process.name: process.ready for process in here}
    peers = [name for name in taken if name not in OURS]
    ratios = [{"ours": o, "peer": p, **ratio(taken[o], taken[p])._asdict()} for p in peers for o in OURS]
    return {"costs": [_row(name, about[name], taken) for name in taken], "skipped": skipped, "ratios": ratios}


def _not_ready(process: Process) -> str | None:
    """Why it can't take part; None where it can."""
    try:
        told = process.told()
    except FailedError as error:
        return str(error)
    process.ready = told.get("ready", {})
    return told.get("skipped")


def _row(name: str, about: dict[str, Any], taken: Taken) -> dict[str, Any]:
    answers = taken[name][0]["answers"] / taken[name][0]["audio_s"]
    costs = {f"{clock[:-2]}_us": spread(cost(taken[name], clock))._asdict() for clock in ("cpu_s", "wall_s")}
    return {"name": name, "answers_a_s": answers, **costs, **about}


def by_streams(plan: Plan, folder: Path, core: int) -> dict[str, Any]:
    """What a stream costs by how many are stepped together, all stages and the classifier alone; how costs grow."""
    whole = [Work(str(n), "ours.streams", {"streams": n}) for n in plan.streams]
    part = [Work(f"classifier {n}", "ours.streams", {"streams": n, "whole": False}) for n in plan.classifier_streams]
    with running([*whole, *part], folder, core, plan.round_s) as processes:
        for process in processes:
            process.told()
        taken = take_turns(processes, plan.streams_rounds)
    few, many = (taken.get(str(n)) for n in GROWTH)
    return {
        "streams": _each(plan.streams, whole, taken),
        "classifier": _each(plan.classifier_streams, part, taken),
        "growth": ratio(many, few)._asdict() if few and many else None,
    }


def _each(streams: Sequence[int], works: Sequence[Work], taken: Taken) -> list[dict[str, Any]]:
    return [
        {"streams": n, "cpu_us": spread(cost(taken[work.name], "cpu_s"))._asdict()}
        for n, work in zip(streams, works, strict=True)
    ]


def stages(plan: Plan, folder: Path, core: int, streams: int) -> dict[str, Any]:
    """Cost of each stage in its place."""
    found = once(Work("stages", "stage_cost", {"streams": streams, "rounds": plan.stage_rounds}), folder, core)
    return {stage: spread(values)._asdict() for stage, values in found.items()}


def profile(plan: Plan, folder: Path, core: int) -> dict[str, Any]:
    """Where Python spends its time with several streams."""
    settings = {"streams": plan.profile_streams, "blocks": plan.profile_blocks}
    return {"streams": plan.profile_streams, "shares": once(Work("profile", "ours.profile", settings), folder, core)}


def archive(plan: Plan, folder: Path, say: Say) -> dict[str, Any]:
    """Seconds of recordings for a second, with the start of the command and without, and what a second job gains."""
    say(f"classify, {' and '.join(map(str, archive_rate.JOBS))} jobs")
    recordings = folder / "recordings"
    recordings.mkdir()
    archive_rate.simulate(recordings, max(1, round(plan.archive_s / (archive_rate.PATIENTS * archive_rate.SECONDS))))
    audio_s = archive_rate.held(recordings)[1]
    try:
        taken = archive_rate.rounds_of(recordings, plan.archive_rounds)
    except subprocess.CalledProcessError as error:
        raise FailedError(str(error)) from error
    rates = {jobs: archive_rate.rates(audio_s, pairs) for jobs, pairs in taken.items()}
    few, many = (whole for whole, _ in rates.values())
    return {
        "by_jobs": [
            {"jobs": jobs, "rate": spread(whole)._asdict(), "started": spread(started)._asdict()}
            for jobs, (whole, started) in rates.items()
        ],
        "gain": spread([two / one for one, two in zip(few, many, strict=True)])._asdict(),
    }


def start(plan: Plan, say: Say) -> dict[str, Any]:
    """Seconds from the start of the process, by what it is asked for; on all cores, as a user has it."""
    say("starts of the program")
    return {name: spread(took_s)._asdict() for name, took_s in first_decision.measure(plan.runs).items()}


def live(plan: Plan, say: Say) -> dict[str, Any]:
    """What `laennec listen` costs; or why that was not measured."""
    if not plan.live_s:
        return {"skipped": "a quick run leaves it out: it takes a minute"}
    say("listening live")
    script = [sys.executable, ROOT / "benchmarks" / "live_cost.py", "--rate", "48000", "--json"]
    done = subprocess.run(
        [*map(str, script), "--seconds", str(plan.live_s)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"skipped": (done.stderr.strip().splitlines() or ["it ended by itself"])[-1]}
    return dict(json.loads(done.stdout))
