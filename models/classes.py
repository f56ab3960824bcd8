"""The five classes, their order, the names data sets give them, and the words people read."""

from __future__ import annotations

from types import MappingProxyType

#: The order of every logit, probability and matrix row in the project.
CLASSES: tuple[str, ...] = ("normal", "murmur", "extra_heart_sound", "extrasystole", "artifact")

#: What a person reads. Artifact is worded as absence of heart sound, never as a finding.
WORDS = MappingProxyType(
    {
        "normal": "normal",
        "murmur": "murmur",
        "extra_heart_sound": "extra heart sound (S3/S4)",
        "extrasystole": "extrasystole (premature beat)",
        "artifact": "no heart sound (artifact)",
    }
)

#: Names met in data sets. The PASCAL challenge's noisy subclasses count as their parent class.
_ALIASES = MappingProxyType(
    {
        "extrahls": "extra_heart_sound",
        "extrastole": "extrasystole",
        "noisynormal": "normal",
        "noisymurmur": "murmur",
        "absent": "normal",
        "present": "murmur",
        "noise": "artifact",
    }
)


def class_of(name: str) -> str | None:
    """The class a data set's label stands for, or None where the label is not one of ours.

    Args:
        name: a label as a data set writes it, in any case, with spaces or hyphens for underscores.
    """
    key = name.strip().lower().replace(" ", "_").replace("-", "_")
    key = _ALIASES.get(key, key)
    return key if key in CLASSES else None
