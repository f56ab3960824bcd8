"""The front end's matrices, built by python_speech_features, which defines the features."""

from __future__ import annotations

from functools import cache

import numpy as np
from python_speech_features import base

from models.errors import SettingError
from models.frontend import FrontEnd, FrontEndSpec, Matrices


def build(spec: FrontEndSpec) -> Matrices:
    """Mel filters and liftered cosine transform for a spec.

    The cepstral map is read off the package itself: its transform and lifter are linear, so their effect on the unit
    vectors is their matrix.

    Args:
        spec: the front end.

    Returns:
        Matrices with bank (bands, fft_samples // 2 + 1) and cepstral (cepstra, bands), float64.
    """
    bank = base.get_filterbanks(spec.bands, spec.fft_samples, spec.rate_hz, spec.low_hz, spec.high_hz)
    if not spec.cepstra:
        return Matrices(bank, np.zeros((0, spec.bands)))
    unit_logs = np.eye(spec.bands)
    cosines = base.dct(unit_logs, type=2, axis=1, norm="ortho")[:, : spec.cepstra]
    return Matrices(bank, base.lifter(cosines, spec.lifter).T.copy())


@cache
def front_end(spec: FrontEndSpec) -> FrontEnd:
    """A front end ready to use.

    Raises:
        SettingError: a spec with which a mel band comes out empty.
    """
    try:
        return FrontEnd(spec, build(spec))
    except ValueError as error:
        raise SettingError(f"front_end: {error}") from error
