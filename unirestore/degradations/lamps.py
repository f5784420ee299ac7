"""Head and tail lamps of vehicles: in fog and rain they are on, and their halo is what is seen first.

Where a label map tells vehicles apart, some of them get a pair of lamps, white-yellow or red, in the lower
half of their connected piece. Where there is no label map nothing is added.
"""

from __future__ import annotations

import cv2
import numpy as np

from .base import Scene

VEHICLES = {"car", "truck", "bus", "motorcycle", "vehicle", "van"}
_WHITE, _RED = (1.0, 0.9, 0.7), (1.0, 0.12, 0.08)  # linear colours


def vehicle_lamps(scene: Scene, share: float, rng: np.random.Generator) -> np.ndarray | None:
    """(H, W, 3) float32 linear light of lamps on about `share` of the vehicles; None without vehicles."""
    if scene.label_map is None or not scene.class_names or share <= 0:
        return None
    ids = [i for i, name in enumerate(scene.class_names) if str(name).lower() in VEHICLES]
    mask = np.isin(scene.label_map, ids).astype(np.uint8)
    if not mask.any():
        return None
    height, width = scene.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    canvas = np.zeros((height, width, 3), np.float32)
    lit = False
    for left, top, wide, tall, area in stats[1:30].tolist():
        on, red, spread = rng.random() < share, rng.random() < 0.5, float(rng.uniform(0.25, 0.38))
        single = area > 0.5 * wide * tall and 0.6 < wide / tall < 2.4  # not a row of parked cars
        if not on or not single or area < 1e-4 * height * width or wide < 3:
            continue
        power = float(np.exp(rng.uniform(np.log(1.0), np.log(5.0)))) * (0.4 if red else 1.0)
        colour = [power * c for c in (_RED if red else _WHITE)]
        row = top + tall * float(rng.uniform(0.5, 0.68))
        radius = max(0.5, 0.03 * min(wide, 1.6 * tall))
        for side in (-spread, spread):
            column = left + wide * (0.5 + side)
            if mask[min(height - 1, int(row)), min(width - 1, int(column))]:
                cv2.circle(
                    canvas,
                    (round(column * 16), round(row * 16)),
                    round(radius * 16),
                    colour,
                    -1,
                    cv2.LINE_8,
                    4,
                )
        lit = True
    return canvas if lit else None
