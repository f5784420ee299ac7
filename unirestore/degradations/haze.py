"""Haze and fog: the atmospheric scattering model of `scattering.py` with the parameters of real road fog.

The photo is taken to linear light, lit as under an overcast sky, sent through uneven air that thins with
height, and exposed by a camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Scene
from .in_air import InAir
from .scattering import light_under, sample_airlight


@dataclass(frozen=True, kw_only=True)
class Haze(InAir):
    """Haze or fog.

    Args:
        visibility: 1000 m and above is haze, below is fog.

    The other parameters are those of all effects in the air, see `InAir`.
    """

    height_scale: float = 80.0
    blur: float | None = None

    presets: ClassVar = {"visibility": (400.0, 220.0, 120.0, 70.0, 40.0), "blur": (0.2, 0.35, 0.5, 0.65, 0.8)}

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Haze:
        """Random concrete parameters over the range of real fog; visibility near the preset of `severity`."""
        if severity is None:
            visibility = float(np.exp(rng.uniform(np.log(32), np.log(400))))
        else:
            visibility = cls.presets["visibility"][severity - 1] * float(rng.uniform(0.85, 1.2))
        airlight = sample_airlight(rng, dusk=0.17)
        return cls(
            severity=severity,
            visibility=visibility,
            airlight=airlight,
            gradient=rng.normal(0.08, 0.14),
            vignette=rng.uniform(0.0, 0.35),
            height_scale=np.exp(rng.uniform(np.log(30), np.log(300))),
            horizon=rng.uniform(0.35, 0.55),
            unevenness=rng.uniform(0.0, 0.4),
            scene_light=light_under(airlight, rng),
            flatness=rng.uniform(0.1, 0.5),
            lamps=rng.choice([0.0, 0.5, 1.0]),
            blur=rng.uniform(0.2, 1.0),
            glow=rng.uniform(0.1, 0.8),
            exposure=rng.normal(0.1, 0.15),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        tau = self.thickness(image, scene, rng)
        air = self.air(scene.shape, rng)
        light = self.scene_lit(image, scene)
        return self.exposed(self.through(light, tau, air, self.lamps_on(scene, rng)))
