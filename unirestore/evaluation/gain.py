"""The measurement: by how much each arm helps a frozen network under each condition.

The network is a function, so any will do. For every photo of a condition: degrade it at full size (or take
real bad weather as it is), resize it to the network's size, let each arm restore it there, round to 8 bits,
ask the network, and map the answer back to the photo. Every arm sees the same pixels; every difference is paired by
photo. What an answer is, and how it is scored and drawn, is said by a `MeasuredTask`.
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
from unirestore.evaluation.image_quality import psnr, ssim
from unirestore.evaluation.pictures import Picture
from unirestore.evaluation.prediction_cache import read_run, write_run
from unirestore.evaluation.progress import progress_bar
from unirestore.evaluation.report_layout import LAYOUTS
from unirestore.evaluation.tasks import DetectionTask, MeasuredTask

Predict = Callable[[list[np.ndarray]], list[Any]]
"""Uint8 `(H, W, 3)` RGB photos -> of each what the task says: for boxes `(N, 4)` xyxy in its pixels, scores and
labels; for segmentation a `(H, W)` label map, for depth `(H, W)` metres."""

GIVEN = object()
"""The effect of a set of pairs: each photo brings its degraded twin."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Under which circumstances the arms are compared.

    Args:
        photos: the set, when it is not the evaluation set of the measurement: items with `image` (uint8 RGB),
            `name`, `boxes` (xyxy) and `labels` or `label_map` and `label_map_names`, and where known `depth`,
            `crowd_boxes`, `crowd_labels`. Where they are pairs (`photos.degraded` is not None), `image` is the clean
            photo and `degraded` what the arms get, unless there is an effect.
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
    """What one arm gave on one condition, photo by photo; `predictions` as the task keeps them."""

    predictions: list[Any] = field(default_factory=list)
    restorer_ms: list[float] = field(default_factory=list)
    network_ms: list[float] = field(default_factory=list)
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
    network_ms: float
    psnr: float | None
    ssim: float | None


@dataclass(frozen=True, kw_only=True)
class ConditionResult:
    """One condition: how much was looked at, a row for each arm, and pictures.

    `amounts` holds the boxes of each class, or its pixels.
    """

    photos: int
    amounts: dict[str, int]
    effect: dict[str, Any] | None
    arms: dict[str, ArmResult]
    pictures: list[Picture]


