"""Noise of known statistics: Gaussian, Poisson, grain, and noise that differs from one part of the photo to the next.

`SensorNoise` in `camera.py` is the quick all-round camera; here each kind has its own knob and its exact moments,
as synthetic training sets (RealRestorer, Real-ESRGAN) and benchmarks need them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from . import draws
from .base import Degradation, Scene, require
from .light import triple

FEW = 3.0  # counts below which a Gaussian is no stand-in for a Poisson number
FINE = 224  # pixels a side at which segments are told apart
KINDS = ("gaussian", "poisson", "grain", "impulse")


def poisson_like(mean: np.ndarray, rng: np.random.Generator, read: float = 0.0) -> np.ndarray:
    """Counts whose mean, variance and skewness are those of Poisson(mean) plus N(0, read^2), any float32 shape.

    One normal number z per pixel: mean + s z + (z^2 - 1) / 6 with s^2 = mean + read^2 (the first terms of the
    Cornish-Fisher expansion; Abramowitz and Stegun 26.2.49), instead of exact draws. Without
    read noise, means below `FEW` counts are drawn exactly and nothing is negative.
    """
    z = draws.normal(rng, mean.shape)
    variance = mean + np.float32(read * read)
    # The third moment stays `mean` while read noise widens the whole; no photons, no skewness.
    skew = mean / np.maximum(variance, 1)
    skew *= np.float32(1 / 6)
    counts = z * z
    counts -= 1
    counts *= skew
    z *= np.sqrt(variance, out=variance)
    counts += z
    counts += mean
    if read > 0:
        return counts
    few = mean < FEW
    counts[few] = rng.poisson(mean[few])
    return np.maximum(counts, 0, out=counts)


def coarse_normal(shape: tuple[int, int], channels: int, size: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W, channels) float32 normal numbers of deviation 1 whose neighbours agree over `size` pixels."""
    field = draws.normal(rng, (*shape, channels))
    if size > 0.3:
        side = 2 * int(np.ceil(2.5 * size)) + 1
        taps = cv2.getGaussianKernel(side, size, cv2.CV_32F)
        taps /= np.sqrt((taps**2).sum())  # keeps the deviation at 1, away from the border
        field = cv2.sepFilter2D(field, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REFLECT)
    return field.reshape(*shape, channels)


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(Degradation):
    """White Gaussian noise of one deviation everywhere, as denoising papers use it.

    Formula: B = I + N(0, sigma^2) in sRGB values, independent per pixel; alike in the three channels for
    `grey`.
    Source: the additive white Gaussian model, e.g. Zhang et al., "Beyond a Gaussian Denoiser", IEEE TIP 26(7),
    2017 (sigma 15 / 25 / 50 of 255).

    Args:
        sigma: standard deviation in sRGB units (1 is the whole range).
        grey: True adds the same number to R, G and B.
    """

    sigma: float | None = None
    grey: bool = False

    presets: ClassVar = {"sigma": (10 / 255, 15 / 255, 25 / 255, 35 / 255, 50 / 255)}

    def check(self) -> None:
        require(0 <= self.sigma <= 1, f"sigma must lie in [0, 1], got {self.sigma}; divide by 255?")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> GaussianNoise:
        """Random concrete parameters; sigma near the preset of `severity` where it is given."""
        if severity is None:
            sigma = float(rng.uniform(1, 50)) / 255
        else:
            sigma = cls.presets["sigma"][severity - 1] * float(rng.uniform(0.87, 1.13))
        return cls(severity=severity, sigma=sigma, grey=bool(rng.random() < 0.3))

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        if self.grey:
            noise = triple(draws.normal(rng, image.shape[:2]))
        else:
            noise = draws.normal(rng, image.shape)
        noise *= np.float32(self.sigma)
        noise += image
        return noise

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shape = image.shape[:2] if self.grey else image.shape
        noise = draws.rounded_normal(rng, shape, 255 * self.sigma)
        return cv2.add(image, triple(noise) if self.grey else noise, dtype=cv2.CV_8U)


@dataclass(frozen=True, kw_only=True)
class PoissonNoise(Degradation):
    """Photon noise: a pixel of value I counts `photons` x I photons on average.

    Formula: B = Poisson(P I) / P in sRGB values (the convention of denoising and super-resolution papers; for
    linear light see `LowLight`); deviation sqrt(I / P).
    Source: Wang et al., "Real-ESRGAN", ICCVW 2021, section 3.2 (shot noise). Draws are Poisson to the third
    moment, see `poisson_like`.

    Args:
        photons: counted at white.
        grey: True draws the deviation from the brightness and adds it to R, G and B alike.
    """

    photons: float | None = None
    grey: bool = False

    presets: ClassVar = {"photons": (300.0, 120.0, 50.0, 24.0, 12.0)}

    def check(self) -> None:
        require(self.photons > 0, f"photons must be above 0, got {self.photons}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> PoissonNoise:
        """Random concrete parameters; photons near the preset of `severity` where it is given."""
        if severity is None:
            photons = float(np.exp(rng.uniform(np.log(10), np.log(800))))
        else:
            photons = cls.presets["photons"][severity - 1] * float(rng.uniform(0.8, 1.25))
        return cls(severity=severity, photons=photons, grey=bool(rng.random() < 0.3))

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        photons = np.float32(self.photons)
        if not self.grey:
            return poisson_like(np.maximum(image, 0) * photons, rng) * (1 / photons)
        mean = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).reshape(image.shape[:2])
        return image + triple(poisson_like(mean * photons, rng) * (1 / photons) - mean)


