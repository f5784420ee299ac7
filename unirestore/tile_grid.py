"""Where tiles lie, which go together, and how they are blended into a picture again.

OUR ADDITION; part of `tiling.py`. One blending for everything: weights are differences of ramps, so that they sum to
one at every pixel whatever the sizes, and there is no ramp at the border of the picture. Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import torch
from torch import Tensor

from .models.statistics import Box


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
        """A grid of smaller tiles over the same picture, to gather statistics in. Measured on Kodak's photos: many
        to a batch is worth more than few borders, down to six multiples a side, in small tiles four."""
        tile, unit = min(self.tile), self.multiple
        side = min(max(min(3 * tile // 8, max(tile // 4, 6 * unit)), 4 * unit), tile) // unit * unit
        overlap = max(self.multiple, side // 4 // self.multiple * self.multiple)
        return type(self)(*self.size, side, overlap, self.multiple)

    def groups(self, area: int, look: Tensor) -> list[list[tuple[int, int]]]:
        """All tiles in groups of at most `area` in all, each as much like the whole picture as can be.

        Tiles are dealt out one by one, the most unusual first, each to the group whose sum of features stays closest
        to the mean: means and squares of each channel of `look` `(C, s H, s W)`, and of its differences.
        """
        places = list(self)
        count = -(-len(places) // max(1, area // (self.tile[0] * self.tile[1])))
        room = -(-len(places) // count)
        features = self._features(look)
        features = (features - features.mean(0)) / features.std(0, correction=0).clamp_min(1e-6)
        sums, sizes = features.new_zeros(count, features.shape[1]), torch.zeros(count)
        groups: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        for index in features.norm(dim=1).argsort(descending=True, stable=True).tolist():
            change = 2 * sums @ features[index]  # of the squared distance, beside what is equal for all
            change[sizes >= room] = float("inf")
            group = int(change.argmin())
            groups[group].append(places[index])
            sums[group] += features[index]
            sizes[group] += 1
        return [group for group in groups if group]

    def _features(self, look: Tensor) -> Tensor:
        """Of the core of every tile, `(tiles, features)`, weighted by its area."""
        scale = look.shape[1] // self.size[0]
        look = look.detach().float().cpu()  # itself, as a rule
        rows = []
        for place in self:
            top, left, height, width = (
                scale * (start + inside)
                for start, inside in zip((*self.box(*place)[:2], 0, 0), self.core(*place))
            )
            part = look[:, top : top + height + 1, left : left + width + 1]
            slopes = [part.diff(dim=side).abs()[:, :height, :width].sum((1, 2)) for side in (1, 2)]
            part = part[:, :height, :width]
            rows.append(torch.cat([part.sum((1, 2)), part.square().sum((1, 2)), sum(slopes)]))
        return torch.stack(rows)

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
