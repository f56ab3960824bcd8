"""A spectrogram as a PNG without a drawing library: 8-bit palette, dark to bright, nothing where nothing was recorded.

The colours follow cividis (Nunez, Anderton, Renslow 2018), made to look alike with and without colour-blindness; their
lightness alone tells the level.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

Array = np.ndarray

#: Anchors of the palette, evenly spaced, dark to bright.
ANCHORS = ((0, 32, 77), (49, 68, 107), (102, 105, 112), (150, 145, 120), (203, 186, 105), (255, 234, 70))
#: What is drawn below the loudest.
RANGE_DB = 45.0
_SHADES = 255


def indices(db: Array) -> Array:
    """Shades (rows, columns) uint8: 1 for `RANGE_DB` below the loudest and less, 255 for the loudest; 0 where NaN."""
    known = np.isfinite(db)
    top = float(np.quantile(db[known], 0.999)) if known.any() else 0.0
    share = np.clip((np.where(known, db, top) - top + RANGE_DB) / RANGE_DB, 0, 1)
    return np.where(known, 1 + np.round(share * (_SHADES - 1)), 0).astype(np.uint8)


def palette() -> Array:
    """Colours (256, 3) uint8; the first one is never seen."""
    at = np.linspace(0, 1, _SHADES)
    shades = [np.interp(at, np.linspace(0, 1, len(ANCHORS)), channel) for channel in zip(*ANCHORS, strict=True)]
    return np.vstack([np.zeros(3), np.stack(shades, axis=1)]).round().astype(np.uint8)


def png(shades: Array) -> bytes:
    """A PNG (ISO/IEC 15948) of palette indices (rows, columns); index 0 is transparent."""
    rows, columns = shades.shape
    scanlines = np.hstack([np.zeros((rows, 1), dtype=np.uint8), shades])  # each begins with filter type 0
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette().tobytes()),
            _chunk(b"tRNS", b"\0"),
            _chunk(b"IDAT", zlib.compress(scanlines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def data_uri(db: Array) -> str:
    """A spectrogram (bins, columns), lowest frequency first, as an image that lies in the page itself."""
    return "data:image/png;base64," + base64.b64encode(png(indices(db)[::-1])).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
