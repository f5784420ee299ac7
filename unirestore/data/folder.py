"""A folder of pictures with, beside it, whatever is known: boxes, depth images, label maps.

`PhotoFolder` is the common part; `coco.py` and `voc.py` say how boxes are read. It needs neither mmdet nor
pycocotools.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from unirestore.data.images import DEPTH_UNIT, IMAGE_SUFFIXES, read_depth, read_image, read_label_map
from unirestore.data.sample import SCENE_CLASSES, Sample, no_boxes, no_labels


@dataclass
class Record:
    """What an annotation file says of one picture; `path` is relative to the image folder or absolute.

    `degraded` is a photo of the same view in bad weather, where there is one."""

    path: str
    boxes: np.ndarray = field(default_factory=no_boxes)
    labels: np.ndarray = field(default_factory=no_labels)
    crowd_boxes: np.ndarray = field(default_factory=no_boxes)
    crowd_labels: np.ndarray = field(default_factory=no_labels)
    image_id: int | str = -1
    degraded: Path | None = None


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
        degraded: a folder of photos of the same views in bad weather, pixel for pixel, for pairs of one's own. A photo
            belongs to the picture whose stem it has, or begins with before a `_`: `0001_0.8_0.2.jpg` and `0001.jpg` to
            `0001.png`. Each gives an item, called as below this folder. Pictures without any are left out, and with a
            warning photos that belong to none.
        degraded_suffix: `(end, other end)`, as `label_map_suffix`: `("_GT", "_hazy")`.

    Raises:
        FileNotFoundError: a folder or an image is missing, no file matches `pattern`, or no degraded photo belongs to a
            picture.
        ValueError: there is no picture at all; later: a picture and what lies beside it differ in size.
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
        degraded: str | Path | None = None,
        degraded_suffix: tuple[str, str] = ("", ""),
    ) -> None:
        self.pattern, self.label_map_suffix = pattern, tuple(label_map_suffix)
        self.degraded_suffix = tuple(degraded_suffix)
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
        self.degraded = _folder(degraded, "degraded photos")
        if self.degraded is not None:
            there = [] if self.root is None else self._list(self.root)
            self.records = _pairs(self.records, there, self.degraded, self.degraded_suffix)
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
        """What picture `index` is called: its path below the image folder, or that of its degraded twin below its."""
        record = self.records[index]
        if record.degraded is not None:
            return record.degraded.relative_to(self.degraded).as_posix()
        return record.path

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        record = self.records[index]
        image = read_image(self.path(index))
        degraded = depth = label_map = None
        if record.degraded is not None:
            degraded = read_image(record.degraded)
            _same_size(self.name(index), image, degraded, "degraded twin")
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
            degraded=degraded,
        )

    def _beside(
        self, folder: Path, index: int, suffixes: Sequence[str], ends: tuple[str, str] = ("", "")
    ) -> Path:
        stem = _other_stem(self.records[index].path, ends)
        candidates = [folder / base for base in ([stem.name] if stem.is_absolute() else [stem, stem.name])]
        for candidate in candidates:
            for suffix in suffixes:
                path = candidate.with_name(candidate.name + suffix)
                if path.is_file():
                    return path
        raise FileNotFoundError(
            f"{folder}: nothing called {stem.name}{' or '.join(suffixes)} for picture {self.name(index)}"
        )


def _pairs(
    records: Sequence[Record], there: Sequence[str], folder: Path, ends: tuple[str, str]
) -> list[Record]:
    """A record for each photo in `folder` that belongs to one of `records`; those of other pictures that are `there`,
    such as those of another split, are passed over."""
    owners: dict[
        str, set[str]
    ] = {}  # what a degraded photo may be called -> paths of the pictures that it may mean
    for path in {*there, *(record.path for record in records)}:
        stem = _other_stem(path, ends)
        for name in {stem.as_posix(), stem.name}:
            owners.setdefault(name, set()).add(path)
    by_path = {record.path: record for record in records}
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    found, strangers = [], []
    for path in paths:
        stem = path.relative_to(folder).with_suffix("").as_posix()
        fitting = next((owners[name] for name in _beginnings(stem) if name in owners), set())
        if len(fitting) != 1:  # a shorter name would be that of yet another picture
            strangers.append(path)
        elif (record := by_path.get(*fitting)) is not None:
            found.append(replace(record, degraded=path))
    if not found:
        raise FileNotFoundError(
            f"{folder}: none of its {len(paths)} photos belongs to a picture of the set"
            f"{f', for example {paths[0].name}' if paths else ''}; give each the stem of its picture, perhaps "
            "with more behind a _, or say in degraded_suffix how they differ"
        )
    if strangers:
        warnings.warn(
            f"{folder}: {len(strangers)} of {len(paths)} photos belong to no picture and are left "
            f"out, the first is {strangers[0].name}",
            stacklevel=2,
        )
    return found


def _other_stem(path: str, ends: tuple[str, str]) -> Path:
    """`path` without its suffix, the first of `ends` at its end replaced by the second."""
    stem = Path(path).with_suffix("")
    return stem.with_name(stem.name.removesuffix(ends[0]) + ends[1]) if ends[0] else stem


def _beginnings(stem: str) -> Iterator[str]:
    """`sub/a_b` -> `sub/a_b`, `sub/a`, `a_b`, `a`: what a picture may be called, the likeliest first."""
    for whole in dict.fromkeys((stem, stem.rpartition("/")[2])):
        parent, slash, name = whole.rpartition("/")
        parts = name.split("_")
        for length in range(len(parts), 0, -1):
            yield parent + slash + "_".join(parts[:length])


def _folder(path: str | Path | None, what: str) -> Path | None:
    if path is not None and not Path(path).is_dir():
        raise FileNotFoundError(f"{path}: no such folder of {what}")
    return None if path is None else Path(path)


def _same_size(name: str, image: np.ndarray, other: np.ndarray, what: str) -> None:
    if image.shape[:2] != other.shape[:2]:
        raise ValueError(
            f"{name}: the picture is {image.shape[:2]} but its {what} is {other.shape[:2]} (height, width)"
        )
