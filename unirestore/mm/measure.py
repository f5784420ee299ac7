"""The gain table that a training config asks for: sets, weather, arms and a frozen network in one dict.

    measure = dict(
        detector=dict(config="DETECTOR.py", checkpoint="DETECTOR.pth", classes=(...), input_size=256),
        conditions=dict(haze=dict(set="scenes_test", weather="haze"), fog=dict(set="dawn_fog")),
        arms=["none", "clahe", "dcp", "mix", "chain", "ir", "det"],
        size=256, limit=300, resamples=1000, seed=0,
    )

A `segmentor=dict(config=..., checkpoint=..., classes=...)` in place of `detector` measures mean IoU on sets with label
maps, a `depth_estimator=dict(config=..., checkpoint=...)` distances on sets with depth, both at each photo's own size
unless `size` says another.

More restorers stand beside the one of `restorer` as arms of their own, by `restorers`:

    restorers = {
        "fog teacher": dict(restorer="work_dirs/teacher_road_fog/restorer", task="det"),
        "calibrated": dict(fitted=dict(A="work_dirs/cal_a/restorer", B="work_dirs/cal_b/restorer"), task="det"),
    },
    folds = dict(A="work_dirs/folds/a.txt", B="work_dirs/folds/b.txt")

A photo of fold A is then restored by what was fitted on B and the other way round, and conditions that say
`by_fold=True` are reported fold by fold as well.

Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unirestore.data import SCENE_CLASSES, eval_sets, load_eval_set
from unirestore.data.folds import read_names
from unirestore.degradations import WeatherMixture
from unirestore.evaluation.arms import CLASSICAL_ARMS, CLEAN, Arm, FoldedArm, build_arms, restorer_arm
from unirestore.evaluation.gain import Condition, GainReport, measure_gain
from unirestore.evaluation.report import to_markdown, write_report
from unirestore.evaluation.report_layout import LAYOUTS
from unirestore.evaluation.tasks import (
    ClassificationTask,
    DepthTask,
    DetectionTask,
    MeasuredTask,
    SegmentationTask,
)
from unirestore.models.loading import build_restorer

from .classifier import FrozenClassifier
from .depth import FrozenDepthEstimator
from .downstream import FrozenDetector
from .frozen import FrozenNetwork
from .segmentor import FrozenSegmentor

__all__ = ["build_condition", "measure_from_config"]

ARMS = ("none", "clahe", "dcp", "mix", "chain", "ir")
TASKS = {  # key of the network -> its class, what is measured, the arm of its own prompt, long side
    "detector": (FrozenDetector, DetectionTask, "det", 640),
    "segmentor": (FrozenSegmentor, SegmentationTask, "seg", None),
    "depth_estimator": (FrozenDepthEstimator, DepthTask, "depth", None),
    "classifier": (FrozenClassifier, ClassificationTask, "cls", 224),
}
KEYS = (
    *(*TASKS, "conditions", "arms", "restorer", "restorers", "folds"),
    *("size", "limit", "resamples", "seed", "title"),
)


def build_condition(
    *,
    set: str | Mapping[str, Any],
    classes: Sequence[str],
    weather: str | Mapping[str, Any] | None = None,
    limit: int | None = None,
    folds: Mapping[str, frozenset[str]] | None = None,
) -> Condition:
    """A condition from a config: a named set, as it is or with the weather of a `WeatherMixture` put on.

    Only boxes and pixels of `classes` count; others that the set may have are left out.

    Raises FileNotFoundError, saying where to get it, where the set is missing; KeyError for an unknown name.
    """
    if isinstance(set, str):
        known = eval_sets()
        if set not in known:
            raise KeyError(f"no set is called {set!r}; there are {', '.join(known)}")
        entry: Mapping[str, Any] = known[set]
    else:
        entry = set
    mixture = None
    if weather is not None:
        mixture = WeatherMixture(weather) if isinstance(weather, str) else WeatherMixture(**weather)
    if entry.get("annotations") is not None:
        entry = {**entry, "classes": tuple(classes)}
    photos = load_eval_set(entry, limit=limit)
    return Condition(photos=photos, effect=mixture, folds=folds or {})


def build_restorer_arm(
    *,
    folds: Mapping[str, frozenset[str]],
    restorer: Any = None,
    fitted: Mapping[str, Any] | None = None,
    task: str = "det",
    **options: Any,
) -> Arm | FoldedArm:
    """An arm from an entry of `restorers`, see the header; `options` go to the restorer's call, such as `gate=0.5`.
    Raises ValueError unless it has one of the two."""
    if (restorer is None) == (fitted is None):
        raise ValueError(
            f"an entry of restorers needs restorer=... or fitted=dict(...), got {restorer}, {fitted}"
        )
    if restorer is not None:
        return restorer_arm(build_restorer(restorer).eval(), task, **options)
    arms = {fold: restorer_arm(build_restorer(one).eval(), task, **options) for fold, one in fitted.items()}
    return FoldedArm(fitted=arms, folds=folds)


@contextmanager
def _optional(name: str, entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The entry without `optional`; where that is true, a FileNotFoundError inside becomes a printed note."""
    entry = dict(entry)
    optional = entry.pop("optional", False)
    try:
        yield entry
    except FileNotFoundError as error:
        if not optional:
            raise
        print(f"left out {name}: {error}")


