"""Haze and fog: the atmospheric scattering model of `scattering.py` with the parameters of real road fog.

The photo is taken to linear light, lit as under an overcast sky, sent through uneven air that thins with
height, and exposed by a camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Degradation, Scene
from .lamps import vehicle_lamps
from .light import to_linear, to_srgb
from .scattering import (
    THICK,
    airlight_field,
    check_air,
    light_under,
    open_sky,
    optical_depth,
    overcast,
    sample_airlight,
    scatter,
)


@dataclass(frozen=True, kw_only=True)
class Haze(Degradation):
    """Haze or fog.

    Args:
        visibility: meteorological visibility in metres; 1000 and above is haze, below is fog.
        airlight: sRGB colour of the fog, three numbers in [0, 1].
        gradient: log-brightness of the airlight at the top of the picture (minus it at the bottom).
        vignette: share of airlight lost at the left and right edges.
        height_scale: metres over which the density falls by e.
        horizon: row of the horizon as a share of the height, for the height fall-off.
        unevenness: standard deviation of the log density.
        scene_light: brightness of the scene under the fog relative to the clear photo, in linear light.
        flatness: how much sun and shadow are evened out, 0 to 1.
        lamps: share of vehicles with lamps on, 0 to 1; needs a label map.
        blur: strength of multiple-scattering blur, 0 to 1.
        glow: strength of the halo around lamps.
        exposure: camera exposure in stops, after the fog.
    """

    visibility: float | None = None
    airlight: tuple[float, float, float] = (0.76, 0.77, 0.78)
    gradient: float = 0.05
    vignette: float = 0.1
    height_scale: float = 80.0
    horizon: float = 0.45
    unevenness: float = 0.2
    scene_light: float = 1.0
    flatness: float = 0.0
    lamps: float = 0.0
    blur: float | None = None
    glow: float = 0.3
    exposure: float = 0.0

    presets: ClassVar = {"visibility": (400.0, 220.0, 120.0, 70.0, 40.0), "blur": (0.2, 0.35, 0.5, 0.65, 0.8)}

    def check(self) -> None:
        check_air(self)

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
        height, width = scene.shape
        unit = float(np.sqrt(height * width)) / 320
        tau = optical_depth(
            scene.depth,
            visibility=self.visibility,
            height_scale=self.height_scale,
            horizon=self.horizon,
            unevenness=self.unevenness,
            rng=rng,
        )
        tau += np.float32(0.3 * THICK) * open_sky(image, scene.depth, self.horizon)
        air = airlight_field(scene.shape, self.airlight, self.gradient, self.vignette, rng)
        light = to_linear(image)
        if self.flatness > 0:
            light = overcast(light, self.flatness, unit)
        if self.scene_light != 1:
            light *= np.float32(self.scene_light)
        lamps = vehicle_lamps(scene, self.lamps, rng)
        out = scatter(light, tau, air, blur=self.blur, glow=self.glow, lamps=lamps)
        if self.exposure:
            out *= np.float32(2.0**self.exposure)
        return to_srgb(out)
