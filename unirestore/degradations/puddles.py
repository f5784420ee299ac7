"""Puddles: patches of standing water that mirror what stands above the road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .light import ramp, to_linear, to_srgb
from .noise_fields import smooth_noise
from .portable import rounded
from .surfaces import ground_distance, ground_mask


@dataclass(frozen=True, kw_only=True)
class Puddles(Degradation):
    """Standing water on the ground: mirror image by Fresnel's law, ripples, and a dark wet rim.

    Formula: L <- L (1 - 0.35 m) + m (R M - R L), m the water mask, M the picture mirrored about the foot of what
    stands behind, displaced by ripples, R = 0.02 + 0.98 (1 - cos a)^5 for the angle a at which the road is seen.
    Source: Schlick, "An inexpensive BRDF model for physically-based rendering", Computer Graphics Forum 13(3),
    1994, for R (water, n = 1.33: 0.02); mask from octave noise on the road plane.

    Args:
        amount: share of the ground under water, 0 to 1.
        ripples: displacement by ripples in units of 1/320 of the picture.
        scale: size of the puddles in metres.
        horizon: row of the horizon as a share of the height.
    """

    amount: float | None = None
    ripples: float = 1.2
    scale: float = 2.0
    horizon: float = 0.45

    presets: ClassVar = {"amount": (0.1, 0.22, 0.38, 0.58, 0.85)}

    def check(self) -> None:
        for name in ("amount", "horizon"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        require(self.ripples >= 0, f"ripples must be >= 0, got {self.ripples}")
        require(self.scale > 0, f"scale must be above 0 metres, got {self.scale}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Puddles:
        """Random concrete parameters; near the presets where `severity` is given."""
        level = 4 * float(rng.random()) if severity is None else float(severity - 1)
        amount = float(np.interp(level, range(5), cls.presets["amount"])) * float(rng.uniform(0.9, 1.1))
        return cls(
            severity=severity,
            amount=min(amount, 1.0),
            ripples=rng.uniform(0.3, 3.0),
            scale=np.exp(rng.uniform(np.log(0.8), np.log(5))),
            horizon=rng.uniform(0.4, 0.5),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        unit = float(np.sqrt(height * width)) / 320
        line = int(np.clip(round(self.horizon * height), 0, height - 1))
        light = to_linear(image)
        water = self.water(scene, rng)
        if not water.any():
            return to_srgb(light)
        rows = np.arange(height, dtype=np.float32)
        # a distant object whose foot is near the horizon is mirrored about its foot: rows below take those above
        foot = self._feet(scene, line)
        source = 2 * foot - rows[:, None]
        wave = smooth_noise((height, width), rng, cells=18, octaves=2, stretch=4.0)
        near = ramp(rows, line, height)[:, None] + np.float32(0.15)
        source = np.clip(source + wave * near * np.float32(2.5 * self.ripples * unit), 0, height - 1)
        columns = np.arange(width, dtype=np.float32)[None, :] + wave * near * np.float32(self.ripples * unit)
        mirrored = cv2.remap(
            light,
            columns.astype(np.float32),
            source.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).reshape(light.shape)
        distance = ground_distance(scene.shape, self.horizon)
        cosine = 1.5 / np.sqrt(np.minimum(distance, 1e4) ** 2 + 1.5**2)
        fresnel = (0.02 + 0.98 * rounded(np.power, 1 - cosine, 5)).astype(np.float32)
        fresnel = np.minimum(0.12 + 0.88 * fresnel, 0.9)[:, None] * water
        wet = light * (1 - np.float32(0.35) * water)[..., None]
        return to_srgb(wet + fresnel[..., None] * (mirrored - wet))

    def water(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """(H, W) float32 in [0, 1]: where water stands; the patches lie flat on the road."""
        height, width = scene.shape
        ahead = np.minimum(ground_distance(scene.shape, self.horizon), 60.0)
        side = 64
        plane = smooth_noise((side, side), rng, cells=4, octaves=4, persistence=0.5)
        lowest, highest = np.quantile(plane, [0.0, 1.0])
        threshold = (
            float(np.quantile(plane, 1 - self.amount))
            if 0 < self.amount < 1
            else (lowest - 1 if self.amount == 1 else highest + 1)
        )
        # perspective: 16 lattice steps of the noise are `scale` metres, repeated by mirroring
        step = 16.0 / self.scale
        map_y = np.repeat((ahead * step)[:, None], width, axis=1)
        right = (np.arange(width, dtype=np.float32) - 0.5 * width)[None, :] * ahead[:, None] / (1.2 * height)
        fold = 2.0 * (side - 1)
        map_x, map_y = (side - 1 - np.abs(np.mod(m, fold) - (side - 1)) for m in (right * step, map_y))
        field = cv2.remap(plane, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR)
        mask = ramp(field.reshape(height, width), threshold - 0.08, threshold + 0.08)
        return mask * ground_mask(scene, self.horizon)

    def _feet(self, scene: Scene, line: int) -> np.ndarray:
        """(H, W) or (1, W) float32 row about which each column is mirrored: where its ground begins."""
        width = scene.shape[1]
        ground = ground_mask(scene, self.horizon) > 0.5
        first = np.where(ground.any(axis=0), ground.argmax(axis=0), line).astype(np.float32)
        soft = cv2.blur(np.maximum(first, line)[None, :], (max(1, width // 40) | 1, 1)).reshape(1, width)
        return soft
