"""Lens flare of lamps that stand somewhere in front of the camera; the optics are in `lens.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..base import Scene, require
from ..depth import FOCAL
from .layered import Layers, SoftEffect, opacity
from .lens import add_ghosts, make_lens, spread_table, stamp

HALO_KINDS: dict[str, dict[str, float]] = {  # parts of the four kinds of flare in HALO (our weights)
    "reflective": {"ghosts": 1.0, "streaks": 0.1, "glare": 0.25, "shimmer": 0.0, "anamorphic": 0.0},
    "glare": {"ghosts": 0.15, "streaks": 0.1, "glare": 1.0, "shimmer": 0.1, "anamorphic": 0.0},
    "shimmer": {"ghosts": 0.1, "streaks": 0.0, "glare": 0.3, "shimmer": 1.0, "anamorphic": 0.0},
    "streak": {"ghosts": 0.2, "streaks": 1.0, "glare": 0.2, "shimmer": 0.0, "anamorphic": 0.3},
}
_KELVIN = (1900.0, 2700.0, 4000.0, 5500.0, 6500.0, 10000.0)
_PLANCK = (  # linear sRGB of black bodies, largest channel 1 (CIE 1931, rounded)
    (1.0, 0.23, 0.0),
    (1.0, 0.40, 0.09),
    (1.0, 0.62, 0.34),
    (1.0, 0.84, 0.71),
    (1.0, 0.94, 0.97),
    (0.62, 0.74, 1.0),
)


@dataclass(frozen=True, kw_only=True)
class Flare(SoftEffect):
    """Lens flare: ghosts, diffraction streaks, veiling glare and shimmer of lamps placed in space.

    Formula: out = I + sum over lamps of E (PSF(x - p) + sum_k ghost_k(x - c - s_k (p - c))), E = strength * power /
    distance^2 * cos^4(angle), p = c + f (x / z, -y / z), in linear light.

    Source: components of HALO (UniSER, arXiv:2511.14183); optics: Hullin et al., SIGGRAPH 2011; Ritschel et al.,
    Eurographics 2009; Vos, CIE glare, 1984 (see `lens.py`).

    Args:
        strength: brightness of everything that the lens adds.
        lamps: (x, y, z, power, kelvin) of each: metres right of, above and in front of the camera, candela per mean
            scene luminance (100 at 10 m gives 1), colour temperature.
        lens: number of the lens, see `lens.make_lens`.
        ghosts, streaks, glare, shimmer, anamorphic: weight of each part, >= 0; `anamorphic` is a long horizontal
            streak.
        occlusion: whether things nearer than a lamp hide it, by the depth at its place in the photo.
    """

    strength: float | None = None
    lamps: tuple[tuple[float, float, float, float, float], ...] = ((-2.6, 2.2, 10.0, 110.0, 4500.0),)
    lens: int = 0
    ghosts: float = 0.5
    streaks: float = 0.5
    glare: float = 0.6
    shimmer: float = 0.3
    anamorphic: float = 0.0
    occlusion: bool = False

    presets: ClassVar = {"strength": (0.4, 0.9, 1.8, 3.2, 5.5)}

    def check(self) -> None:
        for name in ("strength", "ghosts", "streaks", "glare", "shimmer", "anamorphic", "lens"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(isinstance(self.lens, int), f"lens must be an integer, got {self.lens!r}")
        require(len(self.lamps) > 0, "Flare needs at least one lamp (x, y, z, power, kelvin)")
        for lamp in self.lamps:
            require(
                len(lamp) == 5 and lamp[2] > 0 and lamp[3] >= 0 and lamp[4] >= 1000,
                f"a lamp is (x, y, z, power, kelvin) with z > 0, power >= 0, kelvin >= 1000, got {lamp}",
            )

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None, kind: str | None = None) -> Flare:
        """A random lens and 1 to 4 lamps, mostly in the upper half and now and then outside the photo.

        `kind` is one of `HALO_KINDS`; None draws one. Raises ValueError for another.
        """
        kinds = list(HALO_KINDS)
        kind = kinds[int(rng.integers(len(kinds)))] if kind is None else kind
        require(kind in HALO_KINDS, f"kind must be one of {kinds}, got {kind!r}")
        parts = {name: value * float(rng.uniform(0.6, 1.3)) for name, value in HALO_KINDS[kind].items()}
        if rng.random() < 0.6:
            parts["anamorphic"] = 0.0
        count = int(rng.choice([1, 2, 3, 4], p=[0.6, 0.2, 0.12, 0.08]))
        lamps = []
        for _ in range(count):
            z = float(np.exp(rng.uniform(np.log(4), np.log(40))))
            across, up = (
                float(rng.uniform(-0.6, 0.6)),
                float(rng.uniform(-0.15, 0.5)),
            )  # of the picture height
            power = z * z * float(rng.uniform(0.6, 1.6)) / count
            kelvin = float(np.exp(rng.uniform(np.log(2300), np.log(7500))))
            lamps.append((across * z / FOCAL, up * z / FOCAL, z, power, kelvin))
        if severity is None:
            strength = float(np.exp(rng.uniform(np.log(0.4), np.log(5.5))))
        else:
            strength = cls.presets["strength"][severity - 1] * float(rng.uniform(0.9, 1.15))
        lens = int(rng.integers(10_000))
        return cls(severity=severity, strength=strength, lamps=tuple(lamps), lens=lens, **parts)

    def render(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> Layers:
        lens = make_lens(self.lens)
        parts = {name: getattr(self, name) for name in ("streaks", "glare", "shimmer", "anamorphic")}
        table = spread_table(lens, **parts)
        light = np.zeros((*scene.shape, 3), np.float32)
        for lamp in self.lamps:
            position, power = project(lamp, scene.shape)
            power *= self.strength * (visible(lamp, position, scene) if self.occlusion else 1.0)
            if power <= 0:
                continue
            colour = np.array([np.interp(lamp[4], _KELVIN, column) for column in zip(*_PLANCK, strict=True)])
            light += stamp(scene.shape, table, position, colour * power)
            if self.ghosts > 0:
                add_ghosts(light, lens, position, colour, 0.3 * self.ghosts * power)
        return Layers(transmission=None, light=light, mask=opacity(light))

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return self.render(image, rng, scene).over(image)


def project(lamp: tuple[float, ...], shape: tuple[int, int]) -> tuple[tuple[float, float], float]:
    """Where a lamp is seen, (x, y) in pixels (it may lie outside the photo), and how brightly it lights the lens."""
    height, width = shape
    x, y, z, power, _ = lamp
    square = x * x + y * y + z * z
    position = (width / 2 + FOCAL * height * x / z, height / 2 - FOCAL * height * y / z)
    return position, power / square * (z * z / square) ** 2


def visible(lamp: tuple[float, ...], position: tuple[float, float], scene: Scene) -> float:
    """Share of a lamp that nothing nearer hides, 0 to 1; 1 outside the photo, where nobody knows."""
    height, width = scene.shape
    column, row = int(np.floor(position[0])), int(np.floor(position[1]))
    if not (0 <= column < width and 0 <= row < height):
        return 1.0
    reach = max(1, round(0.01 * height))
    window = scene.depth[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
    return float((window >= lamp[2]).mean())
