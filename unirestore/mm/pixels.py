"""What mmseg's networks share that answer for every pixel: the frozen segmentor and the frozen depth estimator.

mmseg's preprocessor wants a sample beside each picture where its ``test_cfg`` pads, and pads pictures alone when
testing: the truth has to follow. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from .frozen import FrozenNetwork, check_picture

__all__ = ["FrozenPixelNetwork", "seg_samples"]


class FrozenPixelNetwork(FrozenNetwork):
    """A frozen mmseg network with one answer for each pixel; subclasses say what the answer is."""

    scope: ClassVar[str] = "mmseg"

    def _prepare(self, images: Tensor, samples: list[Any] | None) -> tuple[Tensor, list[Any]]:
        """mmseg's preprocessor wants samples where its ``test_cfg`` pads."""
        if samples is None:
            samples = seg_samples(tuple(images.shape[-2:]), [None] * len(images))
        return super()._prepare(images, samples)

    def _checked_truth(self, images: Tensor, truth: Tensor, name: str) -> Tensor:
        """The truth on the network's device. Raises ValueError unless it is `(B, H, W)` of `(B, 3, H, W)` images."""
        if truth.ndim != 3 or truth.shape != (len(images), *images.shape[-2:]):
            raise ValueError(
                f"{name} is {tuple(truth.shape)} for images {tuple(images.shape)}; give (B, H, W)"
            )
        return truth.to(self.device)

    def _pixel_loss(
        self, images: Tensor, truth: Tensor, field: str, unknown: float
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """The network's own losses and its features; ``truth`` `(B, H, W)` is padded with ``unknown``."""
        inputs, samples = self._prepare(images, seg_samples(tuple(images.shape[-2:]), truth, field))
        padding = (0, inputs.shape[-1] - images.shape[-1], 0, inputs.shape[-2] - images.shape[-2])
        for sample, own in zip(samples, truth, strict=True):
            sample.set_data({field: PixelData(data=F.pad(own, padding, value=unknown)[None])})
        return self._loss_and_features(inputs, samples)

    def _answers(self, images: Sequence[np.ndarray]) -> Iterator[SegDataSample]:
        """mmseg's answer to each uint8 ``(H, W, 3)`` RGB picture, at its own size; ValueError for other pictures."""
        for image in images:
            check_picture(image)
            planes = torch.from_numpy(np.array(image)).to(
                self.device
            )  # (H, W, 3), a copy: photos may be read-only
            inputs, samples = self._prepare(
                planes.permute(2, 0, 1)[None].float() / 255, seg_samples(image.shape[:2], [None])
            )
            yield self.network.predict(inputs, samples)[0]


def seg_samples(
    shape: tuple[int, int], maps: Tensor | Sequence[Tensor | None], field: str = "gt_sem_seg"
) -> list[SegDataSample]:
    """Annotation holders that say: this picture of ``shape`` (H, W) is at its own size; maps are ``(H, W)``."""
    samples = []
    for own in maps:
        meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape, padding_size=[0, 0, 0, 0])
        sample = SegDataSample(metainfo=meta)
        if own is not None:
            sample.set_data({field: PixelData(data=own[None])})
        samples.append(sample)
    return samples
