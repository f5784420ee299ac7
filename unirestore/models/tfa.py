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
        y = mean_of_conv3x3(F.gelu(self.conv1(skip)), self.conv2)  # (B, T C)
        return y.unflatten(1, (self.prompt_length, -1))


def mean_of_conv3x3(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """Global mean of a zero-padded 3x3 convolution, `(B, C, h, w) -> (B, C_out)`, without convolving.

    The mean is linear: each tap sees all of x but the row or column that the shift moves out of the picture.
    """
    rows = x.sum(3), x[..., 0], x[..., -1]  # each (B, C, h): all columns, the first, the last
    every, first, last = (torch.stack((r.sum(2), r[..., 0], r[..., -1])) for r in rows)  # (3, B, C) each
    columns = every - last, every, every - first  # taps -1, 0, +1 along the width
    sums = torch.stack(columns, dim=-1)  # (3, B, C, 3)
    sums = torch.stack((sums[0] - sums[2], sums[0], sums[0] - sums[1]), dim=-2)  # (B, C, 3, 3)
    return F.linear(sums.flatten(1) / (x.shape[2] * x.shape[3]), conv.weight.flatten(1), conv.bias)


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
        forget = self.filter_gate(normed).softmax(-1)  # (B, T, C)
        admit = self.info_gate(normed).softmax(-1)
        content = self.content_gate(normed).tanh()
        prompt = forget * prompt + admit * content
        gate = self.out_gate(prompt.flatten(1)).tanh()[..., None, None]  # (B, C, 1, 1)
        skip = skip + self.skip_out(gate * self.skip_in(skip))
        x = x + self.conv_out(torch.cat((x, skip), dim=1))
        following = None if self.next_prompt is None else F.gelu(self.next_prompt(prompt))
        return x, following
