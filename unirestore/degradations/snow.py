"""Snowfall: a pale veil, flakes by distance, snow on the ground and on upper sides, wheel tracks in it.

Order, as light travels: snow cover -> veil -> flakes, far to near -> exposure; in linear light, lengths in
pixels scale with the picture (unit: 1/320 of it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Scene, require
from .in_air import InAir
from .light import blurred, exp, mixed, picture_unit, ramp, triple
from .noise_fields import smooth_noise
from .strokes import strokes
from .surfaces import ground_mask, road_coordinates, tops

LAYERS = (  # (radius in units, defocus in units, share of flakes, opacity)
    (0.35, 0.3, 0.62, 0.55),
    (0.75, 0.5, 0.28, 0.8),
    (1.7, 1.2, 0.085, 0.9),
    (4.2, 3.2, 0.015, 0.75),
)
ALBEDO = 0.88  # of fresh snow in the visible range, Warren, Rev. Geophys. 20(1), 1982
LANE, TRACK = 3.4, 0.8  # metres: width of a lane, half the track of a car


@dataclass(frozen=True, kw_only=True)
class Snow(InAir):
    """Falling and lying snow: pale veil, flakes by depth, whitened ground and upper sides, wheel tracks.

    Formula: cover: L <- L + c (0.88 E - L) with c from the ground mask, patchy noise and wheel tracks and E the
    light of the sky; veil: L t + A (1 - t), t = exp(-3.912 d / V); flakes: L <- L + o (1.15 A - L) with o the
    opacity of motion-blurred discs in four depth layers.
    Source: veil as Koschmieder (see `scattering`); albedo of snow from Warren, Rev. Geophys. 20(1), 1982;
    layered flakes in the manner of Liu et al., "DesnowNet", IEEE TIP 27(6), 2018, arXiv:1708.04512 (veil plus
    translucent flakes of several sizes), with geometry of our own.

    Args:
        cover: how much lies on the ground, 0 (none) to 1 (all white).
        tracks: how far wheels have cleared their tracks, 0 to 1.
        flakes: visible flakes per 320 x 320 pixels.
        size: factor on the flakes' size.
        fall: length of a flake's motion during the exposure, in units of 1/320 of the picture.
        angle: degrees from the vertical, positive drifts to the right.

    The other parameters are those of the veil, see `InAir`.
    """

    airlight: tuple[float, float, float] = (0.80, 0.82, 0.85)
    gradient: float = 0.0
    cover: float | None = None
    tracks: float = 0.6
    flakes: float | None = None
    size: float = 1.0
    fall: float = 1.5
    angle: float = 15.0
    scene_light: float = 0.9
    flatness: float = 0.3
    glow: float = 0.4

    presets: ClassVar = {
        "visibility": (1000.0, 500.0, 260.0, 150.0, 80.0),
        "cover": (0.25, 0.4, 0.55, 0.7, 0.85),
        "flakes": (60.0, 140.0, 260.0, 420.0, 650.0),
    }

    def check(self) -> None:
        super().check()
        for name in ("flakes", "fall"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(self.size > 0, f"size must be above 0, got {self.size}")
        for name in ("cover", "tracks"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        require(abs(self.angle) <= 90, f"angle must lie within 90 degrees, got {self.angle}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Snow:
        """Random concrete parameters; near the presets where `severity` is given."""
        level = 4 * float(rng.random()) if severity is None else float(severity - 1)
        near = cls.presets_at(level)
        values = {name: value * float(rng.uniform(0.8, 1.25)) for name, value in near.items()}
        values["cover"] = min(values["cover"], 1.0)
        bright = rng.uniform(0.55, 0.92)
        blue = rng.uniform(0.0, 0.08) + (0.12 if rng.random() < 0.15 else 0.0)
        return cls(
            severity=severity,
            airlight=tuple(
                float(c) for c in np.clip((bright * (1 - blue), bright, bright * (1 + blue)), 0, 0.97)
            ),
            gradient=float(np.clip(rng.normal(-0.03, 0.15), -0.6, 0.6)),
            vignette=rng.uniform(0.0, 0.25),
            height_scale=np.exp(rng.uniform(np.log(40), np.log(300))),
            horizon=rng.uniform(0.38, 0.52),
            unevenness=rng.uniform(0.0, 0.35),
            tracks=rng.uniform(0.2, 1.0),
            size=np.exp(rng.uniform(np.log(0.6), np.log(1.6))),
            fall=rng.choice([0.0, 1.0, 2.0, 5.0]) * rng.uniform(0.6, 1.4),
            angle=float(np.clip(rng.normal(0, 25), -85, 85)),
            scene_light=bright * rng.uniform(0.8, 1.4),
            flatness=rng.uniform(0.1, 0.5),
            lamps=rng.choice([0.0, 0.5, 1.0]),
            blur=rng.uniform(0.0, 0.6),
            glow=rng.uniform(0.1, 0.8),
            exposure=rng.normal(0.05, 0.15),
            **values,
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        unit = picture_unit(scene.shape)
        tau = self.thickness(image, scene, rng)
        air = self.air(scene.shape, rng)
        light = self.scene_lit(image, scene)
        if self.cover > 0:
            light = mixed(light, self._white(light, air, unit), self.cover_field(light, scene, unit, rng))
        out = self.through(light, tau, air, self.lamps_on(scene, rng))
        if self.flakes > 0:
            clear = np.ones(scene.shape, np.float32)
            for opacity in flake_layers(scene.shape, self, unit, rng):
                clear *= 1 - opacity
            air *= np.float32(1.15)
            air += np.float32(0.05)
            out = mixed(air, out, clear)
        return self.exposed(out)

    def cover_field(
        self, light: np.ndarray, scene: Scene, unit: float, rng: np.random.Generator
    ) -> np.ndarray:
        """(H, W) float32 in [0, 1]: how much snow hides of each pixel."""
        ground = ground_mask(scene, self.horizon)
        right, ahead = road_coordinates(scene.shape, self.horizon, float(rng.uniform(0.4, 0.6)))
        offset = float(rng.uniform(0, LANE))
        near = ramp(-ahead, -60.0, -15.0)  # tracks are told apart up to 60 m
        first = int(np.argmax(near > 0)) if near.any() else len(near)
        wheel = right[first:]
        wheel += np.float32(offset)
        wheel -= np.float32(LANE) * np.floor(wheel * np.float32(1 / LANE))
        wheel -= np.float32(LANE / 2)
        wheel = (np.abs(wheel) - np.float32(TRACK)) * np.float32(1 / 0.3)
        wheel = exp(-(wheel * wheel)) * near[first:, None]
        amount = smooth_noise(scene.shape, rng, cells=5, octaves=4, persistence=0.6, stretch=3.0)
        amount *= np.float32(0.22)
        amount += np.float32(2.0 * self.cover - 0.45)
        amount[first:] -= wheel * np.float32(self.tracks)
        amount = np.clip(amount, 0, 1, out=amount)
        amount *= ground
        caps = tops(light, unit) * np.float32(min(1.0, 1.5 * self.cover)) * ramp(-scene.depth, -300, -80)
        caps *= 1 - ground
        np.maximum(amount, caps, out=amount)
        amount *= np.float32(0.97)
        return amount

    def _white(self, light: np.ndarray, air: np.ndarray, unit: float) -> np.ndarray:
        """Linear light of snow: as bright as the sky makes it, keeping a part of the ground's own shading."""
        grey = cv2.cvtColor(light, cv2.COLOR_RGB2GRAY)
        mean = blurred(grey, 10 * unit)
        shading = np.clip((grey + np.float32(0.02)) / (mean + np.float32(0.02)), 0.5, 1.6)
        return air * triple(np.float32(ALBEDO) * (np.float32(0.72) + np.float32(0.28) * shading))


