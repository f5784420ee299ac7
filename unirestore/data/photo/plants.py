"""Trees, bushes and grass: branches as meshes, every leaf and blade a card. Metres; see `raster` for the axes."""

from __future__ import annotations

import numpy as np

from unirestore.data.photo.raster import Cards, Mesh
from unirestore.data.photo.solids import cylinder

GREENS = {  # linear RGB albedo: mean, and how far single leaves stray towards yellow
    "oak": ((0.085, 0.135, 0.028), 0.35),
    "maple": ((0.12, 0.17, 0.035), 0.45),
    "spruce": ((0.038, 0.068, 0.026), 0.15),
    "bush": ((0.10, 0.145, 0.04), 0.4),
    "grass": ((0.135, 0.175, 0.045), 0.6),
}


def tree(
    foot,
    tall: float,
    leaves: int,
    leaf: float,
    kind: str,
    label: int,
    rng: np.random.Generator,
    *,
    thinnest: float = 0.022,
) -> tuple[Mesh | None, Cards]:
    """A broad-leaved tree: branches that fork and reach for the light, leaves in clusters about their ends.

    Args:
        foot: (x, y, z) of the trunk.
        tall: metres.
        leaves: how many.
        leaf: length of one in metres.
        kind: of `GREENS`.
        label: class of the leaves.
        thinnest: radius in metres of the thinnest branch that is drawn.
    """
    foot = np.asarray(foot, np.float64)
    trunk, tips, parts = 0.26 * tall, [], []
    todo = [(foot, np.array([rng.normal(0, 0.04), 1.0, rng.normal(0, 0.04)]), trunk, 0.028 * tall, 0)]
    while todo:
        start, heading, length, radius, order = todo.pop()
        heading = heading / np.linalg.norm(heading)
        bend = start + 0.5 * length * heading + rng.normal(0, 0.035 * length, 3)
        end = bend + 0.5 * length * (heading + rng.normal(0, 0.1, 3))
        if radius > thinnest:
            sides = 9 if radius > 0.1 else 4
            parts.append(cylinder(start, bend, radius, 0.86 * radius, "bark", sides))
            parts.append(cylinder(bend, end, 0.86 * radius, 0.72 * radius, "bark", sides))
        if order >= 3:
            tips.append((bend, end, length))
        if order >= 6:
            continue
        count = 4 if order == 0 else int(rng.choice([2, 3]))
        spin = rng.uniform(0, 2 * np.pi)
        for number in range(count):
            turn = spin + 2 * np.pi * number / count + rng.normal(0, 0.3)
            side = np.array([np.cos(turn), 0.0, np.sin(turn)])
            side -= heading * (side @ heading)
            spread = rng.uniform(0.5, 0.95) if order else rng.uniform(0.45, 0.8)
            onward = heading + spread * side / max(np.linalg.norm(side), 1e-6) + [0, 0.12, 0]
            todo.append((end, onward, length * rng.uniform(0.66, 0.82), radius * 0.66, order + 1))
        if order == 0:  # the stem goes on
            todo.append((end, heading + rng.normal(0, 0.1, 3), length * 0.8, radius * 0.75, 1))
    tips_a, tips_b = np.array([t[0] for t in tips]), np.array([t[1] for t in tips])
    size = np.array([t[2] for t in tips])
    pick = rng.integers(len(tips), size=leaves)
    share = rng.random((leaves, 1)) ** 0.6
    middle = tips_a[pick] * (1 - share) + tips_b[pick] * share
    middle += rng.normal(0, 1, (leaves, 3)) * (0.32 * size[pick] + 0.015 * tall)[:, None]
    clump = rng.normal(0, 1, len(tips))[pick]
    return Mesh.joined(parts) if parts else None, leaves_at(middle, leaf, kind, label, rng, clump)


