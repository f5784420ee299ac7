"""What haze, rain, snow and dust share: the parameters of the air, and what light meets in it, step by step.

Subclasses put the steps together in `apply`, with their own between them. They differ in the defaults of the
fields below, which they set again where theirs is another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Degradation, Scene, require
from .lamps import vehicle_lamps
from .light import picture_unit, to_srgb
from .scattering import THICK, airlight_field, open_sky, optical_depth, overcast, scatter


@dataclass(frozen=True, kw_only=True)
class InAir(Degradation):
    """Base of the effects of air that one looks through; not an effect itself.

    Args:
        visibility: metres at which the air alone leaves 2 % of the contrast (meteorological visibility).
        airlight: sRGB colour of the air, three numbers in [0, 1].
        gradient: log-brightness of the airlight at the top of the picture (minus it at the bottom).
        vignette: share of airlight lost at the left and right edges.
        height_scale: metres over which the density falls by e.
        horizon: row of the horizon as a share of the height.
        unevenness: standard deviation of the log density.
        scene_light: brightness of the scene relative to the clear photo, in linear light.
        flatness: how much sun and shadow are evened out, 0 to 1.
        lamps: share of vehicles with lamps on, 0 to 1; needs a label map.
        blur: strength of multiple-scattering blur, 0 to 1.
        glow: strength of the halo around lamps.
        exposure: camera exposure in stops, after the weather.
    """

    visibility: float | None = None
    airlight: tuple[float, float, float] = (0.76, 0.77, 0.78)
    gradient: float = 0.05
    vignette: float = 0.1
    height_scale: float = 120.0
    horizon: float = 0.45
    unevenness: float = 0.2
    scene_light: float | None = 1.0
    flatness: float = 0.0
    lamps: float = 0.0
    blur: float | None = 0.3
    glow: float = 0.3
    exposure: float = 0.0

    def check(self) -> None:
        for name in ("visibility", "height_scale"):
            require(getattr(self, name) > 0, f"{name} must be above 0 metres, got {getattr(self, name)}")
        colour = self.airlight
        require(
            len(colour) == 3 and all(0 <= c <= 1 for c in colour),
            f"airlight must be three sRGB numbers in [0, 1], got {colour}",
        )
        for name in ("unevenness", "scene_light", "blur", "glow"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        for name in ("flatness", "vignette", "lamps"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")

    def thickness(self, image: np.ndarray, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """(H, W) float32 optical depth between each thing and the camera; open sky is thick. Draws."""
        tau = optical_depth(
            scene.depth,
            visibility=self.visibility,
            height_scale=self.height_scale,
            horizon=self.horizon,
            unevenness=self.unevenness,
            rng=rng,
        )
        tau += np.float32(0.3 * THICK) * open_sky(image, scene.depth, self.horizon)
        return tau

    def air(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) float32 linear light of the air itself. Draws."""
        return airlight_field(shape, self.airlight, self.gradient, self.vignette, rng)

    def scene_lit(self, image: np.ndarray, scene: Scene, gain: np.ndarray | None = None) -> np.ndarray:
        """(H, W, 3) float32 linear light of the scene under this sky, before the air; `image` is sRGB.

        `gain` (3,) colours the light; None is `scene_light` in all channels.
        """
        light = scene.linear(image)
        if self.flatness > 0:
            light = overcast(light, self.flatness, picture_unit(scene.shape))
        if gain is not None or self.scene_light != 1:
            light *= np.asarray(self.scene_light if gain is None else gain, np.float32)
        return light

    def lamps_on(self, scene: Scene, rng: np.random.Generator) -> np.ndarray | None:
        """(H, W, 3) float32 linear light of lamps, None without any. Draws."""
        return vehicle_lamps(scene, self.lamps, rng)

    def through(
        self, light: np.ndarray, tau: np.ndarray, air: np.ndarray, lamps: np.ndarray | None
    ) -> np.ndarray:
        """(H, W, 3) linear `light` and `lamps` after `tau` (H, W) of air that shines with `air` (H, W, 3)."""
        return scatter(light, tau, air, blur=self.blur, glow=self.glow, lamps=lamps)

    def exposed(self, light: np.ndarray) -> np.ndarray:
        """(H, W, 3) float32 sRGB of linear `light`, which may be written to."""
        if self.exposure:
            light *= np.float32(2.0**self.exposure)
        return to_srgb(light)
