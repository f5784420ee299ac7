"""Persons on foot, and bicycles and motorcycles with and without riders, built of round-ended limbs and
rings.

Local axes in metres: s forward, y up, t to the left. `yaw` 0 looks away from the camera.
"""

from __future__ import annotations

import numpy as np

from unirestore.data.scenes.canvas import Canvas, Sketch
from unirestore.data.scenes.light import Light

SKINS = ((236, 200, 172), (222, 176, 140), (190, 138, 100), (140, 94, 66), (92, 62, 44))
HAIRS = ((28, 22, 20), (58, 40, 28), (104, 72, 42), (180, 146, 92), (150, 148, 146))
TOPS = (
    (34, 36, 42), (60, 64, 72), (170, 32, 36), (40, 70, 130), (222, 222, 218), (46, 96, 70), (214, 160, 50),
    (120, 70, 110),
    (88, 70, 54), (230, 120, 50), (110, 150, 180), (200, 210, 60),
)  # fmt: skip
TROUSERS = ((32, 34, 42), (44, 58, 92), (74, 74, 78), (110, 96, 76), (24, 24, 26), (150, 140, 120))
_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)


def _pick(rng: np.random.Generator, colours) -> np.ndarray:
    return np.array(colours[int(rng.integers(len(colours)))], float)


class Figure:
    """Gathers the limbs of one figure and paints them from far to near."""

    def __init__(self, canvas: Canvas, light: Light, x: float, z: float, yaw: float, label: int) -> None:
        self.canvas, self.light = canvas, light
        self.forward = np.array([np.sin(yaw), 0.0, np.cos(yaw)])
        self.left = np.array([-np.cos(yaw), 0.0, np.sin(yaw)])
        self.centre = np.array([x, 0.0, z])
        self.surface = canvas.upright(label, z)
        self.ends: list = []
        self.radii: list = []
        self.colours: list = []
        self.order: list[float] = []
        towards = -self.centre / max(np.linalg.norm(self.centre), 1e-6)
        self.tone = light.shade(np.array([towards[0], 0.25, towards[2]]))

    def world(self, points) -> np.ndarray:
        p = np.asarray(points, float).reshape(-1, 3)
        return (
            self.centre
            + p[:, :1] * self.forward
            + p[:, 1:2] * np.array([0.0, 1.0, 0.0])
            + p[:, 2:] * self.left
        )

    def limb(self, a, b, r1: float, r2: float, colour, bias: float = 0.0) -> None:
        """A limb from `a` to `b` with radii at both ends; `bias` metres moves it forward in the painting
        order."""
        ends = self.world([a, b])
        self.ends.append(ends)
        self.radii.append((r1, r2))
        self.colours.append((np.asarray(colour, float) * self.tone).clip(0, 255))
        self.order.append(float(ends[:, 2].mean()) - bias)

    def paint(self) -> tuple | None:
        """Draw what was gathered; gives its pixel box."""
        order = np.argsort(-np.array(self.order), kind="stable")
        sketch = Sketch()
        radii = np.array(self.radii)[order]
        sketch.capsules(
            self.canvas.camera,
            np.array(self.ends)[order],
            radii,
            [self.colours[i] for i in order],
            self.surface,
        )
        return self.canvas.paint(sketch)


