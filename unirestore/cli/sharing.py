"""Arguments that the commands on folders of photos have in common."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """IN, OUT, the recipe and how to write."""
    parser.add_argument(
        "source", nargs="?", metavar="IN", help="folder of clean photos, searched recursively"
    )
    parser.add_argument("out", nargs="?", metavar="OUT", help="folder to write to")
    parser.add_argument(
        "--recipe", help="a recipe, a mixture, an effect (Haze, Haze:4) or a .json file; see --list"
    )
    parser.add_argument(
        "--list", action="store_true", help="show the recipes, mixtures and effects there are"
    )
    parser.add_argument(
        "--severity", type=int, choices=range(1, 6), metavar="1-5", help="of effects whose recipe names none"
    )
    parser.add_argument("--seed", type=int, help="of the whole set (default: 0)")
    parser.add_argument(
        "--depth",
        metavar="FOLDER",
        help="the photos' depth: 16-bit .png (cm) or .npy (m) under the photos' names (a.png for a.jpg; a.jpg.png and "
        "a.bmp.png where both a.jpg and a.bmp are there)",
    )
    parser.add_argument("--format", choices=("png", "jpg", "webp"), help="default: png")
    parser.add_argument("--quality", type=int, metavar="1-100", help="of jpg and webp (default: 95)")
    parser.add_argument("--max-side", type=int, metavar="PIXELS", help="make larger photos smaller first")
    parser.add_argument(
        "--skip-broken",
        action="store_true",
        help="leave out photos that cannot be read, name them at the end and exit with 1 (default: stop with 2)",
    )
    parser.add_argument(
        "--anew", action="store_true", help="forget what a stopped run or another set has done in OUT"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", default=_cores(), help="processes (default: all cores)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def builder_of(args: argparse.Namespace, **more: Any) -> Any:
    """The `PairBuilder` of the arguments. Raises ValueError for what is missing."""
    from unirestore.degradations.dataset_builder import PairBuilder

    lacking = [name for name in ("source", "out", "recipe") if getattr(args, name) is None]
    if lacking:
        words = {"source": "IN", "out": "OUT", "recipe": "--recipe"}
        raise ValueError(f"{', '.join(words[name] for name in lacking)} missing; --help shows the usage")
    given = {
        "seed": args.seed,
        "picture_format": args.format,
        "quality": args.quality,
        **more,
    }
    builder = PairBuilder(
        source=args.source,
        out=args.out,
        recipe=args.recipe,
        severity=args.severity,
        depth=args.depth,
        max_side=args.max_side,
        skip_broken=args.skip_broken,
        **{name: value for name, value in given.items() if value is not None},
    )
    if args.anew:
        builder.clear()
    elif changed := builder.changed():
        print(f"{listed(changed)} changed since a run that was stopped: made again", file=sys.stderr)
    return builder


def report_skipped(skipped: dict[str, str]) -> int:
    """Name the photos that were left out; returns the exit status."""
    print("".join(f"{why}\n" for why in skipped.values()), end="", file=sys.stderr)
    if skipped:
        print(f"{len(skipped)} photos left out: they cannot be read", file=sys.stderr)
    return 1 if skipped else 0


def listed(names: list[str]) -> str:
    """The first few of some names."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def show_recipes() -> int:
    """Print what --recipe takes."""
    from unirestore.degradations import MIXTURES, RECIPES, REGISTRY
    from unirestore.degradations.compose import Group
    from unirestore.degradations.recipes import SAMPLERS

    effects = [name for name, cls in REGISTRY.items() if not issubclass(cls, Group)]  # groups name no effect
    for title, names in (("recipes", [*RECIPES, *SAMPLERS]), ("mixtures", MIXTURES), ("effects", effects)):
        print(f"{title}: {', '.join(sorted(names))}")
    return 0


def shown(steps: int, quiet: bool, what: str = "") -> Any:
    """A progress bar, see `evaluation.progress`; `what` stands there until the first step."""
    from unirestore.evaluation.progress import progress_bar

    return progress_bar(steps, visible=not quiet, what=what)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
