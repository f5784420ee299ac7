"""Cars, buses and trucks: a side profile extruded across the width, so that every view comes out of one model.

Local axes in metres: s forward along the vehicle, y up, t to its left. `yaw` 0 drives away from the camera.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from unirestore.data.scenes.camera import Camera
from unirestore.data.scenes.canvas import Canvas, Sketch
from unirestore.data.scenes.light import Light

_CIRCLE = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_GLASS = np.array([38.0, 46.0, 54.0])
_TYRE = np.array([24.0, 24.0, 26.0])
PAINTS = (
    (232, 232, 230), (196, 198, 202), (128, 132, 138), (66, 70, 76), (28, 29, 33), (158, 26, 30), (196, 44, 34), (30, 62, 132),
    (58, 104, 168), (20, 40, 74), (30, 84, 58), (206, 178, 46), (214, 112, 32), (150, 132, 104), (92, 62, 46), (118, 26, 44),
    (122, 160, 180), (218, 210, 190),
)  # fmt: skip


@dataclass(frozen=True)
class Body:
    """One extruded piece of a vehicle.

    `profile` runs from the front bottom over the roof to the rear bottom as (s, y); `roles` names each edge of it:
    `b` body, `g` glass. `belt` is the height above which the sides lean in by `lean` metres.
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
    ((2.2, 0.24), (2.27, 0.5), (2.15, 0.74), (0.95, 0.95), (0.2, 1.42), (-0.95, 1.43), (-1.65, 1.02), (-2.2, 0.98), (-2.28, 0.55), (-2.2, 0.26)),
    "bbbgbgbbb", 1.78, 0.95, 0.17,
    (((0.72, 0.98), (0.13, 1.34), (-0.33, 1.36), (-0.33, 0.98)), ((-0.41, 0.98), (-0.41, 1.36), (-0.92, 1.35), (-1.42, 1.03))),
),), (1.38, -1.36), 0.33, doors=(0.85, -0.37, -1.3))  # fmt: skip
HATCH = _model("car", "hatch", (Body(
    ((1.92, 0.24), (1.98, 0.5), (1.85, 0.78), (0.9, 0.98), (0.2, 1.47), (-1.3, 1.48), (-1.82, 1.02), (-1.95, 0.6), (-1.9, 0.26)),
    "bbbgbgbb", 1.72, 0.98, 0.15,
    (((0.68, 1.01), (0.14, 1.38), (-0.38, 1.41), (-0.38, 1.0)), ((-0.46, 1.0), (-0.46, 1.41), (-1.22, 1.39), (-1.5, 1.04))),
),), (1.22, -1.22), 0.31, doors=(0.8, -0.42, -1.2))  # fmt: skip
SUV = _model("car", "suv", (Body(
    ((2.2, 0.34), (2.28, 0.62), (2.2, 0.96), (1.05, 1.12), (0.42, 1.68), (-1.75, 1.7), (-2.12, 1.15), (-2.26, 0.7), (-2.2, 0.36)),
    "bbbgbgbb", 1.86, 1.12, 0.14,
    (((0.85, 1.15), (0.36, 1.6), (-0.22, 1.62), (-0.22, 1.15)), ((-0.3, 1.15), (-0.3, 1.62), (-1.08, 1.62), (-1.08, 1.15)),
     ((-1.16, 1.15), (-1.16, 1.61), (-1.66, 1.59), (-1.86, 1.2))),
),), (1.36, -1.34), 0.38, lamps=(0.76, 0.94), doors=(0.95, -0.26, -1.12))  # fmt: skip
VAN = _model("car", "van", (Body(
    ((2.3, 0.3), (2.36, 0.6), (2.26, 0.98), (1.75, 1.14), (1.05, 1.86), (-2.1, 1.92), (-2.3, 1.2), (-2.36, 0.6), (-2.3, 0.32)),
    "bbbgbgbb", 1.88, 1.14, 0.1,
    (((1.55, 1.18), (1.0, 1.75), (0.3, 1.78), (0.3, 1.16)), ((0.2, 1.18), (0.2, 1.78), (-0.9, 1.8), (-0.9, 1.18)),
     ((-1.0, 1.18), (-1.0, 1.8), (-1.98, 1.8), (-2.1, 1.2))),
),), (1.5, -1.45), 0.34, lamps=(0.74, 0.96), doors=(1.3, 0.25, -0.95))  # fmt: skip


def _row(first: float, last: float, count: int, low: float, high: float) -> tuple:
    edges = np.linspace(first, last, count + 1)
    gap = 0.05
    return tuple(
        ((a - gap, low), (a - gap, high), (b + gap, high), (b + gap, low))
        for a, b in zip(edges[:-1], edges[1:])
    )


