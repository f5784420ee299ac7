"""Head and tail lamps seen through wet air: discs, halo, glare and their long mirror image on a wet road.

What tells rain and dusk on real road photos is lamps. Where a label map knows vehicles, the lamps sit on
them; elsewhere pairs of lamps are put where a flat road would have oncoming and preceding cars.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .depth import CAMERA_HEIGHT, FOCAL
from .lamps import VEHICLES
from .light import blurred, to_linear, to_srgb
from .noise_fields import smooth_noise
from .surfaces import ground_mask

COLOURS = np.array(  # linear RGB: halogen, xenon, tail lamp, indicator
    [(1.0, 0.82, 0.55), (0.92, 0.96, 1.0), (1.0, 0.10, 0.06), (1.0, 0.45, 0.08)], np.float32
)
WHITE = (0, 1)
TRACK = 1.4  # metres between the lamps of a pair
MOUNT = 0.7  # metres above the road


@dataclass(frozen=True, kw_only=True)
class HeadLamps(Degradation):
    """Lamps of vehicles that are on, with halo and glare; on a wet road (`mirror`) their streaks too.

    Formula: light += power (disc + sum_k w_k G(sigma_k) disc + mirror M disc), in linear light; G are Gaussians
    of growing radius (halo of forward scattering), M a vertical smear below the lamp, broken by ripples.
    Source: halo as the sum of Gaussians that approximates the point spread function of Narasimhan and Nayar,
    CVPR 2003, "Shedding light on the weather"; geometry of the flat road in `depth`.

    Args:
        pairs: pairs of lamps where no label map names vehicles.
        share: share of labelled vehicles that have lamps on, 0 to 1.
        power: brightness of a lamp, linear; 1 is white.
        halo: strength of the halo.
        mirror: how much of a lamp the road mirrors, 0 (dry, the default) to 1 (under water). `sample` draws it for wet
            roads; the road weather scales it by how wet its roads are.
        red: share of tail lamps among them, 0 to 1.
        horizon: row of the horizon as a share of the height.
        reach: metres over which air takes a lamp's light down by e.
    """

    pairs: int | None = None
    share: float = 0.7
    power: float | None = None
    halo: float | None = None
    mirror: float = 0.0
    red: float = 0.45
    horizon: float = 0.45
    reach: float = 80.0

    presets: ClassVar = {
        "pairs": (1, 2, 4, 6, 9),
        "power": (1.5, 2.5, 4.0, 6.0, 9.0),
        "halo": (0.2, 0.35, 0.55, 0.8, 1.2),
    }

    def check(self) -> None:
        for name in ("pairs", "power", "halo", "mirror"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        for name in ("share", "red", "horizon"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        require(self.reach > 0, f"reach must be above 0 metres, got {self.reach}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> HeadLamps:
        """Random concrete parameters; around the presets where `severity` is given."""
        level = 4 * float(rng.random()) ** 1.3 if severity is None else float(severity - 1)
        pairs, power, halo = (float(np.interp(level, range(5), steps)) for steps in cls.presets.values())
        return cls(
            severity=severity,
            pairs=max(1, round(pairs * rng.uniform(0.8, 1.2))),
            share=rng.uniform(0.5, 1.0),
            power=power * rng.uniform(0.8, 1.25),
            halo=halo * rng.uniform(0.8, 1.25),
            mirror=rng.uniform(0.1, 0.9),
            red=rng.uniform(0.2, 0.7),
            horizon=rng.uniform(0.4, 0.5),
            reach=np.exp(rng.uniform(np.log(25), np.log(200))),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = scene.shape
        lamps = self.places(scene, rng)
        if not lamps:
            return image
        discs = np.zeros((height, width, 3), np.float32)
        mirrored = np.zeros((height, width, 3), np.float32)
        for column, row, radius, foot, colour, faint in lamps:
            value = (COLOURS[colour] * np.float32(self.power * faint)).tolist()
            _disc(discs, column, row, radius, value)
            if self.mirror > 0 and foot < height:
                low, drop = 2 * foot - row, 5 * (foot - row) + radius
                axes = (round(max(0.5, 1.1 * radius) * 16), round(max(1.0, 0.8 * drop) * 16))
                centre = (round(column * 16), round((low + 0.3 * drop) * 16))
                soft = [v * 0.35 for v in value]
                cv2.ellipse(mirrored, centre, axes, 0, 0, 360, soft, -1, cv2.LINE_8, 4)
        unit = float(np.sqrt(height * width)) / 320
        light = to_linear(image) + blurred(discs, 0.5 * unit)
        for weight, sigma in ((1.0, 3.0), (0.9, 9.0), (0.6, 26.0)):
            light += np.float32(self.halo * weight) * blurred(discs, sigma * unit)
        if self.mirror > 0:
            mirrored = cv2.GaussianBlur(mirrored, (0, 0), max(0.3, 1.2 * unit), sigmaY=max(0.5, 7 * unit))
            mirrored = mirrored.reshape(height, width, 3)
            wide = blurred(mirrored, 4 * unit)
            ripples = 1 + 0.35 * smooth_noise((height, width), rng, cells=14, octaves=2, stretch=5.0)
            share = 0.6 * self.mirror * np.clip(ripples, 0.2, 2) * ground_mask(scene, self.horizon)
            light += share[..., None].astype(np.float32) * (mirrored + wide)
        return to_srgb(light)

    def places(
        self, scene: Scene, rng: np.random.Generator
    ) -> list[tuple[float, float, float, float, int, float]]:
        """(column, row, radius, row of the road below, colour, share of light left) of every lamp, in pixels."""
        out = []
        for centre, row, apart, foot, distance in self._vehicles(scene, rng):
            red = rng.random() < self.red
            colour = int(rng.choice([2, 2, 2, 3])) if red else int(rng.choice(WHITE))
            faint = (
                float(np.exp(-distance / self.reach)) * (0.35 if red else 1.0) * float(rng.uniform(0.4, 1))
            )
            radius = max(0.4, 0.07 * apart)
            for side in (-0.5, 0.5):
                if rng.random() < 0.95:
                    out.append((centre + side * apart, row, radius, foot, colour, faint))
        return out

    def _vehicles(
        self, scene: Scene, rng: np.random.Generator
    ) -> list[tuple[float, float, float, float, float]]:
        """(column, lamp row, distance between lamps, foot row, metres) of vehicles with lamps on."""
        height, width = scene.shape
        out = []
        if scene.label_map is not None and scene.class_names:
            ids = [i for i, name in enumerate(scene.class_names) if str(name).lower() in VEHICLES]
            mask = np.isin(scene.label_map, ids).astype(np.uint8)
            _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
            for left, top, wide, tall, area in stats[1:40].tolist():
                single = area > 0.5 * wide * tall and 0.6 < wide / tall < 2.4
                if rng.random() >= self.share or not single or wide < 3:
                    continue
                row = min(height - 1, int(top + 0.58 * tall))
                if not (mask[row, int(left + 0.19 * wide)] and mask[row, int(left + 0.81 * wide)]):
                    continue  # several vehicles in one piece: the lamps would hang between them
                foot = float(top + tall)
                distance = CAMERA_HEIGHT * FOCAL * height / max(foot - self.horizon * height, 1.0)
                out.append((left + 0.5 * wide, top + 0.58 * tall, 0.62 * wide, foot, min(distance, 150.0)))
            return out
        for _ in range(self.pairs):
            distance = float(np.exp(rng.uniform(np.log(8), np.log(90))))
            scale = FOCAL * height / distance  # pixels per metre
            foot = self.horizon * height + CAMERA_HEIGHT * scale
            column = float(rng.normal(0.5, 0.22)) * width
            if foot < height:
                out.append((column, foot - MOUNT * scale, TRACK * scale, foot, distance))
        return out


def _disc(canvas: np.ndarray, column: float, row: float, radius: float, value: list[float]) -> None:
    """Fills a disc; one too small for the grid keeps its light by being dimmer."""
    if radius < 0.8:
        value, radius = [v * (radius / 0.8) ** 2 for v in value], 0.8
    cv2.circle(canvas, (round(column * 16), round(row * 16)), round(radius * 16), value, -1, cv2.LINE_8, 4)