def draw_person(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    x: float,
    z: float,
    yaw: float,
    height: float,
    label: int,
) -> tuple | None:
    """Paint a walking or standing person of `height` metres; gives the pixel box."""
    figure = Figure(canvas, light, x, z, yaw, label)
    k = height / 1.75
    top, trousers, skin, hair = _pick(rng, TOPS), _pick(rng, TROUSERS), _pick(rng, SKINS), _pick(rng, HAIRS)
    coat, bag = rng.random() < 0.3, rng.random() < 0.3
    stride = rng.uniform(0.1, 0.5) * (rng.random() < 0.8)
    phase = rng.choice((-1.0, 1.0))
    shoe = np.array((30, 28, 28)) if rng.random() < 0.7 else np.array((210, 210, 206))
    w = rng.uniform(0.92, 1.12)
    for sign in (1, -1):
        a = stride * phase * sign
        bend = 0.15 + 0.5 * max(0.0, -a)
        hip = np.array([0.0, 0.92, 0.09 * sign]) * k
        knee = hip + 0.44 * k * np.array([np.sin(a), -np.cos(a), 0])
        foot = knee + 0.43 * k * np.array([np.sin(a - bend), -np.cos(a - bend), 0])
        foot[1] = max(foot[1], 0.04)
        shade = 1.0 if sign > 0 else 0.82
        figure.limb(hip, knee, 0.085 * k * w, 0.06 * k, trousers * shade)
        figure.limb(knee, foot, 0.06 * k, 0.042 * k, trousers * shade * 0.95)
        figure.limb(foot, foot + np.array([0.14 * k, -0.015, 0]), 0.04 * k, 0.035 * k, shoe)
        shoulder = np.array([0.0, 1.4, 0.2 * sign * w]) * k
        b = -0.8 * a
        elbow = shoulder + 0.29 * k * np.array([np.sin(b), -np.cos(b), 0.06 * sign])
        hand = elbow + 0.26 * k * np.array([np.sin(b + 0.4), -np.cos(b + 0.4), 0])
        figure.limb(shoulder, elbow, 0.055 * k * w, 0.045 * k, top * (0.92 if sign > 0 else 0.8))
        figure.limb(elbow, hand, 0.043 * k, 0.033 * k, top * (0.88 if sign > 0 else 0.76))
        figure.limb(hand, hand + np.array([0.03, -0.05, 0]) * k, 0.036 * k, 0.03 * k, skin)
    for sign in (1, -1):
        figure.limb(
            np.array([0, 1.38, 0.1 * sign * w]) * k,
            np.array([0, 0.98, 0.075 * sign]) * k,
            0.105 * k * w,
            0.095 * k * w,
            top * (1.04 if sign > 0 else 0.93),
            0.03,
        )
    if coat:
        figure.limb(
            np.array([0, 1.0, 0]) * k, np.array([0, 0.68, 0]) * k, 0.16 * k, 0.19 * k, top * 0.9, 0.04
        )
    if bag:
        bag_colour = _pick(rng, TOPS)
        figure.limb(
            np.array([-0.14, 1.35, 0]) * k, np.array([-0.16, 1.08, 0]) * k, 0.11 * k, 0.13 * k, bag_colour
        )
    figure.limb(
        np.array([0, 1.45, 0]) * k, np.array([0.01, 1.54, 0]) * k, 0.055 * k, 0.05 * k, skin * 0.9, 0.04
    )
    figure.limb(
        np.array([0.02, 1.58, 0]) * k, np.array([0.025, 1.66, 0]) * k, 0.085 * k, 0.095 * k, skin, 0.05
    )
    figure.limb(
        np.array([-0.03, 1.66, 0]) * k,
        np.array([-0.015, 1.69, 0]) * k,
        0.1 * k,
        0.1 * k,
        hair,
        0.05 + 0.06 * np.sign(figure.forward[2]),
    )
    return figure.paint()


def draw_cycle(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    x: float,
    z: float,
    yaw: float,
    rider: bool,
    motor: bool,
    labels: tuple[int, int],
) -> tuple[tuple | None, tuple | None, int]:
    """Paint a bicycle or motorcycle with or without a rider.

    Gives the pixel boxes of the cycle and the rider and the number of the first surface of the rider;
    `labels` are those of the two.
    """
    machine = Figure(canvas, light, x, z, yaw, labels[0])
    colour = _pick(
        rng, ((196, 44, 34), (30, 62, 132), (34, 36, 40), (220, 220, 216), (60, 130, 80), (214, 150, 40))
    )
    (_motor if motor else _bicycle)(machine, colour, rng, light)
    box = _wheels_then(machine, motor, light)
    if not rider:
        return box, None, len(canvas.planes)
    first = len(canvas.planes)
    person = Figure(canvas, light, x, z, yaw, labels[1])
    _rider(person, rng, motor)
    return box, person.paint(), first


