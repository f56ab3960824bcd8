"""Training configuration: strict TOML onto frozen dataclasses. An unknown key is an error, never ignored."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.classes import CLASSES
from models.errors import SettingError
from models.frontend import FrontEndSpec
from models.intervals import IntervalSpec
from models.nets import POOLING, BeatNetSpec, NetSpec
from models.rhythm import RhythmSpec
from models.windows import WindowSpec
from train.beat_config import BeatAugmentSpec, BeatFitSpec
from train.loop_config import LoopSpec
from train.strict import build, check, check_snr

#: Name of the recipe that draws by `SamplingSpec.shares`; those `tried` have names of their own.
DEFAULT = "default"


@dataclass(frozen=True)
class FitSpec(LoopSpec):
    """Training of the network that classifies.

    Attributes:
        mixup: Beta parameter of mixup (Zhang et al. 2018); 0 for none.
        label_smoothing: share of the target spread over the classes the source can speak of.
        state_weight: weight of the loss of what the heart does, where that is annotated; 0 for none.
    """

    steps: int = 2000
    mixup: float = 0.0
    label_smoothing: float = 0.02
    state_weight: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, mixup=(0, 100), label_smoothing=(0, 1), state_weight=(0, 100))


@dataclass(frozen=True)
class SamplingSpec:
    """How often a window is drawn from where.

    Attributes:
        shares: weight of each source; sources that are not in the data drop out, ones not named get `other`.
        tried: further shares, by name. The ones with which inner folds answer best are taken, see `train.inner`.
        other: weight of a source that `shares` does not name.
        class_power: within a source a class of n recordings is drawn in proportion to n to this power.
        class_factors: a further factor on a class's weight. Extrasystole, which timbre hardly shows, is drawn about as
            rarely as it occurs: drawn more often, it is answered for normals.
    """

    shares: dict[str, float] = field(
        default_factory=lambda: {"pascal_a": 0.12, "pascal_b": 0.18, "circor": 0.62, "noise": 0.08}
    )
    tried: dict[str, dict[str, float]] = field(
        default_factory=lambda: {"even": {"pascal_a": 0.22, "pascal_b": 0.30, "circor": 0.38, "noise": 0.10}}
    )
    other: float = 0.3
    class_power: float = 0.0
    class_factors: dict[str, float] = field(
        default_factory=lambda: {"normal": 2.0, "extra_heart_sound": 2.0, "extrasystole": 0.4}
    )

    def __post_init__(self) -> None:
        check(self, other=(0, 1e6), class_power=(0, 2))
        if unsafe := [name for name in self.tried if not re.fullmatch(r"[a-z0-9]+", name) or name == DEFAULT]:
            raise ValueError(f"tried.{unsafe[0]} must be a name of small letters and digits, and not {DEFAULT!r}")
        named = {"shares": self.shares, "class_factors": self.class_factors}
        for name, weights in (named | {f"tried.{name}": shares for name, shares in self.tried.items()}).items():
            for key, value in weights.items():
                if not 0 <= value <= 1e6:
                    raise ValueError(f"{name}.{key} must be from 0 to 1000000, not {value}")
        if unknown := set(self.class_factors) - set(CLASSES):
            raise ValueError(f"class_factors.{min(unknown)} is no class; one of {', '.join(CLASSES)}")


@dataclass(frozen=True)
class AugmentSpec:
    """Random changes to a training window; on log energies, in nepers of energy where not said otherwise.

    Attributes:
        short_share: share of windows cut to a random shorter length, as at the start of a stream.
        stretch: time is stretched by a factor in [1 / stretch, stretch].
        filter_sd: standard deviation of a random smooth frequency response.
        floor_share: share of windows given a stationary noise floor.
        noise_share: share of windows mixed with an everyday noise, where there is one in the data.
        noise_snr_db: lowest and highest signal-to-noise ratio of such mixtures.
        band_mask: most neighbouring bands blanked.
        time_mask_frames: most neighbouring frames blanked.
    """

    short_share: float = 0.25
    stretch: float = 1.25
    filter_sd: float = 1.0
    floor_share: float = 0.5
    noise_share: float = 0.15
    noise_snr_db: tuple[float, float] = (3.0, 25.0)
    band_mask: int = 5
    time_mask_frames: int = 25

    def __post_init__(self) -> None:
        check(self, short_share=(0, 1), floor_share=(0, 1), noise_share=(0, 1))
        check(self, stretch=(1, 4), filter_sd=(0, 20), band_mask=(0, 1000), time_mask_frames=(0, 1_000_000))
        check_snr(self.noise_snr_db)


@dataclass(frozen=True)
class AnswerSpec:
    """How the answer is formed; what is fitted is fitted on held-out recordings of the training side.

    Attributes:
        folds: inner folds, by group, whose answers the calibration and the threshold are fitted on.
        risk: error rate aimed at among the answers that are not abstained; sets the threshold.
        extrasystoles: share of hearts taken to have extrasystoles before an early beat is heard; about that of PASCAL's
            set B.
        smoothing: weight of the newest window in the running mean.
        margin: lead a new label needs.
    """

    folds: int = 3
    risk: float = 0.1
    extrasystoles: float = 0.1
    smoothing: float = 0.35
    margin: float = 0.05

    def __post_init__(self) -> None:
        check(self, folds=(2, 100), risk=(0, 1), extrasystoles=(1e-6, 0.5), smoothing=(0.001, 1), margin=(0, 1))


@dataclass(frozen=True)
class MachineSpec:
    """Fitting of the kernel machine that judges the spacing of the sounds.

    Attributes:
        cost: of a recording on the wrong side, C of the support vector machine.
        reach: gamma of its Gaussian kernel, times the number of values it is told.
    """

    cost: float = 1.0
    reach: float = 0.5

    def __post_init__(self) -> None:
        check(self, cost=(1e-6, 1e6), reach=(1e-6, 1e6))


@dataclass(frozen=True)
class Config:
    """All of it."""

    seed: int = 0
    front_end: FrontEndSpec = field(default_factory=FrontEndSpec)
    window: WindowSpec = field(default_factory=WindowSpec)
    net: NetSpec = field(default_factory=NetSpec)
    fit: FitSpec = field(default_factory=FitSpec)
    sampling: SamplingSpec = field(default_factory=SamplingSpec)
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    answer: AnswerSpec = field(default_factory=AnswerSpec)
    beat_net: BeatNetSpec = field(default_factory=BeatNetSpec)
    beat_fit: BeatFitSpec = field(default_factory=BeatFitSpec)
    beat_augment: BeatAugmentSpec = field(default_factory=BeatAugmentSpec)
    rhythm: RhythmSpec = field(default_factory=RhythmSpec)
    intervals: IntervalSpec = field(default_factory=IntervalSpec)
    machine: MachineSpec = field(default_factory=MachineSpec)

    def __post_init__(self) -> None:
        check(self, seed=(0, 2**31))
        check(self.front_end, "front_end.", bands=(1, 1000), lifter=(0, 1000))
        for name, net in (("net", self.net), ("beat_net", self.beat_net)):
            check(net, f"{name}.", channels=(1, 10_000), hidden=(1, 10_000), dropout=(0, 0.99))
            if net.features != self.front_end.features:
                wanted = self.front_end.features
                raise ValueError(f"{name}.features must be {wanted}, as the front end gives that many values")
        check(self.beat_net, "beat_net.", keep=(0.5, 0.9999))
        check(self.rhythm, "rhythm.", lookahead_frames=(0, self.beat_fit.window_frames - 1))
        if max(self.intervals.bands) > self.front_end.bands:
            raise ValueError(f"intervals.bands must be at most {self.front_end.bands}, as the front end has no more")
        if round(self.window.least_frames / self.augment.stretch) < POOLING:
            raise ValueError(f"window.least_frames, shortened by augment.stretch, must leave {POOLING} frames or more")
        if self.front_end.resampler != "HQ":  # what train.audio reads recordings through
            raise ValueError(f"front_end.resampler must be 'HQ', not {self.front_end.resampler!r}")
        added = [spec.noise_share or spec.floor_share for spec in (self.augment, self.beat_augment)]
        if self.front_end.cepstra and any(added):
            raise ValueError(
                "front_end.cepstra needs noise_share and floor_share of augment and beat_augment at 0: cepstra are no "
                "energies to add to"
            )


def recipes(config: Config) -> dict[str, Config]:
    """By name the configurations among which inner folds choose, each with shares of its own and none left to try."""
    own = {DEFAULT: config.sampling.shares, **config.sampling.tried}
    return {name: replace(config, sampling=replace(config.sampling, shares=x, tried={})) for name, x in own.items()}


def load(path: Path | None) -> Config:
    """Read a TOML file; what it does not name keeps its default.

    Raises:
        SettingError: no such file, not TOML, an unknown key, or a value of the wrong kind or out of range.
    """
    if path is None:
        return Config()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: can't be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path}: is not TOML: {error}") from error
    return from_dict(values, str(path))


def from_dict(values: dict[str, Any], where: str = "configuration") -> Config:
    """A configuration from nested plain values, as in a TOML file or a run's config.json."""
    if not isinstance(values, dict):
        raise SettingError(f"{where}: must be a table, not {values!r}")
    config: Config = build(Config, values, where)
    return config


def to_dict(config: Config) -> dict[str, Any]:
    """Nested plain values that `from_dict` reads back to an equal configuration."""
    return dataclasses.asdict(config)
