"""NAFBlock: a convolutional repair block without activation functions.

Paper: Chen et al., "Simple Baselines for Image Restoration" (NAFNet), ECCV 2022, arXiv 2204.04676, section 3.
Used by UniRestore (arXiv 2501.13134, section 3.2) inside CFRM, and by our candidate fusion.
Licence of this file: Apache-2.0; written from the paper's equations.
What differs: the channel LayerNorm runs through `torch.nn.functional.layer_norm` on a channels-last view,
which is mathematically the same and several times faster on a CPU; there is no dropout.
"""

import torch
import torch.nn.functional as F
from torch import nn


class LayerNorm2d(nn.Module):
    """LayerNorm over the channels of each pixel of a `(B, C, H, W)` tensor (eps 1e-6 as in NAFNet).

    The result is laid out channels-last in memory, which the following convolutions like.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C): a view where x is channels-last already
        x = F.layer_norm(x, (x.shape[-1],), self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class SimpleGate(nn.Module):
    """Halves the channels: the first half times the second, `(B, 2C, H, W) -> (B, C, H, W)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


class NAFBlock(nn.Module):
    """`(B, C, H, W) -> (B, C, H, W)`, the identity at initialisation.

    Two residual halves: spatial mixing (1x1, depthwise 3x3, gate, channel attention, 1x1) scaled by `beta`,
    and channel mixing (1x1, gate, 1x1) scaled by `gamma`; both scales start at zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"NAFBlock needs at least one channel, got {channels}")
        self.norm1 = LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.gate = SimpleGate()
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.gate(self.conv2(self.conv1(self.norm1(x))))  # (B, C, H, W)
        y = self.conv3(y * self.sca(y))
        x = torch.addcmul(x, y, self.beta)  # x + beta * y in one pass over memory
        y = self.conv5(self.gate(self.conv4(self.norm2(x))))
        return torch.addcmul(x, y, self.gamma)
