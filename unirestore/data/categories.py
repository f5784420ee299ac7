"""Pictures of one thing each, for classification: a folder a class, or the boxes of another set cut out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unirestore.data.folder import PhotoFolder
from unirestore.data.images import IMAGE_SUFFIXES, read_image
from unirestore.data.sample import Sample


class CategoryFolder:
    """The layout of ImageNet: `ROOT/CLASS/picture.jpg`, sub-folders allowed.

    Args:
        images: the root.
        classes: names of the folders, in the order of `Sample.category`; None: all, sorted.
        limit: keep so many pictures, the first of each class in turn.

    Raises:
        FileNotFoundError: the root, the folder of a class, or every picture is missing.
    """

    set_name, condition = "", "clean"

    def __init__(
        self, images: str | Path, *, classes: Sequence[str] | None = None, limit: int | None = None
    ) -> None:
        self.root = Path(images)
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root}: no such folder")
        there = sorted(path.name for path in self.root.iterdir() if path.is_dir())
        self.classes = tuple(there if classes is None else classes)
        if lacking := [name for name in self.classes if name not in there]:
            raise FileNotFoundError(
                f"{self.root}: no folder for {', '.join(lacking)}; there are {', '.join(there) or 'none'}"
            )
        by_class = [
            [path for path in sorted((self.root / name).rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]
            for name in self.classes
        ]
        most = max(map(len, by_class), default=0)
        turns = [(paths[k], c) for k in range(most) for c, paths in enumerate(by_class) if k < len(paths)]
        self.pictures = turns[:limit]
        if not self.pictures:
            raise FileNotFoundError(f"{self.root}: no pictures in {', '.join(self.classes) or 'any folder'}")

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Sample:
        path, category = self.pictures[index]
        name = path.relative_to(self.root).as_posix()
        return Sample(image=read_image(path), category=category, name=name, labelled=False)


class ObjectCrops:
    """Every box of a set as a square picture, with its label as the category; depth and label map come along.

    Args:
        source: pictures with boxes.
        smallest: shorter side in pixels that a box must have.
        margin: what is seen around the longer side, as a share of it; the square is moved into the picture.
        limit: keep the first so many boxes.

    Raises:
        ValueError: a number is out of range, or no box is large enough.
    """

    def __init__(
        self, source: PhotoFolder, *, smallest: float = 24, margin: float = 0.2, limit: int | None = None
    ) -> None:
        if smallest < 1 or margin < 0:
            raise ValueError(
                f"smallest must be at least 1 and margin at least 0, got {smallest} and {margin}"
            )
        self.source, self.margin, self.classes = source, margin, source.classes
        self.set_name, self.condition, self.degraded = source.set_name, source.condition, source.degraded
        self.boxes = [
            (photo, number)
            for photo, record in enumerate(source.records)
            for number, box in enumerate(record.boxes)
            if min(box[2] - box[0], box[3] - box[1]) >= smallest
        ][:limit]
        if not self.boxes:
            raise ValueError(f"none of the boxes in {source.root} has a side of {smallest} pixels")

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: int) -> Sample:
        photo, number = self.boxes[index]
        whole = self.source[photo]
        rows, columns = _square(whole.boxes[number], whole.image.shape[:2], self.margin)
        beside = (whole.depth, whole.label_map, whole.degraded)
        cut = (None if plane is None else plane[rows, columns] for plane in beside)
        depth, label_map, degraded = (None if plane is None else np.ascontiguousarray(plane) for plane in cut)
        return Sample(
            image=np.ascontiguousarray(whole.image[rows, columns]),
            category=int(whole.labels[number]),
            depth=depth,
            label_map=label_map,
            label_map_names=whole.label_map_names,
            name=f"{whole.name}#{number}",
            labelled=False,
            degraded=degraded,
        )


def _square(box: np.ndarray, size: tuple[int, int], margin: float) -> tuple[slice, slice]:
    """The square around a box xyxy, as far as a picture of `size` (H, W) holds it."""
    x1, y1, x2, y2 = (float(value) for value in box)
    side = max(1, round((1 + margin) * max(x2 - x1, y2 - y1)))
    slices = []
    for low, high, length in ((y1, y2, size[0]), (x1, x2, size[1])):
        start = int(np.clip(round((low + high - side) / 2), 0, max(0, length - side)))
        slices.append(slice(start, min(start + side, length)))
    return slices[0], slices[1]
