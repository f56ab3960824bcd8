"""The figures for people: docs/benchmarks.md, and the README's lines. Pure: results in, Markdown out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks import texts
from benchmarks.goals import GOALS, Figure, Goal, Results, of_spread, streams_a_core

_MARKED = re.compile(r"(<!-- speed -->\n).*?(<!-- end of speed -->)", re.DOTALL)


def document(results: Results) -> str:
    """The text of docs/benchmarks.md."""
    rates = results["archive"]["by_jobs"]
    parts = [
        texts.INTRODUCTION,
        *([texts.QUICK] if results["made"]["quick"] else []),
        _made(results["made"]),
        "## Goals",
        _goals(results),
        texts.GOALS,
        "## Against peers",
        texts.PEERS,
        _costs(results["costs"]),
        texts.RATIOS,
        _ratios(results["ratios"]),
        _skipped(results["skipped"]),
        *_abouts(results["costs"]),
        "## Streams on one core",
        texts.STREAMS,
        _streams(results),
        "## Memory",
        texts.MEMORY,
        _memory(results["memory"]),
        "## Latency",
        texts.LATENCY,
        _latency(results["latency"]),
        "## Stages",
        texts.STAGES,
        _stages(results["stages"]),
        texts.PROFILE.format(streams=results["profile"]["streams"]),
        _grid(["where", "share"], ([f"`{s['where']}`", f"{s['share']:.1%}"] for s in results["profile"]["shares"])),
        "## Archives",
        texts.ARCHIVE,
        _grid(["jobs", "times real time", "without the start"], map(_rates, rates)),
        "## Start, and listening live",
        texts.START,
        _grid(["from start to", "s"], ([name, _told(of_spread(s))] for name, s in results["start"].items())),
        _live(results["live"]),
        texts.METHOD,
    ]
    return re.sub(r"(?m)(^- .*)\n\n(?=- )", r"\1\n", "\n\n".join(parts)) + "\n"


def readme(text: str, results: Results) -> str:
    """The README with its lines on speed made anew."""
    lines = [
        f"- {goal.figure}: {_found(goal, results)}"
        for goal in GOALS
        if goal.readme and goal.verdict(results) != "not measured"
    ]
    return _MARKED.sub(lambda m: "\n".join([m[1].rstrip(), *lines, m[2]]), text)


def number(value: float) -> str:
    """Three digits that count; thousands separated."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.001 else f"{value:.1e}"


def _told(figure: Figure, unit: str = "") -> str:
    """A figure and its interval."""
    value = f"{number(figure.value)}{unit}"
    return value if figure.low == figure.high else f"{value} [{number(figure.low)}, {number(figure.high)}]"


def _found(goal: Goal, results: Results) -> str:
    found = goal.find(results)
    return _told(found, goal.unit) if found else "-"


def _rates(row: Mapping[str, Any]) -> list[str]:
    started = row.get("started")  # results of before it was measured are shown, too
    return [str(row["jobs"]), _told(of_spread(row["rate"])), _told(of_spread(started)) if started else "not measured"]


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _made(made: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    lines = [f"{name}: {made[name]}" for name in ("date", "machine", "system", "model", "commit", "took")]
    return "\n".join(f"- {line}" for line in [*lines, f"versions: {versions}"])


def _goals(results: Results) -> str:
    rows = (
        [
            goal.figure,
            f"{'>=' if goal.least else '<='} {number(goal.limit)}{goal.unit}",
            _found(goal, results),
            goal.verdict(results),
        ]
        for goal in GOALS
    )
    return _grid(["figure", "goal", "measured", ""], rows)


def _costs(costs: Sequence[Mapping[str, Any]]) -> str:
    rows = (
        [
            row["name"],
            number(row["answers_a_s"]),
            _told(of_spread(row["cpu_us"])),
            _told(of_spread(row["wall_us"])),
            _told(streams_a_core(row["cpu_us"])),
        ]
        for row in costs
    )
    head = ["who", "answers a second", "CPU, us a second of audio", "wall, us a second of audio", "streams a core"]
    return _grid(head, rows)


def _abouts(costs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each does; said once where several do the same."""
    names: dict[str, list[str]] = {}
    for row in costs:
        names.setdefault(row["what"], []).append(row["name"])
    return [f"- **{'; '.join(who)}**: {what}" for what, who in names.items()]


def _ratios(ratios: Sequence[Mapping[str, Any]]) -> str:
    ours = list(dict.fromkeys(row["ours"] for row in ratios))
    rows: dict[str, list[str]] = {}
    for row in ratios:
        rows.setdefault(row["peer"], [row["peer"]]).append(_told(of_spread(row)))
    return _grid(["CPU for that of", *ours], rows.values()) if rows else "No peer is installed."


def _skipped(skipped: Sequence[Mapping[str, str]]) -> str:
    if not skipped:
        return "No peer was skipped."
    return "Skipped:\n\n" + "\n".join(f"- {row['name']}: {row['reason']}" for row in skipped)


def _streams(results: Results) -> str:
    alone = {row["streams"]: row["cpu_us"] for row in results["classifier"]}
    every = {row["streams"]: row["cpu_us"] for row in results["streams"]}
    rows = []
    for n in sorted({*alone, *every}):
        told = [f"{n:,}"]
        for costs in (every, alone):
            told += [_told(of_spread(costs[n])), _told(streams_a_core(costs[n]))] if n in costs else ["", ""]
        rows.append(told)
    us = "us a second of audio"
    head = ["together", f"all stages, {us}", "streams a core", f"classifier alone, {us}", "streams a core"]
    return _grid(head, rows)


def _memory(found: Sequence[Mapping[str, float]]) -> str:
    keys = ("before_mb", "half_way_mb", "end_mb", "most_mb")
    rows = [[f"{row['streams']:,.0f}", number(row["seconds"]), *(number(row[key]) for key in keys)] for row in found]
    grid = _grid(["streams", "seconds heard by each", "begun, MB", "half-way, MB", "end, MB", "most ever, MB"], rows)
    few, many = found[0], found[-1]
    each_kb = (many["end_mb"] - few["end_mb"]) / (many["streams"] - few["streams"]) * 1024
    grown_kb = (many["end_mb"] - many["half_way_mb"]) / many["streams"] / (many["seconds"] / 2) * 1024
    return f"{grid}\n\nA stream more: {number(each_kb)} KB; by it growing, KB a second: {max(0.0, grown_kb):.2f}."


def _latency(found: Sequence[Mapping[str, float]]) -> str:
    keys = ("p50_ms", "p99_ms", "max_ms")
    head = ["block, s", "decisions", "median, ms", "99th percentile, ms", "largest, ms"]
    rows = ([number(r["block_s"]), f"{r['decisions']:,.0f}", *(number(r[key]) for key in keys)] for r in found)
    return _grid(head, rows)


def _stages(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    names = list(dict.fromkeys(name for stages in found.values() for name in stages))
    rows = []
    for name in names:
        told = [name]
        for stages in found.values():
            whole = stages["whole"]["median"]
            at = stages.get(name)
            told += [_told(of_spread(at)), f"{at['median'] / whole:.0%}"] if at else ["", ""]
        rows.append(told)
    head = [cell for n in found for cell in (f"streams: {n}, us a second of audio", "share")]
    return _grid(["stage", *head], rows)


def _live(found: Mapping[str, Any]) -> str:
    if "skipped" in found:
        return f"`laennec listen` was not measured: {found['skipped']}."
    return texts.LIVE.format(**found)
