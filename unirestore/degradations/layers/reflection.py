"""Reflection in a pane of glass in front of the photographed scene: focused, defocused or doubled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from ..base import Scene, require
from ..depth import FOCAL
from ..light import blurred, to_linear
from .layered import Layers, SoftEffect, opacity
from .room import draw_room

REFLECTIONS = ("focused", "defocused", "ghosting")
SOURCES = ("room", "self", "picture")
GLASS = 1.52  # refractive index of soda-lime glass


@dataclass(frozen=True, kw_only=True)
class Reflection(SoftEffect):
    """Reflection in a window pane: focused, defocused, or doubled by the two faces of thick glass.

    Formula: out = I (1 - F) + strength * F / F0 * (K * R) in linear light; F = 2 r / (1 + r) is the reflectance of a
    pane, r Fresnel's for one face at the angle of each ray, F0 that at right angles; K: delta (focused), Gaussian
    (defocused) or delta + attenuation * shifted delta (ghosting).

    Source: kinds as in RealRestorer (after Wen et al., CVPR 2019) and UniSER (arXiv:2511.14183); ghosting kernel after
    Shih et al., "Reflection Removal Using Ghosting Cues", CVPR 2015.

    Args:
        kind: "focused", "defocused" or "ghosting".
        strength: brightness of the mirrored picture relative to the scene, at right angles.
        source: what is mirrored: "room" (drawn by the seed), "self" (the photo, turned round and cropped) or "picture".
        picture: path of a photo, for `source="picture"`.
        defocus: sigma of the blur in pixels of a 512 px photo; used by "defocused", a tenth of it by "ghosting".
        shift: distance of the second image as a share of the shorter side, for "ghosting".
        shift_angle: its direction in degrees.
        attenuation: brightness of the second image relative to the first, 0 to 1.
        yaw: angle between camera and pane in degrees, -70 to 70; away from 0 one side mirrors more.
        tint: colour of the reflection, R G B.
    """

    kind: str = "defocused"
    strength: float | None = None
    source: str = "room"
    picture: str | None = None
    defocus: float = 4.0
    shift: float = 0.02
    shift_angle: float = 20.0
    attenuation: float = 0.7
    yaw: float = 25.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)

    presets: ClassVar = {"strength": (0.1, 0.18, 0.3, 0.47, 0.7)}

    def check(self) -> None:
        require(self.kind in REFLECTIONS, f"kind must be one of {REFLECTIONS}, got {self.kind!r}")
        require(self.source in SOURCES, f"source must be one of {SOURCES}, got {self.source!r}")
        require(
            (self.source == "picture") == (self.picture is not None),
            f"picture (a path) goes with source='picture', got source={self.source!r}, picture={self.picture!r}",
        )
        for name in ("strength", "defocus", "shift"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(0 <= self.attenuation <= 1, f"attenuation must lie in [0, 1], got {self.attenuation}")
        require(abs(self.yaw) <= 70, f"yaw must lie within 70 degrees, got {self.yaw}")
        require(
            len(self.tint) == 3 and min(self.tint) >= 0, f"tint must be three numbers >= 0, got {self.tint}"
        )

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Reflection:
        """Random concrete parameters; defocus 5 to 10 px and attenuation 0.5 to 1 as in RealRestorer's code. Its shifts
        of 5 to 10 % belong to very thick glass: here they start at 0.6 %."""
        if severity is None:
            strength = float(np.exp(rng.uniform(np.log(0.1), np.log(0.8))))
        else:
            strength = cls.presets["strength"][severity - 1] * float(rng.uniform(0.88, 1.15))
        return cls(
            severity=severity,
            kind=REFLECTIONS[int(rng.integers(len(REFLECTIONS)))],
            strength=strength,
            source=SOURCES[int(rng.integers(2))],
            defocus=rng.uniform(5, 10),
            shift=np.exp(rng.uniform(np.log(0.006), np.log(0.1))),
            shift_angle=rng.uniform(0, 360),
            attenuation=rng.uniform(0.5, 1.0),
            yaw=rng.uniform(-45, 45),
            tint=tuple(float(c) for c in np.exp(rng.normal(0, 0.06, 3))),
        )

    def render(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> Layers:
        height, width = scene.shape
        mirrored = mirrored_picture(self, image, scene.shape, rng)
        if self.kind == "defocused":
            mirrored = blurred(mirrored, self.defocus * min(height, width) / 512)
        elif self.kind == "ghosting":
            mirrored = blurred(mirrored, 0.1 * self.defocus * min(height, width) / 512)
            mirrored = doubled(mirrored, self.shift, self.shift_angle, self.attenuation)
        share = pane_reflectance(ray_cosines(scene.shape, self.yaw))
        gain = share * np.float32(self.strength / pane_reflectance(np.float32(1)))
        light = cv2.merge([mirrored[..., c] * (gain * np.float32(self.tint[c])) for c in range(3)])
        left = 1 - share
        mask = opacity(light)
        return Layers(transmission=cv2.merge([left, left, left]), light=light, mask=mask)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return self.render(image, rng, scene).over(image)


def pane_reflectance(cosine: np.ndarray) -> np.ndarray:
    """Share of unpolarised light that a pane mirrors: Fresnel at both faces with all bounces between, 2 r / (1 + r).

    `cosine` of the angle of incidence, in (0, 1]; 0.0824 at right angles.
    """
    inside = np.sqrt(1 - (1 - cosine * cosine) / GLASS**2)
    s = ((cosine - GLASS * inside) / (cosine + GLASS * inside)) ** 2
    p = ((inside - GLASS * cosine) / (inside + GLASS * cosine)) ** 2
    return (s / (1 + s) + p / (1 + p)).astype(np.float32)  # the mean of 2 s / (1 + s) and 2 p / (1 + p)


def ray_cosines(shape: tuple[int, int], yaw: float) -> np.ndarray:
    """(H, W) float32 cosine between the ray of each pixel and the pane's normal, turned by `yaw` degrees."""
    height, width = shape
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None] / np.float32(FOCAL)
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None, :] * np.float32(
        width / height / FOCAL
    )
    turn = np.radians(yaw)
    cosine = (np.float32(np.cos(turn)) + np.float32(np.sin(turn)) * x) / np.sqrt(1 + x * x + y * y)
    return np.clip(cosine, np.float32(0.05), np.float32(1))


