"""Triangles and cards (leaves, blades of grass) to pixels, by perspective or along the rays of a distant light.

World axes in metres: X right, Y up, Z forward; the eye is at (0, EYE, 0) and looks along Z. The buffers keep which
triangle or card a pixel shows and how near it is, nothing else: whoever wants normals, colours or texture
coordinates looks them up by that number afterwards, once for all pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unirestore.degradations.depth import CAMERA_HEIGHT, FOCAL

EYE = CAMERA_HEIGHT
HORIZON = 0.45  # row of the horizon as a share of the height; the default of the effects


@dataclass(frozen=True)
class View:
    """A pinhole camera of `width` x `height` pixels, whose focal length is `FOCAL` picture heights."""

    width: int
    height: int

    @property
    def focal(self) -> float:
        return FOCAL * self.height

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) metres to (..., 3): column, row (pixel centres are whole numbers) and 1 / Z."""
        near = 1 / np.maximum(points[..., 2], 0.3)
        column = 0.5 * self.width - 0.5 + self.focal * points[..., 0] * near
        row = HORIZON * self.height - 0.5 + self.focal * (EYE - points[..., 1]) * near
        return np.stack([column, row, near], axis=-1)

    def rays(self) -> np.ndarray:
        """(H, W, 3) float64: directions with Z = 1."""
        x = (np.arange(self.width) + 0.5 - 0.5 * self.width) / self.focal
        y = (HORIZON * self.height - np.arange(self.height) - 0.5) / self.focal
        return np.stack(np.broadcast_arrays(x[None, :], y[:, None], 1.0), axis=2)


