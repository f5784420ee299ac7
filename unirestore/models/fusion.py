"""Candidate fusion: the output head of small models, which blends classical restorations per pixel.

OUR ADDITION; there is no such module in the UniRestore paper. A model of under three million parameters
cannot repaint a photo, but it can judge: the head sees the decoder's last features (after TFA, so that they
depend on the task), the photo, its classical restorations (dark channel prior, CLAHE, ...) and the
decoder's own picture, and puts out per pixel softmax weights w over these candidates, the gain of two bands
of detail and an RGB bias:

    mix = sum_k w_k candidate_k = base + middle + fine       (two box blurs, as in a Laplacian pyramid)
    image = base + (1 + g_1) middle + (1 + g_2) fine + bias

A gain around the local mean raises the contrast of what haze has flattened without moving its brightness, and
below zero it smooths noise. Light scattered over the whole photo needs a judgement of the whole photo: a linear
layer on the pooled deep features shifts all maps alike.

A zero-initialised FiLM (Perez et al., arXiv 1709.07871) from the task's own prompt lets tasks differ
strongly with only the prompt between them: along TFA's chain a prompt is divided by its width (softmax)
three times over. At the start the weights are a fixed mix and gains = bias = 0.
Blocks: NAFBlock (arXiv 2204.04676). Licence: Apache-2.0.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .nafblock import NAFBlock

FINE, COARSE = 3, 16
"""Widths in pixels of the two box blurs that part the mix into bands."""
EXTRA_MAPS = 5
"""Maps beside the candidates' logits: two gains, RGB bias."""


class CandidateFusion(nn.Module):
    """N candidates `(B, 3, H, W)` in about [0, 1] and decoder features -> maps, and with them the picture.

    Judging and blending are two steps, because the judgement is smooth: `forward` may work on a shrunken photo
    and `blend` apply the enlarged maps to the candidates at full size, so that no detail passes the network.

    Args: `feature_channels` of the decoder features; `prompt_channels` T x D of the flattened prompt (0:
    no FiLM); `weights`, one positive starting weight per candidate (normalised here); `channels` of the head
    at stride `patch_size`, `low_channels` at half that resolution with a NAFBlock on the way down and up, twice
    as many at a quarter with `blocks` NAFBlocks; `groups` of the GroupNorm over the decoder features.
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
        deep, maps = 2 * low_channels, self.candidates + EXTRA_MAPS
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
        self.low_in = NAFBlock(low_channels)
        self.reduce_deep = nn.Conv2d(low_channels, deep, 2, stride=2)
        self.blocks = nn.Sequential(*(NAFBlock(deep) for _ in range(blocks)))
        self.expand_deep = nn.Conv2d(deep, 4 * low_channels, 1)
        self.low_out = NAFBlock(low_channels)
        self.expand = nn.Conv2d(low_channels, 4 * channels, 1)
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)
        # A transposed convolution without overlap: a 1x1 convolution and a pixel-shuffle in one.
        self.conv_out = nn.ConvTranspose2d(channels, maps, patch_size, stride=patch_size)
        self.judge = nn.Linear(deep, maps)
        # widths of what FiLM scales and shifts: the deep features, the full ones, and a shift of the maps
        self.film_widths = (deep, deep, channels, channels, maps)
        self.film = nn.Linear(prompt_channels, sum(self.film_widths)) if prompt_channels else None
        # Untrained: the fixed mix whatever the features, gains and bias zero.
        for layer in (self.conv_out, self.judge, self.film):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
        with torch.no_grad():
            mix = torch.tensor([float(weight) for weight in weights])
            self.conv_out.bias[: self.candidates] = (mix / mix.sum()).log().to(self.conv_out.bias.device)

    def forward(
        self, features: torch.Tensor, candidates: Sequence[torch.Tensor], prompt: torch.Tensor | None
    ) -> torch.Tensor:
        """What to do with the candidates: `(B, N + 5, H, W)`, N logits, two gains, RGB bias; see `blend`.

        `features` `(B, C, H/p, W/p)`, N `candidates` `(B, 3, H, W)`, H and W multiples of 4p; `prompt`
        `(B, T, D)` or None.
        """
        if torch.is_grad_enabled() and not features.requires_grad:
            # torch 2.12 crashes in GroupNorm's backward where a channels-last input needs no gradient
            features = features.contiguous()
        seen = torch.cat(tuple(candidates), dim=1)  # (B, 3N, H, W)
        seen = seen.contiguous(memory_format=torch.channels_last)
        film = self._film(prompt)
        x = self.feature_in(self.norm(features)) + self.candidates_in(seen)  # (B, C, H/p, W/p)
        low = self.low_in(self.reduce(F.gelu(x)))  # (B, low, H/2p, W/2p)
        deep = self.reduce_deep(low)  # (B, 2 low, H/4p, W/4p)
        if film is not None:
            deep = deep * (1 + film[0]) + film[1]
        deep = self.blocks(deep)
        low = self.low_out(low + F.pixel_shuffle(self.expand_deep(deep), 2))
        x = x + F.pixel_shuffle(self.expand(low), 2)
        if film is not None:
            x = x * (1 + film[2]) + film[3]
        maps = self.conv_out(F.gelu(self.mix(x))) + self.judge(deep.mean((2, 3)))[..., None, None]
        if film is not None:
            maps = maps + film[4]
        return maps.contiguous()  # planes: the fast layout for what follows

    def blend(self, maps: torch.Tensor, candidates: Sequence[torch.Tensor]) -> torch.Tensor:
        """`maps` of `forward`, perhaps enlarged, and the N candidates of that size -> `(B, 3, H, W)`."""
        logits, gains, bias = maps.split((self.candidates, 2, 3), dim=1)
        weights = logits.softmax(1)
        image = weights[:, :1] * candidates[0]
        for k in range(1, self.candidates):
            image = _add_product(image, weights[:, k : k + 1], candidates[k])
        smooth = F.avg_pool2d(image, FINE, stride=1, padding=FINE // 2, count_include_pad=False)
        base = F.avg_pool2d(
            image, COARSE, stride=COARSE // 2, padding=COARSE // 2, count_include_pad=False
        )  # centred on every eighth pixel, the first and the last included
        base = F.interpolate(base, size=image.shape[-2:], mode="bilinear", align_corners=True)
        fine = image - smooth
        image = _add_product(image + bias, gains[:, 1:], fine)
        return _add_product(image, gains[:, :1], smooth.sub_(base) if _in_place(smooth) else smooth - base)

    def _film(self, prompt: torch.Tensor | None) -> tuple[torch.Tensor, ...] | None:
        """Scale and shift of the deep features, then of the full ones, and a shift of the maps."""
        if self.film is None or prompt is None:
            return None
        return self.film(prompt.flatten(1))[..., None, None].split(self.film_widths, dim=1)


def _in_place(x: torch.Tensor) -> bool:
    """At full size memory is the bottleneck; where nothing is differentiated a result takes its input's place."""
    return not (torch.is_grad_enabled() and x.requires_grad)


def _add_product(x: torch.Tensor, factor: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """x + factor * y, where x is a passing result of ours."""
    return (
        x.addcmul_(factor, y) if _in_place(x) and _in_place(factor) and _in_place(y) else x.addcmul(factor, y)
    )
