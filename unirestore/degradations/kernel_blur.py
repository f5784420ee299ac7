"""Blur by a drawn kernel: Gaussians, fat- and flat-topped ones, and the ringing of an ideal low-pass.

The kernels are those of Real-ESRGAN (Wang et al., ICCVW 2021, arXiv:2107.10833, section 3.1 and 3.4), written
from the formulas. Differs: the sinc kernel's Bessel function is integrated here, so that scipy is not needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require

KINDS = ("gaussian", "generalized", "plateau", "sinc")


@dataclass(frozen=True, kw_only=True)
class KernelBlur(Degradation):
    """Convolution with one kernel: (an)isotropic Gaussian, generalized Gaussian, plateau, or sinc.

    Formula: q = (x, y) S^-1 (x, y)'; k = exp(-q / 2), exp(-q^b / 2), 1 / (1 + q^b), or w J1(w r) / (2 pi r)
    Source: Real-ESRGAN, arXiv:2107.10833, section 3.1 (kernels) and 3.4 (sinc), on linear sRGB values as there.

    Args:
        kind: "gaussian", "generalized", "plateau" or "sinc".
        sigma: standard deviation along the kernel's first axis, pixels.
        ratio: second axis over the first, 0 to 1; 1 is isotropic.
        angle: direction of the first axis in degrees.
        beta: shape of "generalized" and "plateau".
        cutoff: frequency w of "sinc" in radians per pixel, 0 to pi.
        size: side of the kernel in pixels, odd; 0 takes what holds 3 sigma, at most 41 (sinc: 21).
    """

    kind: str = "gaussian"
    sigma: float | None = None
    ratio: float = 1.0
    angle: float = 0.0
    beta: float = 1.0
    cutoff: float = 1.5
    size: int = 0

    presets: ClassVar = {"sigma": (0.7, 1.2, 2.0, 3.2, 5.0)}

    def check(self) -> None:
        require(self.kind in KINDS, f"kind must be one of {KINDS}, got {self.kind!r}")
        require(self.sigma > 0, f"sigma must be above 0 pixels, got {self.sigma}")
        require(0 < self.ratio <= 1, f"ratio must lie in (0, 1], got {self.ratio}")
        require(self.beta > 0, f"beta must be above 0, got {self.beta}")
        require(0 < self.cutoff <= math.pi, f"cutoff must lie in (0, pi], got {self.cutoff}")
        require(
            isinstance(self.size, int) and (self.size == 0 or (self.size % 2 == 1 and self.size <= 101)),
            f"size must be 0 or an odd integer in 1..101, got {self.size!r}",
        )

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> KernelBlur:
        """A random kernel of the five kinds with Real-ESRGAN's shares; its width near the preset if given."""
        sigma = rng.uniform(0.2, 3.0)
        if severity is not None:
            sigma = cls.presets["sigma"][severity - 1] * rng.uniform(0.9, 1.1)
        kind = str(rng.choice(KINDS[:3], p=[0.7, 0.15, 0.15]))
        ratio, angle = float(rng.uniform(0.3, 1.0)), float(rng.uniform(-180, 180))
        even = bool(rng.random() < 0.55)
        beta = rng.uniform(0.5, 4.0) if kind == "generalized" else rng.uniform(1.0, 2.0)
        return cls(
            severity=severity, kind=kind, sigma=sigma, ratio=1.0 if even else ratio, angle=angle, beta=beta
        )

    def kernel(self) -> np.ndarray:
        """(size, size) float32 that sums to 1."""
        wide = 21 if self.kind == "sinc" else min(41, 2 * math.ceil(3 * self.sigma) + 1)
        half = (self.size or wide) // 2
        y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
        if self.kind == "sinc":
            weights = sinc_kernel(np.hypot(x, y), self.cutoff)
        else:
            turn = math.radians(self.angle)
            along = (x * math.cos(turn) + y * math.sin(turn)) / self.sigma
            across = (y * math.cos(turn) - x * math.sin(turn)) / (self.sigma * self.ratio)
            distance = along**2 + across**2
            if self.kind == "gaussian":
                weights = np.exp(-0.5 * distance)
            elif self.kind == "generalized":
                weights = np.exp(-0.5 * distance**self.beta)
            else:
                weights = 1 / (1 + distance**self.beta)
        return (weights / weights.sum()).astype(np.float32)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        out = cv2.filter2D(image, -1, self.kernel(), borderType=cv2.BORDER_REFLECT_101)
        return out.reshape(image.shape)


def sinc_kernel(radius: np.ndarray, cutoff: float) -> np.ndarray:
    """cutoff J1(cutoff r) / (2 pi r), the circular low-pass of `cutoff` radians per pixel; any shape of radii.

    J1(x) is the mean of cos(t - x sin t) over t in [0, pi]; 128 midpoints are exact to rounding for x below 90.
    """
    t = (np.arange(128) + 0.5) * (math.pi / 128)
    x = np.maximum(radius, 1e-9)[..., None] * cutoff
    bessel = np.cos(t - x * np.sin(t)).mean(axis=-1)
    value = cutoff * bessel / (2 * math.pi * np.maximum(radius, 1e-9))
    return np.where(radius < 1e-6, cutoff**2 / (4 * math.pi), value)