def _wheels_then(figure: Figure, motor: bool, light: Light) -> tuple | None:
    radius, tyre, reach = (0.31, 0.085, 0.7) if motor else (0.34, 0.028, 0.53)
    view = figure.centre / np.linalg.norm(figure.centre)
    side_on = abs(float(figure.left @ view))
    sketch, boxes = Sketch(), []
    dark = (np.array((26, 26, 28)) * figure.tone).clip(0, 255)
    ahead = reach if figure.forward[2] > 0 else -reach
    for s in (ahead, -ahead):
        rim = np.stack([s + radius * np.cos(_TURN), radius + radius * np.sin(_TURN), np.zeros(len(_TURN))], 1)
        inner = np.stack(
            [
                s + (radius - 2 * tyre) * np.cos(_TURN),
                radius + (radius - 2 * tyre) * np.sin(_TURN),
                np.zeros(len(_TURN)),
            ],
            1,
        )
        if side_on < 0.25 or motor:
            for t in (-tyre, tyre):
                sketch.polygon(figure.world(rim + np.array([0, 0, t])), dark, figure.surface)
            if side_on > 0.3:
                sketch.polygon(
                    figure.world(inner + np.array([0, 0, tyre * np.sign(-figure.left[2] or 1)])),
                    (np.array((92, 94, 98)) * figure.tone).clip(0, 255),
                )
            ends = figure.world([(s, tyre, 0), (s, 2 * radius - tyre, 0)])[None]
            sketch.capsules(figure.canvas.camera, ends, np.full((1, 2), tyre), [dark], figure.surface)
        else:
            ring = np.concatenate([rim, rim[:1], inner[:1], inner[:0:-1], inner[:1]])
            sketch.polygon(figure.world(ring), dark, figure.surface)
            spokes = [
                [(s, radius, 0), (s + radius * np.cos(a), radius + radius * np.sin(a), 0)]
                for a in np.arange(3) * 2.094 + 0.3
            ]
            ends = np.concatenate([figure.world(p)[None] for p in spokes])
            sketch.capsules(
                figure.canvas.camera, ends, np.full((3, 2), 0.008), [(150 * figure.tone).clip(0, 255)] * 3
            )
    boxes.append(figure.canvas.paint(sketch))
    boxes.append(figure.paint())
    boxes = np.array([b for b in boxes if b is not None])
    return tuple(np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])) if len(boxes) else None


def _bicycle(f: Figure, colour: np.ndarray, rng: np.random.Generator, light: Light) -> None:
    back, front, crank, seat, head = (
        (-0.53, 0.34, 0),
        (0.53, 0.34, 0),
        (-0.08, 0.3, 0),
        (-0.22, 0.86, 0),
        (0.36, 0.84, 0),
    )
    for a, b in ((back, crank), (crank, seat), (seat, head), (crank, head), (seat, back), (head, front)):
        f.limb(a, b, 0.024, 0.024, colour)
    dark = np.array((34, 34, 36))
    f.limb((-0.22, 0.86, 0), (-0.24, 0.95, 0), 0.02, 0.02, dark)
    f.limb((-0.34, 0.97, 0), (-0.14, 0.97, 0), 0.05, 0.03, dark)
    f.limb((0.36, 0.84, 0), (0.33, 1.0, 0), 0.02, 0.02, dark)
    f.limb((0.36, 1.02, 0.28), (0.36, 1.02, -0.28), 0.02, 0.02, dark)
    f.limb((-0.5, 0.74, 0), (-0.52, 0.76, 0), 0.035, 0.035, np.array((210, 36, 30)))


