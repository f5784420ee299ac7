"""Trains a segmentor on clean pictures: the frozen judge of `configs/tfa_seg.py`. Any mmseg segmentor, any set of pairs
with label maps. Licence: Apache-2.0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmengine.registry import HOOKS, MODELS
from torch import Tensor

from .downstream_stage import DownstreamStage, ExportNetwork
from .pixels import seg_samples

__all__ = ["ExportSegmentor", "SegmentorStage"]


@MODELS.register_module()
class SegmentorStage(DownstreamStage):
    """An mmseg segmentor that learns from `label_map`.

    Args:
        segmentor: mmseg config, as for `FrozenSegmentor`.
        **options: `classes`, `start_from`, `jitter`, `seed`, `norm_eval` of `DownstreamStage`.
    """

    scope: ClassVar[str] = "mmseg"

    def __init__(self, *, segmentor: str | Path, classes: Sequence[str], **options: Any) -> None:
        super().__init__(segmentor, classes=classes, **options)

    def head_classes(self) -> int:
        """Of the decode head."""
        return int(self.network.num_classes)

    def samples(self, pictures: Tensor, label_map: Tensor, **batch: Any) -> list[Any]:
        """`label_map` `(B, S, S)` uint8, 255 where nothing is to be learned."""
        return seg_samples(tuple(pictures.shape[-2:]), label_map.long())


@HOOKS.register_module()
class ExportSegmentor(ExportNetwork):
    """After the last step: `work_dir/segmentor.safetensors`."""

    file: ClassVar[str] = "segmentor.safetensors"
