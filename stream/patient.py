"""Who is simulated, and through what noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Self

from models.errors import SettingError
from stream.cases import CASES, Case

if TYPE_CHECKING:
    import numpy as np

_LIMITS = {
    "heart_rate_bpm": (45, 180),
    "rate_hz": (2000, 192_000),
    "seed": (0, 2**63 - 1),
    "snr_db": (-20, 100),
}
#: Kinds of noise beside a heart.
NOISES = ("ambient", "rub", "speech")


class Purpose(IntEnum):
    """What random numbers are drawn for; each purpose, and each beat or second of it, has a generator of its own."""

    RHYTHM = 0
    PERSON = 1
    BEAT = 2
    MURMUR = 3
    ECTOPY = 4
    AMBIENT = 5
    BURSTS = 6
    RUB = 7
    SPEECH = 8


class LostContact(NamedTuple):
    """A stretch in which the stethoscope lies off the chest.

    Attributes:
        start_s: stream time of its beginning, 0 or more.
        length_s: above 0.
    """

    start_s: float
    length_s: float

    @property
    def end_s(self) -> float:
        """Stream time at which the heart can be heard again."""
        return self.start_s + self.length_s

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "S@T": S seconds, from T on.

        Raises:
            SettingError: written otherwise, or out of range.
        """
        length, _, start = text.partition("@")
        try:
            lost = cls(float(start), float(length))
        except ValueError:
            lost = cls(-1, 0)
        if not lost.possible:
            raise SettingError(
                f"lost contact {text!r}: write S@T, for S seconds (above 0) from second T (0 or more) on"
            )
        return lost

    @property
    def possible(self) -> bool:
        """Whether both numbers are in range."""
        return 0 <= self.start_s < math.inf and 0 < self.length_s < math.inf


@dataclass(frozen=True)
class Patient:
    """A simulated patient. Two equal patients sound the same to the bit.

    Attributes:
        case: one of `stream.cases.CASES`, what the patient should sound like; the five classes are among them.
        heart_rate_bpm: mean heart rate, 45 to 180 (rest to exercise in adults); unused by `artifact`.
        rate_hz: sample rate, 2000 to 192000; heart sound reaches up to some 300 Hz (Noponen et al. 2007), a diastolic
            murmur 500 Hz, noise 1 kHz, speech 2.5 kHz.
        seed: picks the patient and every random number, 0 or more.
        snr_db: power of all heart sound over that of all noise, pauses included, both in the first 40 s, -20 to 100;
            for `artifact` its bursts take the place of the heart sound. Trials used 20, 14, 6 and 0.
        noise: `ambient` is pink; in `rub` cloth rubs on the chest piece now and then, in `speech` somebody speaks, both
            with pink noise some 10 dB below the bursts.
        lost_contact: when the heart can't be heard; None is never.

    Raises:
        SettingError: an unknown case or noise, or a value out of its range.
    """

    case: str
    heart_rate_bpm: float = 72.0
    rate_hz: int = 4000
    seed: int = 0
    snr_db: float = 20.0
    noise: str = "ambient"
    lost_contact: LostContact | None = None

    def __post_init__(self) -> None:
        if self.case not in CASES:
            raise SettingError(f"no simulated patient called {self.case!r}; choose one of {', '.join(CASES)}")
        if self.noise not in NOISES:
            raise SettingError(f"no simulated noise called {self.noise!r}; choose one of {', '.join(NOISES)}")
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingError(f"{name} of a simulated patient must be from {low} to {high}, not {value}")
        self._check_lost_contact()

    def _check_lost_contact(self) -> None:
        if self.lost_contact is None:
            return
        if not self.lost_contact.possible:
            raise SettingError(f"lost contact must begin at 0 s or later and last above 0 s, not {self.lost_contact}")
        if not self.kind.heart:
            raise SettingError(f"no heart is heard in {self.case!r}, so contact can't be lost; choose another case")

    @property
    def kind(self) -> Case:
        """What the case is made of."""
        return CASES[self.case]

    def loses(self, start_s: float, end_s: float) -> bool:
        """Whether a sound between two stream times would touch the stretch of lost contact."""
        lost = self.lost_contact
        return lost is not None and start_s < lost.end_s and end_s > lost.start_s


def generator(patient: Patient, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """The random numbers of one purpose and one beat or second; `index` is -10 or more."""
    import numpy as np  # here, so that `--help` need not wait for it

    return np.random.default_rng([patient.seed, purpose, index + 10])
