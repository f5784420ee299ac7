"""Training stages as mmengine models, and what they need around them. The core does not import this."""

from .adaptation import AdaptationStage
from .autoencoder import AutoencoderStage
from .checkpoints import ExportRestorer, find_checkpoint, save_restorer
from .datasets import build_pairs
from .mixed_precision import Bfloat16OptimWrapper
from .perception import PerceptionStage
from .prior import PriorStage
from .restoration import RestorationStage
from .safe_loading import read_checkpoint, read_training_checkpoint
from .stage import TrainingStage

__all__ = [
    "AdaptationStage",
    "AutoencoderStage",
    "Bfloat16OptimWrapper",
    "ExportRestorer",
    "PerceptionStage",
    "PriorStage",
    "RestorationStage",
    "TrainingStage",
    "build_pairs",
    "find_checkpoint",
    "read_checkpoint",
    "read_training_checkpoint",
    "save_restorer",
]
