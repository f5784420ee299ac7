"""Training stages as mmengine models, and what they need around them. The core does not import this."""

from .adaptation import AdaptationStage
from .autoencoder import AutoencoderStage
from .calibration import CalibrationStage, FitPrototypes
from .checkpoints import ExportRestorer, find_checkpoint, save_restorer
from .datasets import build_joint_pairs, build_pairs, build_pairs_beside_real
from .distillation import DistillationStage
from .gate import GateStage
from .joint import JointStage, TaskGradientNorms
from .mixed_precision import Bfloat16OptimWrapper
from .perception import PerceptionStage
from .prior import PriorStage
from .restoration import RestorationStage
from .safe_loading import read_checkpoint, read_training_checkpoint
from .schedules import GroupOneCycleLR
from .stage import TrainingStage
from .teachers import TEACHERS, Teacher, load_teachers

__all__ = [
    "AdaptationStage",
    "AutoencoderStage",
    "Bfloat16OptimWrapper",
    "CalibrationStage",
    "DistillationStage",
    "ExportRestorer",
    "FitPrototypes",
    "GateStage",
    "GroupOneCycleLR",
    "JointStage",
    "PerceptionStage",
    "PriorStage",
    "RestorationStage",
    "TEACHERS",
    "TaskGradientNorms",
    "Teacher",
    "TrainingStage",
    "build_joint_pairs",
    "build_pairs",
    "build_pairs_beside_real",
    "find_checkpoint",
    "load_teachers",
    "read_checkpoint",
    "read_training_checkpoint",
    "save_restorer",
]
