"""Scenes as a COCO-format folder, so that any tool can read them and nothing is rendered twice."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

from PIL import Image

from unirestore.data.images import write_depth
from unirestore.data.scenes.render import SCENE_CLASSES, SCENE_LABELS, render_scene
from unirestore.workers import in_processes

RECIPE = 3  # goes up when the pictures change, so that a cached folder is made again


def write_scenes(
    folder: str | Path,
    count: int,
    seed: int = 0,
    size: int = 256,
    *,
    suffix: str = ".png",
    at_least: bool = False,
    workers: int = 1,
) -> Path:
    """Write the scenes of seeds `seed .. seed + count - 1` and give the folder; a folder that holds just
    these is left as it is.

    With `at_least` a folder that holds these and further ones is left as it is, too. `workers` processes render, 0: as
    many as there are processors; with more than one, a script that calls this needs `if __name__ == "__main__":`.

    Layout: `images/000000.png`, `annotations.json` (COCO), `depth/000000.png` (16-bit centimetres, 65535 for
        the sky and from 655 m on),
    `labels/000000.png` (indices into `SCENE_LABELS`). It is written beside its place and renamed, so it is
    either whole or absent.

    Raises:
        ValueError: `count` is below 1, `workers` below 0, or `suffix` is neither `.png` nor `.jpg`.
        FileExistsError: the folder exists and is not one that this function wrote.
    """
    folder = Path(folder)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")
    if suffix not in (".png", ".jpg"):
        raise ValueError(f"suffix must be .png or .jpg, got {suffix!r}")
    info = dict(
        description="procedural street scenes",
        recipe=RECIPE,
        seed=int(seed),
        count=int(count),
        size=int(size),
        suffix=suffix,
    )
    if folder.exists():
        old = _info(folder)
        if old == info or (
            at_least and old is not None and old == {**info, "count": max(old.get("count", 0), info["count"])}
        ):
            return folder
        if old is None and any(folder.iterdir()):
            raise FileExistsError(
                f"{folder}: exists and holds something else; give another folder or remove it"
            )
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _fill(fresh, info, workers or os.cpu_count() or 1)
        if folder.exists():
            shutil.rmtree(folder)
        os.chmod(fresh, 0o755)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if folder.exists() and _info(folder) == info:  # another process was faster
            return folder
        raise
    return folder


def _info(folder: Path) -> dict | None:
    try:
        info = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))["info"]
    except (OSError, ValueError, KeyError):
        return None
    return info if isinstance(info, dict) and "recipe" in info else None


def _write_scene(i: int, *, folder: Path, info: dict) -> tuple[list[list[float]], list[int]]:
    """Renders scene `i` of a set into its files; gives boxes xyxy and labels."""
    options = dict(quality=95, subsampling=0) if info["suffix"] == ".jpg" else dict(compress_level=1)
    scene = render_scene(info["seed"] + i, info["size"])
    name = f"{i:06d}"
    Image.fromarray(scene.image).save(folder / "images" / (name + info["suffix"]), **options)
    write_depth(folder / "depth" / f"{name}.png", scene.depth)
    Image.fromarray(scene.label_map).save(folder / "labels" / f"{name}.png", compress_level=1)
    return scene.boxes.tolist(), scene.labels.tolist()


def _fill(folder: Path, info: dict, workers: int) -> None:
    for name in ("images", "depth", "labels"):
        (folder / name).mkdir()
    write, numbers = partial(_write_scene, folder=folder, info=info), range(info["count"])
    written = (
        map(write, numbers)
        if workers == 1
        else in_processes(write, numbers, workers, kept="no scene was kept", ordered=True)
    )
    images, annotations = [], []
    for i, (boxes, labels) in enumerate(written):
        images.append(
            dict(id=i + 1, file_name=f"{i:06d}{info['suffix']}", width=info["size"], height=info["size"])
        )
        for box, label in zip(boxes, labels):
            x1, y1, x2, y2 = box
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i + 1,
                    category_id=label + 1,
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    area=(x2 - x1) * (y2 - y1),
                    iscrowd=0,
                )
            )
    content = dict(
        info=info,
        images=images,
        annotations=annotations,
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(SCENE_CLASSES)],
        label_map_names=list(SCENE_LABELS),
    )
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
