"""Show what restoring does: the photo and the restored picture side by side.

    unirestore compare foggy.jpg comparison.jpg
    unirestore compare photos comparisons --task det

IN is a photo or several, a folder or a pattern; of a folder each photo becomes a picture of its name in OUT. The photos
are restored for it: OUT is not where restored pictures are, and what stands there is left alone unless --overwrite
is given. A photo that cannot be read is named at the end (exit status 1).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .restore import add_model_arguments, check_task, jobs_of, restorer_of
from .sharing import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `unirestore compare`."""
    parser.add_argument(
        "source",
        metavar="IN",
        nargs="+",
        help="a photo or several, a folder or a pattern such as 'photos/*.jpg'",
    )
    parser.add_argument("out", metavar="OUT", help="a file for a file, else a folder")
    add_model_arguments(parser)
    parser.add_argument("--recursive", action="store_true", help="with the folder's sub-folders, kept in OUT")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are in OUT")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from unirestore.data.photo_files import Photo, read_photo, write_photo
    from unirestore.evaluation.pictures import labelled

    restore = restorer_of(args)
    jobs = jobs_of(args.source, args.out, args.recursive)
    there = [job.target for job in jobs if Path(job.target).exists()]
    if there and not args.overwrite:
        raise ValueError(f"{there[0]} is there already; name another OUT, or --overwrite to replace it")
    failed = []
    with shown(len(jobs), args.quiet, "loading") as step:
        check_task(restore)
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
                        pixels=picture.astype("float32") / 255,
                        name=job.target,
                        format="PNG",
                        icc=None if photo.grey else photo.icc,  # that of grey does not fit the sheet's RGB
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
