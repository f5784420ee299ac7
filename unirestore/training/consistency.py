"""What must stay when tone may change: the content and the colour of a picture, against another of the same photo.

Ours. A calibration should be free to lift contrast and brightness, and not to paint. Two losses that tone does not
move much:

    content   L1 of  g / (mean of |g| around + eps),    g the differences of luminance
    colour    L1 of  the colour differences, blurred

An edge that both pictures have is measured against its surroundings and stays equal when the contrast of the
surroundings changes; a new edge, a lost one or a texture out of nothing does not. Licence: Apache-2.0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unirestore.models.sizes import pad_to

AROUND = 15
"""Pixels across which the contrast around an edge is averaged."""
FAINT = 0.01
"""Contrast, in [0, 1], below which edges count less and less: noise in an even sky is not content."""
BLUR = 16
"""Pixels across which colour is averaged."""
_LUMINANCE = (0.299, 0.587, 0.114)


def content_loss(picture: Tensor, other: Tensor) -> Tensor:
    """The content loss of the header between two `(B, 3, H, W)` RGB pictures; a scalar."""
    return torch.stack([F.l1_loss(a, b) for a, b in zip(_edges(picture), _edges(other), strict=True)]).mean()


def colour_loss(picture: Tensor, other: Tensor) -> Tensor:
    """The colour loss of the header between two `(B, 3, H, W)` RGB pictures; a scalar. Grey against grey is 0."""
    return F.l1_loss(_chroma(picture), _chroma(other))


def luminance(images: Tensor) -> Tensor:
    """`(B, 3, H, W)` RGB -> `(B, 1, H, W)`, BT.601."""
    return (images * images.new_tensor(_LUMINANCE)[:, None, None]).sum(1, keepdim=True)


def _edges(images: Tensor) -> list[Tensor]:
    grey = luminance(images)
    found = []
    for dim in (-1, -2):
        g = grey.diff(dim=dim)
        around = F.avg_pool2d(g.abs(), AROUND, stride=1, padding=AROUND // 2, count_include_pad=False)
        found.append(g / (around + FAINT))
    return found


def _chroma(images: Tensor) -> Tensor:
    height, width = (-(-side // BLUR) * BLUR for side in images.shape[-2:])
    return F.avg_pool2d(pad_to(images - luminance(images), height, width), BLUR)
