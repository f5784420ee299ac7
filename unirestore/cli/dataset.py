"""Build a data set of pairs from a folder of clean photos.

    unirestore dataset photos pairs --recipe second_order --copies 3 --workers 8
    unirestore dataset photos pairs --recipe everything --layout shards --chunk 256
    unirestore dataset /shared/photos /shared/pairs --recipe web --layout shards --ray

Writes `clean/` and `degraded/`, or WebDataset shards, with `manifest.jsonl` and a data card (README.md). A run that
was stopped continues where it was. --ray runs the same function on Ray Data, on the cluster of RAY_ADDRESS or
on this machine.
"""

from __future__ import annotations

import argparse

from .sharing import add_source_arguments, builder_of, report_skipped, show_recipes, shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `unirestore dataset`."""
    add_source_arguments(parser)
    parser.add_argument("--layout", choices=("folders", "shards"), default="folders", help="default: folders")
    parser.add_argument(
        "--copies", type=int, metavar="N", default=1, help="degraded versions of each photo (default: 1)"
    )
    parser.add_argument(
        "--chunk", type=int, metavar="N", help="pairs in a shard (default: 64) or in a process's turn (8)"
    )
    parser.add_argument("--ray", action="store_true", help="run on Ray Data instead of local processes")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    if args.list:
        return show_recipes()
    builder = builder_of(args, layout=args.layout, copies=args.copies, chunk=args.chunk)
    if args.ray:
        from unirestore.degradations.dataset_builder import run_on_ray

        pairs = run_on_ray(builder)
    else:
        with shown(builder.chunks, args.quiet) as step:
            pairs = builder.build(args.workers, step)
    print(f"{pairs} pairs in {builder.out}; the data card is {builder.out}/README.md")
    return report_skipped(builder.skipped())
