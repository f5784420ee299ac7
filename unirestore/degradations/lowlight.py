"""Low light: too few photons, counted by a sensor, shown as dark as they are.

The photo is taken back to linear light, dimmed, counted in electrons and developed again; noise therefore grows
where the picture gets dark and shows its colours when a restorer raises the brightness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .light import exp, to_linear, to_srgb, triple
from .noise import poisson_like
from .noise_fields import smooth_noise

_STEPS = 255 * 32  # of the table from sRGB to electrons; 8-bit levels fall on entries


@dataclass(frozen=True, kw_only=True)
class LowLight(Degradation):
    """A photo taken with too little light.

    Formula: E = c u 2^-stops L^gamma in linear light (c colour cast, u uneven light); counts n = Poisson(N E)
    + N(0, read^2) + row noise, rounded to steps of N / 2^bits; B = sRGB(2^gain max(n, 0) / N).
    Source: physics-based noise of Wei et al., "A Physics-based Noise Formation Model for Extreme Low-light Raw
    Denoising" (ELD), CVPR 2020: photon, read, row and quantisation noise; attenuation with gamma as Lv et
    al., "MBLLEN", BMVC 2018. Photon noise is Poisson to the third moment (`noise.poisson_like`).

    Args:
        stops: by which the light is too weak; 1 halves it.
        gamma: exponent on linear light, above 1 darkens the mid tones further.
        electrons: that clear white would give in full light at this sensor setting.
        read: deviation of the read noise in electrons.
        banding: deviation in electrons of the noise that a whole row shares.
        bits: of the converter, 6 to 16.
        cast: gains of R, G and B in linear light (a warm lamp is about 1.1, 1, 0.75).
        unevenness: standard deviation of the log light over the picture.
        grain: radius in pixels of the blur that correlates neighbouring noise; 0 leaves it white.
        gain: stops by which the camera lifts the picture after counting.
    """

    stops: float | None = None
    gamma: float | None = None
    electrons: float | None = None
    read: float = 3.0
    banding: float = 0.5
    bits: int = 12
    cast: tuple[float, float, float] = (1.06, 1.0, 0.88)
    unevenness: float = 0.15
    grain: float = 0.45
    gain: float = 0.0

    presets: ClassVar = {
        "stops": (1.2, 2.0, 2.8, 3.7, 4.7),
        "gamma": (1.05, 1.1, 1.15, 1.2, 1.25),
        "electrons": (6000.0, 4000.0, 2500.0, 1600.0, 1000.0),
    }

    def check(self) -> None:
        for name in ("stops", "read", "banding", "unevenness", "grain", "gain"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        for name in ("gamma", "electrons"):
            require(getattr(self, name) > 0, f"{name} must be above 0, got {getattr(self, name)}")
        require(
            isinstance(self.bits, int) and 6 <= self.bits <= 16,
            f"bits must be an integer in 6..16, got {self.bits!r}",
        )
        require(
            len(self.cast) == 3 and all(0 < c <= 4 for c in self.cast),
            f"cast must be three gains above 0 and up to 4, got {self.cast}",
        )

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> LowLight:
        """Random concrete parameters; `stops` near the preset of `severity` where it is given."""
        if severity is None:
            stops = float(rng.uniform(0.8, 5.0))
        else:
            stops = cls.presets["stops"][severity - 1] + float(rng.uniform(-0.25, 0.25))
        warm = float(rng.normal(0.12, 0.2))  # lamps are warm, nights blue
        green = float(rng.normal(0, 0.03))
        return cls(
            severity=severity,
            stops=stops,
            gamma=rng.uniform(1.0, 1.3),
            electrons=float(np.exp(rng.uniform(np.log(1000), np.log(10000)))),
            read=float(np.exp(rng.uniform(np.log(1.5), np.log(8)))),
            banding=rng.choice([0.0, 0.5, 1.5]),
            bits=int(rng.choice([10, 12, 12, 14])),
            cast=tuple(float(np.clip(np.exp(v), 0.4, 2.0)) for v in (warm / 2, green, -warm)),
            unevenness=rng.uniform(0.0, 0.5),
            grain=rng.uniform(0.0, 0.9),
            gain=stops * rng.uniform(0.0, 0.45) if severity is None else 0.0,
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = image.shape[:2]
        expected = self._electrons(image)
        if self.unevenness > 0:
            field = smooth_noise((height, width), rng, cells=1, octaves=2)
            expected *= triple(exp(np.float32(self.unevenness) * field))
        noise = poisson_like(expected, rng, self.read)
        noise -= expected
        if self.grain > 0:
            taps = cv2.getGaussianKernel(5, self.grain, cv2.CV_32F)
            taps /= np.sqrt((taps**2).sum())  # keeps the deviation
            noise = cv2.sepFilter2D(noise, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REFLECT)
            noise = noise.reshape(image.shape)
        noise += expected
        if self.banding > 0:
            noise += (self.banding * rng.standard_normal((height, 1, 1))).astype(np.float32)
        step = np.float32(self.electrons / 2**self.bits)
        counts = np.rint(noise * (1 / step))
        counts *= step * np.float32(2.0**self.gain / self.electrons)
        return to_srgb(counts)

    def _electrons(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) expected counts: sRGB to linear, gamma, attenuation and cast in one table per channel."""
        curve = to_linear(np.linspace(0, 1, _STEPS + 1, dtype=np.float32)).astype(np.float64) ** self.gamma
        curve *= self.electrons * 2.0**-self.stops
        index = np.multiply(image, np.float32(_STEPS), dtype=np.float32)
        index += np.float32(0.5)
        out = curve.astype(np.float32).take(index.astype(np.int16), mode="clip")
        if self.cast != (1.0, 1.0, 1.0):
            out *= np.asarray(self.cast, np.float32)
        return out
