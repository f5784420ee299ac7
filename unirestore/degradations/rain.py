"""Rain on the road: veil, spray, wet road, streaks, splashes, drops on the windscreen.

Photos of driving in rain show mostly coloured fog and spray, low contrast, wet asphalt that mirrors lamps
and sky, and few distinct streaks. So the veil (haze of short visibility, as in Garg and Nayar, IJCV 75,
2007, where rain beyond a few tens of metres acts like fog) and the spray carry this effect; streaks come on
top. Order, as light travels: wet road -> veil with spray -> splashes -> streaks by depth layer ->
windscreen -> exposure. All of it is computed in linear light; lengths in pixels scale with the picture
(unit: 1/320 of it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Scene, require
from .depth import CAMERA_HEIGHT, FOCAL, GROUND
from .in_air import InAir
from .light import added, blurred, mixed, picture_unit, ramp, triple
from .noise_fields import smooth_noise
from .scattering import light_under, low_band, sample_airlight
from .strokes import strokes

MIRROR_NEAR, MIRROR_FAR = 0.25, 0.8  # reflectance of wet asphalt underfoot and towards the horizon (Fresnel)
LAYERS = (
    (40.0, 0.45, 0.5),
    (14.0, 0.8, 0.35),
    (5.0, 1.8, 0.15),
)  # distance m, blur in units, share of streaks


@dataclass(frozen=True, kw_only=True)
class Rain(InAir):
    """Rain; see the module header.

    Args:
        spray: optical depth of the spray thrown up by traffic, where it is thickest.
        streaks: visible streaks per 320 x 320 pixels.
        streak_length: length in units of 1/320 of the picture, for the middle layer.
        streak_angle: degrees from the vertical, positive leans to the right at the foot.
        streak_strength: opacity of a streak, 0 to 1.
        splashes: drops bursting on the ground, per streak.
        wetness: how mirror-like the road is, 0 to 1.
        drops: drops on the windscreen.
        lens: blur of a wet windscreen, 0 to 1.

    The other parameters are those of the veil, see `InAir`.
    """

    airlight: tuple[float, float, float] = (0.66, 0.68, 0.70)
    gradient: float = 0.1
    unevenness: float = 0.25
    spray: float | None = None
    streaks: float | None = None
    streak_length: float = 18.0
    streak_angle: float = 6.0
    streak_strength: float | None = None
    splashes: float = 0.5
    wetness: float | None = None
    drops: int = 0
    lens: float = 0.1
    scene_light: float | None = None
    blur: float = 0.4
    glow: float = 0.5

    presets: ClassVar = {
        "visibility": (1800.0, 900.0, 450.0, 230.0, 110.0),
        "spray": (0.1, 0.2, 0.35, 0.55, 0.85),
        "streaks": (60.0, 110.0, 180.0, 270.0, 380.0),
        "streak_strength": (0.10, 0.14, 0.18, 0.23, 0.28),
        "wetness": (0.3, 0.45, 0.6, 0.75, 0.9),
        "scene_light": (0.9, 0.8, 0.72, 0.64, 0.56),
    }

    def check(self) -> None:
        super().check()
        require(
            isinstance(self.drops, int) and not isinstance(self.drops, bool) and self.drops >= 0,
            f"drops must be an integer >= 0, got {self.drops!r}",
        )
        for name in ("spray", "streaks", "splashes"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(self.streak_length > 0, f"streak_length must be above 0, got {self.streak_length}")
        for name in ("streak_strength", "wetness", "lens"):
            require(0 <= getattr(self, name) <= 1, f"{name} must lie in [0, 1], got {getattr(self, name)}")
        require(
            abs(self.streak_angle) <= 80, f"streak_angle must lie within 80 degrees, got {self.streak_angle}"
        )

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Rain:
        """Random concrete parameters over the range of real rain; near the presets if `severity` is given."""
        level = 4 * float(rng.random()) ** 1.5 if severity is None else float(severity - 1)
        near = cls.presets_at(level)
        values = {name: value * float(rng.uniform(0.75, 1.3)) for name, value in near.items()}
        values["streaks"] *= float(rng.choice([0.1, 0.5, 1.2], p=[0.6, 0.28, 0.12]))
        values["wetness"] = min(values["wetness"], 1.0)
        airlight = sample_airlight(rng, dusk=0.3)
        values["scene_light"] = min(1.7, 1.9 * light_under(airlight, rng))
        return cls(
            severity=severity,
            airlight=airlight,
            gradient=rng.normal(0.18, 0.22),
            vignette=rng.uniform(0.0, 0.35),
            height_scale=np.exp(rng.uniform(np.log(30), np.log(250))),
            horizon=rng.uniform(0.38, 0.52),
            unevenness=rng.uniform(0.0, 0.5),
            streak_length=rng.uniform(8, 32),
            streak_angle=rng.normal(0, 9),
            drops=int(rng.integers(30, 220)) if rng.random() < 0.12 else 0,
            lens=rng.uniform(0.1, 0.6) if rng.random() < 0.35 else 0.0,
            flatness=rng.uniform(0.0, 0.3),
            lamps=rng.choice([0.0, 0.5, 1.0]),
            blur=rng.uniform(0.0, 0.8),
            glow=rng.uniform(0.2, 1.2),
            exposure=rng.normal(0.05, 0.2),
            **values,
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        unit = picture_unit(scene.shape)
        depth = scene.depth
        tau = self.thickness(image, scene, rng)
        if self.spray > 0:
            tau += np.float32(self.spray) * spray_field(depth, self.horizon, rng)
        air = self.air(scene.shape, rng)
        light = self.scene_lit(image, scene)
        lamps = self.lamps_on(scene, rng)
        if self.wetness > 0:
            lit = light if lamps is None else light + lamps
            light = wet_road(light, lit, air, scene, self.wetness, self.horizon, unit, rng)
        out = self.through(light, tau, air, lamps)
        if self.streaks > 0:
            drop = added(blurred(out, 12 * unit), 0.6, air, 0.6)
            out = mixed(out, drop, streak_field(scene.shape, self, unit, rng))
            splash = splash_field(depth, self, unit, rng)
            ground = slice(
                int(np.clip(self.horizon, 0, 0.9) * scene.shape[0]), None
            )  # none bursts above the horizon
            out[ground] = mixed(out[ground], air[ground], splash[ground])
        if self.lens > 0:
            out = added(out, 1 - self.lens, blurred(out, 2.2 * unit), self.lens)
        if self.drops > 0:
            out = windscreen(out, self.drops, unit, rng)
        return self.exposed(out)


def wet_road(
    light: np.ndarray,
    lit: np.ndarray,
    air: np.ndarray,
    scene: Scene,
    wetness: float,
    horizon: float,
    unit: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Darkens the ground, in place, and lets it mirror sky, things and lamps (`lit`), smeared downwards by ripples.

    The ground is where a label map says so, else where depth is that of a flat road below the horizon.
    """
    height, width = light.shape[:2]
    line = int(np.clip(round(horizon * height), 0, height - 1))
    rows = height - line
    if rows < 2:
        return light
    # What the road mirrors stands above it in the same column: the picture turned upside down.
    source = lit[max(0, line - rows // 2) : line + rows // 2 + 1][::-1]
    mirrored = cv2.resize(
        np.ascontiguousarray(source), (max(1, width // 2), max(1, rows // 4)), interpolation=cv2.INTER_AREA
    )
    mirrored = cv2.GaussianBlur(mirrored, (0, 0), max(0.1, 1.0 * unit), sigmaY=max(0.1, 3.0 * unit))
    mirrored = cv2.resize(mirrored, (width, rows), interpolation=cv2.INTER_LINEAR).reshape(rows, width, 3)
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    fresnel = MIRROR_FAR + (MIRROR_NEAR - MIRROR_FAR) * np.sqrt(down)
    puddles = np.clip(0.75 + 0.4 * smooth_noise((rows, width), rng, cells=3, stretch=3.0), 0.1, 1.4)
    share = np.clip(np.float32(wetness) * fresnel * puddles, 0, 0.75) * _ground(scene, line)
    wet = light[line:]
    wet *= np.float32(1 - 0.3 * wetness)
    light[line:] = mixed(wet, added(mirrored, 0.4, air[line:], 0.8), share)
    return light


def _ground(scene: Scene, line: int) -> np.ndarray:
    """(H - line, W) float32 in [0, 1]: how much of each pixel below row `line` is ground."""
    if scene.label_map is not None and scene.class_names:
        ids = [i for i, name in enumerate(scene.class_names) if str(name).lower() in GROUND]
        mask = np.isin(scene.label_map[line:], ids).astype(np.float32)
        return cv2.GaussianBlur(mask, (0, 0), 1.0).reshape(mask.shape)
    depth = scene.depth[line:]
    flat = CAMERA_HEIGHT * FOCAL * scene.shape[0] / (np.arange(depth.shape[0], dtype=np.float32) + 1)
    return ramp(depth / flat[:, None], 0.45, 0.8)


def spray_field(depth: np.ndarray, horizon: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 in about [0, 2]: spray hangs low, from the horizon down to the near road, in plumes."""
    plumes = smooth_noise(depth.shape, rng, cells=2, octaves=4, persistence=0.55)
    plumes *= np.float32(0.45)
    plumes += np.float32(0.8)
    np.clip(plumes, 0, 2, out=plumes)
    plumes *= low_band(len(depth), horizon + 0.1, 0.12, 0.28)
    plumes *= np.clip((depth - 4) * np.float32(1 / 12), 0.1, 1)
    return plumes


def streak_field(shape: tuple[int, int], rain: Rain, unit: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 opacity in [0, 1] of all streaks; nearer layers are longer, wider, fewer and more
    blurred.
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    count = rain.streaks * height * width / 320**2
    for distance, soft, share in LAYERS:
        number = round(count * share)
        if number == 0:
            continue
        length = rain.streak_length * unit * (14.0 / distance) ** 0.5
        length = length * rng.uniform(0.6, 1.4, number)
        angle = np.deg2rad(rain.streak_angle + rng.normal(0, 2.0, number))
        start = rng.uniform((-0.1 * width, -0.1 * height), (1.1 * width, 1.1 * height), (number, 2))
        move = np.stack([np.sin(angle), np.cos(angle)], axis=1) * length[:, None]
        canvas = strokes(shape, start, move, (255, 170, 100), max(1, round(0.6 * soft * unit)))
        canvas = cv2.GaussianBlur(canvas, (0, 0), max(0.3, soft * unit)).reshape(shape)
        bright = np.float32(min(2.5, 1 + soft) / 255)
        np.maximum(total, np.multiply(canvas, bright, dtype=np.float32), out=total)
    total *= np.float32(rain.streak_strength * 1.6)
    return np.clip(total, 0, 0.9, out=total)


def splash_field(depth: np.ndarray, rain: Rain, unit: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 opacity in [0, 1] of drops bursting on the ground: flat specks, wider nearby."""
    height, width = depth.shape
    canvas = np.zeros((height, width), np.uint8)
    top = min(rain.horizon + 0.12, 0.95)
    count = round(rain.splashes * rain.streaks * height * width / 320**2)
    for column, down in rng.random((count, 2)).tolist():
        row = height * (top + (1 - top) * down)
        reach = max(1.0, (0.6 + 3.0 * down) * unit)
        axes = (round(reach * 16), round(reach * 5))
        cv2.ellipse(
            canvas, (round(column * width * 16), round(row * 16)), axes, 0, 180, 360, 200, 1, cv2.LINE_AA, 4
        )
    field = cv2.GaussianBlur(canvas, (0, 0), max(0.3, 0.5 * unit)).reshape(height, width)
    return np.multiply(field, np.float32(rain.streak_strength * 1.8 / 255), dtype=np.float32)


def windscreen(out: np.ndarray, drops: int, unit: float, rng: np.random.Generator) -> np.ndarray:
    """Drops on the glass: each shows the scene upside down, small and soft, with a dark rim."""
    height, width = out.shape[:2]
    soft = blurred(out, 1.5 * unit)
    result = out.copy()
    boxes, middles = [], []
    for size, across, down, stretch in rng.random((drops, 4)).tolist():
        radius = 1.5 * 6.0 ** (size**1.7) * unit
        cx, cy = across * width, down * height
        tall = radius * (0.9 + 0.6 * stretch)
        x0, x1 = max(0, int(cx - radius)), min(width, int(cx + radius) + 2)
        y0, y1 = max(0, int(cy - tall)), min(height, int(cy + tall) + 2)
        if x1 > x0 and y1 > y0:
            boxes.append((x0, x1, y0, y1))
            middles.append((cx, cy, radius, tall))
    if not boxes:
        return result
    ends, left, added_share = _drop_shares(np.array(boxes), np.array(middles))
    start = 0
    for (x0, x1, y0, y1), (cx, cy, _, _), end in zip(boxes, middles, ends, strict=True):
        # 6 times smaller, upside down
        turned = np.array([[-6, 0, 7 * cx - 6 * x0], [0, -6, 7 * cy - 6 * y0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(soft, turned, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        shape = (y1 - y0, x1 - x0, 3)
        seen = seen.reshape(shape)
        seen *= added_share[start:end].reshape(shape)
        patch = result[y0:y1, x0:x1]
        patch *= left[start:end].reshape(shape)
        patch += seen
        start = end
    return result


def _drop_shares(boxes: np.ndarray, middles: np.ndarray) -> tuple[list[int], np.ndarray, np.ndarray]:
    """How much each pixel of each drop leaves of the picture behind and takes of the scene in the drop.

    All drops at once: their pixels stand one after another, box after box, row after row.

    Args:
        boxes: (N, 4) whole pixels x0, x1, y0, y1.
        middles: (N, 4) column, row, half the width and half the height of the drop, in pixels.

    Returns:
        where each drop's pixels end, and two (P, 3) float32 in [0, 1], P the pixels of all boxes.
    """
    cx, cy, radius, tall = middles.T
    wide, high = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    columns = _counted(wide) + np.repeat(boxes[:, 0], wide)
    rows = _counted(high) + np.repeat(boxes[:, 2], high)
    dx = ((columns - np.repeat(cx, wide)) / np.repeat(radius, wide)).astype(np.float32)
    dy = ((rows - np.repeat(cy, high)) / np.repeat(tall, high)).astype(np.float32)
    in_row = np.repeat(wide, high)  # pixels in each row of boxes
    first = np.repeat(np.cumsum(wide) - wide, high)  # where the columns of its box begin in `dx`
    r2 = (dx * dx)[_counted(in_row) + np.repeat(first, in_row)] + np.repeat(dy * dy, in_row)
    mask = np.clip((1 - r2) * 3, 0, 1)
    rim = 1 - np.float32(0.45) * np.minimum(r2, 1) ** 2
    shares = [triple(plane[None])[0] for plane in (1 - mask, mask * rim)]
    return np.cumsum(wide * high).tolist(), *shares


def _counted(lengths: np.ndarray) -> np.ndarray:
    """0 to n - 1 for each n of `lengths`, one after another."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
