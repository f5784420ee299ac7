"""Cast shadows: a silhouette between lamp and surface, traced for every pixel, with a penumbra that widens.

For a surface point P and the direction l to the lamp, the ray P + s l meets the plane of the silhouette at
s = ((Q - P) m) / (l m); where it meets the outline the lamp is hidden. A lamp of angular diameter a is partly hidden
over a width a s on that plane, so the outline is read from a stack of blurred copies at that width: sharp where a
thing touches the ground, soft at its top. This is a shadow map with percentage-closer soft shadows (Fernando,
SIGGRAPH 2005 sketch) for a flat caster. What is left in the umbra is light of the sky, bluish and a little uneven, the
linear model of Shor and Lischinski, "The Shadow Meets the Mask", Eurographics 2008.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np

from ..base import Scene, require
from ..depth import CAMERA_HEIGHT, FOCAL
from ..light import blurred, exp
from ..noise_fields import smooth_noise
from .layered import Layers, SoftEffect
from .silhouettes import OPENINGS, SIDE, SILHOUETTES, STANDING, silhouette

SURFACES = ("auto", "plane", "scene")
TALL = {
    "tree": 5.0,
    "building": 6.0,
    "foliage": 5.0,
    "window": 2.5,
    "blinds": 2.5,
}  # metres at size 1; others 1.8
_SIGMAS = (0.6, 1.5, 4.0, 10.0, 25.0)  # of the stack, in pixels of the silhouette
LEAST, TRIES = 0.05, 4  # of the photo that a caster should shade, and draws until it does
_MARGIN = 64  # pixels around the silhouette, so that blur can spread


@dataclass(frozen=True, kw_only=True)
class Shadow(SoftEffect):
    """Cast shadow of things between the lamp and the photographed surface, with penumbra.

    Formula: out = I (1 - c (1 - k)) in linear light, c = share of the lamp hidden, k = (1 - darkness) * sky per
    channel; penumbra width = light_size * distance from caster to surface.

    Source: UniSER (arXiv:2511.14183) names the effect; geometry as PCSS (Fernando 2005), illumination after Shor and
    Lischinski, Eurographics 2008.

    Args:
        kind: what casts it, one of `SILHOUETTES`.
        darkness: share of the light that the lamp gives, 0 (no shadow) to 1 (black).
        sky: colour of the light that is left, R G B, about 1 each; blue under a blue sky.
        unevenness: standard deviation of the log brightness inside the umbra.
        light_size: angular diameter of the lamp in degrees; the sun has 0.53, a window tens.
        elevation: angle of the lamp above the surface in degrees.
        tilt: of the surface in degrees: 0 is a wall that faces the camera, 80 a floor; for `surface="plane"`.
        size: height of the caster in heights of the photo at the surface.
        count: casters.
        surface: "plane", "scene" for the depth of the scene (whose up is up), or "auto": the scene where its depth or
            labels were given. Where they were, no shadow falls on what is farther than 120 m, the sky above all.
    """

    kind: str = "foliage"
    darkness: float | None = None
    sky: tuple[float, float, float] = (0.88, 1.0, 1.2)
    unevenness: float = 0.08
    light_size: float = 2.0
    elevation: float = 40.0
    tilt: float = 50.0
    size: float = 1.2
    count: int = 1
    surface: str = "auto"

    presets: ClassVar = {"darkness": (0.3, 0.45, 0.6, 0.73, 0.85)}

    def check(self) -> None:
        require(self.kind in SILHOUETTES, f"kind must be one of {SILHOUETTES}, got {self.kind!r}")
        require(self.surface in SURFACES, f"surface must be one of {SURFACES}, got {self.surface!r}")
        require(0 <= self.darkness <= 1, f"darkness must lie in [0, 1], got {self.darkness}")
        require(len(self.sky) == 3 and min(self.sky) >= 0, f"sky must be three numbers >= 0, got {self.sky}")
        require(0 < self.elevation <= 89, f"elevation must lie in (0, 89] degrees, got {self.elevation}")
        require(0 <= self.tilt <= 80, f"tilt must lie in [0, 80] degrees, got {self.tilt}")
        require(0 <= self.light_size <= 60, f"light_size must lie in [0, 60] degrees, got {self.light_size}")
        require(self.size > 0, f"size must be above 0, got {self.size}")
        require(self.unevenness >= 0, f"unevenness must be >= 0, got {self.unevenness}")
        require(isinstance(self.count, int) and self.count >= 1, f"count must be >= 1, got {self.count!r}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Shadow:
        """Random concrete parameters; darkness near the preset where `severity` is given."""
        kind = SILHOUETTES[int(rng.integers(len(SILHOUETTES)))]
        if severity is None:
            darkness = float(rng.uniform(0.25, 0.9))
        else:
            darkness = min(0.95, cls.presets["darkness"][severity - 1] * float(rng.uniform(0.93, 1.07)))
        blue = float(rng.uniform(0.0, 0.25))
        return cls(
            severity=severity,
            kind=kind,
            darkness=darkness,
            sky=(1 - 0.6 * blue, 1.0, 1 + blue),
            unevenness=rng.uniform(0.0, 0.15),
            light_size=np.exp(rng.uniform(np.log(0.5), np.log(9.0))),
            elevation=rng.uniform(22, 70),
            tilt=rng.uniform(10, 75),
            size=np.exp(rng.uniform(np.log(0.6), np.log(1.8))),
            count=int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])),
        )

    def render(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> Layers:
        shape = scene.shape
        if self.surface == "auto":
            surface = "scene" if scene.knows_depth else "plane"
            return replace(self, surface=surface).render(image, rng, scene)
        coarse = 4 if min(shape) >= 128 and self.surface == "plane" else 1  # a plane is smooth
        low = tuple(max(1, n // coarse) for n in shape)
        points, normal, seen = surface_points(self, low, scene)
        open_share = np.ones(shape, np.float32)
        for _ in range(self.count):
            for _ in range(TRIES):  # one that misses the photo is drawn again
                hidden = caster(self, points, normal, shape, rng)
                if hidden.mean() > LEAST:
                    break
            open_share *= 1 - hidden
        seen = cv2.resize(seen, shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(shape)
        hidden = (1 - open_share) * seen
        left = np.float32(1 - self.darkness)
        if self.unevenness > 0:
            left = left * exp(np.float32(self.unevenness) * smooth_noise(shape, rng, cells=2))
        planes = [1 - hidden * np.maximum(1 - left * np.float32(sky), 0) for sky in self.sky]
        return Layers(transmission=cv2.merge(planes), light=None, mask=hidden)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return self.render(image, rng, scene).over(image)


def surface_points(
    shadow: Shadow, low: tuple[int, int], scene: Scene
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each ray of a small picture `low` (h, w) meets the surface.

    Returns (h, w, 3) float32 points (x right, y up, z forward; the photo is 1 high at the surface, or metres for the
    scene), the (3,) unit normal, and (h, w) float32 1 where there is a surface.
    """
    height, width = low
    y = ((0.5 - (np.arange(height, dtype=np.float32) + 0.5) / height) / FOCAL)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None, :]
    x = x * np.float32(scene.shape[1] / scene.shape[0] / FOCAL)
    rays = np.stack(np.broadcast_arrays(x, y, np.float32(1)), axis=2).astype(np.float32)
    if shadow.surface == "scene":
        distance = cv2.resize(scene.depth, (width, height), interpolation=cv2.INTER_AREA).reshape(low)
        distance = np.minimum(distance, np.float32(1000))
        normal = np.array([0.0, 1.0, 0.0], np.float32)
        seen = np.clip((np.float32(120) - distance) / 40, 0, 1)
    else:
        tilt = np.radians(shadow.tilt)
        normal = np.array([0.0, np.sin(tilt), -np.cos(tilt)], np.float32)
        slope = -(rays[..., 1] * normal[1] + normal[2])  # above 0 where the ray comes down on the plane
        distance = np.float32(FOCAL * np.cos(tilt)) / np.maximum(slope, np.float32(0.02))
        seen = np.clip(slope / np.float32(0.04) - 1, 0, 1)
        if scene.knows_depth:
            known = cv2.resize(scene.depth, (width, height), interpolation=cv2.INTER_AREA).reshape(low)
            seen = seen * np.clip((np.float32(120) - known) / 40, 0, 1)
    return rays * distance[..., None], normal, seen.astype(np.float32)


