"""Training pairs from what a config can hold: names of sets, a mixture of weather, a crop size.

Licence: Apache-2.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS, FUNCTIONS

from unirestore.data import (
    BesideReal,
    CocoFolder,
    JointDataset,
    PairedDataset,
    collate,
    load_eval_set,
    open_real,
)
from unirestore.degradations import WeatherMixture

FUNCTIONS.register_module(name="collate_pairs", module=collate)


@DATASETS.register_module(name="Pairs")
def build_pairs(
    *, sources: Sequence[str | Mapping[str, Any]], weather: str | Mapping[str, Any] = "mixed", **options: Any
) -> PairedDataset:
    """A `PairedDataset` for mmengine's dataloader.

    Args:
        sources: each the name of a set in `configs/_base_/data`, or a mapping with `set` (such a name), and
            optionally `data_root`, `limit`, and `boxes`: a COCO json to use in place of the set's own
            annotations, for example pseudo-labels; its labels index the categories of the json.
        weather: name of a `WeatherMixture`, or its arguments.
        **options: of `PairedDataset`.

    Raises:
        FileNotFoundError: a set is not there; the message says where to get it.
    """
    mixture = WeatherMixture(weather) if isinstance(weather, str) else WeatherMixture(**weather)
    return PairedDataset([_open(source) for source in sources], degradation=mixture, **options)


@DATASETS.register_module(name="PairsBesideReal")
def build_pairs_beside_real(
    *,
    real: str | Sequence[str],
    real_names: str | None = None,
    real_boxes: str | None = None,
    **pairs: Any,
) -> BesideReal:
    """`build_pairs(**pairs)` with real photos beside them: `photos`, `names` and `boxes` of `open_real`."""
    return BesideReal(build_pairs(**pairs), open_real(real, real_names, real_boxes))


@DATASETS.register_module(name="JointPairs")
def build_joint_pairs(
    *,
    tasks: Mapping[str, Mapping[str, Any]],
    batch_size: int,
    turns: Mapping[str, int] | None = None,
    length: int = 200_000,
    **shared: Any,
) -> JointDataset:
    """A `JointDataset` of one `build_pairs(**shared, **tasks[TASK])` for each task; 0 of `turns` leaves a task out."""
    turns = dict(turns or {})
    for task in [task for task in tasks if turns.get(task) == 0]:
        del turns[task]
        tasks = {name: options for name, options in tasks.items() if name != task}
    pairs = {task: build_pairs(**{**shared, **options}) for task, options in tasks.items()}
    return JointDataset(pairs, batch_size, turns, length)


def _open(source: str | Mapping[str, Any]):
    if isinstance(source, str):
        return load_eval_set(source)
    options = dict(source)
    boxes = options.pop("boxes", None)
    photos = load_eval_set(options.pop("set"), **options)
    if boxes is None:
        return photos
    if not Path(boxes).is_file():
        raise FileNotFoundError(f"{boxes}: no such annotations; make them with tools/pseudo_label.py")
    return CocoFolder(
        photos.root,
        boxes,
        depth=photos.depth,
        label_maps=photos.label_maps,
        label_map_names=photos.label_map_names,
        label_map_suffix=photos.label_map_suffix,
        degraded=photos.degraded,
        degraded_suffix=photos.degraded_suffix,
        classes=[category["name"] for category in json.loads(Path(boxes).read_text())["categories"]],
    )
