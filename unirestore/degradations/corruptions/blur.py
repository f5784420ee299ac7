"""The benchmark's five blurs: defocus, glass, motion, zoom, and Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..base import Scene, require
from .base import Corruption
from .kernels import centre_zoom, disc, filter_separable_sum, gaussian, motion_blur


@dataclass(frozen=True, kw_only=True)
class GaussianBlurC(Corruption):
    """Gaussian blur of the benchmark.

    Formula: y = x * N(0, sigma), on sRGB values, cut at 4 sigma.
    Source: Hendrycks and Dietterich, ICLR 2019 (validation set of corruptions).

    Args:
        sigma: in pixels, >= 0.
    """

    sigma: float | None = None

    name: ClassVar = "gaussian_blur"
    presets: ClassVar = {"sigma": (1.0, 2.0, 3.0, 4.0, 6.0)}
    non_negative: ClassVar = ("sigma",)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return gaussian(image, self.sigma)


@dataclass(frozen=True, kw_only=True)
class DefocusBlurC(Corruption):
    """Defocus of the benchmark: a disc-shaped aperture whose edge is softened.

    Formula: y = x * D, D = disc of `radius` convolved with a small Gaussian `alias`, on sRGB values.
    Source: Hendrycks and Dietterich, ICLR 2019. Filtered as a sum of separable filters, within 0.001.

    Args:
        radius: of the disc in pixels, 1 to 60.
        alias: deviation of the Gaussian in pixels, above 0.
    """

    radius: float | None = None
    alias: float | None = None

    name: ClassVar = "defocus_blur"
    presets: ClassVar = {"radius": (3.0, 4.0, 6.0, 8.0, 10.0), "alias": (0.1, 0.5, 0.5, 0.5, 0.5)}

    def check(self) -> None:
        require(1 <= self.radius <= 60, f"radius must lie in [1, 60], got {self.radius}")
        require(0 < self.alias <= 10, f"alias must lie in (0, 10], got {self.alias}")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return filter_separable_sum(image, disc(self.radius, self.alias))


@dataclass(frozen=True, kw_only=True)
class GlassBlurC(Corruption):
    """Frosted glass of the benchmark: blur, neighbouring pixels swapped at random, blur.

    Formula: y = N(sigma) * swaps(N(sigma) * x); each pixel is exchanged with one at a whole offset drawn from
    [-distance, distance) in both directions, `passes` times over.
    Source: Hendrycks and Dietterich, ICLR 2019. Theirs swaps one pixel after the other; here all pixels of a
    lattice with steps of 2 * distance are swapped at once, since their reaches do not meet, and the lattices
    follow each other in the same order (from the lower right).

    Args:
        sigma: of the blur before and after, in pixels, >= 0.
        distance: largest offset of a swap, in pixels, >= 1.
        passes: how often every pixel is swapped, >= 0.
    """

    sigma: float | None = None
    distance: int | None = None
    passes: int | None = None

    name: ClassVar = "glass_blur"
    presets: ClassVar = {
        "sigma": (0.7, 0.9, 1.0, 1.1, 1.5),
        "distance": (1, 2, 2, 3, 4),
        "passes": (2, 1, 3, 2, 2),
    }
    non_negative: ClassVar = ("sigma", "passes")

    def check(self) -> None:
        super().check()
        require(
            isinstance(self.distance, int) and self.distance >= 1,
            f"distance must be a whole number of pixels >= 1, got {self.distance!r}",
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        source = swapped_positions(scene.shape, self.distance, self.passes, rng)
        soft = gaussian(image, self.sigma).reshape(-1, 3)
        return gaussian(soft.take(source.reshape(-1), axis=0).reshape(image.shape), self.sigma)


def swapped_positions(
    shape: tuple[int, int], distance: int, passes: int, rng: np.random.Generator
) -> np.ndarray:
    """(H, W) int32: flat index of the pixel that ends at each place after the swaps of `GlassBlurC`.

    A permutation of 0 .. H W - 1. Pixels within `distance` of the border start no swap.
    """
    height, width = shape
    position = np.arange(height * width, dtype=np.int32).reshape(shape)
    step = 2 * distance
    flat = position.reshape(-1)
    places = position.copy()
    for _ in range(passes):
        for y0 in range(height - distance, height - distance - step, -1):
            for x0 in range(width - distance, width - distance - step, -1):
                if y0 <= distance or x0 <= distance:
                    continue
                here = places[y0:distance:-step, x0:distance:-step]
                offset = rng.integers(-distance, distance, size=(2, *here.shape), dtype=np.int8)
                there = here + offset[0] * np.int32(width) + offset[1]
                first = flat[here]
                flat[here] = flat[there]
                flat[there] = first
    return position


@dataclass(frozen=True, kw_only=True)
class MotionBlurC(Corruption):
    """Motion blur of the benchmark: a one-sided Gaussian smear along a straight line.

    Formula: y(p) = sum_i w_i x(p + i d), w_i = exp(-i^2 / 2 sigma^2) / sum, i = 0 .. 2 radius, d a unit vector
    at a random angle, rounded to whole pixels.
    Source: Hendrycks and Dietterich, ICLR 2019. The heaviest tap stays in place, so boxes keep their anchor
    while the smear trails behind by up to 2 * radius pixels.

    Args:
        radius: half the length of the smear in pixels, >= 1.
        sigma: deviation along the line in pixels, above 0.
        max_angle: the angle is drawn from [-max_angle, max_angle] degrees.
    """

    radius: int | None = None
    sigma: float | None = None
    max_angle: float = 45.0

    name: ClassVar = "motion_blur"
    presets: ClassVar = {"radius": (10, 15, 15, 15, 20), "sigma": (3.0, 5.0, 8.0, 12.0, 15.0)}
    non_negative: ClassVar = ("max_angle",)

    def check(self) -> None:
        super().check()
        require(
            isinstance(self.radius, int) and 1 <= self.radius <= 200,
            f"radius must be a whole number of pixels in 1..200, got {self.radius!r}",
        )
        require(self.sigma > 0, f"sigma must be above 0, got {self.sigma}")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return motion_blur(image, self.radius, self.sigma, rng.uniform(-self.max_angle, self.max_angle))


@dataclass(frozen=True, kw_only=True)
class ZoomBlurC(Corruption):
    """Zoom blur of the benchmark: the camera moves towards the scene during the exposure.

    Formula: y = (x + sum_k zoom(x, 1 + k step)) / (n + 1), k = 0 .. n - 1, factors below `largest`.
    Source: Hendrycks and Dietterich, ICLR 2019. The centre stays in place.

    Args:
        largest: zoom factor at which the series stops, above 1.
        step: between factors, above 0.
    """

    largest: float | None = None
    step: float | None = None

    name: ClassVar = "zoom_blur"
    presets: ClassVar = {
        "largest": (1.11, 1.16, 1.21, 1.26, 1.31),
        "step": (0.01, 0.01, 0.02, 0.02, 0.03),
    }

    def check(self) -> None:
        require(1 < self.largest <= 4, f"largest must lie in (1, 4], got {self.largest}")
        require(0.001 <= self.step <= 1, f"step must lie in [0.001, 1], got {self.step}")

    def factors(self) -> list[float]:
        """Zoom factors 1, 1 + step, ... below `largest`."""
        count = int(np.ceil(round((self.largest - 1) / self.step, 6)))
        return [1 + k * self.step for k in range(count)]

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        factors = self.factors()
        total = image * np.float32(2)  # the photo itself and factor 1
        for factor in factors[1:]:
            total += centre_zoom(image, factor)
        total *= np.float32(1 / (len(factors) + 1))
        return total
