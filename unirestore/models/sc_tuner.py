"""SC-Tuner: adapters that put the Controller's features into the skip connections of the diffusion UNet.

Paper: SCEdit, arXiv 2312.11392, section 3 (CSC-Tuner), as UniRestore uses it (arXiv 2501.13134, section 3.2).
Authors' code of UniRestore: MIT; this file is written from its description, Apache-2.0. For skip s
and control f:

    p = Conv1x1(f);   out = s + p + Conv1x1(GELU(Conv1x1(s + p)))

What differs: nothing in the default adapter; the unused variants of the authors' file are not here.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


class SkipAdapter(nn.Module):
    """Skip `(B, C, h, w)` and control `(B, Cf, h, w)` -> steered skip `(B, C, h, w)`."""

    def __init__(self, channels: int, control_channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(control_channels, channels, 1)
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1)

    def forward(self, skip: torch.Tensor, control: torch.Tensor) -> torch.Tensor:
        x = skip + self.proj(control)
        return x + self.conv2(F.gelu(self.conv1(x)))


class SCTuner(nn.Module):
    """One adapter per UNet skip.

    Args: `channels` and `levels` of the skips in the UNet's order (level 0 = latent resolution, one more per
    down-sampling); `control_channels` of every Controller feature.
    """

    def __init__(self, channels: Sequence[int], levels: Sequence[int], control_channels: int) -> None:
        super().__init__()
        if len(channels) != len(levels):
            raise ValueError(f"SC-Tuner got {len(channels)} skip widths and {len(levels)} levels")
        self.levels = tuple(levels)
        self.adapters = nn.ModuleList(SkipAdapter(width, control_channels) for width in channels)

    def forward(self, skips: Sequence[torch.Tensor], controls: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """`controls[k]` is the Controller's feature of level k."""
        return [
            adapter(skip, controls[level])
            for adapter, skip, level in zip(self.adapters, skips, self.levels, strict=True)
        ]
