"""A frozen mmdet detector: the downstream task that restoration is trained and measured with.

UniRestore's second stage (section 3.4) trains through the loss of a frozen downstream network; here that is
any mmdet detector with its own loss, its own preprocessing and its own class list; see `frozen.py` for what
differs from mmdet's inferencer. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor
from torchvision.ops import batched_nms

from .frozen import FrozenNetwork, check_picture, read_config

__all__ = ["FrozenDetector", "pseudo_labels"]

Detections = tuple[np.ndarray, np.ndarray, np.ndarray]

# boxes of classes outside ours are dropped after NMS; the detector's own cap must not let them push ours out
_UNCAPPED = 10_000
# what was found at one size covers what was found at another
_MERGE_IOU = 0.65


@MODELS.register_module()
class FrozenDetector(FrozenNetwork):
    """An mmdet detector in eval mode with frozen weights, differentiable in its input images.

    Args:
        config: an mmdet config: a path, ``mmdet::folder/name`` of an installed package, or a ``Config``.
        checkpoint: ``.pth`` or ``.safetensors`` with the detector's weights; ``None`` leaves random weights
            (for tests).
        classes: the caller's class names in the caller's order; labels in and out are indices into it.
        input_size: side of the square canvas, in pixels, that :meth:`predict` puts each picture on.
        score_thr: lowest score kept by :meth:`predict`.
        max_per_img: boxes kept per picture, best first, after classes outside ``classes`` are dropped.
        nms_iou: IoU threshold of NMS; ``None`` keeps the config's own (0.65 for YOLOX).
        pad_value: grey level (0-255) of the canvas around the picture.
        detector_classes: the detector's class names in its own order, where neither checkpoint nor config
            says them.
        fuse: fuse convolution and batch norm and use ``nn.SiLU``.

    Raises:
        FileNotFoundError: config or checkpoint is not there.
        ValueError: the weights do not fit the config, or a class of ``classes`` is unknown to the detector.
    """

    scope: ClassVar[str] = "mmdet"
    truth: ClassVar[tuple[str, ...]] = ("boxes", "labels")

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None,
        classes: Sequence[str],
        *,
        input_size: int = 640,
        score_thr: float = 0.01,
        max_per_img: int = 300,
        nms_iou: float | None = None,
        pad_value: int = 114,
        detector_classes: Sequence[str] | None = None,
        fuse: bool = True,
    ) -> None:
        if input_size < 1:
            raise ValueError(
                f"input_size is {input_size}; give the side of the canvas in pixels, for example 640"
            )
        if not 0.0 <= score_thr < 1.0:
            raise ValueError(f"score_thr is {score_thr}; it must lie in [0, 1)")
        config = deepcopy(read_config(config))
        _set_test_options(config.model, score_thr=score_thr, nms_iou=nms_iou)
        super().__init__(config, checkpoint, classes, own_classes=detector_classes, fuse=fuse)
        self.input_size = input_size
        self.max_per_img = max_per_img
        self.pad_value = pad_value

    @property
    def detector(self) -> Any:
        """The mmdet model."""
        return self.network

    # ------------------------------------------------------------------ training

    def loss(self, images: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, Tensor]:
        """The detector's own training loss, in eval mode and with frozen weights.

        Args:
            images: ``(B, 3, H, W)`` RGB in [0, 1].
            boxes: per image ``(N, 4)`` xyxy in pixels of ``images``; ``N`` may be 0.
            labels: per image ``(N,)`` indices into ``classes``.

        Returns:
            name to scalar for each of the detector's loss terms, weighted as its config says.

        Raises:
            ValueError: counts or shapes disagree, or a label lies outside ``classes``.
        """
        return self.loss_and_features(images, boxes, labels)[0]

    def loss_and_features(
        self, images: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """:meth:`loss` and :meth:`features` from one pass of backbone and neck (same arguments)."""
        inputs, samples = self._prepare(images, self._samples(images, boxes, labels))
        return self._loss_and_features(inputs, samples)

    # ---------------------------------------------------------------- prediction

    @torch.no_grad()
    def predict(self, images: Sequence[np.ndarray], *, batch_size: int = 4) -> list[Detections]:
        """Detect on pictures as a user would have saved them.

        Each picture is put, unscaled, in the top left corner of a grey ``input_size`` canvas.

        Args:
            images: uint8 ``(H, W, 3)`` RGB, no side above ``input_size``.
            batch_size: canvases per forward pass.

        Returns:
            per picture ``(boxes, scores, labels)``: float32 ``(N, 4)`` xyxy in the picture's pixels, float32
            ``(N,)`` falling, int64 ``(N,)`` indices into ``classes``.

        Raises:
            ValueError: a picture is not uint8 ``(H, W, 3)`` or does not fit the canvas.
        """
        results: list[Detections] = []
        for start in range(0, len(images), batch_size):
            results += self._predict_batch(images[start : start + batch_size])
        return results

    def _predict_batch(self, images: Sequence[np.ndarray]) -> list[Detections]:
        side = self.input_size
        canvas = np.full((len(images), side, side, 3), self.pad_value, np.uint8)
        samples = []
        for slot, image in zip(canvas, images, strict=True):
            check_picture(image)
            height, width = image.shape[:2]
            if max(height, width) > side:
                raise ValueError(
                    f"a picture of {width} x {height} does not fit the {side} x {side} canvas; resize its "
                    f"long side to {side} first or build the detector with input_size={max(height, width)}"
                )
            slot[:height, :width] = image
            samples.append(_sample((height, width)))
        tensor = torch.from_numpy(canvas).to(self.device).permute(0, 3, 1, 2).float() / 255  # (B, 3, S, S)
        inputs, samples = self._prepare(tensor, samples)
        predicted = self.detector.predict(inputs, samples, rescale=False)
        return [self._in_our_classes(sample.pred_instances) for sample in predicted]

    def _in_our_classes(self, instances: InstanceData) -> Detections:
        labels = self._theirs_to_ours[instances.labels]
        kept = labels >= 0
        boxes, scores, labels = instances.bboxes[kept], instances.scores[kept], labels[kept]
        best = scores.argsort(descending=True, stable=True)[: self.max_per_img]
        return (
            boxes[best].float().cpu().numpy(),
            scores[best].float().cpu().numpy(),
            labels[best].cpu().numpy(),
        )

    def _samples(
        self, images: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> list[DetDataSample]:
        if not len(images) == len(boxes) == len(labels):
            raise ValueError(f"{len(images)} images but {len(boxes)} box lists and {len(labels)} label lists")
        samples = []
        for image_boxes, image_labels in zip(boxes, labels, strict=True):
            image_boxes = image_boxes.to(self.device, torch.float32).reshape(-1, 4)
            image_labels = image_labels.to(self.device, torch.long).reshape(-1)
            if len(image_boxes) != len(image_labels):
                raise ValueError(f"{len(image_boxes)} boxes but {len(image_labels)} labels for one image")
            if len(image_labels) and not 0 <= int(image_labels.min()) <= int(image_labels.max()) < len(
                self.classes
            ):
                raise ValueError(
                    f"labels run from {int(image_labels.min())} to {int(image_labels.max())}, but there "
                    f"are {len(self.classes)} classes: {', '.join(self.classes)}"
                )
            sample = _sample(tuple(images.shape[-2:]))
            sample.gt_instances = InstanceData(bboxes=image_boxes, labels=self._ours_to_theirs[image_labels])
            samples.append(sample)
        return samples


def pseudo_labels(
    detector: FrozenDetector,
    images: Sequence[np.ndarray],
    names: Sequence[str] | None = None,
    *,
    sizes: Sequence[int] | None = None,
    restore: Callable[[np.ndarray], np.ndarray] | None = None,
    score_thr: float = 0.4,
    progress: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Label pictures that have no boxes with the detector's own confident detections.

    Args:
        detector: the frozen detector; its ``classes`` become the categories, ids from 1.
        images: uint8 ``(H, W, 3)`` RGB, as for :meth:`FrozenDetector.predict`; each is asked for once, in order.
        names: file name of each picture; running numbers where not given.
        sizes: scale each picture to these long sides, pixels, one after the other; what is found at several sizes is
            merged by non-maximum suppression at IoU 0.65. None: the picture's own.
        restore: what each scaled picture goes through before the detector sees it, uint8 in and out.
        score_thr: lowest score that becomes a box.
        progress: called with the name of each picture that is done.

    Returns:
        a COCO annotation dictionary (``images``, ``annotations``, ``categories``); boxes are xywh in pixels of the
        picture as it came, clipped to it, each with the ``score`` it came from.

    Raises:
        ValueError: there are not as many names as pictures; what :meth:`FrozenDetector.predict` raises.
    """
    names = [f"{index:06d}.png" for index in range(len(images))] if names is None else list(names)
    if len(names) != len(images):
        raise ValueError(f"{len(images)} pictures but {len(names)} names")
    entries, annotations = [], []
    for index, (name, image) in enumerate(zip(names, images, strict=True), start=1):
        height, width = image.shape[:2]
        entries.append({"id": index, "file_name": name, "height": height, "width": width})
        for box, score, label in zip(*_detect_at(detector, image, sizes, restore), strict=True):
            left, top, right, bottom = np.clip(box, 0, (width, height, width, height)).tolist()
            if score < score_thr or right - left < 1 or bottom - top < 1:
                continue
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": int(label) + 1,
                    "iscrowd": 0,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "score": float(score),
                }
            )
        if progress is not None:
            progress(name)
    categories = [{"id": index, "name": name} for index, name in enumerate(detector.classes, start=1)]
    return {"images": entries, "annotations": annotations, "categories": categories}


