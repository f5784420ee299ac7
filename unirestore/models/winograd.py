"""3x3 convolutions by Winograd's minimal filtering, with norm and SiLU put in on the way, for inference on a CPU.

Paper: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, arXiv 1509.09308, F(4x4, 3x3):
per 4x4 outputs 36 products in place of 144,

    Y = A' [(G g G') * (B' d B)] A      d: a 6x6 patch of the input, g: the 3x3 filter, *: elementwise

the products summed over input channels, that is 36 matrix products. G g G' is computed in float64 and takes four
times the memory of the filters; it is kept for the next call or made anew in each, see `filters_kept`. A CPU is bound
by memory here, not by arithmetic, so the picture goes through in strips of a few rows of patches that stay in the
cache, and what else would read and write the whole picture is done on the strip as well: the affine of a GroupNorm and
SiLU before, bias and residual behind, and the sums of the next GroupNorm. Results differ from a direct convolution by
rounding, about 3e-6 relative in float32.

Ours: a picture that is enlarged twofold by nearest neighbour and then convolved need not be enlarged. Along a side
the patch is (a, b, b, c, c, e), for which the third of the six values of B' d is zero: 25 products in place of 36, and
patches are made from a quarter of the pixels.
Written from the paper; Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .statistics import Moments

TILE = 4
"""Side of the outputs of one patch; the patch has 6, two more."""
STRIP_ELEMENTS = 1_500_000
"""Transformed values of a strip, about 5 MB in float32: what stays in the cache."""
FILTER_ELEMENTS = 100_000
"""Values of filters that are transformed at a time, 0.8 MB in float64."""

_G = torch.tensor(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64
).div(24)


def moments_of_rows(x: Tensor) -> Moments:
    """Moments of `(B, H, W, C)`, contiguous; a few rows at a time, so that the squares stay in the cache."""
    batch, height, width, channels = x.shape
    sums = x.new_zeros(2, batch, channels, dtype=torch.float64)
    for b in range(batch):
        for part in x[b].split(max(1, STRIP_ELEMENTS // (4 * width * channels))):
            flat = part.flatten(0, 1)
            sums[0, b] += flat.sum(0)
            sums[1, b] += flat.square().sum(0)
    return _moments(sums[0], sums[1], height * width)


def _moments(total: Tensor, squares: Tensor, pixels: int) -> Moments:
    """From sums over the pixels, float64 `(B, C)`."""
    mean = total / pixels
    variance = (squares / pixels - mean.square()).clamp_min(0)
    return Moments(pixels, mean, variance)


def transform_filters(weight: Tensor, enlarge: bool = False) -> Tensor:
    """`(Co, Ci, 3, 3)` -> `(36, Ci, Co)` of the same type: G g G', computed in float64; `(25, Ci, Co)` where
    `enlarge`, those whose products are not zero."""
    g = _G if not enlarge else _G[[0, 1, 3, 4, 5]]
    both = torch.kron(g, g).to(weight.device)  # (36, 9), or (25, 9)
    wanted, channels = weight.shape[:2]
    out = weight.new_empty(len(both), channels, wanted)
    step = max(
        1, FILTER_ELEMENTS // (len(both) * wanted)
    )  # input channels at a time, so that float64 stays small
    weight = weight.detach()

    def work(numbers: Iterator[int]) -> None:
        for n in numbers:
            part = slice(n * step, (n + 1) * step)
            rows = weight[:, part].permute(2, 3, 1, 0).double().reshape(9, -1)
            out[:, part] = (both @ rows).view(len(both), -1, wanted)

    share_out(work, -(-channels // step))
    return out


def conv3x3(
    x: Tensor,
    filters: Tensor,
    bias: Tensor | None = None,
    *,
    affine: tuple[Tensor, Tensor] | None = None,
    residual: Tensor | None = None,
    overwrite: bool = False,
    moments: bool = False,
    enlarge: bool = False,
) -> tuple[Tensor, Moments | None]:
    """A 3x3 convolution of stride 1, zero-padded by 1, without gradients.

    Args:
        x: `(B, H, W, Ci)`, contiguous.
        filters: `(36, Ci, Co)` of `transform_filters`.
        bias: `(Co,)` or `(B, Co)`.
        affine: scale and shift, `(B, Ci)` each: the input becomes `silu(x * scale + shift)` first, its padding zero.
        residual: `(B, H, W, Co)`, added to the result.
        overwrite: the result is written over `residual` and takes no memory of its own.
        moments: give the moments of the result too, float64, for the norm that follows.
        enlarge: convolve x enlarged to `(B, 2H, 2W, Ci)` by nearest neighbour; `filters` are
            `transform_filters(weight, enlarge=True)`.

    Returns:
        `(B, H, W, Co)`, or `(B, 2H, 2W, Co)` where `enlarge`, and its `Moments` or None.
    """
    batch, height, width, channels = x.shape
    wanted, step = filters.shape[2], TILE
    if enlarge:
        height, width, step = 2 * height, 2 * width, TILE // 2
    down, across = -(-height // TILE), -(-width // TILE)  # patches
    rows = min(down, max(1, STRIP_ELEMENTS // (36 * across * max(channels, wanted))))
    starts = [(b, TILE * first) for b in range(batch) for first in range(0, down, rows)]
    out = residual if overwrite else x.new_empty(batch, height, width, wanted)
    sums = x.new_zeros(len(starts), 2, wanted) if moments else None

    def work(strips: Iterator[int]) -> None:
        scratch = _Scratch(x, rows, across, wanted, enlarge)
        for n in strips:
            b, top = starts[n]
            bottom = min(top + TILE * rows, height)
            scratch.fill(
                x[b], top * step // TILE - 1, None if affine is None else (affine[0][b], affine[1][b])
            )
            y = scratch.convolve(filters)[: bottom - top, :width]
            if bias is not None:
                y += bias if bias.ndim == 1 else bias[b]
            part = out[b, top:bottom]
            if residual is None:
                part.copy_(y)
            else:
                torch.add(y, residual[b, top:bottom], out=part)
            if sums is not None:
                flat = part.flatten(0, 1)
                torch.sum(flat, 0, out=sums[n, 0])
                torch.sum(flat.square(), 0, out=sums[n, 1])

    share_out(work, len(starts))
    if sums is None:
        return out, None
    total, squares = sums.double().view(batch, -1, 2, wanted).sum(1).unbind(1)
    return out, _moments(total, squares, height * width)


class _Scratch:
    """What one thread needs for a strip of `rows` x `across` patches; used again for the next strip."""

    def __init__(self, x: Tensor, rows: int, across: int, wanted: int, enlarge: bool) -> None:
        channels, products = x.shape[3], 5 if enlarge else 6
        self.rows, self.across, self.enlarge = rows, across, enlarge
        self.step = TILE // 2 if enlarge else TILE  # from one patch to the next in x
        width = self.step * across + 2
        self.strip = x.new_zeros(self.step * rows + 2, width, channels)
        self.half = x.new_empty(products, rows, width, channels)  # B' d
        self.patches = x.new_empty(products, products, rows, across, channels)  # B' d B
        self.products = x.new_empty(products, products, rows, across, wanted)  # m
        self.half_out = x.new_empty(TILE, products, rows, across, wanted)  # A' m
        self.out = x.new_empty(rows, TILE, across, TILE, wanted)  # A' m A
        self.spare = x.new_empty(
            3, max(products * rows * across * max(channels, wanted), rows * width * channels)
        )

    def fill(self, x: Tensor, start: int, affine: tuple[Tensor, Tensor] | None) -> None:
        """Rows from `start` of `x` `(H, W, C)` into the strip, zero outside of the picture."""
        height, width, _ = x.shape
        low, high = max(start, 0), min(start + self.strip.shape[0], height)
        self.strip[: low - start].zero_()
        self.strip[high - start :].zero_()
        inside = self.strip[low - start : high - start, 1 : width + 1]
        if affine is None:
            inside.copy_(x[low:high])
        else:
            torch.addcmul(affine[1], x[low:high], affine[0], out=inside)
            F.silu(inside, inplace=True)

    def convolve(self, filters: Tensor) -> Tensor:
        """The strip `(step rows + 2, step across + 2, Ci)`, convolved: `(4 rows, 4 across, Co)`."""
        products, channels, wanted = filters.shape
        flat = self.rows * self.across
        to_patches = self._enlarged_to_patches if self.enlarge else self._to_patches
        to_patches(self._slices(self.strip, self.rows, 0), self.half.unbind(0))
        to_patches(self._slices(self.half, self.across, 2), self.patches.unbind(1))
        torch.bmm(
            self.patches.view(products, flat, channels),
            filters,
            out=self.products.view(products, flat, wanted),
        )
        self._from_patches(self.products.unbind(0), self.half_out.unbind(0))
        places = [self.out[:, :, :, k].transpose(0, 1) for k in range(TILE)]
        self._from_patches(self.half_out.unbind(1), places)
        return self.out.view(TILE * self.rows, TILE * self.across, wanted)

    def _slices(self, x: Tensor, count: int, dim: int) -> list[Tensor]:
        """Pixel k of every patch along `dim`, one view for each k."""
        every = (slice(None),) * dim + (slice(None, None, self.step),)
        return [x.narrow(dim, k, self.step * (count - 1) + 1)[every] for k in range(self.step + 2)]

    def _spares(self, like: Tensor) -> list[Tensor]:
        return [spare[: like.numel()].view(like.shape) for spare in self.spare]

    def _to_patches(self, d: list[Tensor], out: tuple[Tensor, ...]) -> None:
        """B' along one side: six slices in, six out."""
        even, odd, other = self._spares(d[0])
        torch.sub(d[4], d[2], alpha=4, out=even)
        torch.sub(d[3], d[1], alpha=4, out=odd)
        torch.add(even, odd, out=out[1])
        torch.sub(even, odd, out=out[2])
        torch.sub(d[4], d[2], out=even)
        torch.sub(d[3], d[1], out=odd)
        torch.add(even, odd, alpha=2, out=out[3])
        torch.sub(even, odd, alpha=2, out=out[4])
        torch.add(even, torch.sub(d[0], d[2], out=other), alpha=4, out=out[0])
        torch.sub(torch.sub(d[5], d[3], out=other), odd, alpha=4, out=out[5])

    def _enlarged_to_patches(self, d: list[Tensor], out: tuple[Tensor, ...]) -> None:
        """The same for (a, b, b, c, c, e): four slices in, five out, the third left out."""
        a, b, c, e = d
        slope, other, _ = self._spares(a)
        torch.sub(c, b, out=slope)
        torch.add(torch.sub(slope, b, alpha=4, out=other), a, alpha=4, out=out[0])  # 4a - 5b + c
        torch.sub(c, b, alpha=4, out=out[1]).mul_(2)  # 2c - 8b
        torch.mul(slope, 3, out=out[2])  # 3c - 3b
        torch.neg(slope, out=out[3])  # b - c
        torch.sub(torch.sub(e, c, out=other), slope, alpha=4, out=out[4])  # 4b - 5c + e

    def _from_patches(self, m: tuple[Tensor, ...], out: list[Tensor]) -> None:
        """A' along one side: six slices (of an enlarged picture five) in, four out."""
        one, two, other = self._spares(m[0])
        if self.enlarge:
            first, third, fourth, last = m[1:]
            plus = minus = first
        else:
            first, second, third, fourth, last = m[1:]
            plus = torch.add(first, second, out=one)
        torch.add(third, fourth, out=two)
        torch.add(plus, two, alpha=4, out=out[2])
        torch.add(torch.add(plus, two, out=other), m[0], out=out[0])
        if not self.enlarge:
            minus = torch.sub(first, second, out=one)
        torch.sub(third, fourth, out=two)
        torch.add(minus, two, alpha=2, out=out[1])
        torch.add(torch.add(minus, last, out=other), two, alpha=8, out=out[3])


