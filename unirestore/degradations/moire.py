"""Moire: a photo of a screen, from the two grids that make it.

A screen shows each pixel as red, green and blue stripes in a black matrix; a camera samples the picture of those
stripes with its own grid of red, green and blue cells and fills in what each cell lacks. Where the two grids
nearly agree, the stripes alias to slow coloured waves. Nothing is pasted: the pattern follows from the two
geometries, and it is fainter where the photo is dark, as it is on real screens.

The stripes are written as a Fourier series on the screen, each harmonic is weakened by the lens and by the width
of a cell at its frequency, and the sum is evaluated at the centre of each cell. That is exact sampling of the
band-limited picture, aliases included, at the cost of one picture and no supersampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .light import to_linear, to_srgb
from .portable import rounded

HARMONICS = 3
STRIPE = 0.3  # width of a colour's stripe, in screen pixels
ROW = 0.8  # height of the lit part of a screen pixel
CELL = 0.8  # side of the light-sensitive part of a camera cell, in camera pixels
PAD = 4  # even, so that the colour filter keeps its phase
_TAU = np.float32(2 * np.pi)


def screen_position(
    shape: tuple[int, int],
    *,
    pitch: float,
    angle: float,
    tilt: tuple[float, float],
    bow: float,
    offset: tuple[float, float] = (0.0, 0.0),
    pad: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Where each camera pixel looks on the screen: x, y, each (H + 2 pad, W + 2 pad) float32 screen pixels.

    Args:
        shape: (H, W) of the photo.
        pitch: screen pixels per camera pixel at the centre.
        angle: between the two grids in degrees.
        tilt: relative growth of `pitch` from edge to edge, across and down (perspective).
        bow: barrel or pincushion distortion, relative at the edge of the longer side.
        offset: screen pixels.
        pad: pixels added on every side.
    """
    height, width = shape
    reach = max(height, width) / 2
    u = ((np.arange(width + 2 * pad) - pad + 0.5 - width / 2) / reach).astype(np.float32)[None, :]
    v = ((np.arange(height + 2 * pad) - pad + 0.5 - height / 2) / reach).astype(np.float32)[:, None]
    turn = np.deg2rad(angle)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    # Perspective: far parts of the screen pack more of its pixels into one of the camera's.
    scale = 1 / (1 - np.float32(tilt[0] / 4) * u - np.float32(tilt[1] / 4) * v)
    if bow:
        scale *= 1 + np.float32(bow) * (u * u + v * v)
    scale *= np.float32(pitch * reach)
    x, y = (u * cos - v * sin) * scale, (u * sin + v * cos) * scale
    return x + np.float32(offset[0]), y + np.float32(offset[1])


def harmonic(order: int, lit: float, pitch: float, blur: float) -> float:
    """Amplitude, relative to the mean, of a harmonic of stripes as a camera cell sees it.

    Args:
        order: 1, 2, ...
        lit: share of the period that is lit.
        pitch: periods per camera pixel.
        blur: deviation of the lens in camera pixels.
    """
    frequency = order * pitch
    lens = np.exp(-2 * (np.pi * blur * frequency) ** 2)
    return float(2 * np.sinc(order * lit) * lens * np.sinc(CELL * frequency))


