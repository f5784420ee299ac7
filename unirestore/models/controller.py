"""Controller: a small time-conditioned encoder of the degraded latent that steers the diffusion prior.

Paper: UniRestore, arXiv 2501.13134 (CVPR 2025), section 3.2 (after StableSR, arXiv 2305.07015). Authors'
code: MIT; this file is written from its description, Apache-2.0, out of diffusers' UNet blocks
(Apache-2.0).
What differs: the result is keyed by level (0 = latent resolution) and not by feature width, which is
ambiguous for very wide or tall inputs; widths, depth and where attention sits are arguments.
"""

from collections.abc import Sequence

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_blocks import AttnDownBlock2D, DownBlock2D, UNetMidBlock2D
from torch import nn


class Controller(nn.Module):
    """`(B, latent, h, w)` and a timestep -> list of `(B, out_channels, h / 2^k, w / 2^k)`, one per level k.

    Args: `channels` of the levels; `attention`, one bool per level; `mid_attention`; `heads` of every
    attention; `layers` ResNet blocks per level; `groups` of every GroupNorm.
    """

    def __init__(
        self,
        *,
        latent_channels: int = 4,
        channels: Sequence[int] = (256, 256, 512, 512),
        attention: Sequence[bool] = (True, True, True, False),
        mid_attention: bool = True,
        heads: int = 4,
        layers: int = 2,
        groups: int = 32,
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        if len(attention) != len(channels):
            raise ValueError(f"Controller got {len(channels)} widths and {len(attention)} attention flags")
        if attention[-1]:
            raise ValueError("the Controller's last level has no attention of its own; use mid_attention")
        time_channels = 4 * channels[0]
        self.time_proj = Timesteps(channels[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(channels[0], time_channels)
        self.conv_in = nn.Conv2d(latent_channels, channels[0], 3, padding=1)
        norm = {"temb_channels": time_channels, "resnet_eps": 1e-5, "resnet_groups": groups}
        self.down_blocks = nn.ModuleList()
        for level, width in enumerate(channels):
            sizes = {"in_channels": channels[max(level - 1, 0)], "out_channels": width, "num_layers": layers}
            if attention[level]:
                block = AttnDownBlock2D(**sizes, **norm, attention_head_dim=width // heads)
            else:
                block = DownBlock2D(**sizes, **norm, add_downsample=level < len(channels) - 1)
            self.down_blocks.append(block)
        self.mid_block = UNetMidBlock2D(
            in_channels=channels[-1],
            **norm,
            attention_head_dim=channels[-1] // heads,
            add_attention=mid_attention,
        )
        self.out_blocks = nn.ModuleList(
            ResnetBlock2D(
                in_channels=width,
                out_channels=out_channels,
                temb_channels=time_channels,
                groups=groups,
                eps=1e-5,
            )
            for width in channels
        )
        self._zero_residuals()

    def _zero_residuals(self) -> None:
        """Every residual branch starts silent: second convolutions and attention outputs are zero."""
        for module in self.modules():
            if isinstance(module, ResnetBlock2D):
                nn.init.zeros_(module.conv2.weight)
                nn.init.zeros_(module.conv2.bias)
            elif hasattr(module, "to_out"):
                nn.init.zeros_(module.to_out[0].weight)
                nn.init.zeros_(module.to_out[0].bias)

    def forward(self, latent: torch.Tensor, timestep: torch.Tensor) -> list[torch.Tensor]:
        """`latent` `(B, 4, h, w)` scaled; `timestep` `(B,)` integers in 0...999."""
        time = self.time_embedding(self.time_proj(timestep).to(latent.dtype))  # (B, 4 C0)
        x = self.conv_in(latent)
        features = []
        for level, block in enumerate(self.down_blocks):
            x, states = block(x, time)
            last = level == len(self.down_blocks) - 1
            features.append(states[-1] if last else states[-2])  # the one before down-sampling
        features[-1] = self.mid_block(x, time)
        return [block(x, time) for block, x in zip(self.out_blocks, features, strict=True)]
