"""Spray that wheels throw up behind and beside vehicles on a wet road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .depth import CAMERA_HEIGHT, FOCAL
from .lamps import VEHICLES
from .light import blurred, exp, ramp, to_linear, to_srgb, triple
from .noise_fields import smooth_noise
from .portable import rounded


@dataclass(frozen=True, kw_only=True)
class SprayTrails(Degradation):
    """Clouds of spray at the wheels of vehicles, densest at the road, ragged, with coarse drops nearby.

    Formula: L <- L exp(-tau) + A (1 - exp(-tau)); tau = density x sum over wheels of exp(-(x / w)^2 - (y / h)^2)
    above the road x exp(noise), w and h growing with the speed of the vehicle; a quarter of it before the vehicle
    itself, which drives out of its cloud, and none before what stands nearer; A the light of the brighter air above.
    Source: the white fog behind vehicles of Shearman et al., "Spray generation from vehicles", SAE 980018 (1998)
    for its size (about the vehicle's height, two to three widths); the field is ours.

    Args:
        clouds: clouds where no label map names vehicles.
        share: share of labelled vehicles that throw spray, 0 to 1.
        density: optical depth in the middle of a cloud.
        size: size of a cloud relative to its vehicle.
        drops: coarse drops per cloud.
        brightness: of the spray relative to its surroundings.
        horizon: row of the horizon as a share of the height.
    """

    clouds: int | None = None
    share: float = 0.8
    density: float | None = None
    size: float | None = None
    drops: int = 60
    brightness: float = 1.0
    horizon: float = 0.45

    presets: ClassVar = {
        "clouds": (1, 2, 3, 4, 5),
        "density": (0.5, 0.9, 1.4, 2.0, 3.0),
        "size": (0.7, 0.9, 1.1, 1.3, 1.6),
    }

    def check(self) -> None:
        for name in ("clouds", "density", "drops", "brightness"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(self.size > 0, f"size must be above 0, got {self.size}")
        for name in ("share", "horizon"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> SprayTrails:
        """Random concrete parameters; near the presets where `severity` is given."""
        level = 4 * float(rng.random()) if severity is None else float(severity - 1)
        clouds, density, size = (float(np.interp(level, range(5), steps)) for steps in cls.presets.values())
        return cls(
            severity=severity,
            clouds=max(1, round(clouds)),
            share=rng.uniform(0.4, 1.0),
            density=density * rng.uniform(0.8, 1.25),
            size=size * rng.uniform(0.85, 1.2),
            drops=int(rng.integers(0, 120)),
            brightness=rng.uniform(0.8, 1.15),
            horizon=rng.uniform(0.4, 0.5),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        unit = float(np.sqrt(height * width)) / 320
        wheels = self.wheels(scene, rng)
        if not wheels:
            return image
        light = to_linear(image)
        depth = scene.depth
        tau = np.zeros((height, width), np.float32)
        specks = np.zeros((height, width), np.uint8)
        for column, foot, wide, tall in wheels:
            _add_cloud(tau, column, foot, wide * self.size, tall * self.size, depth, rng)
            amount = self.drops if tall > 8 * unit else 0
            if amount:
                where = rng.normal(0, (0.7 * wide * self.size, 0.5 * tall * self.size), (amount, 2))
                radii = np.exp(rng.uniform(np.log(0.25), np.log(1.1), amount)) * unit
                for (dx, dy), radius in zip(where.tolist(), radii.tolist(), strict=True):
                    centre = (round((column + dx) * 16), round((foot - abs(dy)) * 16))
                    cv2.circle(specks, centre, max(8, round(radius * 16)), 150, -1, cv2.LINE_AA, 4)
        tau *= np.float32(self.density) * (1 - np.float32(0.75) * _vehicles(scene))
        near = np.float32(0.12) + np.float32(0.95) * blurred(light, 0.08 * min(height, width))
        grey = cv2.cvtColor(near, cv2.COLOR_RGB2GRAY)
        above = np.float32(np.quantile(grey[: max(1, round(self.horizon * height))], 0.6))
        grey = np.float32(0.45) * grey + np.float32(0.5) * above  # spray is lit by the sky, not by the road
        air = np.float32(0.25 * self.brightness) * near + triple(np.float32(0.9 * self.brightness) * grey)
        out = air + triple(exp(-tau)) * (light - air)
        opacity = triple(specks.astype(np.float32) * np.float32(0.5 / 255) * (tau > 0.02))
        return to_srgb(out + opacity * (np.float32(1.1) * air - out))

    def wheels(self, scene: Scene, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
        """(column, road row, half width, height) of every cloud, in pixels."""
        height, width = scene.shape
        out = []
        if scene.label_map is not None and scene.class_names:
            ids = [i for i, name in enumerate(scene.class_names) if str(name).lower() in VEHICLES]
            mask = np.isin(scene.label_map, ids).astype(np.uint8)
            _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
            for left, top, wide, tall, area in stats[1:40].tolist():
                if rng.random() >= self.share or area < 1e-4 * height * width:
                    continue
                for side in (0.05, 0.95):
                    out.append((left + side * wide, top + tall, 0.4 * wide, 0.6 * tall))
            return out
        for _ in range(self.clouds):
            distance = float(np.exp(rng.uniform(np.log(6), np.log(40))))
            scale = FOCAL * height / distance
            foot = self.horizon * height + CAMERA_HEIGHT * scale
            out.append(
                (float(rng.uniform(0.1, 0.9)) * width, min(foot, 1.1 * height), 1.4 * scale, 1.1 * scale)
            )
        return out


def _vehicles(scene: Scene) -> np.ndarray:
    """(H, W) float32 in [0, 1]: vehicles of the label map, softly; 0 without one."""
    if scene.label_map is None or not scene.class_names:
        return np.zeros(scene.shape, np.float32)
    ids = [i for i, name in enumerate(scene.class_names) if str(name).lower() in VEHICLES]
    mask = np.isin(scene.label_map, ids).astype(np.float32)
    return cv2.GaussianBlur(mask, (0, 0), max(0.5, 0.006 * min(scene.shape))).reshape(scene.shape)


def _add_cloud(
    tau: np.ndarray, column: float, foot: float, wide: float, tall: float, depth: np.ndarray, rng
) -> None:
    """Adds a ragged cloud that stands on row `foot`: falls off upwards over `tall`, quickly below the road.

    What is clearly nearer than the ground at its foot hides it.
    """
    height, width = tau.shape
    x0, x1 = max(0, int(column - 2.2 * wide)), min(width, int(column + 2.2 * wide) + 1)
    y0, y1 = max(0, int(foot - 2.2 * tall)), min(height, int(foot + 0.4 * tall) + 1)
    if x1 <= x0 or y1 <= y0:
        return
    noise = smooth_noise((y1 - y0, x1 - x0), rng, cells=4, octaves=5, persistence=0.7)
    across = ((np.arange(x0, x1) - column) / max(wide, 0.5)).astype(np.float32)
    up = ((foot - np.arange(y0, y1)) / max(tall, 0.5)).astype(np.float32)
    upright = rounded(np.exp, -(np.where(up > 0, up, up * 5) ** 2))
    # eddies push the outline about by up to a third of its size, more at the top
    body = exp(-((across[None, :] + np.float32(0.22) * noise) ** 2)) * upright[:, None]
    body *= ramp(-np.abs(across), -2.2, -1.5)[None, :]
    place = depth[y0:y1, x0:x1]
    row, mid = int(np.clip(foot, 0, height - 1)), int(np.clip(column, 0, width - 1))
    behind = ramp(place / np.float32(max(float(depth[row, mid]), 0.5)), 0.6, 0.85)
    tau[y0:y1, x0:x1] += body * exp(np.float32(0.8) * noise - np.float32(0.35)) * behind
