"""Candidate fusion: the output head of small models, which blends classical restorations per pixel.

OUR ADDITION; there is no such module in the UniRestore paper. A model of under three million parameters
cannot repaint a photo, but it can judge: the head sees the decoder's last features (after TFA, so that they
depend on the task), the photo, its classical restorations (dark channel prior, CLAHE, ...) and the
decoder's own picture, and puts out per pixel softmax weights w over these candidates, an RGB gain and an
RGB bias:

    image = (1 + gain) * sum_k w_k candidate_k + bias

A zero-initialised FiLM (Perez et al., arXiv 1709.07871) from the task's own prompt lets tasks differ
strongly with only the prompt between them: along TFA's chain a prompt is divided by its width (softmax)
three times over. At the start the weights are a fixed mix and gain = bias = 0.
Blocks: NAFBlock (arXiv 2204.04676). Licence: Apache-2.0.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .nafblock import NAFBlock


class CandidateFusion(nn.Module):
    """N candidates `(B, 3, H, W)` in about [0, 1] and decoder features -> maps, and with them the picture.

    Judging and blending are two steps, because the judgement is smooth: `forward` may work on a shrunken photo
    and `blend` apply the enlarged maps to the candidates at full size, so that no detail passes the network.

    Args: `feature_channels` of the decoder features; `prompt_channels` T x D of the flattened prompt (0:
    no FiLM); `weights`, one positive starting weight per candidate (normalised here); `channels` of the head
    at stride `patch_size`, `low_channels` and `blocks` of the NAFBlocks at half that resolution; `groups`
    of the GroupNorm over the decoder features.
    """

    def __init__(
        self,
        *,
        feature_channels: int,
        prompt_channels: int,
        weights: Sequence[float],
        channels: int = 16,
        low_channels: int = 48,
        blocks: int = 2,
        groups: int = 8,
        patch_size: int = 2,
    ) -> None:
        super().__init__()
        if len(weights) < 2 or min(weights) <= 0:
            raise ValueError(
                f"the fusion needs at least two candidates with positive weights, got {tuple(weights)}"
            )
        self.candidates = len(weights)
        self.patch_size = patch_size
        self.norm = nn.GroupNorm(groups, feature_channels)
        self.feature_in = nn.Conv2d(feature_channels, channels, 3, padding=1)
        kernel = 3 if patch_size == 1 else 2 * patch_size  # strided: a patch and its margin at once
        self.candidates_in = nn.Conv2d(
            3 * self.candidates,
            channels,
            kernel,
            stride=patch_size,
            padding=max(patch_size // 2, 1),
            bias=False,
        )
        self.reduce = nn.Conv2d(channels, low_channels, 2, stride=2)
        self.blocks = nn.Sequential(*(NAFBlock(low_channels) for _ in range(blocks)))
        self.expand = nn.Conv2d(low_channels, 4 * channels, 1)
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)
        # A transposed convolution without overlap: a 1x1 convolution and a pixel-shuffle in one.
        self.conv_out = nn.ConvTranspose2d(channels, self.candidates + 6, patch_size, stride=patch_size)
        width = 2 * (low_channels + channels) + self.candidates + 6
        self.film = nn.Linear(prompt_channels, width) if prompt_channels else None
        if self.film is not None:
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)
        # Untrained: the fixed mix whatever the features, gain and bias zero.
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)
        with torch.no_grad():
            mix = torch.tensor([float(weight) for weight in weights])
            self.conv_out.bias[: self.candidates] = (mix / mix.sum()).log().to(self.conv_out.bias.device)

    def forward(
        self, features: torch.Tensor, candidates: Sequence[torch.Tensor], prompt: torch.Tensor | None
    ) -> torch.Tensor:
        """What to do with the candidates: `(B, N + 6, H, W)`, N logits, RGB gain and RGB bias; see `blend`.

        `features` `(B, C, H/p, W/p)`, N `candidates` `(B, 3, H, W)`, `prompt` `(B, T, D)` or None.
        """
        if torch.is_grad_enabled() and not features.requires_grad:
            # torch 2.12 crashes in GroupNorm's backward where a channels-last input needs no gradient
            features = features.contiguous()
        seen = torch.cat(tuple(candidates), dim=1)  # (B, 3N, H, W)
        seen = seen.contiguous(memory_format=torch.channels_last)
        x = self.feature_in(self.norm(features)) + self.candidates_in(seen)  # (B, C, H/p, W/p)
        film = self._film(prompt)
        low = self.reduce(F.gelu(x))  # (B, low, H/2p, W/2p)
        if film is not None:
            low = low * (1 + film[0]) + film[1]
        x = x + F.pixel_shuffle(self.expand(self.blocks(low)), 2)
        if film is not None:
            x = x * (1 + film[2]) + film[3]
        maps = self.conv_out(F.gelu(self.mix(x)))
        if film is not None:
            maps = maps + film[4]
        return maps.contiguous()  # planes: the fast layout for what follows

    def blend(self, maps: torch.Tensor, candidates: Sequence[torch.Tensor]) -> torch.Tensor:
        """`maps` of `forward`, perhaps enlarged, and the N candidates of that size -> `(B, 3, H, W)`."""
        logits, gain, bias = maps.split((self.candidates, 3, 3), dim=1)
        weights = logits.softmax(1)
        image = weights[:, :1] * candidates[0]
        for k in range(1, self.candidates):
            image = torch.addcmul(image, weights[:, k : k + 1], candidates[k])
        return torch.addcmul(image + bias, gain, image)

    def _film(self, prompt: torch.Tensor | None) -> tuple[torch.Tensor, ...] | None:
        """Scale and shift of the reduced features, then of the full ones, and a shift of the maps."""
        if self.film is None or prompt is None:
            return None
        values = self.film(prompt.flatten(1))[..., None, None]
        low, full = self.reduce.out_channels, self.reduce.in_channels
        return values.split((low, low, full, full, self.candidates + 6), dim=1)
