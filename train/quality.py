"""The signal quality index, fitted on real recordings and tested on others. `train.excerpts` says what it is to say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from models import quality
from models.decide import DecideSpec
from models.errors import SettingError
from models.frontend import FrontEnd
from models.measures import Measures
from models.quality import QualitySpec
from train import excerpts as real
from train import scores
from train.datasets import Recording
from train.excerpts import SNRS_DB, Excerpt

Array = np.ndarray
_LOG = logging.getLogger(__name__)


def fit(
    recordings: Sequence[Recording], front_end: FrontEnd, seed: int = 0, tick: Callable[[], None] = lambda: None
) -> QualitySpec:
    """Learn the index from everything.

    Args:
        recordings: as `train.datasets.read` gives them; noise among them is also mixed into heart sounds.
        front_end: the one that listens.
        seed: of the choice of CirCor recordings and of noises.
        tick: called once per recording read.

    Returns:
        The fitted regression; the default one, and a logged warning, where heart sounds or other sounds are missing.

    Raises:
        InputFileError: a recording can't be read.
    """
    excerpts = real.read(recordings, front_end, 1, seed, tick)
    try:
        return fit_excerpts(excerpts)
    except SettingError as error:
        _LOG.warning("%s; the quality index keeps its defaults", error)
        return QualitySpec()


def fit_excerpts(excerpts: Sequence[Excerpt]) -> QualitySpec:
    """The regression of least weighted cross-entropy with the targets.

    Raises:
        SettingError: heart sounds or other sounds are missing.
    """
    heard = [e for e in excerpts if min(e.factors) > 0 and e.kind != "wide mixture"]
    if not {"heart", "noise"} <= {e.kind for e in heard}:
        raise SettingError("a quality index is learned from heart sounds and from other sounds; give --data of both")
    x, target, weight = np.array([e.measures for e in heard]), np.array([e.target for e in heard]), _weights(heard)
    centre, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    # A target between 0 and 1 is an excerpt that is both, in those shares.
    model = LogisticRegression(max_iter=1000).fit(
        np.concatenate([(x - centre) / spread] * 2),
        np.repeat([1, 0], len(x)),
        sample_weight=np.concatenate([weight * target, weight * (1 - target)]),
    )
    slopes = model.coef_[0] / spread
    hearts = np.array([e.kind == "heart" for e in heard])
    usual = np.median(x[hearts & (target == target[hearts].max())], axis=0)
    values = {"bias": float(model.intercept_[0] - slopes @ centre)}
    values |= dict(zip(Measures._fields, map(float, slopes), strict=True))
    values |= dict(zip([f"usual_{name}" for name in Measures._fields], map(float, usual), strict=True))
    return QualitySpec(**{name: round(value, 4) for name, value in values.items()})


def _weights(excerpts: Sequence[Excerpt]) -> Array:
    """(n,) mean 1; excerpts of a recording share what it has, recordings of a stratum what that has."""
    recording = np.unique([f"{e.stratum} {e.recording.name}" for e in excerpts], return_inverse=True)[1]
    names, stratum = np.unique([e.stratum for e in excerpts], return_inverse=True)
    weight = 1 / np.bincount(recording)[recording]
    share = np.where(names == "mixture", 3.0, 1.0)
    weight *= (share / np.bincount(stratum, weight))[stratum]
    return np.asarray(weight / weight.mean())


def evaluate(
    recordings: Sequence[Recording], front_end: FrontEnd, seed: int = 0, tick: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Figures of the index on excerpts whose groups, and whose noises, it did not learn from.

    Args:
        recordings: PASCAL, CirCor and ESC-10, or those of them that there are.
        front_end: the one that listens.
        seed: of the folds, the choice of CirCor recordings and of noises.
        tick: called once per recording read.

    Returns:
        Ready for JSON; AUROC and means with 95 % intervals from a bootstrap over groups, None where undefined.

    Raises:
        InputFileError: a recording can't be read.
        SettingError: too few groups for 4 folds, or heart sounds or other sounds are missing.
    """
    excerpts = real.read(recordings, front_end, real.FOLDS, seed, tick)
    index = _out_of_fold(excerpts, excerpts)
    return {
        "protocol": "quality",
        "leaky": "",
        "says": f"{real.FOLDS} folds: PASCAL A by day, B by patient, CirCor by person ({real.CIRCOR_PEOPLE} people, a "
        "recording each), ESC-10 by its folds; excerpts of 4 s; a recording's value is the median of its excerpts; the "
        "ratio of heart to noise is of root mean squares within the front end's band",
        "excerpts": len(excerpts),
        "recordings": len({e.recording for e in excerpts}),
        "auroc": _areas(excerpts, index)
        | {"heart sounds vs artifact, set A, learned without set A": _foreign_area(excerpts)},
        "mean_index": {name: _mean(excerpts, index, own) for name, own in _kinds(excerpts).items()},
        "poor_quality": DecideSpec().poor_quality,
        "share_below_poor_quality": {
            name: _mean(excerpts, index < DecideSpec().poor_quality, own) for name, own in _kinds(excerpts).items()
        },
        "fitted": asdict(fit_excerpts(excerpts)),
    }


