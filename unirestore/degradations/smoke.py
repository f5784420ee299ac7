"""Smoke: plumes that rise from the ground and drift with the wind, from pale to black."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .light import blurred, exp, ramp, to_linear, to_srgb, triple
from .noise_fields import smooth_noise
from .portable import rounded
from .surfaces import ground_distance

GRID = 96  # longest side at which a plume is computed


@dataclass(frozen=True, kw_only=True)
class Smoke(Degradation):
    """Smoke plumes of fires and exhausts: turbulent density that rises, widens and drifts; absorbs and scatters.

    Formula: L <- L exp(-tau) + w A (1 - exp(-tau)), w the albedo of the smoke; tau = `density` x plume profile x
    max(0, warped noise); a Gaussian profile whose width grows with the height above the source.
    Source: the Gaussian plume of Pasquill (1961) for the profile; turbulence by domain-warped octave noise,
    Perlin, SIGGRAPH 1985, and Quilez, "Domain warping" (2002), both by our own noise.

    Args:
        plumes: number of sources.
        density: optical depth in the middle of a plume.
        albedo: brightness of the smoke relative to the light around, 0.05 (tyres) to 1 (steam).
        warmth: log ratio of its red to its blue; positive is brownish.
        wind: sideways drift per height, about -3 to 3.
        spread: widening of a plume per height, above 0.
        turbulence: how ragged it is, 0 to 1.
        pall: optical depth of the even smoke that hangs over the whole scene.
        horizon: row of the horizon as a share of the height.
    """

    plumes: int | None = None
    density: float | None = None
    albedo: float = 0.7
    warmth: float = 0.05
    wind: float = 0.8
    spread: float = 0.35
    turbulence: float = 0.7
    pall: float | None = None
    horizon: float = 0.45

    presets: ClassVar = {
        "plumes": (1, 2, 2, 3, 4),
        "density": (0.75, 1.1, 1.5, 1.9, 2.4),
        "pall": (0.04, 0.1, 0.2, 0.34, 0.52),
    }

    def check(self) -> None:
        for name in ("plumes", "density", "pall"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        for name in ("albedo", "turbulence", "horizon"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        require(abs(self.warmth) <= 1, f"warmth must lie in [-1, 1], got {self.warmth}")
        require(abs(self.wind) <= 5, f"wind must lie in [-5, 5], got {self.wind}")
        require(self.spread > 0, f"spread must be above 0, got {self.spread}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Smoke:
        """Random concrete parameters; near the presets where `severity` is given."""
        level = 4 * float(rng.random()) if severity is None else float(severity - 1)
        plumes, density, pall = cls.presets_at(level).values()
        return cls(
            severity=severity,
            plumes=max(1, round(plumes)),
            density=density * rng.uniform(0.85, 1.2),
            pall=pall * rng.uniform(0.8, 1.25),
            albedo=rng.choice([0.12, 0.4, 0.7, 0.9]) * rng.uniform(0.8, 1.1),
            warmth=rng.uniform(-0.03, 0.15),
            wind=float(np.clip(rng.normal(0, 1.2), -4, 4)),
            spread=rng.uniform(0.2, 0.6),
            turbulence=rng.uniform(0.4, 0.9),
            horizon=rng.uniform(0.38, 0.52),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        light = to_linear(image)
        small = cv2.resize(light, (1, 1), interpolation=cv2.INTER_AREA).reshape(3)
        around = 0.35 + 0.65 * blurred(cv2.cvtColor(light, cv2.COLOR_RGB2GRAY), 0.15 * min(height, width))
        base = max(float(small.mean()), 0.05)
        warm = np.exp(np.array([0.5 * self.warmth, 0.0, -0.5 * self.warmth])).astype(np.float32)
        glow = np.clip(around * np.float32(1.6 * np.sqrt(base)), 0.02, 1.0) * np.float32(self.albedo)
        tau = np.minimum(scene.depth, 200) * np.float32(self.pall / 40)
        plumes, shade = self.plume_field(scene, rng)
        tau += plumes
        t = triple(exp(-tau))
        smoke = triple(glow * shade) * warm
        return to_srgb(light * t + smoke * (1 - t))

    def plume_field(self, scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Optical depth of all plumes and how brightly they are lit (about 1), both (H, W) float32.

        Things nearer than a plume's source stay in front of it. Smoke shades itself: light comes from above, and
        of what it meets on its way down, the nearest counts most.
        """
        height, width = scene.shape
        low_h, low_w = (max(2, round(side * min(1.0, GRID / max(height, width)))) for side in (height, width))
        total = np.zeros((height, width), np.float32)
        thick, lit = np.zeros((low_h, low_w), np.float32), np.zeros((low_h, low_w), np.float32)
        ahead = ground_distance((height, width), self.horizon)
        rows, columns = np.mgrid[0:low_h, 0:low_w].astype(np.float32)
        rows, columns = (rows + 0.5) / low_h, (columns + 0.5) / low_w
        for _ in range(self.plumes):
            foot = float(rng.uniform(self.horizon + 0.03, max(self.horizon + 0.04, 0.85)))
            column = float(rng.uniform(0.1, 0.9))
            scale = 0.25 + 1.5 * max(0.0, foot - self.horizon)  # nearer plumes look larger
            wobble = [smooth_noise((low_h, low_w), rng, cells=3, octaves=3, persistence=0.6) for _ in "xy"]
            up = (foot - rows) / scale + np.float32(0.12 * self.turbulence) * wobble[1]
            lean = self.wind * rounded(np.power, np.maximum(up, 0), 1.5) * 0.35
            across = (columns - column) * (width / height) / scale - lean
            across += np.float32(0.22 * self.turbulence) * wobble[0] * np.clip(up + 0.1, 0, 1)
            wide = 0.10 + self.spread * np.maximum(up, 0)
            profile = rounded(np.exp, -((across / wide) ** 2)) * np.clip((up + 0.05) * 12, 0, 1)
            profile *= rounded(np.power, 0.10 / wide, 0.6)  # spreads, so it thins
            noise = smooth_noise((low_h, low_w), rng, cells=5, octaves=4, persistence=0.65)
            shift = np.float32(5 * self.turbulence)
            noise = cv2.remap(
                noise,
                columns * low_w - 0.5 + shift * wobble[0],
                rows * low_h - 0.5 + shift * wobble[1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            ).reshape(low_h, low_w)
            ragged = rounded(np.exp, np.float32(0.95 * self.turbulence) * noise - np.float32(0.2))
            low = (profile * ragged).astype(np.float32)
            thick += low
            lit += low * (
                noise
                - cv2.warpAffine(
                    noise,
                    np.float32([[1, 0, 1.5], [0, 1, 3]]),
                    (low_w, low_h),
                    borderMode=cv2.BORDER_REPLICATE,
                ).reshape(low_h, low_w)
            )
            field = cv2.resize(low, (width, height), interpolation=cv2.INTER_CUBIC)
            distance = float(ahead[min(height - 1, int(foot * height))])
            behind = ramp(scene.depth, 0.55 * distance, 1.25 * distance)
            total += np.maximum(field.reshape(height, width), 0) * behind
        thick *= np.float32(1.6 * self.density)
        above = np.zeros_like(thick)  # optical depth towards the light, fading over a tenth of the height
        for row in range(1, low_h):
            above[row] = above[row - 1] * np.float32(1 - 10 / low_h) + thick[row - 1] * np.float32(10 / low_h)
        lit *= np.float32(1.6 * self.density) / (thick + np.float32(0.3))
        shade = (np.float32(0.7) + np.float32(0.6) * rounded(np.exp, np.float32(-0.7) * above)) * (
            1 - np.float32(0.22) * lit
        )
        shade = cv2.GaussianBlur(np.clip(shade, 0.3, 1.4), (0, 0), 1.2)
        shade = cv2.resize(shade, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width)
        return total * np.float32(1.6 * self.density), shade
