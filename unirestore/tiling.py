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

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from .models.sizes import check_images, pad_to, round_up, shrink
from .models.statistics import Box, Moments, SharedStatistics, normalise
from .models.tfa import border_sums
from .models.unirestore import LATENT_STRIDE, UniRestore, noise_seen
from .models.winograd import filters_kept
from .tile_grid import Canvas, Grid
from .tile_memory import WIDE, choose_tile, hand_back, keeps_filters, memory_needed

__all__ = ["choose_tile", "keeps_filters", "memory_needed", "restore_tiled"]

STATISTICS = ("global", "tile")

Stage = Callable[[int, Sequence[Box]], Sequence[Tensor]]
"""Number of a photo, and K boxes of it, all of one size -> features of them, `(K, C, height / stride, width / stride)`
each."""

Check = Callable[..., object]
"""Called with "encode", "denoise" or "decode" and what that stage leaves, to look at it; see `restore_tiled`."""


# -------------------------------------------------------------------- one stage


def run_stage(
    stage: Stage, grid: Grid, strides: Sequence[Fraction | int], batch: int = 1, look: Tensor | None = None
) -> list[Tensor]:
    """Runs a stage over the tiles of each of `batch` photos and blends what it gives; its outputs have these `strides`.

    `look`: the photos `(B, C, H, W)`, by which crops are grouped to gather their statistics; None: each tile has
    its own. What was freed before goes back to the system, see `hand_back`.
    """
    pictures = []
    for photo in range(batch):
        hand_back()
        known = None if look is None or len(grid) == 1 else gather(stage, grid, photo, look[photo])
        hand_back()
        canvases = [Canvas(grid, stride) for stride in strides]
        for row, column in grid:
            with SharedStatistics(grid.tile, [grid.core(row, column)], known) if known else nullcontext():
                outputs = stage(photo, [grid.box(row, column)])
            for canvas, x in zip(canvases, outputs, strict=True):
                canvas.add(row, column, x)
            del outputs
        pictures.append([canvas.finish() for canvas in canvases])
    return pictures[0] if batch == 1 else [torch.cat(photos) for photos in zip(*pictures)]


