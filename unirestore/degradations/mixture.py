"""Mixtures of weather and camera that training draws from: item n gets `WeatherMixture(name).draw(seed_n)`.

A draw is a concrete `Compose` (weather, then sensor noise, then JPEG), so one manifest line replays it.
"""

from __future__ import annotations

from .base import Degradation, require
from .camera import JpegCompression, SensorNoise
from .compose import Compose, Identity
from .haze import Haze
from .noise_fields import generator
from .rain import Rain
from .roads import RoadFog, RoadRain, RoadSand, RoadSnow, road_camera

MIXTURES: dict[str, dict[str, float]] = {
    "haze": {"haze": 1.0},
    "rain": {"rain": 1.0},
    "mixed": {"haze": 0.55, "rain": 0.45},
    # closer to photos of real roads; see `roads`
    "road_fog": {"road_fog": 1.0},
    "road_rain": {"road_rain": 1.0},
    "road": {"road_fog": 0.55, "road_rain": 0.45},
    "road_snow": {"road_snow": 1.0},
    "road_sand": {"road_sand": 1.0},
    # whatever a gate should see
    "any": {"haze": 0.2, "rain": 0.2, "road_fog": 0.2, "road_rain": 0.2, "road_snow": 0.1, "road_sand": 0.1},
    "road_all": {"road_fog": 0.35, "road_rain": 0.3, "road_snow": 0.2, "road_sand": 0.15},
}
ROADS: dict[str, type] = {  # their camera is `roads.road_camera`
    "road_fog": RoadFog,
    "road_rain": RoadRain,
    "road_snow": RoadSnow,
    "road_sand": RoadSand,
}
WEATHER: dict[str, type] = {"haze": Haze, "rain": Rain, **ROADS}


class WeatherMixture:
    """Random weather followed by a random camera.

    Args:
        name: a key of `MIXTURES`, such as "haze", "rain", "mixed" or "road".
        severity: 1 to 5 keeps every draw near that preset; None draws over the whole range.
        clean: share of draws without weather (the camera stays).
        camera: False leaves noise and JPEG out.

    Raises:
        ValueError for an unknown name, a severity outside 1-5 or a share outside [0, 1].
    """

    def __init__(
        self, name: str, *, severity: int | None = None, clean: float = 0.0, camera: bool = True
    ) -> None:
        require(name in MIXTURES, f"unknown mixture {name!r}; known: {sorted(MIXTURES)}")
        require(
            severity is None or severity in (1, 2, 3, 4, 5),
            f"severity must be 1..5 or None, got {severity!r}",
        )
        require(0 <= clean <= 1, f"clean must lie in [0, 1], got {clean}")
        self.name, self.severity, self.clean, self.camera = name, severity, clean, camera

    def __repr__(self) -> str:
        rest = f"severity={self.severity}, clean={self.clean}, camera={self.camera}"
        return f"WeatherMixture({self.name!r}, {rest})"

    def draw(self, seed: int) -> Degradation:
        """The degradation of `seed`: the same seed gives equal parameters."""
        rng = generator(seed, 0x31)
        kind = None
        if rng.random() < self.clean:
            weather: Degradation = Identity()
        else:
            shares = MIXTURES[self.name]
            kinds = list(shares)
            total = sum(shares.values())
            kind = kinds[int(rng.choice(len(kinds), p=[shares[k] / total for k in kinds]))]
            weather = WEATHER[kind].sample(rng, self.severity)
        if not self.camera:
            return weather
        if kind in ROADS:
            return Compose(effects=(weather, *road_camera(rng)))
        return Compose(effects=(weather, SensorNoise.sample(rng), JpegCompression.sample(rng)))