def caster(
    shadow: Shadow, points: np.ndarray, normal: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """(H, W) float32 in [0, 1]: share of the lamp that one random caster hides."""
    azimuth, elevation = float(rng.uniform(-np.pi, np.pi)), np.radians(shadow.elevation)
    stands = shadow.kind in STANDING
    flat, light, side, up, facing = frame(normal, azimuth, elevation, stands)
    scale = shadow.size
    at = rng.uniform((0.3, 0.3), (0.7, 0.7))
    if shadow.surface == "scene":  # the ground in front, in metres: things as tall as people, trees or houses
        at[1] = rng.uniform(0.7, 0.95)
        scale *= TALL.get(shadow.kind, 1.8)
    target = points[int(at[1] * points.shape[0]), int(at[0] * points.shape[1])].astype(np.float64)
    if shadow.surface == "scene":
        target[1] = -CAMERA_HEIGHT
    if stands:  # nobody sees it in the photo, so it stands beside it and its shadow falls in
        away = beside(target, flat, shape, scale)
        if away is None:  # towards the horizon there is no beside: the lamp is behind the camera then
            flat, light, side, up, facing = frame(normal, azimuth + np.pi, elevation, stands)
            away = beside(target, flat, shape, scale)
        away = scale / np.tan(elevation) if away is None else away
        scale = max(scale, 1.35 * away * float(np.tan(elevation)))
        centre = target + away * flat
    else:
        centre = target + float(rng.uniform(0.3, 1.5)) * scale * light
    reach = ((centre - points) @ facing.astype(np.float32)) / np.float32(facing @ light)
    hit = points + reach[..., None] * light.astype(np.float32) - centre.astype(np.float32)
    u, v = hit @ side.astype(np.float32) / np.float32(scale), hit @ up.astype(np.float32) / np.float32(scale)
    base = 1.0 if stands else 0.5
    size = shape[::-1]
    maps = [
        cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_LINEAR).reshape(shape)
        for plane in ((u + 0.5) * SIDE + _MARGIN, (base - v) * SIDE + _MARGIN)
    ]
    maps = [np.clip(plane, -1e4, 1e4) for plane in maps]
    width = np.radians(shadow.light_size) * np.maximum(reach, 0) / scale * SIDE  # of the penumbra, in pixels
    level = np.interp(0.35 * width, _SIGMAS, range(len(_SIGMAS))).astype(np.float32)
    level = cv2.resize(level, size, interpolation=cv2.INTER_LINEAR).reshape(shape)
    wall = shadow.kind in OPENINGS  # around an opening the wall goes on
    border = 255 if wall else 0
    outline = silhouette(shadow.kind, rng)
    outline = cv2.copyMakeBorder(outline, *[_MARGIN] * 4, cv2.BORDER_CONSTANT, value=border)
    return read_blurred(outline, maps[0], maps[1], level, border)


