"""Dust and sand storms: coloured scattering that takes blue away, and sand drifting low over the road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Scene, require
from .in_air import InAir
from .light import exp, to_linear
from .noise_fields import smooth_noise
from .portable import rounded
from .scattering import low_band

COLOURS = np.array(  # sRGB of the air in photos of dust storms: tan, orange, yellow, brown, red, pale, grey
    [
        (0.80, 0.70, 0.52),
        (0.88, 0.58, 0.22),
        (0.84, 0.70, 0.34),
        (0.52, 0.36, 0.24),
        (0.80, 0.36, 0.18),
        (0.80, 0.82, 0.80),
        (0.52, 0.53, 0.55),
    ]
)
SHARES = (0.27, 0.17, 0.17, 0.1, 0.05, 0.14, 0.1)
EXTINCTION = (0.92, 1.0, 1.18)  # relative extinction of red, green, blue


@dataclass(frozen=True, kw_only=True)
class Dust(InAir):
    """Dust or sand in the air: coloured veil, light filtered by it, and drifts of sand low over the ground.

    Formula: I_c = J_c s_c t_c + A_c (1 - t_c), t_c = exp(-k_c tau), k = (0.92, 1, 1.18); s is the colour of light
    that came through the dust, tau = 3.912 d / V plus the drifts' own optical depth.
    Source: Koschmieder (see `scattering`); blue is taken away more than red because mineral dust absorbs it,
    Wagner et al., Atmos. Chem. Phys. 12, 2012; the colours of the air were read off road photos.

    Args:
        drift: optical depth of the sand that blows over the ground, where it is thickest.
        filtering: how much of the dust's colour the light on the scene has taken on, 0 to 1.

    The other parameters are those of all effects in the air, see `InAir`.
    """

    airlight: tuple[float, float, float] = (0.82, 0.68, 0.44)
    height_scale: float = 150.0
    unevenness: float = 0.25
    drift: float | None = None
    filtering: float = 0.6
    scene_light: float = 0.8
    flatness: float = 0.2

    presets: ClassVar = {
        "visibility": (700.0, 350.0, 190.0, 105.0, 60.0),
        "drift": (0.1, 0.25, 0.45, 0.7, 1.0),
    }

    def check(self) -> None:
        super().check()
        require(self.drift >= 0, f"drift must be >= 0, got {self.drift}")
        require(0 <= self.filtering <= 1, f"filtering must lie in [0, 1], got {self.filtering}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Dust:
        """Random concrete parameters; near the presets where `severity` is given."""
        level = 4 * float(rng.random()) if severity is None else float(severity - 1)
        near = cls.presets_at(level)
        values = {name: value * float(rng.uniform(0.8, 1.25)) for name, value in near.items()}
        values["drift"] *= float(rng.choice([0.2, 1.0, 2.0], p=[0.6, 0.25, 0.15]))
        colour = COLOURS[rng.choice(len(COLOURS), p=SHARES)] * rng.uniform(0.85, 1.15)
        colour = colour + rng.normal(0, 0.02, 3)
        return cls(
            severity=severity,
            airlight=tuple(float(c) for c in np.clip(colour, 0.04, 0.97)),
            gradient=float(np.clip(rng.normal(0.05, 0.2), -0.6, 0.6)),
            vignette=rng.uniform(0.0, 0.3),
            height_scale=np.exp(rng.uniform(np.log(60), np.log(600))),
            horizon=rng.uniform(0.38, 0.52),
            unevenness=rng.uniform(0.0, 0.4),
            filtering=rng.uniform(0.3, 1.0),
            scene_light=rng.uniform(0.5, 1.1),
            flatness=rng.uniform(0.1, 0.5),
            lamps=rng.choice([0.0, 0.5, 1.0]),
            blur=rng.uniform(0.1, 0.8),
            glow=rng.uniform(0.1, 0.6),
            exposure=rng.normal(0.1, 0.15),
            **values,
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        tau = self.thickness(image, scene, rng)
        if self.drift > 0:
            tau += np.float32(self.drift) * drift_field(scene.depth, self.horizon, rng)
        air = self.air(scene.shape, rng)
        colour = to_linear(np.asarray(self.airlight, np.float32))
        filtered = rounded(np.power, colour / max(float(colour.max()), 1e-3) + 0.03, self.filtering)
        light = self.scene_lit(image, scene, self.scene_light * filtered / filtered.max())
        # `scatter` knows one tau; what blue loses beyond it is taken from the scene before
        for channel, relative in enumerate(EXTINCTION):
            if relative != 1.0:
                light[..., channel] *= exp(np.clip(tau, 0, 4) * np.float32(1 - relative))
        return self.exposed(self.through(light, tau, air, self.lamps_on(scene, rng)))


def drift_field(depth: np.ndarray, horizon: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 in about [0, 2]: ropes of sand close to the ground, flatter and finer towards the horizon."""
    height, width = depth.shape
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    # noise on the road plane: rows near the horizon are compressed
    plane = smooth_noise((64, 64), rng, cells=4, octaves=4, persistence=0.65, stretch=4.0)
    near = np.clip((rows - horizon) / max(1e-3, 1 - horizon), 0, 1)
    map_y = np.repeat((63 * np.sqrt(near))[:, None], width, axis=1).astype(np.float32)
    map_x = np.repeat(np.linspace(0, 63, width, dtype=np.float32)[None, :], height, axis=0)
    ropes = cv2.remap(plane, map_x, map_y, cv2.INTER_CUBIC).reshape(height, width)
    ropes = np.clip(np.float32(0.6) + np.float32(0.7) * ropes, 0, 2)
    band = low_band(height, horizon + 0.06, 0.05, 0.35)
    return band * ropes * np.clip((depth - 2) * np.float32(1 / 10), 0.2, 1)