def _out_of_fold(excerpts: Sequence[Excerpt], learnable: Sequence[Excerpt]) -> Array:
    """(n,) the index of each excerpt, from a regression on those learnable ones that are not of its fold."""
    found = np.zeros(len(excerpts))
    for fold in sorted({e.fold for e in excerpts}):
        spec = fit_excerpts([e for e in learnable if e.fold != fold])
        own = [i for i, e in enumerate(excerpts) if e.fold == fold]
        found[own] = [quality.index(spec, excerpts[i].factors, excerpts[i].measures) for i in own]
    return found


def _kinds(excerpts: Sequence[Excerpt]) -> dict[str, Array]:
    """Masks (n,) of the kinds of excerpts that figures are given for; kinds without an excerpt are left out."""
    kind = np.array([f"{e.kind}, {e.recording.source}{', noisy' * e.recording.noisy}" for e in excerpts])
    masks = {name: kind == name for name in sorted(set(kind)) if "mixture" not in name}
    masks["heart sounds of the mixtures, unmixed"] = np.array([e.kind == "heart" and e.middle for e in excerpts])
    masks |= {
        f"mixture at {snr_db} dB": np.array([e.kind == "mixture" and e.snr_db == snr_db for e in excerpts])
        for snr_db in SNRS_DB
    }
    return {name: own for name, own in masks.items() if own.any()}


def _mean(excerpts: Sequence[Excerpt], values: Array, own: Array) -> scores.Score:
    member, weights = scores.resample_weights(_groups(excerpts, own))
    sums, counts = np.bincount(member, values[own]), np.bincount(member)
    return scores.scored(float(values[own].mean()), (weights @ sums) / (weights @ counts))


def _groups(excerpts: Sequence[Excerpt], own: Array) -> list[str]:
    return [e.recording.group for e, kept in zip(excerpts, own, strict=True) if kept]


def _areas(excerpts: Sequence[Excerpt], index: Array) -> dict[str, scores.Score]:
    """How well the index tells clean from disturbed, higher for clean."""
    kind = np.array([e.kind for e in excerpts])
    source = np.array([e.recording.source for e in excerpts])
    noisy = np.array([e.recording.noisy for e in excerpts])
    snr_db = np.array([np.nan if e.snr_db is None else e.snr_db for e in excerpts])
    worse = {f"at {x} dB": (kind == "mixture") & (snr_db == x) for x in SNRS_DB}
    worse["at 0 dB over the whole spectrum"] = kind == "wide mixture"
    mixed = (kind == "heart") & np.array([e.middle for e in excerpts])
    areas = {"heart sounds vs artifact, set A": _artifact_area(excerpts, index)}
    for name in sorted(set(source[kind == "heart"])):
        heart = (kind == "heart") & (source == name)
        areas[f"heart sounds of {name} vs everyday noise"] = _by_recording(
            excerpts, index, heart, (kind == "noise") & (source == "noise")
        )
    for name, disturbed in worse.items():
        own = mixed | disturbed
        groups = _groups(excerpts, own)
        areas[f"excerpts vs the same {name}"] = scores.auroc(mixed[own], index[own][None], groups)
    heart_b = (kind == "heart") & (source == "pascal_b")
    areas["clean vs noisy sub-label, set B"] = _by_recording(excerpts, index, heart_b & ~noisy, heart_b & noisy)
    return areas


def _artifact_area(excerpts: Sequence[Excerpt], index: Array) -> scores.Score:
    own = np.array([e.recording.source == "pascal_a" and "mixture" not in e.kind for e in excerpts])
    heart = np.array([e.kind == "heart" for e in excerpts])
    return _by_recording(excerpts, index, own & heart, own & ~heart)


def _foreign_area(excerpts: Sequence[Excerpt]) -> scores.Score:
    """Set A told by an index that never heard its device; undefined where set A is all there is."""
    learnable = [e for e in excerpts if e.recording.source != "pascal_a"]
    if not {"heart", "noise"} <= {e.kind for e in learnable}:
        return scores.scored(float("nan"), np.array([]))
    return _artifact_area(excerpts, _out_of_fold(excerpts, learnable))


def _by_recording(excerpts: Sequence[Excerpt], index: Array, better: Array, worse: Array) -> scores.Score:
    """AUROC over recordings, each with the median of its excerpts."""
    of: dict[Recording, list[int]] = {}
    for i in map(int, np.flatnonzero(better | worse)):
        of.setdefault(excerpts[i].recording, []).append(i)
    values = np.array([np.median(index[own]) for own in of.values()])
    positive = np.array([better[own[0]] for own in of.values()], dtype=bool)
    return scores.auroc(positive, values[None], [recording.group for recording in of])
