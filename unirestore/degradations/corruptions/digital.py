"""The benchmark's point and file corruptions: brightness, contrast, saturation, JPEG, pixelation, elastic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from PIL import Image

from .. import draws
from ..base import Scene, require
from ..camera import JpegCompression
from ..light import triple
from .base import Corruption


@dataclass(frozen=True, kw_only=True)
class BrightnessC(Corruption):
    """Brightness of the benchmark: the value of HSV is raised.

    Formula: V' = min(V + amount, 1), hue and saturation kept, hence y = x V' / V, with V the largest channel.
    Source: Hendrycks and Dietterich, ICLR 2019.

    Args:
        amount: added to V, 0 to 1.
    """

    amount: float | None = None

    name: ClassVar = "brightness"
    presets: ClassVar = {"amount": (0.1, 0.2, 0.3, 0.4, 0.5)}
    shares: ClassVar = ("amount",)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        value = largest(image)
        black = value <= 0
        target = np.minimum(value + np.float32(self.amount), np.float32(1))
        gain = target / np.maximum(value, np.float32(1e-6))
        out = image * gain[..., None]
        if black.any():
            out[black] = np.float32(self.amount)
        return out

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        planes = cv2.split(image)
        value = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
        levels = np.arange(256, dtype=np.float32)
        target = np.minimum(levels + np.float32(255 * self.amount), 255)
        gain = cv2.LUT(value, target / np.maximum(levels, 1))
        out = cv2.merge([cv2.convertScaleAbs(gain * plane) for plane in planes])
        black = value == 0
        if black.any():
            out[black] = round(255 * self.amount)
        return out


@dataclass(frozen=True, kw_only=True)
class SaturateC(Corruption):
    """Saturation of the benchmark: grey at severity 1 and 2, garish from 3.

    Formula: S' = clip(S factor + offset, 0, 1) of HSV, hence y = V - (V - x) S' / S; grey counts as red hue.
    Source: Hendrycks and Dietterich, ICLR 2019 (validation set of corruptions). Severities 1-2 and 3-5 go two
    ways, so damage does not grow from 2 to 3.

    Args:
        factor: of the saturation, >= 0.
        offset: added to the saturation.
    """

    factor: float | None = None
    offset: float | None = None

    name: ClassVar = "saturate"
    monotone: ClassVar = False
    presets: ClassVar = {"factor": (0.3, 0.1, 2.0, 5.0, 20.0), "offset": (0.0, 0.0, 0.0, 0.1, 0.2)}
    non_negative: ClassVar = ("factor",)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        value = largest(image)
        lowest = np.minimum(np.minimum(image[..., 0], image[..., 1]), image[..., 2])
        chroma = value - lowest
        saturation = chroma / np.maximum(value, np.float32(1e-6))
        wanted = np.clip(saturation * np.float32(self.factor) + np.float32(self.offset), 0, 1)
        ratio = wanted / np.maximum(saturation, np.float32(1e-6))
        bright = triple(value)
        out = bright - (bright - image) * ratio[..., None]
        grey = chroma <= 0
        if self.offset > 0 and grey.any():
            shade = value[grey] * np.float32(1 - min(1.0, self.offset))
            out[grey] = np.stack([value[grey], shade, shade], axis=-1)
        return out

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        red, green, blue = cv2.split(image)
        value = cv2.max(cv2.max(red, green), blue)
        lowest = cv2.min(cv2.min(red, green), blue)
        ratio = self._ratios().take(value.astype(np.uint16) * np.uint16(256) + lowest)
        out = [
            cv2.convertScaleAbs(value - ratio * cv2.subtract(value, plane)) for plane in (red, green, blue)
        ]
        if self.offset > 0:  # grey has no hue: it counts as red
            grey = cv2.compare(value, lowest, cv2.CMP_EQ)
            shade = cv2.multiply(value, 1 - min(1.0, self.offset))
            out[1:] = [cv2.copyTo(shade, grey, plane) for plane in out[1:]]
        return cv2.merge(out)

    def _ratios(self) -> np.ndarray:
        """(65536,) float32: new saturation over old one for every pair 256 * largest + smallest channel."""
        return _saturation_ratios(self.factor, self.offset)


@lru_cache(maxsize=8)
def _saturation_ratios(factor: float, offset: float) -> np.ndarray:
    value, lowest = np.arange(256, dtype=np.float32)[:, None], np.arange(256, dtype=np.float32)[None]
    saturation = np.maximum(value - lowest, 0) / np.maximum(value, 1)
    wanted = np.clip(saturation * np.float32(factor) + np.float32(offset), 0, 1)
    table = (wanted / np.maximum(saturation, np.float32(1e-6))).reshape(-1)
    table.setflags(write=False)
    return table


def largest(image: np.ndarray) -> np.ndarray:
    """(H, W): the largest channel, V of HSV."""
    return np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])


@dataclass(frozen=True, kw_only=True)
class ContrastC(Corruption):
    """Contrast of the benchmark: every channel drawn towards its mean.

    Formula: y = m + factor (x - m), m the mean of the channel over the photo.
    Source: Hendrycks and Dietterich, ICLR 2019.

    Args:
        factor: share of the contrast that is left, >= 0.
    """

    factor: float | None = None

    name: ClassVar = "contrast"
    presets: ClassVar = {"factor": (0.4, 0.3, 0.2, 0.1, 0.05)}
    non_negative: ClassVar = ("factor",)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        mean = np.array(cv2.mean(image)[:3])
        out = image * np.float32(self.factor)
        out += (mean * (1 - self.factor)).astype(np.float32)
        return out

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mean = np.array(cv2.mean(image)[:3])
        table = np.arange(256)[:, None] * self.factor + mean * (1 - self.factor)
        return cv2.LUT(image, np.clip(np.rint(table), 0, 255).astype(np.uint8).reshape(1, 256, 3))


@dataclass(frozen=True, kw_only=True)
class JpegC(Corruption):
    """JPEG of the benchmark: low libjpeg qualities, 4:2:0 chroma.

    Formula: y = decode(encode(x, quality)).
    Source: Hendrycks and Dietterich, ICLR 2019.

    Args:
        quality: libjpeg quality, 1 to 100.
    """

    quality: int | None = None

    name: ClassVar = "jpeg_compression"
    presets: ClassVar = {"quality": (25, 18, 15, 10, 7)}

    # the same file as the camera's, at lower qualities
    check = JpegCompression.check
    apply = JpegCompression.apply
    apply_bytes = JpegCompression.apply_bytes


@dataclass(frozen=True, kw_only=True)
class PixelateC(Corruption):
    """Pixelation of the benchmark: made small by averaging, made large again by repeating.

    Formula: y = nearest(box(x, scale), 1 / scale).
    Source: Hendrycks and Dietterich, ICLR 2019. A pixel belongs to the cell that holds its centre.

    Args:
        scale: side of the small picture as a share of the photo's, in (0, 1].
    """

    scale: float | None = None

    name: ClassVar = "pixelate"
    presets: ClassVar = {"scale": (0.6, 0.5, 0.4, 0.3, 0.25)}

    def check(self) -> None:
        require(0 < self.scale <= 1, f"scale must lie in (0, 1], got {self.scale}")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        small = box_mean(box_mean(image, int(height * self.scale), 0), int(width * self.scale), 1)
        out = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return out.reshape(image.shape)

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        size = (max(1, int(width * self.scale)), max(1, int(height * self.scale)))
        small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
        out = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return out.reshape(image.shape)


def box_mean(image: np.ndarray, cells: int, axis: int) -> np.ndarray:
    """Means of `cells` (at least 1) neighbouring groups of whole pixels along `axis`."""
    size = image.shape[axis]
    cells = max(1, cells)
    edges = (np.arange(cells) * (size / cells) + 0.5).astype(np.int64)
    counts = np.diff(np.append(edges, size)).astype(np.float32)
    sums = np.take(image, edges, axis=axis)
    for further in range(1, int(counts.max())):  # groups differ by one pixel at most
        inside = (counts > further).astype(np.float32).reshape([-1 if n == axis else 1 for n in range(3)])
        sums += np.take(image, np.minimum(edges + further, size - 1), axis=axis) * inside
    sums /= counts.reshape([-1 if n == axis else 1 for n in range(3)])
    return sums


@dataclass(frozen=True, kw_only=True)
class ElasticTransformC(Corruption):
    """Elastic transform of the benchmark: the photo is stretched and squeezed by a smooth random field.

    Formula: y(p) = x(p + alpha N(sigma) * u), u uniform in [-0.005 H, 0.005 H] in every pixel and direction,
    sigma = 0.01 of the height and width, border mirrored, bilinear.
    Source: Michaelis et al., arXiv:1907.07484 (the first paper adds an affine warp). Boxes and label maps follow
    by `warp_boxes` and `warp_map`.

    Args:
        alpha: amplitude, >= 0.
    """

    alpha: float | None = None

    name: ClassVar = "elastic_transform"
    moves_pixels: ClassVar[bool] = True
    presets: ClassVar = {"alpha": (12.5, 16.25, 21.25, 25.0, 30.0)}
    non_negative: ClassVar = ("alpha",)

    def sampling_map(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        height, width = shape
        reach = 0.005 * height
        field = draws.bits16(rng, (2, height, width)).astype(np.float32)
        field *= np.float32(2 * reach * self.alpha / 65535)
        field -= np.float32(reach * self.alpha)
        moved = np.empty((height, width, 2), np.float32)
        for axis in (0, 1):
            moved[..., axis] = smooth(field[axis], 0.01 * height, 0.01 * width)
        moved[..., 0] += np.arange(width, dtype=np.float32)
        moved[..., 1] += np.arange(height, dtype=np.float32)[:, None]
        return moved

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        field = self.sampling_map(scene.shape, rng)
        out = cv2.remap(image, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return out.reshape(image.shape)


def smooth(plane: np.ndarray, sigma_y: float, sigma_x: float) -> np.ndarray:
    """Gaussian blur cut at 3 deviations, border mirrored."""
    side_y, side_x = 2 * int(3 * sigma_y + 0.5) + 1, 2 * int(3 * sigma_x + 0.5) + 1
    blurred = cv2.GaussianBlur(
        plane, (side_x, side_y), max(sigma_x, 1e-3), sigmaY=max(sigma_y, 1e-3), borderType=cv2.BORDER_REFLECT
    )
    return blurred.reshape(plane.shape)
