"""The same network with faster modules for inference on a CPU; results are equal up to rounding.

What is exchanged, module by module (composition: the network's own loops run as they are):

- a ResNet block of diffusers: both norms, both SiLUs, the time shift, the shortcut and the sum happen inside the two
  Winograd convolutions, strip by strip, so that each picture of features is read and written once for each;
- nearest-neighbour enlarging and the 3x3 convolution behind it: one Winograd convolution of the small picture;
- every other dense 3x3 convolution of stride 1: Winograd, see `winograd.py`.

The parameters are shared with the network that it was made of; transformed filters take four times the memory of the
filters that they stand for and are kept or made for each use, see `winograd.filters_kept`. Not for training, not for
saving. Written by us, Apache-2.0.
"""

from __future__ import annotations

import copy

import torch.nn.functional as F
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from .statistics import Moments, photo_moments
from .winograd import Filters, WinogradConv2d, conv3x3, fits, moments_of_rows, pays

NARROWEST = 64
"""Channels below which a direct convolution is as fast."""


def accelerate(model: nn.Module) -> nn.Module:
    """A copy of `model` that shares its parameters and is faster on a CPU, in evaluation mode, without gradients.

    Args:
        model: a `UniRestore` or any module with ResNet blocks, upsamplers and convolutions as diffusers has them.
    """
    shared = {id(value): value for value in (*model.parameters(), *model.buffers())}
    fast = copy.deepcopy(model, shared).eval()
    _exchange(fast)
    return fast


def _exchange(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, ResnetBlock2D) and FusedResnetBlock.fits(child):
            setattr(module, name, FusedResnetBlock(child))
        elif isinstance(child, Upsample2D) and EnlargingConv.fits(child):
            setattr(module, name, EnlargingConv(child))
        elif fits(child) and min(child.in_channels, child.out_channels) >= NARROWEST:
            setattr(module, name, WinogradConv2d(child))
        else:
            _exchange(child)


class FusedResnetBlock(nn.Module):
    """`ResnetBlock2D` of diffusers, `(B, Ci, H, W) -> (B, Co, H, W)`, in two passes over the features."""

    def __init__(self, block: ResnetBlock2D) -> None:
        super().__init__()
        self.block = block
        self.filters1, self.filters2 = Filters(block.conv1), Filters(block.conv2)

    @staticmethod
    def fits(block: ResnetBlock2D) -> bool:
        """Whether a block is of the one kind that the networks here have."""
        return (
            block.upsample is None
            and block.downsample is None
            and isinstance(block.norm1, nn.GroupNorm)
            and isinstance(block.norm2, nn.GroupNorm)
            and isinstance(block.nonlinearity, nn.SiLU)
            and block.time_embedding_norm == "default"
            and fits(block.conv1)
            and fits(block.conv2)
            and min(block.conv1.in_channels, block.conv1.out_channels) >= NARROWEST
        )

    def forward(self, x: Tensor, temb: Tensor | None = None) -> Tensor:
        """As the block: `temb` `(B, T)` or None."""
        block = self.block
        if not pays(x):
            return block(x, temb)
        x = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C): a view where x is channels-last
        bias = block.conv1.bias
        if block.time_emb_proj is not None:
            bias = bias + block.time_emb_proj(temb if block.skip_time_act else F.silu(temb))  # (B, Co)
        shared = photo_moments(x.permute(0, 3, 1, 2))
        affine = _affine(block.norm1, moments_of_rows(x) if shared is None else shared)
        y, moments = conv3x3(x, self.filters1(), bias, affine=affine, moments=shared is None)
        if block.conv_shortcut is not None:
            x = F.linear(x, block.conv_shortcut.weight.flatten(1), block.conv_shortcut.bias)
        shared = photo_moments(y.permute(0, 3, 1, 2))
        affine = _affine(block.norm2, moments if shared is None else shared)
        own = block.conv_shortcut is not None  # x is nobody else's then
        y, _ = conv3x3(y, self.filters2(), block.conv2.bias, affine=affine, residual=x, overwrite=own)
        if block.output_scale_factor != 1:
            y /= block.output_scale_factor
        return y.permute(0, 3, 1, 2)


def _affine(norm: nn.GroupNorm, moments: Moments) -> tuple[Tensor, Tensor]:
    """A GroupNorm whose statistics are known, as scale and shift of each channel, `(B, C)` both."""
    mean, variance = moments.by_group(norm.num_groups)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return scale.to(norm.weight.dtype), (norm.bias - mean * scale).to(norm.weight.dtype)


class EnlargingConv(nn.Module):
    """`Upsample2D` of diffusers with its convolution, `(B, C, H, W) -> (B, Co, 2H, 2W)`, without enlarging first."""

    def __init__(self, block: Upsample2D) -> None:
        super().__init__()
        self.block = block
        self.filters = Filters(block.conv, enlarge=True)

    @staticmethod
    def fits(block: Upsample2D) -> bool:
        """Whether a block enlarges by nearest neighbour and then convolves."""
        return (
            block.use_conv
            and block.interpolate
            and block.norm is None
            and not block.use_conv_transpose
            and fits(block.conv)
            and min(block.conv.in_channels, block.conv.out_channels) >= NARROWEST
        )

    def forward(self, x: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        """As the block; an `output_size` that is not twice the input's goes through it."""
        twice = tuple(2 * length for length in x.shape[-2:])
        if not pays(x) or (output_size is not None and tuple(output_size) != twice):
            return self.block(x, output_size)
        x = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C): a view where x is channels-last
        y, _ = conv3x3(x, self.filters(), self.block.conv.bias, enlarge=True)
        return y.permute(0, 3, 1, 2)