def measure_from_config(measure: Mapping[str, Any], work_dir: str | Path) -> GainReport:
    """Measures as the config says, writes `work_dir/report.{json,md,html}` and prints the table.

    Keys of `measure`: `detector`, `segmentor`, `depth_estimator` or `classifier` (arguments of `FrozenDetector` and so
    on), `conditions` (name -> arguments of `build_condition`), and optionally `arms`, `restorer` (default
    `work_dir/restorer`; needed where `arms` names a task), `restorers` and `folds` (see the header), `size`, `limit`,
    `resamples`, `seed`, `title`. A condition whose set is missing, or an entry of `restorers` whose folder is, is left
    out with a note when it says `optional=True`.

    Raises FileNotFoundError where the restorer, the network or a set that is not optional is missing;
    ValueError for unknown or missing keys, and where every set is left out.
    """
    options = dict(measure)
    unknown = sorted(options.keys() - set(KEYS))
    kinds = [kind for kind in TASKS if options.get(kind)]
    lacking = [
        name for name, there in (("detector", kinds), ("conditions", options.get("conditions"))) if not there
    ]
    if unknown or lacking:
        what = f"unknown keys {', '.join(unknown)}" if unknown else f"no {' and no '.join(lacking)}"
        raise ValueError(f"measure has {what}; known are {', '.join(KEYS)}")
    if len(kinds) > 1:
        raise ValueError(f"measure has {' and '.join(kinds)}; give each a measurement of its own")
    kind = kinds[0]
    build, task_type, prompt, size = TASKS[kind]
    classes = tuple(options[kind].get("classes", SCENE_CLASSES))
    network: FrozenNetwork | FrozenClassifier
    if build is FrozenDepthEstimator:  # distances have no classes
        network = build(**options[kind])
        task: MeasuredTask = task_type(network.max_depth)
    else:
        network = build(**{"classes": classes, **options[kind]})
        task = task_type(classes)
    names = options.get("arms", (*ARMS, prompt))
    restorer = None
    if set(names) - {CLEAN, *CLASSICAL_ARMS}:
        restorer = build_restorer(options.get("restorer") or Path(work_dir) / "restorer").eval()
    arms = build_arms(names, restorer)
    folds = {fold: frozenset(read_names(file)) for fold, file in (options.get("folds") or {}).items()}
    for name, entry in (options.get("restorers") or {}).items():
        with _optional(name, entry) as entry:
            arms[name] = build_restorer_arm(**{"folds": folds, "task": prompt, **entry})
    named = LAYOUTS[task.name].network
    limit = options.get("limit")
    conditions = {}
    for name, entry in options["conditions"].items():
        with _optional(name, entry) as entry:
            if entry.pop("by_fold", False):
                entry["folds"] = folds
            conditions[name] = build_condition(**{"limit": limit, "classes": classes, **entry})
    if not conditions:
        raise ValueError(
            f"nothing to measure: the sets of {', '.join(options['conditions'])} are all missing"
        )
    report = measure_gain(
        network.predict,
        None,
        arms,
        conditions,
        task=task,
        resize_to=options.get("size", size),
        resamples=options.get("resamples", 1000),
        seed=options.get("seed", 0),
        protocol={
            named: Path(str(options[kind]["config"]).rpartition("::")[2]).stem,
            f"{named}_checkpoint": Path(str(options[kind].get("checkpoint") or "random weights")).name,
            "restorer": str(options.get("restorer") or "trained in this run"),
        },
    )
    title = options.get("title")
    paths = write_report(report, work_dir, title=title)
    print(to_markdown(report, title=title))
    print(f"report: {paths['html']}")
    return report