@dataclass(frozen=True, kw_only=True)
class GranularNoise(Degradation):
    """Film grain and pushed phone pictures: coarse noise, strongest in the mid tones, with weaker coloured blotches.

    Formula: B = I + s(Y) (g + c a), g common grain of `size` pixels, a per-channel grain twice as coarse, c =
    `chroma`; s(Y) = sigma (0.35 + 0.65 * 4 Y (1 - Y)), Y the brightness.
    Source: luma deviation 8 of 255 per unit of strength, chroma 0.35 of it, as RealRestorer's granular noise;
    mid-tone law after the binomial grain model of Dainty and Shaw, "Image Science", 1974.

    Args:
        sigma: deviation of the grain in sRGB units at mid grey.
        size: of the grains in pixels (deviation of the Gaussian that correlates them).
        chroma: strength of the coloured part relative to the common one.
    """

    sigma: float | None = None
    size: float = 0.8
    chroma: float = 0.35

    presets: ClassVar = {"sigma": (0.02, 0.035, 0.055, 0.08, 0.115)}

    def check(self) -> None:
        require(0 <= self.sigma <= 1, f"sigma must lie in [0, 1], got {self.sigma}; divide by 255?")
        require(0 <= self.size <= 8, f"size must lie in [0, 8] pixels, got {self.size}")
        require(self.chroma >= 0, f"chroma must be >= 0, got {self.chroma}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> GranularNoise:
        """Random concrete parameters; sigma near the preset of `severity` where it is given."""
        if severity is None:
            sigma = 8 / 255 * float(rng.uniform(0.6, 2.4))
        else:
            sigma = cls.presets["sigma"][severity - 1] * float(rng.uniform(0.87, 1.13))
        return cls(severity=severity, sigma=sigma, size=rng.uniform(0.4, 1.5), chroma=rng.uniform(0.1, 0.6))

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = image.shape[:2]
        noise = triple(coarse_normal((height, width), 1, self.size, rng)[..., 0])
        if self.chroma > 0:  # drawn at half the resolution: twice as coarse, a quarter of the cost
            half = coarse_normal(((height + 1) // 2, (width + 1) // 2), 3, self.size, rng)
            half = cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC).reshape(image.shape)
            noise += half * np.float32(1.1 * self.chroma)  # enlarging loses a tenth of the deviation
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).reshape(height, width)
        law = np.float32(0.35) + np.float32(2.6) * grey * (1 - grey)
        noise *= triple(law * np.float32(self.sigma))
        noise += image
        return noise


def segments(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W) int32 ids 0 to count - 1 at most: parts of similar colour that lie together.

    k-means over colour and position (the idea of SLIC, Achanta et al., IEEE TPAMI 34(11), 2012, without its
    grid): centres are found on a picture of at most 64 pixels a side, pixels choose theirs on one of at most
    `FINE`.

    Args:
        image: (H, W, 3) float32 sRGB in [0, 1].
        count: largest number of segments, 1 to 64.
        rng: source of randomness (initial centres).
    """
    height, width = image.shape[:2]
    shrink = max(1.0, max(height, width) / 64)
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], 3)
    small = cv2.GaussianBlur(small, (0, 0), 1.0).reshape(small.shape)
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    features = np.dstack([small * 2.0, x, y]).reshape(-1, 5).astype(np.float32)
    planes = features.T[..., None]  # (5, N, 1)
    count = min(count, len(features))
    centres = features[rng.choice(len(features), count, replace=False)]
    for _ in range(5):
        nearest = _nearest(planes, centres)
        members = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, features[:, k], count) for k in range(5)], axis=1)
        filled = members > 0
        centres[filled] = (sums[filled] / members[filled, None]).astype(np.float32)
    # The last assignment is made on a larger picture, so that borders follow the photo.
    size = (min(width, FINE), min(height, FINE))
    large = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], 3)
    large = cv2.blur(large, (3, 3)).reshape(size[1], size[0], 3) * np.float32(2)
    x, y = np.linspace(0, 1, size[0], dtype=np.float32), np.linspace(0, 1, size[1], dtype=np.float32)
    planes = [*(large[..., c, None] for c in range(3)), x[None, :, None], y[:, None, None]]
    ids = _nearest(planes, centres).astype(np.uint8)
    return (
        cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST)
        .reshape(height, width)
        .astype(np.int32)
    )


def _nearest(planes: Iterable[np.ndarray], centres: np.ndarray) -> np.ndarray:
    """The centre that is nearest to each pixel, an index; of equally near ones the first.

    Sums the features one by one instead of as a product of matrices, whose rounding depends on the processor.

    Args:
        planes: five features, each float32 of a shape that broadcasts to (..., count).
        centres: (count, 5) float32.
    """
    distance = 0
    for feature, centre in zip(planes, centres.T, strict=True):
        distance = distance + centre * (centre - 2 * feature)  # up to a constant per pixel
    return distance.argmin(-1)


@dataclass(frozen=True, kw_only=True)
class SegmentNoise(Degradation):
    """Noise that differs from part to part of the photo, as after region-wise camera processing and editing.

    Formula: B = I + sigma_k n_k(x) where x lies in segment k; each segment draws its kind of noise (Gaussian,
    Poisson, grain, impulse) and its deviation sigma_k = sigma exp(spread N(0, 1)), in [sigma / 4, 2.5 sigma].
    n_k is N(0, 1) for Gaussian, sqrt(2 Y) N(0, 1) for Poisson (the same at mid grey), coarse N(0, 1) for grain;
    impulses turn a share 4 sigma_k^2 of the pixels, at most 0.3, black or white. Borders are feathered over a pixel.
    Source: the idea is RealRestorer's segment-aware noise, which takes segments from SAM 2; here they come
    from the label map where there is one, else from k-means over colour and position (`segments`).

    Args:
        sigma: typical deviation in sRGB units.
        spread: deviation of log sigma_k between segments.
        count: largest number of segments without a label map.
        kinds: what segments choose from, of `KINDS`.
    """

    sigma: float | None = None
    spread: float = 0.7
    count: int = 12
    kinds: tuple[str, ...] = KINDS

    presets: ClassVar = {"sigma": (0.025, 0.045, 0.075, 0.115, 0.17)}

    def check(self) -> None:
        require(0 <= self.sigma <= 1, f"sigma must lie in [0, 1], got {self.sigma}; divide by 255?")
        require(self.spread >= 0, f"spread must be >= 0, got {self.spread}")
        require(
            isinstance(self.count, int) and 1 <= self.count <= 64,
            f"count must be an integer in 1..64, got {self.count!r}",
        )
        unknown = sorted(set(self.kinds) - set(KINDS))
        require(len(self.kinds) > 0 and not unknown, f"kinds must be some of {KINDS}, got {self.kinds}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> SegmentNoise:
        """Random concrete parameters; sigma near the preset of `severity` where it is given."""
        if severity is None:
            sigma = float(np.exp(rng.uniform(np.log(0.015), np.log(0.17))))
        else:
            sigma = cls.presets["sigma"][severity - 1] * float(rng.uniform(0.87, 1.13))
        chosen = rng.permutation(len(KINDS))[: int(rng.integers(1, len(KINDS) + 1))]
        return cls(
            severity=severity,
            sigma=sigma,
            spread=rng.uniform(0.3, 1.0),
            count=int(rng.integers(4, 25)),
            kinds=tuple(KINDS[k] for k in sorted(chosen)),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = image.shape[:2]
        if scene.label_map is not None:
            _, ids = np.unique(scene.label_map, return_inverse=True)
            ids = ids.reshape(height, width).astype(np.int32)
        else:
            ids = segments(image, self.count, rng)
        number = int(ids.max()) + 1
        factor = np.exp(np.clip(self.spread * rng.standard_normal(number), np.log(0.25), np.log(2.5)))
        kind = rng.integers(len(self.kinds), size=number)
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).reshape(height, width)
        white = np.zeros((height, width), np.float32)  # deviation of the noise that differs between channels
        common = np.zeros((height, width), np.float32)  # added to all three
        for index, name in enumerate(self.kinds):
            chosen = kind == index
            if not chosen.any():
                continue
            level = (factor * chosen * self.sigma).astype(np.float32).take(ids)
            level = cv2.blur(level, (3, 3)).reshape(height, width)
            if name == "gaussian":
                white += level
            elif name == "poisson":
                white += level * np.sqrt(2 * np.maximum(grey, 0))
            elif name == "grain":
                common += level * coarse_normal((height, width), 1, 0.9, rng)[..., 0]
            else:
                hit = rng.random((height, width), dtype=np.float32)
                share = np.minimum(4 * level * level, np.float32(0.3))
                pepper_or_salt = np.where(hit < 0.5 * share, np.float32(1), np.float32(-1))
                common += np.where(hit < share, pepper_or_salt, 0)
        out = draws.normal(rng, image.shape)
        out *= triple(white)
        out += triple(common)
        out += image
        return np.clip(out, 0, 1, out=out)
