"""Perlin smoke: fractal gradient noise and its drift along a flow field ("path blur").

Gradient noise after Perlin, "Improving Noise", SIGGRAPH 2002 (quintic fade), octaves added with persistence and
lacunarity; the numbers of `smoke_texture` are those of UniSER's public haze renderer (arXiv:2511.14183). Own
formulation: a lattice row is interpolated down first and across second, so that an octave costs four gathers
instead of a dot product at each of four corners. What differs: their textures are 2048 px pictures that are cropped
at random; here the crop is rendered directly, at most `LOW` pixels a side, and enlarged, with lengths in units of
a 512 px photo, so that smoke looks alike at every size.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..portable import rounded

LOW = 256  # longest side, in pixels, at which textures are computed


def _axis(length: int, cell: float, offset: float) -> tuple[np.ndarray, ...]:
    """Per pixel: lattice index, fade weights of both neighbours, and the same times the signed distances."""
    position = (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(cell) + np.float32(offset)
    index = np.floor(position).astype(np.int64)
    t = position - index
    fade = t * t * t * (t * (t * 6 - 15) + 10)
    return index, 1 - fade, fade, (1 - fade) * t, fade * (t - 1)


def perlin(shape: tuple[int, int], cell: float, rng: np.random.Generator) -> np.ndarray:
    """One octave of gradient noise: 0 at every lattice point, within about -0.71 to 0.71; (H, W) float32.

    `cell` is the distance of lattice points in pixels, above 0.
    """
    height, width = shape
    iy, y0, y1, dy0, dy1 = _axis(height, cell, float(rng.random()))
    ix, x0, x1, dx0, dx1 = _axis(width, cell, float(rng.random()))
    angle = rng.random((int(iy[-1]) + 2, int(ix[-1]) + 2), dtype=np.float32) * np.float32(2 * np.pi)
    gx, gy = rounded(np.cos, angle), rounded(np.sin, angle)
    down, dist = y0[:, None], dy0[:, None]
    along_x = gx[iy] * down + gx[iy + 1] * y1[:, None]  # (H, columns of the lattice)
    along_y = gy[iy] * dist + gy[iy + 1] * dy1[:, None]
    out = along_x.take(ix, axis=1) * dx0
    out += along_y.take(ix, axis=1) * x0
    out += along_x.take(ix + 1, axis=1) * dx1
    out += along_y.take(ix + 1, axis=1) * x1
    return out


def fractal(
    shape: tuple[int, int],
    cell: float,
    rng: np.random.Generator,
    *,
    octaves: int,
    persistence: float = 0.5,
    lacunarity: float = 2.0,
) -> np.ndarray:
    """Octaves of `perlin`, (H, W) float32, divided by the sum of the amplitudes.

    Octaves whose cells are below two pixels are left out: they would only alias.
    """
    total, amplitude, weight = np.zeros(shape, np.float32), 1.0, 0.0
    for _ in range(octaves):
        weight += amplitude
        if cell >= 2:
            total += np.float32(amplitude) * perlin(shape, cell, rng)
        amplitude *= persistence
        cell /= lacunarity
    return total * np.float32(1 / weight)


def path_blur(
    texture: np.ndarray, flow: np.ndarray, *, steps: int, length: float, share: float
) -> np.ndarray:
    """Smears a texture along a flow, as smoke drifts.

    Args:
        texture: (H, W) float32.
        flow: (H, W, 2) float32 unit vectors (x, y).
        steps: number of advection steps; each averages a pixel half and half with its neighbour along the flow.
        length: of a step in pixels.
        share: of the smeared texture in the result, 0 to 1.

    Returns:
        (H, W) float32.
    """
    height, width = texture.shape
    columns = np.arange(width, dtype=np.float32)[None, :] + np.float32(length) * flow[..., 0]
    rows = np.arange(height, dtype=np.float32)[:, None] + np.float32(length) * flow[..., 1]
    map_a, map_b = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    moved = texture
    for _ in range(steps):
        ahead = cv2.remap(moved, map_a, map_b, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        moved = cv2.addWeighted(moved, 0.5, ahead.reshape(moved.shape), 0.5, 0).reshape(moved.shape)
    return texture + np.float32(share) * (moved - texture)


def smoke_texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random smoke density, (H, W) float32 in [0, 1] with both ends reached (0.5 where the picture is one pixel).

    Scale U(180, 500) px of a 512 px photo, 5 to 7 octaves, persistence 0.5, lacunarity 2; half of them path-blurred:
    flow scale U(350, 550), 3 to 5 octaves, 15 to 35 steps of U(1, 2) px, share U(0.3, 0.7).
    """
    height, width = shape
    shrink = max(1.0, max(height, width) / LOW)
    low = (max(1, round(height / shrink)), max(1, round(width / shrink)))
    unit = min(height, width) / 512 / shrink  # texture pixels per pixel of a 512 px photo
    scale, octaves = float(rng.uniform(180, 500)), int(rng.integers(5, 8))
    texture = fractal(low, max(2.0, scale * unit), rng, octaves=octaves)
    if rng.random() < 0.5:
        cell, octaves = max(2.0, float(rng.uniform(350, 550)) * unit), int(rng.integers(3, 6))
        flow = np.stack([fractal(low, cell, rng, octaves=octaves) for _ in range(2)], axis=2)
        flow /= np.sqrt((flow * flow).sum(axis=2, keepdims=True)) + np.float32(1e-6)
        steps, length = int(rng.integers(15, 36)), float(rng.uniform(1, 2)) * unit
        texture = path_blur(texture, flow, steps=steps, length=length, share=float(rng.uniform(0.3, 0.7)))
    low_end, high_end = float(texture.min()), float(texture.max())
    if high_end - low_end < 1e-6:
        return np.full(shape, 0.5, np.float32)
    texture = np.clip((texture - np.float32(low_end)) * np.float32(1 / (high_end - low_end)), 0, 1)
    texture = cv2.resize(texture, (width, height), interpolation=cv2.INTER_LINEAR)
    return texture.reshape(shape)
