"""The benchmark's five blurs: defocus, glass, motion, zoom, and Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np

from ..base import Scene, require
from .base import Corruption
from .kernels import centre_resize, check_radius, disc, filter_separable_sum, gaussian, motion_blur


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

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.sigma <= 0:
            return image.copy()
        side = cv2.getGaussianKernel(2 * int(4 * self.sigma + 0.5) + 1, self.sigma, cv2.CV_32F)
        out = cv2.sepFilter2D(image, -1, side, side, borderType=cv2.BORDER_REPLICATE)
        return out.reshape(image.shape)


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
    """Frosted glass of the benchmark: blur, every pixel replaced by a neighbour at random, blur.

    Formula: y = N(sigma) * jumble(N(sigma) * x); in `passes` rounds each pixel takes the colour that stands at a
    whole offset drawn from [-distance, distance) in both directions.
    Source: Hendrycks and Dietterich, ICLR 2019, who speak of swaps; their program's swap, on colour photos, leaves
    both pixels with one colour, and that is what the published photos show. Pixels take turns from the lower
    right to the upper left; here turns that cannot touch each other are taken at once, with the same result.
    Severity 2 has one round to severity 1's two, and is about as bad.

    Args:
        sigma: of the blur before and after, in pixels, >= 0.
        distance: largest offset, in pixels, >= 1.
        passes: number of rounds, >= 0.
    """

    sigma: float | None = None
    distance: int | None = None
    passes: int | None = None

    name: ClassVar = "glass_blur"
    monotone: ClassVar = False
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
        source = jumbled(scene.shape, self.distance, self.passes, rng)
        soft = gaussian(image, self.sigma).reshape(-1, 3)
        return gaussian(soft.take(source.reshape(-1), axis=0).reshape(image.shape), self.sigma)


def jumbled(shape: tuple[int, int], distance: int, passes: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W) int32: flat index of the pixel whose colour each place ends with in `GlassBlurC`.

    Pixels within `distance` of the border keep their own.
    """
    height, width = shape
    here, ends = visiting_order(shape, distance, passes)
    offset = rng.integers(-distance, distance, size=(2, len(here)), dtype=np.int8)
    return jumble(np.arange(height * width, dtype=np.int32), here, ends, offset, width).reshape(shape)


def jumble(
    values: np.ndarray, here: np.ndarray, ends: np.ndarray, offset: np.ndarray, width: int
) -> np.ndarray:
    """`values` (H W,), changed in place: place `here[n]` takes the value at `offset[:, n]` (dy, dx) from it.

    Turns up to each of `ends` are independent and taken at once.
    """
    there = here + (offset[0] * np.int32(width) + offset[1])
    start = 0
    for end in ends.tolist():
        values[here[start:end]] = values[there[start:end]]
        start = end
    return values


@lru_cache(maxsize=8)
def visiting_order(shape: tuple[int, int], distance: int, passes: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (N,) in the order of their turns, and where groups of turns that do not touch each other end.

    The benchmark visits places one by one, from the lower right to the upper left. Two turns whose places are
    less than 2 * distance apart in both directions must keep that order. All others may change it: the places
    with equal time = 2 * distance * (rows from the bottom) + (columns from the right) are far enough apart, and
    time grows along the visit among those that are close. The next pass may follow 4 * distance^2 later.
    """
    height, width = shape
    rows = np.arange(height - distance, distance, -1, dtype=np.int32)
    columns = np.arange(width - distance, distance, -1, dtype=np.int32)
    if not (len(rows) and len(columns) and passes):
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    step = 2 * distance
    time = step * np.arange(len(rows), dtype=np.int32)[:, None] + np.arange(len(columns), dtype=np.int32)
    place = rows[:, None] * np.int32(width) + columns
    times = np.concatenate([time.reshape(-1) + number * step * step for number in range(passes)])
    last = int(times.max())
    if last < 65536:  # numpy sorts 16-bit numbers by radix, in linear time
        times = times.astype(np.uint16)
    order = np.argsort(times, kind="stable")
    here = np.tile(place.reshape(-1), passes)[order]
    ends = np.cumsum(np.bincount(times, minlength=last + 1))
    return here, ends


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
        check_radius(self.radius)
        require(self.sigma > 0, f"sigma must be above 0, got {self.sigma}")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return motion_blur(image, self.radius, self.sigma, rng.uniform(-self.max_angle, self.max_angle))


@dataclass(frozen=True, kw_only=True)
class ZoomBlurC(Corruption):
    """Zoom blur of the benchmark: the camera moves towards the scene during the exposure.

    Formula: y = (x + sum_k zoom(x, 1 + k step)) / (n + 1), k = 0 .. n - 1, factors below `largest`
    (rounding lets 1.11 itself in at severity 1, as published).
    Source: Hendrycks and Dietterich, ICLR 2019. The centre stays in place to within a pixel.

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
        return np.arange(1, self.largest, self.step).tolist()

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        factors = self.factors()
        total = image * np.float32(2)  # the photo itself and factor 1
        for factor in factors[1:]:
            total += centre_resize(image, factor)
        total *= np.float32(1 / (len(factors) + 1))
        return total

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        factors = self.factors()
        count = len(factors) + 1
        if count > 250:  # beyond 16 bits
            return None
        total = image.astype(np.uint16)
        total *= np.uint16(2)
        total += np.uint16(count // 2)  # to round, not to cut
        for factor in factors[1:]:
            total += centre_resize(image, factor)
        return (total // np.uint16(count)).astype(np.uint8)