def doubled(picture: np.ndarray, shift: float, angle: float, attenuation: float) -> np.ndarray:
    """The mirrored picture and its second image; together as bright as the first alone. (H, W, 3) in and out."""
    height, width = picture.shape[:2]
    length = shift * min(height, width)
    dx, dy = length * np.cos(np.radians(angle)), length * np.sin(np.radians(angle))
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    second = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    ).reshape(picture.shape)
    return (picture + np.float32(attenuation) * second) * np.float32(1 / (1 + attenuation))


def mirrored_picture(
    effect: Reflection, image: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """What the pane mirrors, (H, W, 3) float32 linear light.

    Raises FileNotFoundError or ValueError when `picture` is not there or not readable.
    """
    if effect.source == "room":
        return draw_room(shape, rng)
    if effect.source == "self":
        seen = image[:, ::-1]
    else:
        path = Path(effect.picture)
        if not path.is_file():
            raise FileNotFoundError(f"no picture to mirror at {path}")
        stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
        require(stored is not None, f"{path}: not a readable picture")
        seen = stored[..., ::-1].astype(np.float32) * np.float32(1 / 255)
    height, width = seen.shape[:2]
    share = float(rng.uniform(0.6, 1.0))
    wide, tall = max(1, int(share * width)), max(1, int(share * height))
    x, y = int(rng.integers(width - wide + 1)), int(rng.integers(height - tall + 1))
    crop = np.ascontiguousarray(seen[y : y + tall, x : x + wide])
    crop = cv2.resize(crop, shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(*shape, 3)
    return to_linear(crop)
