"""Deformable convolution (with and without modulation) and deformable attention, as ``mmcv.ops`` calls them.

Source: Dai et al., "Deformable Convolutional Networks", 2017 (arXiv:1703.06211), equation 2; Zhu et al.,
"Deformable ConvNets v2", 2018 (arXiv:1811.11168), equation 1; both are torchvision's operator. Zhu et al.,
"Deformable DETR", 2020 (arXiv:2010.04159), equation 3; that is mmcv's own function in plain torch, which mmcv
keeps for CPUs. Ours, Apache-2.0.

What differs from the compiled operators: half precision is computed in float32, and the work buffers that
mmcv hands over (``columns``, ``ones``) stay untouched.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _working(*tensors: Tensor) -> list[Tensor]:
    return [t.contiguous() if t.dtype == torch.float64 else t.float().contiguous() for t in tensors]


def _bias_or_zeros(bias: Tensor, weight: Tensor, with_bias: bool) -> Tensor:
    return bias if with_bias else weight.new_zeros(weight.size(0))


@torch.no_grad()
def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill ``output (B, C_out, H_out, W_out)``.

    Args:
        input: ``(B, C_in, H, W)``.
        weight: ``(C_out, C_in / group, kernel_h, kernel_w)``.
        bias: ``(C_out,)``, ignored unless ``with_bias``.
        offset: ``(B, 2 * deformable_group * kernel_h * kernel_w, H_out, W_out)``, y before x, in pixels.
        mask: ``(B, deformable_group * kernel_h * kernel_w, H_out, W_out)``, the modulation.
        output: filled.

    The other arguments are those of a convolution; ``ones`` and ``columns`` are not used.
    """
    input, weight, bias, offset, mask = _working(input, weight, bias, offset, mask)
    geometry = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    bias = _bias_or_zeros(bias, weight, with_bias)
    output.copy_(torch.ops.torchvision.deform_conv2d(input, weight, offset, mask, bias, *geometry, True))


@torch.no_grad()
def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill the five ``grad_*`` buffers from ``grad_output``; shapes as in the forward."""
    grad_output, input, weight, offset, mask, bias = _working(grad_output, input, weight, offset, mask, bias)
    geometry = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    bias = _bias_or_zeros(bias, weight, with_bias)
    gradients = torch.ops.torchvision._deform_conv2d_backward(
        grad_output, input, weight, offset, mask, bias, *geometry, True
    )
    for buffer, gradient in zip((grad_input, grad_weight, grad_offset, grad_mask), gradients):
        buffer.copy_(gradient)
    if with_bias:
        grad_bias.copy_(gradients[4])


def _without_mask(offset: Tensor) -> Tensor:
    """torchvision takes an empty modulation of this shape where there is none."""
    return offset.new_zeros(offset.size(0), 1)


@torch.no_grad()
def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill ``output (B, C_out, H_out, W_out)``; shapes as for the modulated one, without mask and bias.

    ``dW`` and ``dH`` are strides; ``columns``, ``ones`` and ``im2col_step`` are not used.
    """
    input, weight, offset = _working(input, weight, offset)
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    bias = weight.new_zeros(weight.size(0))
    output.copy_(
        torch.ops.torchvision.deform_conv2d(
            input, weight, offset, _without_mask(offset), bias, *geometry, False
        )
    )


def _deform_conv_gradients(
    input: Tensor, offset: Tensor, grad_output: Tensor, weight: Tensor, geometry: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """Gradients by input, weight and offset (then mask and bias, both without meaning here)."""
    grad_output, input, weight, offset = _working(grad_output, input, weight, offset)
    bias = weight.new_zeros(weight.size(0))
    return torch.ops.torchvision._deform_conv2d_backward(
        grad_output, input, weight, offset, _without_mask(offset), bias, *geometry, False
    )


@torch.no_grad()
def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill ``grad_input`` and ``grad_offset`` from ``grad_output``."""
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    by_input, _, by_offset, *_ = _deform_conv_gradients(input, offset, grad_output, weight, geometry)
    grad_input.copy_(by_input)
    grad_offset.copy_(by_offset)


@torch.no_grad()
def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Fill ``grad_weight`` with ``scale`` times the gradient by the weight, whose values do not matter."""
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    _, by_weight, *_ = _deform_conv_gradients(input, offset, grad_output, grad_weight, geometry)
    grad_weight.copy_(scale * by_weight)


def _attention(value: Tensor, shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)


@torch.no_grad()
def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Multi-scale deformable attention -> ``(B, queries, heads * channels)``.

    Args:
        value: ``(B, keys, heads, channels)``, the levels one after another.
        value_spatial_shapes: ``(levels, 2)``, height and width.
        value_level_start_index: not used.
        sampling_locations: ``(B, queries, heads, levels, points, 2)``, x before y, in [0, 1].
        attention_weights: ``(B, queries, heads, levels, points)``.
        im2col_step: not used.
    """
    return _attention(value, value_spatial_shapes, sampling_locations, attention_weights)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Fill the three gradients by running the forward once more under autograd."""
    inputs = [t.detach().requires_grad_() for t in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        result = _attention(inputs[0], value_spatial_shapes, inputs[1], inputs[2])
    gradients = torch.autograd.grad(result, inputs, grad_output)
    for buffer, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), gradients):
        buffer.copy_(gradient)
