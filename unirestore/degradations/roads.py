"""Weather as photos of real roads show it: samplers that draw it together with light and camera.

`Haze` and `Rain` are the physics; these samplers choose their parameters so that the statistics of the
result (`statistics.py`) come close to real road photos, and add what those have besides: lamps and their
mirror image on wet asphalt, dusk, an exposure and levels that stretch the veil, less grain. A draw is a
`Compose`, so it replays from its manifest like any other effect.
"""

from __future__ import annotations

import numpy as np

from .base import Degradation
from .camera import JpegCompression, SensorNoise
from .compose import Compose
from .dust import Dust
from .haze import Haze
from .headlamps import HeadLamps
from .light import to_linear
from .rain import Rain
from .scattering import sample_airlight
from .snow import Snow
from .tone import Tone


def _luminance(colour: tuple[float, float, float]) -> float:
    return float(to_linear(np.asarray(colour, np.float32)) @ np.array([0.21, 0.72, 0.07]))


def _clipped(rng: np.random.Generator, mean: float, deviation: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, deviation), low, high))


class RoadFog:
    """Fog on a road: `RoadFog.sample(rng)` is a `Compose` of haze, sometimes lamps, and tone."""

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Compose:
        """Random concrete parameters; visibility near the preset of `Haze` where `severity` is given."""
        if severity is None:
            visibility = float(np.exp(rng.uniform(np.log(30), np.log(330))))
        else:
            visibility = Haze.presets["visibility"][severity - 1] * float(rng.uniform(0.85, 1.2))
        airlight = sample_airlight(rng, dusk=0.2)
        haze = Haze(
            severity=severity,
            visibility=visibility,
            airlight=airlight,
            gradient=_clipped(rng, -0.05, 0.28, -0.8, 0.7),
            vignette=rng.uniform(0.0, 0.5),
            height_scale=np.exp(rng.uniform(np.log(30), np.log(300))),
            horizon=rng.uniform(0.35, 0.55),
            unevenness=rng.uniform(0.0, 0.3),
            scene_light=float(np.clip(_luminance(airlight) * rng.uniform(0.5, 2.0), 0.1, 1.4)),
            flatness=rng.uniform(0.1, 0.5),
            lamps=rng.choice([0.0, 0.5, 1.0]),
            blur=rng.uniform(0.3, 1.0),
            glow=rng.uniform(0.1, 0.8),
            exposure=rng.normal(0.1, 0.15),
        )
        tone = _tone(rng, levels=0.5, softness=0.8)
        return Compose(effects=(_sunless(rng), haze, *_lamps(rng, 0.35, wet=0.3), tone))


class RoadRain:
    """Rain on a road: coloured veil and spray, wet asphalt, lamps, few streaks, drops on the glass, dusk."""

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Compose:
        """Random concrete parameters; near the presets of `Rain` where `severity` is given."""
        level = 4 * float(rng.random()) ** 1.2 if severity is None else float(severity - 1)
        values = {
            name: float(np.interp(level, range(5), steps)) * float(rng.uniform(0.75, 1.3))
            for name, steps in Rain.presets.items()
        }
        values["streaks"] *= float(rng.choice([0.1, 0.5, 1.2], p=[0.6, 0.28, 0.12]))
        values["wetness"] = min(values["wetness"], 1.0)
        airlight = sample_airlight(rng, dusk=0.22)
        values["scene_light"] = float(np.clip(_luminance(airlight) * rng.uniform(1.0, 3.2), 0.2, 1.6))
        rain = Rain(
            severity=severity,
            airlight=airlight,
            gradient=_clipped(rng, -0.05, 0.35, -0.8, 0.7),
            vignette=rng.uniform(0.0, 0.35),
            height_scale=np.exp(rng.uniform(np.log(30), np.log(250))),
            horizon=rng.uniform(0.38, 0.52),
            unevenness=rng.uniform(0.0, 0.4),
            streak_length=rng.uniform(8, 32),
            streak_angle=float(np.clip(rng.normal(0, 9), -60, 60)),
            drops=int(rng.integers(30, 220)) if rng.random() < 0.12 else 0,
            lens=rng.uniform(0.1, 0.6) if rng.random() < 0.3 else 0.0,
            flatness=rng.uniform(0.0, 0.3),
            lamps=rng.choice([0.0, 0.5, 1.0]),
            blur=rng.uniform(0.0, 0.8),
            glow=rng.uniform(0.2, 1.2),
            exposure=rng.normal(0.22, 0.2),
            **values,
        )
        tone = _tone(rng, levels=0.9, softness=0.2, tint=0.01)
        return Compose(effects=(_sunless(rng), rain, *_lamps(rng, 0.6, wet=1.0), tone))


