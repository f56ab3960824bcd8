"""What a million recordings take, and a hundred million: `python -m benchmarks.scale_plan [--write]`.

Measures on this machine what one process does, what Ray adds and what a row takes, and reckons the rest from that.
With --write the tables in docs/scale.md are replaced. Takes some minutes; nothing else should run meanwhile.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import archive_rate
from benchmarks.archive_rate import RATE_HZ
from models import bundle as bundles
from stream import classify
from stream.cluster import engine

DOCUMENT = Path(__file__).parent.parent / "docs" / "scale.md"
BEGIN, END = "<!-- benchmarks/scale_plan.py writes from here -->", "<!-- to here -->"
#: A recording as in the archives of stethoscopes.
SECONDS = 15
COPIES, ROUNDS, CHUNKS, WORKERS = 32, 3, 60, 2
RECORDINGS = archive_rate.PATIENTS * COPIES
#: What `driver` puts in a chunk of a long list.
IN_CHUNK = 256
SIZES = (1_000_000, 100_000_000)
#: Nodes, and CPUs of each.
CLUSTERS = ((1, 16), (8, 16), (64, 16))
HOUR_S, GIGA = 3600.0, 1e9
#: Requests to a store for each recording: its size, its bytes, whether gaps are written down beside it.
REQUESTS = 3


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        one_s: seconds a recording, one process, without its start (`archive_rate`).
        ray_s: the same of a worker of Ray, `WORKERS` of them at work; the time until its first row left out.
        jobs_s: as `one_s`, of a process of --jobs `WORKERS`.
        start_s: from the start of a cluster of our own to its first row.
        chunk_s: what a chunk costs the driver where nothing is to be heard.
        worker_mb: memory of a worker.
        row_bytes: of a row, by kind of table.
    """

    one_s: float
    ray_s: float
    jobs_s: float
    start_s: float
    chunk_s: float
    worker_mb: float
    row_bytes: dict[str, float]


def timed(rows: Iterator[classify.Row]) -> tuple[list[float], list[classify.Row]]:
    """When each row came, in seconds from the start, and the rows."""
    begin, times, kept = time.perf_counter(), [], []
    for row in rows:
        times.append(time.perf_counter() - begin)
        kept.append(row)
    return times, kept


def after_first(times: Sequence[float], in_chunk: int) -> float:
    """Seconds a recording once all workers are there: from the end of the first chunk."""
    return (times[-1] - times[in_chunk - 1]) / (len(times) - in_chunk)


