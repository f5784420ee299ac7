"""Weather as a step of an mmdet or mmseg pipeline.

    dict(type="Degrade", weather="haze", seed=7)

belongs directly behind ``LoadAnnotations``, before Resize and Pad, so that a photo gets its weather at its
own size and the padding gets none. Source: written for this project; the weather itself is
``unirestore.degradations``. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from unirestore.data import read_depth
from unirestore.data.images import DEPTH_SUFFIXES, fit_depth
from unirestore.degradations import Degradation
from unirestore.degradations.step import DegradeStep, Moved, seed_of_name

__all__ = ["Degrade"]


@TRANSFORMS.register_module()
class Degrade(BaseTransform):
    """Degrade ``results["img"]`` and say how in ``results["weather"]``.

    The manifest in ``results["weather"]`` reproduces the picture exactly
    (``unirestore.degradations.from_manifest``); name it in the ``meta_keys`` of ``PackDetInputs`` to keep it.

    Where an effect moves pixels, ``gt_bboxes``, ``gt_masks`` and ``gt_seg_map`` move with them; what comes from
    outside the picture is 255 in ``gt_seg_map``, and a box that leaves it stays with no area, for
    ``FilterAnnotations`` to drop.

    Args:
        weather: name of a mixture (``"haze"``, ``"rain"``, ``"mixed"``) or of a recipe (``"second_order"``), a
            recipe, a manifest line ``{"type", "params"}``, or a ``Degradation``; see
            ``unirestore.degradations.step``.
        severity: 1-5 for a mixture or recipe, ``None`` draws over the whole range; a manifest carries its own.
        seed: base seed. With ``repeat`` the weather of a photo depends on this and on the photo's name only.
        repeat: the same weather each time a photo is loaded (testing). ``False`` draws anew from numpy's
            global state, which mmengine seeds in each worker (training).
        prob: share of photos that are degraded.
        keep_clean: keep the input as ``results["clean_img"]``, at the size it has at this step.
        depth_folder: folder with the depth under each photo's name (``a.jpg.png``) or stem (``a.png``), of the
            photo's proportions: a 16-bit ``.png`` in centimetres or an ``.npy`` in metres; photos without one get
            the depth of their label map, or a guessed one.
        label_map_names: class names of ``results["gt_seg_map"]``, used for depth where no depth image is.

    Raises:
        ValueError: ``prob`` outside [0, 1], or ``severity`` with a weather that already has parameters.
    """

    def __init__(
        self,
        *,
        weather: str | Mapping[str, Any] | Degradation,
        severity: int | None = None,
        seed: int = 0,
        repeat: bool = True,
        prob: float = 1.0,
        keep_clean: bool = False,
        depth_folder: str | Path | None = None,
        label_map_names: Sequence[str] | None = None,
    ) -> None:
        if depth_folder is not None and not Path(depth_folder).is_dir():
            raise FileNotFoundError(f"no depth folder at {depth_folder}")
        self.step = DegradeStep(weather, severity=severity, prob=prob)
        self.seed = seed
        self.repeat = repeat
        self.keep_clean = keep_clean
        self.depth_folder = None if depth_folder is None else Path(depth_folder)
        self.label_map_names = None if label_map_names is None else tuple(label_map_names)

    @property
    def effect(self) -> Degradation | None:
        """The effect, where every photo gets the same one."""
        return self.step.effect

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Degrade ``results["img"]``: ``(H, W, 3)`` BGR, uint8 or float32 0-255; the type stays."""
        seed = self._seed_of(results)
        image = results["img"]
        if self.keep_clean:
            results["clean_img"] = image.copy()
        if self.step.spares(seed):
            return results
        scale = 1 if image.dtype == np.uint8 else np.float32(255)
        rgb = np.ascontiguousarray(image[..., ::-1])
        rgb = rgb if image.dtype == np.uint8 else np.clip(rgb.astype(np.float32) / scale, 0, 1)
        depth = self._depth_of(results, rgb.shape[:2])
        label_map = results.get("gt_seg_map") if depth is None and self.label_map_names else None
        moved = self.step(
            rgb,
            seed=seed,
            depth=depth,
            label_map=label_map,
            class_names=self.label_map_names if label_map is not None else None,
            boxes=_corners(results.get("gt_bboxes")),
            maps=_planes(results),
            fill=_fills(results),
        )
        degraded = moved.image if image.dtype == np.uint8 else (moved.image * scale).astype(image.dtype)
        results["img"] = np.ascontiguousarray(degraded[..., ::-1])
        results["weather"] = moved.effect.to_manifest(seed)
        if moved.effect.moves_pixels:
            _take_over(results, moved)
        return results

    def _seed_of(self, results: Mapping[str, Any]) -> int:
        """A seed in [0, 2^31): of the photo's name, or drawn."""
        if not self.repeat:
            return int(np.random.randint(0, 2**31 - 1))
        name = Path(str(results.get("img_path", results.get("img_id", "")))).name
        return seed_of_name(self.seed, name)

    def _depth_of(self, results: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray | None:
        """``(H, W)`` float32 metres from the depth file of the photo, or None."""
        if self.depth_folder is None or "img_path" not in results:
            return None
        photo = Path(results["img_path"])
        names = (f"{name}{suffix}" for name in (photo.name, photo.stem) for suffix in DEPTH_SUFFIXES)
        paths = (self.depth_folder / name for name in names)
        path = next((path for path in paths if path.is_file()), None)
        return None if path is None else fit_depth(read_depth(path), shape, path)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(weather={self.effect or self.step.recipe!r}, seed={self.seed}, "
            f"repeat={self.repeat}, prob={self.step.prob})"
        )


def _corners(boxes: Any) -> np.ndarray | None:
    """``(N, 4)`` float32 x1, y1, x2, y2 of an array or of mmdet's box structures."""
    if boxes is None or isinstance(boxes, np.ndarray):
        return boxes
    corners = boxes.convert_to("hbox") if hasattr(boxes, "convert_to") else boxes
    return corners.tensor.cpu().numpy()


def _planes(results: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """The ``(H, W)`` maps in ``results``: the label map, then the masks (polygons are drawn when asked for)."""
    if results.get("gt_seg_map") is not None:
        yield results["gt_seg_map"]
    if results.get("gt_masks") is not None:
        yield from results["gt_masks"].to_ndarray()


def _fills(results: Mapping[str, Any]) -> list[int]:
    """What stands for the outside of the picture in each of ``_planes``."""
    masks = results.get("gt_masks")
    return [255] * (results.get("gt_seg_map") is not None) + [0] * (0 if masks is None else len(masks))


def _take_over(results: dict[str, Any], moved: Moved) -> None:
    """Put what ``moved`` holds where ``_corners`` and ``_planes`` found it, in the structures they had."""
    for key in ("gt_keypoints", "gt_panoptic_seg"):
        if results.get(key) is not None:
            name = type(moved.effect).__name__
            raise NotImplementedError(f"{name} moves pixels, and {key} would not follow it")
    boxes, maps = results.get("gt_bboxes"), list(moved.maps)
    if isinstance(boxes, np.ndarray):
        results["gt_bboxes"] = moved.boxes.astype(boxes.dtype)
    elif boxes is not None:  # mmdet's box structures
        kind = type(boxes.convert_to("hbox") if hasattr(boxes, "convert_to") else boxes)
        results["gt_bboxes"] = kind(torch.from_numpy(moved.boxes).to(boxes.tensor))
    if results.get("gt_seg_map") is not None:
        results["gt_seg_map"] = maps.pop(0)
    if maps:
        from mmdet.structures.mask import BitmapMasks

        results["gt_masks"] = BitmapMasks(np.stack(maps), *results["img"].shape[:2])
