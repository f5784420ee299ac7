"""The shapes of cars, buses and trucks, in metres: side profiles, windows, wheels, lamps, paints.

Local axes: s forward along the vehicle, y up, t to its left.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

PAINTS = (
    (232, 232, 230), (196, 198, 202), (128, 132, 138), (66, 70, 76), (28, 29, 33), (158, 26, 30), (196, 44,
    34), (30, 62, 132),
    (58, 104, 168), (20, 40, 74), (30, 84, 58), (206, 178, 46), (214, 112, 32), (150, 132, 104), (92, 62, 46),
    (118, 26, 44),
    (122, 160, 180), (218, 210, 190),
)  # fmt: skip
BUS_PAINTS = ((200, 40, 36), (226, 160, 40), (236, 236, 232), (44, 92, 168), (52, 128, 92), (90, 160, 200))
LOADS = (
    (226, 226, 222),
    (200, 196, 186),
    (64, 92, 140),
    (150, 60, 48),
    (96, 108, 92),
    (182, 140, 60),
    (120, 122, 126),
)


@dataclass(frozen=True)
class Body:
    """One extruded piece of a vehicle.

    `profile` runs from the front bottom over the roof to the rear bottom as (s, y); `roles` names each edge
    of it: `b` body, `g` glass. `belt` is the height above which the sides lean in by `lean` metres.
    """

    profile: tuple[tuple[float, float], ...]
    roles: str
    width: float
    belt: float
    lean: float = 0.0
    windows: tuple[tuple[tuple[float, float], ...], ...] = ()
    bulk: bool = False  # a load: painted in the second colour


@dataclass(frozen=True)
class VehicleModel:
    """A kind of vehicle: class name, pieces, wheels (s, radius), lamps as (y low, y high)."""

    name: str
    kind: str
    bodies: tuple[Body, ...]
    wheels: tuple[float, ...]
    radius: float
    lamps: tuple[float, float] = (0.58, 0.76)
    doors: tuple[float, ...] = ()
    length: float = field(default=0.0)
    height: float = field(default=0.0)


def _model(
    name: str, kind: str, bodies: tuple[Body, ...], wheels: tuple[float, ...], radius: float, **more
) -> VehicleModel:
    points = np.concatenate([np.array(body.profile) for body in bodies])
    length, height = float(np.ptp(points[:, 0])), float(points[:, 1].max())
    return VehicleModel(name, kind, bodies, wheels, radius, length=length, height=height, **more)


SEDAN = _model("car", "sedan", (Body(
    ((2.2, 0.24), (2.27, 0.5), (2.15, 0.74), (0.95, 0.95), (0.2, 1.42), (-0.95, 1.43), (-1.65, 1.02), (-2.2,
    0.98), (-2.28, 0.55), (-2.2, 0.26)),
    "bbbgbgbbb", 1.78, 0.95, 0.17,
    (((0.72, 0.98), (0.13, 1.34), (-0.33, 1.36), (-0.33, 0.98)), ((-0.41, 0.98), (-0.41, 1.36), (-0.92, 1.35),
    (-1.42, 1.03))),
),), (1.38, -1.36), 0.33, doors=(0.85, -0.37, -1.3))  # fmt: skip
HATCH = _model("car", "hatch", (Body(
    ((1.92, 0.24), (1.98, 0.5), (1.85, 0.78), (0.9, 0.98), (0.2, 1.47), (-1.3, 1.48), (-1.82, 1.02), (-1.95,
    0.6), (-1.9, 0.26)),
    "bbbgbgbb", 1.72, 0.98, 0.15,
    (((0.68, 1.01), (0.14, 1.38), (-0.38, 1.41), (-0.38, 1.0)), ((-0.46, 1.0), (-0.46, 1.41), (-1.22, 1.39),
    (-1.5, 1.04))),
),), (1.22, -1.22), 0.31, doors=(0.8, -0.42, -1.2))  # fmt: skip
SUV = _model("car", "suv", (Body(
    ((2.2, 0.34), (2.28, 0.62), (2.2, 0.96), (1.05, 1.12), (0.42, 1.68), (-1.75, 1.7), (-2.12, 1.15), (-2.26,
    0.7), (-2.2, 0.36)),
    "bbbgbgbb", 1.86, 1.12, 0.14,
    (((0.85, 1.15), (0.36, 1.6), (-0.22, 1.62), (-0.22, 1.15)), ((-0.3, 1.15), (-0.3, 1.62), (-1.08, 1.62),
    (-1.08, 1.15)),
     ((-1.16, 1.15), (-1.16, 1.61), (-1.66, 1.59), (-1.86, 1.2))),
),), (1.36, -1.34), 0.38, lamps=(0.76, 0.94), doors=(0.95, -0.26, -1.12))  # fmt: skip
VAN = _model("car", "van", (Body(
    ((2.3, 0.3), (2.36, 0.6), (2.26, 0.98), (1.75, 1.14), (1.05, 1.86), (-2.1, 1.92), (-2.3, 1.2), (-2.36,
    0.6), (-2.3, 0.32)),
    "bbbgbgbb", 1.88, 1.14, 0.1,
    (((1.55, 1.18), (1.0, 1.75), (0.3, 1.78), (0.3, 1.16)), ((0.2, 1.18), (0.2, 1.78), (-0.9, 1.8), (-0.9,
    1.18)),
     ((-1.0, 1.18), (-1.0, 1.8), (-1.98, 1.8), (-2.1, 1.2))),
),), (1.5, -1.45), 0.34, lamps=(0.74, 0.96), doors=(1.3, 0.25, -0.95))  # fmt: skip


def _row(first: float, last: float, count: int, low: float, high: float) -> tuple:
    edges = np.linspace(first, last, count + 1)
    gap = 0.05
    return tuple(
        ((a - gap, low), (a - gap, high), (b + gap, high), (b + gap, low))
        for a, b in itertools.pairwise(edges)
    )


BUS = _model("bus", "bus", (Body(
    ((5.5, 0.35), (5.58, 1.1), (5.4, 2.75), (5.2, 3.05), (-5.4, 3.05), (-5.55, 2.6), (-5.55, 1.5), (-5.5,
    0.35)),
    "bgbbbgb", 2.5, 1.2, 0.05, _row(5.2, -5.3, 7, 1.35, 2.45),
),), (3.4, -2.6), 0.5, lamps=(0.62, 0.86), doors=(5.0, 3.95, -0.3, -1.4))  # fmt: skip
COACH = _model("bus", "coach", (Body(
    ((4.5, 0.35), (4.62, 1.0), (4.2, 2.75), (3.9, 3.0), (-4.4, 3.0), (-4.55, 2.5), (-4.55, 1.5), (-4.5,
    0.35)),
    "bgbbbgb", 2.45, 1.2, 0.06, _row(3.95, -4.3, 6, 1.4, 2.5),
),), (2.8, -2.3), 0.48, lamps=(0.62, 0.86), doors=(4.1, 3.2))  # fmt: skip
BOX_TRUCK = _model("truck", "box", (
    Body(((1.9, 0.9), (1.9, 3.2), (-3.6, 3.2), (-3.6, 0.9)), "bbb", 2.45, 5.0, bulk=True),
    Body(((3.6, 0.4), (3.66, 1.2), (3.4, 2.2), (3.2, 2.45), (2.0, 2.5), (2.0, 0.5)), "bgbbb", 2.2, 1.25, 0.06,
         (((3.35, 1.35), (3.2, 2.1), (2.35, 2.15), (2.35, 1.35)),)),
), (2.8, -2.2), 0.46, lamps=(0.68, 0.9), doors=(3.3, 2.2))  # fmt: skip
LORRY = _model("truck", "lorry", (
    Body(((2.3, 1.15), (2.3, 3.7), (-6.0, 3.7), (-6.0, 1.15)), "bbb", 2.5, 5.0, bulk=True),
    Body(((4.6, 0.45), (4.7, 1.4), (4.5, 2.7), (4.2, 3.15), (2.6, 3.3), (2.6, 0.7)), "bgbbb", 2.4, 1.45, 0.05,
         (((4.35, 1.6), (4.25, 2.5), (3.3, 2.55), (3.3, 1.6)),)),
), (3.9, 1.6, -3.2, -4.4), 0.5, lamps=(0.75, 1.0), doors=(4.3, 3.1))  # fmt: skip
TIPPER = _model("truck", "tipper", (
    Body(((1.3, 1.0), (1.5, 2.5), (-3.1, 2.4), (-3.3, 1.1)), "bbb", 2.4, 5.0, bulk=True),
    Body(((3.1, 0.5), (3.18, 1.4), (2.95, 2.4), (2.75, 2.75), (1.6, 2.8), (1.6, 0.6)), "bgbbb", 2.3, 1.45,
    0.05,
         (((2.85, 1.55), (2.7, 2.4), (1.95, 2.4), (1.95, 1.55)),)),
), (2.4, -1.2, -2.3), 0.5, lamps=(0.75, 1.0), doors=(2.8, 1.8))  # fmt: skip
MODELS = {"car": (SEDAN, HATCH, SUV, VAN), "bus": (BUS, COACH), "truck": (BOX_TRUCK, LORRY, TIPPER)}


def ground_shape(model: VehicleModel, x: float, z: float, yaw: float) -> np.ndarray:
    """The four corners `(4, 2)` (X, Z) of what a vehicle covers."""
    s, w = model.length / 2, model.bodies[-1].width / 2
    forward, left = np.array([np.sin(yaw), np.cos(yaw)]), np.array([-np.cos(yaw), np.sin(yaw)])
    return np.array([x, z]) + np.array([[s, w], [s, -w], [-s, -w], [-s, w]]) @ np.stack([forward, left])
