"""The restorer as a backbone: a detector or segmentor that reads restored features, without any picture in between.

    custom_imports = dict(imports=["unirestore.mm"])
    model = dict(
        backbone=dict(
            _delete_=True, type="UniRestoreBackbone", restorer="tiny", task="det", pyramid=(64, 128, 256)
        ),
    )

The features are those of the decoder after TFA, at strides 8, 4 and 2; no picture is made and no second backbone runs.
Heads want strides from 8 up, so finer levels can be folded onto the coarsest by pixel-unshuffle, which loses nothing.
`pyramid` makes of that the levels that a neck is used to: a few convolutions, which learn together with neck and head.
UniRestore (arXiv 2501.13134) reads decoder features too; that they stand for a whole backbone is ours. Written for
mmdet 3.5 and mmseg 1.4. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from unirestore.models.nafblock import NAFBlock

from .restorer_state import RestorerGuest, build_restorer

__all__ = ["UniRestoreBackbone"]


@MODELS.register_module()
class UniRestoreBackbone(BaseModule):
    """Batches of a data preprocessor -> a tuple of feature maps, finest first.

    Padding that the data preprocessor puts around pictures is seen as a part of them.

    Args:
        restorer: as for ``RestorationDetDataPreprocessor``; a module needs ``model(images, task, output="features")``.
        task: prompt of the restorer.
        train_restorer: train the restorer together with the detector; its weights are then saved with it.
        fold: give one map at stride 8, ``(B, 16 C2 + 4 C4 + C8, H/8, W/8)``, finer levels folded into channels; else
            three, ``(B, C, H/s, W/s)`` at strides s = 2, 4, 8.
        pyramid: channels of levels at strides 8, 16, 32 and so on, made of the folded map by a convolution each and
            ``blocks`` NAFBlocks (arXiv 2204.04676); the channels of the replaced backbone let its neck and head, and
            their trained weights, stay as they are. None: the features themselves.
        blocks: NAFBlocks of each level of ``pyramid``.
        mean, std, bgr: what the data preprocessor does to RGB of 0 to 255, so that it can be undone: values are
            ``(x - mean) / std``, channels in the order blue, green, red where ``bgr``. The defaults are YOLOX's.

    Raises:
        ValueError: ``mean`` or ``std`` is not of three numbers, or a ``std`` is not positive; ``pyramid`` without
            ``fold``, or empty, or ``blocks`` below 0.
    """

    def __init__(
        self,
        *,
        restorer: str | Path | Mapping[str, Any] | nn.Module,
        task: str = "det",
        train_restorer: bool = False,
        fold: bool = True,
        pyramid: Sequence[int] | None = None,
        blocks: int = 2,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        bgr: bool = True,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean and std must be three numbers, std positive; got {mean} and {std}")
        if pyramid is not None and (not fold or len(pyramid) == 0 or min(pyramid) < 1 or blocks < 0):
            raise ValueError(
                f"pyramid needs fold=True, channels from 1 up and blocks from 0 up; got {pyramid}, fold={fold}, "
                f"blocks={blocks}"
            )
        self.restorer = RestorerGuest(build_restorer(restorer), trainable=train_restorer)
        self.levels = None if pyramid is None else _levels(self._folded_channels(task), pyramid, blocks)
        self.task, self.fold, self.bgr = task, fold, bgr
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """``x`` `(B, 3, H, W)` out of the data preprocessor; H and W are best multiples of 8."""
        values = (x.float() * self.std + self.mean).clamp(0, 255) / 255
        coarse, middle, fine = self.restorer.features(values.flip(1) if self.bgr else values, self.task)
        if not self.fold:
            return fine, middle, coarse
        size = coarse.shape[-2:]
        folded = torch.cat([coarse, _fold(middle, 2, size), _fold(fine, 4, size)], 1)
        if self.levels is None:
            return (folded,)
        found, x = [], folded
        for level in self.levels:
            x = level(x)
            found.append(x)
        return tuple(found)

    @torch.no_grad()
    def _folded_channels(self, task: str) -> int:
        """Of the folded map: those of the features of a small grey picture."""
        parameter = next(self.restorer.parameters())
        grey = torch.full((1, 3, 64, 64), 0.5, device=parameter.device)
        return sum(4**k * x.shape[1] for k, x in enumerate(self.restorer.features(grey, task)))


def _levels(channels: int, pyramid: Sequence[int], blocks: int) -> nn.ModuleList:
    """Level k: from the one before at half the size, the first from `channels` at the same size."""
    levels = nn.ModuleList()
    for k, width in enumerate(pyramid):
        size = dict(kernel_size=3, stride=2, padding=1) if k else dict(kernel_size=1)
        levels.append(
            nn.Sequential(
                nn.Conv2d(channels, width, bias=False, **size),
                nn.BatchNorm2d(width),
                nn.SiLU(),
                *(NAFBlock(width) for _ in range(blocks)),
            )
        )
        channels = width
    return levels


def _fold(x: Tensor, factor: int, size: Sequence[int]) -> Tensor:
    """``(B, C, factor h, factor w)``, or up to that much less -> ``(B, factor^2 C, h, w)``."""
    bottom, right = (factor * length - have for length, have in zip(size, x.shape[-2:], strict=True))
    return F.pixel_unshuffle(F.pad(x, (0, right, 0, bottom), mode="replicate"), factor)
