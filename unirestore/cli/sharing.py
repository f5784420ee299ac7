"""Arguments that the commands on folders of photos have in common."""

from __future__ import annotations

import argparse
import os
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
        "--severity", type=int, choices=range(1, 6), help="of effects whose recipe names none"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the whole set (default: 0)")
    parser.add_argument(
        "--depth", help="folder with the photos' depth under their names (16-bit .png cm, .npy m)"
    )
    parser.add_argument("--format", choices=("png", "jpg", "webp"), default="png", help="default: png")
    parser.add_argument("--quality", type=int, default=95, help="of jpg and webp (default: 95)")
    parser.add_argument("--max-side", type=int, help="make larger photos smaller first")
    parser.add_argument("--workers", type=int, default=_cores(), help="processes (default: all cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def builder_of(args: argparse.Namespace, **more: Any) -> Any:
    """The `PairBuilder` of the arguments. Raises ValueError for what is missing."""
    from unirestore.degradations.dataset_builder import PairBuilder

    lacking = [name for name in ("source", "out", "recipe") if getattr(args, name) is None]
    if lacking:
        words = {"source": "IN", "out": "OUT", "recipe": "--recipe"}
        raise ValueError(f"{', '.join(words[name] for name in lacking)} missing; --help shows the usage")
    return PairBuilder(
        source=args.source,
        out=args.out,
        recipe=args.recipe,
        severity=args.severity,
        seed=args.seed,
        depth=args.depth,
        picture_format=args.format,
        quality=args.quality,
        max_side=args.max_side,
        **more,
    )


def show_recipes() -> int:
    """Print what --recipe takes."""
    from unirestore.degradations import MIXTURES, RECIPES, REGISTRY
    from unirestore.degradations.recipes import SAMPLERS

    for title, names in (("recipes", [*RECIPES, *SAMPLERS]), ("mixtures", MIXTURES), ("effects", REGISTRY)):
        print(f"{title}: {', '.join(sorted(names))}")
    return 0


def shown(steps: int, quiet: bool) -> Any:
    """A progress bar, see `evaluation.progress`."""
    from unirestore.evaluation.progress import progress_bar

    return progress_bar(steps, visible=not quiet)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
