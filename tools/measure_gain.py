#!/usr/bin/env python
r"""By how much do restorers help a detector? Writes report.json, report.md and report.html.

Real bad weather, as it is (several sets at once, a condition each):
    python tools/measure_gain.py mmdet::yolox/yolox_nano_8xb8-300e_coco.py \
        --detector-checkpoint yolox_nano.pth --images data/dawn \
        --ann data/dawn/annotations/fog.json data/dawn/annotations/rain.json \
        --arms none clahe dcp mix ir det --restorer work_dirs/tfa_det/restorer

A clean set with weather put on (the clean photos then give the ceiling):
    python tools/measure_gain.py CONFIG --detector-checkpoint FILE --images coco/val2017 \
        --ann instances_val2017.json --conditions haze:3 rain:3 clean

Cost: about (detector + restorer) milliseconds x photos x arms x conditions; 250 photos and 4 classical arms
before YOLOX-nano at 640 take about two minutes on one CPU core.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from unirestore.data.coco import CocoFolder
from unirestore.data.sample import SCENE_CLASSES
from unirestore.degradations import REGISTRY
from unirestore.evaluation.arms import CLASSICAL_ARMS, build_arms
from unirestore.evaluation.gain import Condition, measure_gain
from unirestore.evaluation.report import to_markdown, write_report


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="mmdet config: a path, or mmdet::folder/name")
    parser.add_argument("--detector-checkpoint", required=True, help="weights of the detector")
    parser.add_argument("--ann", nargs="+", required=True, help="COCO json; several are a condition each")
    parser.add_argument("--images", required=True, help="folder that the json's file names are relative to")
    parser.add_argument("--arms", nargs="+", help="default: none clahe dcp mix, with --restorer also ir det")
    parser.add_argument("--restorer", help="folder of a UniRestore model; other arm names are its tasks")
    parser.add_argument(
        "--conditions",
        nargs="+",
        default=["as-is"],
        help="as-is, clean, or a degradation with a severity such as haze:3 (default: as-is)",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        default=list(SCENE_CLASSES),
        help="class names; 'all' takes those of the first json",
    )
    parser.add_argument("--depth", help="folder of depth images beside the photos")
    parser.add_argument("--size", type=int, default=640, help="long side for arms and detector, pixels")
    parser.add_argument("--limit", type=int, help="the first so many photos of each condition")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap draws")
    parser.add_argument("--seed", type=int, default=0, help="of degradations and bootstrap")
    parser.add_argument("--out", default="work_dirs/measure_gain", help="folder of the report")
    parser.add_argument("--json", help="write report.json here as well")
    parser.add_argument(
        "--cache", action="store_true", help="keep predictions in OUT/predictions and reuse them"
    )
    parser.add_argument("--device", default="cpu", help="of detector and restorer")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no table")
    return parser.parse_args(argv)


def build_conditions(names: Sequence[str], sets: dict[str, CocoFolder]) -> dict[str, Condition]:
    """`haze:3` and the like for each set; where there are several sets, titles carry the set's name."""
    result = {}
    for set_name, photos in sets.items():
        for name in names:
            kind, _, severity = name.partition(":")
            effect = None
            if kind not in ("as-is", "clean"):
                known = {key.lower(): value for key, value in REGISTRY.items()}
                if kind.lower() not in known:
                    raise SystemExit(
                        f"unknown condition {name!r}: as-is, clean, or one of {', '.join(sorted(known))}"
                    )
                effect = known[kind.lower()](severity=int(severity or 3))
            title = {"as-is": set_name}.get(name, name if len(sets) == 1 else f"{set_name} {name}")
            result[title] = Condition(photos=photos, effect=effect)
    return result


def fingerprint(path: str | None) -> str:
    """Name, size and time of the newest file at `path`: tells one set of weights from another."""
    if path is None:
        return ""
    root = Path(path)
    if not root.exists():  # the name of shipped weights
        return path
    files = sorted(root.rglob("*")) if root.is_dir() else [root]
    newest = max((file for file in files if file.is_file()), key=lambda f: f.stat().st_mtime_ns)
    return f"{root.resolve()}:{newest.name}:{newest.stat().st_size}:{newest.stat().st_mtime_ns}"


def main(argv: Sequence[str] | None = None) -> dict[str, Path]:
    args = parse(argv)
    classes = args.classes
    if classes == ["all"]:
        classes = [c["name"] for c in json.loads(Path(args.ann[0]).read_text())["categories"]]
    sets = {
        Path(ann).stem: CocoFolder(args.images, ann, depth=args.depth, classes=classes) for ann in args.ann
    }
    model = None
    if args.restorer:
        from unirestore import UniRestore

        model = UniRestore.from_pretrained(args.restorer).eval().to(args.device)
    names = args.arms or [*CLASSICAL_ARMS, *(["ir", "det"] if model is not None else [])]
    arms = build_arms(names, model)

    from unirestore.mm.downstream import FrozenDetector

    detector = FrozenDetector(args.config, args.detector_checkpoint, classes, input_size=args.size).to(
        args.device
    )
    report = measure_gain(
        detector.predict,
        None,
        arms,
        build_conditions(args.conditions, sets),
        classes=classes,
        resize_to=args.size,
        limit=args.limit,
        resamples=args.resamples,
        seed=args.seed,
        cache=Path(args.out) / "predictions" if args.cache else None,
        cache_key=f"{args.config} {fingerprint(args.detector_checkpoint)} {fingerprint(args.restorer)}",
        progress=not args.quiet,
        protocol={
            "detector": Path(args.config.rpartition("::")[2]).stem,
            "detector_checkpoint": Path(args.detector_checkpoint).name,
            "restorer": Path(args.restorer).name if args.restorer else "none",
            "device": args.device,
        },
    )
    title = "What restoration gives the detector"
    paths = write_report(report, args.out, title=title)
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(paths["json"], args.json)
    if not args.quiet:
        print(to_markdown(report, title=title))
        print(f"report: {paths['html']}")
    return paths


if __name__ == "__main__":
    main()
