"""RoIAlign forward and backward, called as ``mmcv.ops`` calls its compiled operators.

Source: He et al., "Mask R-CNN", 2017 (arXiv:1703.06870), section 3; the average is torchvision's own
operator. Ours, Apache-2.0.

What differs from the compiled operators: half precision is computed in float32; a box without area gives
zeros in both modes, where the compiled maximum gives -10000.
"""

from __future__ import annotations

import math

import torch
import torchvision
from torch import Tensor

_MAX, _AVG = 0, 1


def _working(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _check_mode(pool_mode: int) -> None:
    if pool_mode not in (_MAX, _AVG):
        raise ValueError(f"roi_align pool_mode must be 0 (max) or 1 (avg), got {pool_mode}")


def _corners(coordinate: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The two pixels around each coordinate and their bilinear weights.

    A coordinate in [-1, 0] counts as 0 and one in [size - 1, size] as size - 1; further out both weights are
    0.
    """
    inside = (coordinate >= -1) & (coordinate <= size)
    clamped = coordinate.clamp(0, size - 1)
    low = clamped.floor().long()
    high = (low + 1).clamp(max=size - 1)
    upper = clamped - low
    return low, high, (1 - upper) * inside, upper * inside


def _interpolation(coordinate: Tensor, size: int) -> Tensor:
    """Matrix ``(N, size)`` that samples a signal of length ``size`` at N coordinates."""
    low, high, weight_low, weight_high = _corners(coordinate, size)
    matrix = coordinate.new_zeros(len(coordinate), size)
    matrix.scatter_add_(1, low[:, None], weight_low[:, None])
    return matrix.scatter_add_(1, high[:, None], weight_high[:, None])


def _sample_points(start: float, length: float, bins: int, sampling_ratio: int, like: Tensor) -> Tensor:
    """Coordinates ``(bins, grid)`` of the samples along one axis of a box."""
    grid = sampling_ratio if sampling_ratio > 0 else math.ceil(length / bins)
    step = length / bins
    inner = (torch.arange(grid, dtype=like.dtype, device=like.device) + 0.5) * (step / max(grid, 1))
    return start + torch.arange(bins, dtype=like.dtype, device=like.device)[:, None] * step + inner


def _max_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> None:
    """Maximum over the samples of each bin; remembers where each one lay, or -1 where a bin has no sample."""
    features, (height, width) = _working(input), input.shape[2:]
    bins_h, bins_w = bins
    argmax_y.fill_(-1)
    argmax_x.fill_(-1)
    output.zero_()
    for n, (index, *box) in enumerate(_working(rois).tolist()):
        x1, y1, x2, y2 = (value * spatial_scale - (0.5 if aligned else 0.0) for value in box)
        smallest = 0.0 if aligned else 1.0
        y = _sample_points(y1, max(y2 - y1, smallest), bins_h, sampling_ratio, features)  # (bins_h, grid_h)
        x = _sample_points(x1, max(x2 - x1, smallest), bins_w, sampling_ratio, features)  # (bins_w, grid_w)
        grid_h, grid_w = y.size(1), x.size(1)
        if grid_h * grid_w == 0:
            continue
        rows, columns = _interpolation(y.flatten(), height), _interpolation(x.flatten(), width)
        values = rows @ features[int(index)] @ columns.T  # (C, bins_h * grid_h, bins_w * grid_w)
        values = values.view(-1, bins_h, grid_h, bins_w, grid_w).transpose(2, 3).flatten(3)
        best, where = values.max(dim=3)  # (C, bins_h, bins_w)
        output[n].copy_(best)
        bin_h = torch.arange(bins_h, device=where.device)[:, None]
        bin_w = torch.arange(bins_w, device=where.device)
        argmax_y[n].copy_(y[bin_h, where.div(grid_w, rounding_mode="floor")])
        argmax_x[n].copy_(x[bin_w, where % grid_w])


def _max_backward(
    grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, shape: torch.Size
) -> Tensor:
    """Send the slope of each bin to the four pixels around its maximum."""
    _, channels, height, width = shape
    gradient = _working(grad_output)
    y_low, y_high, weight_y_low, weight_y_high = _corners(_working(argmax_y), height)
    x_low, x_high, weight_x_low, weight_x_high = _corners(_working(argmax_x), width)
    sampled = argmax_y != -1
    planes = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    planes = planes[:, :, None, None]  # (R, C, 1, 1)
    result = gradient.new_zeros(shape.numel())
    for y, weight_y in ((y_low, weight_y_low), (y_high, weight_y_high)):
        for x, weight_x in ((x_low, weight_x_low), (x_high, weight_x_high)):
            pixel = (planes * height + y) * width + x
            result.index_add_(0, pixel.flatten(), (gradient * weight_y * weight_x * sampled).flatten())
    return result.view(shape)


@torch.no_grad()
def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``output (R, C, aligned_height, aligned_width)``.

    Args:
        input: ``(B, C, H, W)`` features.
        rois: ``(R, 5)`` image index and xyxy in pixels of the image.
        output: filled.
        argmax_y: filled where ``pool_mode`` is 0, as large as ``output``: where the maximum lies; else
        unused. argmax_x: as ``argmax_y``. aligned_height: bins down. aligned_width: bins across.
        spatial_scale: pixels of the features per pixel of the image. sampling_ratio: samples per bin and
        axis; 0 takes one per pixel. pool_mode: 0 maximum, 1 average. aligned: shift by half a pixel, so that
        pixel centres lie at .5.
    """
    _check_mode(pool_mode)
    bins = (aligned_height, aligned_width)
    if pool_mode == _MAX:
        _max_forward(input, rois, output, argmax_y, argmax_x, bins, spatial_scale, sampling_ratio, aligned)
        return
    features = _working(input)
    pooled = torchvision.ops.roi_align(
        features, rois.to(features.dtype), bins, spatial_scale, sampling_ratio, aligned
    )
    output.copy_(pooled)


@torch.no_grad()
def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``grad_input (B, C, H, W)`` from ``grad_output (R, C, aligned_height, aligned_width)``."""
    _check_mode(pool_mode)
    if pool_mode == _MAX:
        grad_input.copy_(_max_backward(grad_output, rois, argmax_y, argmax_x, grad_input.shape))
        return
    gradient = _working(grad_output).contiguous()
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            gradient,
            rois.to(gradient.dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )
