#!/usr/bin/env python
r"""How far is synthetic weather from real weather? Distances between statistics of photos.

    python tools/weather_distance.py --real /path/to/dawn --camvid /path/to/camvid \
        --coco /path/to/coco128 --out work_dirs/weather_distance

Each mixture (and fog, snow of the optional package `imagecorruptions`, its severities 1 to 5 in turn) is put
on the same clean photos and compared with the real photos. Rows: the clean photos, the package, the mixtures,
and as a floor one half of the real photos against the other; fewer photos lie further apart, so of that row
too read the estimate, which has this bias taken off (`unirestore.degradations.distance.interval`). A second
table has the difference "mixture minus package" with its paired interval: below zero the mixture is closer.
Columns: see `unirestore.degradations.statistics`. Writes distance.md and distance.json. Cost: about 20
photos/s on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from unirestore.degradations import WeatherMixture
from unirestore.degradations import statistics as st
from unirestore.degradations.distance import (
    frechet,
    interval,
    paired_interval,
    wasserstein,
    wasserstein_each,
)

CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian")
CAMVID += ("bicyclist", "void")
PAIRS = {  # real set: mixtures
    "fog": ("haze", "road_fog", "road"),
    "rain": ("rain", "road_rain", "road"),
    "snow": ("road_snow",),
    "sand": ("haze", "road_sand"),
}
PACKAGE = {  # of imagecorruptions; it has neither rain nor sand
    "fog": ("fog",),
    "rain": ("fog", "snow"),
    "snow": ("snow",),
    "sand": ("fog",),
}
Photo = tuple[np.ndarray, np.ndarray | None]  # RGB uint8 and its label map
SUFFIXES = (".jpg", ".jpeg", ".png")
ABSENT = "not measured: imagecorruptions is not installed (pip install 'unirestore[bench]')"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, required=True, help="folder with fog, rain, snow and sand")
    parser.add_argument("--camvid", type=Path, help="folder with train and trainannot")
    parser.add_argument("--coco", type=Path, help="folder with train2017")
    parser.add_argument("--kinds", nargs="+", choices=sorted(PAIRS), default=["fog", "rain"])
    parser.add_argument("--limit", type=int, default=200, help="clean photos of each source")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for distance.md and distance.json")
    return parser.parse_args(argv)


def photos(folder: Path) -> list[Path]:
    """Sorted photo files of `folder`. Raises FileNotFoundError where there are none."""
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"no photos (.jpg, .png) in {folder}")
    return found


def read(path: Path) -> np.ndarray:
    """RGB uint8."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is not a readable photo")
    return np.ascontiguousarray(image[..., ::-1])


def clean_photos(args: argparse.Namespace) -> list[Photo]:
    """Clean photos of all sources given, spread evenly over each."""
    out: list[Photo] = []
    if args.camvid:
        for path in spread(photos(args.camvid / "train"), args.limit):
            labels = args.camvid / "trainannot" / (path.stem + ".png")
            out.append((read(path), cv2.imread(str(labels), cv2.IMREAD_GRAYSCALE)))
    if args.coco:
        out += [(read(path), None) for path in spread(photos(args.coco / "train2017"), args.limit)]
    if not out:
        raise ValueError("no clean photos: pass --camvid, --coco or both")
    return out


