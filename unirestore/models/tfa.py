"""TFA, the Task Feature Adapter: one prompt per task steers what the decoder takes from the repaired skips.

Paper: UniRestore, arXiv 2501.13134 (CVPR 2025), section 3.3. Authors' code: MIT; this file is written from
its description, Apache-2.0. For skip S (B, C, h, w), prompt c (B, T, C) and decoder features x
(B, Cx, h, w):

    G(S)  = global mean of Conv3x3(GELU(Conv3x3(InstanceNorm(S)))), as (B, T, C), separate weights for f, i, g
    f, i  = softmax over C of G_f, G_i;   g = tanh(G_g)
    c'    = f * c + i * g                                    like an LSTM cell: forget, input, content
    o     = tanh(Linear(T C -> C)(c'))                       output gate, (B, C, 1, 1)
    S'    = S + W2(o * W1(S));   x' = x + Conv1x1([x, S'])
    next  = GELU(Linear(C -> C_next)(c'))                    the next module's prompt; absent in the last one

What differs: the next prompt's width is an argument (the paper halves it; 512 -> 256 -> 128).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


class SkipGate(nn.Module):
    """Pools a skip to one vector per prompt token, `(B, C, h, w) -> (B, T, C)`; G in the header."""

    def __init__(self, channels: int, prompt_length: int) -> None:
        super().__init__()
        self.prompt_length = prompt_length
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels * prompt_length, 3, padding=1)

    def forward(self, skip: torch.Tensor) -> torch.Tensor:
        """`skip` is already instance-normalised: the three gates of a module share that."""
        return self.finish(border_sums(F.gelu(self.conv1(skip))), skip.shape[2] * skip.shape[3])

    def finish(self, sums: torch.Tensor, pixels: int) -> torch.Tensor:
        """`border_sums` of GELU(conv1) over all pixels of a skip -> `(B, T, C)`."""
        return mean_from_sums(sums, pixels, self.conv2).unflatten(1, (self.prompt_length, -1))


def border_sums(x: torch.Tensor) -> torch.Tensor:
    """Sums over (every, first, last row) x (every, first, last column): `(B, C, h, w) -> (3, 3, B, C)`.

    Over the first index, strips of rows of one picture may be added up: their first index 0, the first strip's 1 and
    the last strip's 2.
    """
    rows = x.sum(2), x[..., 0, :], x[..., -1, :]  # each (B, C, w)
    return torch.stack([torch.stack((r.sum(2), r[..., 0], r[..., -1])) for r in rows])


def mean_from_sums(sums: torch.Tensor, pixels: int, conv: nn.Conv2d) -> torch.Tensor:
    """Global mean of a zero-padded 3x3 convolution of x, without convolving, from the `border_sums` of x and its number
    of pixels: `(3, 3, B, C) -> (B, C_out)`.

    The mean is linear: each tap sees all of x but the row or column that the shift moves out of the picture.
    """
    sums = torch.stack((sums[0] - sums[2], sums[0], sums[0] - sums[1]))  # taps -1, 0, +1 along the height
    sums = torch.stack((sums[:, 0] - sums[:, 2], sums[:, 0], sums[:, 0] - sums[:, 1]), dim=1)  # and the width
    taps = sums.permute(2, 3, 0, 1)  # (B, C, 3, 3)
    return F.linear(taps.flatten(1) / pixels, conv.weight.flatten(1), conv.bias)


def instance_norm(x: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """InstanceNorm without parameters. As a group norm it is ten times faster on a CPU in channels-last
    layout, and called like this it also takes a single pixel (which then becomes 0)."""
    return torch.group_norm(x, x.shape[1], eps=eps)


class TaskFeatureAdapter(nn.Module):
    """One TFA module.

    Args: `channels` of the decoder features x; `skip_channels` C of the skip and width of the prompt;
    `next_channels` width of the next module's prompt, None for the last module; `prompt_length` T.
    """

    def __init__(
        self, channels: int, skip_channels: int, next_channels: int | None = None, prompt_length: int = 1
    ) -> None:
        super().__init__()
        if prompt_length < 1:
            raise ValueError(f"prompt_length must be at least 1, got {prompt_length}")
        self.filter_gate = SkipGate(skip_channels, prompt_length)
        self.info_gate = SkipGate(skip_channels, prompt_length)
        self.content_gate = SkipGate(skip_channels, prompt_length)
        self.out_gate = nn.Linear(prompt_length * skip_channels, skip_channels)
        self.skip_in = nn.Conv2d(skip_channels, skip_channels, 1)
        self.skip_out = nn.Conv2d(skip_channels, skip_channels, 1)
        self.conv_out = nn.Conv2d(channels + skip_channels, channels, 1)
        self.next_prompt = None if next_channels is None else nn.Linear(skip_channels, next_channels)

    def forward(
        self, x: torch.Tensor, skip: torch.Tensor, prompt: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x `(B, Cx, h, w)`, skip `(B, C, h, w)`, prompt `(B, T, C)` -> x' of x's shape, the next prompt
        `(B, T, C_next)` or None in the last module."""
        normed = instance_norm(skip)
        gate, following = self.steer([gate(normed) for gate in self.gates], prompt)
        return self.adapt(x, skip, gate), following

    @property
    def gates(self) -> tuple[SkipGate, SkipGate, SkipGate]:
        """For f, i and g of the header: what looks at the whole skip."""
        return self.filter_gate, self.info_gate, self.content_gate

    def steer(
        self, pooled: Sequence[torch.Tensor], prompt: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What the three gates give, `(B, T, C)` each, and the prompt -> output gate `(B, C, 1, 1)`, next prompt."""
        forget, admit, content = pooled
        prompt = forget.softmax(-1) * prompt + admit.softmax(-1) * content.tanh()
        gate = self.out_gate(prompt.flatten(1)).tanh()[..., None, None]  # (B, C, 1, 1)
        return gate, None if self.next_prompt is None else F.gelu(self.next_prompt(prompt))

    def adapt(self, x: torch.Tensor, skip: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """x' of the header, pixel by pixel, with the output gate of `steer`."""
        skip = skip + self.skip_out(gate * self.skip_in(skip))
        return x + self.conv_out(torch.cat((x, skip), dim=1))
