"""A frozen mmseg depth estimator, the downstream task `depth`, and a head that makes one small.

The counterpart of `FrozenSegmentor`; see `frozen.py` for what differs from mmseg's inferencer. UniRestore (arXiv
2501.13134) has no such task: it is our example of one that the restorer has never met. Distances are metres along the
optical axis. The sky and what nobody measured have none: everything from the estimator's `max_depth` on is left out of
loss and figures, as on KITTI (Eigen et al., NeurIPS 2014). Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmseg.models.decode_heads import SegformerHead, VPDDepthHead
from mmseg.registry import MODELS as MMSEG_MODELS
from torch import Tensor

from unirestore.evaluation.depth import NEAREST

from .pixels import FrozenPixelNetwork

__all__ = ["FrozenDepthEstimator", "SegformerDepthHead", "known_depth"]


@MMSEG_MODELS.register_module()
class SegformerDepthHead(SegformerHead):
    """SegFormer's all-MLP head (Xie et al., NeurIPS 2021) that says metres, at the finest stride of its inputs.

    mmseg has one head for depth, `VPDDepthHead`, which sees features at their coarsest stride and alone has more
    parameters than this head has by far. Its answer, `max_depth` times a sigmoid, and its loss are taken over.

    Args:
        max_depth: metres, above 0.001; no answer is farther.
        loss_decode: mmseg's loss of prediction and truth, both `(B, 1, H, W)`; None: `SiLogLoss`.
        **options: of `SegformerHead`, without `num_classes`.

    Raises:
        ValueError: `max_depth` is no distance.
    """

    def __init__(self, *, max_depth: float = 80.0, loss_decode: Any = None, **options: Any) -> None:
        if not max_depth > NEAREST:
            raise ValueError(f"max_depth is the farthest distance in metres, got {max_depth}")
        loss_decode = dict(type="SiLogLoss") if loss_decode is None else loss_decode
        super().__init__(num_classes=1, threshold=0.0, loss_decode=loss_decode, **options)
        self.max_depth = float(max_depth)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features of the backbone -> `(B, 1, H/s, W/s)` metres."""
        return self.max_depth * super().forward(inputs).sigmoid()

    _stack_batch_gt = VPDDepthHead._stack_batch_gt
    loss_by_feat = VPDDepthHead.loss_by_feat


@MODELS.register_module()
class FrozenDepthEstimator(FrozenPixelNetwork):
    """An mmseg depth estimator in eval mode with frozen weights, differentiable in its input images.

    Args:
        config: an mmseg config with a `DepthEstimator`: a path, ``mmseg::folder/name`` of an installed package, or a
            ``Config``. Its decode head says the farthest distance in metres, ``max_depth``.
        checkpoint: ``.pth`` or ``.safetensors`` with the weights; ``None`` leaves random weights (for tests).
        fuse: fuse convolution and batch norm.

    Raises:
        FileNotFoundError: config or checkpoint is not there.
        ValueError: the weights do not fit the config, or the network does not say its ``max_depth``.
    """

    truth: ClassVar[tuple[str, ...]] = ("depth",)
    kind = "depth estimator"

    def __init__(
        self, config: str | Path | Config, checkpoint: str | Path | None, *, fuse: bool = True
    ) -> None:
        super().__init__(config, checkpoint, ("depth",), own_classes=("depth",), fuse=fuse)
        self.max_depth = max_depth_of(self.network)

    def loss_and_features(
        self, images: Tensor, depth: Tensor
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """The estimator's own training loss, in eval mode and with frozen weights, and its features.

        Args:
            images: ``(B, 3, H, W)`` RGB in [0, 1].
            depth: ``(B, H, W)`` metres; 0, ``max_depth`` and more where no distance is known.

        Returns:
            name to scalar for each of the loss terms, weighted as the config says, and the outputs of the neck or
            backbone, from one pass.

        Raises:
            ValueError: the shapes disagree, or a picture has no known distance at all.
        """
        known = known_depth(self._checked_truth(images, depth, "depth"), self.max_depth)
        return self._pixel_loss(images, known, "gt_depth_map", 0.0)

    @torch.no_grad()
    def predict(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Depth of pictures as a user would have saved them, each at its own size.

        Args:
            images: uint8 ``(H, W, 3)`` RGB.

        Returns:
            per picture float32 ``(H, W)`` metres above 0, at most ``max_depth``.

        Raises:
            ValueError: a picture has another type or shape.
        """
        return [
            answer.pred_depth_map.data[0].clamp(NEAREST, self.max_depth).cpu().numpy()  # ratios are taken
            for answer in self._answers(images)
        ]


def max_depth_of(network: torch.nn.Module) -> float:
    """The farthest distance in metres that an mmseg depth estimator says. Raises ValueError where it does not tell."""
    farthest = getattr(getattr(network, "decode_head", None), "max_depth", None)
    if farthest is None:
        raise ValueError(
            f"{type(network).__name__} has no decode head with `max_depth`; give an mmseg depth estimator"
        )
    return float(farthest)


def known_depth(depth: Tensor, max_depth: float) -> Tensor:
    """`(B, H, W)` metres as mmseg's losses take them: float32, 0 where nothing is known or it is `max_depth` and more.

    Raises ValueError for a picture without any known distance: the root in `SiLogLoss` has no gradient there.
    """
    depth = depth.float()
    known = torch.where((depth > 0) & (depth < max_depth), depth, torch.zeros_like(depth))
    if lacking := int((known.flatten(1).amax(1) <= 0).sum()):
        raise ValueError(
            f"{lacking} of {len(depth)} pictures have no pixel nearer than {max_depth:g} m to learn from; take larger "
            "crops, or leave those pictures out"
        )
    return known