BUS = _model("bus", "bus", (Body(
    ((5.5, 0.35), (5.58, 1.1), (5.4, 2.75), (5.2, 3.05), (-5.4, 3.05), (-5.55, 2.6), (-5.55, 1.5), (-5.5, 0.35)),
    "bgbbbgb", 2.5, 1.2, 0.05, _row(5.2, -5.3, 7, 1.35, 2.45),
),), (3.4, -2.6), 0.5, lamps=(0.62, 0.86), doors=(5.0, 3.95, -0.3, -1.4))  # fmt: skip
COACH = _model("bus", "coach", (Body(
    ((4.5, 0.35), (4.62, 1.0), (4.2, 2.75), (3.9, 3.0), (-4.4, 3.0), (-4.55, 2.5), (-4.55, 1.5), (-4.5, 0.35)),
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
    Body(((3.1, 0.5), (3.18, 1.4), (2.95, 2.4), (2.75, 2.75), (1.6, 2.8), (1.6, 0.6)), "bgbbb", 2.3, 1.45, 0.05,
         (((2.85, 1.55), (2.7, 2.4), (1.95, 2.4), (1.95, 1.55)),)),
), (2.4, -1.2, -2.3), 0.5, lamps=(0.75, 1.0), doors=(2.8, 1.8))  # fmt: skip
MODELS = {"car": (SEDAN, HATCH, SUV, VAN), "bus": (BUS, COACH), "truck": (BOX_TRUCK, LORRY, TIPPER)}


def draw_vehicle(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    model: VehicleModel,
    x: float,
    z: float,
    yaw: float,
    label: int,
) -> tuple | None:
    """Paint a vehicle that stands at world (x, z); gives the pixel box of all of it, also outside the picture."""
    paint = np.array(PAINTS[int(rng.integers(len(PAINTS)))], float)
    if model.name == "bus":
        paint = np.array(
            [(200, 40, 36), (226, 160, 40), (236, 236, 232), (44, 92, 168), (52, 128, 92)][
                int(rng.integers(5))
            ],
            float,
        )
    load = np.array(
        [(226, 226, 222), (200, 196, 186), (64, 92, 140), (150, 60, 48), (96, 108, 92), (182, 140, 60)][
            int(rng.integers(6))
        ],
        float,
    )
    painter = _Painter(
        canvas, light, x, z, yaw, label, small=canvas.camera.pixels_per_metre(z) * model.length < 26
    )
    painter.under(model)
    parts = sorted(model.bodies, key=lambda body: -painter.distance(np.mean([p[0] for p in body.profile])))
    for body in parts:
        painter.body(
            body,
            load if body.bulk else paint * rng.uniform(0.92, 1.08),
            model,
            lit=light.lamps or rng.random() < 0.12,
        )
    painter.wheels(model, rng)
    return canvas.paint(painter.sketch)


class _Painter:
    """Turns local shapes of one vehicle into polygons of one sketch."""

    def __init__(
        self, canvas: Canvas, light: Light, x: float, z: float, yaw: float, label: int, small: bool
    ) -> None:
        self.light, self.small, self.label, self.canvas = light, small, label, canvas
        self.sketch = Sketch()
        self.forward = np.array([np.sin(yaw), 0.0, np.cos(yaw)])
        self.left = np.array([-np.cos(yaw), 0.0, np.sin(yaw)])
        self.up = np.array([0.0, 1.0, 0.0])
        self.centre = np.array([x, 0.0, z])
        self.eye = np.array([0.0, canvas.camera.height, 0.0])
        self.side = 1.0 if self.faces(self.left, self.centre + self.left) else -1.0
        self.default = canvas.upright(label, z)

    def world(self, points) -> np.ndarray:
        """Local (s, y, t) -> world."""
        p = np.asarray(points, float).reshape(-1, 3)
        return self.centre + p[:, :1] * self.forward + p[:, 1:2] * self.up + p[:, 2:] * self.left

    def faces(self, normal: np.ndarray, point: np.ndarray) -> bool:
        return float(normal @ (self.eye - point)) > 0

    def distance(self, s: float) -> float:
        return float(np.linalg.norm(self.centre + s * self.forward - self.eye))

    def colour(self, base, normal: np.ndarray, sky: float = 0.0) -> np.ndarray:
        lit = np.asarray(base, float) * self.light.shade(normal)
        return (lit * (1 - sky) + self.light.horizon * sky).clip(0, 255)

    def add(self, points, colour, surface: int = 0) -> None:
        self.sketch.polygon(self.world(points), colour, surface)

    def under(self, model: VehicleModel) -> None:
        """The dark space below the body with the tyres at both ends."""
        s, w = model.length / 2 - 0.35, model.bodies[-1].width / 2 - 0.12
        dark = self.colour((16, 16, 18), self.up)
        mid = (
            0.5 * (model.bodies[0].profile[0][0] + model.bodies[0].profile[-1][0])
            if len(model.bodies) == 1
            else (model.wheels[0] + model.wheels[-1]) / 2
        )
        top = model.bodies[-1].profile[0][1] + 0.12
        low = 0.14 * top / 0.36
        for sign in (1, -1):
            self.add(
                [
                    (mid + s, low, sign * w),
                    (mid + s, top, sign * w),
                    (mid - s, top, sign * w),
                    (mid - s, low, sign * w),
                ],
                dark,
                self.default,
            )
        for end in (1, -1):
            self.add(
                [
                    (mid + end * s, low, w),
                    (mid + end * s, top, w),
                    (mid + end * s, top, -w),
                    (mid + end * s, low, -w),
                ],
                dark,
                self.default,
            )
        tyre = self.colour(_TYRE, self.up)
        for wheel in model.wheels:
            for end in (model.radius * 0.9, -model.radius * 0.9):
                for t in (w, -w):
                    inner = t - np.sign(t) * 0.22 * (1 + (model.radius > 0.42))
                    at = wheel + end * 0.6
                    self.add(
                        [(at, 0.0, t), (at, model.radius, t), (at, model.radius, inner), (at, 0.0, inner)],
                        tyre,
                        self.default,
                    )

    def body(self, body: Body, paint: np.ndarray, model: VehicleModel, lit: bool) -> None:
        profile = np.array(body.profile)
        half = np.where(profile[:, 1] > body.belt, body.width / 2 - body.lean, body.width / 2)
        label, edges = self.label, []
        for i, role in enumerate(body.roles):
            (s1, y1), (s2, y2) = profile[i], profile[i + 1]
            normal = np.array([y2 - y1, s1 - s2])
            normal /= np.linalg.norm(normal) + 1e-9
            world_normal = normal[0] * self.forward + normal[1] * self.up
            middle = self.world([((s1 + s2) / 2, (y1 + y2) / 2, 0.0)])[0]
            if self.faces(world_normal, middle):
                edges.append(
                    (float(np.linalg.norm(middle - self.eye)), i, role, world_normal, middle, normal)
                )
        for _, i, role, normal, middle, local in sorted(edges, key=lambda e: -e[0]):
            surface = self.canvas.surface(label, normal, middle)
            (s1, y1), (s2, y2), h1, h2 = profile[i], profile[i + 1], half[i], half[i + 1]
            shine = 0.22 * max(0.0, local[1])
            self.add(
                [(s1, y1, h1), (s2, y2, h2), (s2, y2, -h2), (s1, y1, -h1)],
                self.colour(paint, normal, shine),
                surface,
            )
            if role == "g":
                self.glass(s1, y1, h1, s2, y2, h2, normal)
        end = {e[1] for e in edges}
        if 0 in end or 1 in end:
            self.front(body, profile, model, lit)
        if len(body.roles) - 1 in end and not self.small:
            self.rear(body, profile, model, lit)
        elif len(body.roles) - 1 in end:
            self.rear(body, profile, model, lit)
        self.flank(body, profile, half, paint, model)

    def glass(self, s1, y1, h1, s2, y2, h2, normal) -> None:
        def at(f: float, inset: float):
            h = h1 + (h2 - h1) * f - inset
            return (s1 + (s2 - s1) * f, y1 + (y2 - y1) * f, h)

        low, high = (0.08, 0.94) if y2 > y1 else (0.06, 0.9)
        a, b = at(low, 0.08), at(high, 0.08)
        bright = 0.28 if self.light.time != "dusk" else 0.12
        self.add([a, b, (b[0], b[1], -b[2]), (a[0], a[1], -a[2])], self.colour(_GLASS, normal, bright * 0.5))
        if not self.small:  # the sky in the upper part
            c, d = at(low + 0.55 * (high - low), 0.1), at(high if y2 > y1 else low, 0.1)
            self.add(
                [c, d, (d[0], d[1], d[2] - 0.5 * h1), (c[0], c[1], -c[2])],
                self.colour(_GLASS, normal, bright),
            )

    def front(self, body: Body, profile: np.ndarray, model: VehicleModel, lit: bool) -> None:
        if body.bulk:
            return
        s = float(profile[1][0]) + 0.01
        w = body.width / 2
        low, high = model.lamps
        lamp = np.array((255, 246, 214)) if lit else self.colour((214, 220, 226), self.forward, 0.2)
        for sign in (1, -1):
            self.add(
                [
                    (s, low, sign * 0.6 * w),
                    (s, high - 0.02, sign * 0.56 * w),
                    (s - 0.06, high, sign * 0.95 * w),
                    (s - 0.04, low + 0.04, sign * 0.95 * w),
                ],
                lamp,
            )
        dark = self.colour((26, 27, 30), self.forward)
        self.add(
            [
                (s, low + 0.02, 0.5 * w),
                (s, high - 0.03, 0.5 * w),
                (s, high - 0.03, -0.5 * w),
                (s, low + 0.02, -0.5 * w),
            ],
            dark,
        )
        if not self.small:
            base = profile[0][1]
            self.add(
                [
                    (s, base + 0.08, 0.7 * w),
                    (s, low - 0.12, 0.66 * w),
                    (s, low - 0.12, -0.66 * w),
                    (s, base + 0.08, -0.7 * w),
                ],
                dark,
            )
            self.plate(s + 0.01, low - 0.16, (236, 236, 230))

    def rear(self, body: Body, profile: np.ndarray, model: VehicleModel, lit: bool) -> None:
        s = float(profile[-2][0]) - 0.01
        w = body.width / 2
        low, high = (
            (model.lamps[0] + 0.1, model.lamps[1] + 0.14)
            if model.name == "car"
            else (profile[-1][1] + 0.1, profile[-1][1] + 0.32)
        )
        if len(model.bodies) > 1 and not body.bulk:
            return
        red = np.array((255, 64, 48)) if lit else self.colour((176, 20, 24), -self.forward, 0.06)
        for sign in (1, -1):
            self.add(
                [
                    (s, low, sign * 0.64 * w),
                    (s, high, sign * 0.66 * w),
                    (s, high, sign * 0.96 * w),
                    (s, low, sign * 0.96 * w),
                ],
                red,
            )
        if body.bulk and not self.small:
            seam = self.colour((70, 70, 72), -self.forward)
            self.add(
                [
                    (s, low + 0.3, 0.03),
                    (s, profile[-2][1] - 0.1, 0.03),
                    (s, profile[-2][1] - 0.1, -0.03),
                    (s, low + 0.3, -0.03),
                ],
                seam,
            )
        elif not self.small:
            self.add(
                [(s, 0.3, 0.9 * w), (s, 0.42, 0.9 * w), (s, 0.42, -0.9 * w), (s, 0.3, -0.9 * w)],
                self.colour((40, 41, 44), -self.forward),
            )
        if not self.small:
            self.plate(s - 0.01, low - 0.06, (232, 206, 84) if self.side > 0 else (236, 236, 230))

    def plate(self, s: float, y: float, colour) -> None:
        self.add(
            [(s, y - 0.06, 0.26), (s, y + 0.06, 0.26), (s, y + 0.06, -0.26), (s, y - 0.06, -0.26)],
            self.colour(colour, self.forward * np.sign(s)),
        )

    def flank(
        self, body: Body, profile: np.ndarray, half: np.ndarray, paint: np.ndarray, model: VehicleModel
    ) -> None:
        k = self.side
        normal = self.left * k
        if not self.faces(normal, self.centre + normal * body.width / 2):
            return
        surface = self.canvas.surface(self.label, normal, self.centre + normal * body.width / 2)
        self.add(
            [(s, y, k * h) for (s, y), h in zip(profile, half)], self.colour(paint, normal, 0.05), surface
        )
        bottom, w = profile[0][1], k * body.width / 2
        s1, s2 = float(profile[:, 0].max()) - 0.1, float(profile[:, 0].min()) + 0.1
        belt = min(body.belt, profile[:, 1].max())
        shoulder = self.colour(paint, (normal + 0.9 * self.up) / 1.35, 0.16)
        lower = self.colour(paint * 0.72, normal)
        mid = bottom + 0.42 * (belt - bottom)
        if not body.bulk:
            self.add(
                [
                    (s1, belt - 0.2, w),
                    (s1 - 0.1, belt - 0.08, w),
                    (s2 + 0.1, belt - 0.06, w),
                    (s2, belt - 0.2, w),
                ],
                shoulder,
            )
            self.add([(s1, bottom, w), (s1, mid, w), (s2, mid, w), (s2, bottom, w)], lower)
        elif not self.small:
            rail = self.colour(paint * 0.7, normal)
            top = profile[1][1]
            for y in (bottom, top - 0.12):
                self.add(
                    [(s1 + 0.1, y, w), (s1 + 0.1, y + 0.12, w), (s2 - 0.1, y + 0.12, w), (s2 - 0.1, y, w)],
                    rail,
                )
        pane = self.colour(_GLASS, normal, 0.14)
        streak = self.colour(_GLASS, normal, 0.34)
        span = max(profile[:, 1].max() - body.belt, 1e-3)
        for window in body.windows:
            corners = [
                (s, y, k * (body.width / 2 - body.lean * np.clip((y - body.belt) / span, 0, 1)))
                for s, y in window
            ]
            self.add(corners, pane)
            if not self.small:
                low, high = (np.array(c) for c in (corners[0], corners[1]))
                next_low, next_high = np.array(corners[3]), np.array(corners[2])
                self.add(
                    [
                        high,
                        0.6 * high + 0.4 * next_high,
                        0.55 * high + 0.2 * next_high + 0.25 * next_low,
                        0.45 * low + 0.55 * high,
                    ],
                    streak,
                )
        if not self.small and not body.bulk:
            seam = self.colour(paint * 0.55, normal)
            for door in model.doors:
                self.add(
                    [
                        (door, bottom + 0.05, w),
                        (door, belt, w),
                        (door - 0.03, belt, w),
                        (door - 0.03, bottom + 0.05, w),
                    ],
                    seam,
                )
            if model.name == "car":
                s = float(body.windows[0][0][0])
                y = body.belt
                self.add(
                    [
                        (s, y, w * 1.02),
                        (s, y + 0.14, w * 1.14),
                        (s - 0.2, y + 0.14, w * 1.14),
                        (s - 0.2, y, w * 1.02),
                    ],
                    self.colour(paint * 0.6, normal),
                    surface,
                )

    def wheels(self, model: VehicleModel, rng: np.random.Generator) -> None:
        k, r = self.side, model.radius
        w = k * model.bodies[-1].width / 2
        normal = self.left * k
        if not self.faces(normal, self.centre + normal * abs(w)):
            return
        for s in model.wheels:
            self.disc(s, r * 1.0, r * 1.2, w, self.colour((14, 14, 16), normal), 0, half=True)
            self.disc(s, r, r, w * 1.005, self.colour(_TYRE, normal), self.default)
            self.disc(s, r, r * 0.66, w * 1.006, self.colour((150, 152, 156), normal, 0.1))
            if not self.small:
                self.disc(s, r, r * 0.5, w * 1.007, self.colour((78, 80, 84), normal))
                turn = rng.uniform(0, 6.28)
                for angle in turn + np.arange(5) * 1.2566:
                    c, d = np.cos(angle), np.sin(angle)
                    n = 0.07 * r
                    self.add(
                        [
                            (s - n * d, r + n * c, w),
                            (s + 0.6 * r * c - n * d, r + 0.6 * r * d + n * c, w),
                            (s + 0.6 * r * c + n * d, r + 0.6 * r * d - n * c, w),
                            (s + n * d, r - n * c, w),
                        ],
                        self.colour((168, 170, 174), normal),
                    )

    def disc(
        self, s: float, y: float, radius: float, t: float, colour, surface: int = 0, half: bool = False
    ) -> None:
        ring = np.stack(
            [s + radius * np.cos(_CIRCLE), y + radius * np.sin(_CIRCLE), np.full(len(_CIRCLE), t)], 1
        )
        if half:
            ring = ring[ring[:, 1] >= y - 0.25 * radius]
        self.add(ring, colour, surface)


def ground_shape(model: VehicleModel, x: float, z: float, yaw: float) -> np.ndarray:
    """The four corners `(4, 2)` (X, Z) of what a vehicle covers."""
    s, w = model.length / 2, model.bodies[-1].width / 2
    forward, left = np.array([np.sin(yaw), np.cos(yaw)]), np.array([-np.cos(yaw), np.sin(yaw)])
    return np.array([x, z]) + np.array([[s, w], [s, -w], [-s, -w], [-s, w]]) @ np.stack([forward, left])


def nearest(model: VehicleModel, z: float, yaw: float) -> float:
    """Depth of the nearest corner of a vehicle."""
    return z - abs(np.cos(yaw)) * model.length / 2 - abs(np.sin(yaw)) * 1.3


__all__ = ["MODELS", "Camera", "draw_vehicle", "ground_shape", "nearest"]