def gather(stage: Stage, grid: Grid, photo: int, look: Tensor) -> list[Moments]:
    """The statistics of a whole photo, layer by layer. All of it passes in small crops, at a time as many as have a
    tile's area; each such group is like the photo (`look`, `(C, H, W)`) and is normalised with its own moments."""
    noted: list[Moments] = []
    crops = grid.crops()
    for group in crops.groups(grid.tile[0] * grid.tile[1], look):
        with SharedStatistics(crops.tile, [crops.core(*place) for place in group], noted=noted):
            stage(photo, [crops.box(*place) for place in group])
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
    check: Check | None = None,
) -> Tensor:
    """As `model(images, task)`, in memory that is bounded by the tile. An accelerated network lets its transformed
    filters go and makes them for each use, see `models.winograd.filters_kept`.

    Args:
        images: `(B, 3, H, W)` RGB in [0, 1], any size from 1x1 up.
        task: one of the model's tasks.
        tile: side of a tile in pixels, 64 at least (times `working_scale`); rounded down to a multiple of 8 (times
            `working_scale`). A photo that one tile covers is restored whole, exactly as by the model.
        overlap: what neighbours share at least, in pixels, at most half a tile; rounded down likewise. Default: a
            quarter.
        statistics: `"global"`: the photo passes twice, first to gather its statistics; `"tile"`: each tile is
            normalised by itself, in half the time, and brightness may differ from tile to tile.
        noise, generator, num_inference_steps, candidates: as for the model; noise is that of the whole photo.
        check: called as `check(stage, *values)` with what each of "encode", "denoise" and "decode" makes of a tile, or
            of the whole photo; what it raises ends the call.

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
            check=check,
        )
    grid = Grid(*size, tile // scale, overlap // scale, LATENT_STRIDE)
    low = _low_grid(size, tile // scale, model.prior.size_multiple)
    with filters_kept(model, False):
        seen = _Seen(model, images, candidates, size, scale)
        look = None
        if statistics == "global":
            look = torch.cat(seen.small, 1) if len(seen.small) > 1 else seen.small[0]
        latent, skips = _encode(model, seen.small[0], grid, low, look, generator, check)
        noise = model._noise(latent, noise_seen(noise, scale), generator)

        def denoise(photo: int, boxes: Sequence[Box]) -> list[Tensor]:
            z, draw = (_crop(x[photo], boxes) for x in (latent, noise))
            return [model.denoise(z, draw, None, num_inference_steps)]

        def begin(photo: int, boxes: Sequence[Box]) -> list[Tensor]:
            z = _crop(restored[photo], boxes) / model.config.scaling_factor
            return [model.vae.decoder.begin(model.vae.post_quant_conv(z))]

        (restored,) = run_stage(_checked(denoise, "denoise", check), low, [1], len(images), look)
        (x,) = run_stage(_checked(begin, "decode", check), low, [1], len(images), look)
        gates = _gates(model, skips, task, grid)
        picture = _ascend(model, x, skips, gates, task, seen, grid, scale, look, check)
    return picture[..., :height, :width]


def _checked(stage: Stage, name: str, check: Check | None) -> Stage:
    """The stage, whose outputs are looked at."""
    if check is None:
        return stage

    def looked_at(photo: int, boxes: Sequence[Box]) -> Sequence[Tensor]:
        outputs = stage(photo, boxes)
        check(name, *outputs)
        return outputs

    return looked_at


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
    look: Tensor | None,
    generator: torch.Generator | None,
    check: Check | None,
) -> tuple[Tensor, list[Tensor]]:
    """Latent and skips of the whole padded picture, as `UniRestore.encode`."""
    encoder = model.vae.encoder

    def descend(photo: int, boxes: Sequence[Box]) -> list[Tensor]:
        x, skips = encoder.descend(2 * _crop(padded[photo], boxes) - 1, model.cfrm)
        return [x, *skips]

    x, *skips = run_stage(_checked(descend, "encode", check), grid, (8, 2, 4), len(padded), look)

    def finish(photo: int, boxes: Sequence[Box]) -> list[Tensor]:
        moments, (skip,) = encoder.finish(_crop(x[photo], boxes), repair=model.cfrm)
        return [model.vae.quant_conv(moments), skip]

    moments, skip = run_stage(_checked(finish, "encode", check), low, (1, 1), len(padded), look)
    return model._latent(moments, generator), [*skips, skip]


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
    look: Tensor | None,
    check: Check | None,
) -> Tensor:
    """The up blocks and what makes the picture; the padding is still on it."""

    def stage(photo: int, boxes: Sequence[Box]) -> list[Tensor]:
        def adapt(level: int, features: Tensor) -> Tensor:
            skip = _crop(skips[-1 - level][photo], boxes, Fraction(1, LATENT_STRIDE >> level))
            return model.tfa[level].adapt(features, skip, gates[level][photo : photo + 1])

        start = _crop(x[photo], boxes, Fraction(1, LATENT_STRIDE))
        features, _ = model.vae.decoder.ascend(start, adapt if gates else None)
        if model.fusion is None:
            return [model._own_picture(features)]
        full = [_crop(y[photo], boxes, scale) for y in seen.full]
        small = [_crop(y[photo], boxes) for y in seen.small]
        prompt = model.prompts[task].expand(len(boxes), -1, -1) if gates else None
        return [model._fuse(features, prompt, full, small, scale)]

    (picture,) = run_stage(_checked(stage, "decode", check), grid, [Fraction(1, scale)], len(x), look)
    return picture


def _crop(x: Tensor, boxes: Sequence[Box], factor: Fraction | int = 1) -> Tensor:
    """K boxes of `x` `(C, H, W)`, which has `factor` pixels to a unit: `(K, C, h, w)`. A single box is cut short where
    x ends; several are continued to one size."""
    crops = []
    for box in boxes:
        top, left, height, width = (int(length * factor) for length in box)
        crops.append(x[None, :, top : top + height, left : left + width])
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
