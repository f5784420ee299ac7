"""The benchmark's frost, on ice that we draw: the published photos of frost are not ours to ship.

Five sheets of ice stand for the five photos: foil, two sheets of blades, grains and ferns. Each is drawn once,
from a fixed seed, and brought to the mean and deviation per channel that the published photo has, so that the
corruption does the same to brightness, colour and contrast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np

from .. import draws
from ..base import Scene
from ..noise_fields import generator, smooth_noise
from ..portable import portable, rounded
from .base import Corruption
from .kernels import gaussian

SIDE = 768  # of a sheet, in pixels
# kind, mean of R G B and deviation of R G B of the published photo, both of sRGB values in [0, 1]
SHEETS = (
    ("foil", (0.305, 0.585, 0.650), (0.106, 0.065, 0.060)),
    ("blades", (0.787, 0.805, 0.841), (0.084, 0.087, 0.089)),
    ("blades", (0.787, 0.805, 0.841), (0.084, 0.087, 0.089)),
    ("grains", (0.540, 0.599, 0.648), (0.112, 0.112, 0.117)),
    ("ferns", (0.441, 0.484, 0.528), (0.174, 0.170, 0.163)),
)


@dataclass(frozen=True, kw_only=True)
class FrostC(Corruption):
    """Frost of the benchmark: ice crystals on the window, laid over the photo.

    Formula: y = photo x + ice F, F a random crop of one of five sheets of ice in [0, 1].
    Source: Hendrycks and Dietterich, ICLR 2019. Their sheets are photos; ours are drawn, with the same mean and
    deviation in every channel. Severity 4 is a little nearer to the photo than 3, as published.

    Args:
        photo: weight of the photo, >= 0.
        ice: weight of the ice, >= 0.
    """

    photo: float | None = None
    ice: float | None = None

    name: ClassVar = "frost"
    monotone: ClassVar = False
    presets: ClassVar = {"photo": (1.0, 0.8, 0.7, 0.65, 0.6), "ice": (0.4, 0.6, 0.7, 0.7, 0.75)}
    non_negative: ClassVar = ("photo", "ice")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        ice = sheet(int(rng.integers(len(SHEETS))))
        if max(height, width) > SIDE:
            ice = cv2.resize(ice, (max(height, width),) * 2, interpolation=cv2.INTER_CUBIC)
        top, left = int(rng.integers(ice.shape[0] - height + 1)), int(rng.integers(ice.shape[1] - width + 1))
        crop = ice[top : top + height, left : left + width]
        if rng.random() < 0.5:  # mirrored at random, so that five sheets look like ten
            crop = crop[:, ::-1]
        out = crop * np.float32(self.ice)
        out += image * np.float32(self.photo)
        return out


@lru_cache(maxsize=len(SHEETS))
@portable()
def sheet(number: int) -> np.ndarray:
    """(SIDE, SIDE, 3) float32 sRGB in [0, 1]: sheet `number` of `SHEETS`, always the same."""
    kind, mean, deviation = SHEETS[number]
    rng = generator(number, 0xF7)
    light = {"foil": _foil, "blades": _blades, "grains": _grains, "ferns": _ferns}[kind](rng)
    light = (light - light.mean()) / light.std()
    tint = smooth_noise((SIDE, SIDE), rng, cells=3, octaves=3)  # ice is a little bluer where it is thin
    strength = 0.75 if kind == "foil" else 0.12
    planes = [light + np.float32(strength * sign) * tint for sign in (-1, 0, 1)]
    out = np.stack([(plane - plane.mean()) / plane.std() for plane in planes], axis=-1)
    out = np.clip(out * np.float32(deviation) + np.float32(mean), 0, 1)
    out.setflags(write=False)
    return out


def _relief(height: np.ndarray, angle: float) -> np.ndarray:
    """Light from `angle` (radians) on the height field."""
    return cv2.Sobel(height, -1, 1, 0) * np.float32(np.cos(angle)) + cv2.Sobel(height, -1, 0, 1) * np.float32(
        np.sin(angle)
    )


def _grain(rng: np.random.Generator, sigma: float) -> np.ndarray:
    noise = gaussian(draws.normal(rng, (SIDE, SIDE)), sigma)
    return noise / noise.std()


def _warp(plane: np.ndarray, rng: np.random.Generator, reach: float, cells: float) -> np.ndarray:
    """Moves every pixel by smooth noise of `reach` pixels."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    shift_x, shift_y = (reach * smooth_noise((SIDE, SIDE), rng, cells=cells, octaves=4) for _ in range(2))
    return cv2.remap(
        plane, columns + shift_x, rows + shift_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )


def _foil(rng: np.random.Generator) -> np.ndarray:
    """Clear ice with creases, as crumpled foil."""
    height = np.zeros((SIDE, SIDE), np.float32)
    for octave in range(5):
        noise = _grain(rng, 40 / 2**octave)
        height += (1 - np.abs(rounded(np.tanh, noise))) * np.float32(0.62**octave)
    height = _warp(height, rng, 26, 6)
    light = _relief(gaussian(height, 0.5), 0.9)
    light = light / light.std() + 0.25 * _grain(rng, 0.8)
    return light + 0.7 * smooth_noise((SIDE, SIDE), rng, cells=3, octaves=3)


