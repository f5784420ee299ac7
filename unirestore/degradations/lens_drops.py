"""Drops on the lens or the windscreen: irregular, out of focus, each a small wide-angle picture of the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .light import blurred, ramp, to_linear, to_srgb
from .noise_fields import smooth_noise


@dataclass(frozen=True, kw_only=True)
class LensDrops(Degradation):
    """Water drops on glass: refraction turns the scene upside down and small; a rim darkens; trails run down.

    Formula: each drop has a height field h (a cap with a ragged outline); a pixel shows the blurred scene at
    p - k grad h, multiplied by 1 - r |grad h|^2; outside drops the glass is a little fogged.
    Source: refraction by the gradient of a drop's surface as in Roser and Geiger, "Video-based raindrop
    detection", ICCV Workshops 2009, reduced to a thin lens; outlines and trails are ours.

    Args:
        drops: drops per picture.
        size: median radius in units of 1/320 of the picture.
        blur: out-of-focus blur of the drops' edges, in units.
        fog: how fogged the glass is, 0 to 1.
        trails: share of the drops that have run down and left a trail, 0 to 1.
        bend: how far a drop refracts, in its radii.
    """

    drops: int | None = None
    size: float | None = None
    blur: float = 0.8
    fog: float = 0.1
    trails: float = 0.1
    bend: float = 5.0

    presets: ClassVar = {"drops": (15, 35, 70, 120, 190), "size": (3.0, 3.6, 4.2, 5.0, 6.0)}

    def check(self) -> None:
        require(
            isinstance(self.drops, int) and not isinstance(self.drops, bool) and self.drops >= 0,
            f"drops must be an integer >= 0, got {self.drops!r}",
        )
        for name in ("blur", "bend"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(self.size > 0, f"size must be above 0, got {self.size}")
        for name in ("fog", "trails"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> LensDrops:
        """Random concrete parameters; near the presets where `severity` is given."""
        level = 4 * float(rng.random()) if severity is None else float(severity - 1)
        drops, size = (float(np.interp(level, range(5), steps)) for steps in cls.presets.values())
        return cls(
            severity=severity,
            drops=round(drops * rng.uniform(0.8, 1.25)),
            size=size * rng.uniform(0.7, 1.3),
            blur=rng.uniform(0.2, 2.5),
            fog=rng.uniform(0, 0.4),
            trails=rng.uniform(0, 0.3),
            bend=rng.uniform(3, 7),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        unit = float(np.sqrt(height * width)) / 320
        light = to_linear(image)
        soft = blurred(light, 1.5 * unit)
        base = light + np.float32(self.fog) * (blurred(light, 4 * unit) - light)
        if self.drops == 0:
            return to_srgb(base)
        surface, dx, dy = self.surface(scene.shape, unit, rng)
        rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(self.bend) * dy
        columns = np.arange(width, dtype=np.float32)[None, :] - np.float32(self.bend) * dx
        seen = cv2.remap(soft, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT).reshape(
            light.shape
        )
        steep = np.minimum((1 - surface) * (1 - surface) ** 2, 1) * np.float32(
            0.55
        )  # the rim bends light away: dark
        lit = np.float32(0.1) * ramp(dy, 0.0, 6.0 * unit)  # the lower edge collects the sky
        mask = ramp(surface, 0.02, 0.25)
        edge = max(0.3, self.blur * unit)
        mask = cv2.GaussianBlur(mask, (0, 0), edge).reshape(height, width)[..., None]
        shade = cv2.GaussianBlur(1 - steep + lit, (0, 0), edge).reshape(height, width)[..., None]
        return to_srgb(base + mask * (seen * shade - base))

    def surface(
        self, shape: tuple[int, int], unit: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Height of the water, 0 to 1, and the offsets from each drop's centre in pixels; all (H, W) float32."""
        height, width = shape
        surface, dx, dy = (np.zeros(shape, np.float32) for _ in range(3))
        wobble = smooth_noise(shape, rng, cells=24, octaves=2)
        for _ in range(self.drops):
            radius = float(self.size * np.exp(rng.normal(-0.25, 0.5))) * unit
            column, row = float(rng.uniform(0, width)), float(rng.uniform(0, height))
            tall = radius * float(rng.uniform(0.9, 1.5))
            _add_drop(surface, dx, dy, wobble, column, row, radius, tall)
            if rng.random() < self.trails:
                drift, up = 0.0, row
                for _ in range(int(rng.integers(4, 12))):  # small drops that were left behind above it
                    up -= float(rng.uniform(1.2, 2.5)) * radius
                    drift += float(rng.normal(0, 0.25)) * radius
                    small = radius * float(rng.uniform(0.2, 0.5))
                    _add_drop(surface, dx, dy, wobble, column + drift, up, small, small * 1.4)
        return surface, dx, dy


def _add_drop(surface, dx, dy, wobble, column: float, row: float, radius: float, tall: float) -> None:
    """Lays a drop over what is there, in place."""
    height, width = surface.shape
    x0, x1 = max(0, int(column - 1.4 * radius)), min(width, int(column + 1.4 * radius) + 2)
    y0, y1 = max(0, int(row - 1.4 * tall)), min(height, int(row + 1.4 * tall) + 2)
    if x1 <= x0 or y1 <= y0:
        return
    across = (np.arange(x0, x1, dtype=np.float32) - np.float32(column))[None, :]
    down = (np.arange(y0, y1, dtype=np.float32) - np.float32(row))[:, None]
    pear = 1 + 0.25 * down / np.float32(tall)  # heavier below
    radius2 = (across / np.float32(radius) / pear) ** 2 + (down / np.float32(tall)) ** 2
    cap = 1 - radius2 + np.float32(0.16) * wobble[y0:y1, x0:x1]
    place = surface[y0:y1, x0:x1]
    over = cap > np.maximum(place, 0)
    place[over] = np.minimum(cap, 1)[over]
    dx[y0:y1, x0:x1][over] = np.broadcast_to(across, cap.shape)[over]
    dy[y0:y1, x0:x1][over] = np.broadcast_to(down, cap.shape)[over]
