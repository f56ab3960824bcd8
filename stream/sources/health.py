"""Signs by which a live device is judged: whether it still speaks, and whether it says more than zeros. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stream.block import NO_AUDIO, Samples, is_audio

STALLED_S = 0.75  # callbacks come in bursts, but not of that length
LOST_S = 3.5  # a device that was held up for 3 s delivers what it kept
START_S = 5.0  # wireless microphones take their time before the first sample
FLAT_S = 1.0  # no microphone gives exact zeros for that long, unless muted or unplugged
#: Longest step of watching that counts: time in which the whole program was held up (suspended, a busy computer) says
#: nothing of the device.
_LONGEST_STEP_S = 0.1


class Watch(NamedTuple):
    """What watching carries from look to look."""

    captured: int = 0  # samples at the last look
    looked_s: float | None = None
    silent_s: float = 0.0  # time in which it was watched and gave nothing


def look(watch: Watch, captured: int, now_s: float) -> Watch:
    """Look once; to be called every 40 ms or so.

    Args:
        watch: of the last look.
        captured: samples that came so far.
        now_s: monotonic.
    """
    if captured != watch.captured or watch.looked_s is None:
        return Watch(captured, now_s, 0.0)
    return Watch(captured, now_s, watch.silent_s + min(now_s - watch.looked_s, _LONGEST_STEP_S))


def stalled(watch: Watch) -> bool:
    """Whether a device that did speak is silent."""
    return watch.captured > 0 and watch.silent_s > STALLED_S


def lost(watch: Watch) -> bool:
    """Whether it is given up."""
    return watch.silent_s > (LOST_S if watch.captured else START_S)


class Flat(NamedTuple):
    """How long a device has been giving nothing that can be heard: exact zeros, or values that are no audio."""

    samples: int = 0
    spoke: bool = False  # whether it ever gave anything else
    broken: bool = False  # whether values that are no audio were among them


def hear(flat: Flat, samples: Samples) -> Flat:
    """Hear (n,) more; or (n, channels), of which it is enough that one can be heard."""
    usable = is_audio(samples)
    broken = not usable.all()
    heard = usable & (samples != 0)
    sounding = np.flatnonzero(heard if heard.ndim == 1 else heard.any(axis=1))
    if len(sounding) == 0:
        return flat._replace(samples=flat.samples + len(samples), broken=flat.broken or broken)
    return Flat(len(samples) - 1 - int(sounding[-1]), True, broken)


def is_flat(flat: Flat, rate_hz: int) -> bool:
    """Whether that has gone on for a second where it did speak, else from the start for 5 s."""
    return flat.samples > (FLAT_S if flat.spoke else START_S) * rate_hz


def condition(watch: Watch, flat: Flat, rate_hz: int) -> tuple[str, str]:
    """State and detail of a `block.Condition`."""
    if stalled(watch):
        return "stalled", "no audio comes"
    if not is_flat(flat, rate_hz):
        return "listening", ""
    if flat.broken:  # nothing of it is analysed, so what was decided before must not stand
        return "stalled", f"{NO_AUDIO}: reconnect it, or choose another input"
    return "listening", "nothing but zeros: muted or unplugged"
