"""The VAE with taps: repaired skips out of the encoder, adapted skips into the decoder.

Structure: the `AutoencoderKL` of Stable Diffusion (Rombach et al., arXiv 2112.10752) out of diffusers' own
blocks (Apache-2.0), with diffusers' names, so that SD weights load by key. The taps follow UniRestore
(arXiv 2501.13134, section 3.1): after down blocks 0, 1, 2 and before up blocks 0, 1, 2, that is at H/2,
H/4, H/8.
What differs: the forward loops are ours and take the repair and the adaptation as arguments;
`patch_size=2`, our addition for small CPU models, enters by a strided convolution, leaves by a
pixel-shuffle and leaves the first down-sampling (and the last up-sampling) out, so that the taps and the
latent stay at the same strides.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d_blocks import DownEncoderBlock2D, UNetMidBlock2D, UpDecoderBlock2D
from torch import nn

TAPS = 3
"""Number of skips: the outputs of down blocks 0, 1, 2 at strides 2, 4, 8."""


def _mid_block(channels: int, groups: int, attention: bool) -> UNetMidBlock2D:
    return UNetMidBlock2D(
        in_channels=channels,
        temb_channels=None,
        resnet_eps=1e-6,
        resnet_act_fn="silu",
        resnet_groups=groups,
        attention_head_dim=channels,
        add_attention=attention,
    )


class Encoder(nn.Module):
    """`(B, 3, H, W)` in [-1, 1] -> moments `(B, 2 x latent, H/8, W/8)` and the skips."""

    def __init__(
        self,
        *,
        channels: Sequence[int],
        layers: int,
        groups: int,
        latent_channels: int,
        attention: bool,
        patch_size: int,
    ) -> None:
        super().__init__()
        kernel = 3 if patch_size == 1 else 2 * patch_size  # strided: a patch and its margin at once
        self.conv_in = nn.Conv2d(3, channels[0], kernel, stride=patch_size, padding=max(patch_size // 2, 1))
        downsample = (patch_size == 1, True, True, False)
        self.down_blocks = nn.ModuleList(
            DownEncoderBlock2D(
                in_channels=channels[max(level - 1, 0)],
                out_channels=channels[level],
                num_layers=layers,
                resnet_act_fn="silu",
                resnet_groups=groups,
                add_downsample=downsample[level],
                downsample_padding=0,
            )
            for level in range(len(channels))
        )
        self.mid_block = _mid_block(channels[-1], groups, attention)
        self.conv_norm_out = nn.GroupNorm(groups, channels[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(channels[-1], 2 * latent_channels, 3, padding=1)

    def forward(
        self,
        x: torch.Tensor,
        repair: Sequence[Callable[[torch.Tensor], torch.Tensor]] = (),
        detach_latent: bool = False,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """`repair[k]` (if given) replaces the output of down block k, k = 0, 1, 2. `detach_latent` cuts the
        gradient just before the last down block, so that no loss on the latent reaches the repair."""
        x, skips = self.descend(x, repair)
        return self.finish(x, skips, repair, detach_latent)

    def descend(
        self, x: torch.Tensor, repair: Sequence[Callable[[torch.Tensor], torch.Tensor]] = ()
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The part at large resolution, `(B, 3, H, W)` -> the output of down block 2 before its repair,
        `(B, C2, H/8, W/8)`, and the first two skips. `finish` goes on from there."""
        x = self.conv_in(x)  # (B, C0, H/p, W/p)
        skips = []
        for level, block in enumerate(self.down_blocks[:TAPS]):
            x = block(x)  # (B, C_k, H / 2^(k+1), W / 2^(k+1))
            if level < TAPS - 1:
                x = repair[level](x) if len(repair) else x
                skips.append(x)
        return x, skips

    def finish(
        self,
        x: torch.Tensor,
        skips: Sequence[torch.Tensor] = (),
        repair: Sequence[Callable[[torch.Tensor], torch.Tensor]] = (),
        detach_latent: bool = False,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The part at H/8, after `descend`: moments and `skips` with the third appended; see `forward`."""
        x = repair[TAPS - 1](x) if len(repair) else x
        skips = [*skips, x]
        if detach_latent:
            # torch 2.12 crashes in GroupNorm's backward where a channels-last input needs no gradient
            x = x.detach().contiguous()
        for block in self.down_blocks[TAPS:]:
            x = block(x)
        x = self.mid_block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x))), skips


class Decoder(nn.Module):
    """`(B, latent, h, w)` -> last features `(B, C0, 8h/p, 8w/p)`; `to_image` makes a picture of them."""

    def __init__(
        self,
        *,
        channels: Sequence[int],
        layers: int,
        groups: int,
        latent_channels: int,
        attention: bool,
        patch_size: int,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        widths = tuple(reversed(channels))
        self.in_channels = tuple(widths[max(level - 1, 0)] for level in range(len(widths)))
        """Width of the features that enter each up block: what the adapters work on."""
        self.conv_in = nn.Conv2d(latent_channels, widths[0], 3, padding=1)
        self.mid_block = _mid_block(widths[0], groups, attention)
        upsample = (True, True, patch_size == 1, False)
        self.up_blocks = nn.ModuleList(
            UpDecoderBlock2D(
                in_channels=self.in_channels[level],
                out_channels=widths[level],
                num_layers=layers,
                resnet_act_fn="silu",
                resnet_groups=groups,
                add_upsample=upsample[level],
            )
            for level in range(len(widths))
        )
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 3 * patch_size**2, 3, padding=1)

    def forward(
        self,
        x: torch.Tensor,
        adapt: Callable[[int, torch.Tensor], torch.Tensor] | None = None,
        pyramid_only: bool = False,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """`adapt(k, x)` (if given) replaces the input of up block k, k = 0, 1, 2.

        Returns the last features and the three (adapted) inputs, strides 8, 4, 2. With `pyramid_only` the
        last blocks are left out and the first value is the last of the three.
        """
        return self.ascend(self.begin(x), adapt, pyramid_only)

    def begin(self, x: torch.Tensor) -> torch.Tensor:
        """The part at H/8, `(B, latent, h, w)` -> what enters the up blocks, `(B, C, h, w)`."""
        return self.mid_block(self.conv_in(x))

    def ascend(
        self,
        x: torch.Tensor,
        adapt: Callable[[int, torch.Tensor], torch.Tensor] | None = None,
        pyramid_only: bool = False,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The up blocks, after `begin`; see `forward`."""
        pyramid = []
        for level, block in enumerate(self.up_blocks):
            if level < TAPS:
                x = adapt(level, x) if adapt is not None else x
                pyramid.append(x)  # (B, C, H / 2^(3-k), W / 2^(3-k))
                if pyramid_only and len(pyramid) == TAPS:
                    break
            x = block(x)
        return x, pyramid

    def to_image(self, x: torch.Tensor) -> torch.Tensor:
        """Last features -> `(B, 3, H, W)` in about [-1, 1], not clamped."""
        return F.pixel_shuffle(self.conv_out(F.silu(self.conv_norm_out(x))), self.patch_size)


class TappedAutoencoder(nn.Module):
    """Encoder, decoder and the 1x1 convolutions around the latent, named as in diffusers' `AutoencoderKL`.

    Args: `channels` of the four levels; `layers` ResNet blocks per down block; `decoder_layers` per up
    block (SD: one more than `layers`); `groups` of every GroupNorm; `attention` in the mid blocks;
    `patch_size` 1 or 2.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (128, 256, 512, 512),
        layers: int = 2,
        decoder_layers: int | None = None,
        groups: int = 32,
        latent_channels: int = 4,
        attention: bool = True,
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        if len(channels) != 4:
            raise ValueError(f"the VAE has four levels; got {len(channels)} widths {tuple(channels)}")
        if any(width % groups for width in channels):
            raise ValueError(
                f"every width of {tuple(channels)} must be a multiple of the {groups} norm groups"
            )
        if patch_size not in (1, 2):
            raise ValueError(f"patch_size must be 1 or 2, got {patch_size}")
        common = {
            "channels": tuple(channels),
            "groups": groups,
            "latent_channels": latent_channels,
            "attention": attention,
            "patch_size": patch_size,
        }
        self.encoder = Encoder(layers=layers, **common)
        self.decoder = Decoder(layers=layers + 1 if decoder_layers is None else decoder_layers, **common)
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)
