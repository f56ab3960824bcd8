"""Letters three lines high, of half blocks: readable across a room. Five pixels high, two of them to a character."""

from __future__ import annotations

import numpy as np

#: Rows of each letter, top to bottom.
_ROWS = {
    "A": "### #.# ### #.# #.#",
    "B": "##. #.# ##. #.# ##.",
    "C": "### #.. #.. #.. ###",
    "D": "##. #.# #.# #.# ##.",
    "E": "### #.. ##. #.. ###",
    "F": "### #.. ##. #.. #..",
    "G": "### #.. #.# #.# ###",
    "H": "#.# #.# ### #.# #.#",
    "I": "# # # # #",
    "J": "..# ..# ..# #.# .#.",
    "K": "#.# #.# ##. #.# #.#",
    "L": "#.. #.. #.. #.. ###",
    "M": "#...# ##.## #.#.# #...# #...#",
    "N": "#..# ##.# #.## #..# #..#",
    "O": "### #.# #.# #.# ###",
    "P": "##. #.# ##. #.. #..",
    "Q": ".#. #.# #.# #.# .##",
    "R": "##. #.# ##. #.# #.#",
    "S": "### #.. ### ..# ###",
    "T": "### .#. .#. .#. .#.",
    "U": "#.# #.# #.# #.# ###",
    "V": "#.# #.# #.# #.# .#.",
    "W": "#...# #...# #.#.# ##.## #...#",
    "X": "#.# #.# .#. #.# #.#",
    "Y": "#.# #.# .#. .#. .#.",
    "Z": "### ..# .#. #.. ###",
    "0": "### #.# #.# #.# ###",
    "1": ".#. ##. .#. .#. ###",
    "2": "### ..# ### #.. ###",
    "3": "### ..# .## ..# ###",
    "4": "#.# #.# ### ..# ..#",
    "5": "### #.. ### ..# ###",
    "6": "### #.. ### #.# ###",
    "7": "### ..# .#. .#. .#.",
    "8": "### #.# ### #.# ###",
    "9": "### #.# ### ..# ###",
    "?": "##. ..# .#. ... .#.",
    " ": ".. .. .. .. ..",
}
#: Lines that a word takes, by its scale.
LINES = {1: 3, 2: 6}


def large(word: str, scale: int = 1) -> list[str]:
    """A word in large letters, `LINES[scale]` lines of the same length.

    Args:
        word: capitals, digits, blanks and `?`.
        scale: cells to a pixel's side: 1, or 2 for twice as large.
    """
    gap = np.zeros((5, 1), dtype=bool)
    glyphs = [np.array([[c == "#" for c in row] for row in _ROWS[letter].split()]) for letter in word]
    pixels = np.concatenate([part for glyph in glyphs for part in (glyph, gap)][:-1], axis=1)
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    pixels = np.pad(pixels, ((0, 2 * LINES[scale] - len(pixels)), (0, 0)))
    codes = pixels[::2] + 2 * pixels[1::2].astype(int)
    return ["".join(" ▀▄█"[c] for c in row) for row in codes]