def spruce(foot, tall: float, needles: int, label: int, rng: np.random.Generator) -> tuple[Mesh, Cards]:
    """A conifer: whorls of drooping branches, shorter towards the top."""
    foot = np.asarray(foot, np.float64)
    up = rng.random(needles) ** 1.35
    whorl = np.round(up * 22 + rng.normal(0, 0.12, needles)) / 22
    branch = rng.integers(9, size=needles)
    turn = 2 * np.pi * branch / 9 + 2.4 * np.round(whorl * 22) + rng.normal(0, 0.1, needles)
    out = rng.random(needles) ** 0.6 * (1 - np.clip(whorl, 0, 1)) * 0.24 * tall * (1 + 0.2 * np.sin(7 * turn))
    height = tall * (0.08 + 0.92 * np.clip(whorl, 0, 1)) - 0.28 * out
    middle = foot + np.stack([out * np.cos(turn), height, out * np.sin(turn)], -1)
    middle += rng.normal(0, 0.012 * tall, (needles, 3))
    cards = leaves_at(middle, 0.022 * tall, "spruce", label, rng, rng.normal(0, 0.5, needles))
    return cylinder(foot, foot + np.array([0, 0.9 * tall, 0]), 0.016 * tall, 0.002 * tall, "bark", 7), cards


def bush(foot, size: float, leaves: int, leaf: float, label: int, rng: np.random.Generator) -> Cards:
    """A round lump of leaves that stands on `foot`, thicker towards its outside."""
    lumps = rng.normal(0, 1, (9, 3)) * [0.35, 0.16, 0.35] * size + [0, 0.4 * size, 0]
    pick = rng.integers(9, size=leaves)
    ball = rng.normal(0, 1, (leaves, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    middle = np.asarray(foot) + lumps[pick] + ball * (0.36 * size * rng.random((leaves, 1)) ** 0.25)
    middle[:, 1] = np.abs(middle[:, 1])
    return leaves_at(middle, leaf, "bush", label, rng, rng.normal(0, 1, 9)[pick])


def leaves_at(
    middle: np.ndarray, leaf: float, kind: str, label: int, rng: np.random.Generator, clump: np.ndarray
) -> Cards:
    """Leaves (N, 3) that mostly face upwards and outwards; `clump` (N,) shifts the colour of whole twigs."""
    count = len(middle)
    normal = rng.normal((0, 0.9, 0), 1, (count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    along = np.cross(normal, rng.normal(0, 1, (count, 3)))
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    size = 0.5 * leaf * np.exp(rng.normal(0, 0.25, (count, 1)))
    return Cards(
        middle, along * size, np.cross(normal, along) * size * 0.62, normal,
        tinted(kind, count, rng, clump), np.full(count, label),
    )  # fmt: skip


def tinted(kind: str, count: int, rng: np.random.Generator, clump: np.ndarray | float) -> np.ndarray:
    """(N, 3) albedo of leaves of one kind."""
    mean, stray = GREENS[kind]
    yellow = (0.5 * rng.normal(0, 1, count) + 0.6 * clump)[:, None] * stray
    bright = np.exp(rng.normal(0, 0.14, (count, 1)))
    return np.clip(np.array(mean) * bright * np.exp(yellow * [0.55, 0.28, 0.05]), 0.005, 0.8)


def blades(
    foot: np.ndarray, tall: np.ndarray, dry: np.ndarray, label: int, rng: np.random.Generator
) -> Cards:
    """Grass: one line per blade from `foot` (N, 2) X, Z, `tall` (N,) metres; `dry` (N,) in 0 (green) to 1 (straw)."""
    count = len(foot)
    lean = rng.normal((0.12, 0.0), 0.38, (count, 2))
    half = 0.5 * tall[:, None] * np.stack([lean[:, 0], np.ones(count), lean[:, 1]], -1)
    middle = np.stack([foot[:, 0], np.zeros(count), foot[:, 1]], -1) + half
    normal = rng.normal((0, 1.0, 0), 0.5, (count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    green = tinted("grass", count, rng, 0.0)
    straw = np.array([0.36, 0.30, 0.15]) * np.exp(rng.normal(0, 0.2, (count, 1)))
    albedo = green * (1 - dry[:, None]) + straw * dry[:, None]
    return Cards(middle, half, np.zeros((count, 3)), normal, albedo, np.full(count, label))