class RoadSnow:
    """Snow on a road: veil, flakes, white ground, sometimes lamps, and tone."""

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Compose:
        """Random concrete parameters; near the presets of `Snow` where `severity` is given."""
        tone = _tone(rng, levels=0.8, softness=0.2)
        return Compose(effects=(_sunless(rng), Snow.sample(rng, severity), *_lamps(rng, 0.4, wet=0.4), tone))


class RoadSand:
    """Dust and sand on a road: coloured air, drifts, sometimes lamps, and tone."""

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Compose:
        """Random concrete parameters; near the presets of `Dust` where `severity` is given."""
        tone = _tone(rng, levels=0.7, softness=0.6)
        return Compose(effects=(Dust.sample(rng, severity), *_lamps(rng, 0.3, wet=0.1), tone))


def road_camera(rng: np.random.Generator) -> tuple[Degradation, ...]:
    """Noise and JPEG of cameras on roads: mostly daylight, noise reduction on, so little grain."""
    level = float(np.exp(rng.uniform(np.log(0.0003), np.log(0.006))))
    noise = SensorNoise(
        shot=level,
        read=level * rng.uniform(0.3, 0.9),
        grain=rng.uniform(0.2, 1.0),
        colour=rng.uniform(0.1, 0.6),
    )
    return noise, JpegCompression.sample(rng)


def _lamps(rng: np.random.Generator, share: float, wet: float) -> tuple[Degradation, ...]:
    """Head lamps in `share` of the draws, mirrored by the road up to `wet`."""
    if rng.random() >= share:
        return ()
    lamps = HeadLamps.sample(rng)
    unlabelled = lamps.pairs if rng.random() < 0.25 else 0  # pairs that no vehicle carries, in few photos
    changes = {"mirror": lamps.mirror * wet, "pairs": min(unlabelled, 4)}
    return (HeadLamps.from_parameters({**lamps.parameters(), **changes}),)


def _sunless(rng: np.random.Generator) -> Tone:
    """The clean photo in the light of an overcast sky: neutral and paler."""
    return Tone(
        contrast=0.0,
        gamma=1.0,
        warmth=rng.uniform(-0.04, 0.0),
        saturation=rng.uniform(0.6, 1.0),
        balance=rng.uniform(0.2, 0.7),
    )


def _tone(rng: np.random.Generator, *, levels: float, softness: float, tint: float = 0.0) -> Tone:
    stretch = float(rng.uniform(0.0, levels))
    odd = rng.random() < 0.1  # strongly coloured light or editing
    return Tone(
        levels=stretch,
        contrast=_clipped(rng, 0.1 - 0.1 * stretch, 0.18, -0.4, 0.45),
        gamma=float(np.exp(_clipped(rng, 0.0, 0.15, -0.5, 0.5))),
        saturation=rng.uniform(1.0, 1.9) if odd else rng.uniform(0.4, 1.4),
        warmth=_clipped(rng, 0.0, 0.12 if odd else 0.03, -0.4, 0.4),
        tint=_clipped(rng, tint, 0.016, -0.1, 0.1),
        softness=rng.uniform(0.0, softness),
    )
