"""Any picture size in, the same size out: padding to a multiple and the exact crop back.

UniRestore's code reflects at the right and bottom edge (spec of the authors' pipeline, 64 px); what
differs: where a picture is too small to be reflected, its edge is repeated, so that every size from 1x1
works.
"""

import torch
import torch.nn.functional as F


def round_up(length: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `length`."""
    return -(-length // multiple) * multiple


def pad_to(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """`(B, C, H, W)` -> `(B, C, height, width)`: reflected right and bottom, repeated where too small."""
    bottom, right = height - x.shape[-2], width - x.shape[-1]
    if bottom:
        x = F.pad(x, (0, 0, 0, bottom), mode="reflect" if bottom < x.shape[-2] else "replicate")
    if right:
        x = F.pad(x, (0, right, 0, 0), mode="reflect" if right < x.shape[-1] else "replicate")
    return x


def shrink(x: torch.Tensor, scale: int) -> torch.Tensor:
    """`(B, C, H, W)` -> `(B, C, ceil(H / scale), ceil(W / scale))`, the mean of each block of pixels."""
    if scale == 1:
        return x
    return F.avg_pool2d(pad_to(x, *(round_up(length, scale) for length in x.shape[-2:])), scale)


def enlarge(x: torch.Tensor, scale: int, height: int, width: int) -> torch.Tensor:
    """The way back: bilinear, then cropped to `height` x `width`."""
    if scale > 1:
        x = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    return x[..., :height, :width]


def check_images(images: torch.Tensor, name: str = "images") -> None:
    """The guard at the public edge: floating `(B, 3, H, W)`, finite, about [0, 1].

    Raises TypeError for another type, ValueError for a wrong shape or range, with the numbers. Inside `torch.compile`
    values are not looked at.
    """
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(images).__name__}")
    if not images.is_floating_point():
        raise TypeError(
            f"{name} must be floating point in [0, 1], got {images.dtype}; divide 8-bit values by 255"
        )
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ValueError(
            f"{name} must be (B, 3, H, W) RGB with an image and a pixel at least, got {tuple(images.shape)}"
        )
    if torch.compiler.is_compiling():
        return  # a graph does not look at values
    low = float(images.detach().amin())  # torch.aminmax is slow in channels-last layout
    high = float(images.detach().amax())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):  # NaN fails both comparisons
        raise ValueError(f"{name} holds non-finite values (NaN or infinity); minimum {low}, maximum {high}")
    if low < -0.5 or high > 1.5:
        raise ValueError(
            f"{name} must lie in about [0, 1], got [{low:.4g}, {high:.4g}]; divide 8-bit values by 255, "
            "and undo any mean/std normalisation"
        )
