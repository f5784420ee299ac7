"""Restore or not: an estimate of how likely a photo is degraded, out of the encoder's first features.

OUR ADDITION; the UniRestore paper restores everything. A restorer in front of a detector costs time on every photo and
a little accuracy on clean ones. Haze, spray and dusk are visible in a small copy of the photo: of at most `LOOK` pixels
on its long side, which costs the encoder a few percent of a restoration,

    p = sigmoid(MLP(mean and standard deviation over the picture of each feature at strides 2, 4, 8, and `appearance`))

with the encoder frozen and its features not repaired. `appearance` are the old signs of haze: how high the dark channel
is (He et al., CVPR 2009), how pale the colours, how flat the contrast. Licence: Apache-2.0.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

LOOK = 128
"""Long side in pixels of the copy that is looked at; smaller photos are taken as they are."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
APPEARANCE = 4 * len(QUANTILES) + 6
"""Numbers that `appearance` gives."""


class DegradationGate(nn.Module):
    """A small copy `(B, 3, H, W)` and its encoder features `(B, C_k, h_k, w_k)` -> logits `(B,)`, above zero where
    degraded is likelier than not.

    Args: `channels` C_k of the features; `hidden` width of the layer between.
    """

    def __init__(self, channels: Sequence[int], hidden: int) -> None:
        super().__init__()
        width = 2 * sum(channels) + APPEARANCE
        self.norm = nn.BatchNorm1d(width, affine=False)
        self.hidden = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, images: torch.Tensor, features: Sequence[torch.Tensor]) -> torch.Tensor:
        moments = [f(x.float()) for x in features for f in (_mean, _deviation)]  # (B, C_k) each
        seen = torch.cat([*moments, appearance(images.float())], 1)
        return self.out(F.gelu(self.hidden(self.norm(seen.to(self.hidden.weight.dtype)))))[:, 0]


def appearance(images: torch.Tensor) -> torch.Tensor:
    """`(B, 3, H, W)` RGB in [0, 1] -> `(B, APPEARANCE)`.

    The `QUANTILES` over the picture of the dark channel in squares of 7, of saturation, of brightness and of its
    deviation in squares of 9; then mean and deviation of red, green, blue.
    """
    darkest, brightest = images.amin(1, keepdim=True), images.amax(1, keepdim=True)
    dark = -F.max_pool2d(-darkest, 7, stride=1, padding=3)
    saturation = (brightest - darkest) / (brightest + 1e-3)
    grey = images.mean(1, keepdim=True)
    contrast = (_smooth(grey * grey) - _smooth(grey).square()).clamp_min(1e-12).sqrt()
    maps = torch.cat((dark, saturation, grey, contrast), 1).flatten(2)  # (B, 4, H W)
    quantiles = torch.quantile(maps, torch.tensor(QUANTILES, device=maps.device), dim=2)  # (5, B, 4)
    return torch.cat((quantiles.permute(1, 2, 0).flatten(1), _mean(images), _deviation(images)), 1)


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


def _smooth(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 9, stride=1, padding=4, count_include_pad=False)
