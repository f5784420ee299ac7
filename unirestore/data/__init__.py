"""Pictures that feed training and evaluation: procedural street scenes, photo folders, and pairs made of
either."""

from unirestore.data.catalog import eval_sets, load_eval_set
from unirestore.data.categories import CategoryFolder, ObjectCrops
from unirestore.data.coco import CocoFolder
from unirestore.data.folder import PhotoFolder
from unirestore.data.images import read_depth, read_image, read_label_map
from unirestore.data.joint import JointDataset
from unirestore.data.paired import PairedDataset, collate
from unirestore.data.sample import SCENE_CLASSES, Sample
from unirestore.data.scenes import SCENE_LABELS, Scene, Scenes, render_scene, write_scenes
from unirestore.data.unpaired import BesideReal, named_photos, open_real
from unirestore.data.voc import VocFolder

__all__ = [
    "SCENE_CLASSES",
    "SCENE_LABELS",
    "BesideReal",
    "CategoryFolder",
    "CocoFolder",
    "ObjectCrops",
    "PairedDataset",
    "PhotoFolder",
    "JointDataset",
    "Sample",
    "Scene",
    "Scenes",
    "VocFolder",
    "collate",
    "eval_sets",
    "load_eval_set",
    "named_photos",
    "open_real",
    "read_depth",
    "read_image",
    "read_label_map",
    "render_scene",
    "write_scenes",
]
