"""A frozen mmseg segmentor: the downstream task `seg` that restoration is trained and measured with.

The counterpart of `FrozenDetector`; see `frozen.py` for what differs from mmseg's inferencer. The authors' stage 2
trains through cross-entropy that ignores 255; here it is the segmentor's own loss, auxiliary heads included. Source:
UniRestore, arXiv 2501.13134, section 3.4. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor

from unirestore.data.label_maps import IGNORED

from .pixels import FrozenPixelNetwork

__all__ = ["FrozenSegmentor"]


@MODELS.register_module()
class FrozenSegmentor(FrozenPixelNetwork):
    """An mmseg segmentor in eval mode with frozen weights, differentiable in its input images.

    Args:
        config: an mmseg config: a path, ``mmseg::folder/name`` of an installed package, or a ``Config``; its
            ``test_cfg`` says whether a picture is looked at whole or by a sliding window.
        checkpoint: ``.pth`` or ``.safetensors`` with the segmentor's weights; ``None`` leaves random weights (for
            tests).
        classes: the caller's class names in the caller's order; label maps in and out hold indices into it.
        segmentor_classes: the segmentor's class names in its own order, where neither checkpoint nor config says
            them.
        fuse: fuse convolution and batch norm.

    Raises:
        FileNotFoundError: config or checkpoint is not there.
        ValueError: the weights do not fit the config, or a class of ``classes`` is unknown to the segmentor.
    """

    truth: ClassVar[tuple[str, ...]] = ("label_map",)

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None,
        classes: Sequence[str],
        *,
        segmentor_classes: Sequence[str] | None = None,
        fuse: bool = True,
    ) -> None:
        super().__init__(config, checkpoint, classes, own_classes=segmentor_classes, fuse=fuse)
        table = torch.full((256,), int(self.network.decode_head.ignore_index))
        table[: len(self.classes)] = self._ours_to_theirs
        self.register_buffer("_label_table", table, persistent=False)

    @property
    def segmentor(self) -> Any:
        """The mmseg model."""
        return self.network

    def loss_and_features(
        self, images: Tensor, label_map: Tensor
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """The segmentor's own training loss, in eval mode and with frozen weights, and its features.

        Args:
            images: ``(B, 3, H, W)`` RGB in [0, 1].
            label_map: ``(B, H, W)`` integer indices into ``classes``, 255 where nothing is known.

        Returns:
            name to scalar for each of the loss terms, weighted as the config says, and the outputs of the neck or
            backbone, from one pass.

        Raises:
            ValueError: the shapes disagree, or an index lies outside ``classes`` and is not 255.
        """
        label_map = self._checked_truth(images, label_map, "label_map").long()
        wrong = (label_map != IGNORED) & ((label_map < 0) | (label_map >= len(self.classes)))
        if bool(wrong.any()):
            raise ValueError(
                f"the label map holds {int(label_map[wrong][0])}, but there are {len(self.classes)} classes: "
                f"{', '.join(self.classes)}; other pixels are {IGNORED}"
            )
        theirs = self._label_table
        return self._pixel_loss(images, theirs[label_map], "gt_sem_seg", int(theirs[IGNORED]))

    @torch.no_grad()
    def predict(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Label maps of pictures as a user would have saved them, each at its own size.

        Args:
            images: uint8 ``(H, W, 3)`` RGB.

        Returns:
            per picture uint8 ``(H, W)`` indices into ``classes``; the best of ``classes``, whatever else the
            segmentor knows.

        Raises:
            ValueError: a picture has another type or shape.
        """
        scores = (x.seg_logits.data[self._ours_to_theirs] for x in self._answers(images))  # (C, H, W) each
        return [own.argmax(0).to(torch.uint8).cpu().numpy() for own in scores]
