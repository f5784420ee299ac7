"""CFRM, the Complementary Feature Restoration Module: repairs encoder features level by level.

Paper: UniRestore, arXiv 2501.13134 (CVPR 2025), section 3.2. Authors' code: MIT; this file is written from
its description, Apache-2.0. Each level is a few NAFBlocks (feature enhancement) and one group-attention
block (intra-group attention, inter-group attention, recovery).
What differs: widths, depths and the number of groups are arguments; nothing else. At the paper's widths
(128, 256, 512), depths (1, 1, 9) and 16 groups the levels hold 543,632 / 2,135,824 / 23,281,168 parameters.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .nafblock import NAFBlock


class GroupAttention(nn.Module):
    """`(B, C, H, W) -> (B, C, H, W)`: expands to `4C` channels in groups, weighs channels inside each group
    and the groups against each other (raw products, no sigmoid), recovers `C` channels, adds the input.

    Raises ValueError where `4 * channels` does not divide into `groups`.
    """

    def __init__(self, channels: int, groups: int = 16) -> None:
        super().__init__()
        hidden = 4 * channels
        if groups < 1 or hidden % groups:
            raise ValueError(
                f"4 x {channels} channels do not divide into {groups} groups; change one of them"
            )
        self.groups = groups
        self.conv_in = nn.Conv2d(channels, hidden, 1)
        self.group_norm = nn.GroupNorm(groups, hidden)
        self.group_conv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=groups)
        self.intra_group_attention = nn.Conv2d(hidden, hidden, 1, groups=groups)
        self.inter_group_attention = nn.Conv2d(hidden, groups, 1)
        self.conv_out = nn.Conv2d(hidden, channels, 1)
        self.nafblock = NAFBlock(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.gelu(self.group_conv(self.group_norm(self.conv_in(x))))  # (B, 4C, H, W)
        pooled = y.mean((2, 3), keepdim=True)  # (B, 4C, 1, 1)
        intra = self.intra_group_attention(pooled)
        # The second pooling sees y * intra; a per-channel factor commutes with the mean over pixels.
        inter = self.inter_group_attention(pooled * intra)  # (B, G, 1, 1)
        scale = intra * inter.repeat_interleave(y.shape[1] // self.groups, dim=1)  # (B, 4C, 1, 1)
        return self.nafblock(self._recover(x, y, scale.flatten(1)))

    def _recover(self, x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """`x + conv_out(scale * y)`, the scale put into the 1x1 weights of each image instead of into y."""
        batch, channels, height, width = x.shape
        weight = self.conv_out.weight.flatten(1).t() * scale[:, :, None]  # (B, 4C, C)
        x = (x + self.conv_out.bias[:, None, None]).permute(0, 2, 3, 1).reshape(batch, -1, channels)
        y = y.permute(0, 2, 3, 1).reshape(batch, height * width, -1)
        return torch.baddbmm(x, y, weight).unflatten(1, (height, width)).permute(0, 3, 1, 2)


class CFRM(nn.ModuleList):
    """One repair level per encoder tap; `cfrm[k]` maps `(B, channels[k], h, w)` to the same shape.

    Args: `channels` and `depths` (number of NAFBlocks before the group attention), one entry per level;
    `groups` of the group attention. Raises ValueError where the two lists differ in length.
    """

    def __init__(self, channels: Sequence[int], depths: Sequence[int] = (1, 1, 9), groups: int = 16) -> None:
        if len(channels) != len(depths):
            raise ValueError(
                f"CFRM got {len(channels)} widths and {len(depths)} depths; give one depth per width"
            )
        super().__init__(
            nn.Sequential(*(NAFBlock(width) for _ in range(depth)), GroupAttention(width, groups))
            for width, depth in zip(channels, depths, strict=True)
        )
