"""A pinhole camera above a flat street.

World axes in metres: X to the right, Y up from the road surface, Z forward from the camera. A point lands on
    pixel
`u = cx + f X / Z`, `v = cy + f (height - Y) / Z`; the horizon is row `cy`. Depth is Z, as a stereo rig would
measure it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAR = 0.8


@dataclass(frozen=True)
class Camera:
    """Pixels are those of a `size` x `size` picture; `focal`, `cx`, `cy` are in pixels, `height` in
    metres."""

    size: int
    focal: float
    cx: float
    cy: float
    height: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels `(N, 2)` of world points `(N, 3)`; points behind the near plane are pulled onto it."""
        z = np.maximum(points[:, 2], NEAR)
        uv = np.empty((len(points), 2))
        uv[:, 0] = self.cx + self.focal * points[:, 0] / z
        uv[:, 1] = self.cy + self.focal * (self.height - points[:, 1]) / z
        return uv

    def pixels_per_metre(self, z: float) -> float:
        """How many pixels one metre takes at depth `z`."""
        return self.focal / max(z, NEAR)

    def row_of_ground(self, z: float) -> float:
        """The pixel row of the road surface at depth `z`."""
        return self.cy + self.focal * self.height / max(z, NEAR)

    def half_width(self, z: float) -> tuple[float, float]:
        """World X of the left and the right edge of the picture at depth `z`."""
        return -self.cx * z / self.focal, (self.size - self.cx) * z / self.focal


def clip_near(points: np.ndarray, near: float = NEAR) -> np.ndarray:
    """Cut the part of a planar polygon `(N, 3)` behind `near` off (Sutherland-Hodgman); may come back
    empty."""
    inside = points[:, 2] >= near
    if inside.all():
        return points
    kept: list[np.ndarray] = []
    for i in range(len(points)):
        a, b = points[i - 1], points[i]
        if inside[i - 1] != inside[i]:
            kept.append(a + (b - a) * ((near - a[2]) / (b[2] - a[2])))
        if inside[i]:
            kept.append(b)
    return np.array(kept).reshape(-1, 3)