def workers_mb() -> list[float]:
    """Resident memory of Ray's workers that hear, now."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            if b"MapWorker" in (entry / "cmdline").read_bytes():
                found.append(int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
    return found


def by_ray(paths: Sequence[str], model: Any) -> tuple[list[float], list[classify.Row], float]:
    """As `timed`, and the memory of the largest worker near the end."""
    most = 0.0

    def watched() -> Iterator[classify.Row]:
        nonlocal most
        for index, row in enumerate(engine.rows(paths, model, None, WORKERS, None)):
            if index % 32 == 31:
                most = max([most, *workers_mb()])
            yield row

    times, rows = timed(watched())
    return times, rows, most


def varied(value: Any, chance: random.Random) -> Any:
    """Another number of as many digits: equal rows would be packed to nothing."""
    if not isinstance(value, float):
        return value
    return round(value * (1 - 0.1 * chance.random()), len(repr(value).partition(".")[2]))


def row_bytes(rows: Sequence[classify.Row]) -> dict[str, float]:
    """Of tables of a hundred thousand rows, all different, under names such as an archive has."""
    import pyarrow
    from pyarrow import parquet

    chance = random.Random(0)
    many = [
        {name: varied(value, chance) for name, value in row.items()}
        | {"path": f"s3://archive/2026/{index // 1000:06d}/{index:09d}.wav"}
        for index, row in zip(range(100_000), itertools.cycle(rows), strict=False)
    ]
    text, lines, packed = io.StringIO(), io.StringIO(), io.BytesIO()
    writer = csv.DictWriter(text, classify.COLUMNS)
    writer.writerows(many)
    lines.writelines(json.dumps(row) + "\n" for row in many)
    parquet.write_table(pyarrow.Table.from_pylist(many), packed)
    sizes = {"Parquet": packed.tell(), "CSV": text.tell(), "JSON lines": lines.tell()}
    return {kind: size / len(many) for kind, size in sizes.items()}


def measure() -> Figures:
    """Everything; what Ray does in rounds, and what processes do beside it in as many."""
    model = bundles.load()
    with tempfile.TemporaryDirectory() as folder:
        archive_rate.simulate(Path(folder), COPIES, SECONDS)
        told = archive_rate.measure(Path(folder), ROUNDS)
        near = classify.expand([Path(folder)])
        wanted, paths = list(classify.rows(near, model, None, WORKERS)), [str(path) for path in near]
        ray, starts, memory = [], [], []
        for _ in range(ROUNDS):
            times, rows, most = by_ray(paths, model)
            if rows != wanted:
                raise SystemExit("the cluster's rows are not those of one process")
            starts.append(times[0])
            ray.append(after_first(times, -(-RECORDINGS // (WORKERS * 8))) * WORKERS)
            memory.append(most)
        missing = [str(Path(folder) / f"{index}.wav") for index in range(IN_CHUNK * CHUNKS)]
        idle, _ = timed(engine.rows(missing, model, None, WORKERS, None))
    one_s, jobs_s = (jobs * SECONDS / told[f"jobs_{jobs}"]["x_real_time_started"] for jobs in (1, WORKERS))
    middle = statistics.median
    chunk_s = after_first(idle, IN_CHUNK) * IN_CHUNK
    return Figures(one_s, middle(ray), jobs_s, middle(starts), chunk_s, max(memory), row_bytes(wanted))


def measured_table(figures: Figures) -> str:
    """The first table of the document."""
    rows = [
        ("one process", f"{1 / figures.one_s:,.0f} recordings a second, {SECONDS / figures.one_s:,.0f} x real time"),
        (f"a process of `--jobs {WORKERS}`", f"{1 / figures.jobs_s:,.0f} recordings a second"),
        (f"a worker of Ray, {WORKERS} at work", f"{1 / figures.ray_s:,.0f} recordings a second"),
        ("start of a cluster of our own to its first row", f"{figures.start_s:.1f} s"),
        ("a chunk that holds nothing to hear", f"{figures.chunk_s * 1e3:.0f} ms of the driver and the workers"),
        (
            "so one driver hands out at most",
            f"{IN_CHUNK / figures.chunk_s:,.0f} recordings a second, in chunks of {IN_CHUNK}",
        ),
        ("memory of a worker", f"{figures.worker_mb:,.0f} MB"),
        *((f"a row in {kind}", f"{size:.0f} bytes") for kind, size in figures.row_bytes.items()),
    ]
    body = "\n".join(f"| {name} | {value} |" for name, value in rows)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    heard = f"recordings of {SECONDS} s at {RATE_HZ} Hz in 16 bit"
    return f"Measured on {machine}, {heard}.\n\n| what | measured |\n|---|---|\n{body}"


def plan_table(figures: Figures) -> str:
    """What each archive takes on each cluster."""
    head = (
        "| recordings | core hours | nodes x CPUs | wall time | runs at a time | read | from the store | requests | "
        "memory for workers, a node |\n|---|---|---|---|---|---|---|---|---|"
    )
    lines = [planned(figures, size, *cluster) for size in SIZES for cluster in CLUSTERS]
    tables = "; ".join(
        f"{size:,} rows: "
        + ", ".join(f"{kind} {each * size / GIGA:,.1f} GB" for kind, each in figures.row_bytes.items())
        for size in SIZES
    )
    return "\n".join([head, *lines]) + f"\n\nTables of {tables}."


def planned(figures: Figures, size: int, nodes: int, cpus: int) -> str:
    """A line of it. A driver that could not keep the cluster busy alone gets others beside it, each with its list."""
    rate = nodes * cpus / figures.ray_s
    runs = -(-rate * figures.chunk_s // IN_CHUNK)
    wall_s = size / rate + figures.start_s
    recording_bytes = 44 + 2 * RATE_HZ * SECONDS
    return (
        f"| {size:,} | {size * figures.ray_s / HOUR_S:,.1f} | {nodes} x {cpus} | {duration(wall_s)} | {runs:.0f} | "
        f"{size * recording_bytes / GIGA:,.0f} GB | {rate * recording_bytes * 8 / GIGA:,.2f} Gbit/s | "
        f"{rate * REQUESTS:,.0f}/s | {cpus * figures.worker_mb / 1e3:.1f} GB |"
    )


def duration(seconds: float) -> str:
    """In the largest unit that leaves a number above one."""
    for unit, length_s in (("days", 24 * HOUR_S), ("h", HOUR_S), ("min", 60.0)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.1f} {unit}"
    return f"{seconds:.0f} s"


def main() -> None:
    """Print the tables, or write them."""
    figures = measure()
    text = f"{measured_table(figures)}\n\n{plan_table(figures)}"
    print(text)
    if "--write" in sys.argv[1:]:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
