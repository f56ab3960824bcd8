"""What the rhythm says of extrasystoles: the spacing of all prominent sounds, and beats that are early by their S1.

PASCAL calls a clip `extrastole` for "a heart sound that is out of rhythm". Few of its short clips hold a beat that is
early by its S1 and S2, so counting such beats tells nothing there, and the spacing of the sounds has to (`Machine`). In
a stream an early beat is the best evidence that there is; what it weighs is measured on CirCor's real heart sounds,
which hardly hold any, against the same with their diastoles cut short and lengthened as by extrasystoles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models import intervals, regularity
from models.extrasystole import Machine
from models.join import ENOUGH
from models.nets import BeatNet
from models.rhythm import Rhythm
from models.windows import WindowSpec, decision_ends, next_due
from train.beat_windows import BeatWindow, early_beats
from train.beats import TorchNet
from train.config import Config
from train.datasets import Recording
from train.filterbank import front_end
from train.table import Features
from train.timings import Timed, in_frames

Array = np.ndarray
_LEAST = 2  # recordings of either kind
_WEIGHED = 400  # recordings that the weight of early beats is measured on


def describe(config: Config, features: Array, ends: Sequence[int]) -> Array:
    """(ends, size) what `intervals.describe` says of a recording (frames, features) when so many frames were heard."""
    spec = config.front_end
    logs = front_end(spec).log_energies(features.astype(np.float64))
    rows = [intervals.describe(config.intervals, spec.hop_s, logs[:end]) for end in ends]
    return np.array(rows).reshape(len(ends), config.intervals.size)


def premature(config: Config, net: BeatNet, features: Array, ends: Sequence[int]) -> Array:
    """(ends,) early beats of the last seconds of a recording (frames, features), as a stream counts them.

    Args:
        config: the recipe.
        net: finds S1 and S2.
        features: of the whole recording.
        ends: ascending frame counts; after the last the recording is over.
    """
    rhythm = Rhythm(config.rhythm, config.front_end, TorchNet(net))
    state, told, counts, begin = rhythm.init_state(), [], [], 0
    for end in ends:
        found, state = rhythm.step(features[begin:end], state)
        over = end == ends[-1] and _known_to_be_over(config.window, end)
        told += found + (rhythm.flush(state) if over else [])
        counts.append(len(regularity.assess(told, rhythm.known_s(end, over)).premature))
        begin = end
    return np.array(counts, dtype=np.int64)


def _known_to_be_over(spec: WindowSpec, frames: int) -> bool:
    """Whether a stream that ends after so many frames decides last when it is over: unless that fell due anyway."""
    return frames < spec.window_frames or next_due(spec, frames - 1) != frames


def tells(recordings: Sequence[Recording], indices: Array) -> Array:
    """Those of the indices from which a machine can learn: normal and extrasystole, of sources that have both."""
    labels = ("normal", "extrasystole")
    own = np.array([i for i in indices if recordings[i].label in labels], dtype=np.int64)
    sources = {recordings[i].source for i in own if recordings[i].label == "extrasystole"}
    return np.array([i for i in own if recordings[i].source in sources], dtype=np.int64)


def fit(config: Config, told: Array, positive: Array) -> Machine | None:
    """A kernel machine that tells extrasystole from normal, each kind with the same weight.

    Args:
        config: the recipe.
        told: (n, size) of whole recordings, from `describe`.
        positive: (n,) bool, extrasystole.

    Returns:
        The machine; None where there are fewer than two recordings of either kind.
    """
    if min(positive.sum(), (~positive).sum()) < _LEAST:
        return None
    gamma = config.machine.reach / config.intervals.size
    kernel = SVC(C=config.machine.cost, gamma=gamma, class_weight="balanced")
    scaler = StandardScaler()
    make_pipeline(scaler, kernel).fit(told, positive)
    return Machine(
        spec=config.intervals,
        centre=scaler.mean_,
        scale=scaler.scale_,
        vectors=kernel.support_vectors_,
        weights=kernel.dual_coef_[0],
        offset=float(kernel.intercept_[0]),
        gamma=gamma,
    )


def weigh_premature(config: Config, net: BeatNet, timed: Features[Timed], indices: Sequence[int], seed: int) -> float:
    """Logarithm of how much likelier `ENOUGH` early beats, at any moment of a recording, are with extrasystoles.

    `early_odds` makes of it what such beats tell.

    Args:
        config: the recipe.
        net: finds S1 and S2.
        timed: recordings with annotated beats.
        indices: those to measure it on; some 400 of them are drawn.
        seed: of all chance.
    """
    rng = np.random.default_rng(seed)
    some = rng.permutation(np.asarray(indices))[:_WEIGHED]
    told = np.ones(2)  # one more than counted: nothing is impossible
    for i in some:
        features = timed.features(i)
        window = BeatWindow(features, in_frames(config.front_end, timed.recordings[i].segments))
        for kind, heard in enumerate((features, early_beats(window, rng).features)):
            counts = premature(config, net, heard, decision_ends(config.window, len(heard)))
            told[kind] += counts.max(initial=0) >= ENOUGH
    return float(np.log(told[1] / told[0]).round(4))


def early_odds(config: Config, ratio: float) -> float:
    """`JoinSpec.early` of the logarithmic likelihood ratio of `weigh_premature`."""
    prior = config.answer.extrasystoles
    return float(np.log(prior / (1 - prior)) + ratio)
