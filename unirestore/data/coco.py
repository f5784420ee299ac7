"""Boxes from a COCO json, read without mmdet or pycocotools.

The format: https://cocodataset.org/#format-data. Boxes there are x, y, width, height; here x1, y1, x2, y2.
    Pseudo-labels are the
same format written by somebody else, so they need nothing of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unirestore.data.folder import PhotoFolder, Record
from unirestore.data.sample import SCENE_CLASSES


class CocoFolder(PhotoFolder):
    """Pictures with boxes from a COCO json; without one, pictures whose boxes nobody knows.

    Args:
        images: the folder that `file_name` is relative to, or a list of image files (then `annotations` stays
            None).
        annotations: the json; None for pictures without boxes.
        classes: names that the labels index; annotations of other classes are left out.
        label_names: class name of the json -> class name in `classes`, where they differ; None as value
            leaves it out.
        limit: keep the first so many pictures, or pairs.
        **known: what else `PhotoFolder` takes: `labelled`, `depth_unit`, `degraded`, ...

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: the json is broken, or names none of the classes.
    """

    def __init__(
        self,
        images: str | Path | Sequence[str | Path],
        annotations: str | Path | None = None,
        depth: str | Path | None = None,
        label_maps: str | Path | None = None,
        label_map_names: Sequence[str] | None = None,
        classes: Sequence[str] = SCENE_CLASSES,
        *,
        label_names: Mapping[str, str | None] | None = None,
        limit: int | None = None,
        **known,
    ) -> None:
        records = None
        self.annotations = None if annotations is None else Path(annotations)
        if annotations is not None:
            if not isinstance(images, (str, Path)):
                raise ValueError(
                    "annotations need `images` to be the folder that file names are relative to, not a list"
                )
            records = read_coco(annotations, classes, label_names)[:limit]
        super().__init__(
            images,
            depth=depth,
            label_maps=label_maps,
            label_map_names=label_map_names,
            classes=classes,
            records=records,
            **known,
        )
        self.records = self.records[:limit]


def read_coco(
    path: str | Path,
    classes: Sequence[str] | None = None,
    label_names: Mapping[str, str | None] | None = None,
) -> list[Record]:
    """One `Record` for each picture of a COCO json, in the order of the file, with boxes clipped to the
    picture; labels index `classes`, None: the json's own categories in their order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not COCO json, or it names none of `classes`.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such annotation file")
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        images, annotations, categories = content["images"], content["annotations"], content["categories"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not a COCO json with 'images', 'annotations' and 'categories' ({error!r})"
        ) from error
    renamed = dict(label_names or {})
    if classes is None:
        classes = [category["name"] for category in categories]
    index = {name: i for i, name in enumerate(classes)}
    label_of = {
        c["id"]: index[renamed.get(c["name"], c["name"])]
        for c in categories
        if renamed.get(c["name"], c["name"]) in index
    }
    if not label_of:
        names = ", ".join(c["name"] for c in categories) or "none"
        raise ValueError(
            f"{path}: its classes ({names}) are none of {', '.join(classes)}; give label_names to map them"
        )
    by_image: dict = {image["id"]: [] for image in images}
    for annotation in annotations:
        if annotation["category_id"] in label_of:
            if annotation["image_id"] not in by_image:
                raise ValueError(
                    f"{path}: annotation {annotation.get('id')} is of image {annotation['image_id']}, "
                    "which is not listed"
                )
            by_image[annotation["image_id"]].append(annotation)
    return [_record(image, by_image[image["id"]], label_of) for image in images]


def _record(image: dict, annotations: list[dict], label_of: dict[int, int]) -> Record:
    boxes = np.array([a["bbox"] for a in annotations], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    if "width" in image and "height" in image:
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, image["width"])
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, image["height"])
    labels = np.array([label_of[a["category_id"]] for a in annotations], np.int64)
    crowd = np.array([bool(a.get("iscrowd", 0)) or bool(a.get("ignore", 0)) for a in annotations], bool)
    whole = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    keep, aside = whole & ~crowd, whole & crowd
    return Record(image["file_name"], boxes[keep], labels[keep], boxes[aside], labels[aside], image["id"])
