"""Real photos of bad weather beside made pairs: for what is learnt without a clean twin and without annotations.

Each item is that of a `PairedDataset` with one more crop, `real`, cut from a real photo by the same rules. Item
`n` depends on the seed and `n` alone. Annotations of the real photos, if there are any, are never read; boxes that a
detector found there may be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from unirestore.data.catalog import eval_sets, load_eval_set
from unirestore.data.coco import read_coco
from unirestore.data.folder import PhotoFolder, Record
from unirestore.data.folds import read_names
from unirestore.data.paired import PairedDataset

_SEED_STEP = 1_000_003
"""Added to the pairs' seed, so that the real crops are not drawn in step with the clean ones."""


class BesideReal(Dataset):
    """The items of `pairs` with a crop of a real photo beside each.

    Args:
        pairs: what gives `degraded`, `clean` and the rest; its crop size, scale and flips hold for the real
            photos, too, and so does its seed.
        photos: the real photos, as from `open_real`; every photo is drawn equally often.
    """

    def __init__(self, pairs: PairedDataset, photos: PhotoFolder) -> None:
        self.pairs = pairs
        self.crops = PairedDataset(
            photos,
            size=pairs.size,
            seed=pairs.seed + _SEED_STEP,
            length=len(pairs),
            resize=pairs.resize,
            long_side=pairs.long_side,
            box_probability=pairs.box_probability if photos.labelled else 0.0,
            flip_probability=pairs.flip_probability,
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, n: int) -> dict[str, Any]:
        """Item `n` of the pairs, with `real` uint8 `(3, S, S)` RGB and `real_name`; where photos have boxes, also
        `real_boxes` and `real_labels`, as `boxes` and `labels`."""
        crop = self.crops[n]
        item = {**self.pairs[n], "real": crop["clean"], "real_name": crop["name"]}
        if crop["labelled"]:
            item |= {"real_boxes": crop["boxes"], "real_labels": crop["labels"]}
        return item


def open_real(
    photos: str | Path | Sequence[str | Path],
    names: str | Path | Sequence[str | Path] | None = None,
    boxes: str | Path | None = None,
) -> PhotoFolder:
    """Real photos without anything beside them but, perhaps, boxes that a detector found.

    Args:
        photos: a folder (searched with its sub-folders), the name of a set in `configs/_base_/data`, or a list
            of either.
        names: a text file, or a list of such, with one photo a line, called as below its folder or set
            (`fog/foggy-002.jpg`); only these are taken. None: all.
        boxes: a COCO json as `tools/pseudo_label.py` writes it, with the photos called alike; its labels index its
            categories. None: photos without boxes.

    Returns:
        a folder of photos whose names are their paths.

    Raises:
        FileNotFoundError: a folder, a set, a list or the json is not there.
        ValueError: there is no photo, two are called alike while `names` chooses or `boxes` are given, a list names one
            that is not there, or the json lacks one.
    """
    found = [pair for entry in _listed(photos) for pair in named_photos(entry)]
    if names is not None:
        found = _chosen(found, [Path(file) for file in _listed(names)])
    if boxes is None:
        return PhotoFolder([path for _, path in found], labelled=False)
    return PhotoFolder([path for _, path in found], records=_labelled(found, Path(boxes)))


def _labelled(found: list[tuple[str, Path]], file: Path) -> list[Record]:
    """What the json says of each photo."""
    _by_name(found)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such boxes; make them with tools/pseudo_label.py --restorer")
    known = {record.path: record for record in read_coco(file)}
    missing = [name for name, _ in found if name not in known]
    if missing:
        raise ValueError(
            f"{file}: {len(missing)} of {len(found)} photos are not in it, first {missing[0]}; make it anew from these "
            "photos with tools/pseudo_label.py"
        )
    return [replace(known[name], path=str(path)) for name, path in found]


def _by_name(found: list[tuple[str, Path]]) -> dict[str, Path]:
    paths = dict(found)
    if len(paths) < len(found):
        raise ValueError(f"{len(found) - len(paths)} of {len(found)} photos share their name with another")
    return paths


def _listed(one_or_more: str | Path | Sequence[str | Path]) -> list[str | Path]:
    return [one_or_more] if isinstance(one_or_more, (str, Path)) else list(one_or_more)


def named_photos(entry: str | Path) -> list[tuple[str, Path]]:
    """Name and place of each photo of a folder or of a named set, called as below it; of pairs, the clean ones.

    Raises FileNotFoundError where it is neither.
    """
    if Path(entry).is_dir():
        folder = PhotoFolder(entry)
    elif str(entry) in eval_sets():
        folder = load_eval_set(str(entry))
    else:
        raise FileNotFoundError(
            f"{entry}: no folder of photos and no named set; the sets are {', '.join(eval_sets())}"
        )
    return list({record.path: folder.path(i) for i, record in enumerate(folder.records)}.items())


def _chosen(found: list[tuple[str, Path]], files: list[Path]) -> list[tuple[str, Path]]:
    paths = _by_name(found)
    wanted: dict[str, Path] = {}
    for file in files:
        names = read_names(file)
        unknown = [name for name in names if name not in paths]
        if unknown or not names:
            raise ValueError(
                f"{file}: {len(unknown)} of its {len(names)} photos are not there"
                f"{', first ' + unknown[0] if unknown else ''}; names look like {found[0][0]}"
            )
        wanted |= {name: paths[name] for name in names}
    return list(wanted.items())
