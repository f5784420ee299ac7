"""The measurement: by how much each arm helps a detector under each condition.

The detector is a function, so any will do. For every photo of a condition: degrade it at full size (or take
real bad weather as it is), resize it to the detector's size, let each arm restore it there, round to 8 bits,
detect, and map the boxes back to the photo. Every arm sees the same pixels; every difference is paired by
photo.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unirestore.evaluation.arms import CLEAN, NONE, Arm, FoldedArm, check_folds
from unirestore.evaluation.bootstrap import Comparison, compare
from unirestore.evaluation.detection import Prediction, Truth
from unirestore.evaluation.image_quality import psnr, ssim
from unirestore.evaluation.metrics import DetectionScore
from unirestore.evaluation.pictures import SHOWN_SCORE, Picture, side_by_side
from unirestore.evaluation.prediction_cache import read_run, write_run
from unirestore.evaluation.progress import progress_bar

Predict = Callable[[list[np.ndarray]], list[Prediction]]
"""Uint8 `(H, W, 3)` RGB photos -> of each the boxes `(N, 4)` xyxy in its pixels, scores and labels."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Under which circumstances the arms are compared.

    Args:
        photos: the set, when it is not the evaluation set of the measurement: items with `image` (uint8 RGB),
            `boxes` (xyxy), `labels`, `name`, and where known `depth`, `label_map`, `label_map_names`,
            `crowd_boxes`, `crowd_labels`.
        effect: called as `effect(image, seed=, depth=, label_map=)`; something with `draw(seed)` gives such
            an effect for each photo. None: the photos as they are.
        folds: fold -> names of its photos; each is then also reported by itself, as `condition, fold`. Together they
            hold every photo of the set and may hold others.
    """

    photos: Sequence[Any] | None = None
    effect: Any = None
    folds: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Run:
    """What one arm gave on one condition, photo by photo."""

    predictions: list[Prediction] = field(default_factory=list)
    restorer_ms: list[float] = field(default_factory=list)
    detector_ms: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)

    def part(self, indices: Sequence[int]) -> Run:
        """The same of some photos."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Run(**{name: [x[i] for i in indices] if x else [] for name, x in values.items()})


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """One row of a table; times are medians per photo, `psnr` and `ssim` means or None."""

    comparison: Comparison
    restorer_ms: float
    detector_ms: float
    psnr: float | None
    ssim: float | None


@dataclass(frozen=True, kw_only=True)
class ConditionResult:
    """One condition: how much was looked at, a row for each arm, and pictures."""

    photos: int
    boxes: dict[str, int]
    effect: dict[str, Any] | None
    arms: dict[str, ArmResult]
    pictures: list[Picture]


@dataclass(frozen=True, kw_only=True)
class GainReport:
    """The whole measurement; `report.py` writes it down."""

    classes: tuple[str, ...]
    protocol: dict[str, Any]
    conditions: dict[str, ConditionResult]


