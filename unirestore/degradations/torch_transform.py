"""Degradations as a torchvision-v2 transform: image, boxes and masks go in together and stay together.

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
from torch.utils._pytree import tree_flatten, tree_unflatten
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from .step import DegradeStep


class DegradeTransform(v2.Transform):
    """Degrades the image of a sample; boxes and masks follow where pixels move.

    As for all v2 transforms, a sample is any nesting of dicts and lists. Its image is a `tv_tensors.Image`, a
    PIL image or, where there is neither, the first plain (3, H, W) or (1, H, W) tensor. Several images get the
    same degradation with the same seed. Boxes (`tv_tensors.BoundingBoxes`, any format that is not rotated) and masks
    (`tv_tensors.Mask`, (H, W) or (N, H, W)) are moved by effects that move pixels; a box that leaves the picture
    keeps its place with no area, for `v2.SanitizeBoundingBoxes` to drop.

    Args:
        recipe: what `recipes.load_recipe` takes.
        severity: 1-5 for a recipe whose effects name none.
        prob: share of samples that are degraded.
        seed: None draws a seed per sample from torch's global generator, which a DataLoader seeds in each worker;
            a number degrades every sample with that one seed.
        class_names: names of the ids of a (H, W) mask in the sample, from which the depth is made then.
        fill: value in masks of what comes from outside the picture; None mirrors.

    Raises:
        ValueError where a sample has no image, or a batch instead of one.
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
    ) -> None:
        super().__init__()
        self.step = DegradeStep(recipe, severity=severity, prob=prob)
        self.seed, self.fill = seed, fill
        self.class_names = None if class_names is None else tuple(class_names)

    def extra_repr(self) -> str:
        """Shown by `repr`."""
        return f"{self.step!r}, seed={self.seed}"

    def forward(self, *inputs: Any) -> Any:
        """The sample, degraded."""
        leaves, structure = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        images = _images(leaves)
        if not images:
            kinds = sorted({type(leaf).__name__ for leaf in leaves})
            raise ValueError(
                f"the sample has no image (tv_tensors.Image, PIL image or tensor), it has {kinds}"
            )
        seed = int(torch.randint(2**62, ())) if self.seed is None else self.seed
        label_map = self._label_map(leaves)
        names = self.class_names if label_map is not None else None
        for index in images:
            moved = self.step(_pixels(leaves[index]), seed=seed, label_map=label_map, class_names=names)
            leaves[index] = _wrapped(moved.image, leaves[index])
        if moved.effect is not None and moved.effect.moves_pixels:
            for index, leaf in enumerate(leaves):
                if isinstance(leaf, tv_tensors.BoundingBoxes):
                    leaves[index] = self._boxes(leaf, moved.effect, seed)
                elif isinstance(leaf, tv_tensors.Mask):
                    leaves[index] = self._mask(leaf, moved.effect, seed)
        return tree_unflatten(leaves, structure)

    def _label_map(self, leaves: list[Any]) -> np.ndarray | None:
        if self.class_names is None:
            return None
        maps = [leaf for leaf in leaves if isinstance(leaf, tv_tensors.Mask) and leaf.ndim == 2]
        return maps[0].cpu().numpy() if maps else None

    def _boxes(self, boxes: tv_tensors.BoundingBoxes, effect: Any, seed: int) -> tv_tensors.BoundingBoxes:
        corners = functional.convert_bounding_box_format(boxes, new_format=tv_tensors.BoundingBoxFormat.XYXY)
        flat = corners.reshape(-1, 4).cpu().numpy()
        moved = torch.from_numpy(effect.warp_boxes(flat, tuple(boxes.canvas_size), seed=seed))
        moved = tv_tensors.BoundingBoxes(
            moved.reshape(boxes.shape).to(boxes.device),
            format=tv_tensors.BoundingBoxFormat.XYXY,
            canvas_size=boxes.canvas_size,
        )
        moved = functional.convert_bounding_box_format(moved, new_format=boxes.format)
        if not boxes.dtype.is_floating_point:
            moved = moved.round()
        return tv_tensors.wrap(moved.to(boxes.dtype), like=boxes)

    def _mask(self, mask: tv_tensors.Mask, effect: Any, seed: int) -> tv_tensors.Mask:
        planes = mask.cpu().numpy()
        fill = None if self.fill is None or mask.dtype == torch.bool else self.fill
        if planes.ndim == 3:  # one mask for each thing: outside there is nothing of it
            moved = [effect.warp_map(plane, seed=seed, fill=0) for plane in planes]
            planes = np.stack(moved) if moved else planes
        else:
            planes = effect.warp_map(planes, seed=seed, fill=fill)
        return tv_tensors.wrap(torch.from_numpy(planes).to(mask.device), like=mask)


def _images(leaves: list[Any]) -> list[int]:
    """Places of the images: tagged ones, else the first plain tensor that looks like one."""
    tagged = [i for i, leaf in enumerate(leaves) if isinstance(leaf, (tv_tensors.Image, PilImage.Image))]
    if tagged:
        return tagged
    plain = (
        i
        for i, leaf in enumerate(leaves)
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, tv_tensors.TVTensor) and leaf.ndim >= 3
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
