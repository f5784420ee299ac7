"""Effects at another picture size: the photo is made smaller, spoiled there, and brought back.

It is what the web does to photos (thumbnails, re-uploads), and what Real-ESRGAN (Wang et al., "Real-ESRGAN:
Training Real-World Blind Super-Resolution with Pure Synthetic Data", ICCVW 2021, arXiv:2107.10833, section 3)
puts between its blur, noise and JPEG. There the second resize starts from the first one's size; one `AtScale`
inside another does the same, but each comes back by its own factor. Written for this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .base import Degradation, Scene, require
from .compose import Compose, Group

FILTERS = {
    "nearest": cv2.INTER_NEAREST,
    "area": cv2.INTER_AREA,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


@dataclass(frozen=True, kw_only=True)
class AtScale(Group):
    """Runs `effects` on the photo resized by a factor, then brings it back to its size.

    Formula: J = up(E_n(... E_1(down(I, s))), 1 / s)
    Source: Real-ESRGAN, arXiv:2107.10833, section 3.1 (resize), without its cut to a smaller target.

    Args:
        scale: factor of both sides, 0.02 to 8; 1 only runs the effects.
        down: filter of the first resize: nearest, area, bilinear, bicubic or lanczos.
        up: filter of the second one.
        small_scale: factor instead of `scale` for photos whose shorter side is below `small_side`; None: `scale`.
        small_side: pixels.
    """

    scale: float = 0.5
    down: str = "area"
    up: str = "bicubic"
    small_scale: float | None = None
    small_side: int = 512

    def check(self) -> None:
        super().check()
        for name in ("scale", "small_scale"):
            value = getattr(self, name)
            require(
                0.02 <= (self.scale if value is None else value) <= 8,
                f"{name} must lie in [0.02, 8], got {value}",
            )
        for name in ("down", "up"):
            kind = getattr(self, name)
            require(kind in FILTERS, f"{name} must be one of {sorted(FILTERS)}, got {kind!r}")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        height, width = image.shape[:2]
        small = self._shape((height, width))
        inner = resized(image, small, self.down)
        inner = self._inner().apply(np.clip(inner, 0, 1), rng, scene.resized(small, inner))
        return resized(inner, (height, width), self.up)

    def sampling_map(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
        small = self._shape(shape)
        field = self._inner().sampling_map(small, rng)
        if field is None:
            return None
        rows, columns = np.mgrid[0 : small[0], 0 : small[1]].astype(np.float32)
        shift = (field - np.stack([columns, rows], -1)) * np.float32(
            [shape[1] / small[1], shape[0] / small[0]]
        )
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
        shift = cv2.resize(shift, shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(*shape, 2)
        return shift + np.stack([columns, rows], -1)

    def _inner(self) -> Degradation:
        return Compose(effects=self.effects)

    def _shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        small = self.small_scale is not None and min(shape) < self.small_side
        scale = self.small_scale if small else self.scale
        return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resized(image: np.ndarray, shape: tuple[int, int], kind: str) -> np.ndarray:
    """(H, W, 3) float32 brought to `shape` (H', W') with the filter `kind` of `FILTERS`."""
    if image.shape[:2] == tuple(shape):
        return image
    out = cv2.resize(np.ascontiguousarray(image), shape[::-1], interpolation=FILTERS[kind])
    return out.reshape(*shape, image.shape[2])
