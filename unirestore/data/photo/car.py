"""A passenger car as a lofted body: cross-sections from the front to the rear, wheels, lamps, panes.

The car faces -Z (towards the camera), stands on y = 0 with its middle at x = z = 0. Metres.
"""

from __future__ import annotations

import numpy as np

from unirestore.data.photo.raster import Mesh
from unirestore.data.photo.solids import MATERIAL, box, surface

LENGTH = 4.35
# along the car, 0 front to 1 rear: height of the hood, roof or deck line in the middle
_TOP = np.array([[0, 0.62], [0.015, 0.72], [0.06, 0.80], [0.27, 0.97], [0.30, 1.0], [0.43, 1.38], [0.5, 1.455],
                 [0.64, 1.46], [0.76, 1.40], [0.9, 1.06], [0.93, 1.02], [0.985, 0.96], [1.0, 0.8]])  # fmt: skip
_BELT = np.array(
    [[0, 0.55], [0.03, 0.66], [0.1, 0.74], [0.28, 0.9], [0.6, 0.95], [0.9, 0.98], [0.98, 0.93], [1.0, 0.78]]
)
_HALF = np.array(
    [
        [0, 0.60],
        [0.012, 0.70],
        [0.04, 0.79],
        [0.12, 0.86],
        [0.3, 0.885],
        [0.7, 0.89],
        [0.9, 0.86],
        [0.97, 0.79],
        [0.99, 0.72],
        [1.0, 0.64],
    ]
)
_SILL = np.array([[0, 0.26], [0.1, 0.2], [0.9, 0.22], [1.0, 0.32]])


def car() -> Mesh:
    """The mesh; the colour of the paint is a matter of the renderer."""
    along = np.concatenate(
        [[0, 0.006, 0.015, 0.03, 0.06], np.linspace(0.1, 0.94, 29), [0.96, 0.975, 0.99, 1.0]]
    )
    top, belt, half, sill = (np.interp(along, *table.T) for table in (_TOP, _BELT, _HALF, _SILL))
    rings = []
    for t, b, w, s in zip(top, belt, half, sill, strict=True):
        tall = max(t - b, 0.02)
        tumble = 0.36 * np.clip((tall - 0.1) / 0.5, 0, 1)  # the cabin leans in
        side = [
            (0.90 * w, s),
            (0.975 * w, s + 0.12 * (b - s)),
            (w, s + 0.55 * (b - s)),
            (0.985 * w, s + 0.85 * (b - s)),
            (0.955 * w, b),
        ]
        upper = [(0.955 * w * (1 - tumble * k), b + tall * 0.9 * k) for k in (0.3, 0.6, 0.85)]
        edge = 0.955 * w * (1 - tumble)
        roof = [(edge * 0.9, b + tall * 0.95), (edge * 0.6, b + tall * 0.99), (0.0, t)]
        points = np.array(side + upper + roof)
        rings.append(np.concatenate([points, points[-2::-1] * [-1, 1]]))
    rings = np.array(rings)  # stations, around, x y
    z = (along - 0.5) * LENGTH
    # the nose is rounded as seen from above: its flanks stand back
    back = 0.22 * (np.abs(rings[..., 0]) / 0.8) ** 3 * np.clip(1 - along / 0.12, 0, 1)[:, None]
    back -= 0.14 * (np.abs(rings[..., 0]) / 0.8) ** 3 * np.clip((along - 0.9) / 0.1, 0, 1)[:, None]
    grid = np.concatenate([rings, (z[:, None] + back)[..., None]], axis=2)
    normals = -np.cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    if (normals[len(along) // 2, 0] * [1, 0, 0]).sum() < 0:
        normals = -normals
    count = grid.shape[1] - 1
    material = np.full((len(along) - 1, count), MATERIAL["paint"])
    share = 0.5 * (along[1:] + along[:-1])
    for i, s in enumerate(share.tolist()):
        for j in range(count):
            k = min(j, count - 1 - j)
            cabin = 0.29 < s < 0.91
            if cabin and 4 <= k <= 6 and 0.34 < s < 0.88 and not 0.575 < s < 0.605:
                material[i, j] = MATERIAL["glass"]
            if k >= 7 and (0.295 < s < 0.435 or 0.775 < s < 0.9):
                material[i, j] = MATERIAL["glass"]
            if k == 0:
                material[i, j] = MATERIAL["dark"]
    uv = np.stack([grid[..., 2], grid[..., 1]], axis=-1)
    parts = [surface(grid, normals, uv, material)]
    for end, turn in ((0, 1), (len(along) - 1, -1)):  # noses are closed by a fan of strips to the middle
        ring = grid[end]
        flat = ring * [0, 1, 1]
        fan = np.stack([ring, flat])[::turn]
        normal = np.broadcast_to([0.0, 0.1, -1.0 * turn], fan.shape)
        parts.append(surface(fan, normal, fan[..., :2], np.full((1, count), MATERIAL["paint"])))
    parts += _front() + _rear()
    for zc in (-0.31 * LENGTH, 0.29 * LENGTH):
        for side in (-1, 1):
            parts += _wheel(side, zc)
    for side in (-1, 1):  # mirrors
        x = side * 0.98
        parts.append(box((x - 0.11, 0.93, -0.72), (x + 0.11, 1.08, -0.58), "paint"))
    return Mesh.joined(parts)


def _patch(x0: float, x1: float, y0: float, y1: float, z: float, facing: int, material: str) -> Mesh:
    """A patch on the nose (`facing` -1) or the tail (1) that follows its rounding; u, v from 0 to 1."""
    x = np.linspace(x0, x1, 9)
    y = np.linspace(y0, y1, 4)
    gx, gy = np.meshgrid(x, y)
    bulge = 0.22 if facing < 0 else 0.14
    gz = z - facing * bulge * (np.abs(gx) / 0.8) ** 3 - facing * 0.05 * ((gy - 0.5) / 0.3) ** 2
    grid = np.stack([gx, gy, gz], axis=-1)
    lean = 0.8 * np.sign(gx) * (np.abs(gx) / 0.8) ** 2
    normal = np.stack([lean, 0.25 + 0 * gx, np.full_like(gx, float(facing))], axis=-1)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    u, v = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 1, 4))
    return surface(grid, normal, np.stack([u, v], -1), np.full((3, 8), MATERIAL[material]))


