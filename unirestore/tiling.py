"""Restores photos of any size in bounded memory: the whole path in tiles.

OUR ADDITION; the authors' code has no tiling. Each stage runs over tiles of its own, and what it leaves is put
together before the next begins, so that the next one sees the photo and not a tile:

    1. encoder at large resolution (down blocks 0-2, CFRM 0 and 1), in tiles           -> two skips, features at H/8
    2. the rest of the encoder and CFRM, at H/8, in wide tiles                          -> third skip, latent
    3. the prior, on the latent, in wide tiles; noise is the photo's, cropped           -> restored latent
    4. the start of the decoder, at H/8, in wide tiles                                  -> features at H/8
    5. TFA's gates, which pool the whole skips, strip by strip: exact
    6. the rest of the decoder and what follows it, in tiles                            -> picture

Wide tiles have 96 latents a side, or the tile's size where that is more: a photo of up to 768 pixels a side passes
stages 2 to 4 whole, self-attention and the deep receptive fields see no seam at all. What is left to share
between tiles are the GroupNorms and poolings inside of a stage, see `models/statistics.py`. Where memory goes is in
`tile_memory.py`. Apache-2.0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from fractions import Fraction
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from .models.sizes import check_images, pad_to, round_up, shrink
from .models.statistics import Box, Moments, SharedStatistics, normalise
from .models.tfa import border_sums
from .models.unirestore import LATENT_STRIDE, UniRestore
from .tile_memory import WIDE, choose_tile, memory_needed

__all__ = ["choose_tile", "memory_needed", "restore_tiled"]

STATISTICS = ("global", "tile")

CROPS = 4
"""Crops along the side of a tile, when statistics are gathered."""
SMALLEST_CROP = 4
"""Its side, in multiples of the grid."""

Stage = Callable[[Sequence[Box]], Sequence[Tensor]]
"""K boxes of the photo, all of one size -> features of them, `(K B, C, height / stride, width / stride)` each."""


# -------------------------------------------------------------------- where tiles lie, and how they are blended


def tile_starts(length: int, tile: int, overlap: int, multiple: int = 1) -> list[int]:
    """Where tiles begin along a side: multiples of `multiple`, evenly spread, the first at 0, the last ending at
    `length`; neighbours share `overlap` at least. All four are multiples of `multiple`, `overlap < tile`."""
    if tile >= length:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [(length - tile) * k // ((count - 1) * multiple) * multiple for k in range(count)]


def middles(starts: Sequence[int], tile: int, length: int) -> list[float]:
    """Borders between the tiles along a side, one more than there are tiles: 0, the middles of what neighbours
    share, `length`."""
    return [0, *((a + tile + b) / 2 for a, b in pairwise(starts)), length]


def ramp(
    start: int,
    tile: int,
    borders: Sequence[float],
    width: int,
    stride: Fraction | int,
    ends: tuple[bool, bool],
) -> Tensor:
    """Weights of a tile along a side, `(tile / stride,)` float32 in [0, 1]; those of all tiles sum to one.

    They rise linearly over `width` around the lower of its two borders and fall around the upper one, but stay 1 up
    to the border of the picture (`ends`).
    """
    at = (torch.arange(int(tile / stride)) + 0.5) * float(stride) + start  # centres of the pixels
    rise, fall = ((0.5 + (at - border) / max(width, 1)).clamp(0, 1) for border in borders)
    return (torch.ones_like(at) if ends[0] else rise) - (torch.zeros_like(at) if ends[1] else fall)


class Grid:
    """Tiles over a picture of `height` x `width`; lengths and positions are multiples of `multiple`."""

    def __init__(self, height: int, width: int, tile: int, overlap: int, multiple: int = 1) -> None:
        self.size = (height, width)
        self.tile = (min(tile, height), min(tile, width))
        self.overlap, self.multiple = overlap, multiple
        self.starts, self.borders = [], []
        for length, side in zip(self.size, self.tile):
            starts = tile_starts(length, side, overlap, multiple)
            self.starts.append(starts)
            self.borders.append(middles(starts, side, length))

    def __len__(self) -> int:
        return len(self.starts[0]) * len(self.starts[1])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Row and column of every tile, row by row."""
        return ((row, column) for row in range(len(self.starts[0])) for column in range(len(self.starts[1])))

    def box(self, row: int, column: int) -> Box:
        """Where a tile lies."""
        return (self.starts[0][row], self.starts[1][column], *self.tile)

    def core(self, row: int, column: int) -> Box:
        """The part of a tile that is nobody else's, relative to the tile."""
        place, size = [], []
        for starts, borders, index in zip(self.starts, self.borders, (row, column)):
            first, last = (
                int(border) // self.multiple * self.multiple for border in borders[index : index + 2]
            )
            place.append(first - starts[index])
            size.append(last - first)
        return (*place, *size)

    def crops(self) -> Grid:
        """A grid of smaller tiles over the same picture, for `gather`."""
        side = max(min(self.tile) // CROPS, SMALLEST_CROP * self.multiple) // self.multiple * self.multiple
        overlap = max(self.multiple, side // 4 // self.multiple * self.multiple)
        return type(self)(*self.size, side, overlap, self.multiple)

    def groups(self, area: int) -> list[list[tuple[int, int]]]:
        """All tiles, in groups of about `area` in all, each from all over the picture."""
        rows, columns = len(self.starts[0]), len(self.starts[1])
        share = (
            max(1.0, len(self) * self.tile[0] * self.tile[1] / area) ** 0.5
        )  # tiles to take one of, a side
        down, across = (min(math.ceil(share), count) for count in (rows, columns))
        return [
            [(row, column) for row in range(y, rows, down) for column in range(x, columns, across)]
            for y in range(down)
            for x in range(across)
        ]

    def weights(self, side: int, index: int, stride: Fraction) -> Tensor:
        """`ramp` of a tile along the height (0) or the width (1)."""
        starts, borders = self.starts[side], self.borders[side]
        ends = index == 0, index == len(starts) - 1
        return ramp(
            starts[index], self.tile[side], borders[index : index + 2], self.overlap // 2, stride, ends
        )


class Canvas:
    """Where the tiles of a picture are blended: float32 for the row of tiles at work, the wanted type for the rest.

    Args: `grid`; `stride`: units of the grid to a pixel of this picture. Tiles come in the order of the grid.
    """

    def __init__(self, grid: Grid, stride: Fraction | int) -> None:
        self.grid, self.stride = grid, Fraction(stride)
        self.picture = self.strip = None
        self.row = 0

    def add(self, row: int, column: int, x: Tensor) -> None:
        """A tile `(B, C, h, w)`; at the lower and right border it may be cut short."""
        height, width = (int(length / self.stride) for length in self.grid.size)
        if self.picture is None:
            self.picture = x.new_empty(*x.shape[:2], height, width)
            tall = int(self.grid.tile[0] / self.stride)
            self.strip = x.new_zeros(*x.shape[:2], tall, width, dtype=torch.float32)
        if row > self.row:
            self._flush(self.grid.starts[0][row] - self.grid.starts[0][self.row])
            self.row = row
        left = int(self.grid.starts[1][column] / self.stride)
        down, across = (
            self.grid.weights(side, index, self.stride)[:length].to(x.device)
            for side, index, length in zip((0, 1), (row, column), x.shape[2:])
        )
        part = self.strip[..., : x.shape[2], left : left + x.shape[3]]
        part += x.float() * (down[:, None] * across)

    def finish(self) -> Tensor:
        """The picture `(B, C, height / stride, width / stride)`, of the tiles' type."""
        self._flush(self.grid.tile[0])
        self.strip = None
        return self.picture

    def _flush(self, units: int) -> None:
        """The upper part of the strip is complete: moves on by so much."""
        rows = int(units / self.stride)
        top = int(self.grid.starts[0][self.row] / self.stride)
        self.picture[..., top : top + rows, :] = self.strip[..., :rows, :]
        kept = self.strip[..., rows:, :].clone()
        self.strip[..., : kept.shape[2], :] = kept
        self.strip[..., kept.shape[2] :, :] = 0


# -------------------------------------------------------------------- one stage


def run_stage(stage: Stage, grid: Grid, strides: Sequence[Fraction | int], statistics: str) -> list[Tensor]:
    """Runs a stage over the tiles of a grid and blends what it gives; its outputs have these `strides`."""
    known = gather(stage, grid) if statistics == "global" and len(grid) > 1 else None
    canvases = [Canvas(grid, stride) for stride in strides]
    for row, column in grid:
        with SharedStatistics(grid.tile, [grid.core(row, column)], known=known) if known else nullcontext():
            outputs = stage([grid.box(row, column)])
        for canvas, x in zip(canvases, outputs, strict=True):
            canvas.add(row, column, x)
        del outputs
    return [canvas.finish() for canvas in canvases]


def gather(stage: Stage, grid: Grid) -> list[Moments]:
    """The statistics of the whole picture, layer by layer. All of it passes in small crops, at a time as many
    as have a tile's area, from all over the picture; each such group is normalised with its own moments."""
    noted: list[Moments] = []
    crops = grid.crops()
    for group in crops.groups(grid.tile[0] * grid.tile[1]):
        with SharedStatistics(crops.tile, [crops.core(*place) for place in group], noted=noted):
            stage([crops.box(*place) for place in group])
    return noted


# -------------------------------------------------------------------- the whole path


@torch.no_grad()
def restore_tiled(
    model: UniRestore,
    images: Tensor,
    task: str = "ir",
    *,
    tile: int,
    overlap: int | None = None,
    statistics: str = "global",
    noise: Tensor | float | None = None,
    generator: torch.Generator | None = None,
    num_inference_steps: int = 1,
    candidates: Tensor | None = None,
) -> Tensor:
    """As `model(images, task)`, in memory that is bounded by the tile.

    Args:
        images: `(B, 3, H, W)` RGB in [0, 1], any size from 1x1 up.
        task: one of the model's tasks.
        tile: side of a tile in pixels, 64 at least (times `working_scale`); rounded down to a multiple of 8 (times
            `working_scale`). A photo that one tile covers is restored whole, exactly as by the model.
        overlap: what neighbours share at least, in pixels, at most half a tile; rounded down likewise. Default: a
            quarter.
        statistics: `"global"`: tiles pass twice, first to gather the photo's statistics; `"tile"`: each tile is
            normalised by itself, in half the time, and brightness may differ from tile to tile.
        noise, generator, num_inference_steps, candidates: as for the model; noise is that of the whole photo.

    Returns:
        `(B, 3, H, W)` RGB, about [0, 1], not clamped; without gradient.

    Raises ValueError for a tile, overlap or statistics that cannot be used; TypeError or ValueError as the model.
    """
    if statistics not in STATISTICS:
        raise ValueError(f"statistics must be one of {', '.join(STATISTICS)}, got {statistics!r}")
    check_images(images)
    model._check_task(task)
    scale = model._scale(None)
    tile, overlap = _check_tile(tile, overlap, LATENT_STRIDE * scale)
    height, width = images.shape[-2:]
    size = tuple(round_up(-(-length // scale), model.size_multiple) for length in (height, width))
    if max(size) <= tile // scale:
        return model(
            images,
            task,
            generator=generator,
            noise=noise,
            num_inference_steps=num_inference_steps,
            candidates=candidates,
        )
    grid = Grid(*size, tile // scale, overlap // scale, LATENT_STRIDE)
    low = _low_grid(size, tile // scale, model.prior.size_multiple)

    seen = _Seen(model, images, candidates, size, scale)
    latent, skips = _encode(model, seen.small[0], grid, low, statistics, generator)
    if scale > 1 and isinstance(noise, Tensor) and noise.ndim == 4:
        noise = scale * shrink(noise, scale)  # as UniRestore.forward
    noise = model._noise(latent, noise, generator)

    def denoise(boxes: Sequence[Box]) -> list[Tensor]:
        return [model.denoise(_crop(latent, boxes), _crop(noise, boxes), None, num_inference_steps)]

    (latent,) = run_stage(
        denoise,
        low,
        [1],
        statistics,
    )
    (x,) = run_stage(lambda boxes: [_begin(model, _crop(latent, boxes))], low, [1], statistics)
    gates = _gates(model, skips, task, grid)
    return _ascend(model, x, skips, gates, task, seen, grid, scale, statistics)[..., :height, :width]


class _Seen:
    """The photo and its candidates, at full size and as the network sees them: shrunken and padded."""

    def __init__(
        self,
        model: UniRestore,
        images: Tensor,
        candidates: Tensor | None,
        size: tuple[int, int],
        scale: int,
    ) -> None:
        self.full = [images.to(model.dtype)]  # (B, 3, H, W) each
        if model.fusion is not None:
            candidates = model.stack_candidates(images) if candidates is None else candidates
            model._check_candidates(candidates, images)
            self.full += [x.to(model.dtype) for x in candidates.unbind(1)]
        self.small = [pad_to(shrink(x, scale), *size) for x in self.full]  # (B, 3, 8h, 8w) each


def _encode(
    model: UniRestore,
    padded: Tensor,
    grid: Grid,
    low: Grid,
    statistics: str,
    generator: torch.Generator | None,
) -> tuple[Tensor, list[Tensor]]:
    """Latent and skips of the whole padded picture, as `UniRestore.encode`."""
    encoder = model.vae.encoder

    def descend(boxes: Sequence[Box]) -> list[Tensor]:
        x, skips = encoder.descend(2 * _crop(padded, boxes) - 1, model.cfrm)
        return [x, *skips]

    x, *skips = run_stage(descend, grid, (8, 2, 4), statistics)

    def finish(boxes: Sequence[Box]) -> list[Tensor]:
        moments, (skip,) = encoder.finish(_crop(x, boxes), repair=model.cfrm)
        return [model.vae.quant_conv(moments), skip]

    moments, skip = run_stage(finish, low, (1, 1), statistics)
    return model._latent(moments, generator), [*skips, skip]


def _begin(model: UniRestore, latent: Tensor) -> Tensor:
    return model.vae.decoder.begin(model.vae.post_quant_conv(latent / model.config.scaling_factor))


def _gates(model: UniRestore, skips: Sequence[Tensor], task: str, grid: Grid) -> list[Tensor]:
    """TFA's output gates `(B, C, 1, 1)`, one for each up block that has one."""
    gates = []
    if len(model.tfa):
        prompt = model.prompts[task].expand(len(skips[0]), -1, -1)
        for module, skip in zip(model.tfa, reversed(skips)):
            gate, prompt = module.steer(_pool(module.gates, skip, grid), prompt)
            gates.append(gate)
    return gates


def _pool(gates: Sequence[torch.nn.Module], skip: Tensor, grid: Grid) -> list[Tensor]:
    """Each gate of the instance-normalised skip, in strips of as many pixels as a tile has."""
    height, width = skip.shape[2:]
    stride = grid.size[0] // height
    rows = max(1, grid.tile[0] * grid.tile[1] // (stride * grid.size[1]))
    moments = Moments.of(skip[..., :rows, :])
    for top in range(rows, height, rows):
        moments = moments.merge(Moments.of(skip[..., top : top + rows, :]))
    sums = [None] * len(gates)
    for top in range(0, height, rows):
        above = min(top, 1)
        part = skip[..., top - above : top + rows + 1, :]
        part = normalise(part, moments.mean, moments.variance)
        for k, gate in enumerate(gates):
            y = F.gelu(gate.conv1(part))[..., above : above + min(rows, height - top), :]
            strip = border_sums(y.float())
            sums[k] = strip if sums[k] is None else torch.stack((sums[k][0] + strip[0], sums[k][1], strip[2]))
    return [gate.finish(x.to(skip.dtype), height * width) for gate, x in zip(gates, sums)]


def _ascend(
    model: UniRestore,
    x: Tensor,
    skips: Sequence[Tensor],
    gates: Sequence[Tensor],
    task: str,
    seen: _Seen,
    grid: Grid,
    scale: int,
    statistics: str,
) -> Tensor:
    """The up blocks and what makes the picture; the padding is still on it."""
    prompt = model.prompts[task].expand(len(x), -1, -1) if gates else None

    def stage(boxes: Sequence[Box]) -> list[Tensor]:
        def adapt(level: int, features: Tensor) -> Tensor:
            skip = _crop(skips[-1 - level], boxes, Fraction(1, LATENT_STRIDE >> level))
            return model.tfa[level].adapt(features, skip, gates[level].repeat(len(boxes), 1, 1, 1))

        start = _crop(x, boxes, Fraction(1, LATENT_STRIDE))
        features, _ = model.vae.decoder.ascend(start, adapt if gates else None)
        if model.fusion is None:
            return [model._own_picture(features)]
        full, small = [_crop(y, boxes, scale) for y in seen.full], [_crop(y, boxes) for y in seen.small]
        own = None if prompt is None else prompt.repeat(len(boxes), 1, 1)
        return [model._fuse(features, own, full, small, scale)]

    (picture,) = run_stage(stage, grid, [Fraction(1, scale)], statistics)
    return picture


def _crop(x: Tensor, boxes: Sequence[Box], factor: Fraction | int = 1) -> Tensor:
    """Boxes of `x`, which has `factor` pixels to a unit, one after the other: `(K B, C, h, w)`. A single box is
    cut short where x ends; several are continued to one size."""
    crops = []
    for box in boxes:
        top, left, height, width = (int(length * factor) for length in box)
        crops.append(x[..., top : top + height, left : left + width])
    return crops[0] if len(crops) == 1 else torch.cat([pad_to(crop, height, width) for crop in crops])


def _low_grid(size: tuple[int, int], tile: int, multiple: int) -> Grid:
    """The wide tiles, in latents; see the header."""
    tile = tile // LATENT_STRIDE
    wide = max(tile, WIDE) // multiple * multiple
    overlap = max(multiple, wide // 8 // multiple * multiple)
    return Grid(*(length // LATENT_STRIDE for length in size), wide, overlap, multiple)


def _check_tile(tile: int, overlap: int | None, multiple: int) -> tuple[int, int]:
    """Both rounded down to `multiple`."""
    if tile < 8 * multiple:
        raise ValueError(f"tile must be at least {8 * multiple} pixels for this model, got {tile}")
    tile = tile // multiple * multiple
    if overlap is None:
        overlap = max(tile // 4, multiple)
    elif not multiple <= overlap <= tile // 2:
        raise ValueError(
            f"overlap must be {multiple} to {tile // 2} pixels for tiles of {tile}, got {overlap}"
        )
    return tile, overlap // multiple * multiple
