"""From a seed to a street scene: plan, paint from far to near, read boxes, depth and label map off, and
photograph it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from unirestore.data.sample import SCENE_CLASSES, Sample
from unirestore.data.scenes.backdrop import paint_far, paint_ground, paint_sky
from unirestore.data.scenes.canvas import SUPERSAMPLING, Canvas
from unirestore.data.scenes.layout import Actor, draw_actors, draw_camera, draw_street
from unirestore.data.scenes.light import Light, draw_light
from unirestore.data.scenes.people import draw_cycle, draw_person
from unirestore.data.scenes.scenery import plan_scenery
from unirestore.data.scenes.vehicle_models import ground_shape
from unirestore.data.scenes.vehicles import draw_vehicle

# The first twelve are CamVid's, in its order, so that label maps of both can be used together.
SCENE_LABELS = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
    "void",
    "bus", "truck", "motorcycle",
)  # fmt: skip
_LABEL = {name: i for i, name in enumerate(SCENE_LABELS)}
_LABEL_OF_CLASS = {"person": "pedestrian", "bicycle": "bicyclist"}
MIN_VISIBLE = 0.25
MIN_SIDE = 3.0
SLIVER = 0.01  # share of the picture below which what the border cuts to less than a quarter is left out


@dataclass
class Scene:
    """A rendered street scene.

    Attributes:
        image: `(S, S, 3)` RGB uint8.
        boxes: `(N, 4)` float32 x1 y1 x2 y2 in pixels, of what is visible of each object.
        labels: `(N,)` int64 indices into `SCENE_CLASSES`.
        label_map: `(S, S)` uint8 indices into `SCENE_LABELS`.
        depth: `(S, S)` float32 metres, 3 to 300, sky 1000.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    label_map: np.ndarray
    depth: np.ndarray


