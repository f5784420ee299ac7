"""Meshes of what people built beside the road: house, barn, fences, poles. Metres; see `raster` for the axes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from unirestore.data.photo.raster import Mesh

MATERIALS = (
    "clapboard", "shingles", "brick", "window", "door", "trim", "boards", "wood", "metal", "bark",
    "paint", "glass", "tyre", "rim", "lamp", "grille", "plate", "taillamp", "dark",
)  # fmt: skip
MATERIAL = {name: number for number, name in enumerate(MATERIALS)}


def quad(corners: np.ndarray, material: str, uv: np.ndarray | None = None) -> Mesh:
    """A flat quadrilateral (4, 3), seen from where its corners go round anticlockwise; `uv` (4, 2) in metres."""
    corners = np.asarray(corners, np.float64)
    along, up = corners[1] - corners[0], corners[3] - corners[0]
    normal = np.cross(along, up)
    normal /= np.linalg.norm(normal)
    if uv is None:
        wide, tall = np.linalg.norm(along), np.linalg.norm(up)
        uv = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]])
    uv = np.asarray(uv, np.float64)
    index = np.array([[0, 1, 2], [0, 2, 3]])
    return Mesh(corners[index], np.broadcast_to(normal, (2, 3, 3)).copy(), uv[index], _full(2, material))


def box(low, high, material: str) -> Mesh:
    """The five visible sides of a box that stands on something."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    return Mesh.joined(
        [
            quad([[x0, y0, z0], [x0, y1, z0], [x1, y1, z0], [x1, y0, z0]], material, _uv(x0, x1, y0, y1)),
            quad([[x1, y0, z0], [x1, y1, z0], [x1, y1, z1], [x1, y0, z1]], material, _uv(z0, z1, y0, y1)),
            quad([[x0, y0, z1], [x0, y1, z1], [x0, y1, z0], [x0, y0, z0]], material, _uv(z1, z0, y0, y1)),
            quad([[x1, y0, z1], [x1, y1, z1], [x0, y1, z1], [x0, y0, z1]], material, _uv(x1, x0, y0, y1)),
            quad([[x0, y1, z0], [x0, y1, z1], [x1, y1, z1], [x1, y1, z0]], material, _uv(x0, x1, z0, z1)),
        ]
    )


def cylinder(start, end, radius0: float, radius1: float, material: str, sides: int = 10) -> Mesh:
    """A tapered cylinder without ends, with round normals; u goes round it in metres, v along it."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis = end - start
    length = np.linalg.norm(axis)
    axis = axis / length
    a = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
    a /= np.linalg.norm(a)
    b = np.cross(axis, a)
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.cos(turn)[:, None] * a + np.sin(turn)[:, None] * b
    grid = np.stack([start + radius0 * ring, end + radius1 * ring])
    uv = np.stack(
        [np.stack([turn * radius0, turn * 0], -1), np.stack([turn * radius0, turn * 0 + length], -1)]
    )
    return surface(grid, np.stack([ring, ring]), uv, np.full((1, sides), MATERIAL[material]))


def surface(grid: np.ndarray, normals: np.ndarray, uv: np.ndarray, material: np.ndarray) -> Mesh:
    """A bent sheet: points, normals (R, C, 3) and uv (R, C, 2) of its lattice, material (R - 1, C - 1) of its cells."""

    def cells(values):
        a, b, c, d = values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1]
        both = np.stack([np.stack([a, b, c], 2), np.stack([a, c, d], 2)], 2)
        return both.reshape(-1, 3, values.shape[-1])

    return Mesh(cells(grid), cells(normals), cells(uv), np.repeat(material.ravel(), 2))


def moved(mesh: Mesh, offset, yaw: float = 0.0) -> Mesh:
    """Turned by `yaw` radians about Y (a thing that faces -Z then faces to the right), then shifted by `offset`."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    return Mesh(mesh.corners @ turn.T + np.asarray(offset), mesh.normals @ turn.T, mesh.uv, mesh.material)


