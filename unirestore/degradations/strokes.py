"""Short straight lines by the hundred: streaks of rain and moving flakes of snow."""

from __future__ import annotations

import cv2
import numpy as np


def strokes(
    shape: tuple[int, int], start: np.ndarray, move: np.ndarray, levels: tuple[int, ...], thickness: int
) -> np.ndarray:
    """(H, W) uint8: lines from each of `start` (N, 2) by `move` (N, 2), x and y in pixels, on black.

    They take turns in brightness: the first has `levels[0]`, the next `levels[1]`, and so on. Where lines cross,
    the later level wins. Drawn smooth, to a sixteenth of a pixel, `thickness` whole pixels wide.
    """
    ends = np.rint(np.stack([start, start + move], axis=1) * 16).astype(np.int32)  # 4 fractional bits
    canvas = np.zeros(shape, np.uint8)
    for turn, level in enumerate(levels):
        cv2.polylines(canvas, list(ends[turn :: len(levels)]), False, level, thickness, cv2.LINE_AA, 4)
    return canvas
