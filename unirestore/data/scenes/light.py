"""Time of day: where the sun stands, what colour light and sky have, and how a face is shaded by them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

TIMES = ("clear", "overcast", "golden", "dusk")
_CHANCES = (0.4, 0.33, 0.15, 0.12)


@dataclass(frozen=True)
class Light:
    """Lighting of a scene; colours are RGB in 0..255 (sky) or factors around 1 (light).

    Attributes:
        time: one of `TIMES`.
        sun: unit vector towards the sun (X right, Y up, Z forward).
        direct, ambient: `(3,)` factors of sunlight and of the light of the sky.
        zenith, horizon: `(3,)` sky colours above and at the horizon.
        lamps: whether lamps and lit windows are on.
        exposure: brightness of the whole picture.
    """

    time: str
    sun: np.ndarray
    direct: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    lamps: bool
    exposure: float

    @cached_property
    def _plain(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        return tuple(self.sun.tolist()), tuple(self.direct.tolist()), tuple(self.ambient.tolist())

    @cached_property
    def horizon_rgb(self) -> tuple[float, ...]:
        """`horizon` as plain numbers."""
        return tuple(self.horizon.tolist())

    def factors(self, normal: tuple[float, float, float]) -> tuple[float, float, float]:
        """By what the RGB of a face with this unit normal is multiplied."""
        sun, direct, ambient = self._plain
        facing = max(0.0, normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2])
        open_sky = 0.8 + 0.2 * normal[1]
        return tuple(a * open_sky + d * facing for a, d in zip(ambient, direct))

    def shade(self, normal: tuple[float, float, float] | np.ndarray) -> np.ndarray:
        """`factors` as an array `(3,)`."""
        return np.array(self.factors(normal))


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a time of day."""
    time = TIMES[int(rng.choice(len(TIMES), p=_CHANCES))]
    heading = rng.uniform(-np.pi, np.pi)
    height = {
        "clear": rng.uniform(0.5, 1.1),
        "overcast": 1.2,
        "golden": rng.uniform(0.15, 0.35),
        "dusk": 0.1,
    }[time]
    sun = np.array([np.sin(heading) * np.cos(height), np.sin(height), np.cos(heading) * np.cos(height)])
    jitter = rng.normal(0, 1, (4, 3)) * 0.02 + 1
    if time == "clear":
        parts = (
            0.62 * jitter[0] * (1.05, 1.0, 0.9),
            0.58 * jitter[1] * (0.93, 1.0, 1.1),
            (92, 146, 212),
            (196, 216, 234),
            1.0,
        )
    elif time == "overcast":
        grey = rng.uniform(0.85, 1.12)
        parts = (
            0.1 * jitter[0],
            0.88 * jitter[1] * (0.97, 1.0, 1.03),
            (172 * grey, 180 * grey, 190 * grey),
            (206, 210, 214),
            0.95,
        )
    elif time == "golden":
        parts = (
            0.75 * jitter[0] * (1.25, 0.95, 0.6),
            0.48 * jitter[1] * (1.0, 0.95, 1.0),
            (112, 140, 190),
            (248, 206, 152),
            0.95,
        )
    else:
        parts = (0.06 * jitter[0], 0.66 * jitter[1] * (0.88, 0.93, 1.12), (58, 74, 118), (166, 146, 152), 0.9)
    direct, ambient, zenith, horizon, exposure = parts
    return Light(
        time=time,
        sun=sun,
        direct=np.asarray(direct, np.float64),
        ambient=np.asarray(ambient, np.float64),
        zenith=(np.asarray(zenith, np.float64) * jitter[2]).clip(0, 255),
        horizon=(np.asarray(horizon, np.float64) * jitter[3]).clip(0, 255),
        lamps=time == "dusk",
        exposure=exposure * rng.uniform(0.85, 1.12),
    )
