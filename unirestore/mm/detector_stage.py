"""Trains a detector on clean pictures: the frozen judge of the default run. Any mmdet detector, any set of pairs.

For the procedural scenes there is no detector to download, so this trains one from the same pairs, with the same loop
and checkpoints as every other stage. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmdet.structures import DetDataSample
from mmengine.registry import HOOKS, MODELS
from mmengine.structures import InstanceData
from torch import Tensor

from .downstream_stage import DownstreamStage, ExportNetwork

__all__ = ["DetectorStage", "ExportDetector"]


@MODELS.register_module()
class DetectorStage(DownstreamStage):
    """An mmdet detector that learns from `boxes` and `labels`.

    Args:
        detector: mmdet config, as for `FrozenDetector`.
        **options: `classes`, `start_from`, `jitter`, `seed`, `norm_eval` of `DownstreamStage`.
    """

    scope: ClassVar[str] = "mmdet"

    def __init__(self, *, detector: str | Path, classes: Sequence[str], **options: Any) -> None:
        super().__init__(detector, classes=classes, **options)

    def head_classes(self) -> int:
        """Of the box head; as many as ours where there is no such head."""
        return int(getattr(getattr(self.network, "bbox_head", None), "num_classes", len(self.classes)))

    def samples(
        self, pictures: Tensor, boxes: list[Tensor], labels: list[Tensor], **batch: Any
    ) -> list[DetDataSample]:
        """`boxes` `(N, 4)` xyxy and `labels` `(N,)` for each picture."""
        samples = []
        for found, names in zip(boxes, labels, strict=True):
            shape = tuple(pictures.shape[-2:])
            sample = DetDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0)))
            sample.gt_instances = InstanceData(bboxes=found.float(), labels=names)
            samples.append(sample)
        return samples


@HOOKS.register_module()
class ExportDetector(ExportNetwork):
    """After the last step: `work_dir/detector.safetensors`."""

    file: ClassVar[str] = "detector.safetensors"
