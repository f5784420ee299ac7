"""Trains a depth estimator on clean pictures: the frozen judge of `configs/tfa_depth.py`. Any mmseg depth estimator,
any set of pairs with depth. Licence: Apache-2.0."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mmengine.registry import HOOKS, MODELS
from torch import Tensor

from .depth import known_depth, max_depth_of
from .downstream_stage import DownstreamStage, ExportNetwork
from .pixels import seg_samples

__all__ = ["DepthEstimatorStage", "ExportDepthEstimator"]


@MODELS.register_module()
class DepthEstimatorStage(DownstreamStage):
    """An mmseg depth estimator that learns from `depth`.

    Args:
        depth_estimator: mmseg config, as for `FrozenDepthEstimator`.
        **options: `start_from`, `jitter`, `seed`, `norm_eval` of `DownstreamStage`.
    """

    scope: ClassVar[str] = "mmseg"

    def __init__(self, *, depth_estimator: str | Path, **options: Any) -> None:
        super().__init__(depth_estimator, classes=("depth",), **options)
        self.max_depth = max_depth_of(self.network)

    def head_classes(self) -> int:
        """Of the decode head: one, the depth."""
        return int(self.network.decode_head.num_classes)

    def samples(self, pictures: Tensor, depth: Tensor, **batch: Any) -> list[Any]:
        """`depth` `(B, S, S)` metres; 0, `max_depth` and more where nothing is to be learned."""
        return seg_samples(tuple(pictures.shape[-2:]), known_depth(depth, self.max_depth), "gt_depth_map")


@HOOKS.register_module()
class ExportDepthEstimator(ExportNetwork):
    """After the last step: `work_dir/depth_estimator.safetensors`."""

    file: ClassVar[str] = "depth_estimator.safetensors"
