"""What a source of pictures gives: one picture with what is known about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

SCENE_CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")


def no_boxes() -> np.ndarray:
    """An empty `(0, 4)` float32 array of boxes."""
    return np.zeros((0, 4), np.float32)


def no_labels() -> np.ndarray:
    """An empty `(0,)` int64 array of labels."""
    return np.zeros((0,), np.int64)


@dataclass
class Sample:
    """One picture.

    Attributes:
        image: `(H, W, 3)` RGB uint8.
        boxes: `(N, 4)` float32, x1 y1 x2 y2 in pixels of `image`.
        labels: `(N,)` int64, indices into the classes of the source.
        depth: `(H, W)` float32 metres, or None where unknown.
        label_map: `(H, W)` uint8 indices into `label_map_names`, or None.
        name: what the file is called, for reports.
        label_map_names: class names of `label_map`.
        labelled: whether `boxes` is the whole truth; False where nobody annotated the picture.
        crowd_boxes, crowd_labels: regions that stand for many objects (COCO `iscrowd`, VOC `difficult`); a
            measurement ignores what is found there, training leaves them out.
        image_id: the id of the picture in its annotation file.
        category: index of what the whole picture shows, into the classes of the source; -1 where that is not known.
        degraded: `(H, W, 3)` RGB uint8, the same view in bad weather, pixel for pixel, or None where there is no such
            photo; `image` is then the clean one.
    """

    image: np.ndarray
    boxes: np.ndarray = field(default_factory=no_boxes)
    labels: np.ndarray = field(default_factory=no_labels)
    depth: np.ndarray | None = None
    label_map: np.ndarray | None = None
    name: str = ""
    label_map_names: tuple[str, ...] = ()
    labelled: bool = True
    crowd_boxes: np.ndarray = field(default_factory=no_boxes)
    crowd_labels: np.ndarray = field(default_factory=no_labels)
    image_id: int | str = -1
    category: int = -1
    degraded: np.ndarray | None = None


class Source(Protocol):
    """Anything with a length that gives a `Sample` for each index."""

    classes: Sequence[str]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