def _sixteenths(points: np.ndarray) -> np.ndarray:
    return np.rint(points * 16).astype(np.int32)  # cv2 takes sixteenths of a pixel


def _blades(rng: np.random.Generator, bundles: int = 2600) -> np.ndarray:
    """Flat blades with one lit and one shaded face, in bundles that lie over each other."""
    sizes = rng.integers(2, 8, bundles)
    bundle = np.repeat(np.arange(bundles), sizes)  # the bundle that each blade belongs to
    count = len(bundle)
    start = rng.uniform(-40, SIDE + 40, (bundles, 2))[bundle] + rng.normal(0, 6, (count, 2))
    angle = rng.uniform(0, 2 * np.pi, bundles)[bundle] + rng.normal(0, 0.22, count)
    along = np.stack([np.cos(angle), np.sin(angle)], -1)
    across = np.stack([-along[:, 1], along[:, 0]], -1) * rng.uniform(0.8, 3.4, (count, 1))
    long = rng.gamma(3, 11, (count, 1))
    middle, tip = start + 0.4 * long * along, start + long * along
    shade = 128 + 75 * np.sin(2 * angle + 0.7) + rng.normal(0, 28, count)
    canvas = np.full((SIDE, SIDE), 120, np.uint8)
    lit = np.clip(shade + rng.uniform(5, 45, count), 10, 250)
    dark = np.clip(shade - rng.uniform(5, 45, count), 10, 250)
    upper = _sixteenths(np.stack([start, middle + across, tip], 1))
    lower = _sixteenths(np.stack([start, middle - across, tip], 1))
    for n in range(count):
        cv2.fillConvexPoly(canvas, upper[n], lit[n], cv2.LINE_AA, shift=4)
        cv2.fillConvexPoly(canvas, lower[n], dark[n], cv2.LINE_AA, shift=4)
    light = canvas.astype(np.float32)
    light = light / light.std() + 0.6 * smooth_noise((SIDE, SIDE), rng, cells=3, octaves=3)
    return light + 0.25 * _grain(rng, 0.7)


def _grains(rng: np.random.Generator) -> np.ndarray:
    """Frozen droplets with some blades between them."""
    drops = gaussian(draws.normal(rng, (SIDE, SIDE)), 1.1)
    drops = np.maximum(drops / drops.std() - 0.2, 0)
    light = _relief(gaussian(np.sqrt(drops), 0.5), 2.2)
    light = light / light.std()
    blades = _blades(rng, 900)
    blades = 1.6 * (blades - blades.mean()) / blades.std()
    light += np.clip(1.4 * smooth_noise((SIDE, SIDE), rng, cells=9, octaves=4) - 0.7, 0, 1) * (blades - light)
    return light + 0.6 * smooth_noise((SIDE, SIDE), rng, cells=2, octaves=3)


def _ferns(rng: np.random.Generator) -> np.ndarray:
    """Feathers: a bent spine with barbs on both sides that grow shorter to the tip, often two or three abreast."""
    canvas = np.full((SIDE, SIDE), 40, np.uint8)
    for _ in range(2000):
        root = rng.uniform(-30, SIDE + 30, 2)
        base = float(rng.uniform(0, 2 * np.pi))
        bright = float(np.clip(rng.normal(135, 45), 50, 255))
        for turn in rng.permutation([0.0, 1.05, -1.05])[: int(rng.integers(1, 4))]:
            _feather(
                canvas, rng, root, base + turn + float(rng.normal(0, 0.1)), float(rng.gamma(4, 9)), bright
            )
    light = canvas.astype(np.float32)
    edges = _relief(light, 0.8)
    light = light / light.std() + 0.35 * edges / edges.std()
    patch = smooth_noise((SIDE, SIDE), rng, cells=2.5, octaves=4)
    return light * np.clip(1 + 0.4 * patch, 0.2, 2) + 0.3 * patch + 0.15 * _grain(rng, 0.6)


def _feather(
    canvas: np.ndarray, rng: np.random.Generator, root: np.ndarray, angle: float, long: float, bright: float
) -> None:
    """Draws one feather of length `long` from `root` (x, y) at `angle`."""
    gap, bend = rng.uniform(2.2, 3.4), rng.normal(0, 0.006)
    reach, spread = rng.uniform(0.25, 0.5), rng.uniform(0.6, 1.05)
    steps = max(3, int(long / gap))
    heading = angle + bend * gap * np.arange(steps)
    strides = gap * np.stack([np.cos(heading), np.sin(heading)], -1)
    spine = root + np.concatenate([np.zeros((1, 2)), np.cumsum(strides, 0)])
    left = 1 - np.arange(steps) / steps
    for side, tone in ((1, 1.0), (-1, 0.75)):  # one side of the spine faces the light
        barb = (reach * long * left * rng.uniform(0.6, 1.0, steps))[:, None]
        turned = heading + side * spread
        ends = spine[:-1] + barb * np.stack([np.cos(turned), np.sin(turned)], -1)
        lines = _sixteenths(np.stack([spine[:-1], ends], 1))
        cv2.polylines(canvas, list(lines), False, min(255.0, tone * bright), 1, cv2.LINE_AA, shift=4)
    cv2.polylines(canvas, [_sixteenths(spine)], False, min(255.0, 1.3 * bright), 1, cv2.LINE_AA, shift=4)
