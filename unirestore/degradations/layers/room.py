"""What stands on our side of a window, as a bright picture to be mirrored: a room with windows, lamps and people.

Reflections that disturb a photo are those of bright things, so the picture is mostly dark with windows, lamps and lit
furniture, in linear light above 1 where they shine. Drawn at random; own code.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..light import blurred, to_linear
from ..noise_fields import smooth_noise
from ..portable import rounded
from .silhouettes import silhouette

TALL = 320  # picture height in pixels at which rooms are drawn


def draw_room(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random room, (H, W, 3) float32 linear light >= 0, of mean about 0.15."""
    height, width = TALL, int(np.clip(round(TALL * shape[1] / shape[0]), 8, 4 * TALL))
    wall = to_linear(np.float32(rng.uniform(0.12, 0.3) * (1 + rng.uniform(-0.1, 0.1, 3))))
    shade = rounded(np.exp, np.float32(0.5) * smooth_noise((height, width), rng, cells=1.5, octaves=3))
    room = np.ascontiguousarray(shade[..., None] * wall[None, None, :])
    floor = int(height * rng.uniform(0.68, 0.85))
    room[floor:] *= np.float32(rng.uniform(0.5, 1.3) * (1 + rng.uniform(-0.15, 0.15, 3)))
    for _ in range(int(rng.integers(2, 7))):
        _furniture(room, floor, rng)
    for _ in range(int(rng.integers(1, 4))):
        _window(room, floor, rng)
    for _ in range(int(rng.integers(0, 3))):
        _person(room, rng)
    grain = rounded(np.exp, np.float32(0.18) * smooth_noise((height, width), rng, cells=14, octaves=2))
    room *= grain[..., None]
    room = cv2.GaussianBlur(room, (0, 0), 0.8)  # no lens draws edges as sharp as these polygons
    for _ in range(int(rng.integers(1, 6))):
        _lamp(room, rng)
    room *= np.float32(0.15 / max(float(room.mean()), 1e-6))
    return cv2.resize(room, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR).reshape(*shape, 3)


def _colour(rng: np.random.Generator, level: float, spread: float) -> np.ndarray:
    return to_linear(np.clip(np.float32(level * np.exp(rng.normal(0, spread, 3))), 0, 1))


def _furniture(room: np.ndarray, floor: int, rng: np.random.Generator) -> None:
    height, width = room.shape[:2]
    wide, tall = int(width * rng.uniform(0.06, 0.3)), int(height * rng.uniform(0.1, 0.5))
    x, y = int(rng.uniform(-0.1, 1.0) * width), max(0, floor - tall)
    left, right = max(0, x), min(width, x + wide)
    if right <= left:
        return
    room[y : floor + tall // 8, left:right] = _colour(rng, float(rng.uniform(0.12, 0.5)), 0.12)
    if rng.random() < 0.5:  # shelves with things on them
        for row in np.linspace(y, floor, int(rng.integers(3, 7)))[:-1].astype(int).tolist():
            at = left
            while at < right:
                step = max(2, int(width * rng.uniform(0.008, 0.03)))
                high = int(tall * rng.uniform(0.05, 0.14))
                room[row : row + high, at : min(right, at + step)] = _colour(
                    rng, float(rng.uniform(0.2, 0.7)), 0.4
                )
                at += step + int(rng.integers(0, 4))


def _window(room: np.ndarray, floor: int, rng: np.random.Generator) -> None:
    """A window with sky above and greenery or houses below, seen a little from the side."""
    height, width = room.shape[:2]
    wide, tall = width * rng.uniform(0.12, 0.35), height * rng.uniform(0.3, 0.6)
    x, y = rng.uniform(0.0, 0.85) * width, rng.uniform(0.05, 0.3) * height
    lean = rng.uniform(-0.12, 0.12) * tall
    rows = np.linspace(0, 1, 48, dtype=np.float32)[:, None]
    sky = np.float32([0.75, 0.87, 1.0]) * np.float32(rng.uniform(0.8, 1.6))
    crowns = (
        rows - np.float32(rng.uniform(0.3, 0.8)) + np.float32(0.18) * smooth_noise((48, 48), rng, cells=4)
    )
    crowns = np.clip(crowns * 9, 0, 1)[..., None]  # trees and roofs against the sky, out of focus
    mottled = rounded(np.exp, np.float32(0.5) * smooth_noise((48, 48), rng, cells=7))[..., None]
    green = _colour(rng, 0.42, 0.08) * np.float32([0.85, 1.0, 0.65]) * mottled
    view = sky * (1 - np.float32(0.25) * rows[..., None]) * (1 - crowns) + green * crowns
    view = np.ascontiguousarray(view, dtype=np.float32)
    for share in np.linspace(0, 1, int(rng.integers(2, 5))):
        at = min(46, int(share * 47))
        view[:, at : at + 2] = 0.05
    for share in np.linspace(0, 1, int(rng.integers(2, 5))):
        at = min(46, int(share * 47))
        view[at : at + 2] = 0.05
    source = np.float32([[0, 0], [48, 0], [48, 48], [0, 48]])
    target = np.float32([[x, y], [x + wide, y + lean], [x + wide, y + tall - lean], [x, y + tall]])
    matrix = cv2.getPerspectiveTransform(source, target)
    cv2.warpPerspective(
        view, matrix, (width, height), dst=room, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )


def _person(room: np.ndarray, rng: np.random.Generator) -> None:
    """Somebody who stands at the window, the photographer perhaps."""
    height, width = room.shape[:2]
    tall = int(height * rng.uniform(0.7, 1.3))
    outline = cv2.resize(silhouette("person", rng), (tall, tall), interpolation=cv2.INTER_AREA)
    x, y = int(rng.uniform(0.1, 0.9) * width) - tall // 2, height - int(tall * rng.uniform(0.75, 1.0))
    left, right, top, bottom = max(0, x), min(width, x + tall), max(0, y), min(height, y + tall)
    if right <= left or bottom <= top:
        return
    cover = outline[top - y : bottom - y, left - x : right - x, None].astype(np.float32) / 255
    patch = room[top:bottom, left:right]
    patch += cover * (_colour(rng, float(rng.uniform(0.1, 0.45)), 0.08) - patch)


def _lamp(room: np.ndarray, rng: np.random.Generator) -> None:
    height, width = room.shape[:2]
    radius = height * float(np.exp(rng.uniform(np.log(0.006), np.log(0.03))))
    axes = (max(1, round(radius * float(rng.uniform(1, 3)))), max(1, round(radius)))
    at = (int(rng.uniform(0, 1) * width), int(rng.uniform(0, 0.45) * height))
    warm = np.float32([1.0, 0.82, 0.55]) * np.float32(rng.uniform(1.2, 3.0))
    glow = np.zeros_like(room)
    cv2.ellipse(glow, at, axes, 0, 0, 360, warm.tolist(), -1, cv2.LINE_AA)
    room += glow + np.float32(0.8) * blurred(glow, 0.05 * height)