def render_scene(seed: int, size: int = 256) -> Scene:
    """Render the scene of a seed at `size` x `size` pixels; the same seed always gives the same scene.

    An object is listed if nearer things leave at least a quarter of it to be seen; of those that the border
    cuts to less than a quarter only the large ones are.

    Raises:
        ValueError: `size` is below 32 or `seed` is negative.
    """
    if size < 32:
        raise ValueError(f"size must be at least 32 pixels, got {size}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    rng = np.random.default_rng([97, seed])
    light, street = draw_light(rng), draw_street(rng)
    camera = draw_camera(rng, size, street.kind)
    actors = sorted(draw_actors(rng, street, camera), key=lambda actor: -actor.z)
    canvas = Canvas(camera)
    paint_sky(canvas, light, rng)
    paint_far(canvas, light, rng, _LABEL["tree"])
    paint_ground(
        canvas, light, rng, street, _LABEL, [shape for actor in actors for shape in _shadows(actor, light)]
    )
    found: list[tuple] = []
    things = plan_scenery(canvas, light, rng, street, _LABEL)
    for _, draw in _merge(things, actors):
        if isinstance(draw, Actor):
            found.extend(_paint_actor(canvas, light, rng, draw))
        else:
            draw()
    boxes, labels = _visible(canvas, found)
    depth, label_map = canvas.depth_and_labels()
    return Scene(_photograph(canvas, light, rng), boxes, labels, label_map, depth)


class Scenes:
    """Scenes rendered when asked for, as a source of samples: picture `i` is the scene of seed `seed + i`."""

    def __init__(self, length: int = 1000, *, seed: int = 0, size: int = 256) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        self.length, self.seed, self.size, self.classes = int(length), int(seed), int(size), SCENE_CLASSES

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.length:
            raise IndexError(f"scene {index} of {self.length}")
        s = render_scene(self.seed + index, self.size)
        name = f"scene-{self.seed + index:06d}"
        return Sample(s.image, s.boxes, s.labels, s.depth, s.label_map, name, SCENE_LABELS, image_id=index)


def _merge(things: list, actors: list[Actor]):
    both = [*things, *((actor.z, actor) for actor in actors)]
    return sorted(both, key=lambda thing: -thing[0])


def _shadows(actor: Actor, light: Light) -> list[np.ndarray]:
    """What an actor darkens on the ground, `(N, 2)` X, Z: the place below it, and its cast shadow in the
    sun."""
    if actor.model is not None:
        shape, height = ground_shape(actor.model, actor.x, actor.z, actor.yaw), actor.model.height
    else:
        half = 0.22 if actor.name == "person" else 0.3
        long = 0.22 if actor.name == "person" else 0.85
        forward, left = (
            np.array([np.sin(actor.yaw), np.cos(actor.yaw)]),
            np.array([-np.cos(actor.yaw), np.sin(actor.yaw)]),
        )
        shape = np.array([actor.x, actor.z]) + np.array(
            [[long, half], [long, -half], [-long, -half], [-long, half]]
        ) @ np.stack([forward, left])
        height = actor.height
    shapes = [shape]
    if light.time in ("clear", "golden"):
        throw = -light.sun[[0, 2]] / max(light.sun[1], 0.25) * height * 0.8
        corners = np.concatenate([shape, shape + throw]).astype(np.float32)
        shapes.append(cv2.convexHull(corners)[:, 0].astype(np.float64))
    return shapes


def _paint_actor(canvas: Canvas, light: Light, rng: np.random.Generator, actor: Actor) -> list:
    """Paint one actor; gives (class, first surface, last surface, box, whole size) for each object of it."""
    first = len(canvas.planes)
    index = SCENE_CLASSES.index(actor.name)
    label = _LABEL[_LABEL_OF_CLASS.get(actor.name, actor.name)]
    if actor.model is not None:
        box = draw_vehicle(canvas, light, rng, actor.model, actor.x, actor.z, actor.yaw, label)
        return [_entry(canvas, index, first, len(canvas.planes), box)]
    if actor.name == "person":
        box = draw_person(canvas, light, rng, actor.x, actor.z, actor.yaw, actor.height, label)
        return [_entry(canvas, index, first, len(canvas.planes), box)]
    motor = actor.name == "motorcycle"
    rider_label = label if not motor else _LABEL["motorcycle"]
    box, rider, between = draw_cycle(
        canvas, light, rng, actor.x, actor.z, actor.yaw, actor.rider, motor, (label, rider_label)
    )
    entries = [_entry(canvas, index, first, between, box)]
    if rider is not None:
        entries.append(_entry(canvas, SCENE_CLASSES.index("person"), between, len(canvas.planes), rider))
    return entries


def _entry(canvas: Canvas, index: int, first: int, last: int, box: tuple) -> tuple:
    """(class, first surface, last surface, box, pixels before anything else hides it, share of the box in the
    picture)."""
    x1, y1, x2, y2 = np.clip(box, 0, canvas.size)
    share = (x2 - x1) * (y2 - y1) / max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
    count, _ = canvas.count(box, first, last)
    return index, first, last, box, count, share


def _visible(canvas: Canvas, found: list) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and labels of what can be told: not hidden for the most part, and not a sliver at the border."""
    boxes, labels = [], []
    for index, first, last, box, whole, share in found:
        count, exact = canvas.count(box, first, last)
        if (
            exact is None
            or count < MIN_VISIBLE * whole
            or min(exact[2] - exact[0], exact[3] - exact[1]) < MIN_SIDE
        ):
            continue
        if share < MIN_VISIBLE and count < SLIVER * canvas.side**2:
            continue
        boxes.append(exact)
        labels.append(index)
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64)


@lru_cache(maxsize=2)
def _grain(side: int) -> np.ndarray:
    return np.random.default_rng(101).normal(0, 1, (side, side, 3)).astype(np.float32)


@lru_cache(maxsize=4)
def _vignette(size: int) -> np.ndarray:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    fall = 1 - 0.2 * (axis[:, None] ** 2 + axis[None] ** 2) / 2
    return np.repeat(fall[..., None], 3, 2)


def _photograph(canvas: Canvas, light: Light, rng: np.random.Generator) -> np.ndarray:
    """Shrink to the final size, then exposure, contrast, white balance, vignette and a little sensor
    noise."""
    size = canvas.size
    image = cv2.resize(canvas.image, (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (3, 3), float(rng.uniform(0.35, 0.65)))
    contrast, balance = rng.uniform(0.9, 1.15), 1 + rng.normal(0, 0.02, 3)
    levels = np.arange(256, dtype=np.float64)[:, None] / 255
    curve = ((levels - 0.45) * contrast + 0.45) * light.exposure * balance
    table = (255 * curve).clip(0, 255).astype(np.uint8)[None]
    image = cv2.LUT(image, np.ascontiguousarray(table)).astype(np.float32)
    if rng.random() < 0.5:
        image *= _vignette(size)
    noise = rng.uniform(0.5, 3.0) * (1.6 if light.time == "dusk" else 1.0)
    side = size + 64
    y, x = (int(v) for v in rng.integers(0, side - size, 2))
    image += np.float32(noise) * _grain(side)[y : y + size, x : x + size]
    return image.clip(0, 255).astype(np.uint8)


__all__ = ["SCENE_CLASSES", "SCENE_LABELS", "SUPERSAMPLING", "Scene", "Scenes", "render_scene"]