def _front() -> list[Mesh]:
    z = -0.5 * LENGTH - 0.05
    parts = [_patch(-0.68, 0.68, 0.30, 0.70, z + 0.02, -1, "paint")]
    parts.append(_patch(-0.42, 0.42, 0.57, 0.68, z, -1, "grille"))
    parts.append(_patch(-0.5, 0.5, 0.30, 0.40, z, -1, "grille"))
    parts.append(_patch(-0.26, 0.26, 0.43, 0.54, z - 0.02, -1, "plate"))
    for side in (-1, 1):
        ends = sorted((side * 0.46, side * 0.74))
        parts.append(_patch(*ends, 0.56, 0.71, z, -1, "lamp"))
        ends = sorted((side * 0.56, side * 0.68))
        parts.append(_patch(*ends, 0.33, 0.40, z, -1, "lamp"))
    return parts


def _rear() -> list[Mesh]:
    z = 0.5 * LENGTH + 0.03
    parts = [_patch(-0.7, 0.7, 0.33, 0.84, z - 0.02, 1, "paint")]
    parts.append(_patch(-0.26, 0.26, 0.60, 0.71, z, 1, "plate"))
    parts.append(_patch(-0.6, 0.6, 0.33, 0.40, z, 1, "dark"))
    for side in (-1, 1):
        parts.append(_patch(*sorted((side * 0.42, side * 0.74)), 0.68, 0.82, z, 1, "taillamp"))
    return parts


def _wheel(side: int, zc: float) -> list[Mesh]:
    turn = np.linspace(0, 2 * np.pi, 25)
    inner, outer = side * 0.66, side * 0.885
    round_ = np.stack([0 * turn, np.sin(turn), np.cos(turn)], -1)
    centre = np.array([0, 0.31, zc])
    uv = np.zeros((2, 25, 2))
    rows = []
    for (r0, x0), (r1, x1), name in (
        ((0.31, inner), (0.31, outer), "tyre"),
        ((0.31, outer), (0.205, outer + 0.005 * side), "tyre"),
        ((0.205, outer + 0.006 * side), (0.0, outer + 0.006 * side), "rim"),
        ((0.37, outer - 0.02 * side), (0.30, outer - 0.02 * side), "dark"),
    ):
        grid = np.stack([centre + r * round_ + [x, 0, 0] for r, x in ((r0, x0), (r1, x1))])
        normal = (
            np.stack([round_, round_])
            if name == "tyre" and r0 == r1
            else np.broadcast_to([float(side), 0, 0], grid.shape)
        )
        uv[0], uv[1] = np.stack([turn, turn * 0 + r0], -1), np.stack([turn, turn * 0 + r1], -1)
        rows.append(surface(grid, np.array(normal, float), uv.copy(), np.full((1, 24), MATERIAL[name])))
    return rows
