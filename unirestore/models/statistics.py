"""Statistics of a whole photo while only a part of it passes through the network.

OUR ADDITION; there is no such module in the UniRestore paper. GroupNorm, InstanceNorm and the poolings of channel
attention see the whole picture, so a tile normalised by itself differs from the same pixels in the photo, and two
tiles from each other: a seam. So the photo passes twice. First it passes in small crops, a batch of crops at a time
that together are like the photo: the k-th such layer is normalised with the moments of the whole batch, and notes
them. Crops have cores that part the photo, so that merging the moments of all batches (Chan, Golub and LeVeque,
"Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979) covers each pixel once. Then the
tiles pass, each normalised with the merged moments.

The layers are those of torch and diffusers and stay as they are: `SharedStatistics` is a context that answers for
them (a `TorchFunctionMode`). It lives as long as one call; nothing is kept on a module. Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function_unary

Box = tuple[int, int, int, int]
"""Top, left, height, width."""


class Moments(NamedTuple):
    """Of each channel of each picture, over `pixels` pixels."""

    pixels: float
    mean: Tensor
    """`(B, C)`, float32."""
    variance: Tensor
    """`(B, C)`, float32, not below 0; divided by `pixels`."""

    @classmethod
    def of(cls, x: Tensor, spread: bool = True) -> Moments:
        """Of `(B, C, h, w)`; without `spread` the variance is left out (0)."""
        x = x.float()
        if not spread:
            mean = x.mean((2, 3))
            return cls(x.shape[2] * x.shape[3], mean, torch.zeros_like(mean))
        variance, mean = torch.var_mean(x, (2, 3), correction=0)
        return cls(x.shape[2] * x.shape[3], mean, variance)

    def merge(self, other: Moments) -> Moments:
        """Of both parts together."""
        pixels = self.pixels + other.pixels
        share = other.pixels / pixels
        step = other.mean - self.mean
        return Moments(
            pixels,
            self.mean + share * step,
            (1 - share) * self.variance + share * other.variance + share * (1 - share) * step.square(),
        )

    def by_group(self, groups: int) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel's group, `(B, C)` both: what a GroupNorm divides by."""
        mean, variance = (x.unflatten(1, (groups, -1)) for x in (self.mean, self.variance))  # (B, G, C / G)
        centre = mean.mean(2, keepdim=True)
        spread = variance.mean(2, keepdim=True) + (mean - centre).square().mean(2, keepdim=True)
        return (x.expand_as(mean).flatten(1) for x in (centre, spread))


def normalise(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """`(x - mean) / sqrt(variance + eps) * weight + bias` for `(B, C, ...)`, statistics `(B, C)` in float32 and
    affine `(C,)`; a result of x's type, in one pass."""
    weight, bias = (value if value is None else value.float() for value in (weight, bias))
    result = torch.empty_like(x)
    for b in range(len(x)):
        result[b : b + 1] = F.batch_norm(
            x[b : b + 1], mean[b], variance[b], weight, bias, training=False, eps=eps
        )
    return result


def photo_moments(x: Tensor) -> Moments | None:
    """Of the photo, where `x` `(B, C, h, w)` is what a norm gets of a tile and a `SharedStatistics` knows them; else
    None. For norms that are no `group_norm`, because something is fused with them."""
    if has_torch_function_unary(x):
        return handle_torch_function(photo_moments, (x,), x)
    return None


class SharedStatistics(TorchFunctionMode):
    """While one tile or several crops of a photo pass: answers GroupNorm and global means, in the order in which they
    are asked.

    Args:
        tile: height and width of the tile or of every crop, in any unit.
        cores: the part of the tile, or of each crop, that counts, in the same unit. Batches are crop by crop: K x B.
        known: moments of the photo, one for each layer in order, as another pass noted them; None: each layer
            takes those of the cores.
        noted: a list into which the moments of the cores are merged, layer by layer; None: nothing is noted.

    Raises RuntimeError where the tile passes more layers than `known` has.
    """

    def __init__(
        self,
        tile: tuple[int, int],
        cores: Sequence[Box],
        known: Sequence[Moments] | None = None,
        noted: list[Moments] | None = None,
    ) -> None:
        super().__init__()
        self.tile, self.cores, self.known, self.noted = tile, cores, known, noted
        self.layer = 0

    def __torch_function__(
        self, function: Callable, types: Any, args: Sequence = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is F.group_norm or function is torch.group_norm:
            return self._group_norm(*args, **kwargs)
        if function is photo_moments:
            return self.moments(*args)
        if function is F.adaptive_avg_pool2d and args[1] in (1, (1, 1)):
            return self._mean(args[0], True)
        if function is Tensor.mean and tuple(_dims(args, kwargs)) == (2, 3):
            keep = kwargs.get("keepdim", args[2] if len(args) > 2 else False)
            return self._mean(args[0], keep)
        return function(*args, **kwargs)

    def moments(self, x: Tensor, spread: bool = True) -> Moments:
        """Counts a layer whose input is `x` `(K B, C, ...)`; what it is normalised with, `(K B, C)`."""
        index, self.layer = self.layer, self.layer + 1
        if self.known is not None:
            if index >= len(self.known):
                raise RuntimeError(
                    f"layer {index + 1} of {len(self.known)}: a tile takes another way than those before"
                )
            shared = self.known[index]
        else:
            crops = zip(x.chunk(len(self.cores)), self.cores)
            shared = reduce(Moments.merge, (Moments.of(self._core_of(y, core), spread) for y, core in crops))
            if self.noted is not None:
                if index < len(self.noted):
                    self.noted[index] = self.noted[index].merge(shared)
                else:
                    self.noted.append(shared)
        if len(self.cores) == 1:
            return shared
        return Moments(shared.pixels, *(y.repeat(len(self.cores), 1) for y in shared[1:]))

    def _group_norm(
        self,
        x: Tensor,
        num_groups: int,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
        cudnn_enabled: bool = True,
    ) -> Tensor:
        return normalise(x, *self.moments(x).by_group(num_groups), weight, bias, eps)

    def _mean(self, x: Tensor, keepdim: bool) -> Tensor:
        mean = self.moments(x, spread=False).mean.to(x.dtype)
        return mean[..., None, None] if keepdim else mean

    def _core_of(self, x: Tensor, core: Box) -> Tensor:
        """The core of features `(B, C, h, w)`, or `(B, C, h w)` as attention has them."""
        if x.ndim == 3:
            stride = (self.tile[0] * self.tile[1] / x.shape[2]) ** 0.5
            x = x.unflatten(2, (round(self.tile[0] / stride), -1))
        (top, height), (left, width) = (
            _part(start, length, whole, size)
            for start, length, whole, size in zip(core[:2], core[2:], self.tile, x.shape[2:])
        )
        return x[..., top : top + height, left : left + width]


def _part(start: int, length: int, whole: int, size: int) -> tuple[int, int]:
    """`start` and `length` of `whole`, scaled to `size`; a pixel at least."""
    first = min(start * size // whole, size - 1)
    return first, max(1, -(-(start + length) * size // whole) - first)


def _dims(args: Sequence, kwargs: dict) -> Sequence[int]:
    dims = args[1] if len(args) > 1 else kwargs.get("dim", ())
    return dims if isinstance(dims, (tuple, list)) else (dims,)
