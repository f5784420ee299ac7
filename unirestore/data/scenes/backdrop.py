"""Sky and ground: the parts of a scene that fill it whether or not anything stands there."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from unirestore.data.scenes.camera import NEAR, clip_near
from unirestore.data.scenes.canvas import SUPERSAMPLING, Canvas, Sketch
from unirestore.data.scenes.light import Light

FAR = 400.0


@dataclass(frozen=True)
class Street:
    """Plan of the street, X in metres from the camera: lane borders, kerbs, and where pavements end.

    `lanes` are the X of the lane borders from left to right; `crossing` is the depth range of a cross street,
    or None.
    """

    lanes: tuple[float, ...]
    ahead: tuple[bool, ...]
    shoulder: float
    pavement: float
    kind: str
    crossing: tuple[float, float] | None
    zebra: float | None

    @property
    def left(self) -> float:
        return self.lanes[0] - self.shoulder

    @property
    def right(self) -> float:
        return self.lanes[-1] + self.shoulder


@lru_cache(maxsize=8)
def noise_tile(index: int, side: int = 256, octaves: tuple[int, ...] = (4, 16, 64, 256)) -> np.ndarray:
    """A tile `(side, side)` float32 of smooth noise in [0, 1] that repeats at its borders."""
    rng = np.random.default_rng([81, index, side])
    total = np.zeros((side, side), np.float32)
    for i, octave in enumerate(octaves):
        coarse = rng.random((octave, octave), dtype=np.float32)
        coarse = np.pad(coarse, 2, mode="wrap")
        fine = cv2.resize(coarse, None, fx=side / octave, fy=side / octave, interpolation=cv2.INTER_CUBIC)
        margin = 2 * side // octave
        total += fine[margin : margin + side, margin : margin + side] * 0.6**i
    total -= total.min()
    return total / total.max()


def paint_sky(canvas: Canvas, light: Light, rng: np.random.Generator) -> None:
    """A gradient from zenith to horizon with clouds in perspective."""
    size = canvas.size
    rows = int(np.clip(np.ceil(canvas.camera.cy) + 2, 1, size))
    up = (np.arange(rows, dtype=np.float32)[::-1] + 0.5) / max(rows, 1)  # 0 at the horizon
    mix = (1 - np.exp(-2.2 * up))[:, None]
    sky = light.horizon * (1 - mix) + light.zenith * mix  # (rows, 3)
    sky = np.broadcast_to(sky[:, None].astype(np.float32), (rows, size, 3)).copy()
    cover = {
        "clear": rng.uniform(0.0, 0.7),
        "overcast": 1.0,
        "golden": rng.uniform(0.2, 0.8),
        "dusk": rng.uniform(0.3, 0.9),
    }[light.time]
    if cover > 0.1:
        tile = noise_tile(int(rng.integers(4)))
        v = 40.0 / (up + 0.12)
        u = (np.arange(size, dtype=np.float32) - canvas.camera.cx) / canvas.camera.focal
        map_x = (u[None] * v[:, None] + rng.uniform(0, 256)).astype(np.float32)
        map_y = np.broadcast_to((v * 2 + rng.uniform(0, 256))[:, None], map_x.shape).astype(np.float32)
        cloud = cv2.remap(tile, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        density = (
            np.clip((cloud - (0.75 - 0.4 * cover)) * 4, 0, 1)[..., None]
            * np.minimum(up * 6, 1)[:, None, None]
        )
        white = (
            light.horizon * 0.5 + np.array([128.0, 128, 130])
            if light.time != "overcast"
            else light.zenith * 0.86
        )
        shade = white * (1.02 - 0.22 * np.clip(cloud - 0.55, 0, 1)[..., None])
        sky = sky + (shade.astype(np.float32) - sky) * (0.75 * density)
    small = np.empty((size, size, 3), np.uint8)
    small[:rows] = sky.clip(0, 255)
    small[rows:] = light.horizon.clip(0, 255)
    cv2.resize(small, (canvas.side, canvas.side), dst=canvas.image, interpolation=cv2.INTER_LINEAR)


def paint_far(canvas: Canvas, light: Light, rng: np.random.Generator, label: int) -> None:
    """A line of hills and woods on the horizon, pale with distance."""
    left, right = canvas.camera.half_width(FAR)
    x = np.linspace(left - 1, right + 1, 49)
    sketch = Sketch()
    surface = canvas.upright(label, FAR)
    for height, rough, pale in ((rng.uniform(4, 34), 0, 0.72), (rng.uniform(2, 13), 1, 0.5)):
        row = noise_tile(int(rng.integers(4)))[int(rng.integers(256))]
        profile = row[(np.arange(49) * (1 + rough) + int(rng.integers(256))) % 256] * height
        if rough:
            profile = profile + rng.uniform(0, 0.25, 49) * height
        green = np.array([84, 100, 74]) * light.shade((0.0, 0.6, -0.8))
        points = [(a, b, FAR) for a, b in zip(x, profile)] + [(x[-1], 0.0, FAR), (x[0], 0.0, FAR)]
        sketch.polygon(points, green * (1 - pale) + light.horizon * pale, surface)
    canvas.paint(sketch)


def paint_ground(
    canvas: Canvas,
    light: Light,
    rng: np.random.Generator,
    street: Street,
    names: dict[str, int],
    shadows: list[np.ndarray],
) -> None:
    """Verge, pavements, road with its marks, texture, wear and the shadows of what stands on it (`shadows`:
    (N, 2) X, Z)."""
    up = (0.0, 1.0, 0.0)
    ids = {
        name: canvas.surface(names[label], up, (0, 0, 0))
        for name, label in (("verge", "tree"), ("pavement", "pavement"), ("road", "road"))
    }
    shade = light.shade(np.array(up))
    asphalt = np.array([1.0, 1.0, 1.03]) * rng.uniform(92, 138) * shade
    paving = np.array([1.03, 1.0, 0.95]) * rng.uniform(140, 186) * shade
    verge = (
        np.array(((96, 128, 62), (120, 128, 72), (150, 138, 104), (126, 122, 116))[int(rng.integers(4))])
        if street.kind != "city"
        else paving / shade * 0.9
    ) * shade
    sketch = Sketch()

    def strip(x1, x2, colour, surface=0, z1=NEAR, z2=FAR):
        z1 = max(z1, NEAR)
        if z2 > z1:
            sketch.polygon(
                [(x1, 0.0, z1), (x1, 0.0, z2), (x2, 0.0, z2), (x2, 0.0, z1)], np.minimum(colour, 255), surface
            )

    strip(-900, 900, verge, ids["verge"])
    strip(street.left - street.pavement, street.right + street.pavement, paving, ids["pavement"])
    strip(street.left - 0.16, street.right + 0.16, paving * 1.14)
    strip(street.left, street.right, asphalt, ids["road"])
    if street.crossing:
        strip(-90, 90, asphalt * 0.97, ids["road"], *street.crossing)
    strip(street.left, street.left + 0.3, asphalt * 0.84)
    strip(street.right - 0.3, street.right, asphalt * 0.84)
    _paint_wear(strip, rng, street, asphalt, paving)
    _paint_marks(strip, rng, street, np.array([236, 234, 226]) * shade * rng.uniform(0.72, 0.98))
    canvas.paint(sketch)
    _texture(canvas, rng, shadows, light)


def _paint_wear(
    strip, rng: np.random.Generator, street: Street, asphalt: np.ndarray, paving: np.ndarray
) -> None:
    """Tyre tracks, patches, manholes and the joints of the pavement."""
    for a, b in itertools.pairwise(street.lanes):
        for share in (0.27, 0.73):
            x = a + (b - a) * share
            strip(x - 0.3, x + 0.3, asphalt * 0.96)
    for _ in range(int(rng.integers(0, 4))):
        x, z = rng.uniform(street.left, street.right - 1), rng.uniform(3, 30)
        strip(
            x,
            min(x + rng.uniform(0.6, 2.5), street.right),
            asphalt * rng.uniform(0.85, 1.1),
            0,
            z,
            z + rng.uniform(1, 6),
        )
    if rng.random() < 0.4:
        x, z = rng.uniform(street.left + 0.5, street.right - 1), rng.uniform(5, 14)
        strip(x, x + 0.7, asphalt * 0.62, 0, z, z + 0.7)
    if street.pavement > 0:
        for start in (street.left - street.pavement, street.right + 0.16):
            end = start + street.pavement - 0.16
            for x in np.arange(start + 0.7, end, 0.75):
                strip(x - 0.02, x + 0.02, paving * 0.88, 0, 0.8, 26.0)
            for z in np.arange(2.0, 24.0, 0.75):
                strip(start, end, paving * 0.88, 0, z, z + 0.035)


def _paint_marks(strip, rng: np.random.Generator, street: Street, white: np.ndarray) -> None:
    yellow = white * (1.0, 0.82, 0.36)
    start, end = street.crossing or (1e9, 1e9)
    gaps = [(0.8, min(start, 160.0)), (end, 160.0)] if street.crossing else [(0.8, 160.0)]
    middle = next((i for i in range(1, len(street.ahead)) if street.ahead[i] != street.ahead[i - 1]), None)
    period, dash, offset = rng.uniform(6, 12), rng.uniform(2, 4), rng.uniform(0, 6)
    solid = rng.random() < 0.5
    centre = yellow if rng.random() < 0.35 else white
    for low, high in gaps:
        if high <= low:
            continue
        for i, x in enumerate(street.lanes):
            edge = i in (0, len(street.lanes) - 1)
            if edge and street.shoulder > 0.3:
                strip(x - 0.07, x + 0.07, white, 0, low, high)
            elif i == middle and solid:
                for d in (-0.14, 0.14):
                    strip(x + d - 0.06, x + d + 0.06, centre, 0, low, high)
            elif not edge:
                for z in np.arange(low + offset % period, min(high, 110.0), period):
                    strip(x - 0.07, x + 0.07, centre if i == middle else white, 0, z, min(z + dash, high))
    if street.zebra is not None:
        for x in np.arange(street.left + 0.3, street.right - 0.4, 1.0):
            strip(x, x + 0.5, white, 0, street.zebra, street.zebra + 3.0)
        strip(street.lanes[0], street.lanes[-1], white, 0, street.zebra - 1.6, street.zebra - 1.2)


def _texture(canvas: Canvas, rng: np.random.Generator, shadows: list[np.ndarray], light: Light) -> None:
    """Multiply the ground by grain, wear and shadows, worked out at the size of the final picture."""
    size, camera = canvas.size, canvas.camera
    top = int(np.clip(np.floor(camera.cy) + 1, 0, size - 1))
    rows = np.arange(top, size, dtype=np.float32) + 0.5
    z = camera.focal * camera.height / np.maximum(rows - camera.cy, 0.25)  # (rows,)
    x = (np.arange(size, dtype=np.float32) + 0.5 - camera.cx)[None] / camera.focal * z[:, None]
    near = np.clip(1.3 - z / 45, 0.15, 1)[:, None]
    tile = noise_tile(int(rng.integers(4)))
    shift = [float(v) for v in rng.uniform(0, 256, 4)]
    deep = np.broadcast_to(z[:, None], x.shape)
    fine = cv2.remap(
        tile, x * 40 + shift[0], deep * 20 + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    coarse = cv2.remap(
        tile, x * 6 + shift[2], deep * 2.5 + shift[3], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    factor = 1 + (fine - 0.5) * (0.3 * near) + (coarse - 0.5) * 0.34
    if shadows:
        mask = np.zeros((len(rows), size), np.uint8)
        for shape in shadows:
            points = clip_near(np.stack([shape[:, 0], np.zeros(len(shape)), shape[:, 1]], 1))
            if len(points) > 2:
                uv = camera.project(points) - np.array([0, top])
                cv2.fillPoly(mask, [np.clip(uv * 16 - 8, -1e6, 1e6).astype(np.int32)], 255, cv2.LINE_AA, 4)
        blur = 1.2 if light.time in ("clear", "golden") else 2.5
        mask = cv2.GaussianBlur(mask, (0, 0), blur * size / 256)
        factor *= 1 - mask * np.float32((0.55 if light.time in ("clear", "golden") else 0.42) / 255)
    level = (factor * 128).clip(0, 255).astype(np.uint8)
    y = top * SUPERSAMPLING
    level = cv2.resize(level, (canvas.side, canvas.side - y), interpolation=cv2.INTER_LINEAR)
    target = canvas.image[y:]
    cv2.multiply(target, cv2.merge([level] * 3), dst=target, scale=1 / 128)
