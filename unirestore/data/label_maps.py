"""From the ids of one label map to the classes that a segmentor answers with: by name, never by number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

IGNORED = 255
"""Pixels that nobody labelled, or of a class that does not count: neither trained on nor measured."""

CITYSCAPES_LABELS = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road", "sidewalk",
    "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup",
    "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus",
    "caravan", "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""What the ids of `*_labelIds.png` mean, in Cityscapes and in the sets that took its label maps over."""


def in_classes(label_map: np.ndarray, names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """A label map in other indices.

    Args:
        label_map: `(H, W)` uint8 indices into `names`; ids beyond them are unknown.
        names: what the ids mean.
        classes: at most 255 names, the order of the answer.

    Returns:
        `(H, W)` uint8 indices into `classes`, `IGNORED` where the class is not among them.

    Raises:
        ValueError: the two have no name in common, or `classes` are too many.
    """
    if len(classes) > IGNORED:
        raise ValueError(f"{len(classes)} classes do not fit 8 bits; at most {IGNORED}")
    index = {name: number for number, name in enumerate(classes)}
    if not index.keys() & set(names):
        raise ValueError(
            f"the label map's classes ({', '.join(names) or 'none'}) are none of {', '.join(classes)}; "
            "give label_map_names as the set has them"
        )
    table = np.full(256, IGNORED, np.uint8)
    table[: len(names)] = [index.get(name, IGNORED) for name in names]
    return table[label_map]
