"""Cars, buses and trucks: a side profile extruded across the width, so that every view comes out of one
model.

`yaw` 0 drives away from the camera. Colours are plain tuples here: a vehicle is some hundred small shapes,
and arrays would cost more than the drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unirestore.data.scenes.canvas import Canvas, Sketch
from unirestore.data.scenes.light import Light
from unirestore.data.scenes.vehicle_models import BUS_PAINTS, LOADS, PAINTS, Body, VehicleModel

RGB = tuple[float, float, float]
_CIRCLE = [(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * np.pi, 16, endpoint=False)]
_GLASS = (34.0, 42.0, 50.0)
_TYRE = (24.0, 24.0, 26.0)
_DARK = (26.0, 27.0, 30.0)
_UP = (0.0, 1.0, 0.0)
_SMALL = 26.0  # pixels of length below which details are left out


def draw_vehicle(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    model: VehicleModel,
    x: float,
    z: float,
    yaw: float,
    label: int,
) -> tuple[float, float, float, float]:
    """Paint a vehicle that stands at world (x, z); gives the pixel box of all of it, also outside the
    picture."""
    paints = BUS_PAINTS if model.name == "bus" else PAINTS
    paint = _dim(paints[int(rng.integers(len(paints)))], rng.uniform(0.92, 1.06))
    load = LOADS[int(rng.integers(len(LOADS)))]
    lit = light.lamps or rng.random() < 0.15
    painter = _Painter(canvas, light, x, z, yaw, label, model, lit)
    painter.under()
    for body in sorted(model.bodies, key=painter.distance, reverse=True):
        painter.body(body, load if body.bulk else paint)
    painter.wheels(rng.uniform(0, 6.28))
    box = canvas.paint(painter.sketch)
    for s, t, y, colour in painter.glows:
        (point,) = canvas.camera.project(painter.sketch.world([(s, y, t)]))
        canvas.glow(point[0], point[1], max(2.0, 0.55 * canvas.camera.pixels_per_metre(z)), colour)
    return box


def _dim(colour: Sequence[float], factor: float) -> RGB:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _end(s: float, y1: float, y2: float, t1: float, t2: float) -> list:
    """A quadrilateral across the vehicle at one s."""
    return [(s, y1, t1), (s, y2, t1), (s, y2, t2), (s, y1, t2)]


def _along(s1: float, s2: float, y1: float, y2: float, t: float) -> list:
    """A quadrilateral along the vehicle at one t."""
    return [(s1, y1, t), (s1, y2, t), (s2, y2, t), (s2, y1, t)]


class _Painter:
    """Turns the model of one vehicle into polygons of one sketch, back faces left out."""

    def __init__(
        self, canvas: Canvas, light: Light, x, z, yaw, label: int, model: VehicleModel, lit: bool
    ) -> None:
        self.canvas, self.light, self.label, self.model, self.lit = canvas, light, label, model, lit
        self.small = canvas.camera.pixels_per_metre(z) * model.length < _SMALL
        sin, cos = math.sin(yaw), math.cos(yaw)
        self.forward, self.backward, self.left = (sin, 0.0, cos), (-sin, 0.0, -cos), (-cos, 0.0, sin)
        self.centre, self.eye = (x, 0.0, z), (0.0, canvas.camera.height, 0.0)
        self.sketch = Sketch((self.forward, _UP, self.left), self.centre)
        self.side = 1.0 if self.left[0] * -x + self.left[2] * -z > 0 else -1.0
        self.flank_normal = _dim(self.left, self.side)
        self.default = canvas.upright(label, z)
        self.glows: list[tuple[float, float, float, RGB]] = []

    def at(self, s: float, y: float, t: float = 0.0) -> RGB:
        """World point of a local one."""
        return (
            self.centre[0] + s * self.forward[0] + t * self.left[0],
            y,
            self.centre[2] + s * self.forward[2] + t * self.left[2],
        )

    def faces(self, normal: RGB, point: RGB) -> bool:
        return sum(n * (e - p) for n, e, p in zip(normal, self.eye, point)) > 0

    def distance(self, body: Body) -> float:
        """How far from the camera the middle of a body is."""
        s = (body.profile[0][0] + body.profile[-1][0]) / 2
        return math.dist(self.at(s, 1.0), self.eye)

    def colour(self, base: Sequence[float], normal: RGB, sky: float = 0.0) -> RGB:
        """A colour as it looks on a face with this normal that mirrors a share `sky` of the horizon."""
        tone, horizon = self.light.factors(normal), self.light.horizon_rgb
        return tuple(min(255.0, b * t * (1 - sky) + h * sky) for b, t, h in zip(base, tone, horizon))

    def under(self) -> None:
        """The dark space below the body, and the tyres seen from the front and the back."""
        model, add = self.model, self.sketch.polygon
        body = model.bodies[-1]
        w = body.width / 2 - 0.1
        ends = [s for b in model.bodies for s, _ in b.profile]
        s1, s2 = max(ends) - 0.3, min(ends) + 0.3
        top = body.profile[0][1] + 0.15
        low = 0.5 * body.profile[0][1]
        dark = self.colour((15, 15, 17), _UP)
        for t in (w, -w):
            add(_along(s1, s2, low, top, t), dark, self.default)
        for s in (s1, s2):
            add(_end(s, low, top, w, -w), dark, self.default)
        tyre, r = self.colour(_TYRE, _UP), model.radius
        broad = 0.22 if r < 0.42 else 0.4
        for wheel in model.wheels:
            for t in (w, broad - w):
                for s in (wheel + 0.7 * r, wheel - 0.7 * r):
                    add(_end(s, 0.0, r, t, t - broad), tyre, self.default)

    def body(self, body: Body, paint: Sequence[float]) -> None:
        """The strips of a body that face the camera, from far to near, and then its flank."""
        add = self.sketch.polygon
        half = [body.width / 2 - (body.lean if y > body.belt else 0.0) for _, y in body.profile]
        edges = []
        for i in range(len(body.roles)):
            (s1, y1), (s2, y2) = body.profile[i], body.profile[i + 1]
            length = math.hypot(y2 - y1, s1 - s2)
            ns, ny = (y2 - y1) / length, (s1 - s2) / length
            normal = (ns * self.forward[0], ny, ns * self.forward[2])
            middle = self.at((s1 + s2) / 2, (y1 + y2) / 2)
            if self.faces(normal, middle):
                edges.append((math.dist(middle, self.eye), i, normal, middle))
        seen = {edge[1] for edge in edges}
        for _, i, normal, middle in sorted(edges, reverse=True):
            (s1, y1), (s2, y2), h1, h2 = body.profile[i], body.profile[i + 1], half[i], half[i + 1]
            surface = self.canvas.surface(self.label, normal, middle)
            strip = [(s1, y1, h1), (s2, y2, h2), (s2, y2, -h2), (s1, y1, -h1)]
            add(strip, self.colour(paint, normal, 0.04 + 0.2 * max(0.0, normal[1])), surface)
            if body.roles[i] == "g":
                self.glass(s1, y1, h1, s2, y2, h2, normal)
        if (0 in seen or 1 in seen) and not body.bulk:
            self.front(body)
        if len(body.roles) - 1 in seen and (body.bulk or len(self.model.bodies) == 1):
            self.rear(body)
        if self.faces(self.flank_normal, self.at(0.0, 1.0, self.side * body.width / 2)):
            self.flank(body, half, paint)

    def glass(self, s1, y1, h1, s2, y2, h2, normal: RGB) -> None:
        """A windscreen or rear window with the sky in its upper half."""

        def edge(f: float, inset: float) -> tuple[float, float, float]:
            return s1 + (s2 - s1) * f, y1 + (y2 - y1) * f, h1 + (h2 - h1) * f - inset

        low, high = (
            (0.08, 0.94) if y2 > y1 else (0.92, 0.08)
        )  # fractions of the strip at its lower and upper edge
        a, b, m = edge(low, 0.08), edge(high, 0.08), edge(0.5 * (low + high), 0.08)
        bright = 0.34 if self.light.time != "dusk" else 0.14
        self.sketch.polygon([a, b, _mirror(b), _mirror(a)], self.colour(_GLASS, normal, 0.35 * bright))
        if not self.small:
            self.sketch.polygon(
                [m, b, _mirror(b), (m[0], m[1], 0.1 * h1)], self.colour(_GLASS, normal, bright)
            )

    def front(self, body: Body) -> None:
        """Head lamps, grille, lower intake, plate and, on a bus, the sign of its line."""
        add, small = self.sketch.polygon, self.small
        s, w = body.profile[1][0] + 0.01, body.width / 2
        low, high = self.model.lamps
        lamp = (255, 248, 222) if self.lit else self.colour((216, 222, 228), self.forward, 0.25)
        for t in (w, -w):
            corners = [
                (s, low, 0.6 * t),
                (s, high - 0.02, 0.56 * t),
                (s - 0.06, high, 0.95 * t),
                (s - 0.04, low + 0.04, 0.95 * t),
            ]
            add(corners, lamp)
            if self.lit:
                self.glows.append((s, 0.76 * t, (low + high) / 2, (96, 90, 70)))
        dark = self.colour(_DARK, self.forward)
        add(_end(s, low + 0.02, high - 0.03, 0.5 * w, -0.5 * w), dark)
        if not small:
            base = body.profile[0][1]
            add(_end(s, base + 0.05, low - 0.14, 0.68 * w, -0.68 * w), dark)
            add(
                _end(s + 0.01, low + 0.07, low + 0.09, 0.5 * w, -0.5 * w),
                self.colour((150, 152, 156), self.forward),
            )
            self.plate(s + 0.02, low - 0.16, (238, 238, 232), self.forward)
            for t in (0.86 * w, -0.86 * w):  # fog lamps
                add(
                    _end(s, base + 0.1, base + 0.18, t + 0.06, t - 0.06),
                    self.colour((190, 192, 194), self.forward),
                )
        if self.model.name == "bus":
            y = body.profile[2][1]
            add(
                _end(body.profile[2][0] + 0.02, y + 0.02, y + 0.24, 0.7 * w, -0.7 * w),
                self.colour((20, 20, 22), self.forward),
            )
            add(_end(body.profile[2][0] + 0.04, y + 0.07, y + 0.19, 0.45 * w, -0.5 * w), (255, 176, 60))

    def rear(self, body: Body) -> None:
        """Tail lamps, bumper, plate, and the seam of cargo doors."""
        add, model = self.sketch.polygon, self.model
        s, w, base = body.profile[-2][0] - 0.01, body.width / 2, body.profile[-1][1]
        car = model.name == "car"
        low, high = (model.lamps[0] + 0.08, model.lamps[1] + 0.14) if car else (base + 0.1, base + 0.34)
        red = (255, 66, 48) if self.lit else self.colour((172, 20, 24), self.backward, 0.06)
        for t in (w, -w):
            add(_end(s, low, high, 0.66 * t, 0.96 * t), red)
            if not self.small:
                add(
                    _end(s - 0.01, low + 0.02, low + 0.08, 0.7 * t, 0.92 * t),
                    self.colour((226, 150, 120), self.backward),
                )
            if self.lit:
                self.glows.append((s, 0.8 * t, (low + high) / 2, (110, 16, 10)))
        if self.small:
            return
        dark = self.colour((44, 45, 48), self.backward)
        if body.bulk:
            add(_end(s, high + 0.1, body.profile[-2][1] - 0.1, 0.025, -0.025), dark)
            for t in (0.5 * w, -0.5 * w):
                add(
                    _end(s, high + 0.2, body.profile[-2][1] - 0.2, t + 0.02, t - 0.02),
                    self.colour((150, 150, 150), self.backward),
                )
            add(_end(s, base - 0.35, base - 0.2, 0.95 * w, -0.95 * w), dark)
        else:
            add(_end(s, base + 0.04, base + 0.16, 0.9 * w, -0.9 * w), dark)
        self.plate(s - 0.02, low - 0.06, (238, 214, 96) if self.side > 0 else (238, 238, 232), self.backward)

    def plate(self, s: float, y: float, colour: RGB, normal: RGB) -> None:
        self.sketch.polygon(_end(s, y - 0.06, y + 0.06, 0.26, -0.26), self.colour(colour, normal))

    def flank(self, body: Body, half: list[float], paint: Sequence[float]) -> None:
        """The side that faces the camera: shoulder line, shaded sill, windows, doors, mirror."""
        add, k, normal, small = self.sketch.polygon, self.side, self.flank_normal, self.small
        w = k * body.width / 2
        surface = self.canvas.surface(self.label, normal, self.at(0.0, 0.0, w))
        add(
            [(s, y, k * h) for (s, y), h in zip(body.profile, half)],
            self.colour(paint, normal, 0.06),
            surface,
        )
        ends, bottom, top = [s for s, _ in body.profile], body.profile[0][1], max(y for _, y in body.profile)
        s1, s2, belt = max(ends) - 0.12, min(ends) + 0.12, min(body.belt, top)
        if body.bulk:
            rail = self.colour(_dim(paint, 0.7), normal)
            for y in (bottom, top - 0.14) if not small else ():
                add(_along(s1 + 0.1, s2 - 0.1, y, y + 0.14, w), rail)
            for s in np.arange(s2 + 1.0, s1 - 0.4, 1.1) if not small else ():
                add(_along(s, s + 0.03, bottom, top, w), self.colour(_dim(paint, 0.86), normal))
            return
        raised = (normal[0] * 0.74, 0.67, normal[2] * 0.74)
        upper, lower = (s1 - 0.3, belt - 0.1, w), (s1 - 0.05, belt - 0.24, w)
        add([lower, upper, (s2 + 0.1, belt - 0.05, w), (s2, belt - 0.2, w)],
            self.colour(paint, raised, 0.18))  # fmt: skip
        add(
            _along(s1, s2, bottom, bottom + 0.36 * (belt - bottom), w), self.colour(_dim(paint, 0.68), normal)
        )
        self.panes(body, top)
        if small:
            return
        seam = self.colour(_dim(paint, 0.5), normal)
        for i, door in enumerate(self.model.doors):
            add(_along(door, door - 0.03, bottom + 0.06, belt, w), seam)
            if i + 1 < len(self.model.doors) and self.model.name == "car":
                add(
                    _along(door - 0.62, door - 0.8, belt - 0.17, belt - 0.13, w),
                    self.colour(_dim(paint, 0.4), normal),
                )
        if self.model.name != "bus":
            s, y = body.windows[0][0][0], body.belt + 0.02
            add([(s, y, w), (s, y + 0.15, w * 1.14), (s - 0.2, y + 0.15, w * 1.14), (s - 0.18, y, w * 1.14)],
                self.colour(_dim(paint, 0.62), normal), surface)  # fmt: skip
        else:
            stripe = self.colour((240, 240, 236) if sum(paint) < 480 else (60, 90, 150), normal)
            add(_along(s1, s2, belt - 0.46, belt - 0.36, w), stripe)

    def panes(self, body: Body, top: float) -> None:
        """Side windows, each with a slanted streak of sky."""
        normal, k, span = self.flank_normal, self.side, max(top - body.belt, 1e-3)
        lit = self.light.lamps and self.model.name == "bus"
        pane = self.colour(_GLASS, normal, 0.12) if not lit else (206, 190, 140)
        streak = self.colour(_GLASS, normal, 0.36)
        for window in body.windows:
            corners = [
                (s, y, k * (body.width / 2 - body.lean * min(max((y - body.belt) / span, 0.0), 1.0)))
                for s, y in window
            ]
            self.sketch.polygon(corners, pane)
            if not self.small and not lit:
                a, b, c, d = (np.array(corner) for corner in corners)
                self.sketch.polygon([b, 0.55 * b + 0.45 * c, 0.75 * a + 0.25 * d, 0.4 * b + 0.6 * a], streak)

    def wheels(self, turn: float) -> None:
        """Arch, tyre, rim and spokes of each wheel on the side that faces the camera."""
        r, normal = self.model.radius, self.flank_normal
        t = self.side * self.model.bodies[-1].width / 2
        if not self.faces(normal, self.at(0.0, r, t)):
            return
        arch, tyre, rim = (
            self.colour((14, 14, 16), normal),
            self.colour(_TYRE, normal),
            self.colour((158, 160, 164), normal, 0.1),
        )
        for s in self.model.wheels:
            self.sketch.polygon(
                [(s + 1.22 * r * c, r + 1.22 * r * d, t) for c, d in _CIRCLE if d > -0.3], arch
            )
            self.disc(s, r, r, t * 1.005, tyre, self.default)
            self.disc(s, r, r * 0.66, t * 1.006, rim)
            if not self.small:
                self.disc(s, r, r * 0.54, t * 1.007, self.colour((72, 74, 78), normal))
                for i in range(5):
                    c, d = math.cos(turn + i * 1.2566), math.sin(turn + i * 1.2566)
                    n, q = 0.08 * r, 0.58 * r
                    self.sketch.polygon(
                        [
                            (s - n * d, r + n * c, t),
                            (s + q * c - n * d, r + q * d + n * c, t),
                            (s + q * c + n * d, r + q * d - n * c, t),
                        ],
                        rim,
                    )

    def disc(self, s: float, y: float, radius: float, t: float, colour: RGB, surface: int = 0) -> None:
        self.sketch.polygon([(s + radius * c, y + radius * d, t) for c, d in _CIRCLE], colour, surface)


def _mirror(point: tuple[float, float, float]) -> tuple[float, float, float]:
    return (point[0], point[1], -point[2])
