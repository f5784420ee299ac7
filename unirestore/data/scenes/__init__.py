"""Procedural street scenes with exact boxes, label map and depth: the default training and measuring set."""

from unirestore.data.scenes.render import SCENE_CLASSES, SCENE_LABELS, Scene, Scenes, render_scene
from unirestore.data.scenes.write import write_scenes

__all__ = ["SCENE_CLASSES", "SCENE_LABELS", "Scene", "Scenes", "render_scene", "write_scenes"]
