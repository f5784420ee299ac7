"""Dusk and dawn: daylight photos in the light that is left, with the sky still bright and street lamps on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .light import ramp, to_linear, to_srgb, triple
from .scattering import overcast


@dataclass(frozen=True, kw_only=True)
class Dusk(Degradation):
    """A day photo at dusk: little bluish light on the ground, a brighter sky, colours fading as rods take over.

    Formula: L <- g_c 2^-stops overcast(L) on the ground and g_c 2^(-stops / 2) in the sky; then
    L <- L + p (Y_s b - L), Y_s = 0.07 R + 0.38 G + 0.55 B the scotopic response and b a blue grey.
    Source: Jensen et al., "Night rendering", tech. report UUCS-00-016, 2000, for scotopic response and blue
    shift; the split of sky and ground by stops is ours.

    Args:
        stops: loss of light on the ground in stops after exposure, 0 or more.
        blue: log gain of blue over red, -0.6 to 0.8; negative is a warm sunset.
        rods: share p of scotopic vision, 0 to 1.
        flatness: how much sun and shadow are evened out, 0 to 1.
        horizon: row below which nothing is sky, as a share of the height.
    """

    stops: float | None = None
    blue: float = 0.25
    rods: float | None = None
    flatness: float = 0.4
    horizon: float = 0.55

    presets: ClassVar = {"stops": (0.6, 1.2, 1.9, 2.6, 3.4), "rods": (0.1, 0.2, 0.3, 0.4, 0.5)}

    def check(self) -> None:
        require(self.stops >= 0, f"stops must be >= 0, got {self.stops}")
        require(-0.6 <= self.blue <= 0.8, f"blue must lie in [-0.6, 0.8], got {self.blue}")
        for name in ("rods", "flatness", "horizon"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Dusk:
        """Random concrete parameters; near the presets where `severity` is given."""
        level = 4 * float(rng.random()) if severity is None else float(severity - 1)
        stops, rods = (float(np.interp(level, range(5), steps)) for steps in cls.presets.values())
        return cls(
            severity=severity,
            stops=stops * rng.uniform(0.9, 1.1),
            rods=rods * rng.uniform(0.5, 1.2),
            blue=float(np.clip(rng.normal(0.2, 0.2), -0.6, 0.8)),
            flatness=rng.uniform(0.2, 0.6),
            horizon=rng.uniform(0.45, 0.6),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        unit = float(np.sqrt(height * width)) / 320
        light = to_linear(image)
        sky = self._sky(image, scene, unit)
        if self.flatness > 0:
            even = overcast(light, self.flatness, unit)
            light = even + triple(sky) * (light - even)
        gain = np.float32(2.0**-self.stops) + sky * np.float32(2.0 ** (-self.stops / 2) - 2.0**-self.stops)
        tint = np.exp(np.array([-0.5 * self.blue, 0.0, 0.5 * self.blue]))
        tint /= tint @ np.array([0.21, 0.72, 0.07])
        light = light * triple(gain) * tint.astype(np.float32)
        scotopic = cv2.transform(light, np.float32([[0.07, 0.38, 0.55]]))
        grey = np.array([0.85, 0.97, 1.2], np.float32)
        return to_srgb(light + np.float32(self.rods) * (triple(scotopic) * grey - light))

    def _sky(self, image: np.ndarray, scene: Scene, unit: float) -> np.ndarray:
        """(H, W) float32 in [0, 1]: sky by its label, else bright and not reddish above the horizon."""
        height, width = scene.shape
        if scene.label_map is not None and scene.class_names:
            ids = [i for i, name in enumerate(scene.class_names) if str(name).lower() == "sky"]
            mask = np.isin(scene.label_map, ids).astype(np.float32)
        else:
            rows = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
            bright = ramp(image[..., 2], 0.55, 0.8) * ramp(image[..., 2] - image[..., 0], -0.1, 0.0)
            mask = bright * ramp(self.horizon - rows, 0.0, 0.1)
        return cv2.GaussianBlur(mask, (0, 0), max(0.5, unit)).reshape(height, width)
