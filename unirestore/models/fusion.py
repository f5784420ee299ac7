"""Candidate fusion: the output head of small models, which blends classical restorations per pixel.

OUR ADDITION; there is no such module in the UniRestore paper. A model of under three million parameters cannot
repaint a photo, but it can judge: the head sees the decoder's last features (after TFA, so that they depend on the
task), the photo, its classical restorations (dark channel prior, CLAHE, ...) and the decoder's own picture, and
puts out per pixel softmax weights w over these candidates, an RGB gain and an RGB bias:

    image = (1 + gain) * sum_k w_k candidate_k + bias

A zero-initialised FiLM (Perez et al., arXiv 1709.07871) from the last chained prompt c' lets tasks differ strongly
with only the prompt between them. At the start the weights are a fixed mix and gain = bias = 0.
Blocks: NAFBlock (arXiv 2204.04676). Licence: Apache-2.0.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .nafblock import NAFBlock


class CandidateFusion(nn.Module):
    """Candidates `(B, N, 3, H, W)` in about [0, 1] and decoder features -> `(B, 3, H, W)`, not clamped.

    Args: `feature_channels` of the decoder features; `prompt_channels` T x D of the flattened c' (0: no FiLM);
    `weights`, one positive starting weight per candidate (normalised here); `channels` of the head at stride
    `patch_size` and `blocks` NAFBlocks of twice that width at half that resolution; `groups` of the GroupNorm.
    """

    def __init__(
        self,
        *,
        feature_channels: int,
        prompt_channels: int,
        weights: Sequence[float],
        channels: int = 32,
        blocks: int = 2,
        groups: int = 8,
        patch_size: int = 2,
    ) -> None:
        super().__init__()
        if len(weights) < 2 or min(weights) <= 0:
            raise ValueError(f"the fusion needs at least two candidates with positive weights, got {tuple(weights)}")
        self.candidates = len(weights)
        self.patch_size = patch_size
        self.norm = nn.GroupNorm(groups, feature_channels)
        self.conv_in = nn.Conv2d(feature_channels + 3 * self.candidates * patch_size**2, channels, 3, padding=1)
        self.reduce = nn.Conv2d(channels, 2 * channels, 2, stride=2)
        self.blocks = nn.Sequential(*(NAFBlock(2 * channels) for _ in range(blocks)))
        self.expand = nn.Conv2d(2 * channels, 4 * channels, 1)
        self.conv_out = nn.Conv2d(channels, (self.candidates + 6) * patch_size**2, 3, padding=1)
        self.film = nn.Linear(prompt_channels, 6 * channels) if prompt_channels else None
        if self.film is not None:
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)
        # Untrained: the fixed mix, whatever the features. Channel order of a pixel-shuffle: value, then sub-pixel.
        start = torch.tensor([*weights, *[1.0] * 6]).log()  # log 1 = 0 for gain and bias
        start[: self.candidates] -= start[: self.candidates].exp().sum().log()
        nn.init.zeros_(self.conv_out.weight)
        with torch.no_grad():
            self.conv_out.bias.copy_(start.repeat_interleave(patch_size**2))

    def forward(
        self, features: torch.Tensor, candidates: torch.Tensor, prompt: torch.Tensor | None
    ) -> torch.Tensor:
        """`features` `(B, C, H/p, W/p)`, `candidates` `(B, N, 3, H, W)`, `prompt` `(B, T, D)` or None."""
        stack = F.pixel_unshuffle(2 * candidates.flatten(1, 2) - 1, self.patch_size)  # (B, 3 N p p, H/p, W/p)
        x = self.conv_in(torch.cat((self.norm(features), stack), dim=1))
        film = self._film(prompt, x.shape[1])
        low = self.reduce(F.gelu(x))  # (B, 2C, H/2p, W/2p)
        if film is not None:
            low = low * (1 + film[0]) + film[1]
        x = x + F.pixel_shuffle(self.expand(self.blocks(low)), 2)
        if film is not None:
            x = x * (1 + film[2]) + film[3]
        out = F.pixel_shuffle(self.conv_out(F.gelu(x)), self.patch_size)  # (B, N + 6, H, W)
        logits, gain, bias = out.split((self.candidates, 3, 3), dim=1)
        mix = (logits.softmax(1)[:, :, None] * candidates).sum(1)  # (B, 3, H, W)
        return (1 + gain) * mix + bias

    def _film(self, prompt: torch.Tensor | None, channels: int) -> tuple[torch.Tensor, ...] | None:
        """Scale and shift of the reduced features, then of the full ones."""
        if self.film is None or prompt is None:
            return None
        values = self.film(prompt.flatten(1))[..., None, None]
        return values.split((2 * channels, 2 * channels, channels, channels), dim=1)
