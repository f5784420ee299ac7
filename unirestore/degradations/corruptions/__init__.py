"""The 19 corruptions of the robustness benchmarks (15 common, 4 for validation) and the sampler that trains on them.

    foggy = corruption("fog", severity=3)(photo, seed=7)
    effect = CorruptionMixture().draw(seed=7)      # what UniRestore trains on

Class names end in C, as in ImageNet-C and COCO-C; effects without it (`Haze`, `Rain`, ...) are our own models.
"""

from ..base import Degradation, require
from .base import SEVERITY_SHARES, Corruption
from .blur import DefocusBlurC, GaussianBlurC, GlassBlurC, MotionBlurC, ZoomBlurC
from .digital import BrightnessC, ContrastC, ElasticTransformC, JpegC, PixelateC, SaturateC
from .frost import FrostC
from .mixture import AtShortSide, CorruptionMixture
from .noise import GaussianNoiseC, ImpulseNoiseC, ShotNoiseC, SpeckleNoiseC
from .weather import FogC, SnowC, SpatterC

CORRUPTIONS: dict[str, type[Degradation]] = {
    kind.name: kind
    for kind in (
        GaussianNoiseC,
        ShotNoiseC,
        ImpulseNoiseC,
        DefocusBlurC,
        GlassBlurC,
        MotionBlurC,
        ZoomBlurC,
        SnowC,
        FrostC,
        FogC,
        BrightnessC,
        ContrastC,
        ElasticTransformC,
        PixelateC,
        JpegC,
        SpeckleNoiseC,
        GaussianBlurC,
        SpatterC,
        SaturateC,
    )
}
"""Benchmark name -> class, in the benchmark's order."""

_names = tuple(CORRUPTIONS)
SUBSETS: dict[str, tuple[str, ...]] = {
    "common": _names[:15],
    "validation": _names[15:],
    "all": _names,
    "noise": _names[0:3],
    "blur": _names[3:7],
    "weather": _names[7:11],
    "digital": _names[11:15],
}
"""The benchmark's groups of names."""


def corruption(name: str, severity: int = 3) -> Degradation:
    """The corruption of a benchmark name, e.g. "gaussian_noise". Raises ValueError for an unknown one."""
    require(name in CORRUPTIONS, f"unknown corruption {name!r}; known: {sorted(CORRUPTIONS)}")
    return CORRUPTIONS[name](severity=severity)


__all__ = [
    "CORRUPTIONS",
    "SEVERITY_SHARES",
    "SUBSETS",
    "AtShortSide",
    "BrightnessC",
    "ContrastC",
    "Corruption",
    "CorruptionMixture",
    "DefocusBlurC",
    "ElasticTransformC",
    "FogC",
    "FrostC",
    "GaussianBlurC",
    "GaussianNoiseC",
    "GlassBlurC",
    "ImpulseNoiseC",
    "JpegC",
    "MotionBlurC",
    "PixelateC",
    "SaturateC",
    "ShotNoiseC",
    "SnowC",
    "SpatterC",
    "SpeckleNoiseC",
    "ZoomBlurC",
    "corruption",
]
