"""Soft effects with their layers (UniSER): haze, flare, shadow and reflection, and masks to steer a restorer by."""

from .flare import HALO_KINDS, Flare
from .haze import SoftHaze
from .haze_presets import HAZE_PRESETS
from .layered import Layered, Layers, SoftEffect
from .masks import MaskedTask, blend_target, draw_task, random_mask, soften
from .reflection import REFLECTIONS, Reflection
from .shadow import Shadow
from .silhouettes import SILHOUETTES

__all__ = [
    "HALO_KINDS",
    "HAZE_PRESETS",
    "REFLECTIONS",
    "SILHOUETTES",
    "Flare",
    "Layered",
    "Layers",
    "MaskedTask",
    "Reflection",
    "Shadow",
    "SoftEffect",
    "SoftHaze",
    "blend_target",
    "draw_task",
    "random_mask",
    "soften",
]
