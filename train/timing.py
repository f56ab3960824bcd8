"""The protocol `timing`: how well S1, S2 and the heart rate are found, on people who were not learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed

from models.errors import SettingError
from models.nets import BeatNet
from models.rhythm import Beat
from train import beat_baselines, scores
from train import beats as beat_learning
from train.config import Config
from train.datasets import Recording
from train.onsets import onset_scores, rate_scores
from train.splits import even_folds
from train.table import Features
from train.timings import Timed

Array = np.ndarray
NAME = "timing"
SAYS = (
    "S1 and S2 as the stream finds them; CirCor in 5 folds by person, the first 16 s of each recording, where it is "
    "annotated; set A of PASCAL (another device, grouped by day) by a network that learned from all of CirCor and of "
    "everyday noise, and nothing of PASCAL; everyday noise in 5 folds by clip"
)
_FOLDS = 5
#: That are trained: one per fold, and one on everything.
NETWORKS = _FOLDS + 1
_METHODS = ("stream", "whole recording, duration model", "envelope peaks")


class Data(NamedTuple):
    """What the protocol needs."""

    timed: Features[Timed]  # annotated recordings of CirCor, and of PASCAL's set A
    noises: Features[Recording]  # everyday noise


class Found(NamedTuple):
    """Beats of one recording by each of `_METHODS`."""

    stream: list[Beat]
    whole: list[Beat]
    peaks: list[Beat]


def noises_of(recordings: Sequence[Recording]) -> list[Recording]:
    """Everyday noise, in which no beat is to be found."""
    return [r for r in recordings if r.source == "noise"]


def evaluate(config: Config, data: Data, work: Path, jobs: int, tick: Callable[[], None]) -> dict[str, Any]:
    """Train a network per fold and one on everything, ask each what it did not learn from, and score the answers.

    Args:
        config: the recipe.
        data: what to learn from and to be tested on; folds need 5 persons and 5 clips of noise.
        work: where each network's checkpoint lies; finished ones found there are not trained again.
        jobs: worker processes.
        tick: called once per network.
    """
    learned = _indices(data.timed.recordings, "circor")
    folds = _folds(data.timed.recordings, learned)
    quiet = _folds(data.noises.recordings, np.arange(len(data.noises)))
    tasks = [(fold, noise, f"fold{k}") for k, (fold, noise) in enumerate(zip(folds, quiet, strict=True))]
    others = _indices(data.timed.recordings, "pascal_a")
    tasks.append(((learned, others), (np.arange(len(data.noises)), np.zeros(0, dtype=int)), "all"))
    results = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_one)(config, data, fold, noise, work / f"beats-{name}.safetensors") for fold, noise, name in tasks
    )
    found: dict[int, Found] = {}
    noise_beats = np.zeros(len(data.noises))
    for (fold, noise, _), (beats, counts) in zip(tasks, results, strict=True):
        found |= dict(zip(fold[1].tolist(), beats, strict=True))
        noise_beats[noise[1]] = counts
        tick()
    return _score(config, data, found, noise_beats)


def _one(
    config: Config, data: Data, fold: tuple[Array, Array], noise: tuple[Array, Array], path: Path
) -> tuple[list[Found], list[int]]:
    """Train one network; what it finds in its test recordings, and how many beats in its test noises."""
    noises = [data.noises.features(i) for i in noise[0]]
    run = beat_learning.fit(config, data.timed, list(fold[0]), noises, config.seed)
    net = run.run(path, lambda *_: None, lambda: False)
    found = [_find(config, net, data.timed.features(i)) for i in fold[1]]
    counts = [len(beat_learning.beats(config, net, data.noises.features(i))) for i in noise[1]]
    return found, counts


def _find(config: Config, net: BeatNet, features: Array) -> Found:
    return Found(
        beat_learning.beats(config, net, features),
        beat_baselines.decoded(config.front_end, _scores(config, net, features)),
        beat_baselines.envelope_peaks(config.front_end, features),
    )


def _scores(config: Config, net: BeatNet, features: Array) -> Array:
    """(frames, 5) answers of the network, each for its own frame."""
    late = config.rhythm.lookahead_frames
    heard = np.concatenate([features, np.repeat(features[-1:], late, axis=0)]).astype(np.float32)
    with torch.no_grad():
        answers, _ = net(torch.from_numpy(heard)[None], torch.zeros(1, net.spec.state))
    return np.asarray(answers[0, late:].numpy().astype(np.float64))


def _score(config: Config, data: Data, found: dict[int, Found], noise_beats: Array) -> dict[str, Any]:
    delay_s = config.rhythm.delay_s(config.front_end)
    result: dict[str, Any] = {"protocol": NAME, "says": SAYS, "leaky": "", "delay_s": delay_s}
    for source in ("circor", "pascal_a"):
        own = [i for i in sorted(found) if data.timed.recordings[i].source == source]
        if not own:  # PASCAL without its table of onsets
            continue
        truth = [data.timed.recordings[i] for i in own]
        by_method = dict(zip(_METHODS, zip(*(found[i] for i in own), strict=True), strict=False))
        result[source] = {
            name: {"onsets": onset_scores(beats, truth), "rate": rate_scores(beats, truth)}
            for name, beats in by_method.items()
        }
    minutes = np.array([data.noises.frames(i) for i in range(len(data.noises))]) * config.front_end.hop_s / 60
    result["noise"] = {"n": len(data.noises), "beats_per_minute": _per_minute(data.noises, noise_beats, minutes)}
    return result


def _per_minute(noises: Features[Recording], beats: Array, minutes: Array) -> scores.Score:
    member, weights = scores.resample_weights([r.group for r in noises.recordings])
    sums = np.zeros((weights.shape[1], 2))
    np.add.at(sums, member, np.stack([beats, minutes], axis=1))
    spread = (weights @ sums[:, 0]) / (weights @ sums[:, 1])
    return scores.scored(float(beats.sum() / minutes.sum()), spread)


def _indices(recordings: Sequence[Timed], source: str) -> Array:
    return np.array([i for i, r in enumerate(recordings) if r.source == source], dtype=np.int64)


def _folds(recordings: Sequence[Timed] | Sequence[Recording], indices: Array) -> list[tuple[Array, Array]]:
    """Index pairs (learned from, tested) that keep groups whole."""
    groups = [recordings[i].group for i in indices]
    if len(set(groups)) < _FOLDS:
        raise SettingError(f"{NAME} needs {_FOLDS} annotated persons and {_FOLDS} clips of noise; give more --data")
    return [(indices[a], indices[b]) for a, b in even_folds(groups, _FOLDS)]
