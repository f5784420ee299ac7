"""What lines a street: buildings with windows, trees, lamps, signs and fences."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from unirestore.data.scenes.backdrop import noise_tile
from unirestore.data.scenes.canvas import Canvas, Sketch
from unirestore.data.scenes.light import Light

WALLS = (
    (178, 110, 84), (156, 88, 70), (200, 184, 156), (218, 208, 188), (186, 184, 178), (150, 152, 156), (210,
    190, 150),
    (164, 142, 118), (226, 224, 216), (120, 104, 96), (190, 150, 120),
)  # fmt: skip
_TILE = 24


@lru_cache(maxsize=64)
def window_tile(style: int, far: bool) -> tuple[np.ndarray, np.ndarray]:
    """One bay of one storey: brightness of the wall `(T, T)` uint8 around 128, and glass `(T, T)` uint8 0 or
    255."""
    rng = np.random.default_rng([83, style])
    wall = np.full((_TILE, _TILE), 128, np.uint8)
    if style % 3 == 0:  # brick courses
        wall[::3] = 116
    if style % 4 == 1:  # a ledge below each storey
        wall[-2:] = 152
    if style % 5 == 2:  # pilasters between the bays
        wall[:, :3], wall[:, 3] = 144, 104
    w, h = int(rng.integers(8, 18)), int(rng.integers(10, 17))
    x, y = (_TILE - w) // 2, int(rng.integers(3, max(4, _TILE - h - 3)))
    wall[y - 1 : y + h + 1, x - 1 : x + w + 1] = 186 if rng.random() < 0.7 else 90
    glass = np.zeros((_TILE, _TILE), np.uint8)
    glass[y : y + h, x : x + w] = 255
    if rng.random() < 0.6:
        glass[:, _TILE // 2] = 0
    if rng.random() < 0.5:
        glass[y + h // 2] = 0
    wall[y + h + 1 : y + h + 2, x - 2 : x + w + 2] = 80
    if far:
        side = _TILE // 2
        wall = cv2.resize(wall, (side, side), interpolation=cv2.INTER_AREA)
        glass = np.where(cv2.resize(glass, (side, side), interpolation=cv2.INTER_AREA) > 127, 255, 0).astype(
            np.uint8
        )
    return wall, glass


def facade(
    rng: np.random.Generator, light: Light, wall: np.ndarray, normal: tuple[float, float, float], style: int,
    bays: int, storeys: int, shop: bool, z: float,
) -> np.ndarray:  # fmt: skip
    """A lit wall `(storeys * T, bays * T, 3)` RGB uint8 with windows and, if asked, a shop front in its
    lowest storey."""
    tile, glass = window_tile(style, z > 35)
    side = len(tile)
    air, tone = 1 - np.exp(-z / 900), light.shade(normal)

    def lit(colour) -> np.ndarray:
        return (np.asarray(colour) * tone * (1 - air) + light.horizon * air).clip(0, 255)

    levels = np.arange(256)[:, None] / 128
    table = lit(levels * wall).astype(np.uint8)[None]  # (1, 256, 3)
    grey = np.tile(tile, (storeys, bays))
    stain = cv2.resize(noise_tile(style % 4)[: 4 * storeys, : 4 * bays], (bays * side, storeys * side))
    grey = cv2.multiply(grey, (stain * 52 + 102).astype(np.uint8), scale=1 / 128)
    image = cv2.LUT(cv2.merge([grey] * 3), table)
    pane = rng.random((storeys, bays, 1))
    sky = np.clip(0.12 + 0.32 * pane + np.linspace(0.14, 0, storeys)[:, None, None], 0, 0.7)
    colour = lit(np.array([34.0, 40, 46])) * (1 - sky) + light.horizon * sky
    on = pane[..., 0] > (0.62 if light.lamps else 0.985)
    colour[on] = (252, 214, 140)
    panes = cv2.resize(
        colour.clip(0, 255).astype(np.uint8), (bays * side, storeys * side), interpolation=cv2.INTER_NEAREST
    )
    cv2.copyTo(panes, np.tile(glass, (storeys, bays)), image)
    if shop:
        _shop_front(rng, light, image[(storeys - 1) * side :], lit, wall, bays, side)
    image[:1] = lit(wall * 1.25)
    return image


def _shop_front(rng, light: Light, image: np.ndarray, lit, wall: np.ndarray, bays: int, side: int) -> None:
    q = side // 4
    image[:] = lit(wall * 0.6)
    sign = rng.permutation(np.array(WALLS[int(rng.integers(len(WALLS)))], float)) * 0.85
    image[:q] = lit(sign)
    start = 0
    while start < bays * side - q:  # letters, if one looks closely
        width = int(rng.integers(2, 5))
        image[q // 3 : q - q // 4, start + q : start + q + width] = lit(
            sign * 0.4 + 140 * (sign.mean() < 110)
        )
        start += width + int(rng.integers(1, 5)) + (side if rng.random() < 0.1 else 0)
    for bay in range(bays):
        glass = (236, 204, 146) if light.lamps else lit(np.array([46, 52, 58])) * 0.8 + light.horizon * 0.2
        image[q + 1 : -2, bay * side + 2 : (bay + 1) * side - 1] = glass
        if bay % 3 == 1:
            image[q + 1 :, bay * side + side // 3 : bay * side + side // 2 + 1] = lit(wall * 0.35)


def draw_building(
    canvas: Canvas, light: Light, rng: np.random.Generator, x: float, side: int,
    z1: float, z2: float, height: float,
    label: int, house: bool, hidden: bool = False,
) -> None:  # fmt: skip
    """Paint a building whose road front stands at X = `x` from depth `z1` to `z2`, on the left (`side` -1) or
    right (+1).

    `hidden` leaves the end wall out, where a nearer neighbour covers it.
    """
    wall = np.array(WALLS[int(rng.integers(len(WALLS)))], float) * rng.uniform(0.85, 1.1)
    storeys = int(np.clip(round(height / 3.1), 1, 9))
    style, shop = int(rng.integers(24)), not house and rng.random() < 0.55
    depth = 9.0 if house else 14.0
    outer = x + side * depth
    if z1 > 1.5 and not hidden:  # the end wall that faces the camera
        a, b = (x, outer) if side > 0 else (outer, x)
        corners = np.array([[a, height, z1], [b, height, z1], [b, 0, z1], [a, 0, z1]], float)
        if canvas.in_view(corners):
            normal = (0.0, 0.0, -1.0)
            wall_front = facade(rng, light, wall * 0.97, normal, style, int(depth // 3), storeys, False, z1)
            canvas.warp(wall_front, corners, canvas.surface(label, normal, (0, 0, z1)))
    first, last = (z2, z1) if side > 0 else (z1, z2)
    corners = np.array([[x, height, first], [x, height, last], [x, 0, last], [x, 0, first]], float)
    if canvas.in_view(corners):
        normal = (-float(side), 0.0, 0.0)
        bays = int(np.clip(round((z2 - z1) / 3.0), 1, 8))
        wall_side = facade(rng, light, wall, normal, style, bays, storeys, shop, (z1 + z2) / 2)
        canvas.warp(wall_side, corners, canvas.surface(label, normal, (x, 0, 0)))
    if house:
        _roof(canvas, light, rng, x, side, z1, z2, height, depth, label)


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
        for _ in range(260):
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
        lobes = rng.uniform(0.26, 0.74, (7, 2)) * side
        for i in range(1100):
            cx, cy = lobes[int(rng.integers(len(lobes)))]
            r, a = rng.random() ** 0.6 * side * 0.24, rng.uniform(0, 2 * np.pi)
            x, y = cx + r * np.cos(a), cy + r * np.sin(a) * 0.9
            tone = int(np.clip(62 + 90 * i / 1100 + 0.4 * (side / 2 - y) + rng.normal(0, 20), 26, 240))
            cv2.circle(
                rgba, (int(x), int(y)), int(rng.uniform(3, 8 - 3 * i / 1100)), (tone, tone, tone, 255), -1
            )
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