def share_out(work: Callable[[Iterator[int]], None], count: int) -> None:
    """Calls `work` in as many threads as torch has, each with numbers below `count` that no other gets.

    Inside, torch runs in one thread: two strips side by side do not wait for each other, as the threads inside
    each small operation would.
    """
    numbers, threads = iter(range(count)), min(torch.get_num_threads(), count)
    if threads == 1:
        return work(numbers)
    inference = torch.is_inference_mode_enabled()

    def inside(_: int) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(numbers)

    list(_threads(torch.get_num_threads()).map(inside, range(threads)))


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    """One pool for all layers, however many strips they have."""
    return ThreadPoolExecutor(count, "winograd", initializer=torch.set_num_threads, initargs=(1,))


_KEEPS: ContextVar[bool] = ContextVar("keeps", default=True)


@contextmanager
def filters_kept(model: nn.Module, keep: bool) -> Iterator[None]:
    """While it lasts, and in this thread, transformed filters are kept once they are made, as they are outside of it,
    or (not `keep`) made for one use and let go, as are at once those that `model` holds.

    To make them costs a tenth to a quarter of a convolution of 64 x 64 positions, and for fewer than that they are then
    not made at all. What is computed is the same up to rounding.
    """
    if not keep:
        for module in model.modules():
            if isinstance(module, Filters):
                module.transformed = None
    before = _KEEPS.set(keep)
    try:
        yield
    finally:
        _KEEPS.reset(before)


