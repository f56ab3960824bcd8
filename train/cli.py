"""`laennec train` and `laennec evaluate`. Heavy imports wait until a command runs, so that `--help` is quick."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import SettingError
from train import console

if TYPE_CHECKING:
    from train.config import Config

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
    """Train on real recordings; leaves checkpoints, splits, predictions, metrics, plots and a report in RUN."""
    console.need_packages()
    from train import run
    from train.config import load

    settings = load(config)
    # The run's folder is made last: a mistyped path or a damaged recording leaves nothing behind.
    recordings, timed = console.recordings_of(data, every_site=False), console.timed_of(data)
    found = run.Data(
        console.table_of(settings, recordings, timed),
        console.features_of(settings, timed),
        console.quality_of(settings, recordings),
    )
    run.prepare(out, settings, resume)
    with console.stopping() as stopped, console.fit_progress(settings) as step:
        run.train(out, settings, found, step, stopped)
    typer.echo((out / "report.md").read_text(encoding="utf-8"))
    typer.echo(f"Next: laennec export {out} --out FILE.onnx")


@app.command()
def evaluate(
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="pascal-grouped, circor-patients, new-device, cross-device, leakage, seed-split, timing or quality.",
        ),
    ],
    data: DataOption,
    config: ConfigOption = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Models trained at a time.")] = 1,
    work: Annotated[
        Path | None,
        typer.Option(
            "--work", help="Keep checkpoints here, and continue from those that lie here; protocols share them."
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Train and test by a protocol; prints scores with 95 % intervals beside the baselines."""
    console.need_packages()
    from train.config import load, to_dict

    kinds = {console.kind_of(entry) for entry in data}
    settings = load(config)
    _writable(json_file)
    if missing := sorted(_needed(protocol) - kinds):
        raise SettingError(f"{protocol} tests {missing[0]} recordings; give --data {missing[0]}=DIR")
    run = {"timing": _timing, "quality": _quality}.get(protocol, _classification)
    with tempfile.TemporaryDirectory() as passing:
        result, text = run(protocol, settings, data, work or Path(passing), jobs)
    result["config"] = to_dict(settings)
    result["data"] = sorted(kinds)
    typer.echo(text)
    if json_file:
        json_file.write_text(json.dumps(result) + "\n")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST.json", help="A result of `laennec evaluate --json`.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND.json", help="Another model's, of the same protocol.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
) -> None:
    """Say how much better the second of two evaluated models is, with paired 95 % intervals."""
    console.need_packages()
    from train import compare

    _writable(json_file)
    result = compare.compare(first, second)
    typer.echo(compare.text(result), nl=False)
    if json_file:
        json_file.write_text(json.dumps(result) + "\n")


def _writable(json_file: Path | None) -> None:
    if json_file and (json_file.is_dir() or not json_file.parent.is_dir()):
        raise SettingError(f"{json_file}: is no file in a folder that exists; give another --json")


def _needed(protocol: str) -> set[str]:
    """Kinds of the data sets that a protocol can't do without."""
    from train.protocols import PROTOCOLS

    needs = {name: set(p.tested) for name, p in PROTOCOLS.items()}
    needs |= {"timing": {"circor", "noise"}, "quality": {"pascal", "noise"}}
    if protocol not in needs:
        raise SettingError(f"no protocol {protocol!r}; one of {', '.join(needs)}")
    return needs[protocol]


def _classification(name: str, settings: Config, data: list[str], folder: Path, jobs: int) -> Evaluated:
    from train import evaluate, protocol_report, protocols, results

    timed = console.timed_of(data)
    recordings = console.recordings_of(data, every_site=True)
    found = evaluate.Data(console.table_of(settings, recordings, timed), console.features_of(settings, timed))
    cases = protocols.cases(name, recordings, timed, settings.seed)
    with console.progress("models", evaluate.works(cases)) as tick:
        result = results.of(name, settings, found, cases, evaluate.Workshop(folder, jobs, tick))
    return result, protocol_report.text(result)


def _timing(_: str, settings: Config, data: list[str], folder: Path, jobs: int) -> Evaluated:
    from train import signal_report, timing

    recordings = console.recordings_of(data, every_site=False)
    found = timing.Data(
        console.features_of(settings, console.timed_of(data)),
        console.features_of(settings, timing.noises_of(recordings)),
    )
    with console.progress("networks", timing.NETWORKS) as tick:
        result = timing.evaluate(settings, found, folder, jobs, tick)
    return result, signal_report.timing(result)


def _quality(_: str, settings: Config, data: list[str], __: Path, ___: int) -> Evaluated:
    from train import quality, signal_report
    from train.filterbank import front_end

    recordings = console.recordings_of(data, every_site=False)
    with console.progress("reading recordings") as tick:
        result = quality.evaluate(recordings, front_end(settings.front_end), settings.seed, tick)
    return result, signal_report.quality(result)