def house(wide: float = 9.0, deep: float = 7.0, wall: float = 5.4, rise: float = 2.6) -> Mesh:
    """A clapboard house that faces -Z: two floors, windows, porch, shingled roof with eaves, chimney.

    The ridge runs along X. Stands on y = 0 with its front at z = 0, x from -wide / 2 to wide / 2.
    """
    x0, x1 = -wide / 2, wide / 2
    parts = [box((x0, 0, 0), (x1, wall, deep), "clapboard")]
    parts.append(box((x0 - 0.06, 0, -0.06), (x1 + 0.06, 0.45, deep + 0.06), "brick"))
    middle, over = deep / 2, 0.45
    for x, sign in ((x1, 1), (x0, -1)):  # gables
        a, b, c = [x, wall, 0], [x, wall, deep], [x, wall + rise, middle]
        tri = np.array([a, c, b] if sign > 0 else [a, b, c], np.float64)[None]
        uv = np.stack([tri[..., 2], tri[..., 1]], -1)
        normal = np.broadcast_to([float(sign), 0, 0], (1, 3, 3)).copy()
        parts.append(Mesh(tri, normal, uv, _full(1, "clapboard")))
        parts.append(_pane(x, middle, wall + 0.55, 0.8, 1.1, side=sign))
        for z in (0.28 * deep, 0.72 * deep):
            parts += [_pane(x, z, bottom, 1.0, 1.5, side=sign) for bottom in (1.2, 3.5)]
        parts.append(box((x - 0.09, 0.4, -0.09), (x + 0.09, wall, 0.09), "trim"))
    slope = rise / middle
    for sign in (-1, 1):  # roof
        z_eave, z_ridge = middle + sign * (middle + over), middle
        y_eave, y_ridge = wall - slope * over + 0.12, wall + rise + 0.12
        if sign < 0:
            corners = [
                [x0 - over, y_eave, z_eave],
                [x0 - over, y_ridge, z_ridge],
                [x1 + over, y_ridge, z_ridge],
                [x1 + over, y_eave, z_eave],
            ]
        else:
            corners = [
                [x1 + over, y_eave, z_eave],
                [x1 + over, y_ridge, z_ridge],
                [x0 - over, y_ridge, z_ridge],
                [x0 - over, y_eave, z_eave],
            ]
        run = float(np.hypot(y_ridge - y_eave, z_ridge - z_eave))
        parts.append(
            quad(corners, "shingles", [[0, 0], [0, run], [wide + 2 * over, run], [wide + 2 * over, 0]])
        )
        for x, out in ((x0 - over, -1), (x1 + over, 1)):  # barge boards
            d = np.array([0, 0.2, 0])
            a, b = np.array([x, y_eave, z_eave]), np.array([x, y_ridge, z_ridge])
            ring = [a - d, a, b, b - d] if out * sign > 0 else [b - d, b, a, a - d]
            parts.append(quad(np.array(ring), "trim"))
    parts.append(
        box(
            (x0 - over, wall - slope * over - 0.06, -over - 0.03),
            (x1 + over, wall - slope * over + 0.1, -over + 0.02),
            "trim",
        )
    )
    columns = np.linspace(x0 + 1.3, x1 - 1.3, 4)
    for number, x in enumerate(columns.tolist()):
        parts.append(_front(x, 3.5, 1.0, 1.5, "window"))
        door = number == 2
        parts.append(
            _front(
                x,
                0.75 if door else 1.2,
                1.05 if door else 1.0,
                2.1 if door else 1.5,
                "door" if door else "window",
            )
        )
    porch = columns[2]
    parts.append(box((porch - 1.5, 0, -1.6), (porch + 1.5, 0.6, 0), "wood"))
    for step in range(3):
        parts.append(
            box(
                (porch - 0.8, 0, -1.9 - 0.3 * step),
                (porch + 0.8, 0.45 - 0.15 * step, -1.6 - 0.3 * step),
                "wood",
            )
        )
    for x in (porch - 1.4, porch + 1.4):
        parts.append(box((x - 0.08, 0.6, -1.55), (x + 0.08, 3.0, -1.39), "trim"))
    parts.append(box((porch - 1.7, 3.0, -1.8), (porch + 1.7, 3.12, 0.0), "trim"))
    parts.append(
        quad(
            [
                [porch - 1.8, 3.05, -1.9],
                [porch - 1.8, 3.45, 0],
                [porch + 1.8, 3.45, 0],
                [porch + 1.8, 3.05, -1.9],
            ],
            "shingles",
        )
    )
    parts.append(
        box((x0 + 1.6, wall + 0.5, middle - 0.1), (x0 + 2.4, wall + rise + 1.0, middle + 0.6), "brick")
    )
    return Mesh.joined(parts)


