"""What lines a street: buildings with windows, trees, lamps, signs and fences."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from unirestore.data.scenes.canvas import Canvas, Sketch
from unirestore.data.scenes.light import Light

WALLS = (
    (178, 110, 84), (156, 88, 70), (200, 184, 156), (218, 208, 188), (186, 184, 178), (150, 152, 156), (210, 190, 150),
    (164, 142, 118), (226, 224, 216), (120, 104, 96), (190, 150, 120),
)  # fmt: skip
_TILE = 24


@lru_cache(maxsize=32)
def window_tile(style: int) -> tuple[np.ndarray, np.ndarray]:
    """One bay of one storey: wall factor `(T, T)` uint8 around 128 and glass mask `(T, T)` bool."""
    rng = np.random.default_rng([83, style])
    wall = np.full((_TILE, _TILE), 128, np.uint8)
    if style % 3 == 0:  # brick courses
        wall[::3] = 116
    if style % 4 == 1:
        wall[-2:] = 152
    w, h = int(rng.integers(8, 18)), int(rng.integers(10, 17))
    x, y = (_TILE - w) // 2, int(rng.integers(3, max(4, _TILE - h - 3)))
    wall[y - 1 : y + h + 1, x - 1 : x + w + 1] = 186 if rng.random() < 0.7 else 90
    glass = np.zeros((_TILE, _TILE), bool)
    glass[y : y + h, x : x + w] = True
    if rng.random() < 0.6:
        glass[:, _TILE // 2] = False
    if rng.random() < 0.5:
        glass[y + h // 2] = False
    wall[y + h + 1 : y + h + 2, x - 2 : x + w + 2] = 80
    return wall, glass


def facade(
    rng: np.random.Generator, light: Light, wall: np.ndarray, style: int, bays: int, storeys: int, shop: bool
) -> np.ndarray:
    """A wall `(storeys * T, bays * T, 3)` RGB uint8 with windows, before shading by its direction."""
    tile, glass = window_tile(style)
    factor = np.tile(tile, (storeys, bays)).astype(np.float32) / 128
    image = factor[..., None] * wall.astype(np.float32)
    panes = np.tile(glass, (storeys, bays))
    tone = rng.random((storeys, bays), dtype=np.float32)
    lit = tone > (0.62 if light.lamps else 0.985)
    reflect = np.clip(0.16 + 0.3 * tone + np.linspace(0.12, 0, storeys, dtype=np.float32)[:, None], 0, 0.7)[
        ..., None
    ]
    colour = np.array([34, 40, 46], np.float32) * (1 - reflect) + light.horizon.astype(np.float32) * reflect
    colour[lit] = (252, 214, 140)
    colour = colour.repeat(_TILE, 0).repeat(_TILE, 1)
    image[panes] = colour[panes]
    if shop:
        top = (storeys - 1) * _TILE
        sign = np.array(WALLS[int(rng.integers(len(WALLS)))], np.float32) * 0.7
        image[top:] = wall * 0.6
        image[top : top + 6] = rng.permutation(sign)
        for bay in range(bays):
            image[top + 7 : -2, bay * _TILE + 2 : (bay + 1) * _TILE - 1] = (
                (52, 56, 62) if not light.lamps else (226, 196, 140)
            )
            if bay % 3 == 1:
                image[top + 7 :, bay * _TILE + 8 : bay * _TILE + 14] = wall * 0.35
    image[:2] = wall * 1.2
    return image


def draw_building(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    x: float,
    side: int,
    z1: float,
    z2: float,
    height: float,
    label: int,
    house: bool,
) -> None:
    """Paint a building whose road front stands at X = `x` from depth `z1` to `z2`, on the left (`side` -1) or right (+1)."""
    wall = np.array(WALLS[int(rng.integers(len(WALLS)))], float) * rng.uniform(0.85, 1.1)
    storeys = max(1, round(height / 3.1))
    style, shop = int(rng.integers(24)), not house and rng.random() < 0.55
    depth = 9.0 if house else 14.0
    air = lambda image, z: image + (light.horizon - image) * (1 - np.exp(-z / 900))  # noqa: E731
    base = facade(rng, light, wall, style, int(np.clip(round((z2 - z1) / 3.0), 1, 10)), min(storeys, 9), shop)
    outer = x + side * depth
    if (outer < 0) == (side < 0) and z1 > 1.5:  # the end wall that faces the camera
        normal = np.array([0.0, 0.0, -1.0])
        end = facade(rng, light, wall * 0.97, style, int(depth // 3), min(storeys, 9), False)
        lit = air(end * light.shade(normal), z1).clip(0, 255).astype(np.uint8)
        surface = canvas.surface(label, normal, (0, 0, z1))
        a, b = (x, outer) if side > 0 else (outer, x)
        canvas.warp(lit, np.array([[a, height, z1], [b, height, z1], [b, 0, z1], [a, 0, z1]], float), surface)
    normal = np.array([-float(side), 0.0, 0.0])
    lit = air(base * light.shade(normal), (z1 + z2) / 2).clip(0, 255).astype(np.uint8)
    surface = canvas.surface(label, normal, (x, 0, 0))
    first, last = (z2, z1) if side > 0 else (z1, z2)
    first, last = max(first, 1.0), max(last, 1.0)
    canvas.warp(
        lit, np.array([[x, height, first], [x, height, last], [x, 0, last], [x, 0, first]], float), surface
    )
    if house:
        _roof(canvas, light, rng, x, side, max(z1, 1.0), z2, height, depth, label)


def _roof(canvas, light, rng, x, side, z1, z2, height, depth, label) -> None:
    tiles = np.array(((140, 74, 56), (92, 88, 90), (112, 86, 70), (74, 70, 72))[int(rng.integers(4))], float)
    ridge, rise = x + side * depth / 2, rng.uniform(2.0, 3.6)
    sketch = Sketch()
    gable = canvas.surface(label, (0, 0, -1.0), (0, 0, z1))
    outer = x + side * depth
    sketch.polygon(
        np.array([[x, height, z1], [ridge, height + rise, z1], [outer, height, z1]]),
        (np.array([190, 176, 156]) * light.shade((0, 0, -1.0))).clip(0, 255),
        gable,
    )
    normal = np.array([-side * rise, depth / 2, 0.0]) / np.hypot(rise, depth / 2)
    slope = canvas.surface(label, normal, (x, height, 0))
    eave = x - side * 0.35
    sketch.polygon(
        np.array(
            [
                [eave, height - 0.15, z1 - 0.3],
                [ridge, height + rise, z1 - 0.3],
                [ridge, height + rise, z2],
                [eave, height - 0.15, z2],
            ]
        ),
        (tiles * light.shade(normal)).clip(0, 255),
        slope,
    )
    canvas.paint(sketch)


@lru_cache(maxsize=24)
def crown(style: int) -> np.ndarray:
    """A tree crown `(96, 96, 4)` RGBA: round (0-7), conifer (8-11) or bare (12-15)."""
    rng = np.random.default_rng([89, style])
    side = 192
    rgba = np.zeros((side, side, 4), np.uint8)
    if style >= 12:
        _branch(rgba, rng, np.array([side / 2, side - 1.0]), -np.pi / 2, side * 0.3, 6.0, 6)
    elif style >= 8:
        for i in range(260):
            f = rng.random() ** 0.7
            y = 6 + f * (side - 12)
            half = 6 + f * side * 0.36
            x = side / 2 + rng.uniform(-1, 1) * half
            tone = int(np.clip(90 + 50 * (1 - f) + rng.normal(0, 22) - (x - side / 2) * 0.35, 30, 230))
            cv2.ellipse(
                rgba,
                (int(x), int(y)),
                (int(5 + 9 * f), int(4 + 4 * f)),
                0,
                0,
                360,
                (tone, tone, tone, 255),
                -1,
            )
    else:
        lobes = rng.uniform(0.25, 0.75, (7, 2)) * side
        for i in range(420):
            cx, cy = lobes[int(rng.integers(len(lobes)))]
            r, a = rng.random() ** 0.6 * side * 0.23, rng.uniform(0, 2 * np.pi)
            x, y = cx + r * np.cos(a), cy + r * np.sin(a) * 0.9
            order = i / 420
            tone = int(np.clip(70 + 85 * order + 0.35 * (side / 2 - y) + rng.normal(0, 20), 30, 240))
            cv2.circle(rgba, (int(x), int(y)), int(rng.uniform(5, 12)), (tone, tone, tone, 255), -1)
    return cv2.resize(rgba, (96, 96), interpolation=cv2.INTER_AREA)


def _branch(rgba, rng, start, angle, length, width, depth) -> None:
    end = start + length * np.array([np.cos(angle), np.sin(angle)])
    tone = int(rng.uniform(90, 140))
    cv2.line(
        rgba,
        tuple(int(v) for v in start),
        tuple(int(v) for v in end),
        (tone, tone, tone, 255),
        max(1, round(width)),
    )
    if depth:
        for _ in range(3 if depth > 2 else 2):
            _branch(
                rgba,
                rng,
                start + (end - start) * rng.uniform(0.6, 1.0),
                angle + rng.normal(0, 0.5),
                length * rng.uniform(0.6, 0.85),
                width * 0.65,
                depth - 1,
            )


def draw_tree(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    x: float,
    z: float,
    height: float,
    label: int,
    season: int,
) -> None:
    """Paint a tree that stands at world (x, z); `season` 0 green, 1 autumn, 2 bare."""
    surface = canvas.upright(label, z)
    style = (
        int(rng.integers(12, 16))
        if season == 2
        else int(rng.integers(8))
        if rng.random() < 0.75
        else int(rng.integers(8, 12))
    )
    greens = (
        ((0.55, 0.78, 0.36), (0.45, 0.7, 0.34), (0.62, 0.76, 0.32))
        if season == 0
        else ((0.95, 0.66, 0.28), (0.85, 0.5, 0.26), (0.7, 0.7, 0.3))
    )
    tint = np.array(greens[int(rng.integers(3))]) if season < 2 else np.array([0.7, 0.62, 0.56])
    if 8 <= style < 12:
        tint = np.array([0.36, 0.55, 0.36])
    tint = tint * light.shade((0.0, 0.7, -0.7)) * rng.uniform(0.8, 1.15)
    trunk = 0.0 if style >= 12 else 0.12 if style >= 8 else rng.uniform(0.22, 0.35)
    sketch = Sketch()
    bark = (np.array([92, 76, 62]) * light.shade((0.0, 0.2, -0.8))).clip(0, 255)
    if trunk:
        ends = np.array([[[x, 0.0, z], [x, height * (trunk + 0.25), z]]])
        sketch.capsules(canvas.camera, ends, np.array([[0.03 * height, 0.02 * height]]), [bark], surface)
        canvas.paint(sketch)
    half = height * (0.28 if 8 <= style < 12 else 0.42)
    uv = canvas.camera.project(np.array([[x - half, height, z], [x + half, height * trunk, z]]))
    canvas.sprite(crown(style), (*uv[0], *uv[1]), surface, tuple(tint))


def draw_lamp(
    canvas: Canvas, light: Light, x: float, z: float, side: int, label: int, height: float = 7.5
) -> None:
    """Paint a street lamp whose arm reaches over the road."""
    surface = canvas.upright(label, z)
    grey = (np.array([112, 114, 116]) * light.shade((0.0, 0.3, -0.7))).clip(0, 255)
    ends = np.array(
        [
            [[x, 0, z], [x, height, z]],
            [[x, height, z], [x - side * 1.6, height + 0.25, z]],
            [[x - side * 1.3, height + 0.22, z], [x - side * 1.9, height + 0.22, z]],
        ]
    )
    sketch = Sketch()
    head = np.array([255, 238, 190]) if light.lamps else grey * 1.2
    sketch.capsules(
        canvas.camera,
        ends,
        np.array([[0.1, 0.06], [0.045, 0.045], [0.1, 0.08]]),
        [grey, grey, head.clip(0, 255)],
        surface,
    )
    canvas.paint(sketch)
    if light.lamps:
        ((u, v),) = canvas.camera.project(np.array([[x - side * 1.6, height + 0.2, z]]))
        canvas.glow(u, v, max(3.0, 1.4 * canvas.camera.pixels_per_metre(z)), (150, 122, 76))


def draw_sign(
    canvas: Canvas, light: Light, rng: np.random.Generator, x: float, z: float, labels: tuple[int, int]
) -> None:
    """Paint a road sign on a pole, or a traffic light; `labels` are those of pole and sign."""
    surface, board = canvas.upright(labels[0], z), canvas.upright(labels[1], z)
    tone = light.shade((0.0, 0.2, -0.9))
    sketch = Sketch()
    height = rng.uniform(2.4, 3.2)
    ends = np.array([[[x, 0, z], [x, height, z]]])
    sketch.capsules(
        canvas.camera,
        ends,
        np.array([[0.05, 0.05]]),
        [(np.array([128, 130, 132]) * tone).clip(0, 255)],
        surface,
    )
    kind = int(rng.integers(4))
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)

    def disc(radius, y, colour, corners=turn, number=0):
        points = np.stack(
            [x + radius * np.sin(corners), y + radius * np.cos(corners), np.full(len(corners), z)], 1
        )
        sketch.polygon(points, (np.asarray(colour, float) * tone).clip(0, 255), number)

    if kind == 0:
        disc(0.38, height, (196, 30, 34), number=board)
        disc(0.29, height, (240, 240, 236))
    elif kind == 1:
        disc(0.45, height, (196, 30, 34), turn[[0, 5, 11]], board)
        disc(0.28, height, (240, 240, 236), turn[[0, 5, 11]])
    elif kind == 2:
        disc(0.4, height, (34, 84, 170), number=board)
    else:
        body = np.array(
            [
                [x - 0.17, height - 0.5, z],
                [x - 0.17, height + 0.5, z],
                [x + 0.17, height + 0.5, z],
                [x + 0.17, height - 0.5, z],
            ]
        )
        sketch.polygon(body, (np.array([30, 32, 32]) * tone).clip(0, 255), board)
        on = int(rng.integers(3))
        for i, colour in enumerate(((255, 50, 40), (255, 190, 40), (60, 240, 120))):
            disc(0.11, height + 0.31 - 0.31 * i, np.array(colour) * (1.0 if i == on else 0.25))
    canvas.paint(sketch)
