"""Non-maximum suppression and box overlap, called as ``mmcv.ops`` calls its compiled operators.

Source: torchvision's ``nms``; soft suppression after Bodla et al., "Soft-NMS - Improving Object Detection
With One Line of Code", 2017 (arXiv:1704.04503), equations 2 and 3. Ours, Apache-2.0.

What differs from the compiled operators: of several boxes with exactly the same score, :func:`softnms` keeps
the one that comes first in the input (the compiled one moves boxes about while it works); a box without area
overlaps nothing, where the compiled operator divides zero by zero.
"""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor

_NAIVE, _LINEAR, _GAUSSIAN = 0, 1, 2
_IOU, _IOF = 0, 1


def _working(*tensors: Tensor) -> list[Tensor]:
    """Half precision is computed in float32: box coordinates of 1000 px do not fit it."""
    return [t if t.dtype == torch.float64 else t.float() for t in tensors]


def _overlap(box: Tensor, others: Tensor, offset: int) -> Tensor:
    """Intersection over union of ``box (4,)`` and ``others (N, 4)``, xyxy in pixels -> ``(N,)``."""
    size = torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2]) + offset
    inter = size.clamp(min=0).prod(dim=1)
    area = (box[2:] - box[:2] + offset).prod()
    areas = (others[:, 2:] - others[:, :2] + offset).prod(dim=1)
    return torch.nan_to_num(inter / (area + areas - inter), nan=0.0)


@torch.no_grad()
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices ``(K,)`` of the boxes kept, by falling score.

    Args:
        boxes: ``(N, 4)`` xyxy in pixels.
        scores: ``(N,)``.
        iou_threshold: a box that overlaps a better one by more than this is dropped.
        offset: 0, or 1 where the last pixel belongs to the box (a width is ``x2 - x1 + offset``).
    """
    boxes, scores = _working(boxes, scores)
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    # the compiled operator compares in float32: 0.6 there is 0.60000002
    threshold = torch.tensor(iou_threshold, dtype=torch.float32).item()
    return torchvision.ops.nms(boxes, scores.to(boxes.dtype), threshold)


@torch.no_grad()
def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft suppression: overlapping boxes lose score in place of being dropped.

    Args:
        boxes: ``(N, 4)`` xyxy in pixels, on the CPU.
        scores: ``(N,)``.
        dets: ``(N, 5)``, filled: its first K rows become the boxes kept with their decayed scores.
        iou_threshold: smallest overlap that costs score (methods 0 and 1).
        sigma: width of the Gaussian decay (method 2).
        min_score: boxes that fall below are dropped.
        method: 0 drops, 1 decays by ``1 - iou``, 2 by ``exp(-iou^2 / sigma)``.
        offset: as for :func:`nms`.

    Returns:
        Indices ``(K,)`` into the input, in the order of ``dets``.
    """
    if method not in (_NAIVE, _LINEAR, _GAUSSIAN):
        raise ValueError(f"softnms method must be 0 (naive), 1 (linear) or 2 (gaussian), got {method}")
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    boxes, scores = _working(boxes, scores)
    scores = scores.clone()
    remaining = torch.arange(len(boxes), device=boxes.device)
    kept: list[Tensor] = []
    while len(remaining):
        best = scores[remaining].argmax()
        index = remaining[best]
        dets[len(kept), :4] = boxes[index].to(dets.dtype)
        dets[len(kept), 4] = scores[index].to(dets.dtype)
        kept.append(index)
        remaining = torch.cat([remaining[:best], remaining[best + 1 :]])
        overlap = _overlap(boxes[index], boxes[remaining], offset)
        if method == _GAUSSIAN:
            decay = torch.exp(-(overlap**2) / sigma)
        else:
            decayed = torch.zeros_like(overlap) if method == _NAIVE else 1 - overlap
            decay = torch.where(overlap >= iou_threshold, decayed, torch.ones_like(overlap))
        scores[remaining] *= decay
        remaining = remaining[scores[remaining] >= min_score]
    return torch.stack(kept)


@torch.no_grad()
def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group boxes by the one that suppresses them.

    Args:
        dets: ``(N, 5)`` xyxy and score.
        iou_threshold: smallest overlap that suppresses.

    Returns:
        One list per box kept, by falling score: its index first, then those it suppresses, by falling score.
    """
    (dets,) = _working(dets)
    remaining = dets[:, 4].argsort(descending=True, stable=True)
    groups = []
    while len(remaining):
        best, rest = remaining[0], remaining[1:]
        taken = _overlap(dets[best, :4], dets[rest, :4], 0) >= iou_threshold
        groups.append([int(best), *rest[taken].tolist()])
        remaining = rest[~taken]
    return groups


@torch.no_grad()
def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Fill ``ious`` with the overlap of ``(M, 4)`` and ``(N, 4)`` xyxy boxes.

    ``ious`` is ``(M, N)``, or ``(M,)`` where ``aligned``. ``mode`` 0 divides by the union, 1 by the area of
    ``bboxes1``. ``offset`` as for :func:`nms`.
    """
    if mode not in (_IOU, _IOF):
        raise ValueError(f"bbox_overlaps mode must be 0 (iou) or 1 (iof), got {mode}")
    first, second = _working(bboxes1, bboxes2)
    if not aligned:
        first, second = first[:, None], second[None]  # (M, 1, 4), (1, N, 4)
    size = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    inter = (size + offset).clamp(min=0).prod(dim=-1)
    area1 = (first[..., 2:] - first[..., :2] + offset).prod(dim=-1)
    area2 = (second[..., 2:] - second[..., :2] + offset).prod(dim=-1)
    base = (area1 + area2 - inter) if mode == _IOU else area1.expand_as(inter)
    ious.copy_(inter / base.clamp(min=max(offset, 1e-12)))
