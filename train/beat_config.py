"""Settings of learning to find S1 and S2."""

from __future__ import annotations

from dataclasses import dataclass

from train.loop_config import LoopSpec
from train.strict import check, check_snr


@dataclass(frozen=True)
class BeatFitSpec(LoopSpec):
    """Training of the network that finds S1 and S2.

    Attributes:
        window_frames: frames of a training window.
        onset_s: standard deviation of the bell that stands for an onset in the target.
        onset_weight: weight of the onsets' loss against that of the phase.
    """

    steps: int = 3000
    learning_rate: float = 4e-3
    clip: float = 1.0
    window_frames: int = 300
    onset_s: float = 0.02
    onset_weight: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, window_frames=(50, 10_000), onset_s=(0.001, 0.1), onset_weight=(0, 1000))


@dataclass(frozen=True)
class BeatAugmentSpec:
    """Random changes to a window from which S1 and S2 are learned; units as in `AugmentSpec`.

    Attributes:
        alone_share: share of windows that hold everyday noise and no heart.
        stretch: time is stretched by a factor in [1 / stretch, stretch].
        irregular_share: share of windows whose diastoles are lengthened and shortened, as by premature beats.
        filter_sd: standard deviation of a random smooth frequency response.
        floor_share: share of windows given a stationary noise floor.
        noise_share: share of windows mixed with an everyday noise.
        noise_snr_db: lowest and highest signal-to-noise ratio of such mixtures.
    """

    alone_share: float = 0.1
    stretch: float = 1.6
    irregular_share: float = 0.25
    filter_sd: float = 1.0
    floor_share: float = 0.4
    noise_share: float = 0.4
    noise_snr_db: tuple[float, float] = (0.0, 25.0)

    def __post_init__(self) -> None:
        check(self, alone_share=(0, 1), irregular_share=(0, 1), floor_share=(0, 1), noise_share=(0, 1))
        check(self, stretch=(1, 4), filter_sd=(0, 20))
        check_snr(self.noise_snr_db)
