"""What lines the street: rows of buildings and trees, lamps and signs, each with its depth so that it can be
painted in turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unirestore.data.scenes.backdrop import Street
from unirestore.data.scenes.canvas import Canvas
from unirestore.data.scenes.light import Light
from unirestore.data.scenes.town import draw_building, draw_lamp, draw_sign, draw_tree

Thing = tuple[float, Callable[[], None]]
_SEEDS = 2**31


def plan_scenery(
    canvas: Canvas, light: Light, rng: np.random.Generator, street: Street, labels: dict[str, int]
) -> list[Thing]:
    """Draw what stands beside the street; gives (depth, painter) of each thing, in no order."""
    season = int(rng.choice(3, p=(0.62, 0.18, 0.2)))
    things: list[Thing] = []
    for side in (-1, 1):
        edge, pavement = (street.left, street.pavement) if side < 0 else (street.right, street.pavement)
        kerb = edge + side * 0.5
        front = edge + side * (pavement + (0.3 if street.kind == "city" else rng.uniform(4, 9)))
        if street.kind != "highway":
            things += _buildings(canvas, light, rng, street, front, side, labels["building"])
        if rng.random() < 0.85:
            things += _trees(canvas, light, rng, street, kerb, side, labels["tree"], season)
        if rng.random() < 0.7:
            for z in np.arange(rng.uniform(6, 20), 90, 22.0).tolist():
                things.append((z + 0.02, _later(draw_lamp, canvas, light, kerb, z, side, labels["pole"])))
        if rng.random() < 0.5:
            z, seed = rng.uniform(7, 30), int(rng.integers(_SEEDS))
            numbers = (labels["pole"], labels["sign"])
            things.append((z + 0.03, _seeded(draw_sign, canvas, light, seed, kerb, z, numbers)))
    return things


def _buildings(
    canvas, light, rng: np.random.Generator, street: Street, front: float, side: int, label: int
) -> list[Thing]:
    city = street.kind == "city"
    things: list[Thing] = []
    z, last_end, last_height = rng.uniform(-8, 6), -99.0, 0.0
    while z < 120:
        stretch = 1.0 if z < 45 else 1.8  # far fronts are a few pixels wide: fewer and longer ones will do
        end = z + stretch * (rng.uniform(8, 26) if city else rng.uniform(8, 14))
        if end > 3 and not _crossed(street, z, end) and rng.random() < (0.92 if city else 0.75):
            height = rng.uniform(7, 24) if city else rng.uniform(4.5, 7)
            hidden = city and z - last_end < 1.6 and last_height >= height
            seed, near = int(rng.integers(_SEEDS)), max(z, 1.2)
            what = (front, side, near, end, height, label, not city, hidden)
            things.append((near + 0.01, _seeded(draw_building, canvas, light, seed, *what)))
            last_end, last_height = end, height
        z = end + (rng.uniform(0, 1.5) if city else rng.uniform(3, 14))
    return things


def _trees(
    canvas, light, rng: np.random.Generator, street: Street, kerb: float, side: int, label: int, season: int
) -> list[Thing]:
    chance, step = {"city": (0.3, 10), "suburb": (0.65, 9), "highway": (0.8, 7)}[street.kind]
    things: list[Thing] = []
    for z in np.arange(rng.uniform(7, 14), 110, step).tolist():
        if rng.random() >= chance or _crossed(street, z, z):
            continue
        x = kerb + side * (rng.uniform(0.4, 1.2) if street.kind == "city" else rng.uniform(2, 14))
        height, seed = rng.uniform(4.5, 10), int(rng.integers(_SEEDS))
        left, right = canvas.camera.half_width(z)
        if left - height < x < right + height:
            things.append((z, _seeded(draw_tree, canvas, light, seed, x, z, height, label, season)))
    return things


def _crossed(street: Street, start: float, end: float) -> bool:
    """Whether something from depth `start` to `end` would stand in the cross street."""
    return street.crossing is not None and start < street.crossing[1] + 2 and end > street.crossing[0] - 2


def _later(draw: Callable[..., None], *arguments) -> Callable[[], None]:
    return lambda: draw(*arguments)


def _seeded(
    draw: Callable[..., None], canvas: Canvas, light: Light, seed: int, *arguments
) -> Callable[[], None]:
    return lambda: draw(canvas, light, np.random.default_rng(seed), *arguments)
