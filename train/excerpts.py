"""Excerpts of real recordings, by themselves and mixed with noise, to fit and test the signal quality index on.

What the index is to say of them: 1 for recorded heart sounds, 0.8 where the data set calls them noisy, 0 for sounds
that are no heart, and for heart sounds mixed with everyday noise from 0 at -6 dB to 1 at 20 dB, straight in dB. That is
the ratio of root mean squares within the excerpt and the front end's band: noise that the network does not hear
disturbs nobody. For comparison there are mixtures at 0 dB over the whole spectrum, which nothing is learned from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from models import quality
from models.frontend import FrontEnd, FrontEndSpec
from models.measures import Measures, measure
from models.quality import Loudness
from models.windows import WindowSpec
from train.audio import load
from train.datasets import Recording, without_conflicts
from train.splits import grouped_folds

Array = np.ndarray

SNRS_DB = (20, 14, 6, 0, -6)
NOISY_TARGET = 0.8
FOLDS = 4  # as many as ESC-10 has of its own here
#: CirCor alone would outweigh and outlast the rest: one recording each of so many people.
CIRCOR_PEOPLE = 220
_EXCERPTS = 4  # of a recording, at most
_NOISES = 2  # that each heart recording is mixed with
_AUDIBLE = 1e-4
_ESC_FILE = re.compile(r"(.*/)?(?P<fold>\d)-\d+-[A-Z](-\d+)?\.\w+")


@dataclass(frozen=True)
class Excerpt:
    """A window of a recording, by itself or with noise, and what the index is made of.

    Attributes:
        recording: where it is from; of a mixture, the heart's.
        fold: neither the recording nor the noise is in another fold.
        kind: "heart", "mixture", "wide mixture" or "noise" (which stands for all that is no heart).
        snr_db: of a mixture; None otherwise.
        middle: whether it is the one excerpt of its recording that is mixed with noise.
        factors: from `quality.faults`.
        measures: from `measures.measure`.
    """

    recording: Recording
    fold: int
    kind: str
    snr_db: int | None
    middle: bool
    factors: tuple[float, ...]
    measures: Measures

    @property
    def target(self) -> float:
        """What the index should be."""
        if self.snr_db is not None:
            return (self.snr_db - SNRS_DB[-1]) / (SNRS_DB[0] - SNRS_DB[-1])
        if self.kind == "noise":
            return 0.0
        return NOISY_TARGET if self.recording.noisy else 1.0

    @property
    def stratum(self) -> str:
        """Strata weigh the same in the fit, but mixtures, which are of every source, thrice."""
        return "mixture" if self.kind == "mixture" else f"{self.recording.source} {self.kind}"


def read(
    recordings: Sequence[Recording], front_end: FrontEnd, folds: int, seed: int, tick: Callable[[], None]
) -> list[Excerpt]:
    """Excerpts of every recording, and mixtures of its heart sounds with noises of its fold.

    Args:
        recordings: as `train.datasets.read` gives them; noise among them is also mixed into heart sounds.
        front_end: the one that listens.
        folds: that recordings are divided into, by group; 1 for no division.
        seed: of the division, the choice of CirCor recordings and of noises.
        tick: called once per recording read.

    Raises:
        InputFileError: a recording can't be read.
        SettingError: too few groups for so many folds.
    """
    chosen = _chosen(recordings, seed)
    fold = _folds(chosen, folds, seed) if folds > 1 else dict.fromkeys(chosen, 0)
    noises: list[list[Array]] = [[] for _ in range(folds)]
    found: list[Excerpt | None] = []
    for recording in sorted(chosen, key=lambda r: r.source != "noise"):  # noise first: it is mixed into the others
        samples = load(recording.path, front_end.spec.rate_hz, recording.heard_s)
        kind = "noise" if recording.label == "artifact" else "heart"
        if recording.source == "noise":
            noises[fold[recording]].append(samples)
        cuts = _cuts(samples, front_end.spec.span_samples(WindowSpec().window_frames))
        for place, cut in enumerate(cuts):
            middle = kind == "heart" and place == len(cuts) // 2
            found.append(_excerpt(front_end, cut, recording, fold[recording], kind, None, middle))
            if middle:
                rng = np.random.default_rng([seed, crc32(recording.name.encode())])
                for mixed, snr_db, mixture in _mixtures(front_end.spec, cut, noises[fold[recording]], rng):
                    found.append(_excerpt(front_end, mixture, recording, fold[recording], mixed, snr_db, False))
        tick()
    return [e for e in found if e is not None]


def _chosen(recordings: Sequence[Recording], seed: int) -> list[Recording]:
    """Those to read, in a fixed order."""
    usable = sorted(without_conflicts(recordings), key=lambda r: (r.source, r.name))
    rng = np.random.default_rng(seed)
    of_person: dict[str, list[Recording]] = {}
    for recording in usable:
        if recording.source == "circor":
            of_person.setdefault(recording.group, []).append(recording)
    people = rng.permutation(sorted(of_person))[:CIRCOR_PEOPLE]
    children = [of_person[person][rng.integers(len(of_person[person]))] for person in people]
    return [r for r in usable if r.source != "circor"] + children


def _folds(recordings: Sequence[Recording], folds: int, seed: int) -> dict[Recording, int]:
    """Fold of each recording; noises are divided by themselves, so that every fold has some."""
    found: dict[Recording, int] = {}
    for is_noise in (False, True):
        own = [r for r in recordings if (r.source == "noise") == is_noise]
        splits = grouped_folds([_by_esc_fold(r) for r in own], folds, seed) if own else []
        found |= {own[i]: fold for fold, (_, tested) in enumerate(splits) for i in tested}
    return found


def _by_esc_fold(recording: Recording) -> Recording:
    clip = _ESC_FILE.fullmatch(recording.name) if recording.source == "noise" else None
    return replace(recording, group=f"noise/fold {clip['fold']}") if clip else recording


def _cuts(samples: Array, length: int) -> list[Array]:
    """Excerpts spread evenly, at least half a second apart where there are several; all of a recording too short."""
    spare = len(samples) - length
    if spare <= 0:
        return [samples]
    count = min(_EXCERPTS, 1 + 4 * spare // length)
    return [samples[start : start + length] for start in np.linspace(0, spare, count).astype(int)]


def _mixtures(
    spec: FrontEndSpec, heart: Array, noises: Sequence[Array], rng: np.random.Generator
) -> Iterator[tuple[str, int, Array]]:
    """Kind, ratio and samples of heart sounds with some noises; a noise shorter than the heart sounds is repeated."""
    heart_rms = _band_rms(spec, heart)
    usable = [noise for noise in noises if _band_rms(spec, np.resize(noise, len(heart))) > _AUDIBLE]
    if not usable or heart_rms < _AUDIBLE / 10:
        return
    for which in rng.integers(len(usable), size=_NOISES):
        noise = np.resize(usable[which], len(heart))
        for snr_db in SNRS_DB:
            yield "mixture", snr_db, heart + noise * (heart_rms / _band_rms(spec, noise) * 10 ** (-snr_db / 20))
        yield "wide mixture", 0, heart + noise * float(np.std(heart) / np.std(noise))


def _band_rms(spec: FrontEndSpec, samples: Array) -> float:
    """Root mean square of what lies in the front end's band."""
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / spec.rate_hz)
    band = (frequency_hz >= spec.low_hz) & (frequency_hz <= spec.high_hz)
    return float(np.sqrt(2 * (np.abs(np.fft.rfft(samples)[band]) ** 2).sum()) / len(samples))


def _excerpt(
    front_end: FrontEnd, samples: Array, recording: Recording, fold: int, kind: str, snr_db: int | None, middle: bool
) -> Excerpt | None:
    """None where there is less than the least the network takes."""
    features = front_end.log_energies(front_end.extract(samples))
    if len(features) < WindowSpec().least_frames:
        return None
    # Clipping is not judged: resampling has hidden it.
    loudness = Loudness(
        float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))), float(np.abs(samples).max()), 0.0
    )
    factors = quality.faults(features, loudness)
    return Excerpt(recording, fold, kind, snr_db, middle, factors, measure(front_end.spec, features))