def barn(wide: float = 8.0, deep: float = 12.0, wall: float = 4.0, rise: float = 3.4) -> Mesh:
    """A barn of red boards with its gable to -Z."""
    x0, x1 = -wide / 2, wide / 2
    parts = [box((x0, 0, 0), (x1, wall, deep), "boards")]
    gable = np.array([[x0, wall, 0], [0, wall + rise, 0], [x1, wall, 0]], np.float64)[None]
    normal = np.broadcast_to([0.0, 0, -1], (1, 3, 3)).copy()
    parts.append(Mesh(gable, normal, gable[..., :2].copy(), _full(1, "boards")))
    for x_eave, x_other in ((x0 - 0.3, 0.0), (0.0, x1 + 0.3)):
        y = [wall + rise + 0.1 if x == 0.0 else wall - 0.2 for x in (x_eave, x_other)]
        corners = [[x_eave, y[0], -0.3], [x_eave, y[0], deep], [x_other, y[1], deep], [x_other, y[1], -0.3]]
        parts.append(quad(corners, "shingles"))
    parts.append(_front(0.0, 0.0, 2.8, 2.9, "door"))
    parts.append(_front(0.0, wall + 0.6, 1.1, 1.2, "window"))
    return Mesh.joined(parts)


def rail_fence(path: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Posts and three rails along `path` (N, 2) X, Z, one post at each point."""
    parts = []
    tops = 1.15 + rng.normal(0, 0.03, len(path))
    for (x, z), top in zip(path.tolist(), tops.tolist(), strict=True):
        parts.append(cylinder((x, 0, z), (x + float(rng.normal(0, 0.02)), top, z), 0.07, 0.06, "wood", 7))
    for (a, b), sag in zip(
        zip(path[:-1].tolist(), path[1:].tolist(), strict=True), rng.normal(0, 0.03, len(path)), strict=False
    ):
        for height in (0.35, 0.68, 1.02):
            ends = [(p[0], height + float(rng.normal(0, 0.025)) + sag, p[1]) for p in (a, b)]
            parts.append(cylinder(*ends, 0.05, 0.045, "wood", 6))
    return Mesh.joined(parts)


def power_line(path: np.ndarray, tall: float = 8.5) -> tuple[Mesh, list[np.ndarray]]:
    """Wooden poles at `path` (N, 2) X, Z with a cross arm, and the wires as (K, 3) polylines."""
    parts, hooks = [], []
    for x, z in path.tolist():
        parts.append(cylinder((x, 0, z), (x, tall, z), 0.16, 0.11, "wood", 9))
        parts.append(box((x - 1.0, tall - 0.75, z - 0.07), (x + 1.0, tall - 0.6, z + 0.07), "wood"))
        hooks.append([(x + side, tall - 0.45, z) for side in (-0.9, -0.3, 0.9)])
        for hook in hooks[-1]:
            parts.append(cylinder((hook[0], tall - 0.6, z), hook, 0.04, 0.03, "metal", 6))
    wires = []
    for a, b in pairwise(hooks):
        for p, q in zip(a, b, strict=True):
            share = np.linspace(0, 1, 40)[:, None]
            wire = np.array(p) * (1 - share) + np.array(q) * share
            wire[:, 1] -= (4 * share * (1 - share))[:, 0] * 0.6
            wires.append(wire)
    return Mesh.joined(parts), wires


def _full(count: int, material: str) -> np.ndarray:
    return np.full(count, MATERIAL[material])


def _uv(u0: float, u1: float, v0: float, v1: float) -> np.ndarray:
    return np.array([[u0, v0], [u0, v1], [u1, v1], [u1, v0]])


_UNIT = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float64)


def _front(x: float, bottom: float, wide: float, tall: float, material: str) -> Mesh:
    """A window or door in a wall that faces -Z, with its frame; texture coordinates go from 0 to 1."""
    ring = [
        [x - wide / 2, bottom],
        [x - wide / 2, bottom + tall],
        [x + wide / 2, bottom + tall],
        [x + wide / 2, bottom],
    ]
    frame = box(
        (x - wide / 2 - 0.12, bottom - 0.1, -0.05), (x + wide / 2 + 0.12, bottom + tall + 0.14, 0.05), "trim"
    )
    return Mesh.joined([frame, quad([[a, b, -0.055] for a, b in ring], material, _UNIT)])


def _pane(x: float, z: float, bottom: float, wide: float, tall: float, side: int) -> Mesh:
    """A window in a wall that faces +X (`side` 1) or -X (-1)."""
    ring = [
        [z - wide / 2, bottom],
        [z - wide / 2, bottom + tall],
        [z + wide / 2, bottom + tall],
        [z + wide / 2, bottom],
    ]
    ring = ring if side > 0 else ring[::-1]
    out = x + 0.055 * side
    frame = box(
        (x - 0.05, bottom - 0.1, z - wide / 2 - 0.12),
        (x + 0.05, bottom + tall + 0.14, z + wide / 2 + 0.12),
        "trim",
    )
    return Mesh.joined(
        [frame, quad([[out, b, a] for a, b in ring], "window", _UNIT if side > 0 else _UNIT[::-1])]
    )
