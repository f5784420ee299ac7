"""Degradations as a torchvision-v2 transform: image, boxes, keypoints and masks go in together and stay together.

    from torchvision.transforms import v2
    from unirestore.degradations.torch_transform import DegradeTransform

    train = v2.Compose([DegradeTransform("second_order", prob=0.8), v2.RandomHorizontalFlip(), v2.ToDtype(...)])

Needs torch and torchvision; not imported by `unirestore.degradations` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image as PilImage
from torch.utils._pytree import tree_flatten_with_path, tree_unflatten
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from .step import DegradeStep, Moved


class DegradeTransform(v2.Transform):
    """Degrades the image of a sample; boxes, keypoints and masks follow where pixels move.

    As for all v2 transforms, a sample is any nesting of dicts and lists. Its image is a `tv_tensors.Image`, a
    PIL image or, where there is neither, the first plain (3, H, W) or (1, H, W) tensor. Several images get the
    same degradation with the same seed. Boxes (`tv_tensors.BoundingBoxes`, any format that is not rotated),
    `tv_tensors.KeyPoints`, masks (`tv_tensors.Mask`, (H, W) or (N, H, W)) and the depth are moved by effects that
    move pixels; a box that leaves the picture keeps its place with no area and a keypoint lies outside, for
    `v2.SanitizeBoundingBoxes` and `v2.SanitizeKeyPoints` to drop.

    Args:
        recipe: what `recipes.load_recipe` takes.
        severity: 1-5 for a recipe whose effects name none.
        prob: share of samples that are degraded.
        seed: None draws a seed per sample from torch's global generator, which a DataLoader seeds in each worker;
            a number degrades every sample with that one seed.
        class_names: names of the ids of a (H, W) mask in the sample, from which the depth is made then.
        fill: value in masks of what comes from outside the picture; None mirrors.
        depth: key of a dict in the sample under which the depth is: a tensor (H, W) or (1, H, W), metres; a
            sample that holds None there gets another depth. None: no such key.

    Raises:
        ValueError where a sample has no image, a batch instead of one, or no depth where there should be one.
    """

    def __init__(
        self,
        recipe: Any,
        *,
        severity: int | None = None,
        prob: float = 1.0,
        seed: int | None = None,
        class_names: Sequence[str] | None = None,
        fill: int | None = 255,
        depth: str | None = None,
    ) -> None:
        super().__init__()
        self.step = DegradeStep(recipe, severity=severity, prob=prob)
        self.seed, self.fill, self.depth = seed, fill, depth
        self.class_names = None if class_names is None else tuple(class_names)

    def extra_repr(self) -> str:
        """Shown by `repr`."""
        return f"{self.step!r}, seed={self.seed}"

    def forward(self, *inputs: Any) -> Any:
        """The sample, degraded."""
        found, structure = tree_flatten_with_path(inputs if len(inputs) > 1 else inputs[0])
        paths, leaves = [path for path, _ in found], [leaf for _, leaf in found]
        at = self._depth_at(paths)
        images = _images(leaves, at)
        if not images:
            kinds = sorted({type(leaf).__name__ for leaf in leaves})
            raise ValueError(
                f"the sample has no image (tv_tensors.Image, PIL image or tensor), it has {kinds}"
            )
        seed = int(torch.randint(2**62, ())) if self.seed is None else self.seed
        depth = None if at is None or leaves[at] is None else _depth(leaves[at])
        label_map = self._label_map(leaves, at) if depth is None else None
        known = {
            "seed": seed,
            "depth": depth,
            "label_map": label_map,
            "class_names": self.class_names if label_map is not None else None,
        }
        others = [self.step(_pixels(leaves[index]), **known).image for index in images[1:]]
        annotations = _Annotations(leaves, at if depth is not None else None, self.fill)
        image = _pixels(leaves[images[0]])
        moved = self.step(image, **known, **annotations.of_step())
        for index, pixels in zip(images, [moved.image, *others], strict=True):
            leaves[index] = _wrapped(pixels, leaves[index])
        if moved.effect is not None and moved.effect.moves_pixels:
            annotations.take_over(moved, image.shape[:2])
        return tree_unflatten(leaves, structure)

    def _depth_at(self, paths: list[Any]) -> int | None:
        """Place of the depth among the leaves. Raises ValueError unless there is exactly one."""
        if self.depth is None:
            return None
        places = [i for i, path in enumerate(paths) if path and getattr(path[-1], "key", None) == self.depth]
        if len(places) != 1:
            raise ValueError(
                f"the sample has {len(places)} entries {self.depth!r}, expected one with the depth in metres"
            )
        return places[0]

    def _label_map(self, leaves: list[Any], depth_at: int | None) -> np.ndarray | None:
        if self.class_names is None:
            return None
        maps = [
            leaf
            for index, leaf in enumerate(leaves)
            if isinstance(leaf, tv_tensors.Mask) and leaf.ndim == 2 and index != depth_at
        ]
        return maps[0].cpu().numpy() if maps else None


class _Annotations:
    """What belongs to the image of a sample, as `DegradeStep` takes it and put back as it came.

    Args:
        leaves: of the sample; changed by `take_over`.
        depth: place of the depth among them, or None.
        fill: of (H, W) masks.
    """

    def __init__(self, leaves: list[Any], depth: int | None, fill: int | None) -> None:
        self.leaves, self.fill, self.depth = leaves, fill, depth
        kinds = {kind: [i for i, leaf in enumerate(leaves) if isinstance(leaf, kind)] for kind in _FOLLOW}
        self.boxes, self.points, self.masks = kinds.values()
        self.masks = [index for index in self.masks if index != depth] + ([] if depth is None else [depth])

    def of_step(self) -> dict[str, Any]:
        """`boxes`, `points`, `maps` and `fill` of `DegradeStep.__call__`."""
        boxes = [_corners(self.leaves[index]) for index in self.boxes]
        points = [self.leaves[index].reshape(-1, 2).cpu().numpy() for index in self.points]
        return {
            "boxes": np.concatenate(boxes) if boxes else None,
            "points": np.concatenate(points) if points else None,
            "maps": (plane for index in self.masks for plane in _planes(self.leaves[index])),
            "fill": [fill for index in self.masks for fill in self._fills(index)],
        }

    def take_over(self, moved: Moved, size: tuple[int, int]) -> None:
        """Put what `moved` holds into the leaves. Raises ValueError where boxes are of another size than (H, W)."""
        boxes, points, maps = moved.boxes, moved.points, iter(moved.maps)
        for index in [*self.boxes, *self.points]:
            if tuple(self.leaves[index].canvas_size) != tuple(size):
                raise ValueError(
                    f"{type(self.leaves[index]).__name__} of a canvas {tuple(self.leaves[index].canvas_size)} cannot "
                    f"follow an image of {tuple(size)}"
                )
        for index in self.boxes:
            count = self.leaves[index].numel() // 4
            self.leaves[index], boxes = _boxes_like(boxes[:count], self.leaves[index]), boxes[count:]
        for index in self.points:
            like = self.leaves[index]
            count = like.numel() // 2
            own = torch.from_numpy(points[:count]).reshape(like.shape)
            own = own if like.dtype.is_floating_point else own.round()
            self.leaves[index], points = tv_tensors.wrap(own.to(like), like=like), points[count:]
        for index in self.masks:
            like = self.leaves[index]
            planes = [next(maps) for _ in _planes(like)]
            if planes:
                own = torch.from_numpy(np.stack(planes).reshape(like.shape)).to(like.device)
                tagged = isinstance(like, tv_tensors.TVTensor)
                self.leaves[index] = tv_tensors.wrap(own, like=like) if tagged else own

    def _fills(self, index: int) -> list[int | None]:
        mask = self.leaves[index]
        if index == self.depth:  # no number means "outside" here
            return [None]
        if mask.ndim == 3:  # one mask for each thing: outside there is nothing of it
            return [0] * len(mask)
        return [None if mask.dtype == torch.bool else self.fill]


_FOLLOW = (tv_tensors.BoundingBoxes, tv_tensors.KeyPoints, tv_tensors.Mask)


def _depth(depth: Any) -> np.ndarray:
    """(H, W) float32 of a tensor (H, W) or (1, H, W), metres."""
    if not isinstance(depth, torch.Tensor) or depth.ndim not in (2, 3) or depth[..., 0, 0].numel() != 1:
        raise ValueError(
            f"the depth must be a tensor (H, W) or (1, H, W), got {getattr(depth, 'shape', type(depth))}"
        )
    return _planes(depth)[0].astype(np.float32)


def _planes(mask: torch.Tensor) -> np.ndarray:
    """(N, H, W) array of a tensor (H, W) or (N, H, W)."""
    planes = mask.as_subclass(torch.Tensor).cpu().numpy()
    return planes if planes.ndim == 3 else planes[None]


def _corners(boxes: tv_tensors.BoundingBoxes) -> np.ndarray:
    """(N, 4) x1, y1, x2, y2."""
    corners = functional.convert_bounding_box_format(boxes, new_format=tv_tensors.BoundingBoxFormat.XYXY)
    return corners.reshape(-1, 4).cpu().numpy()


def _boxes_like(corners: np.ndarray, like: tv_tensors.BoundingBoxes) -> tv_tensors.BoundingBoxes:
    """(N, 4) float32 x1, y1, x2, y2 in the format, shape and type of `like`."""
    moved = tv_tensors.BoundingBoxes(
        torch.from_numpy(corners).reshape(like.shape).to(like.device),
        format=tv_tensors.BoundingBoxFormat.XYXY,
        canvas_size=like.canvas_size,
    )
    moved = functional.convert_bounding_box_format(moved, new_format=like.format)
    if not like.dtype.is_floating_point:
        moved = moved.round()
    return tv_tensors.wrap(moved.to(like.dtype), like=like)


def _images(leaves: list[Any], depth_at: int | None) -> list[int]:
    """Places of the images: tagged ones, else the first plain tensor that looks like one and is not the depth."""
    tagged = [i for i, leaf in enumerate(leaves) if isinstance(leaf, (tv_tensors.Image, PilImage.Image))]
    if tagged:
        return tagged
    plain = (
        i
        for i, leaf in enumerate(leaves)
        if isinstance(leaf, torch.Tensor)
        and not isinstance(leaf, tv_tensors.TVTensor)
        and leaf.ndim >= 3
        and i != depth_at
    )
    return [i for i in (next(plain, None),) if i is not None]


def _pixels(image: Any) -> Any:
    """What a degradation takes: a plain (C, H, W) tensor or an array."""
    if isinstance(image, PilImage.Image):
        if image.mode not in ("RGB", "L"):
            raise ValueError(f"a PIL image must be RGB or L, got {image.mode}; convert it first")
        return np.asarray(image)
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"an image tensor must be (3, H, W) or (1, H, W), got {tuple(image.shape)}")
    # channels last, so that no size is mistaken for a number of channels
    return image.as_subclass(torch.Tensor).permute(1, 2, 0).cpu().numpy()


def _wrapped(pixels: np.ndarray, like: Any) -> Any:
    if isinstance(like, PilImage.Image):
        return PilImage.fromarray(pixels)
    planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).to(like.device)
    return tv_tensors.wrap(planes, like=like) if isinstance(like, tv_tensors.TVTensor) else planes