@dataclass(frozen=True)
class Mesh:
    """Triangles: corners (M, 3, 3), normals at them (M, 3, 3), texture coordinates (M, 3, 2) and material (M,)."""

    corners: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material: np.ndarray

    @staticmethod
    def joined(parts: list[Mesh]) -> Mesh:
        names = ("corners", "normals", "uv", "material")
        return Mesh(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Cards:
    """Small flat things: middle (N, 3), half axes `long` and `wide` (N, 3), normal (N, 3), albedo (N, 3), label (N,).

    A card with `wide` zero is a line from middle - long to middle + long.
    """

    middle: np.ndarray
    long: np.ndarray
    wide: np.ndarray
    normal: np.ndarray
    albedo: np.ndarray
    label: np.ndarray

    @staticmethod
    def joined(parts: list[Cards]) -> Cards:
        names = ("middle", "long", "wide", "normal", "albedo", "label")
        return Cards(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def draw_triangles(corners: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Nearest triangle of every pixel.

    Args:
        corners: (M, 3, 3) column, row and nearness (larger is nearer; must be linear over the picture).
        shape: (H, W).

    Returns:
        (H, W) int32 number of the triangle, -1 for none, and (H, W) float32 nearness, -inf for none.
    """
    height, width = shape
    number, near = np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32)
    x, y, w = corners[..., 0], corners[..., 1], corners[..., 2]
    x0, x1 = np.ceil(np.maximum(x.min(1), 0)), np.floor(np.minimum(x.max(1), width - 1))
    y0, y1 = np.ceil(np.maximum(y.min(1), 0)), np.floor(np.minimum(y.max(1), height - 1))
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    kept = np.flatnonzero((x1 >= x0) & (y1 >= y0) & (np.abs(area) > 1e-9))
    columns, rows = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
    for m in kept.tolist():
        left, right, top, bottom = int(x0[m]), int(x1[m]) + 1, int(y0[m]), int(y1[m]) + 1
        px, py = columns[None, left:right], rows[top:bottom, None]
        (ax, bx, cx), (ay, by, cy), (aw, bw, cw) = x[m], y[m], w[m]
        b = ((px - ax) * (cy - ay) - (cx - ax) * (py - ay)) / area[m]
        c = ((bx - ax) * (py - ay) - (px - ax) * (by - ay)) / area[m]
        value = aw + b * (bw - aw) + c * (cw - aw)
        place = near[top:bottom, left:right]
        hit = (b >= 0) & (c >= 0) & (b + c <= 1) & (value > place)
        place[hit] = value[hit]
        number[top:bottom, left:right][hit] = m
    return number, near


def draw_cards(cards: Cards, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Nearest card of every pixel, as `draw_triangles` gives it; a card is an ellipse-like hexagon or a line."""
    number = np.full((view.height, view.width), -1, np.float32)
    order = np.argsort(-cards.middle[:, 2], kind="stable")
    flat = ~cards.wide.any(axis=1)
    a, b = cards.long, cards.wide
    outline = np.stack([a, 0.45 * a + b, -0.5 * a + 0.9 * b, -a, -0.5 * a - 0.9 * b, 0.45 * a - b], axis=1)
    points = np.rint(view.project(cards.middle[:, None] + outline)[..., :2] * 16).astype(np.int32)
    seen = (points.max(1) > 0).all(1) & (points.min(1) < [16 * view.width, 16 * view.height]).all(1)
    seen &= cards.middle[:, 2] > 0.5
    for n in order[seen[order]].tolist():
        if flat[n]:
            ends = points[n]
            cv2.line(number, tuple(ends[0].tolist()), tuple(ends[3].tolist()), float(n), 1, cv2.LINE_8, 4)
        else:
            cv2.fillConvexPoly(number, points[n], float(n), cv2.LINE_8, 4)
    number = number.astype(np.int32)
    near = np.where(number >= 0, 1 / np.maximum(cards.middle[number, 2], 0.3), -np.inf).astype(np.float32)
    return number, near


def light_axes(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors at right angles to `direction` and to each other."""
    across = np.cross(direction, [0.0, 0.0, 1.0] if abs(direction[2]) < 0.9 else [1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    return across, np.cross(direction, across)


def surface_points(mesh: Mesh, cards: Cards, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """(K, 3) float32 points strewn over triangles and leaves, about two per square of `spacing` metres; no lines."""
    a, b, c = (mesh.corners[:, k] for k in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    pick = np.repeat(np.arange(len(area)), rng.poisson(2 * area / spacing**2))
    u, v = rng.random((2, len(pick), 1))
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    solid = a[pick] + u * (b - a)[pick] + v * (c - a)[pick]
    long, wide = np.linalg.norm(cards.long, axis=1), np.linalg.norm(cards.wide, axis=1)
    pick = np.repeat(np.arange(len(long)), np.minimum(rng.poisson(5.2 * long * wide / spacing**2), 3))
    u, v = rng.uniform(-0.8, 0.8, (2, len(pick), 1))
    leaves = cards.middle[pick] + u * cards.long[pick] + v * cards.wide[pick]
    return np.concatenate([solid, leaves]).astype(np.float32)


class ShadowMap:
    """How far towards a distant light the outermost surface lies, over the part of the world in `bounds`.

    `points` (K, 3) are strewn over all surfaces, `direction` is a unit vector to the light, `bounds` (L, 3) are points
    that must be on the map, `texels` is its side.
    """

    def __init__(self, points: np.ndarray, direction: np.ndarray, bounds: np.ndarray, texels: int) -> None:
        self.direction = direction.astype(np.float32)
        self.axes = [axis.astype(np.float32) for axis in light_axes(direction)]
        flat = np.stack([bounds @ axis for axis in self.axes], axis=-1)
        self.low, self.step = flat.min(0), np.ptp(flat, axis=0) / (texels - 1)
        self.side = texels
        place, inside = self._texel(points)
        far = np.full(texels * texels, -np.inf, np.float32)
        np.maximum.at(far, place[inside], (points @ self.direction)[inside])
        self.far = cv2.dilate(far.reshape(texels, texels), np.ones((2, 2), np.uint8)).ravel()

    def _texel(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column, row = (
            np.rint((points @ axis - low) * (1 / step)).astype(np.int32)
            for axis, low, step in zip(self.axes, self.low, self.step, strict=True)
        )
        inside = (row >= 0) & (column >= 0) & (row < self.side) & (column < self.side)
        return np.where(inside, row * self.side + column, 0), inside

    def lit(self, points: np.ndarray, slack: np.ndarray | float) -> np.ndarray:
        """(N,) bool: nothing lies between the points (N, 3) and the light, `slack` metres allowed."""
        place, inside = self._texel(points)
        return ~inside | (
            points @ self.direction + slack + np.float32(1.5 * self.step.max()) >= self.far[place]
        )
