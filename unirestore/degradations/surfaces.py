"""Where the ground is, and where a point of it lies: what snow, puddles and spray need to know of a scene."""

from __future__ import annotations

import cv2
import numpy as np

from .base import Scene
from .depth import CAMERA_HEIGHT, FOCAL, GROUND
from .light import ramp


def ground_distance(shape: tuple[int, int], horizon: float) -> np.ndarray:
    """(H,) float32 metres to the flat road in each row, infinite at and above `horizon` (share of height)."""
    height = shape[0]
    below = np.arange(height, dtype=np.float32) + np.float32(0.5 - horizon * height)
    with np.errstate(divide="ignore"):
        rows = np.where(below > 0, CAMERA_HEIGHT * FOCAL * height / np.maximum(below, 1e-3), np.inf)
    return rows.astype(np.float32)


def ground_mask(scene: Scene, horizon: float) -> np.ndarray:
    """(H, W) float32 in [0, 1]: how much of each pixel is road or other ground.

    From the label map where there is one that knows ground, else where the depth is about that of a flat road.
    """
    height, width = scene.shape
    if scene.label_map is not None and scene.class_names:
        ids = [i for i, name in enumerate(scene.class_names) if str(name).lower() in GROUND]
        mask = np.isin(scene.label_map, ids).astype(np.float32)
        return cv2.GaussianBlur(mask, (0, 0), 0.8).reshape(height, width)
    rows = ground_distance(scene.shape, horizon)
    flat = np.where(np.isfinite(rows), rows, np.float32(1e6))[:, None]
    inside = ramp(scene.depth / flat, 0.45, 0.8)
    return inside * np.isfinite(rows)[:, None].astype(np.float32)


def road_coordinates(shape: tuple[int, int], horizon: float, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """Metres to the right of the camera (H, W) and ahead of it (H,) of the flat road at each pixel.

    `centre` is the column of straight ahead as a share of the width. Rows above the horizon hold 1e4 m ahead.
    """
    height, width = shape
    ahead = np.minimum(ground_distance(shape, horizon), np.float32(1e4))
    columns = np.arange(width, dtype=np.float32) + np.float32(0.5 - centre * width)
    right = columns[None, :] * (ahead / np.float32(FOCAL * height))[:, None]
    return right, ahead


def tops(light: np.ndarray, unit: float) -> np.ndarray:
    """(H, W) float32 in [0, 1]: just below an edge from bright (above) to dark: upper sides of things.

    `light` (H, W, 3) linear; found on a slightly blurred picture so that grain does not count.
    """
    grey = cv2.sqrt(np.maximum(cv2.cvtColor(light, cv2.COLOR_RGB2GRAY), 0)).reshape(light.shape[:2])
    grey = cv2.GaussianBlur(grey, (0, 0), max(0.4, 0.5 * unit)).reshape(grey.shape)
    step = max(1, round(1.2 * unit))
    above = np.concatenate([np.repeat(grey[:1], step, axis=0), grey], axis=0)[: grey.shape[0]]
    found = ramp(above - grey, 0.04, 0.16)
    return cv2.GaussianBlur(found, (0, 0), max(0.3, 0.6 * unit)).reshape(grey.shape)
