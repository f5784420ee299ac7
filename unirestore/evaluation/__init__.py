"""How much a restorer helps a detector or a segmentor, measured: arms, conditions, paired intervals, reports."""

from unirestore.evaluation.arms import CLASSICAL_ARMS, build_arms, restorer_arm
from unirestore.evaluation.bootstrap import Interval, compare
from unirestore.evaluation.detection import Truth, match
from unirestore.evaluation.gain import Condition, GainReport, measure_gain
from unirestore.evaluation.image_quality import psnr, ssim
from unirestore.evaluation.index_page import write_index
from unirestore.evaluation.metrics import DetectionScore
from unirestore.evaluation.report import write_report
from unirestore.evaluation.segmentation import SegmentationScore, confusion
from unirestore.evaluation.tasks import DetectionTask, SegmentationTask

__all__ = [
    "CLASSICAL_ARMS",
    "Condition",
    "DetectionScore",
    "DetectionTask",
    "GainReport",
    "Interval",
    "SegmentationScore",
    "SegmentationTask",
    "Truth",
    "build_arms",
    "compare",
    "confusion",
    "match",
    "measure_gain",
    "psnr",
    "restorer_arm",
    "ssim",
    "write_index",
    "write_report",
]
