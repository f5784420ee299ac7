"""Blur by the camera: hand shake, a lens out of focus, a camera that moves through the scene.

All three average light, so they work in linear light (Hendrycks' and Real-ESRGAN's kernels average sRGB values,
which makes lamps too dim). A clipped white holds less light than there was: `highlights` stops are added to it
before the average, so that lamps draw bright trails and discs, as in real photos.

Lengths are shares of the mean side sqrt(H W) of the photo, because a shake is an angle: the same hand draws a
trail twice as long on a picture with twice the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .light import ramp, to_linear, to_srgb, triple
from .portable import rounded

TILE = 11  # OpenCV sums kernels up to this side directly and skips their zeros; larger ones go through a slow DFT
COARSE = 4.0  # radius in pixels at which discs are drawn, on a picture made smaller by a whole number


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(H, W, C) float32 convolved with an odd-sided kernel, mirrored at the border; cost follows its non-zeros."""
    height, width = image.shape[:2]
    rows, columns = kernel.shape
    kernel = kernel[::-1, ::-1]  # OpenCV correlates
    top, left, edge = rows // 2, columns // 2, TILE // 2
    bottom, right = -(-rows // TILE) * TILE - 1 - top, -(-columns // TILE) * TILE - 1 - left
    padded = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT)
    padded = padded.reshape(height + top + bottom, width + left + right, -1)
    out = np.zeros((height, width, padded.shape[2]), np.float32)
    for y in range(0, rows, TILE):
        for x in range(0, columns, TILE):
            tile = kernel[y : y + TILE, x : x + TILE]
            if not tile.any():
                continue
            block = np.zeros((TILE, TILE), np.float32)
            block[: tile.shape[0], : tile.shape[1]] = tile
            # Tap (i, j) of the block belongs to the pixel (y + i, x + j) further on in `padded`.
            part = padded[y : y + height + 2 * edge, x : x + width + 2 * edge]
            part = cv2.filter2D(part, cv2.CV_32F, block)
            part = part.reshape(height + 2 * edge, width + 2 * edge, -1)
            out += part[edge : edge + height, edge : edge + width]
    return out.reshape(image.shape)


def with_highlights(light: np.ndarray, stops: float) -> np.ndarray:
    """Linear light with what clipped whites lost: pixels above 0.92 in every channel gain up to `stops`."""
    if stops <= 0:
        return light
    white = np.minimum(np.minimum(light[..., 0], light[..., 1]), light[..., 2])
    return light * triple(1 + ramp(white, 0.92, 1.0) * np.float32(2.0**stops - 1))


def shake_path(rng: np.random.Generator, length: float, wander: float, jolt: float) -> np.ndarray:
    """(N, 2) x, y in pixels: where the photo moves during the exposure, at even times, centred on its mean.

    A point with inertia: its heading performs a random walk of `wander` radians over the whole path, and
    `jolt` is the expected number of sudden turns. The path is `length` pixels long.
    """
    steps = int(np.clip(4 * length, 16, 512))
    turns = rng.standard_normal(steps) * (wander / np.sqrt(steps))
    jolts = rng.random(steps) < jolt / steps
    turns += jolts * rng.uniform(-np.pi, np.pi, steps)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
    pace = np.exp(0.5 * np.cumsum(rng.standard_normal(steps)) / np.sqrt(steps))  # slow and fast stretches
    move = np.stack([np.cos(heading), np.sin(heading)], axis=1) * pace[:, None]
    path = np.cumsum(move, axis=0) * (length / pace.sum())
    return path - path.mean(axis=0)