def _detect_at(
    detector: FrozenDetector,
    image: np.ndarray,
    sizes: Sequence[int] | None,
    restore: Callable[[np.ndarray], np.ndarray] | None,
) -> Detections:
    """What is found in an image at each of `sizes`, merged, in the image's pixels."""
    height, width = image.shape[:2]
    found = []
    for size in sizes or [max(height, width)]:
        sides = [max(1, round(side * size / max(height, width))) for side in (width, height)]
        seen = image if sides == [width, height] else cv2.resize(image, sides, interpolation=cv2.INTER_LINEAR)
        boxes, scores, labels = detector.predict([restore(seen) if restore else seen])[0]
        found.append((boxes * np.tile(np.float32([width, height]) / np.float32(sides), 2), scores, labels))
    if len(found) == 1:
        return found[0]
    boxes, scores, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = batched_nms(*map(torch.from_numpy, (boxes, scores, labels)), _MERGE_IOU).numpy()
    return boxes[kept], scores[kept], labels[kept]


def _sample(shape: tuple[int, int]) -> DetDataSample:
    """An annotation holder that says: this picture is at its own size."""
    return DetDataSample(metainfo={"img_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0)})


def _set_test_options(model_config: Any, *, score_thr: float, nms_iou: float | None) -> None:
    """Set score threshold, NMS and box cap in whichever test_cfg the head reads (one-stage or R-CNN)."""
    test_config = model_config.get("test_cfg")
    if test_config is None:
        return
    final = test_config.get("rcnn", test_config)
    final["score_thr"] = score_thr
    if "max_per_img" in final:
        final["max_per_img"] = _UNCAPPED
    if nms_iou is not None:
        final["nms"] = dict(final.get("nms") or {"type": "nms"}, iou_threshold=nms_iou)
