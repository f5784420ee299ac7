"""Average precision from per-image matches, so that a bootstrap re-weights images instead of matching again.

Protocol: COCO detection (Lin et al., ECCV 2014), numerically that of pycocotools' `COCOeval` (BSD-2-Clause;
    own
code): greedy matching by score per image and class at IoU 0.50:0.05:0.95, at most 100 detections per image
and class, crowd boxes and boxes outside the area range are ignored, 101-point interpolation of precision.

What differs: matching is vectorised over the IoU thresholds, and the average precision takes a weight per
image. A weight of n equals n copies of the image. Only positions of true positives are kept: precision falls
and recall stands still between them, so they alone decide the interpolated curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)
ANY_AREA = (0.0, 1e10)
CELLS = 2_000_000  # resamples x detections in memory at a time

Prediction = tuple[np.ndarray, np.ndarray, np.ndarray]
"""What a detector says of one photo: boxes `(N, 4)` xyxy, scores `(N,)`, labels `(N,)`."""


def photo_weights(weights: np.ndarray | None, images: int) -> np.ndarray:
    """How often each of `images` photos counts, `(B, images)` float64; None: each once (B = 1).

    Raises ValueError for another shape or a negative weight.
    """
    weights = np.ones((1, images)) if weights is None else np.asarray(weights, np.float64)
    if weights.ndim != 2 or weights.shape[1] != images or (weights < 0).any():
        raise ValueError(f"weights must be (B, {images}), not negative: got shape {weights.shape}")
    return weights


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The boxes of one photo.

    Args:
        boxes: `(G, 4)` xyxy, pixels of the photo.
        labels: `(G,)` class indices from 0.
        crowd: `(G,)` bool, boxes around a group: ignored, and may absorb any number of detections. None: no
            crowds.
        area: `(G,)` square pixels, where an annotation knows better than its box. None: the boxes' own.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray | None = None
    area: np.ndarray | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes, np.float64).reshape(-1, 4)
        labels = np.asarray(self.labels, np.int64).reshape(-1)
        crowd = np.zeros(len(boxes), bool) if self.crowd is None else np.asarray(self.crowd, bool).reshape(-1)
        area = _areas(boxes) if self.area is None else np.asarray(self.area, np.float64).reshape(-1)
        if not len(boxes) == len(labels) == len(crowd) == len(area):
            raise ValueError(
                f"one label, crowd flag and area per box: got {len(boxes)} boxes, {len(labels)} labels, "
                f"{len(crowd)} crowd flags, {len(area)} areas"
            )
        for name, value in (("boxes", boxes), ("labels", labels), ("crowd", crowd), ("area", area)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, kw_only=True)
class ClassMatches:
    """All detections of one class over a set, best score first.

    Args:
        image: `(N,)` index of the photo of each detection.
        score: `(N,)`, not increasing.
        hit: `(T, N)` bool, matched to a box that counts.
        ignored: `(T, N)` bool, neither right nor wrong.
        positives: `(I,)` number of boxes that count in each photo.
    """

    image: np.ndarray
    score: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    positives: np.ndarray

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        """`(B, I)` weights of the photos -> `(B, T)` AP at each IoU; nan where those photos hold no box."""
        total = weights @ self.positives  # (B,)
        result = np.zeros((len(weights), len(self.hit)))
        result[total == 0] = np.nan
        found = self.hit.any(axis=0)
        if not found.any() or not total.any():
            return result
        length = int(np.flatnonzero(found)[-1]) + 1  # nothing after the last true positive counts
        image, ignored = self.image[:length], self.ignored[:, :length]
        step = max(1, CELLS // length)  # resamples at a time
        for start in range(0, len(weights), step):
            rows = slice(start, start + step)
            weight = weights[rows][:, image]  # (b, N)
            seen_all = np.cumsum(weight, axis=1) if not ignored.all(axis=0).any() else None
            for t in range(len(self.hit)):
                at = np.flatnonzero(self.hit[t, :length])
                if len(at) == 0:
                    continue
                if ignored[t].any() or seen_all is None:
                    seen = np.cumsum(weight * ~ignored[t], axis=1)[:, at]  # (b, P)
                else:
                    seen = seen_all[:, at]
                result[rows, t] = _interpolated_precision(np.cumsum(weight[:, at], axis=1), seen, total[rows])
        return result


def _interpolated_precision(right: np.ndarray, seen: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Mean over 101 recall levels of the best precision at that recall or beyond.

    Args:
        right: `(b, P)` weighted true positives up to each true positive.
        seen: `(b, P)` weighted detections up to it.
        total: `(b,)` weighted boxes.

    Returns:
        `(b,)`, nan where `total` is 0.
    """
    precision = right / (seen + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result = np.full(len(right), np.nan)
    count = right.shape[1]
    for row in np.flatnonzero(total > 0):
        # of rising recalls the first that reaches a level; levels out of reach count as 0
        index = np.searchsorted(right[row] / total[row], RECALL_THRESHOLDS, side="left")
        result[row] = envelope[row, index[: np.searchsorted(index, count)]].sum() / len(RECALL_THRESHOLDS)
    return result


@dataclass(frozen=True, kw_only=True)
class Matches:
    """One arm's detections matched to the truth, class by class, over `images` photos."""

    images: int
    classes: tuple[ClassMatches, ...]

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """AP of each class at each IoU.

        Args:
            weights: `(B, I)` how often each photo counts; None: each once.

        Returns:
            `(B, C, T)` in [0, 1], nan for a class without boxes.
        """
        weights = photo_weights(weights, self.images)
        if not self.classes:
            return np.zeros((len(weights), 0, len(IOU_THRESHOLDS)))
        return np.stack([entry.average_precision(weights) for entry in self.classes], axis=1)

    def positives(self, weights: np.ndarray | None = None) -> np.ndarray:
        """`(B, C)` weighted number of boxes that count, of each class."""
        weights = np.ones((1, self.images)) if weights is None else np.asarray(weights, np.float64)
        return weights @ np.stack([entry.positives for entry in self.classes], axis=1)


def match(
    predictions: Sequence[Prediction],
    truths: Sequence[Truth],
    *,
    num_classes: int,
    class_agnostic: bool = False,
    max_detections: int = 100,
    area: tuple[float, float] = ANY_AREA,
    iou_thresholds: np.ndarray = IOU_THRESHOLDS,
) -> Matches:
    """Match detections to boxes as `COCOeval.evaluateImg` does.

    Args:
        predictions: one (boxes `(N, 4)` xyxy, scores `(N,)`, labels `(N,)`) per photo, in pixels of the
            photo.
        truths: one `Truth` per photo, in the same order.
        num_classes: labels are 0 .. num_classes - 1.
        class_agnostic: forget the labels (`useCats = 0`).
        max_detections: the best so many per photo and class.
        area: boxes of an area outside this range, square pixels, are ignored.
        iou_thresholds: `(T,)`.

    Raises:
        ValueError: lengths differ, a label is out of range, or boxes, scores and labels do not agree.
    """
    if len(predictions) != len(truths):
        raise ValueError(f"one prediction per photo: got {len(predictions)} for {len(truths)} photos")
    columns = 1 if class_agnostic else num_classes
    found: list[_Collected] = [_Collected() for _ in range(columns)]
    positives = np.zeros((columns, len(truths)), np.int64)
    for index, ((boxes, scores, labels), truth) in enumerate(zip(predictions, truths, strict=True)):
        boxes, scores, labels = _checked(boxes, scores, labels, num_classes, index)
        if len(truth.labels) and not 0 <= truth.labels.min() <= truth.labels.max() < num_classes:
            raise ValueError(f"photo {index}: true labels {truth.labels} not in 0..{num_classes - 1}")
        out_of_range = (truth.area < area[0]) | (truth.area > area[1])
        for column in range(columns):
            if class_agnostic:  # class after class, the order in which pycocotools lists them
                ours, theirs = np.argsort(labels, kind="stable"), np.argsort(truth.labels, kind="stable")
            else:
                ours, theirs = np.flatnonzero(labels == column), np.flatnonzero(truth.labels == column)
            if len(ours) == 0 and len(theirs) == 0:
                continue
            ours = ours[np.argsort(-scores[ours], kind="stable")[:max_detections]]
            crowd = truth.crowd[theirs]
            skip = crowd | out_of_range[theirs]
            positives[column, index] = int((~skip).sum())
            if len(ours) == 0:
                continue
            hit, ignored = _match_photo(boxes[ours], truth.boxes[theirs], crowd, skip, iou_thresholds)
            areas = _areas(boxes[ours])
            ignored |= ~hit & ((areas < area[0]) | (areas > area[1]))
            found[column].add(index, scores[ours], hit, ignored)
    classes = tuple(
        entry.finish(positives[column], len(iou_thresholds)) for column, entry in enumerate(found)
    )
    return Matches(images=len(truths), classes=classes)


@dataclass
class _Collected:
    """Matches of one class while the photos go by."""

    image: list[np.ndarray] = field(default_factory=list)
    score: list[np.ndarray] = field(default_factory=list)
    hit: list[np.ndarray] = field(default_factory=list)
    ignored: list[np.ndarray] = field(default_factory=list)

    def add(self, index: int, score: np.ndarray, hit: np.ndarray, ignored: np.ndarray) -> None:
        self.image.append(np.full(len(score), index))
        self.score.append(score)
        self.hit.append(hit)
        self.ignored.append(ignored)

    def finish(self, positives: np.ndarray, thresholds: int) -> ClassMatches:
        if not self.score:
            nothing = np.zeros((thresholds, 0), bool)
            return ClassMatches(
                image=np.zeros(0, np.int64),
                score=np.zeros(0),
                hit=nothing,
                ignored=nothing,
                positives=positives,
            )
        score = np.concatenate(self.score)
        order = np.argsort(-score, kind="stable")  # ties in the order of the photos
        return ClassMatches(
            image=np.concatenate(self.image)[order],
            score=score[order],
            hit=np.concatenate(self.hit, axis=1)[:, order],
            ignored=np.concatenate(self.ignored, axis=1)[:, order],
            positives=positives,
        )


def _match_photo(
    boxes: np.ndarray, true_boxes: np.ndarray, crowd: np.ndarray, skip: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Greedy matching of `(N, 4)` detections, best first, to `(G, 4)` boxes -> hit, ignored `(T, N)`.

    A box that counts is preferred to one that is skipped at any overlap above the threshold; of equal
    overlaps the later box wins; crowds may be taken again and again.
    """
    hit = np.zeros((len(thresholds), len(boxes)), bool)
    ignored = np.zeros_like(hit)
    if len(true_boxes) == 0:
        return hit, ignored
    overlap = box_iou(boxes, true_boxes, crowd)  # (N, G)
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]  # (T, 1)
    free = np.ones((len(thresholds), len(true_boxes)), bool)
    groups = [(np.flatnonzero(~skip)[::-1], hit), (np.flatnonzero(skip)[::-1], ignored)]
    rows = np.arange(len(thresholds))
    for n in np.flatnonzero(overlap.max(axis=1) >= least.min()):
        open_rows = np.ones(len(thresholds), bool)
        for members, mark in groups:
            if len(members) == 0:
                continue
            value = overlap[n, members]  # (g,)
            allowed = (free[:, members] | crowd[members]) & (value >= least) & open_rows[:, None]  # (T, g)
            taken = allowed.any(axis=1)
            if not taken.any():
                continue
            chosen = members[np.where(allowed, value, -1.0).argmax(axis=1)]
            free[rows[taken], chosen[taken]] = False
            mark[taken, n] = True
            open_rows &= ~taken
    return hit, ignored


def box_iou(boxes: np.ndarray, others: np.ndarray, crowd: np.ndarray | None = None) -> np.ndarray:
    """Overlap of `(N, 4)` and `(G, 4)` xyxy boxes -> `(N, G)` in [0, 1].

    Intersection over union; for the boxes of `others` flagged in `crowd` intersection over the area of the
    first box.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    side = np.maximum(high - low, 0)  # (N, G, 2)
    shared = side[..., 0] * side[..., 1]
    own = _areas(boxes)[:, None]
    union = own + _areas(others)[None] - shared
    if crowd is not None:
        union = np.where(crowd[None], own, union)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _checked(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, num_classes: int, index: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    scores = np.asarray(scores, np.float64).reshape(-1)
    labels = np.asarray(labels, np.int64).reshape(-1)
    if not len(boxes) == len(scores) == len(labels):
        raise ValueError(
            f"photo {index}: got {len(boxes)} boxes, {len(scores)} scores and {len(labels)} labels; "
            "a detector gives one score and one label per box"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError(f"photo {index}: boxes or scores are not finite; check the detector's input")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"photo {index}: labels {labels.min()}..{labels.max()} do not fit {num_classes} classes; "
            "map them first"
        )
    return boxes, scores, labels