def spread(items: list, limit: int) -> list:
    """At most `limit` of `items`, evenly spaced."""
    step = max(1, -(-len(items) // limit))
    return items[::step]


def mixture_rows(name: str, clean: list[Photo], seed: int) -> np.ndarray:
    """Statistics of the clean photos with draws of a mixture on them."""
    mixture, rows = WeatherMixture(name), []
    for index, (image, labels) in enumerate(clean):
        names = None if labels is None else CAMVID
        effect = mixture.draw(seed + index)
        rows.append(st.describe(effect(image, seed=seed + index, label_map=labels, class_names=names)))
    return np.stack(rows)


def package_rows(name: str, clean: list[Photo], seed: int) -> np.ndarray | None:
    """The same with `imagecorruptions`, severities in turn; None where the package is not installed."""
    corrupt = package()
    if corrupt is None:
        return None
    rows = []
    for index, (image, _) in enumerate(clean):
        np.random.seed(seed + index)  # the package draws from numpy's global state
        rows.append(st.describe(corrupt(image, severity=1 + index % 5, corruption_name=name)))
    return np.stack(rows)


def package() -> Callable | None:
    """`imagecorruptions.corrupt`, or None."""
    try:
        from imagecorruptions import corrupt
    except ImportError:
        return None
    return corrupt


def measure(args: argparse.Namespace) -> tuple[dict, str]:
    """The report (`rows`, `differences` and what they were measured on), and the medians as Markdown."""
    reals = {kind: photos(args.real / kind) for kind in args.kinds}  # a bad folder ends it before the work
    clean = clean_photos(args)
    cache: dict[str, np.ndarray | None] = {"clean photos": st.describe_all(image for image, _ in clean)}
    for kind in args.kinds:
        for name in PACKAGE[kind]:
            key = f"imagecorruptions {name}"
            if key not in cache:
                cache[key] = package_rows(name, clean, args.seed)
        for name in PAIRS[kind]:
            if name not in cache:
                cache[name] = mixture_rows(name, clean, args.seed)
    rows, differences, tables = [], [], []
    for kind, files in reals.items():
        real = st.describe_all(read(path) for path in files)
        order = np.random.default_rng(args.seed).permutation(len(real))
        half = len(real) // 2
        rows.append(_row(kind, "real, half against half", real[order[:half]], real[order[half:]], args.seed))
        packages = [f"imagecorruptions {name}" for name in PACKAGE[kind]]
        shown = ["clean photos", *packages, *PAIRS[kind]]
        rows += [_row(kind, name, real, cache[name], args.seed) for name in shown]
        for ours in PAIRS[kind]:
            for theirs in packages:
                if cache[theirs] is not None:
                    value = paired_interval(real, cache[ours], cache[theirs], seed=args.seed)
                    differences.append({"real": kind, "ours": ours, "theirs": theirs} | _named(value))
        columns = {f"real {kind}": real, **{n: cache[n] for n in shown if cache[n] is not None}}
        tables.append(f"Medians, {kind}:\n\n" + st.summary(columns))
    report = {
        "seed": args.seed,
        "clean_photos": len(clean),
        "with_label_map": sum(labels is not None for _, labels in clean),
        "rows": rows,
        "differences": differences,
    }
    return report, "\n\n".join(tables)


def _row(kind: str, name: str, real: np.ndarray, other: np.ndarray | None, seed: int) -> dict:
    if other is None:
        return {"real": kind, "set": name, "missing": ABSENT}
    each = dict(zip(st.NAMES, wasserstein_each(real, other).round(4).tolist(), strict=True))
    return {
        "real": kind,
        "set": name,
        "photos": len(other),
        "wasserstein": wasserstein(real, other),
        **_named(interval(real, other, seed=seed)),
        "frechet": frechet(real, other),
        "each": each,
    }


def _named(value: tuple[float, float, float]) -> dict:
    return dict(zip(("estimate", "low", "high"), value, strict=True))


def to_markdown(report: dict) -> str:
    """The two tables: distances, and mixtures minus the package."""
    lines = [
        "| real photos | set | photos | Wasserstein | estimate [95 %] | Frechet | worst three statistics |",
        "|---" * 7 + "|",
    ]
    for row in report["rows"]:
        if "missing" in row:
            lines.append(f"| {row['real']} | {row['set']} | – | {row['missing']} | – | – | – |")
            continue
        each = row["each"]
        worst = [f"{name} {each[name]:.2f}" for name in sorted(each, key=each.get, reverse=True)[:3]]
        lines.append(
            f"| {row['real']} | {row['set']} | {row['photos']} | {row['wasserstein']:.3f} "
            f"| {row['estimate']:.3f} [{row['low']:.3f}, {row['high']:.3f}] | {row['frechet']:.2f} "
            f"| {', '.join(worst)} |"
        )
    if report["differences"]:
        lines += ["", "| real photos | mixture | minus | difference [95 %, paired] |", "|---" * 4 + "|"]
    for row in report["differences"]:
        lines.append(
            f"| {row['real']} | {row['ours']} | {row['theirs']} "
            f"| {row['estimate']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse(argv)
    try:
        report, medians = measure(args)
    except (OSError, ValueError) as error:
        sys.exit(f"weather_distance: {error}")
    table = to_markdown(report)
    print(table + "\n\n" + medians)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "distance.md").write_text(table + "\n\n" + medians + "\n", encoding="utf-8")
        (args.out / "distance.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