@dataclass(frozen=True, kw_only=True)
class GainReport:
    """The whole measurement; `report.py` writes it down. `task` is the name of a `MeasuredTask`."""

    task: str
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
    picture_arm: str | None = None,
    task: MeasuredTask | None = None,
    pictures: bool = True,
    protocol: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> GainReport:
    """Compare `arms` before one network under several conditions.

    Args:
        predict: the network.
        eval_set: photos with what the task measures by; None when every condition brings its own.
        arms: name -> function of one uint8 RGB photo, or a `FoldedArm`; `none` must be among them.
        conditions: name -> a `Condition`, or an effect put on `eval_set`, or None for `eval_set` as it is.
        classes: class names in the order of the labels; None: those of `task`, or `eval_set.classes`.
        resize_to: long side in pixels at which arms and network work (bilinear); None keeps each photo's
            size.
        limit: the first so many photos of each condition.
        resamples: bootstrap draws.
        seed: of the degradations and of the bootstrap.
        cache: folder where predictions are kept, an arm a file; a later call with the same settings reads
            them.
        cache_key: anything that names the weights of network and restorer, so that a cache is not reused
            for others.
        picture_arm: pictures show where this arm gained most, middling and least; None: that of the task's prompt.
        task: what is measured; None: a `DetectionTask`.
        pictures: False leaves them out.
        protocol: more lines for the report's protocol (network, checkpoint, command).
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
        classes = task.classes if task is not None else None
    if classes is None:
        classes = getattr(next(iter(settled.values()))[0], "classes", None)
    if not classes:
        raise ValueError("measure_gain needs class names: give classes=, or a set that has .classes")
    task = DetectionTask(classes) if task is None else task
    if task.classes != tuple(classes):
        raise ValueError(f"the task measures {', '.join(task.classes)}, but classes are {', '.join(classes)}")
    layout = LAYOUTS[task.name]
    notes = {
        "metric": task.metric,
        "resize_to": f"long side {resize_to}, bilinear, short side rounded down"
        if resize_to
        else "no resizing",
        "restored_at": f"the {layout.network}'s size, rounded to 8 bits",
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
            bench = _Bench(predict, photos, effect, count, resize_to, seed, task)
            key = {
                "condition": name,
                "photos": count,
                "seed": seed,
                "resize_to": resize_to,
                "effect": _describe(effect, seed),
                "key": cache_key,
                "task": task.name,
                "classes": list(task.classes),  # what is kept of an answer may be by class or distance
            }
            runs = _run_arms(bench, arms, clean_runs, cache, key, lambda arm, n=name: advance(f"{n}: {arm}"))
            truths = [task.truth(bench.record(i)) for i in range(count)]
            score = partial(
                _score,
                truths=truths,
                task=task,
                ceiling=CLEAN if effect is not None else None,
                effect=_describe(effect, seed),
                resamples=resamples,
                seed=seed,
            )
            aim = picture_arm or layout.picture_arm
            shown = _pictures(bench, arms, runs, truths, aim) if pictures else []
            results[name] = score(runs, range(count), pictures=shown)
            for fold, indices in folds.get(name, {}).items():
                results[f"{name}, {fold}"] = score(runs, indices, pictures=[])
    return GainReport(task=task.name, classes=task.classes, protocol=notes, conditions=results)


def _score(
    runs: Mapping[str, Run],
    indices: Sequence[int],
    *,
    truths: Sequence[Any],
    task: MeasuredTask,
    ceiling: str | None,
    effect: dict[str, Any] | None,
    resamples: int,
    seed: int,
    pictures: list[Picture],
) -> ConditionResult:
    """The rows of some photos of a condition."""
    runs = {arm: run.part(indices) for arm, run in runs.items()}
    truths = [truths[index] for index in indices]
    scores = {arm: task.score(run.predictions, truths) for arm, run in runs.items()}
    compared = compare(scores, ceiling=ceiling, resamples=resamples, seed=seed)
    return ConditionResult(
        photos=len(indices),
        amounts=task.amounts(truths),
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
    """Photos of one condition, ready for the arms; answers come back in pixels of the photo."""

    def __init__(
        self,
        predict: Predict,
        photos: Sequence[Any],
        effect: Any,
        count: int,
        size: int | None,
        seed: int,
        task: MeasuredTask,
    ):
        self.predict, self.photos, self.effect, self.count = predict, photos, effect, count
        self.size, self.seed, self.task = size, seed, task

    def record(self, index: int) -> Any:
        return self.photos[index]

    def clean(self, index: int) -> np.ndarray:
        """The undegraded photo at the network's size."""
        return resize_long_side(self.record(index).image, self.size)

    def degraded(self, index: int) -> np.ndarray:
        """What the arms get."""
        record = self.record(index)
        if self.effect is None:
            return resize_long_side(record.image, self.size)
        return resize_long_side(degrade(record, self.effect, photo_seed(self.seed, index)), self.size)

    def ask(self, image: np.ndarray, record: Any) -> tuple[Any, float]:
        """What the task keeps of the network's answer, and the milliseconds that the network took."""
        start = time.perf_counter()
        answer = self.predict([image])[0]
        elapsed = 1000 * (time.perf_counter() - start)
        return self.task.keep(answer, record, image.shape[:2]), elapsed


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
    runs = {name: read_run(cache, {**key, "arm": name}, bench.task) for name in names}
    if degraded and runs[CLEAN] is None:
        runs[CLEAN] = clean_runs.get(id(bench.photos))
    missing = [name for name in names if runs[name] is None]
    for name in names:
        for _ in range(bench.count if name not in missing else 0):
            advance(name)
    fresh = {name: Run() for name in missing}
    for index in range(bench.count if missing else 0):
        record = bench.record(index)
        photo = bench.degraded(index)
        clean = bench.clean(index) if degraded else None
        for name, run in fresh.items():
            start = time.perf_counter()
            restored = clean if name == CLEAN else _arm_of(arms[name], record)(photo)
            run.restorer_ms.append(1000 * (time.perf_counter() - start))
            _check_restored(name, restored, photo)
            kept, elapsed = bench.ask(restored, record)
            run.predictions.append(kept)
            run.network_ms.append(elapsed)
            if clean is not None and name != CLEAN:
                run.psnr.append(psnr(restored, clean))
                run.ssim.append(ssim(restored, clean))
            advance(name)
    for name, run in fresh.items():
        runs[name] = run
        photos = [str(bench.record(i).name) for i in range(bench.count)] if cache is not None else []
        write_run(cache, {**key, "arm": name}, run, photos, bench.task)
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
    effect = condition.effect
    if effect is None and getattr(photos, "degraded", None) is not None:
        effect = GIVEN
    return photos, effect, count


def degrade(record: Any, effect: Any, seed: int) -> np.ndarray:
    """Put `effect` on one photo, with what is known about its scene -> `(H, W, 3)` RGB uint8."""
    if effect is GIVEN:
        return record.degraded
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


def _describe(effect: Any, seed: int) -> dict[str, Any] | None:
    if effect is None:
        return None
    if effect is GIVEN:
        return {"type": "photos of the set, beside their clean twins"}
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
        network_ms=float(np.median(run.network_ms)),
        psnr=float(np.mean(capped)) if run.psnr else None,
        ssim=float(np.mean(run.ssim)) if run.ssim else None,
    )


def _pictures(
    bench: _Bench,
    arms: Mapping[str, Arm],
    runs: Mapping[str, Run],
    truths: Sequence[Any],
    picture_arm: str,
) -> list[Picture]:
    """The photos on which `picture_arm` gained most, middling and least over `none`, with what was found.

    Gain: the photo's own score, times what the photo tells.
    """
    others = [name for name in arms if name not in (NONE, CLEAN)]
    if not others:
        return []
    task = bench.task
    shown = picture_arm if picture_arm in arms else others[-1]
    gain = task.own_scores(runs[shown].predictions, truths) - task.own_scores(runs[NONE].predictions, truths)
    order = np.argsort(-gain * task.importance(truths), kind="stable")[: int(np.isfinite(gain).sum())]
    if len(order) == 0:
        return []
    classical = [name for name in ("dcp", "clahe") if name in arms and name != shown]
    names = [NONE, *classical[:1], shown]
    picked = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    result = []
    for rank, index in picked.items():
        record, photo = bench.record(index), bench.degraded(index)
        panels = task.panels(
            record,
            bench.clean(index) if bench.effect is not None else photo,
            {name: _arm_of(arms[name], record)(photo) for name in names},
            {name: runs[name].predictions[index] for name in names},
            lambda image: bench.predict([image])[0],
        )
        picture = Picture(
            rank=rank, name=str(record.name), gain=float(gain[index]), arm=shown, panels=tuple(panels)
        )
        result.append(picture)
    return result
