"""The sets that configs/_base_/data names, and how one is opened.

A data config holds `data_root` and `eval_sets = dict(NAME=dict(...))`. Each set has `images` and may have
`annotations`, `classes`, `condition` (`clean`, `fog`, `rain`, ...), `format` (`coco`, `voc`, or `categories`: a folder
a class, see `CategoryFolder`), `objects` (cut the boxes out: arguments of `ObjectCrops`), `hint` (where
to get it and how to lay it out), `label_names` (class name of the set -> class name of the detector),
`depth`, `label_maps`, `label_map_names`, `label_map_suffix`, `degraded`, `degraded_suffix` and `pattern` (see
`PhotoFolder`), `split` (VOC) and `make` (rendered if missing: arguments of `write_scenes`). Paths are relative to
`data_root`. Names of sets are unique over all files.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unirestore.data.categories import CategoryFolder, ObjectCrops
from unirestore.data.coco import CocoFolder
from unirestore.data.folder import PhotoFolder
from unirestore.data.sample import SCENE_CLASSES
from unirestore.data.scenes import SCENE_LABELS, write_scenes
from unirestore.data.voc import VocFolder

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "_base_" / "data"
KEYS = (
    "images", "annotations", "classes", "condition", "format", "hint", "label_names", "depth", "label_maps",
    "label_map_names", "label_map_suffix", "degraded", "degraded_suffix", "pattern", "split",
    "make", "data_root", "objects",
)  # fmt: skip
FORMATS = ("coco", "voc", "categories")


def eval_sets() -> dict[str, dict[str, Any]]:
    """All named sets: name -> its entry with the `data_root` of its file.

    Raises:
        FileNotFoundError: the configs do not lie beside the package.
        ValueError: two files use one name.
    """
    files = sorted(CONFIGS.glob("*.py"))
    if not files:
        raise FileNotFoundError(
            f"{CONFIGS}: no data configs; work from a checkout of the project, or give the set as a dict"
        )
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        content = runpy.run_path(str(file))
        for name, entry in content.get("eval_sets", {}).items():
            if name in found:
                raise ValueError(f"{file}: the set {name!r} is already defined in another data config")
            found[name] = {**entry, "data_root": content["data_root"]}
    return found


def load_eval_set(
    name_or_entry: str | Mapping[str, Any], data_root: str | Path | None = None, *, limit: int | None = None
) -> PhotoFolder:
    """Open a set by its name (`dawn_fog`) or by an entry as in the data configs.

    Args:
        name_or_entry: a name out of `eval_sets()`, or a mapping with the keys above.
        data_root: where the set lies; without it the entry's own. Where that starts with `data/` and the
            environment variable `UNIRESTORE_DATA` is set, its value takes the place of `data`.
        limit: open the first so many pictures.

    Returns:
        a folder of samples; its `set_name` and `condition` say what it is.

    Raises:
        FileNotFoundError: the set is not there; the message says where to get it and how to lay it out.
        KeyError: there is no set of this name.
        ValueError: the entry has unknown keys or lacks `images`.
    """
    if isinstance(name_or_entry, str):
        known = eval_sets()
        if name_or_entry not in known:
            raise KeyError(f"no set is called {name_or_entry!r}; there are {', '.join(known)}")
        name, entry = name_or_entry, dict(known[name_or_entry])
    else:
        name, entry = "", dict(name_or_entry)
    _check(name, entry)
    root = resolve_root(
        data_root if data_root is not None else entry.pop("data_root", "."), moved=data_root is None
    )
    entry.pop("data_root", None)
    hint, condition, make = entry.pop("hint", ""), entry.pop("condition", "clean"), entry.pop("make", None)
    objects, photos = entry.pop("objects", None), limit
    if objects is not None:  # the limit is one of objects, and each photo has some
        objects, photos = {**objects, "limit": limit}, None
    if make is not None:
        count = make["count"] if photos is None else min(photos, make["count"])
        write_scenes((root / entry["images"]).parent, **{**make, "count": count}, at_least=photos is not None)
    try:
        folder = _open(entry, root, photos, label_map_names=SCENE_LABELS if make else ())
    except FileNotFoundError as error:
        raise FileNotFoundError(_advice(name, root, hint, error)) from error
    folder.set_name, folder.condition = name, condition
    return folder if objects is None else ObjectCrops(folder, **objects)


def resolve_root(data_root: str | Path, *, moved: bool = True) -> Path:
    """Where `data_root` lies: a leading `data` gives way to the environment variable `UNIRESTORE_DATA`, if
    that is set."""
    root = Path(data_root)
    base = os.environ.get("UNIRESTORE_DATA")
    if moved and base and not root.is_absolute() and root.parts[:1] == ("data",):
        return Path(base).joinpath(*root.parts[1:])
    return root


def _check(name: str, entry: dict[str, Any]) -> None:
    unknown = sorted(set(entry) - set(KEYS))
    if unknown or "images" not in entry:
        what = f"unknown keys {', '.join(unknown)}" if unknown else "no 'images'"
        raise ValueError(
            f"the set {name or entry.get('images', '')!r} has {what}; known are {', '.join(KEYS)}"
        )
    if entry.get("format", "coco") not in FORMATS:
        raise ValueError(f"the set {name!r} has format {entry['format']!r}; known are {', '.join(FORMATS)}")


def _open(
    entry: dict[str, Any], root: Path, limit: int | None, label_map_names: tuple[str, ...]
) -> PhotoFolder:
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    if entry.get("format") == "categories":
        if entry.get("degraded") is not None:
            raise ValueError(
                f"{root / entry['images']}: a folder of categories has no degraded twins; name photos"
            )
        return CategoryFolder(root / entry["images"], classes=entry.get("classes"), limit=limit)
    paths = {
        key: None if entry.get(key) is None else root / entry[key]
        for key in ("images", "annotations", "depth", "label_maps", "degraded", "split")
    }
    common = dict(
        classes=tuple(entry.get("classes", SCENE_CLASSES)),
        depth=paths["depth"],
        label_maps=paths["label_maps"],
        label_map_names=tuple(entry.get("label_map_names", label_map_names)),
        label_names=entry.get("label_names"),
        limit=limit,
        pattern=entry.get("pattern"),
        label_map_suffix=entry.get("label_map_suffix", ("", "")),
        degraded=paths["degraded"],
        degraded_suffix=entry.get("degraded_suffix", ("", "")),
    )
    if entry.get("format", "coco") == "voc":
        return VocFolder(paths["images"], paths["annotations"], split=paths["split"], **common)
    return CocoFolder(paths["images"], paths["annotations"], **common)


def _advice(name: str, root: Path, hint: str, error: Exception) -> str:
    hint = hint.replace("DATA_ROOT", str(root)) if hint else "give data_root"
    where = f"the set {name!r} is not at {root} ({error})"
    return f"{where}. To get it: {hint}. Elsewhere? Set data_root, or UNIRESTORE_DATA for all sets"