def flake_layers(
    shape: tuple[int, int], snow: Snow, unit: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Opacities (H, W) float32 in [0, 1] of the flakes, far to near; nearer ones are larger and more blurred."""
    height, width = shape
    count = snow.flakes * height * width / 320**2
    lean = np.deg2rad(snow.angle)
    layers = []
    for radius, soft, share, opacity in LAYERS:
        number = int(rng.poisson(count * share))
        if number == 0:
            continue
        reach = radius * snow.size * unit
        gust = np.deg2rad(rng.normal(0, 8.0, number))
        length = snow.fall * unit * (0.5 + radius) * rng.uniform(0.5, 1.5, number)
        start = rng.uniform((-0.05 * width, -0.05 * height), (1.05 * width, 1.05 * height), (number, 2))
        step = np.stack([np.sin(lean + gust), np.cos(lean + gust)], axis=1) * length[:, None]
        canvas = strokes(shape, start, step, (255, 190, 130), max(1, round(2 * reach)))
        # a line can be no thinner than a pixel: smaller flakes are fainter instead
        faint = min(1.0, 2 * reach) * opacity
        sigma = max(0.3, soft * snow.size * unit)
        layers.append(blurred(np.multiply(canvas, np.float32(faint / 255), dtype=np.float32), sigma))
    return layers
