"""Show what restoring does: the photo and the restored picture side by side.

    unirestore compare foggy.jpg comparison.jpg
    unirestore compare photos comparisons --task det

IN is a photo, a folder or a pattern; of a folder each photo becomes a picture of its name in OUT. Nothing is passed
over, and a photo that cannot be read is named at the end (exit status 1).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .restore import add_model_arguments, jobs_of, restorer_of
from .sharing import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `unirestore compare`."""
    parser.add_argument("source", metavar="IN", help="a photo, a folder or a pattern such as 'photos/*.jpg'")
    parser.add_argument("out", metavar="OUT", help="a file for a file, else a folder")
    add_model_arguments(parser)
    parser.add_argument("--recursive", action="store_true", help="with the folder's sub-folders, kept in OUT")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from unirestore.data.photo_files import Photo, read_photo, write_photo
    from unirestore.evaluation.pictures import labelled

    restore = restorer_of(args)
    jobs = jobs_of(args.source, args.out, args.recursive)
    failed = []
    with shown(len(jobs), args.quiet) as step:
        for job in jobs:
            try:
                photo = read_photo(job.source)
                restored = restore.loaded()(photo, **restore.options)
                shown_as = {
                    Path(job.source).name: photo.colours(8),
                    f"restored, {args.task}": restored.colours(8),
                }
                picture = labelled(shown_as)
                write_photo(
                    Photo(
                        pixels=picture.astype("float32") / 255, name=job.target, format="PNG", icc=photo.icc
                    ),
                    job.target,
                    quality=args.quality,
                )
            except (ValueError, FileNotFoundError, FloatingPointError, MemoryError) as error:
                failed.append(str(error))
            step("comparing")
    print("".join(f"{line}\n" for line in failed), end="", file=sys.stderr)
    print(f"{len(jobs) - len(failed)} of {len(jobs)} comparisons written to {args.out}")
    return 1 if failed else 0