class Filters(nn.Module):
    """Transformed filters of a convolution, `filters() -> (36, Ci, Co)`, made when they are first needed and kept where
    `filters_kept` says so."""

    def __init__(self, conv: nn.Conv2d, enlarge: bool = False) -> None:
        super().__init__()
        self.weight, self.enlarge = conv.weight, enlarge
        self.register_buffer("transformed", None, persistent=False)

    def forward(self) -> Tensor:
        if self.transformed is not None:
            return self.transformed
        made = transform_filters(self.weight, self.enlarge)
        if _KEEPS.get():
            self.transformed = made
        return made

    def size(self) -> int:
        """Bytes of the transformed filters."""
        return (25 if self.enlarge else 36) * self.weight.numel() // 9 * self.weight.element_size()


class WinogradConv2d(nn.Module):
    """An `nn.Conv2d` of 3x3, stride 1, padding 1; `(B, Ci, H, W) -> (B, Co, H, W)`.

    Shares the convolution's parameters and is it where Winograd does not pay.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        if not fits(conv):
            raise ValueError(f"Winograd takes dense 3x3 convolutions of stride 1 and padding 1, not {conv}")
        self.weight, self.bias = conv.weight, conv.bias
        self.filters = Filters(conv)

    def forward(self, x: Tensor) -> Tensor:
        if not pays(x):
            return F.conv2d(x, self.weight, self.bias, padding=1)
        y, _ = conv3x3(x.permute(0, 2, 3, 1).contiguous(), self.filters(), self.bias)
        return y.permute(0, 3, 1, 2)


SMALLEST, SMALLEST_ANEW = 32 * 32, 64 * 64
"""Pixels below which the direct convolution is as fast: where filters are kept, and where they are made anew."""


def pays(x: Tensor) -> bool:
    """Whether `conv3x3` is of use for features `(B, C, H, W)`: large enough, float32, on a CPU, no gradient asked."""
    large = x.shape[-2] * x.shape[-1] >= (SMALLEST if _KEEPS.get() else SMALLEST_ANEW)
    return large and x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_grad_enabled()


def fits(conv: nn.Module) -> bool:
    """Whether a module is a convolution that `WinogradConv2d` computes."""
    return (
        isinstance(conv, nn.Conv2d)
        and conv.kernel_size == (3, 3)
        and conv.stride == (1, 1)
        and conv.padding == (1, 1)
        and conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
    )