def path_kernel(path: np.ndarray) -> np.ndarray:
    """Odd-sided point spread function of sum 1: the (N, 2) path drawn with bilinear weights."""
    reach = int(np.ceil(np.abs(path).max())) + 1
    side = 2 * reach + 1
    corner = np.floor(path).astype(int)
    share = path - corner
    kernel = np.zeros(side * side)
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1])
            cell = (corner[:, 1] + dy + reach) * side + corner[:, 0] + dx + reach
            kernel += np.bincount(cell, weight, side * side)
    return (kernel / kernel.sum()).reshape(side, side).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class MotionBlur(Degradation):
    """Hand shake: the photo is averaged along a random trajectory.

    Formula: B = k * L in linear light, k(x) = share of the exposure that the trajectory p(t) spends at x;
    p'' random (heading is a random walk with sudden turns), centred so that the content stays in place.
    Source: trajectories with inertia and impulses after Boracchi and Foi, "Modeling the Performance of Image
    Restoration from Motion Blur", IEEE TIP 21(8), 2012; own generator.

    Args:
        length: of the trajectory, as a share of sqrt(H W).
        wander: radians by which the heading drifts during the exposure; 0 gives a straight line.
        jolt: expected number of sudden turns.
        highlights: stops by which clipped whites are brighter than they look.
    """

    length: float | None = None
    wander: float = 1.0
    jolt: float = 0.5
    highlights: float = 1.0

    presets: ClassVar = {"length": (0.012, 0.022, 0.036, 0.054, 0.08)}

    def check(self) -> None:
        require(0 <= self.length <= 0.5, f"length must lie in [0, 0.5], got {self.length}")
        for name in ("wander", "jolt", "highlights"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> MotionBlur:
        """Random concrete parameters; the length near the preset of `severity` where it is given."""
        if severity is None:
            length = float(np.exp(rng.uniform(np.log(0.008), np.log(0.09))))
        else:
            length = cls.presets["length"][severity - 1] * float(rng.uniform(0.85, 1.15))
        return cls(
            severity=severity,
            length=length,
            wander=rng.uniform(0.0, 3.0) * (rng.random() < 0.8),
            jolt=rng.choice([0.0, 0.5, 1.5]),
            highlights=rng.uniform(0.0, 2.0),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        length = self.length * float(np.sqrt(image.shape[0] * image.shape[1]))
        kernel = path_kernel(shake_path(rng, length, self.wander, self.jolt))
        return to_srgb(convolve(with_highlights(to_linear(image), self.highlights), kernel))


def aperture_kernel(radius: float, blades: int, angle: float) -> np.ndarray:
    """Odd-sided kernel of sum 1: a disc, or a regular polygon of `blades` corners, of `radius` pixels.

    Drawn eight times larger and averaged, so that the radius may be fractional.
    """
    fine, reach = 8, radius
    if blades >= 3:  # same area as the disc: distance of a side, and of a corner, from the centre
        half = np.pi / blades
        inner = radius * np.sqrt(np.pi / (blades * np.tan(half)))
        reach = inner / np.cos(half)
    reach = int(np.ceil(reach + 0.5))
    side = 2 * reach + 1
    axis = (np.arange(side * fine, dtype=np.float32) + np.float32(0.5)) / fine - np.float32(side / 2)
    x, y = axis[None, :], axis[:, None]
    distance = rounded(np.hypot, x, y)
    if blades >= 3:
        around = np.mod(rounded(np.arctan2, y, x) - angle, 2 * half) - half
        inside = distance * rounded(np.cos, around) <= inner
    else:
        inside = distance <= radius
    kernel = cv2.resize(inside.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    total = float(kernel.sum())
    if total == 0:  # smaller than the fine grid: a point
        kernel[reach, reach] = total = 1.0
    return kernel / np.float32(total)


def defocused(light: np.ndarray, radius: float, blades: int, angle: float) -> np.ndarray:
    """(H, W, C) light through an aperture of `radius` pixels; large ones on a smaller picture."""
    if radius < 0.3:
        return light
    height, width = light.shape[:2]
    shrink = min(max(1, round(radius / COARSE)), height, width)
    if shrink == 1:
        return convolve(light, aperture_kernel(radius, blades, angle))
    size = (max(1, width // shrink), max(1, height // shrink))
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    small = convolve(small.reshape(size[1], size[0], -1), aperture_kernel(radius / shrink, blades, angle))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(light.shape)


@dataclass(frozen=True, kw_only=True)
class DefocusBlur(Degradation):
    """A lens out of focus: every point becomes the shape of the aperture; sharp at `focus` metres if that is set.

    Formula: B = disc(r) * L in linear light; with a focus distance f the circle of confusion at distance d is
    r |1 - f / d| (thin lens), at most 1.5 r.
    Source: thin-lens circle of confusion, Potmesil and Chakravarty, "A Lens and Aperture Camera Model for
    Synthetic Image Generation", SIGGRAPH 1981.

    Args:
        radius: of the aperture's image, as a share of sqrt(H W).
        focus: distance in metres that stays sharp; 0 blurs the whole photo alike.
        blades: corners of the aperture, 3 and above; 0 is round.
        highlights: stops by which clipped whites are brighter than they look.
    """

    radius: float | None = None
    focus: float = 0.0
    blades: int = 0
    highlights: float = 1.0

    presets: ClassVar = {"radius": (0.0035, 0.006, 0.0095, 0.0145, 0.022)}

    def check(self) -> None:
        require(0 <= self.radius <= 0.25, f"radius must lie in [0, 0.25], got {self.radius}")
        for name in ("focus", "highlights"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(
            isinstance(self.blades, int) and (self.blades == 0 or 3 <= self.blades <= 16),
            f"blades must be 0 (round) or an integer in 3..16, got {self.blades!r}",
        )

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> DefocusBlur:
        """Random concrete parameters; the radius near the preset of `severity` where it is given."""
        if severity is None:
            radius = float(np.exp(rng.uniform(np.log(0.002), np.log(0.025))))
        else:
            radius = cls.presets["radius"][severity - 1] * float(rng.uniform(0.88, 1.12))
        near = float(np.exp(rng.uniform(np.log(3), np.log(15))))
        return cls(
            severity=severity,
            radius=radius,
            focus=near if rng.random() < 0.3 else 0.0,
            blades=rng.choice([0, 5, 6, 7, 9]),
            highlights=rng.uniform(0.0, 2.5),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        radius = self.radius * float(np.sqrt(image.shape[0] * image.shape[1]))
        angle = float(rng.uniform(0, 2 * np.pi))
        light = with_highlights(to_linear(image), self.highlights)
        if self.focus == 0:
            return to_srgb(defocused(light, radius, self.blades, angle))
        confusion = np.abs(1 - np.float32(self.focus) / np.maximum(scene.depth, np.float32(0.1)))
        return to_srgb(self._layered(light, np.minimum(confusion, np.float32(1.5)), radius, angle))

    def _layered(self, light: np.ndarray, confusion: np.ndarray, radius: float, angle: float) -> np.ndarray:
        """Blends four blurred copies by the circle of confusion (H, W, shares of `radius`, 0 to 1.5).

        Each copy is a mean over the pixels of about that blur only, so that a sharp thing in front leaves no
        halo in a blurred background.
        """
        levels = (0.0, 0.5, 1.0, 1.5)
        out = np.zeros_like(light)
        for level in levels:
            weight = np.maximum(1 - np.abs(confusion - np.float32(level)) * 2, 0)
            if not weight.any():
                continue
            if level == 0:
                out += light * triple(weight)
                continue
            share = np.maximum(weight, np.float32(1e-3))
            stack = np.dstack([light * triple(share), share])
            stack = defocused(stack, level * radius, self.blades, angle)
            out += stack[..., :3] * triple(weight / np.maximum(stack[..., 3], np.float32(1e-6)))
        return out


@dataclass(frozen=True, kw_only=True)
class TemporalBlur(Degradation):
    """A camera that moves during the exposure: the mean of the frames of a short synthetic clip.

    Formula: B = 1/N sum_i W(t_i) L in linear light, t_i even in [-1/2, 1/2]; W shifts along a bent path, zooms
    (driving forwards) and turns; with `parallax` p the shift at distance d is scaled by 1 - p + p d0 / d, d0
    the fifth percentile of the distance. The clip is centred on the photo.
    Source: frame averaging as in Nah et al., "Deep Multi-scale Convolutional Neural Network for Dynamic Scene
    Deblurring" (GoPro), CVPR 2017, and RealRestorer's temporal video averaging; here the clip is synthetic.

    Args:
        shift: of the camera during the exposure, as a share of sqrt(H W).
        zoom: relative growth of the picture during the exposure.
        spin: turn around the viewing direction during the exposure, in degrees.
        bend: sideways deviation of the path, as a share of `shift`.
        parallax: share of the shift that depends on the distance, 0 (the camera turns) to 1 (it travels).
        frames: of the clip, 3 to 65; 0 takes as many as the motion needs.
        highlights: stops by which clipped whites are brighter than they look.
    """

    shift: float | None = None
    zoom: float | None = None
    spin: float | None = None
    bend: float = 0.3
    parallax: float = 0.0
    frames: int = 0
    highlights: float = 1.0

    presets: ClassVar = {
        "shift": (0.006, 0.012, 0.02, 0.03, 0.045),
        "zoom": (0.006, 0.012, 0.02, 0.035, 0.055),
        "spin": (0.2, 0.4, 0.6, 0.9, 1.4),
    }

    def check(self) -> None:
        for name, most in (("shift", 0.5), ("zoom", 0.5), ("parallax", 1.0)):
            require(
                0 <= getattr(self, name) <= most, f"{name} must lie in [0, {most}], got {getattr(self, name)}"
            )
        require(abs(self.spin) <= 45, f"spin must lie in [-45, 45] degrees, got {self.spin}")
        for name in ("bend", "highlights"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(
            isinstance(self.frames, int) and (self.frames == 0 or 3 <= self.frames <= 65),
            f"frames must be 0 (as needed) or an integer in 3..65, got {self.frames!r}",
        )

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> TemporalBlur:
        """Random concrete parameters; motions near the presets of `severity` where it is given."""
        if severity is None:
            level = float(np.exp(rng.uniform(np.log(0.005), np.log(0.045))))
        else:
            level = cls.presets["shift"][severity - 1]
        kind = int(rng.integers(3))  # mostly a shift, mostly a zoom, some of each
        return cls(
            severity=severity,
            shift=level * rng.uniform(0.8, 1.2) * (1.3, 0.2, 0.8)[kind],
            zoom=level * rng.uniform(0.8, 1.2) * (0.1, 1.6, 0.8)[kind],
            spin=level * rng.uniform(-30, 30),
            bend=rng.uniform(0.0, 0.6),
            parallax=rng.choice([0.0, 0.5, 0.9]),
            highlights=rng.uniform(0.0, 2.0),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = image.shape[:2]
        side = float(np.sqrt(height * width))
        angle = float(rng.uniform(0, 2 * np.pi))
        bend = self.bend * float(rng.uniform(-1, 1))
        centre = np.array([width / 2 - 0.5, height / 2 - 0.5]) + rng.uniform(-0.1, 0.1, 2) * (width, height)
        radius = 0.6 * float(np.hypot(height, width))
        travel = self.shift * side + 0.7 * radius * (self.zoom + np.deg2rad(abs(self.spin)))
        frames = self.frames or int(np.clip(np.ceil(travel / 2), 3, 25))
        light = with_highlights(to_linear(image), self.highlights)
        nearness = self._nearness(scene) if self.parallax > 0 and self.shift > 0 else None
        ahead = self.shift * side * np.array([np.cos(angle), np.sin(angle)])
        sideways = bend * np.array([-ahead[1], ahead[0]])
        times = np.linspace(-0.5, 0.5, frames)
        if self.frames == 0 and frames >= 8:
            # Two moments a step apart are averaged first, and that picture moves: half the frames, the same mean.
            times = np.linspace(-0.5, 0.5, frames + frames % 2).reshape(-1, 2)
            pair = times[0] - times[0].mean()
            light = self._mean(light, pair, np.outer(pair, ahead), centre, nearness)
            times = times.mean(axis=1)
        # The bend leaves no net shift: its mean over the exposure is zero.
        moves = np.outer(times, ahead) + np.outer(4 * times**2 - 1 / 3, sideways)
        return to_srgb(self._mean(light, times, moves, centre, nearness))

    def _mean(
        self,
        light: np.ndarray,
        times: np.ndarray,
        moves: np.ndarray,
        centre: np.ndarray,
        nearness: np.ndarray | None,
    ) -> np.ndarray:
        """Mean of `light` (H, W, 3) as it lies at `times`, shifted by `moves` (N, 2) x, y pixels at nearness 1."""
        height, width = light.shape[:2]
        total, frame = np.zeros_like(light), np.empty_like(light)
        columns = np.arange(width, dtype=np.float32)[None, :]
        rows = np.arange(height, dtype=np.float32)[:, None]
        for time, move in zip(times, moves, strict=True):
            turn, scale = np.deg2rad(self.spin) * time, 1 / (1 + self.zoom * time)
            linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            offset = centre - linear @ centre
            if nearness is None:
                matrix = np.column_stack([linear, offset - move])
                flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
                cv2.warpAffine(
                    light, matrix, (width, height), frame, flags=flags, borderMode=cv2.BORDER_REFLECT
                )
            else:
                linear = linear.astype(np.float32)
                at_x = nearness * np.float32(-move[0])
                at_x += linear[0, 0] * columns + (linear[0, 1] * rows + np.float32(offset[0]))
                at_y = nearness * np.float32(-move[1])
                at_y += linear[1, 0] * columns + (linear[1, 1] * rows + np.float32(offset[1]))
                cv2.remap(light, at_x, at_y, cv2.INTER_LINEAR, frame, borderMode=cv2.BORDER_REFLECT)
            cv2.accumulate(frame, total)
        total *= np.float32(1 / len(times))
        return total

    def _nearness(self, scene: Scene) -> np.ndarray:
        """(H, W) factor of the shift: 1 for the nearest things, 1 - parallax for the farthest."""
        depth = np.maximum(scene.depth, np.float32(0.1))
        near = float(np.partition(depth.ravel(), depth.size // 20)[depth.size // 20])
        ratio = np.minimum(np.float32(near) / depth, 1)
        return np.float32(1 - self.parallax) + np.float32(self.parallax) * ratio
