"""Depth for the report: the photo above its distances in colours, red near and blue far, on one scale everywhere."""

from __future__ import annotations

import cv2
import numpy as np

from unirestore.evaluation.depth import BANDS
from unirestore.evaluation.pictures import Panel, panel_size, to_jpeg

NEAR = 1 / 40  # share of the farthest distance that is as red as it gets
UNKNOWN = "#3a434b"


def depth_colours(share: np.ndarray) -> np.ndarray:
    """`(H, W)` distances as shares of the farthest -> `(H, W, 3)` RGB uint8, by the logarithm of the distance."""
    place = 1 - np.log(np.clip(share, NEAR, 1) / NEAR) / np.log(1 / NEAR)
    levels = np.rint(255 * (0.08 + 0.84 * place)).astype(np.uint8)  # the ends of the table are almost black
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)


def band_colours() -> list[str]:
    """`#rrggbb` of a distance inside each band, from near to far."""
    shown = depth_colours(0.75 * np.array(BANDS, np.float32)[None])[0]
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in shown.tolist()]


def depth_panel(title: str, image: np.ndarray, share: np.ndarray, counts: np.ndarray, caption: str) -> Panel:
    """A picture with its distances below it.

    Args:
        title: the arm.
        image: `(h, w, 3)` RGB uint8.
        share: `(H, W)` distances as shares of the farthest; of the same proportions.
        counts: `(H, W)` bool, False where the true distance is not known: dark there.
        caption: what stands below beside the title.
    """
    size = panel_size(image)
    photo = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    coloured = depth_colours(cv2.resize(share.astype(np.float32), size, interpolation=cv2.INTER_NEAREST))
    known = cv2.resize(counts.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    coloured[known == 0] = [int(UNKNOWN[at : at + 2], 16) for at in (1, 3, 5)]
    return Panel(title=title, jpeg=to_jpeg(np.concatenate([photo, coloured])), caption=caption)
