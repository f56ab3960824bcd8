"""What the commands of train/ share: data sets named on the command line, progress bars, a gentle Ctrl-C.

Heavy imports wait until a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import importlib.util
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import SettingError

if TYPE_CHECKING:
    from models.quality import QualitySpec
    from train.config import Config
    from train.datasets import Recording
    from train.table import Features, Kind, Table
    from train.timings import Timed

_PACKAGES = ("torch", "sklearn", "python_speech_features", "safetensors", "matplotlib")


def need_packages() -> None:
    """Refuse to go on without what training needs.

    Raises:
        SettingError: a package is missing.
    """
    missing = [name for name in _PACKAGES if not importlib.util.find_spec(name)]
    if missing:
        raise SettingError(f"training needs {', '.join(missing)}; run in the checkout: pip install -e '.[train]'")


def kind_of(entry: str) -> str:
    """The kind of a data set given as KIND=DIR.

    Raises:
        SettingError: not in that form.
    """
    kind, separator, folder = entry.partition("=")
    if not separator or not folder:
        raise SettingError(f"--data {entry}: write KIND=DIR, for example pascal=recordings/pascal")
    return kind


def recordings_of(data: Sequence[str], every_site: bool) -> list[Recording]:
    """All recordings of all data sets; of CirCor also those that are no clean negatives, if asked for."""
    from train import datasets

    found = []
    for entry in data:
        kind, folder = kind_of(entry), Path(entry.partition("=")[2])
        found += (
            datasets.read_circor(folder, every=True) if kind == "circor" and every_site else datasets.read(kind, folder)
        )
    return found


def timed_of(data: Sequence[str]) -> list[Timed]:
    """Recordings with annotated beats, of all data sets."""
    from train import timings

    return [timed for entry in data for timed in timings.read(kind_of(entry), Path(entry.partition("=")[2]))]


def features_of(config: Config, recordings: Sequence[Kind]) -> Features[Kind]:
    """Read them and extract their features, behind a progress bar."""
    from train import table
    from train.filterbank import front_end

    with progress("reading recordings", len(recordings)) as tick:
        return table.read(front_end(config.front_end), recordings, tick)


def table_of(config: Config, recordings: Sequence[Recording], timed: Sequence[Timed]) -> Table:
    """Labelled recordings, their features, and what the heart does where that is annotated."""
    from train.table import Table, heart_states

    features = features_of(config, recordings)
    return Table.of(features, heart_states(config.front_end, features, timed))


def quality_of(config: Config, recordings: Sequence[Recording]) -> QualitySpec:
    """The signal quality index, fitted on them."""
    from train import quality
    from train.filterbank import front_end

    with progress("hearing noise and hearts for the quality index") as tick:
        return quality.fit(recordings, front_end(config.front_end), config.seed, tick)


def bar() -> Any:
    """A progress bar on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    about = TextColumn("{task.description}")
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(about, BarColumn(), MofNCompleteColumn(), *times, console=Console(stderr=True))


@contextlib.contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """A bar that a call moves on by one."""
    with bar() as shown:
        task = shown.add_task(what, total=total)
        yield lambda: shown.advance(task)


@contextlib.contextmanager
def fit_progress(config: Config) -> Iterator[Callable[[str, int, float], None]]:
    """A bar per phase of training, moved by a call with the phase's name, its step and loss."""
    from train.run import BEATS

    tasks: dict[str, Any] = {}
    with bar() as shown:

        def step(phase: str, number: int, loss: float) -> None:
            if phase not in tasks:
                spec = config.beat_fit if phase == BEATS else config.fit
                tasks[phase] = shown.add_task(f"learning {phase}", total=spec.steps)
            shown.update(tasks[phase], completed=number, description=f"learning {phase}, loss {loss:.3f}")

        yield step


@contextlib.contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Ctrl-C sets a flag that the loop reads between steps, so that a checkpoint is never of half a step."""
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
