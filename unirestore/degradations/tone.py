"""What cameras and people do to a photo after it is taken: levels, curve, white balance, saturation, softness.

Photos of bad weather are rarely shown as the sensor saw them: automatic exposure and levels stretch the veil
(dark cars become black again), white balance is off at dusk and under lamps, small lenses and noise
reduction soften. All of it acts on sRGB values, as such software does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .light import blurred


@dataclass(frozen=True, kw_only=True)
class Tone(Degradation):
    """A camera's or an editor's idea of tone and colour: levels, S-curve, white balance, saturation, softness.

    Formula: x <- (x - l lo) / (1 - l lo - l (1 - hi)), lo and hi the 1st and 99th percentile of grey and l
    `levels`; x <- x^gamma; x <- x + 2 c x (1 - x) (2 x - 1) with c `contrast`; x <- grey + s (x - grey);
    R <- R e^w, B <- B e^-w, and each channel c times (mean grey / mean c)^b,
    at most 0.7 to 1.45; then a Gaussian blur.
    Source: levels as in any editor; balance is the grey world of Buchsbaum, J. Franklin Institute 310, 1980.

    Args:
        levels: share of the automatic levels that is applied, 0 (none) to 1 (full stretch).
        contrast: strength of the S-curve, -0.5 to 0.5; negative flattens.
        gamma: exponent, above 0; above 1 darkens.
        saturation: factor on the colours, 0 (grey) to 3.
        warmth: log gain of red and loss of blue, -0.5 to 0.5; negative is bluish.
        tint: log gain of green, -0.3 to 0.3.
        balance: share b of the grey-world white balance that is applied, 0 to 1.
        softness: standard deviation of the blur in units of 1/320 of the picture.
    """

    levels: float = 0.0
    contrast: float | None = None
    gamma: float | None = None
    saturation: float = 1.0
    warmth: float | None = None
    tint: float = 0.0
    balance: float = 0.0
    softness: float = 0.0

    presets: ClassVar = {
        "contrast": (0.08, 0.16, 0.25, 0.35, 0.48),
        "gamma": (1.06, 1.15, 1.28, 1.45, 1.7),
        "warmth": (-0.02, -0.05, -0.09, -0.14, -0.2),
    }

    def check(self) -> None:
        for name in ("levels", "balance"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        require(abs(self.contrast) <= 0.5, f"contrast must lie in [-0.5, 0.5], got {self.contrast}")
        require(self.gamma > 0, f"gamma must be above 0, got {self.gamma}")
        require(0 <= self.saturation <= 3, f"saturation must lie in [0, 3], got {self.saturation}")
        require(abs(self.warmth) <= 0.5, f"warmth must lie in [-0.5, 0.5], got {self.warmth}")
        require(abs(self.tint) <= 0.3, f"tint must lie in [-0.3, 0.3], got {self.tint}")
        require(self.softness >= 0, f"softness must be >= 0, got {self.softness}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Tone:
        """Random concrete parameters; around a preset where `severity` is given."""
        if severity is None:
            return cls(
                levels=rng.uniform(0, 0.5),
                contrast=float(np.clip(rng.normal(0.1, 0.18), -0.5, 0.5)),
                gamma=float(np.exp(rng.normal(0, 0.15))),
                saturation=rng.uniform(0.7, 1.5),
                warmth=float(np.clip(rng.normal(0, 0.04), -0.5, 0.5)),
                tint=float(np.clip(rng.normal(0, 0.015), -0.3, 0.3)),
                softness=rng.uniform(0, 0.7),
            )
        near = {name: steps[severity - 1] * rng.uniform(0.85, 1.15) for name, steps in cls.presets.items()}
        near["contrast"] = min(near["contrast"], 0.5)
        near["gamma"] = 1 + (cls.presets["gamma"][severity - 1] - 1) * rng.uniform(0.85, 1.15)
        return cls(severity=severity, saturation=rng.uniform(0.9, 1.1), **near)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        out = np.ascontiguousarray(image, np.float32)
        if self.softness > 0:
            out = blurred(out, self.softness * float(np.sqrt(image.shape[0] * image.shape[1])) / 320)
        low, high = 0.0, 1.0
        if self.levels > 0:
            grey = cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)
            step = max(1, min(grey.shape) // 128)
            p1, p99 = np.percentile(grey[::step, ::step], (1, 99))
            low, high = self.levels * float(p1), 1 - self.levels * (1 - float(p99))
            high = max(high, low + 0.1)
        gains = np.exp(np.array([self.warmth, self.tint, -self.warmth]))
        if self.balance > 0:
            means = out.reshape(-1, 3).mean(axis=0).astype(np.float64) + 0.02
            gains *= np.clip((means.mean() / means) ** self.balance, 0.7, 1.45)
        gains /= gains @ np.array([0.299, 0.587, 0.114])  # grey keeps its brightness
        return self._colour(cv2.merge([self._curve(p, low, high) for p in cv2.split(out)]), gains)

    def _curve(self, plane: np.ndarray, low: float, high: float) -> np.ndarray:
        """Levels, gamma and S-curve of one plane, by a table of 1024 steps with linear interpolation."""
        x = np.clip((np.linspace(0, 1, 1025) - low) / (high - low), 0, 1) ** self.gamma
        table = (x + 2 * self.contrast * x * (1 - x) * (2 * x - 1)).astype(np.float32)
        place = np.clip(plane, 0, 1) * np.float32(1024)
        index = np.minimum(place.astype(np.int16), np.int16(1023))
        start = table.take(index)
        return start + (table.take(index + np.int16(1)) - start) * (place - index)

    def _colour(self, image: np.ndarray, gains: np.ndarray) -> np.ndarray:
        """Saturation around grey, then the gains of white balance, as one 3 x 3 matrix."""
        grey = np.array([0.299, 0.587, 0.114])
        matrix = self.saturation * np.eye(3) + (1 - self.saturation) * np.ones((3, 1)) * grey
        return cv2.transform(image, (gains[:, None] * matrix).astype(np.float32)).reshape(image.shape)
