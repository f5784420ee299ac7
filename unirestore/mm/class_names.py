"""Which class names a detector or a segmentor answers with, in its own order.

Indices mean nothing across data sets, names do: a label is carried over by name. Source: written for this
project; COCO's 80 names are read from mmdet, Cityscapes' 19 from mmseg. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.datasets import CocoDataset
from mmseg.datasets import CityscapesDataset
from torch import nn


def head_class_count(detector: nn.Module) -> int:
    """Number of classes of a detector's last box head, or of a segmentor's decode head.

    Raises:
        ValueError: the network has no head that says it.
    """
    roi_head = getattr(detector, "roi_head", None)
    head = getattr(detector, "bbox_head", None) if roi_head is None else roi_head.bbox_head
    head = getattr(detector, "decode_head", None) if head is None else head
    if isinstance(head, nn.ModuleList):  # cascade: every stage has the same classes
        head = head[-1]
    count = getattr(head, "num_classes", None)
    if count is None:
        raise ValueError(
            f"{type(detector).__name__} has no head with `num_classes`; give a box detector or a segmentor"
        )
    return int(count)


def detector_class_names(
    count: int,
    *,
    given: Sequence[str] | None = None,
    meta: Mapping[str, Any] | None = None,
    config: Any = None,
    fallback: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Class names of a network with ``count`` classes.

    Asked in this order; a source whose length differs from ``count`` is passed over, except ``given``.

    Args:
        count: number of classes of the head.
        given: names said by the caller.
        meta: ``meta`` of an mmengine checkpoint (``dataset_meta``).
        config: the detector's config; ``metainfo`` of its test, val or train set is read.
        fallback: names used when nothing else is known and their number fits (COCO's come first for 80, those of
            Cityscapes for 19).

    Raises:
        ValueError: ``given`` has another length, or nothing fits.
    """
    if given is not None:
        if len(given) != count:
            raise ValueError(f"{len(given)} class names were given, but the head has {count} classes")
        return tuple(given)
    candidates = [_classes((meta or {}).get("dataset_meta"))]
    for loader in ("test_dataloader", "val_dataloader", "train_dataloader"):
        candidates.append(_classes(_dataset(config, loader).get("metainfo")))
    candidates += [_classes(known.METAINFO) for known in (CocoDataset, CityscapesDataset)]
    candidates.append(tuple(fallback or ()))
    for names in candidates:
        if len(names) == count:
            return names
    raise ValueError(
        f"the network has {count} classes and neither checkpoint nor config names them; pass "
        "detector_classes=(...) or segmentor_classes=(...)"
    )


def _classes(metainfo: Any) -> tuple[str, ...]:
    """Names out of a data-set description, in either spelling mmengine has used."""
    if not metainfo:
        return ()
    names = metainfo.get("classes", metainfo.get("CLASSES", ()))
    return (names,) if isinstance(names, str) else tuple(names)


def _dataset(config: Any, loader: str) -> Mapping[str, Any]:
    """The innermost data-set entry of a loader, through wrappers such as MultiImageMixDataset."""
    entry = ((config or {}).get(loader) or {}).get("dataset") or {}
    while "dataset" in entry:
        entry = entry["dataset"]
    return entry
