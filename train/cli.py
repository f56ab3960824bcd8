"""`laennec train` and `laennec evaluate`. Heavy imports wait until a command runs, so that `--help` is quick."""

from __future__ import annotations

import contextlib
import json
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import SettingError

if TYPE_CHECKING:
    from models.quality import QualitySpec
    from train.config import Config
    from train.table import Features, Kind

app = typer.Typer()

Evaluated = tuple[dict[str, Any], str]  # a protocol's result, and the same for people

DataOption = Annotated[
    list[str],
    typer.Option("--data", metavar="KIND=DIR", help="A data set: pascal=, circor=, noise= or folder=DIR; repeatable."),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file; see docs/formats.md for its keys.")]


@app.command()
def train(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder for everything the run leaves.")],
    config: ConfigOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
) -> None:
    """Train on real recordings; leaves checkpoint, splits, predictions, metrics, plots and a report in RUN."""
    _need_training_packages()
    from train import run
    from train.config import load
    from train.table import Table

    settings = load(config)
    # The run's folder is made last: a mistyped path or a damaged recording leaves nothing behind.
    recordings = _read(data, every_site=False)
    found = run.Data(
        Table.of(_features(settings, recordings)),
        _features(settings, _timed(data)),
        _quality(settings, recordings),
    )
    run.prepare(out, settings, resume)
    with _stopping() as stopped, _fit_bar(settings) as step:
        run.train(out, settings, found, step, stopped)
    typer.echo((out / "report.md").read_text(encoding="utf-8"))
    typer.echo(f"Next: laennec export {out} --out FILE.onnx")


@app.command()
def evaluate(
    protocol: Annotated[
        str, typer.Option("--protocol", help="pascal-grouped, seed-split, circor-patients, timing or quality.")
    ],
    data: DataOption,
    config: ConfigOption = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Folds trained at a time.")] = 1,
    work: Annotated[
        Path | None,
        typer.Option("--work", help="Keep the folds' checkpoints here, and continue from those that lie here."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Train and test by a protocol; prints scores with 95 % intervals beside the baselines."""
    _need_training_packages()
    from train.config import load, to_dict
    from train.protocols import PROTOCOLS

    needs = {name: {p.tested} for name, p in PROTOCOLS.items()}
    needs |= {"timing": {"circor", "pascal", "noise"}, "quality": {"pascal", "noise"}}
    if protocol not in needs:
        raise SettingError(f"no protocol {protocol!r}; one of {', '.join(needs)}")
    settings = load(config)
    if json_file and (json_file.is_dir() or not json_file.parent.is_dir()):
        raise SettingError(f"{json_file}: is no file in a folder that exists; give another --json")
    kinds = {_kind(entry) for entry in data}
    if missing := sorted(needs[protocol] - kinds):
        raise SettingError(f"{protocol} tests {missing[0]} recordings; give --data {missing[0]}=DIR")
    run = {"timing": _timing, "quality": _quality_figures}.get(protocol, _classification)
    with tempfile.TemporaryDirectory() as passing:
        result, text = run(protocol, settings, data, work or Path(passing), jobs)
    result["config"] = to_dict(settings)
    result["data"] = sorted(kinds)
    typer.echo(text)
    if json_file:
        json_file.write_text(json.dumps(result, indent=1) + "\n")


def _classification(name: str, settings: Config, data: list[str], folder: Path, jobs: int) -> Evaluated:
    from train import evaluate, report
    from train.protocols import PROTOCOLS
    from train.table import Table

    chosen = PROTOCOLS[name]
    table = Table.of(_features(settings, _read(data, every_site=chosen.per_patient)))
    with _bar() as bar:
        task = bar.add_task("folds", total=chosen.seeds * (1 if name == "seed-split" else 5))
        answers = evaluate.answer(chosen, settings, table, folder, jobs, lambda: bar.advance(task))
    result = evaluate.score(chosen, table, answers)
    return result, report.protocol_text(result)


def _timing(_: str, settings: Config, data: list[str], folder: Path, jobs: int) -> Evaluated:
    from train import signal_report, timing

    recordings = _read(data, every_site=False)
    found = timing.Data(
        _features(settings, _timed(data)),
        _features(settings, timing.noises_of(recordings)),
        _features(settings, timing.clips_of(recordings)),
    )
    with _bar() as bar:
        task = bar.add_task("networks", total=6)
        result = timing.evaluate(settings, found, folder, jobs, lambda: bar.advance(task))
    return result, signal_report.timing(result)


def _quality_figures(_: str, settings: Config, data: list[str], __: Path, ___: int) -> Evaluated:
    from train import quality, signal_report
    from train.filterbank import front_end

    recordings = _read(data, every_site=False)
    with _bar() as bar:
        task = bar.add_task("reading recordings", total=None)
        result = quality.evaluate(recordings, front_end(settings.front_end), settings.seed, lambda: bar.advance(task))
    return result, signal_report.quality(result)


def _timed(data: list[str]) -> list[Any]:
    """Recordings with annotated beats, of all data sets."""
    from train import timings

    return [timed for entry in data for timed in timings.read(entry.partition("=")[0], Path(entry.partition("=")[2]))]


def _kind(entry: str) -> str:
    kind, separator, folder = entry.partition("=")
    if not separator or not folder:
        raise SettingError(f"--data {entry}: write KIND=DIR, for example pascal=recordings/pascal")
    return kind


def _read(data: list[str], every_site: bool) -> list[Any]:
    from train import datasets

    recordings = []
    for entry in data:
        kind, folder = _kind(entry), entry.partition("=")[2]
        if kind == "circor" and every_site:
            recordings += datasets.read_circor(Path(folder), every=True)
        else:
            recordings += datasets.read(kind, Path(folder))
    return recordings


def _features(config: Config, recordings: Sequence[Kind]) -> Features[Kind]:
    from train import table
    from train.filterbank import front_end

    with _bar() as bar:
        task = bar.add_task("reading recordings", total=len(recordings))
        return table.read(front_end(config.front_end), recordings, lambda: bar.advance(task))


def _quality(config: Config, recordings: list[Any]) -> QualitySpec:
    from train import quality
    from train.filterbank import front_end

    with _bar() as bar:
        task = bar.add_task("hearing noise and hearts for the quality index", total=None)
        return quality.fit(recordings, front_end(config.front_end), config.seed, lambda: bar.advance(task))


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


@contextlib.contextmanager
def _fit_bar(config: Config) -> Iterator[Any]:
    from train.run import BEATS

    tasks: dict[str, Any] = {}
    with _bar() as bar:

        def step(phase: str, number: int, loss: float) -> None:
            if phase not in tasks:
                spec = config.beat_fit if phase == BEATS else config.fit
                tasks[phase] = bar.add_task(f"learning {phase}", total=spec.steps)
            bar.update(tasks[phase], completed=number, description=f"learning {phase}, loss {loss:.3f}")

        yield step


@contextlib.contextmanager
def _stopping() -> Iterator[Any]:
    """Ctrl-C sets a flag that the loop reads between steps, so that a checkpoint is never of half a step."""
    asked = []
    before = signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def _need_training_packages() -> None:
    import importlib.util

    missing = [
        name
        for name in ("torch", "sklearn", "python_speech_features", "safetensors", "matplotlib")
        if not importlib.util.find_spec(name)
    ]
    if missing:
        raise SettingError(f"training needs {', '.join(missing)}; run in the checkout: pip install -e '.[train]'")
