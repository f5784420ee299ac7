"""Weather and cameras: seeded, serialisable degradations. Needs numpy and OpenCV only."""

from . import depth
from .base import REGISTRY, SEVERITIES, Degradation, build, from_manifest
from .blur import DefocusBlur, MotionBlur, TemporalBlur
from .camera import JpegCompression, SensorNoise
from .compose import Compose, Identity, RandomChoice
from .haze import Haze
from .mixture import MIXTURES, WeatherMixture
from .noise import GaussianNoise, GranularNoise, PoissonNoise, SegmentNoise
from .rain import Rain

__all__ = [
    "MIXTURES",
    "REGISTRY",
    "SEVERITIES",
    "Compose",
    "DefocusBlur",
    "GaussianNoise",
    "GranularNoise",
    "Degradation",
    "Haze",
    "Identity",
    "JpegCompression",
    "MotionBlur",
    "PoissonNoise",
    "Rain",
    "RandomChoice",
    "SegmentNoise",
    "SensorNoise",
    "TemporalBlur",
    "WeatherMixture",
    "build",
    "depth",
    "from_manifest",
]