def _motor(f: Figure, colour: np.ndarray, rng: np.random.Generator, light: Light) -> None:
    dark, metal = np.array((36, 36, 40)), np.array((150, 152, 156))
    f.limb((-0.25, 0.42, 0), (0.25, 0.45, 0), 0.2, 0.2, dark)
    f.limb((-0.1, 0.36, 0.12), (-0.75, 0.36, 0.16), 0.05, 0.06, metal)
    f.limb((0.62, 0.35, 0), (0.42, 0.92, 0), 0.05, 0.05, metal)
    f.limb((-0.62, 0.72, 0), (-0.05, 0.74, 0), 0.11, 0.13, dark)
    f.limb((0.0, 0.78, 0), (0.32, 0.84, 0), 0.15, 0.14, colour)
    f.limb((0.36, 0.75, 0), (0.52, 0.88, 0), 0.15, 0.14, colour)
    f.limb((-0.82, 0.8, 0), (-0.62, 0.74, 0), 0.07, 0.1, colour)
    f.limb((0.4, 1.0, 0.36), (0.4, 1.0, -0.36), 0.028, 0.028, dark)
    lamp = (
        np.array((255, 250, 226)) / np.maximum(f.tone, 0.2)
        if light.lamps or rng.random() < 0.6
        else np.array((214, 216, 220))
    )
    f.limb((0.6, 0.86, 0), (0.64, 0.86, 0), 0.085, 0.08, lamp)
    f.limb((-0.88, 0.8, 0), (-0.9, 0.8, 0), 0.05, 0.05, np.array((220, 30, 26)))
    if rng.random() < 0.4:
        f.limb((0.5, 1.0, 0), (0.4, 1.2, 0), 0.14, 0.1, np.array((120, 140, 150)))


def _rider(f: Figure, rng: np.random.Generator, motor: bool) -> None:
    top, trousers, skin = _pick(rng, TOPS), _pick(rng, TROUSERS), _pick(rng, SKINS)
    hip_y, lean, bar = (
        (0.9, 0.28, (0.4, 1.02, 0.3)) if motor else (1.0, rng.uniform(0.2, 0.42), (0.36, 1.05, 0.24))
    )
    hip_s = -0.25
    neck = np.array([hip_s + lean, hip_y + 0.5, 0])
    turn = rng.uniform(0, 2 * np.pi)
    for sign in (1, -1):
        hip = np.array([hip_s, hip_y, 0.1 * sign])
        if motor:
            foot, knee = np.array([0.0, 0.36, 0.2 * sign]), np.array([0.2, 0.78, 0.2 * sign])
        else:
            a = turn + (0 if sign > 0 else np.pi)
            foot = np.array([-0.06 + 0.17 * np.cos(a), 0.32 + 0.17 * np.sin(a), 0.11 * sign])
            reach = foot - hip
            knee = (
                hip
                + reach * 0.5
                + 0.8 * np.sqrt(max(0.0, 0.21 - (reach**2).sum() / 4)) * np.array([0.8, 0.6, 0])
            )
        figure_shade = 1.0 if sign > 0 else 0.85
        f.limb(hip, knee, 0.09, 0.065, trousers * figure_shade)
        f.limb(knee, foot, 0.062, 0.045, trousers * figure_shade * 0.95)
        f.limb(foot, foot + np.array([0.14, -0.01, 0]), 0.042, 0.035, np.array((36, 34, 34)))
        shoulder = neck + np.array([-0.03, -0.08, 0.18 * sign])
        hand = np.array([bar[0], bar[1], bar[2] * sign])
        elbow = (shoulder + hand) / 2 + np.array([-0.05, -0.08, 0.05 * sign])
        f.limb(shoulder, elbow, 0.055, 0.046, top * (0.94 if sign > 0 else 0.82))
        f.limb(elbow, hand, 0.045, 0.035, top * (0.9 if sign > 0 else 0.78))
        f.limb(hand, hand + np.array([0.03, 0, 0]), 0.036, 0.036, skin)
        f.limb(
            neck + np.array([-0.03, -0.12, 0.09 * sign]),
            np.array([hip_s, hip_y + 0.04, 0.07 * sign]),
            0.12,
            0.11,
            top,
            0.02,
        )
    head = neck + np.array([0.07, 0.17, 0])
    f.limb(neck, head, 0.055, 0.06, skin * 0.9, 0.02)
    f.limb(head, head + np.array([0.01, 0.05, 0]), 0.09, 0.1, skin, 0.04)
    helmet = motor or rng.random() < 0.6
    cover = _pick(rng, TOPS) if helmet else _pick(rng, HAIRS)
    r = 0.135 if motor else 0.11
    back = 0.08 * np.sign(f.forward[2]) if not motor else 0.06
    f.limb(head + np.array([-0.03, 0.06, 0]), head + np.array([0.0, 0.1, 0]), r, r, cover, 0.05 + back)
