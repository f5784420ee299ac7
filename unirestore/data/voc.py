"""Boxes from Pascal VOC XML files, the format of RTTS (Li et al., "Benchmarking Single-Image Dehazing and
Beyond", TIP 2019).

VOC counts pixels from 1 and includes the last one, so a box is `xmin - 1, ymin - 1, xmax, ymax` here, as in
mmdet's `XMLDataset`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unirestore.data.folder import PhotoFolder, Record
from unirestore.data.images import IMAGE_SUFFIXES
from unirestore.data.sample import SCENE_CLASSES


class VocFolder(PhotoFolder):
    """Pictures with one VOC XML file each.

    Args:
        images: the folder of pictures (`JPEGImages`).
        annotations: the folder of XML files (`Annotations`).
        split: a text file that lists the stems to use (`ImageSets/Main/test.txt`); None takes every XML file,
            sorted.
        classes: names that the labels index; other objects are left out.
        label_names: class name of the files -> class name in `classes`, where they differ; None as value
            leaves it out.
        limit: keep the first so many pictures.
        **known: `depth`, `label_maps`, `label_map_names`, `labelled`, `depth_unit` of `PhotoFolder`.

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: an XML file is broken, or no object of any file is of these classes.
    """

    def __init__(
        self,
        images: str | Path,
        annotations: str | Path,
        *,
        split: str | Path | None = None,
        classes: Sequence[str] = SCENE_CLASSES,
        label_names: Mapping[str, str | None] | None = None,
        limit: int | None = None,
        **known,
    ) -> None:
        folder = Path(annotations)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder of VOC annotations")
        if not Path(images).is_dir():
            raise FileNotFoundError(f"{images}: no such folder of images")
        if split is not None:
            if not Path(split).is_file():
                raise FileNotFoundError(f"{split}: no such list of pictures")
            stems = [
                line.split()[0]
                for line in Path(split).read_text(encoding="utf-8").splitlines()
                if line.strip()
            ]
        else:
            stems = sorted(path.stem for path in folder.glob("*.xml"))
        seen: set[str] = set()
        records = [read_voc(folder / f"{s}.xml", images, classes, label_names, seen) for s in stems[:limit]]
        if records and seen and not any(len(r.labels) + len(r.crowd_labels) for r in records):
            raise ValueError(
                f"{folder}: its objects ({', '.join(sorted(seen))}) are none of "
                f"{', '.join(classes)}; give label_names"
            )
        super().__init__(images, classes=classes, records=records, **known)


def read_voc(
    path: Path,
    images: str | Path,
    classes: Sequence[str],
    label_names: Mapping[str, str | None] | None = None,
    seen: set[str] | None = None,
) -> Record:
    """Read one XML file; objects marked `difficult` go where COCO's crowds go.

    `seen` collects every class name met. The picture is the one with the stem of the XML file, whatever its
    suffix.

    Raises:
        FileNotFoundError: the XML file is missing.
        ValueError: it is not VOC XML.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such annotation file")
    index = {name: i for i, name in enumerate(classes)}
    rows: list[tuple[list[float], int, bool]] = []
    try:
        root = ElementTree.parse(path).getroot()
        for item in root.iter("object"):
            name = item.findtext("name", "").strip()
            if seen is not None:
                seen.add(name)
            name = (label_names or {}).get(name, name)
            if name not in index:
                continue
            x1, y1, x2, y2 = (
                float(item.find("bndbox").findtext(k)) for k in ("xmin", "ymin", "xmax", "ymax")
            )
            if x2 >= x1 and y2 >= y1:
                rows.append(
                    (
                        [max(x1 - 1, 0.0), max(y1 - 1, 0.0), x2, y2],
                        index[name],
                        item.findtext("difficult", "0").strip() == "1",
                    )
                )
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a Pascal VOC annotation ({error})") from error
    boxes = np.array([r[0] for r in rows], np.float32).reshape(-1, 4)
    labels = np.array([r[1] for r in rows], np.int64)
    hard = np.array([r[2] for r in rows], bool)
    name = next(
        (path.stem + s for s in IMAGE_SUFFIXES if (Path(images) / (path.stem + s)).is_file()),
        path.stem + ".jpg",
    )
    return Record(name, boxes[~hard], labels[~hard], boxes[hard], labels[hard], path.stem)
