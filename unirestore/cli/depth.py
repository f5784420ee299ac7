"""Write the depth of every photo of a folder with a monocular depth model of transformers.

    unirestore depth photos depth --model depth-anything/Depth-Anything-V2-Small-hf
    unirestore degrade photos foggy --recipe Haze --depth depth

Depth files are 16-bit PNG in centimetres. Needs the extra `depth`. A run that was stopped continues where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .sharing import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `unirestore depth`."""
    parser.add_argument("source", metavar="IN", help="folder of photos, searched recursively")
    parser.add_argument("out", metavar="OUT", help="folder for the depth files")
    parser.add_argument("--model", required=True, help="folder of a model, or its id on the hub")
    parser.add_argument("--kind", choices=("auto", "metric", "inverse"), default="auto", help="default: auto")
    parser.add_argument(
        "--near", type=float, default=3.0, help="metres of the nearest thing, relative models"
    )
    parser.add_argument(
        "--far", type=float, default=300.0, help="metres of the farthest thing, relative models"
    )
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--revision", help="commit or tag on the hub")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from unirestore.data.images import IMAGE_SUFFIXES
    from unirestore.degradations.depth_model import DepthModel, write_depth_folder

    model = DepthModel(
        args.model,
        kind=args.kind,
        near=args.near,
        far=args.far,
        device=args.device,
        revision=args.revision,
    )
    photos = sum(p.suffix.lower() in IMAGE_SUFFIXES for p in Path(args.source).rglob("*"))
    with shown(photos, args.quiet) as step:
        count = write_depth_folder(model, args.source, args.out, step)
    print(f"depth of {count} photos in {args.out} ({model.kind} model)")
    return 0
