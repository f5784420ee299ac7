"""One step of a data pipeline: which degradation a photo gets, and what happens to its boxes and maps.

The transforms for mmengine (`unirestore.mm.Degrade`) and for torchvision (`torch_transform.DegradeTransform`)
translate their containers and leave the rest to `DegradeStep`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .base import Degradation, build, require
from .recipes import NODES, FixedRecipe, load_recipe


@dataclass
class Moved:
    """What comes out of a step: the photo, what was done (None: nothing), and what belongs to the photo."""

    image: Any
    effect: Degradation | None
    seed: int
    boxes: np.ndarray | None = None
    maps: list[np.ndarray] = field(default_factory=list)
    points: np.ndarray | None = None


class DegradeStep:
    """Draws a degradation for a photo and applies it to the photo, its boxes and its maps.

    Args:
        recipe: what `recipes.load_recipe` takes, or an effect as a config has it: `{"type": "Haze", "params":
            {...}}` or flat `{"type": "Haze", "severity": 3}`.
        severity: 1-5 for a recipe whose effects name none; None draws over the whole range.
        prob: share of photos that are degraded.

    Raises:
        ValueError: ``prob`` outside [0, 1], or ``severity`` with an effect that already has parameters.
    """

    def __init__(self, recipe: Any, *, severity: int | None = None, prob: float = 1.0) -> None:
        require(0.0 <= prob <= 1.0, f"prob is {prob}; it is a share in [0, 1]")
        if isinstance(recipe, Mapping) and "type" in recipe:
            recipe = build(with_params(recipe))
        require(
            severity is None or isinstance(recipe, (str, Path)) or _is_node(recipe),
            f"severity={severity} belongs to a named mixture; set it inside the given weather",
        )
        if isinstance(recipe, Mapping) and not _is_node(recipe):
            with_params(recipe)  # says what is missing
        self.recipe = load_recipe(recipe, severity=severity)
        self.prob = float(prob)

    @property
    def effect(self) -> Degradation | None:
        """The effect, where it is always the same one."""
        return self.recipe.effect if isinstance(self.recipe, FixedRecipe) else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.effect or self.recipe!r}, prob={self.prob})"

    def spares(self, seed: int) -> bool:
        """Whether the photo of `seed` stays as it is."""
        return bool(np.random.default_rng((seed, 1)).random() >= self.prob)

    def __call__(
        self,
        image: Any,
        *,
        seed: int,
        depth: np.ndarray | None = None,
        label_map: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        boxes: np.ndarray | None = None,
        maps: Iterable[np.ndarray] = (),
        fill: int | Sequence[int | None] | None = 255,
        points: np.ndarray | None = None,
    ) -> Moved:
        """Degrade one photo.

        Args:
            image: what `Degradation.__call__` takes, RGB.
            seed: integer >= 0.
            depth: (H, W) metres, or None.
            label_map: (H, W) class ids, for the depth only (pass it in `maps` too if it is to be moved).
            class_names: names of the ids in `label_map`.
            boxes: (N, 4) x1, y1, x2, y2 in pixels.
            maps: (H, W) maps that follow the pixels, nearest neighbour; an iterator is asked for them only where
                pixels move, and `Moved.maps` is empty elsewhere.
            fill: value in maps of what comes from outside the picture, one for all or one for each; None mirrors.
            points: (N, 2) x, y in pixels, 0 at the centre of the first one.
        """
        kept = [] if isinstance(maps, Iterator) else list(maps)
        boxes = None if boxes is None else np.asarray(boxes, np.float32).reshape(-1, 4)
        points = None if points is None else np.asarray(points, np.float32).reshape(-1, 2)
        if self.spares(seed):
            return Moved(image, None, seed, boxes, kept, points)
        effect = self.recipe.draw(seed)
        degraded = effect(image, seed=seed, depth=depth, label_map=label_map, class_names=class_names)
        if effect.moves_pixels:
            if boxes is not None:
                boxes = effect.warp_boxes(boxes, size_of(image), seed=seed)
            if points is not None:
                points = effect.warp_points(points, size_of(image), seed=seed)
            maps = kept or list(maps)
            fills = fill if isinstance(fill, Sequence) else [fill] * len(maps)
            kept = [effect.warp_map(a, seed=seed, fill=b) for a, b in zip(maps, fills, strict=True)]
        return Moved(degraded, effect, seed, boxes, kept, points)


def size_of(image: Any) -> tuple[int, int]:
    """(H, W) of an array (H, W, C) or (H, W), or of a torch tensor (C, H, W) or any of these."""
    shape = tuple(image.shape)
    planes = len(shape) == 3 and hasattr(image, "detach")
    planes = planes and (
        shape[0] == 3 or (shape[0] == 1 and shape[2] not in (1, 3))
    )  # as `to_float_rgb` has it
    return shape[1:] if planes else shape[:2]


def seed_of_name(seed: int, name: str) -> int:
    """A seed in [0, 2^31) that depends on `seed` and a photo's name alone."""
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF


def with_params(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest entry from `{"type", "params"}` or the flat `{"type", severity=3, ...}` of a config."""
    if "type" not in entry:
        raise ValueError(
            f"weather has the keys {sorted(entry)}; it needs `type`, for example dict(type='Haze'), or is a recipe"
        )
    if "params" in entry:
        return {"type": entry["type"], "params": dict(entry["params"])}
    return {"type": entry["type"], "params": {key: value for key, value in entry.items() if key != "type"}}


def _is_node(recipe: Any) -> bool:
    return isinstance(recipe, Mapping) and any(kind in recipe for kind in NODES)