def measure_gain(
    predict: Predict,
    eval_set: Sequence[Any] | None,
    arms: Mapping[str, Arm | FoldedArm],
    conditions: Mapping[str, Condition | Callable | None],
    *,
    classes: Sequence[str] | None = None,
    resize_to: int | None = 640,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    cache: str | Path | None = None,
    cache_key: str = "",
    picture_arm: str = "det",
    pictures: bool = True,
    protocol: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> GainReport:
    """Compare `arms` before one detector under several conditions.

    Args:
        predict: the detector.
        eval_set: photos with boxes; None when every condition brings its own.
        arms: name -> function of one uint8 RGB photo, or a `FoldedArm`; `none` must be among them.
        conditions: name -> a `Condition`, or an effect put on `eval_set`, or None for `eval_set` as it is.
        classes: class names in the order of the labels; None: `eval_set.classes`.
        resize_to: long side in pixels at which arms and detector work (bilinear); None keeps each photo's
            size.
        limit: the first so many photos of each condition.
        resamples: bootstrap draws.
        seed: of the degradations and of the bootstrap.
        cache: folder where predictions are kept, an arm a file; a later call with the same settings reads
            them.
        cache_key: anything that names the weights of detector and restorer, so that a cache is not reused
            for others.
        picture_arm: pictures show where this arm gained most, middling and least.
        pictures: False leaves them out.
        protocol: more lines for the report's protocol (detector, checkpoint, command).
        progress: show a bar with the time left.

    Returns:
        The report. With an effect the arm `clean` (the undegraded photo) is added, and the share of the gap.

    Raises:
        ValueError: no `none` arm, no classes, an empty set, folds that do not part a set, or an arm that changes
            size or type of a photo.
    """
    if NONE not in arms:
        raise ValueError(f"measure_gain needs the arm {NONE!r} to compare to, got {sorted(arms)}")
    if not conditions:
        raise ValueError("measure_gain needs at least one condition")
    settled = {name: _settle(name, condition, eval_set, limit) for name, condition in conditions.items()}
    if classes is None:
        classes = getattr(next(iter(settled.values()))[0], "classes", None)
    if not classes:
        raise ValueError("measure_gain needs class names: give classes=, or a set that has .classes")
    classes = tuple(classes)
    notes = {
        "metric": "COCO box AP at IoU 0.50:0.95, 100 detections per class, in percent",
        "resize_to": f"long side {resize_to}, bilinear, short side rounded down"
        if resize_to
        else "no resizing",
        "restored_at": "the detector's size, rounded to 8 bits",
        "interval": f"95 % percentile interval, paired bootstrap over photos, {resamples} resamples",
        "seed": seed,
        **(protocol or {}),
    }
    results = {}
    clean_runs: dict[int, Run] = {}  # undegraded photos of one set serve every condition on it
    folds = {
        name: _fold_indices(name, condition, *settled[name])
        for name, condition in conditions.items()
        if isinstance(condition, Condition) and condition.folds
    }
    steps = sum(count * (len(arms) + (effect is not None)) for _, effect, count in settled.values())
    with progress_bar(steps, visible=progress) as advance:
        for name, (photos, effect, count) in settled.items():
            bench = _Bench(predict, photos, effect, count, resize_to, seed)
            key = {
                "condition": name,
                "photos": count,
                "seed": seed,
                "resize_to": resize_to,
                "effect": _describe(effect, seed),
                "key": cache_key,
            }
            runs = _run_arms(bench, arms, clean_runs, cache, key, lambda arm, n=name: advance(f"{n}: {arm}"))
            truths = [truth_of(bench.record(i)) for i in range(count)]
            score = partial(
                _score,
                truths=truths,
                classes=classes,
                ceiling=CLEAN if effect is not None else None,
                effect=_describe(effect, seed),
                resamples=resamples,
                seed=seed,
            )
            shown = _pictures(bench, arms, runs, truths, classes, picture_arm) if pictures else []
            results[name] = score(runs, range(count), pictures=shown)
            for fold, indices in folds.get(name, {}).items():
                results[f"{name}, {fold}"] = score(runs, indices, pictures=[])
    return GainReport(classes=classes, protocol=notes, conditions=results)


def _score(
    runs: Mapping[str, Run],
    indices: Sequence[int],
    *,
    truths: Sequence[Truth],
    classes: Sequence[str],
    ceiling: str | None,
    effect: dict[str, Any] | None,
    resamples: int,
    seed: int,
    pictures: list[Picture],
) -> ConditionResult:
    """The rows of some photos of a condition."""
    runs = {arm: run.part(indices) for arm, run in runs.items()}
    truths = [truths[index] for index in indices]
    scores = {
        arm: DetectionScore.from_predictions(run.predictions, truths, classes) for arm, run in runs.items()
    }
    compared = compare(scores, ceiling=ceiling, resamples=resamples, seed=seed)
    labels = np.concatenate([truth.labels[~truth.crowd] for truth in truths])
    return ConditionResult(
        photos=len(indices),
        boxes={c: int((labels == index).sum()) for index, c in enumerate(classes)},
        effect=effect,
        arms={arm: _arm_result(run, compared[arm]) for arm, run in runs.items()},
        pictures=pictures,
    )


def _fold_indices(
    name: str, condition: Condition, photos: Sequence[Any], effect: Any, count: int
) -> dict[str, list[int]]:
    """Fold -> places of its photos among those that are measured."""
    check_folds(condition.folds)
    names = [str(photos[index].name) for index in range(count)]
    found = {
        fold: [index for index, photo in enumerate(names) if photo in members]
        for fold, members in condition.folds.items()
    }
    lost = set(names) - {photo for members in condition.folds.values() for photo in members}
    empty = [fold for fold, indices in found.items() if not indices]
    if lost or empty:
        raise ValueError(
            f"the folds do not part {name!r}: {len(lost)} of its {count} photos are in none "
            f"{sorted(lost)[:2]}, folds without a photo of it: {empty}"
        )
    return found


class _Bench:
    """Photos of one condition, ready for the arms; boxes come back in pixels of the photo."""

    def __init__(
        self, predict: Predict, photos: Sequence[Any], effect: Any, count: int, size: int | None, seed: int
    ):
        self.predict, self.photos, self.effect, self.count = predict, photos, effect, count
        self.size, self.seed = size, seed

    def record(self, index: int) -> Any:
        return self.photos[index]

    def clean(self, index: int) -> np.ndarray:
        """The undegraded photo at the detector's size."""
        return resize_long_side(self.record(index).image, self.size)

    def degraded(self, index: int) -> np.ndarray:
        """What the arms get."""
        record = self.record(index)
        if self.effect is None:
            return resize_long_side(record.image, self.size)
        return resize_long_side(degrade(record, self.effect, photo_seed(self.seed, index)), self.size)

    def detect(self, image: np.ndarray, original: np.ndarray) -> tuple[Prediction, float]:
        """Boxes in pixels of `original`, and the milliseconds that the detector took."""
        start = time.perf_counter()
        boxes, scores, labels = self.predict([image])[0]
        elapsed = 1000 * (time.perf_counter() - start)
        scale = 1.0 if self.size is None else max(original.shape[:2]) / self.size
        return (
            np.asarray(boxes, np.float64).reshape(-1, 4) * scale,
            np.asarray(scores),
            np.asarray(labels),
        ), elapsed


def _run_arms(
    bench: _Bench,
    arms: Mapping[str, Arm],
    clean_runs: dict[int, Run],
    cache: str | Path | None,
    key: dict[str, Any],
    advance: Callable[[str], None],
) -> dict[str, Run]:
    """All arms over all photos; `clean` first where the condition has an effect."""
    degraded = bench.effect is not None
    names = ([CLEAN] if degraded else []) + [name for name in arms if name != CLEAN]
    runs = {name: read_run(cache, {**key, "arm": name}) for name in names}
    if degraded and runs[CLEAN] is None:
        runs[CLEAN] = clean_runs.get(id(bench.photos))
    missing = [name for name in names if runs[name] is None]
    for name in names:
        for _ in range(bench.count if name not in missing else 0):
            advance(name)
    fresh = {name: Run() for name in missing}
    for index in range(bench.count if missing else 0):
        record = bench.record(index)
        photo, original = bench.degraded(index), record.image
        clean = bench.clean(index) if degraded else None
        for name, run in fresh.items():
            start = time.perf_counter()
            restored = clean if name == CLEAN else _arm_of(arms[name], record)(photo)
            run.restorer_ms.append(1000 * (time.perf_counter() - start))
            _check_restored(name, restored, photo)
            prediction, elapsed = bench.detect(restored, original)
            run.predictions.append(prediction)
            run.detector_ms.append(elapsed)
            if clean is not None and name != CLEAN:
                run.psnr.append(psnr(restored, clean))
                run.ssim.append(ssim(restored, clean))
            advance(name)
    for name, run in fresh.items():
        runs[name] = run
        write_run(cache, {**key, "arm": name}, run, [str(bench.record(i).name) for i in range(bench.count)])
    clean_runs.setdefault(id(bench.photos), runs[CLEAN if degraded else NONE])
    return runs


def _settle(
    name: str, condition: Condition | Callable | None, eval_set: Sequence[Any] | None, limit: int | None
) -> tuple[Sequence[Any], Any, int]:
    """Photos, effect and number of photos of one condition."""
    if not isinstance(condition, Condition):
        condition = Condition(effect=condition)
    photos = eval_set if condition.photos is None else condition.photos
    if photos is None:
        raise ValueError(f"condition {name!r} has no photos: give an eval_set, or the condition its own")
    count = len(photos) if limit is None else min(limit, len(photos))
    if count < 1:
        raise ValueError(f"condition {name!r} has no photo (limit {limit}, set of {len(photos)})")
    return photos, condition.effect, count


def degrade(record: Any, effect: Any, seed: int) -> np.ndarray:
    """Put `effect` on one photo, with what is known about its scene -> `(H, W, 3)` RGB uint8."""
    if hasattr(effect, "draw"):
        effect = effect.draw(seed)
    known = {"depth": getattr(record, "depth", None), "label_map": getattr(record, "label_map", None)}
    if known["label_map"] is not None and getattr(record, "label_map_names", None):
        known["class_names"] = record.label_map_names
    return effect(record.image, seed=seed, **known)


def photo_seed(seed: int, index: int) -> int:
    """The seed of photo `index`: depends on both numbers and on nothing else."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def resize_long_side(image: np.ndarray, size: int | None) -> np.ndarray:
    """Bilinear resize of `(H, W, 3)` to a long side of `size`, the short side rounded down as YOLOX does."""
    if size is None:
        return image
    height, width = image.shape[:2]
    scale = size / max(height, width)
    # the small number keeps 639.9999 of float arithmetic from becoming 639
    target = (max(1, int(width * scale + 1e-6)), max(1, int(height * scale + 1e-6)))
    return image if target == (width, height) else cv2.resize(image, target, interpolation=cv2.INTER_LINEAR)


def truth_of(record: Any) -> Truth:
    """The boxes of one photo, its crowds flagged."""
    boxes = np.asarray(record.boxes, np.float64).reshape(-1, 4)
    labels = np.asarray(record.labels).reshape(-1)
    crowd_boxes = np.asarray(getattr(record, "crowd_boxes", np.zeros((0, 4))), np.float64).reshape(-1, 4)
    crowd_labels = np.asarray(getattr(record, "crowd_labels", np.zeros(0))).reshape(-1)
    return Truth(
        boxes=np.concatenate([boxes, crowd_boxes]),
        labels=np.concatenate([labels, crowd_labels]).astype(np.int64),
        crowd=np.arange(len(boxes) + len(crowd_boxes)) >= len(boxes),
    )


def _describe(effect: Any, seed: int) -> dict[str, Any] | None:
    if effect is None:
        return None
    if hasattr(effect, "to_manifest"):
        manifest = dict(effect.to_manifest(seed))
        manifest.pop("seed", None)
        return manifest
    return {"type": getattr(effect, "name", None) or getattr(effect, "__name__", type(effect).__name__)}


def _arm_of(arm: Arm | FoldedArm, record: Any) -> Arm:
    """The function that restores this photo."""
    return arm.for_photo(str(record.name)) if isinstance(arm, FoldedArm) else arm


def _check_restored(name: str, restored: np.ndarray, photo: np.ndarray) -> None:
    if restored.shape != photo.shape or restored.dtype != np.uint8:
        raise ValueError(
            f"arm {name!r} turned uint8 {photo.shape} into {restored.dtype} {restored.shape}; "
            "an arm keeps size and type"
        )


def _arm_result(run: Run, comparison: Comparison) -> ArmResult:
    capped = np.minimum(run.psnr, 100)  # equal pictures count as 100 dB
    return ArmResult(
        comparison=comparison,
        restorer_ms=float(np.median(run.restorer_ms)),
        detector_ms=float(np.median(run.detector_ms)),
        psnr=float(np.mean(capped)) if run.psnr else None,
        ssim=float(np.mean(run.ssim)) if run.ssim else None,
    )


def _pictures(
    bench: _Bench,
    arms: Mapping[str, Arm],
    runs: Mapping[str, Run],
    truths: Sequence[Truth],
    classes: Sequence[str],
    picture_arm: str,
) -> list[Picture]:
    """The photos on which `picture_arm` gained most, middling and least over `none`, with boxes.

    Gain: the photo's own AP of the detections shown, times its boxes.
    """
    others = [name for name in arms if name not in (NONE, CLEAN)]
    if not others:
        return []
    shown = picture_arm if picture_arm in arms else others[-1]

    def own_score(arm: str) -> np.ndarray:  # of the detections that a picture shows
        kept = [tuple(part[p[1] >= SHOWN_SCORE] for part in p) for p in runs[arm].predictions]
        return DetectionScore.from_predictions(kept, truths, classes).per_photo()

    gain = own_score(shown) - own_score(NONE)
    weight = np.array([int((~truth.crowd).sum()) for truth in truths])  # more boxes tell more
    order = np.argsort(-gain * weight, kind="stable")[: int(np.isfinite(gain).sum())]
    if len(order) == 0:
        return []
    classical = [name for name in ("dcp", "clahe") if name in arms and name != shown]
    panels = [NONE, *classical[:1], shown]
    picked = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    result = []
    for rank, index in picked.items():
        original = bench.record(index).image
        photo = bench.degraded(index)
        images = {name: _arm_of(arms[name], bench.record(index))(photo) for name in panels}
        first = bench.clean(index) if bench.effect is not None else photo
        result.append(
            side_by_side(
                rank=rank,
                name=str(bench.record(index).name),
                gain=float(gain[index]),
                arm=shown,
                truth_image=first,
                images=images,
                predictions={name: runs[name].predictions[index] for name in panels},
                truth=truths[index],
                classes=classes,
                photo_size=original.shape[:2],
            )
        )
    return result
