"""The UNet prior: diffusers' UNet2DConditionModel, its skips steered by Controller and SC-Tuner.

Papers: Stable Diffusion (arXiv 2112.10752) and SD-Turbo (arXiv 2311.17042) for the UNet, UniRestore
(arXiv 2501.13134, section 3.2) for the steering. Written from the description, Apache-2.0; diffusers:
Apache-2.0.
What differs: we drive the UNet's own submodules in a loop of ours, because its `forward` has no place
between the mid block and the decoder where skips can be edited; the text condition is one fixed embedding
kept as a buffer; without `text_channels` the UNet has no attention at all (small CPU models).
"""

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from ..controller import Controller
from ..sc_tuner import SCTuner
from .base import Prior


class UNetPrior(Prior):
    """See `Prior`. Holds `unet`, `controller`, `sc_tuner` and, with text, the buffer `null_text`.

    Args: `channels` and `layers` of the UNet; `text_channels` and `text_tokens` of its fixed text
    embedding, or None for a UNet without attention; `heads`, one number per level; `groups` of every
    GroupNorm; the `controller` settings (see `Controller`), whose levels must be as many as the UNet's.
    """

    def __init__(
        self,
        *,
        latent_channels: int = 4,
        channels: Sequence[int] = (320, 640, 1280, 1280),
        layers: int = 2,
        groups: int = 32,
        text_channels: int | None = 1024,
        text_tokens: int = 77,
        heads: Sequence[int] = (5, 10, 20, 20),
        controller: dict | None = None,
    ) -> None:
        super().__init__()
        levels = len(channels)
        with_text = text_channels is not None
        plain = levels - 1 if with_text else 0  # SD: cross-attention everywhere but in the lowest level
        self.unet = UNet2DConditionModel(
            in_channels=latent_channels,
            out_channels=latent_channels,
            block_out_channels=tuple(channels),
            layers_per_block=layers,
            norm_num_groups=groups,
            down_block_types=("CrossAttnDownBlock2D",) * plain + ("DownBlock2D",) * (levels - plain),
            mid_block_type="UNetMidBlock2DCrossAttn" if with_text else "UNetMidBlock2D",
            up_block_types=("UpBlock2D",) * (levels - plain) + ("CrossAttnUpBlock2D",) * plain,
            cross_attention_dim=text_channels if with_text else 8,
            attention_head_dim=tuple(heads) if with_text else 8,
            use_linear_projection=True,
        )
        if with_text:
            self.register_buffer("null_text", torch.zeros(1, text_tokens, text_channels))
        else:
            self.null_text = None
        self.controller = Controller(latent_channels=latent_channels, **(controller or {}))
        if len(self.controller.out_blocks) != levels:
            raise ValueError(
                f"the Controller has {len(self.controller.out_blocks)} levels and the UNet {levels}; "
                "give both the same number of widths"
            )
        skip_channels, skip_levels = [channels[0]], [0]
        for level, width in enumerate(channels):
            skip_channels += [width] * layers
            skip_levels += [level] * layers
            if level < levels - 1:  # the down-sampled feature is a skip of the next level
                skip_channels.append(width)
                skip_levels.append(level + 1)
        control_channels = self.controller.out_blocks[0].out_channels
        self.sc_tuner = SCTuner(skip_channels, skip_levels, control_channels)
        self.size_multiple = 2 ** (levels - 1)

    def predict_noise(
        self, noisy: torch.Tensor, timestep: int | torch.Tensor, condition: torch.Tensor | None = None
    ) -> torch.Tensor:
        timestep = torch.as_tensor(timestep, device=noisy.device).reshape(-1).expand(noisy.shape[0])
        controls = None if condition is None else self.controller(condition, timestep)
        return self._run_unet(noisy, timestep, controls)

    def _run_unet(
        self, x: torch.Tensor, timestep: torch.Tensor, controls: list[torch.Tensor] | None
    ) -> torch.Tensor:
        unet = self.unet
        time = unet.time_embedding(unet.time_proj(timestep).to(x.dtype))
        text = {}
        if self.null_text is not None:
            text["encoder_hidden_states"] = self.null_text.to(x.dtype).expand(x.shape[0], -1, -1)
        x = unet.conv_in(x)
        skips = [x]
        for block in unet.down_blocks:
            x, states = block(hidden_states=x, temb=time, **self._text_for(block, text))
            skips.extend(states)
        x = unet.mid_block(x, time, **self._text_for(unet.mid_block, text))
        if controls is not None:
            skips = self.sc_tuner(skips, controls)
        for block in unet.up_blocks:
            count = len(block.resnets)
            taken, skips = tuple(skips[-count:]), skips[:-count]
            x = block(
                hidden_states=x, temb=time, res_hidden_states_tuple=taken, **self._text_for(block, text)
            )
        return unet.conv_out(unet.conv_act(unet.conv_norm_out(x)))

    @staticmethod
    def _text_for(block: nn.Module, text: dict) -> dict:
        return text if getattr(block, "has_cross_attention", False) else {}
