"""What surfaces are made of: albedo, gloss and a little relief at points of the road, the meadow and the meshes."""

from __future__ import annotations

import numpy as np

from unirestore.data.photo.noise import noise, octaves
from unirestore.data.photo.solids import MATERIAL

ROAD_HALF = 3.0  # metres from the middle of the road to its edge
PAINTS = ((0.30, 0.022, 0.024), (0.30, 0.34, 0.40), (0.02, 0.06, 0.15))  # of the cars, in turn


def road_middle(z: np.ndarray) -> np.ndarray:
    """X of the middle of the road: straight at first, then a long bend to the left."""
    return -0.55 - 0.0011 * np.maximum(z - 5, 0) ** 2


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0, 1)


def _mix(base: np.ndarray, colour, share: np.ndarray) -> np.ndarray:
    return base + share[:, None] * (np.asarray(colour) - base)


def grass_share(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(N,) how much of the ground grows grass: all beyond a ragged strip of gravel at the road."""
    off = np.abs(x - road_middle(z)) - ROAD_HALF
    return _step(off + 0.16 * octaves(x, z, (1.7, 0.6, 0.2), 40), 0.15, 0.55)


def ground(x: np.ndarray, z: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(N, 3) albedo of the ground at X, Z metres; `size` (N,) is what a pixel spans there."""
    off = np.abs(x - road_middle(z))
    side = x - road_middle(z)
    grain = octaves(x, z, (0.035, 0.016, 0.008), 1, weights=(0.6, 0.8, 0.7), footprint=size)
    patches = octaves(x, z, (9, 3.5, 1.1, 0.4), 5, footprint=size)
    worn = np.exp(-(((np.abs(side) - 1.5) / 0.95) ** 2) * 3) + 0.0 * z  # polished by tyres
    tracks = np.exp(-(((np.abs(np.abs(side) - 1.5) - 0.75) / 0.22) ** 2))
    level = 0.105 * np.exp(0.19 * grain + 0.13 * patches - 0.10 * tracks + 0.04 * worn)
    oil = np.exp(-(((np.abs(side) - 1.5) / 0.3) ** 2)) * _step(octaves(x, z, (6, 2), 9), 0.1, 1.6)
    level *= 1 - 0.22 * oil
    asphalt = level[:, None] * np.array([1.0, 0.985, 0.96])
    # cracks where a slow noise crosses zero, tarred seams across, a darker patch of newer asphalt
    wander = octaves(x, z, (2.6, 0.9, 0.3, 0.1), 12, weights=(0.7, 0.4, 0.25, 0.12))
    gap = _step(octaves(x, z, (5.0, 2.0), 16), 0.2, 0.7)
    crack = (
        np.exp(-((wander / (0.018 + 0.6 * size)) ** 2)) * gap * np.clip(0.02 / np.maximum(size, 1e-3), 0, 1)
    )
    asphalt *= (1 - 0.6 * crack)[:, None]
    seam = 0.02 * octaves(x, z, (1.5, 0.4), 19)
    repair = (np.abs(side - 1.45 + seam) < 0.95) & (np.abs(z - 9.2 + 3 * seam) < 1.3)
    asphalt *= np.where(repair, 0.72, 1.0)[:, None]
    rim = (np.abs(np.abs(side - 1.45 + seam) - 0.95) < 0.025) & (np.abs(z - 9.2) < 1.35)
    asphalt *= np.where(rim, 0.55, 1.0)[:, None]
    # painted lines, flaked off in places
    flake = _step(octaves(x, z, (0.5, 0.12, 0.04), 22, footprint=size), -1.5, -0.6)
    edge = np.abs(off - (ROAD_HALF - 0.22)) < 0.06 + 0.35 * size
    share = np.clip(0.06 / (0.06 + 0.35 * size), 0, 1)
    dashes = (np.abs(side) < 0.06 + 0.35 * size) & (np.mod(z + 1.0, 9.0) < 3.4)
    asphalt = _mix(asphalt, (0.52, 0.51, 0.47), 0.85 * flake * share * (edge | dashes))
    gravel_grain = octaves(x, z, (0.09, 0.04, 0.02), 26, footprint=size)
    gravel = (0.19 * np.exp(0.38 * gravel_grain + 0.15 * patches))[:, None] * np.array([1.0, 0.92, 0.78])
    border = _step(off + 0.09 * octaves(x, z, (0.8, 0.25, 0.08), 30), ROAD_HALF - 0.06, ROAD_HALF + 0.05)
    out = asphalt + border[:, None] * (gravel - asphalt)
    tuft = octaves(x, z, (14, 4, 1.2, 0.35, 0.12), 34, footprint=size)
    dry = _step(octaves(x, z, (22, 7, 2), 45, footprint=size) + 0.012 * (z - 40), -0.4, 2.0)[:, None]
    meadow = np.array([0.105, 0.138, 0.038]) * (1 - dry) + np.array([0.26, 0.235, 0.11]) * dry
    meadow = meadow * np.exp(0.22 * tuft)[:, None]
    return out + grass_share(x, z)[:, None] * (meadow - out)


def gloss_of_road(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(N,) 1 on asphalt, 0 elsewhere: it shines towards a low sun."""
    return (np.abs(x - road_middle(z)) < ROAD_HALF).astype(np.float64)


def solid(
    material: int, points: np.ndarray, uv: np.ndarray, normals: np.ndarray, size: np.ndarray, paint
) -> tuple[np.ndarray, np.ndarray, float]:
    """(albedo (N, 3), normals (N, 3) with relief, reflectance at right angles) of one material."""
    u, v = uv[:, 0], uv[:, 1]
    name = _NAMES[material]
    grime = octaves(u, v, (2.5, 0.8, 0.25), 50, footprint=size)
    if name == "clapboard":
        lap = np.mod(v, 0.14) / 0.14
        dark = np.exp(-(((lap - 0.02) / 0.10) ** 2)) * np.clip(0.05 / np.maximum(size, 1e-3), 0, 1)
        level = 0.66 * np.exp(0.035 * grime + 0.02 * noise(u / 3.0, np.floor(v / 0.14) * 3.7, 54))
        albedo = (level * (1 - 0.45 * dark))[:, None] * np.array([1.0, 0.985, 0.94])
        normals = normals + np.array([0, -0.12, 0])
        return albedo, _unit(normals), 0.03
    if name == "shingles":
        row = np.floor(v / 0.2)
        column = np.floor(u / 0.3 + 0.5 * np.mod(row, 2))
        tone = noise(column * 3.1, row * 5.3, 57)
        lap = np.mod(v, 0.2) / 0.2
        dark = np.exp(-((lap / 0.13) ** 2)) * np.clip(0.08 / np.maximum(size, 1e-3), 0, 1)
        level = (
            0.095 * np.exp(0.16 * tone * np.clip(0.12 / size - 0.6, 0, 1) + 0.12 * grime) * (1 - 0.5 * dark)
        )
        return level[:, None] * np.array([1.0, 0.93, 0.9]), normals, 0.02
    if name == "brick":
        row = np.floor(v / 0.075)
        along = u / 0.22 + 0.5 * np.mod(row, 2)
        joint = (np.mod(v, 0.075) < 0.012) | (np.mod(along, 1) < 0.05)
        tone = np.exp(0.22 * noise(np.floor(along) * 3.3, row * 2.9, 60) + 0.1 * grime)
        albedo = np.array([0.22, 0.105, 0.075]) * tone[:, None]
        shown = np.clip(0.03 / np.maximum(size, 1e-3), 0, 1) * joint
        return _mix(albedo, (0.36, 0.34, 0.31), 0.8 * shown), normals, 0.02
    if name == "window":
        bars = (np.abs(u - 0.5) < 0.03) | (np.abs(v - 0.52) < 0.03) | (np.abs(np.abs(u - 0.5) - 0.25) < 0.012)
        bars |= (
            (np.abs(np.abs(v - 0.5) - 0.25) < 0.010)
            | (np.minimum(u, 1 - u) < 0.05)
            | (np.minimum(v, 1 - v) < 0.035)
        )
        curtain = _step(np.abs(u - 0.5) + 0.04 * np.sin(60 * u), 0.24, 0.27) * 0.75
        inside = np.array([0.012, 0.012, 0.013]) + curtain[:, None] * np.array([0.10, 0.09, 0.08])
        albedo = np.where(bars[:, None], 0.62, inside)
        return albedo, normals, 0.08
    if name == "door":
        panel = (np.minimum(np.mod(u * 2, 1), 1 - np.mod(u * 2, 1)) > 0.12) & (
            np.minimum(np.mod(v * 2, 1), 1 - np.mod(v * 2, 1)) > 0.1
        )
        return np.where(panel[:, None], 0.85, 1.0) * np.array([0.035, 0.075, 0.055]), normals, 0.04
    if name == "boards":
        plank = np.floor(u / 0.2)
        gap = (np.mod(u, 0.2) < 0.02) * np.clip(0.06 / np.maximum(size, 1e-3), 0, 1)
        tone = np.exp(
            0.14 * noise(plank * 3.7, plank * 0 + 0.5, 66)
            + 0.18 * octaves(u * 6, v, (1.5, 0.5), 68, footprint=size)
        )
        return np.array([0.27, 0.055, 0.04]) * (tone * (1 - 0.6 * gap))[:, None], normals, 0.02
    if name in ("wood", "bark"):
        stretch = 5.0 if name == "wood" else 2.0
        fibre = octaves(u * stretch, v * 0.6, (0.35, 0.12, 0.05), 70, footprint=size)
        base = np.array([0.23, 0.20, 0.165]) if name == "wood" else np.array([0.095, 0.075, 0.058])
        return base * np.exp(0.35 * fibre + 0.1 * grime)[:, None], normals, 0.02
    if name == "plate":
        digits = (np.abs(v - 0.5) < 0.28) & (np.mod(u * 7, 1) < 0.6) & (u > 0.06) & (u < 0.94)
        return np.where(digits[:, None], 0.08, 0.6) * np.ones((1, 3)), normals, 0.03
    if name == "lamp":
        ring = np.hypot((u - 0.5) * 2, (v - 0.5) * 1.3)
        level = 0.35 + 0.4 * (ring < 0.45) - 0.2 * (np.abs(ring - 0.55) < 0.1)
        return level[:, None] * np.ones((1, 3)), normals, 0.12
    if name == "grille":
        slat = np.mod(v * 4, 1) < 0.35
        return np.where(slat[:, None], 0.10, 0.012) * np.ones((1, 3)), normals, 0.05
    if name == "rim":
        turn, radius = u, v
        spoke = (np.abs(np.mod(turn * 5 / (2 * np.pi), 1) - 0.5) < 0.27) | (radius > 0.18) | (radius < 0.05)
        return np.where(spoke[:, None], 0.38, 0.02) * np.ones((1, 3)), normals, 0.12
    plain = {
        "trim": ((0.68, 0.67, 0.63), 0.03), "metal": ((0.30, 0.30, 0.30), 0.1), "glass": ((0.012, 0.013, 0.013), 0.09),
        "tyre": ((0.022, 0.022, 0.022), 0.02), "dark": ((0.012, 0.012, 0.012), 0.02),
        "taillamp": ((0.30, 0.015, 0.012), 0.06), "paint": (paint, 0.055),
    }  # fmt: skip
    colour, reflectance = plain[name]
    rough = 0.05 if name in ("trim", "metal") else 0.0
    return np.array(colour) * np.exp(rough * grime)[:, None], normals, reflectance


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


_NAMES = {number: name for name, number in MATERIAL.items()}
