"""The network: torch and diffusers only."""

from .presets import PRESETS, WEIGHTS
from .unirestore import PARAMETER_GROUPS, Encoding, UniRestore

__all__ = ["PARAMETER_GROUPS", "PRESETS", "WEIGHTS", "Encoding", "UniRestore"]