def frame(normal: np.ndarray, azimuth: float, elevation: float, stands: bool) -> tuple[np.ndarray, ...]:
    """Unit vectors: to the lamp along the surface, to the lamp, a caster's width and height, and
    the normal of its plane. What stands is upright on the surface, what hangs faces the lamp.
    """
    across = np.array([1.0, 0.0, 0.0])  # lies in the surface, however it is tilted
    flat = np.cos(azimuth) * across + np.sin(azimuth) * np.cross(normal, across)
    light = np.cos(elevation) * flat + np.sin(elevation) * normal
    side = np.cross(normal, flat)
    up = normal.astype(np.float64) if stands else -np.cross(light, side)
    return flat, light, side, up, np.cross(side, up)


def beside(target: np.ndarray, flat: np.ndarray, shape: tuple[int, int], scale: float) -> float | None:
    """How far from `target` along `flat` the surface leaves the photo; None when it does not within 4 `scale`."""
    wide = 0.5 * shape[1] / shape[0] / FOCAL
    for away in np.linspace(0.1, 4, 40) * scale:
        x, y, z = target + away * flat
        if z <= 0.05 or abs(x) > wide * z or abs(y) > 0.5 / FOCAL * z:
            return float(away)
    return None


def read_blurred(
    outline: np.ndarray, columns: np.ndarray, rows: np.ndarray, level: np.ndarray, border: int
) -> np.ndarray:
    """`outline` (uint8) at (columns, rows), blurred by `_SIGMAS[level]` of each place; (H, W) float32 in [0, 1].

    Read from a stack of Gaussian copies, straight between neighbours; beyond the picture it is `border`.
    """
    map_a, map_b = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    out = np.zeros(level.shape, np.float32)
    low, high = int(np.floor(level.min())), int(np.ceil(level.max()))
    for index in range(low, high + 1):
        copy = blurred(outline, _SIGMAS[index])
        seen = cv2.remap(
            copy, map_a, map_b, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=border
        ).reshape(level.shape)
        out += seen * np.clip(1 - np.abs(level - np.float32(index)), 0, 1)
    return out * np.float32(1 / 255)
