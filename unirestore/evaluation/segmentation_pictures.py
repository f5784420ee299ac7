"""Label maps for the report: colours over a photo, the same colour for a class everywhere."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from unirestore.data.label_maps import IGNORED
from unirestore.evaluation.pictures import Panel, panel_size, to_jpeg

MASK = 0.6  # share of the colour in a pixel
COLOURS = {
    # near those of Cityscapes, which people know
    "road": "#804080", "pavement": "#f423e8", "sidewalk": "#f423e8", "building": "#7d7d7d", "wall": "#66669c",
    "fence": "#be9999", "pole": "#e0e0b0", "sign": "#dcdc00", "traffic sign": "#dcdc00", "traffic light": "#faaa1e",
    "tree": "#6b8e23", "vegetation": "#6b8e23", "terrain": "#98fb98", "sky": "#4682d2", "pedestrian": "#dc143c",
    "person": "#dc143c", "rider": "#ff6a00", "bicyclist": "#ff6a00", "car": "#2a4bff", "truck": "#003c8c",
    "bus": "#00647d", "train": "#005064", "motorcycle": "#9a4dff", "bicycle": "#b83a1b",
}  # fmt: skip


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """Class -> `#rrggbb`; classes that have no colour of their own get one of the hues round the circle."""
    result = {}
    for index, name in enumerate(classes):
        red, green, blue = colorsys.hsv_to_rgb(index * 0.618 % 1, 0.7, 0.9)
        result[name] = COLOURS.get(
            name, f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
        )
    return result


def mask_panel(
    title: str, image: np.ndarray, label_map: np.ndarray, classes: Sequence[str], caption: str
) -> Panel:
    """Lay a label map over a picture.

    Args:
        title: the arm.
        image: `(h, w, 3)` RGB uint8.
        label_map: `(H, W)` indices into `classes`, 255 leaves the picture as it is; of the same proportions.
        classes: names in the order of the indices.
        caption: what stands below beside the title.
    """
    size = panel_size(image)
    shown = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    labels = cv2.resize(label_map.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    table = np.zeros((256, 3), np.float32)
    for index, colour in enumerate(class_colours(classes).values()):
        table[index] = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    share = np.where(labels == IGNORED, 0.0, MASK)[..., None]
    mixed = (1 - share) * shown + share * table[labels]
    return Panel(title=title, jpeg=to_jpeg(np.rint(mixed).astype(np.uint8)), caption=caption)
