"""Takes a colour shift out of a restored picture, with the photo as the reference. Off unless asked for.

    adain     (y - mean y) / std y * std x + mean x                 of each channel over the picture
    wavelet   low(x) + (y - low(y))                                 low: five blurs, each twice as wide

x is the photo, y what was made of it. Sources: adaptive instance normalisation (Huang and Belongie, ICCV 2017, arXiv
1703.06868, eq. 8), here on pixels, and the wavelet correction of StableSR (Wang et al., IJCV 2024, arXiv 2305.07015,
section 3.4), whose a-trous blurs are these. Both bring back the photo's haze along with its colours, so neither belongs
in front of a detector, and both help where a prior has tinted a picture whose colours were right. Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 5


def adain(picture: Tensor, photo: Tensor) -> Tensor:
    """`picture` with the mean and deviation of `photo`, both `(B, 3, H, W)`; a constant channel keeps to the mean."""
    (spread, middle), (wanted, centre) = (
        torch.std_mean(x, (2, 3), correction=0, keepdim=True) for x in (picture, photo)
    )
    return (picture - middle) * (wanted / spread.clamp_min(1e-5)) + centre


def wavelet(picture: Tensor, photo: Tensor) -> Tensor:
    """`picture` with the coarse colours of `photo`, both `(B, 3, H, W)`."""
    return picture + low_frequencies(photo - picture)  # the blur is linear


def low_frequencies(x: Tensor) -> Tensor:
    """`(B, C, H, W)` after five blurs by (1, 2, 1) / 4 along both sides, with 1, 2, 4, 8, 16 pixels between taps; edges
    repeated."""
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
    channels = x.shape[1]
    for level in range(LEVELS):
        step = 2**level
        for dim in (2, 3):
            kernel = taps.view(1, 1, -1, 1) if dim == 2 else taps.view(1, 1, 1, -1)
            pad = (0, 0, step, step) if dim == 2 else (step, step, 0, 0)
            spacing = (step, 1) if dim == 2 else (1, step)
            x = F.conv2d(
                F.pad(x, pad, mode="replicate"),
                kernel.expand(channels, 1, -1, -1),
                dilation=spacing,
                groups=channels,
            )
    return x


COLOR_FIXES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"adain": adain, "wavelet": wavelet}
"""Name -> function of the picture and the photo."""
