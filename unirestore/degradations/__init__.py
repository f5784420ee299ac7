"""Weather and cameras: seeded, serialisable degradations. Needs numpy and OpenCV only."""

from . import depth, recipe_book
from .at_scale import AtScale
from .base import REGISTRY, SEVERITIES, Degradation, build, from_manifest
from .blur import DefocusBlur, MotionBlur, TemporalBlur
from .camera import JpegCompression, SensorNoise
from .compose import Compose, Identity, RandomChoice
from .haze import Haze
from .kernel_blur import KernelBlur
from .mixture import MIXTURES, WeatherMixture
from .noise import GaussianNoise, GranularNoise, PoissonNoise, SegmentNoise
from .rain import Rain
from .recipes import RECIPES, FixedRecipe, Recipe, load_recipe

__all__ = [
    "MIXTURES",
    "RECIPES",
    "REGISTRY",
    "SEVERITIES",
    "AtScale",
    "Compose",
    "DefocusBlur",
    "GaussianNoise",
    "GranularNoise",
    "Degradation",
    "FixedRecipe",
    "Haze",
    "Identity",
    "JpegCompression",
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
    "build",
    "depth",
    "from_manifest",
    "load_recipe",
    "recipe_book",
]
