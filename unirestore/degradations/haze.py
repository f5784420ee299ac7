"""Haze and fog by the atmospheric scattering model, in linear light.

Koschmieder (1924): I = J t + A (1 - t), t = exp(-tau). The attenuation is beta = 3.912 / V for a meteorological
visibility V at which contrast has fallen to 2 % (exp(-3.912) = 0.02). What is added to the textbook model:
  - the air thins with height above the road, so tau along a ray is beta * d * mean of exp(-h / height_scale);
  - fog is uneven: beta is multiplied by exp of seeded smooth noise;
  - light scattered several times arrives from beside the direct path: the attenuated scene is blurred by an amount
    that grows with tau (a cheap stand-in for Narasimhan and Nayar, CVPR 2003), lamps get a glow;
  - the sun is gone: the scene is lit more weakly than the fog itself (`scene_light`), and the camera sets its
    exposure by the bright veil (`exposure`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require, to_linear, to_srgb
from .depth import CAMERA_HEIGHT, FOCAL
from .noise_fields import smooth_noise

CONTRAST_LOSS = 3.912  # -ln(0.02)


def transmission(depth: np.ndarray, visibility: float) -> np.ndarray:
    """Share of light that arrives unscattered: exp(-3.912 d / V); 0.02 at d = V. `depth` in metres, any shape."""
    return np.exp(-np.asarray(depth, np.float32) * np.float32(CONTRAST_LOSS / visibility))


def height_factor(
    shape: tuple[int, int], depth: np.ndarray, height_scale: float, horizon: float
) -> np.ndarray:
    """Mean of exp(-h / height_scale) along each ray from the camera, (H, W) float32 in (0, 1].

    `horizon` is a share of the picture height. Rays at or below it stay in the full density.
    """
    height = shape[0]
    slope = np.maximum(horizon - (np.arange(height, dtype=np.float32) + 0.5) / height, 0) / np.float32(FOCAL)
    rise = np.minimum(depth, 1e5) * slope[:, None] * np.float32(1 / height_scale)
    rise = np.maximum(rise, 1e-3)
    return (1 - cv2.exp(-rise).reshape(shape)) / rise


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, done on a smaller picture where sigma allows it."""
    height, width = image.shape[:2]
    shrink = int(min(max(1, sigma / 2), height, width))
    if shrink == 1:
        return cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1)).reshape(image.shape)
    small = cv2.resize(
        image, (max(1, width // shrink), max(1, height // shrink)), interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(image.shape)


def scatter(
    scene_light: np.ndarray,
    optical_depth: np.ndarray,
    airlight: np.ndarray,
    *,
    blur: float,
    glow: float,
) -> np.ndarray:
    """Koschmieder with multiple scattering: (H, W, 3) linear light in, linear light out.

    `optical_depth` (H, W); `airlight` (3,) or (H, W, 3) linear; `blur` and `glow` are strengths, 0 = textbook model.
    """
    height, width = optical_depth.shape
    t = cv2.exp(-optical_depth).reshape(height, width, 1)
    radiance = scene_light
    unit = np.sqrt(height * width) / 320
    if blur > 0:
        spread = (1 - cv2.exp(optical_depth * np.float32(-0.35)).reshape(height, width, 1)) * np.float32(
            min(blur, 1)
        )
        radiance = radiance + spread * (blurred(scene_light, 1.6 * unit * (0.5 + blur)) - radiance)
    out = airlight + (radiance - airlight) * t
    if glow > 0:
        bright = np.maximum(scene_light - np.float32(0.55), 0) * np.float32(glow)
        halo = blurred(bright, 5 * unit) + np.float32(0.6) * blurred(bright, 16 * unit)
        out = out + halo * np.minimum(1 - t, np.float32(0.6)) * cv2.sqrt(t).reshape(t.shape)
    return out


def airlight_field(
    shape: tuple[int, int], airlight: tuple[float, float, float], gradient: float, rng: np.random.Generator
) -> np.ndarray:
    """(H, W, 3) linear airlight: the sRGB colour `airlight`, up to `gradient` brighter above than below, uneven."""
    height, width = shape
    rows = (
        np.linspace(1, -1, height, dtype=np.float32)[:, None] if height > 1 else np.zeros((1, 1), np.float32)
    )
    shade = np.exp(
        np.float32(gradient) * rows + np.float32(0.05) * smooth_noise(shape, rng, cells=1, octaves=2)
    )
    return shade[..., None] * to_linear(np.asarray(airlight, np.float32))


def sample_airlight(rng: np.random.Generator, dusk: float = 0.2) -> tuple[float, float, float]:
    """A colour of fog as real road photos show it: white-grey mostly, bluish, greenish, tan; darker at dusk."""
    kind = rng.choice(5, p=(0.5, 0.24, 0.08, 0.13, 0.05))
    tint = np.array(
        [
            (0, 0, 0),
            (-0.045, -0.005, 0.05),
            (-0.03, 0.015, -0.005),
            (0.04, 0.005, -0.05),
            (0.09, 0.01, -0.13),
        ][kind]
    )
    level = rng.uniform(0.33, 0.55) if rng.random() < dusk else rng.uniform(0.56, 0.9)
    colour = level * (1 + tint * rng.uniform(0.3, 1.9)) + rng.normal(0, 0.006, 3)
    return tuple(float(c) for c in np.clip(colour, 0.05, 0.97))


@dataclass(frozen=True, kw_only=True)
class Haze(Degradation):
    """Haze or fog; see the module header for the model.

    Args:
        visibility: meteorological visibility in metres; 1000 and above is haze, below is fog.
        airlight: sRGB colour of the fog, three numbers in [0, 1].
        gradient: log-brightness of the airlight at the top of the picture (minus it at the bottom).
        height_scale: metres over which the density falls by e.
        horizon: row of the horizon as a share of the height, for the height fall-off.
        unevenness: standard deviation of the log density.
        scene_light: brightness of the scene under the fog relative to the clear photo, in linear light.
        blur: strength of multiple-scattering blur, 0 to 1.
        glow: strength of the halo around lamps.
        exposure: camera exposure in stops, after the fog.
    """

    visibility: float | None = None
    airlight: tuple[float, float, float] = (0.76, 0.77, 0.78)
    gradient: float = 0.05
    height_scale: float = 80.0
    horizon: float = 0.45
    unevenness: float = 0.2
    scene_light: float = 1.0
    blur: float | None = None
    glow: float = 0.3
    exposure: float = 0.0

    presets: ClassVar = {"visibility": (400.0, 220.0, 120.0, 65.0, 35.0), "blur": (0.2, 0.35, 0.5, 0.65, 0.8)}

    def check(self) -> None:
        require(self.visibility > 0, f"visibility must be above 0 metres, got {self.visibility}")
        require(
            len(self.airlight) == 3 and all(0 <= c <= 1 for c in self.airlight),
            f"airlight must be three sRGB numbers in [0, 1], got {self.airlight}",
        )
        require(self.height_scale > 0, f"height_scale must be above 0 metres, got {self.height_scale}")
        for name in ("unevenness", "scene_light", "blur", "glow"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Haze:
        """Random concrete parameters over the range of real fog; visibility near a preset if `severity` is given."""
        if severity is None:
            visibility = float(np.exp(rng.uniform(np.log(22), np.log(450))))
        else:
            visibility = cls.presets["visibility"][severity - 1] * float(rng.uniform(0.8, 1.25))
        return cls(
            severity=severity,
            visibility=visibility,
            airlight=sample_airlight(rng),
            gradient=rng.normal(0.04, 0.12),
            height_scale=np.exp(rng.uniform(np.log(25), np.log(300))),
            horizon=rng.uniform(0.35, 0.55),
            unevenness=rng.uniform(0.0, 0.45),
            scene_light=rng.uniform(0.35, 1.0),
            blur=rng.uniform(0.0, 0.9),
            glow=rng.uniform(0.0, 0.8),
            exposure=rng.normal(0.0, 0.15),
        )

    def optical_depth(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """(H, W) float32 tau of this haze in `scene`; where the depth is infinite it is large but finite."""
        depth = np.minimum(scene.depth, np.float32(1e5))
        tau = depth * np.float32(CONTRAST_LOSS / self.visibility)
        tau = tau * height_factor(scene.shape, depth, self.height_scale, self.horizon)
        if self.unevenness > 0:
            tau *= np.exp(np.float32(self.unevenness) * smooth_noise(scene.shape, rng, cells=2, stretch=2.0))
        return tau

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        tau = self.optical_depth(scene, rng)
        air = airlight_field(scene.shape, self.airlight, self.gradient, rng)
        light = to_linear(image) * np.float32(self.scene_light)
        out = scatter(light, tau, air, blur=self.blur, glow=self.glow)
        return to_srgb(out * np.float32(2.0**self.exposure))
