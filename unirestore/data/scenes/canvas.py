"""What scenes are drawn on: a picture at twice the size, and for each pixel the surface that it shows.

Objects are painted from far to near. Each fill goes into the colour picture and, if it names a surface, into
the surface map; a surface knows its plane, its label and its owner, so exact depth, label map and visible
boxes are read off the surface map at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from unirestore.data.scenes.camera import Camera

SUPERSAMPLING = 2
SKY_METRES = 1000.0
DEPTH_RANGE = (3.0, 300.0)
_SHIFT = 4  # fractional bits that OpenCV's polygon fill takes
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 7)

Colour = Sequence[float]


class Sketch:
    """The shapes of one object, gathered first so that they are projected in one go.

    Args:
        axes: what the three local axes are in the world, `(3, 3)`, one axis a row; None where points are
            world points.
        centre: where the local origin stands.
    """

    def __init__(self, axes: Sequence | None = None, centre: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        self.axes = None if axes is None else np.array(axes, float)
        self.centre = np.array(centre, float)
        self.points: list = []
        self.fills: list[tuple[int, tuple[float, ...], int, np.ndarray | None]] = []

    def world(self, points: Sequence) -> np.ndarray:
        """World points `(N, 3)` of local ones."""
        points = np.array(points, float).reshape(-1, 3)
        return points if self.axes is None else points @ self.axes + self.centre

    def polygon(self, points: Sequence, colour: Colour, surface: int = 0) -> None:
        """A planar polygon of (x, y, z) in metres; `surface` 0 leaves the surface map as it is (a detail)."""
        self.points.extend(points)
        self.fills.append((len(points), _plain(colour), surface, None))

    def outline(self, pixels: np.ndarray, colour: Colour, surface: int = 0) -> None:
        """A polygon `(N, 2)` already in pixels of the picture."""
        self.fills.append((len(pixels), _plain(colour), surface, pixels))

    def capsules(
        self, camera: Camera, ends: np.ndarray, radii: np.ndarray, colours: Sequence[Colour], surface: int = 0
    ) -> None:
        """Round-ended limbs: `ends` `(N, 2, 3)` in metres, `radii` `(N, 2)` in metres at each end, far limbs
        first."""
        uv = camera.project(ends.reshape(-1, 3)).reshape(-1, 2, 2)
        radius = radii * camera.focal / np.maximum(ends[:, :, 2], 0.8)
        along = uv[:, 1] - uv[:, 0]
        angle = np.arctan2(along[:, 1], along[:, 0])
        turn = angle[:, None, None] + np.stack([_ARC + np.pi, _ARC])[None]  # (N, 2, 7)
        rim = np.stack([np.cos(turn), np.sin(turn)], -1) * radius[:, :, None, None] + uv[:, :, None]
        rim = rim.reshape(len(ends), -1, 2)
        for polygon, colour in zip(rim, colours):
            self.outline(polygon, colour, surface)


def _plain(colour: Colour) -> tuple[float, float, float]:
    return (float(colour[0]), float(colour[1]), float(colour[2]))


class Canvas:
    """Colour picture and surface map of one scene; all pixel coordinates given to it are of the final
    picture."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.size = camera.size
        self.side = camera.size * SUPERSAMPLING
        self.image = np.zeros((self.side, self.side, 3), np.uint8)
        self.surfaces = np.zeros((self.side, self.side), np.uint16)
        self.planes: list[tuple[float, float, float, float]] = [
            (0.0, 0.0, 1.0, SKY_METRES)
        ]  # surface 0 is the sky
        self.labels: list[int] = [0]

    def surface(self, label: int, normal: Sequence[float], point: Sequence[float]) -> int:
        """Register a plane through `point` with `normal`; gives the number to draw with."""
        nx, ny, nz = normal
        offset = nx * point[0] + ny * (point[1] - self.camera.height) + nz * point[2]
        self.planes.append((nx, ny, nz, offset))
        self.labels.append(label)
        return len(self.planes) - 1

    def upright(self, label: int, z: float) -> int:
        """Register a plane that faces the camera at depth `z`."""
        return self.surface(label, (0.0, 0.0, 1.0), (0.0, 0.0, z))

    def paint(self, sketch: Sketch) -> tuple[float, float, float, float] | None:
        """Draw a sketch; gives the pixel box of everything in it that names a surface, also outside the
        picture."""
        if not sketch.fills:
            return None
        flat = self.camera.project(sketch.world(sketch.points)) if sketch.points else np.zeros((0, 2))
        pieces, start = [], 0
        for count, _, _, pixels in sketch.fills:
            pieces.append(flat[start : start + count] if pixels is None else pixels)
            start += count if pixels is None else 0
        outline = np.concatenate(pieces)
        corners = np.clip(outline * (SUPERSAMPLING << _SHIFT) - 8.0, -2e6, 2e6).astype(np.int32)
        start, named = 0, np.zeros(len(outline), bool)
        for count, colour, surface, _ in sketch.fills:
            polygon = [corners[start : start + count]]
            cv2.fillPoly(self.image, polygon, colour, cv2.LINE_8, _SHIFT)
            if surface:
                cv2.fillPoly(self.surfaces, polygon, surface, cv2.LINE_8, _SHIFT)
                named[start : start + count] = True
            start += count
        if not named.any():
            return None
        shown = outline[named]
        return (*shown.min(0).tolist(), *shown.max(0).tolist())

    def window(self, box: Sequence[float]) -> tuple[slice, slice]:
        """Rows and columns of the big picture that cover a pixel box, cut to the picture."""
        x1, y1, x2, y2 = (float(v) * SUPERSAMPLING for v in box)
        x1, y1 = (min(max(math.floor(v) - 1, 0), self.side) for v in (x1, y1))
        x2, y2 = (min(max(math.ceil(v) + 2, 0), self.side) for v in (x2, y2))
        return slice(y1, max(y2, y1)), slice(x1, max(x2, x1))

    def in_view(self, corners: np.ndarray) -> bool:
        """Whether a face with these world corners covers at least a big pixel of the picture."""
        uv = self.camera.project(corners)
        (x1, y1), (x2, y2) = uv.min(0).tolist(), uv.max(0).tolist()
        width, height = min(x2, self.size) - max(x1, 0), min(y2, self.size) - max(y1, 0)
        return min(width, height) * SUPERSAMPLING >= 1

    def sprite(
        self, rgba: np.ndarray, box: Sequence[float], surface: int, tint: Colour = (1.0, 1.0, 1.0)
    ) -> None:
        """Blend an `(h, w, 4)` uint8 picture into a pixel box; where it is more than half opaque it takes the
        surface map."""
        x1, y1, x2, y2 = (round(v * SUPERSAMPLING) for v in box)
        width, height = x2 - x1, y2 - y1
        if width < 1 or height < 1 or width > 4 * self.side or height > 4 * self.side:
            return
        left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, self.side), min(y2, self.side)
        if left >= right or top >= bottom:
            return
        h, w = rgba.shape[:2]
        matrix = np.array(
            [
                [w / width, 0, (left - x1 + 0.5) * w / width - 0.5],
                [0, h / height, (top - y1 + 0.5) * h / height - 0.5],
            ]
        )
        if width < w / 2 or height < h / 2:
            rgba = cv2.resize(rgba, (width, height), interpolation=cv2.INTER_AREA)[
                top - y1 : bottom - y1, left - x1 : right - x1
            ]
        else:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            rgba = cv2.warpAffine(
                rgba, matrix, (right - left, bottom - top), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
        target = self.image[top:bottom, left:right]
        alpha = rgba[..., 3]
        over = (
            cv2.multiply(rgba[..., :3], np.array([*tint, 0.0]), scale=1.0)
            if tuple(tint) != (1.0, 1.0, 1.0)
            else rgba[..., :3]
        )
        weight = cv2.merge([alpha, alpha, alpha])
        blended = cv2.add(
            cv2.multiply(over, weight, scale=1 / 255), cv2.multiply(target, 255 - weight, scale=1 / 255)
        )
        target[...] = blended
        self.surfaces[top:bottom, left:right][alpha > 127] = surface

    def warp(self, texture: np.ndarray, corners: np.ndarray, surface: int) -> None:
        """Lay an `(h, w, 3)` texture on a quadrilateral: world `corners` `(4, 3)` for its top left, top
        right, bottom right, bottom left."""
        uv = self.camera.project(corners)
        rows, columns = self.window((*uv.min(0), *uv.max(0)))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if height < 1 or width < 1:
            return
        h, w = texture.shape[:2]
        source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        target = (uv * SUPERSAMPLING - np.array([columns.start, rows.start])).astype(np.float32)
        if cv2.contourArea(target) < 1.0:
            return
        matrix = cv2.getPerspectiveTransform(source, target)
        patch = cv2.warpPerspective(
            texture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        mask = np.zeros((height, width), np.uint8)
        cv2.fillConvexPoly(mask, (target * 16 - 8).astype(np.int32), 255, cv2.LINE_8, _SHIFT)
        cv2.copyTo(patch, mask, self.image[rows, columns])
        self.surfaces[rows, columns][mask > 0] = surface

    def glow(self, u: float, v: float, radius: float, colour: Colour) -> None:
        """Add a soft light of `radius` pixels around a pixel."""
        rows, columns = self.window((u - radius, v - radius, u + radius, v + radius))
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return
        y = (np.arange(rows.start, rows.stop) / SUPERSAMPLING - v) / radius
        x = (np.arange(columns.start, columns.stop) / SUPERSAMPLING - u) / radius
        fall = np.clip(1 - np.sqrt(y[:, None] ** 2 + x[None] ** 2), 0, 1) ** 2
        light = (fall[..., None] * np.asarray(colour)).clip(0, 255).astype(np.uint8)
        target = self.image[rows, columns]
        target[...] = cv2.add(target, light)

    def count(
        self, box: Sequence[float], first: int, last: int
    ) -> tuple[int, tuple[float, float, float, float] | None]:
        """How many big pixels inside `box` show the surfaces `first..last - 1`, and their exact pixel box."""
        rows, columns = self.window(box)
        seen = (self.surfaces[rows, columns] - np.uint16(first)) < (
            last - first
        )  # wraps around below `first`
        ys, xs = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        if len(ys) == 0:
            return 0, None
        edges = (
            columns.start + xs[0],
            rows.start + ys[0],
            columns.start + xs[-1] + 1,
            rows.start + ys[-1] + 1,
        )
        return int(np.count_nonzero(seen)), tuple(float(v) / SUPERSAMPLING for v in edges)

    def depth_and_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Depth `(S, S)` float32 metres (3 to 300, sky 1000) and label map `(S, S)` uint8."""
        shown = self.surfaces[::SUPERSAMPLING, ::SUPERSAMPLING].astype(np.intp)
        planes = np.array(self.planes, np.float32).T
        axis = (
            np.arange(self.size, dtype=np.float32) + 0.25
        )  # the pixels that are kept lie left of and above the middle
        a = (axis - self.camera.cx) / self.camera.focal
        b = (self.camera.cy - axis) / self.camera.focal
        slope = planes[0].take(shown)
        slope *= a
        slope += planes[1].take(shown) * b[:, None]
        slope += planes[2].take(shown)
        depth = planes[3].take(shown)
        with np.errstate(divide="ignore", invalid="ignore"):
            depth /= slope
        depth[~(depth > 0)] = DEPTH_RANGE[1]
        np.clip(depth, *DEPTH_RANGE, out=depth)
        depth[shown == 0] = SKY_METRES
        return depth, np.array(self.labels, np.uint8).take(shown)
