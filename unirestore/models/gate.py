"""Restore or not: an estimate of how likely a photo is degraded, out of the encoder's first features.

OUR ADDITION; the UniRestore paper restores everything. A restorer in front of a detector costs time on every photo and
a little accuracy on clean ones. Haze, spray and dusk are visible in a small copy of the photo: of at most `LOOK` pixels
on its long side, which costs the encoder a few percent of a restoration,

    p = sigmoid(MLP(mean and standard deviation over the picture of each feature at strides 2, 4, 8))

with the encoder frozen and its features not repaired. Licence: Apache-2.0.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

LOOK = 128
"""Long side in pixels of the copy that is looked at; smaller photos are taken as they are."""


class DegradationGate(nn.Module):
    """Encoder features `(B, C_k, h_k, w_k)` -> logits `(B,)`, above zero where degraded is likelier than not.

    Args: `channels` C_k of the features; `hidden` width of the layer between.
    """

    def __init__(self, channels: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2 * sum(channels), affine=False)
        self.hidden = nn.Linear(2 * sum(channels), hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        moments = [f(x.float()) for x in features for f in (_mean, _deviation)]  # (B, C_k) each
        x = self.norm(torch.cat(moments, 1).to(self.hidden.weight.dtype))
        return self.out(F.gelu(self.hidden(x)))[:, 0]


def small_copy(images: torch.Tensor) -> torch.Tensor:
    """`(B, 3, H, W)` -> the same with a long side of at most `LOOK`, smoothed first so that nothing aliases."""
    factor = LOOK / max(images.shape[-2:])
    if factor >= 1:
        return images
    size = [max(1, round(length * factor)) for length in images.shape[-2:]]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def restore_where(
    chosen: torch.Tensor, images: torch.Tensor, restore: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """`images` with those that are `chosen` `(B,)` bool replaced by `restore(indices)`; the others bit for bit."""
    indices = chosen.nonzero()[:, 0]
    if not len(indices):
        return images.clone()
    restored = restore(indices)
    if len(indices) == len(images):
        return restored
    return images.to(restored.dtype).index_copy(0, indices, restored)


def _mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean((2, 3))


def _deviation(x: torch.Tensor) -> torch.Tensor:
    return x.var((2, 3), correction=0).clamp_min(1e-12).sqrt()  # a slope of infinity at zero otherwise
