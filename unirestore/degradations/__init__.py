"""Weather and cameras: seeded, serialisable degradations. Needs numpy and OpenCV only."""

from . import depth, recipe_book
from .at_scale import AtScale
from .base import REGISTRY, SEVERITIES, Degradation, build, from_manifest
from .blur import DefocusBlur, MotionBlur, TemporalBlur
from .camera import JpegCompression, SensorNoise
from .compose import Compose, Identity, RandomChoice
from .compression import Compression
from .corruptions import CORRUPTIONS, CorruptionMixture, corruption
from .dusk import Dusk
from .dust import Dust
from .haze import Haze
from .headlamps import HeadLamps
from .kernel_blur import KernelBlur
from .layers import HAZE_PRESETS, Flare, Layered, Reflection, Shadow, SoftHaze
from .lens_drops import LensDrops
from .lowlight import LowLight
from .mixture import MIXTURES, WeatherMixture
from .moire import Moire
from .noise import GaussianNoise, GranularNoise, PoissonNoise, SegmentNoise
from .puddles import Puddles
from .rain import Rain
from .recipes import RECIPES, FixedRecipe, Recipe, load_recipe
from .smoke import Smoke
from .snow import Snow
from .spray import SprayTrails
from .tone import Tone

__all__ = [
    "HAZE_PRESETS",
    "CORRUPTIONS",
    "CorruptionMixture",
    "corruption",
    "MIXTURES",
    "RECIPES",
    "REGISTRY",
    "SEVERITIES",
    "AtScale",
    "Compose",
    "Compression",
    "DefocusBlur",
    "GaussianNoise",
    "GranularNoise",
    "Degradation",
    "FixedRecipe",
    "Haze",
    "Identity",
    "JpegCompression",
    "LowLight",
    "Moire",
    "KernelBlur",
    "MotionBlur",
    "PoissonNoise",
    "Rain",
    "RandomChoice",
    "Recipe",
    "SegmentNoise",
    "SensorNoise",
    "TemporalBlur",
    "WeatherMixture",
    "Flare",
    "Layered",
    "Reflection",
    "Shadow",
    "SoftHaze",
    "Dusk",
    "Dust",
    "HeadLamps",
    "LensDrops",
    "Puddles",
    "Smoke",
    "Snow",
    "SprayTrails",
    "Tone",
    "build",
    "depth",
    "from_manifest",
    "load_recipe",
    "recipe_book",
]