def filter_colours(shape: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8: 0, 1 or 2 where the camera has a red, green or blue cell (R G / G B)."""
    rows, columns = np.arange(shape[0]) % 2, np.arange(shape[1]) % 2
    return (rows[:, None] + columns[None, :]).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Moire(Degradation):
    """A photo of a screen that shows the picture: coloured waves where screen and camera grids nearly agree.

    Formula: cell (i, j) of colour c reads L_c(i, j) S_c(x(i, j)), S_c = prod (1 + s sum_k a_k cos 2 pi k (x -
    o_c)), a_k = 2 sinc(k w) MTF(k f), o_c the stripe of colour c, x the screen position by rotation,
    perspective and lens distortion; then bilinear demosaicking.
    Source: aliasing of a periodic screen by a Bayer sensor, as in the renderings of Yuan et al., "AIM 2019
    Challenge on Image Demoireing", ICCVW 2019, and of "UniDemoire", AAAI 2025, computed from Fourier series
    instead of an enlarged picture; the pattern is sampled, not pasted.

    Args:
        strength: contrast of the stripes, 0 to 1 (1 is a bare screen in focus).
        pitch: screen pixels per camera pixel; the waves are slowest near 0.5 and 0.25.
        angle: between the two grids in degrees.
        tilt: relative change of the pitch across and down the picture (perspective).
        bow: lens distortion, relative at the edge.
        blur: deviation of the lens blur in pixels.
        noise: deviation of the sensor noise in sRGB units.
    """

    strength: float | None = None
    pitch: float = 0.475
    angle: float = 3.0
    tilt: tuple[float, float] = (0.06, 0.04)
    bow: float = 0.01
    blur: float = 0.3
    noise: float = 0.006

    presets: ClassVar = {"strength": (0.12, 0.25, 0.42, 0.65, 0.95)}

    def check(self) -> None:
        require(0 <= self.strength <= 1, f"strength must lie in [0, 1], got {self.strength}")
        require(0.05 <= self.pitch <= 4, f"pitch must lie in [0.05, 4] screen pixels, got {self.pitch}")
        require(
            len(self.tilt) == 2 and all(abs(t) <= 0.8 for t in self.tilt),
            f"tilt must be two numbers in [-0.8, 0.8], got {self.tilt}",
        )
        require(abs(self.bow) <= 0.3, f"bow must lie in [-0.3, 0.3], got {self.bow}")
        for name in ("blur", "noise"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Moire:
        """Random concrete parameters; the strength near the preset of `severity` where it is given."""
        if severity is None:
            strength = float(rng.uniform(0.1, 1.0))
        else:
            strength = min(1.0, cls.presets["strength"][severity - 1] * float(rng.uniform(0.88, 1.12)))
        near = 0.5 if rng.random() < 0.75 else 0.25
        return cls(
            severity=severity,
            strength=strength,
            pitch=near * (1 + rng.choice([-1, 1]) * rng.uniform(0.02, 0.14)),
            angle=rng.normal(0, 5),
            tilt=(rng.normal(0, 0.06), rng.normal(0, 0.06)),
            bow=rng.normal(0, 0.012),
            blur=rng.uniform(0.2, 0.5),
            noise=rng.uniform(0.002, 0.012),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = image.shape[:2]
        offset = tuple(float(v) for v in rng.random(2))
        x, y = screen_position(
            (height, width),
            pitch=self.pitch,
            angle=self.angle,
            tilt=self.tilt,
            bow=self.bow,
            offset=offset,
            pad=PAD,
        )
        colour = filter_colours(x.shape)
        padded = cv2.copyMakeBorder(to_linear(image), PAD, PAD, PAD, PAD, cv2.BORDER_REFLECT)
        cells = self._cells(padded, colour, x, y)
        cells *= np.float32(65535 / 2)  # a stop of headroom above white
        if self.noise > 0:
            cells += (
                rng.standard_normal(cells.shape, dtype=np.float32)
                * np.sqrt(np.maximum(cells, 300) * np.float32(65535))
                * np.float32(self.noise * 1.6)
            )
        raw = np.clip(np.rint(cells), 0, 65535).astype(np.uint16)
        out = cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB)[PAD : PAD + height, PAD : PAD + width]
        return to_srgb(out.astype(np.float32) * np.float32(2 / 65535))

    def _cells(self, light: np.ndarray, colour: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(H, W) linear light in each camera cell, of the cell's own colour."""
        rows, columns = light.shape[:2]
        cells = np.empty((rows, columns), np.float32)
        cells[0::2, 0::2] = light[0::2, 0::2, 0]
        cells[0::2, 1::2] = light[0::2, 1::2, 1]
        cells[1::2, 0::2] = light[1::2, 0::2, 1]
        cells[1::2, 1::2] = light[1::2, 1::2, 2]
        across = x - (colour.astype(np.float32) + np.float32(0.5)) * np.float32(1 / 3)
        for position, lit in ((across, STRIPE), (y, ROW)):
            wave = np.ones_like(cells)
            for order in range(1, HARMONICS + 1):
                amplitude = self.strength * harmonic(order, lit, self.pitch, self.blur)
                if abs(amplitude) > 1e-3:
                    phase = position * np.float32(order)
                    phase -= np.rint(phase)  # keeps the cosine's argument small and exact
                    wave += np.float32(amplitude) * rounded(np.cos, phase * _TAU)
            cells *= np.maximum(wave, 0)
        return cells
