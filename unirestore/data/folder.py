"""A folder of pictures with, beside it, whatever is known: boxes, depth images, label maps.

`PhotoFolder` is the common part; `coco.py` and `voc.py` say how boxes are read. It needs neither mmdet nor
pycocotools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unirestore.data.images import DEPTH_UNIT, IMAGE_SUFFIXES, read_depth, read_image, read_label_map
from unirestore.data.sample import SCENE_CLASSES, Sample, no_boxes, no_labels


@dataclass
class Record:
    """What an annotation file says of one picture; `path` is relative to the image folder or absolute."""

    path: str
    boxes: np.ndarray = field(default_factory=no_boxes)
    labels: np.ndarray = field(default_factory=no_labels)
    crowd_boxes: np.ndarray = field(default_factory=no_boxes)
    crowd_labels: np.ndarray = field(default_factory=no_labels)
    image_id: int | str = -1


class PhotoFolder:
    """Pictures without annotations; the base of the annotated kinds.

    Args:
        images: a folder (searched recursively, sorted) or a list of image files.
        depth: a folder of depth images with the stems of the pictures (`.png` 16-bit, or `.npy` in metres).
        label_maps: a folder of label maps with the stems of the pictures (`.png`).
        label_map_names: class names of the label maps, in order of their indices.
        classes: names that the labels index.
        labelled: whether the boxes are the whole truth; None means 'yes if there is an annotation file'.
        depth_unit: metres per step of the 16-bit depth images.
        pattern: glob that the files below the folder `images` must match, for example `*_rgb_anon.png`.
        label_map_suffix: `(end, other end)`: the stem of a picture ends with the first, that of its label map with the
            second in its place, as in Cityscapes: `("_leftImg8bit", "_gtFine_labelIds")`.

    Raises:
        FileNotFoundError: a folder or an image is missing, or no file matches `pattern`.
        ValueError: there is no picture at all.
    """

    set_name = ""
    condition = "clean"

    def __init__(
        self,
        images: str | Path | Sequence[str | Path],
        *,
        depth: str | Path | None = None,
        label_maps: str | Path | None = None,
        label_map_names: Sequence[str] | None = None,
        classes: Sequence[str] = SCENE_CLASSES,
        labelled: bool | None = None,
        depth_unit: float = DEPTH_UNIT,
        records: Sequence[Record] | None = None,
        pattern: str | None = None,
        label_map_suffix: tuple[str, str] = ("", ""),
    ) -> None:
        self.pattern, self.label_map_suffix = pattern, tuple(label_map_suffix)
        self.root = Path(images) if isinstance(images, (str, Path)) else None
        if self.root is not None and not self.root.is_dir():
            raise FileNotFoundError(f"{self.root}: no such folder of images")
        self.depth = _folder(depth, "depth images")
        self.label_maps = _folder(label_maps, "label maps")
        if self.label_maps is not None and not label_map_names:
            raise ValueError("label_maps needs label_map_names: the class names in order of their indices")
        self.label_map_names = tuple(label_map_names or ())
        self.classes = tuple(classes)
        self.depth_unit = float(depth_unit)
        if records is None:
            records = [Record(path) for path in self._list(images)]
            self.labelled = bool(labelled)
        else:
            self.labelled = True if labelled is None else bool(labelled)
        if not records and pattern is not None:
            raise FileNotFoundError(f"{images}: no picture there matches {pattern}")
        if not records:
            raise ValueError(f"{images}: no pictures found (looked for {', '.join(IMAGE_SUFFIXES)})")
        self.records = list(records)
        missing = [self.path(i) for i in range(len(self)) if not self.path(i).is_file()]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(self)} pictures are missing, the first is {missing[0]}"
            )

    def _list(self, images) -> list[str]:
        if self.root is None:
            return [str(path) for path in images]
        found = (
            path for path in self.root.rglob(self.pattern or "*") if path.suffix.lower() in IMAGE_SUFFIXES
        )
        return sorted(str(path.relative_to(self.root)) for path in found)

    def path(self, index: int) -> Path:
        """Where picture `index` lies."""
        path = Path(self.records[index].path)
        return path if self.root is None or path.is_absolute() else self.root / path

    def name(self, index: int) -> str:
        """What picture `index` is called: its path below the image folder."""
        return self.records[index].path

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        record = self.records[index]
        image = read_image(self.path(index))
        depth = label_map = None
        if self.depth is not None:
            depth = read_depth(self._beside(self.depth, index, (".png", ".npy")), self.depth_unit)
            _same_size(self.name(index), image, depth, "depth image")
        if self.label_maps is not None:
            label_map = read_label_map(self._beside(self.label_maps, index, (".png",), self.label_map_suffix))
            _same_size(self.name(index), image, label_map, "label map")
        return Sample(
            image=image,
            boxes=record.boxes.copy() if self.labelled else no_boxes(),
            labels=record.labels.copy() if self.labelled else no_labels(),
            depth=depth,
            label_map=label_map,
            name=self.name(index),
            label_map_names=self.label_map_names if label_map is not None else (),
            labelled=self.labelled,
            crowd_boxes=record.crowd_boxes.copy(),
            crowd_labels=record.crowd_labels.copy(),
            image_id=record.image_id,
        )

    def _beside(
        self, folder: Path, index: int, suffixes: Sequence[str], ends: tuple[str, str] = ("", "")
    ) -> Path:
        stem = Path(self.records[index].path).with_suffix("")
        if ends[0]:
            stem = stem.with_name(stem.name.removesuffix(ends[0]) + ends[1])
        candidates = [folder / base for base in ([stem.name] if stem.is_absolute() else [stem, stem.name])]
        for candidate in candidates:
            for suffix in suffixes:
                path = candidate.with_name(candidate.name + suffix)
                if path.is_file():
                    return path
        raise FileNotFoundError(
            f"{folder}: nothing called {stem.name}{' or '.join(suffixes)} for picture {self.name(index)}"
        )


def _folder(path: str | Path | None, what: str) -> Path | None:
    if path is not None and not Path(path).is_dir():
        raise FileNotFoundError(f"{path}: no such folder of {what}")
    return None if path is None else Path(path)


def _same_size(name: str, image: np.ndarray, other: np.ndarray, what: str) -> None:
    if image.shape[:2] != other.shape[:2]:
        raise ValueError(
            f"{name}: the picture is {image.shape[:2]} but its {what} is {other.shape[:2]} (height, width)"
        )
