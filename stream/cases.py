"""The cases that can be simulated: what each adds to a normal heart, and the class that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple


class Murmur(NamedTuple):
    """When in the cycle a murmur is heard, how it swells and fades, and how high it is.

    Attributes:
        phase: systole lasts from S1 to A2, diastole from A2 to the next S1.
        delay_s: from the beginning of the phase to the murmur's.
        share: how much it fills of what is then left of the phase, 0 to 1.
        shape: a diamond swells and fades, a plateau stays, a decrescendo fades from its beginning.
        low_hz: lower end of its band.
        high_hz: upper end of its band.
        gain: bound of its amplitude; S1 has 1.
    """

    phase: Literal["systole", "diastole"]
    delay_s: float
    share: float
    shape: Literal["diamond", "plateau", "decrescendo"]
    low_hz: float
    high_hz: float
    gain: float


class Ectopy(NamedTuple):
    """How often an extrasystole comes.

    Attributes:
        group: one beat of so many is early, 2 or more.
        regular: True: the last of each group, always at the same coupling, as from one focus. False: any but the
            first of a group, at a coupling of its own; two never follow one another.
    """

    group: int
    regular: bool


@dataclass(frozen=True)
class Case:
    """What is heard in a simulated patient.

    Attributes:
        label: the class it stands for, one of `models.classes.CLASSES`.
        heart: False where no heart is heard at all.
        murmur: the murmur, if any.
        extra: the extra heart sound, if any.
        ectopy: the extrasystoles, if any.
    """

    label: str
    heart: bool = True
    murmur: Murmur | None = None
    extra: Literal["S3", "S4"] | None = None
    ectopy: Ectopy | None = None


# Bands of systolic murmurs: Noponen et al. 2007, "Phono-spectrographic analysis of heart murmur in children":
# pathological 52-299 Hz, innocent ejection 60-142 Hz, innocent vibratory (Still's) 72-161 Hz. Innocent ones are
# softer and over before systole is. A leaking aortic valve blows near 400 Hz and fades as the aorta empties.
_EJECTION = Case("murmur", murmur=Murmur("systole", 0.04, 1.0, "diamond", 52, 299, 0.3))
_S3 = Case("extra_heart_sound", extra="S3")

#: Every case by name. The five classes' names come first; those that have several cases name the plainest of them.
CASES = MappingProxyType(
    {
        "normal": Case("normal"),
        "murmur": _EJECTION,
        "extra_heart_sound": _S3,
        "extrasystole": Case("extrasystole", ectopy=Ectopy(6, regular=False)),
        "artifact": Case("artifact", heart=False),
        "ejection_murmur": _EJECTION,
        "holosystolic_murmur": Case("murmur", murmur=Murmur("systole", 0.0, 1.0, "plateau", 52, 299, 0.25)),
        "early_systolic_murmur": Case("murmur", murmur=Murmur("systole", 0.01, 0.6, "decrescendo", 52, 299, 0.3)),
        "innocent_ejection_murmur": Case("murmur", murmur=Murmur("systole", 0.04, 0.7, "diamond", 60, 142, 0.2)),
        "vibratory_murmur": Case("murmur", murmur=Murmur("systole", 0.04, 0.7, "diamond", 72, 161, 0.2)),
        "diastolic_murmur": Case("murmur", murmur=Murmur("diastole", 0.02, 0.8, "decrescendo", 300, 500, 0.25)),
        "s3": _S3,
        "s4": Case("extra_heart_sound", extra="S4"),
        "bigeminy": Case("extrasystole", ectopy=Ectopy(2, regular=True)),
        "trigeminy": Case("extrasystole", ectopy=Ectopy(3, regular=True)),
    }
)
