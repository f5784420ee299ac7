"""Weather and cameras: seeded, serialisable degradations. Needs numpy and OpenCV only."""

from . import depth
from .base import REGISTRY, SEVERITIES, Degradation, build, from_manifest
from .camera import JpegCompression, SensorNoise
from .compose import Compose, Identity, RandomChoice
from .haze import Haze
from .mixture import MIXTURES, WeatherMixture
from .rain import Rain

__all__ = [
    "MIXTURES",
    "REGISTRY",
    "SEVERITIES",
    "Compose",
    "Degradation",
    "Haze",
    "Identity",
    "JpegCompression",
    "Rain",
    "RandomChoice",
    "SensorNoise",
    "WeatherMixture",
    "build",
    "depth",
    "from_manifest",
]
