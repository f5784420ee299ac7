"""Detail refiner: the last look at every pixel, for models that judge a shrunken photo.

OUR ADDITION; there is no such module in the UniRestore paper. With `working_scale=2` the network sees means of
2x2 pixels, and a blend of candidates can only weigh what its candidates hold: streaks of rain, sensor noise and
blocks of compression, one or two pixels wide, pass both untouched. This small U-Net reads the photo and the
blended picture at full size and adds what is missing:

    x = P + S(U(S^-1([y, P])))      y photo, P blended picture, S pixel-shuffle by 2, U convolutions at strides 2, 4

S^-1 moves 2x2 pixels into channels, so that nothing is lost and the convolutions run on a quarter of the positions
(Shi et al., arXiv 1609.05158). A FiLM (arXiv 1709.07871) from the task's prompt shifts the deep features, so
that tasks may ask for different detail. Its last layer starts at zero: untrained, x = P exactly.
Blocks: NAFBlock (arXiv 2204.04676). Licence: Apache-2.0.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .nafblock import NAFBlock
from .sizes import pad_to, round_up


class DetailRefiner(nn.Module):
    """Photo and picture `(B, 3, H, W)`, RGB in about [0, 1] -> the picture with its detail repaired, same shape.

    Args: `prompt_channels` T x D of the flattened prompt (0: no FiLM); `channels` at stride 2, with one NAFBlock
    on the way down and one up; twice as many at stride 4 with `blocks` NAFBlocks.
    """

    def __init__(self, *, prompt_channels: int, channels: int = 24, blocks: int = 2) -> None:
        super().__init__()
        deep = 2 * channels
        self.conv_in = nn.Conv2d(2 * 3 * 4, channels, 3, padding=1)
        self.block_in = NAFBlock(channels)
        self.reduce = nn.Conv2d(channels, deep, 2, stride=2)
        self.blocks = nn.Sequential(*(NAFBlock(deep) for _ in range(blocks)))
        self.expand = nn.Conv2d(deep, 4 * channels, 1)
        self.block_out = NAFBlock(channels)
        self.conv_out = nn.Conv2d(channels, 3 * 4, 3, padding=1)
        self.film = nn.Linear(prompt_channels, 2 * deep) if prompt_channels else None
        for layer in (self.conv_out, self.film):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(
        self, photo: torch.Tensor, picture: torch.Tensor, prompt: torch.Tensor | None
    ) -> torch.Tensor:
        """See the class; `prompt` `(B, T, D)` or None. Any size: padded to multiples of 4 inside."""
        height, width = picture.shape[-2:]
        seen = pad_to(torch.cat((photo, picture), 1), round_up(height, 4), round_up(width, 4))
        seen = F.pixel_unshuffle(seen, 2).contiguous(memory_format=torch.channels_last)
        x = self.block_in(self.conv_in(seen))  # (B, C, H/2, W/2)
        deep = self.reduce(x)  # (B, 2C, H/4, W/4)
        if self.film is not None and prompt is not None:
            scale, shift = self.film(prompt.flatten(1))[..., None, None].chunk(2, dim=1)
            deep = deep * (1 + scale) + shift
        x = x + F.pixel_shuffle(self.expand(self.blocks(deep)), 2)
        residual = F.pixel_shuffle(self.conv_out(self.block_out(x)), 2)  # (B, 3, H, W)
        return picture + residual[..., :height, :width]
