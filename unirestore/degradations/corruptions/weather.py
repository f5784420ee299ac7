"""The benchmark's weather that comes as noise: snow, fog and spatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .. import draws
from ..base import Scene, require
from .base import Corruption
from .kernels import centre_zoom, check_radius, gaussian, motion_blur
from .plasma import plasma

WATER = (175 / 255, 238 / 255, 238 / 255)  # pale turquoise, as published
MUD = (63 / 255, 42 / 255, 20 / 255)


@dataclass(frozen=True, kw_only=True)
class FogC(Corruption):
    """Fog of the benchmark: a plasma fractal added to the photo, without depth.

    Formula: y = (x + strength P) max(x) / (max(x) + strength), P a diamond-square fractal in [0, 1].
    Source: Hendrycks and Dietterich, ICLR 2019. For fog that obeys distance use `Haze`.

    Args:
        strength: of the fog, >= 0.
        decay: by how much the amplitude of the fractal falls per octave, above 1.
    """

    strength: float | None = None
    decay: float | None = None

    name: ClassVar = "fog"
    presets: ClassVar = {"strength": (1.5, 2.0, 2.5, 2.5, 3.0), "decay": (2.0, 2.0, 1.7, 1.5, 1.4)}
    non_negative: ClassVar = ("strength",)

    def check(self) -> None:
        super().check()
        require(1 <= self.decay <= 10, f"decay must lie in [1, 10], got {self.decay}")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        side = 1 << (max(height, width) - 1).bit_length()
        fog = plasma(side, self.decay, rng)[:height, :width]
        brightest = float(image.max())
        gain = brightest / max(brightest + self.strength, 1e-6)
        out = image * np.float32(gain)
        out += (fog * np.float32(self.strength * gain))[..., None]
        return out


@dataclass(frozen=True, kw_only=True)
class NoisePeaks(Corruption):
    """Base of snow and spatter: what stands out of normal noise becomes flakes or drops; not an effect itself.

    Args:
        mean, deviation: of the noise.
        sigma: of its blur in pixels, above 0.
        threshold: noise below it becomes 0.
    """

    mean: float | None = None
    deviation: float | None = None
    sigma: float | None = None
    threshold: float | None = None

    non_negative: ClassVar = ("deviation",)

    def check(self) -> None:
        super().check()
        require(self.sigma > 0, f"sigma must be above 0, got {self.sigma}")

    def noise(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """(H, W) float32 noise of that mean and deviation."""
        noise = draws.normal(rng, shape)
        noise *= np.float32(self.deviation)
        noise += np.float32(self.mean)
        return noise


@dataclass(frozen=True, kw_only=True)
class SnowC(NoisePeaks):
    """Snow of the benchmark: motion-blurred flakes over a whitened photo.

    Formula: f = motion_blur(threshold(zoom(N(mean, deviation)))); b = max(x, 1.5 grey(x) + 0.5);
    y = mix x + (1 - mix) b + f + rotate180(f).
    Source: Hendrycks and Dietterich, ICLR 2019. For snow with depth use the weather effects.

    Args:
        zoom: enlargement of the noise, >= 1.
        radius: with `sigma`, of the motion blur, in pixels; its angle is drawn between -135 and -45 degrees.
        mix: share of the photo that is not whitened, 0 to 1.

    For the noise see `NoisePeaks`.
    """

    zoom: float | None = None
    radius: int | None = None
    mix: float | None = None

    name: ClassVar = "snow"
    presets: ClassVar = {
        "mean": (0.1, 0.2, 0.55, 0.55, 0.55),
        "deviation": (0.3, 0.3, 0.3, 0.3, 0.3),
        "zoom": (3.0, 2.0, 4.0, 4.5, 2.5),
        "threshold": (0.5, 0.5, 0.9, 0.85, 0.85),
        "radius": (10, 12, 12, 12, 12),
        "sigma": (4.0, 4.0, 8.0, 8.0, 12.0),
        "mix": (0.8, 0.7, 0.7, 0.65, 0.55),
    }
    shares: ClassVar = ("mix",)

    def check(self) -> None:
        super().check()
        require(1 <= self.zoom <= 50, f"zoom must lie in [1, 50], got {self.zoom}")
        check_radius(self.radius)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        flakes = centre_zoom(self.noise(scene.shape, rng), self.zoom)
        flakes[flakes < self.threshold] = 0
        flakes = motion_blur(np.minimum(flakes, 1), self.radius, self.sigma, rng.uniform(-135, -45))
        both = flakes + flakes[::-1, ::-1]
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).reshape(scene.shape)
        grey *= np.float32(1.5)
        grey += np.float32(0.5)
        out = np.maximum(image, grey[..., None])
        out *= np.float32(1 - self.mix)
        out += image * np.float32(self.mix)
        out += both[..., None]
        return out


@dataclass(frozen=True, kw_only=True)
class SpatterC(NoisePeaks):
    """Spatter of the benchmark: water (severity 1 to 3) or mud (4 and 5) on the lens.

    Formula: l = N(sigma) * noise, 0 below `threshold`; water: relief of the distance to the drops' edges times l,
    scaled to `strength`, in pale turquoise, added; mud: the smoothed drops, opaque brown.
    Source: Hendrycks and Dietterich, ICLR 2019 (validation set of corruptions).

    Args:
        strength: brightness of water, or blur in pixels of the edge of mud.
        mud: 0 for water, 1 for mud.

    For the noise see `NoisePeaks`.
    """

    strength: float | None = None
    mud: int | None = None

    name: ClassVar = "spatter"
    presets: ClassVar = {
        "mean": (0.65, 0.65, 0.65, 0.65, 0.67),
        "deviation": (0.3, 0.3, 0.3, 0.3, 0.4),
        "sigma": (4.0, 3.0, 2.0, 1.0, 1.0),
        "threshold": (0.69, 0.68, 0.68, 0.65, 0.65),
        "strength": (0.6, 0.6, 0.5, 1.5, 1.5),
        "mud": (0, 0, 0, 1, 1),
    }
    non_negative: ClassVar = ("deviation", "strength")

    def check(self) -> None:
        super().check()
        require(self.mud in (0, 1), f"mud must be 0 (water) or 1 (mud), got {self.mud!r}")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        drops = gaussian(self.noise(scene.shape, rng), self.sigma)
        drops[drops < self.threshold] = 0
        if self.mud:
            cover = gaussian((drops > self.threshold).astype(np.float32), self.strength)
            cover[cover < 0.8] = 0
            return image * (1 - cover)[..., None] + cover[..., None] * np.float32(MUD)
        relief = water_relief(drops)
        top = float(relief.max())
        if top <= 0:
            return image
        return image + (relief * np.float32(self.strength / top))[..., None] * np.float32(WATER)


def water_relief(drops: np.ndarray) -> np.ndarray:
    """(H, W) float32: light on drops; distance to their edges, embossed, times their thickness."""
    eight = np.clip(drops * 255, 0, 255).astype(np.uint8)
    away = cv2.distanceTransform(255 - cv2.Canny(eight, 50, 150), cv2.DIST_L2, 5)
    level = cv2.equalizeHist(cv2.blur(np.minimum(away, 20), (3, 3)).astype(np.uint8).reshape(drops.shape))
    emboss = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
    lit = cv2.filter2D(level, cv2.CV_8U, emboss)
    return drops * cv2.blur(lit, (3, 3)).astype(np.float32).reshape(drops.shape)
