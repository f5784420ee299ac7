"""Restore photos: a file, a folder, a pattern, or standard input.

    unirestore restore foggy.jpg restored.jpg
    unirestore restore photos restored --recursive --task det
    unirestore restore 'photos/*.jpg' restored --strength 0.7
    cat foggy.jpg | unirestore restore - - > restored.jpg

Files keep their names, and what they hold beside colours: EXIF, ICC profile, alpha, grey, 16 bits. Finished files
are passed over when the same command is given again, so that a run that was stopped continues; --overwrite makes them
anew. A photo that cannot be restored is named at the end and stops nothing. Under torchrun each process takes its share
of the files.

Exit status: 0 all restored; 1 some could not be; 2 not possible as asked; 130 stopped.

--json prints a line for each photo, {"in": ..., "out": ..., "status": "restored" | "there" | "failed", "error": ...,
"seconds": ...}, and a last one with the counts.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .sharing import shown

STANDARD = "-"
OPTIONS = ("task", "strength", "color_fix", "seed", "steps")
"""Arguments that are the pipeline's own."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One photo and where it goes."""

    source: str
    target: str


@dataclass(kw_only=True)
class Restore:
    """What restores one photo; can be pickled, and loads the network when it is first called."""

    model: str
    dtype: str
    device: str
    threads: int | None
    quality: int
    options: dict[str, Any]
    pipe: Any = None

    def __call__(self, job: Job) -> dict[str, Any]:
        """A line of the summary; errors of one photo are told in it."""
        start = time.perf_counter()
        line: dict[str, Any] = {"in": job.source, "out": job.target, "status": "restored"}
        try:
            self.loaded().restore_file(job.source, job.target, quality=self.quality, **self.options)
        except (ValueError, OSError, FloatingPointError, MemoryError) as error:
            if (
                isinstance(error, OSError)
                and error.errno is not None
                and not isinstance(error, FileNotFoundError)
            ):
                raise  # a full disk, a folder that may not be written: the next photo would fail as well
            line |= {"status": "failed", "error": str(error)}
        return {**line, "seconds": round(time.perf_counter() - start, 3)}

    def loaded(self) -> Any:
        """The pipeline."""
        if self.pipe is None:
            import torch

            from unirestore.pipeline import RestorationPipeline

            if self.threads is not None:
                torch.set_num_threads(self.threads)
            torch.set_flush_denormal(True)
            self.pipe = RestorationPipeline.from_pretrained(self.model, dtype=self.dtype, device=self.device)
        return self.pipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `unirestore restore`."""
    parser.add_argument(
        "source", metavar="IN", help="a photo, a folder, a pattern such as 'photos/*.jpg', or -"
    )
    parser.add_argument("out", metavar="OUT", help="a file for a file, else a folder; - for standard output")
    add_model_arguments(parser)
    parser.add_argument("--recursive", action="store_true", help="with the folder's sub-folders, kept in OUT")
    parser.add_argument("--overwrite", action="store_true", help="restore again what is in OUT already")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        default=1,
        help="processes, each with a network of its own (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each photo")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which network restores, and how."""
    parser.add_argument(
        "--model", default="tiny", help="weights: a name, a folder or a hub id (default: tiny)"
    )
    parser.add_argument("--task", default="ir", help="ir for people (default), det for a detector, ...")
    parser.add_argument(
        "--strength", type=float, default=1.0, help="1: the restored picture (default), 0: the photo"
    )
    parser.add_argument(
        "--tile", default="auto", help="pixels of a tile's side, auto (default: as memory allows) or none"
    )
    parser.add_argument("--color-fix", choices=("adain", "wavelet"), help="take a tint out")
    parser.add_argument(
        "--seed", type=int, default=0, help="0: the fixed noise (default); others draw the noise"
    )
    parser.add_argument("--steps", type=int, default=1, help="of the prior, 1 to 4 (default: 1)")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="number type"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, ...")
    parser.add_argument("--quality", type=int, metavar="1-100", default=95, help="of JPEG, WebP and HEIC")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    restore = restorer_of(args)
    if args.source == STANDARD or args.out == STANDARD:
        return _streamed(restore, args)
    jobs = share_of(jobs_of(args.source, args.out, args.recursive))
    todo = [job for job in jobs if args.overwrite or not Path(job.target).exists()]
    if todo:
        check_task(restore, args)
    done = [{"in": job.source, "out": job.target, "status": "there"} for job in jobs if job not in set(todo)]
    for line in done:
        _tell(line, args.json)
    with shown(len(todo), args.quiet or args.json) as step:
        for line in results(restore, todo, args):
            step("restoring")
            _tell(line, args.json)
            done.append(line)
    counts = {
        status: sum(line["status"] == status for line in done) for status in ("restored", "there", "failed")
    }
    if args.json:
        print(json.dumps(counts))
    else:
        for line in done:
            if line["status"] == "failed":
                print(line["error"], file=sys.stderr)
        there = f", {counts['there']} there already (--overwrite makes them anew)" if counts["there"] else ""
        failed = f", {counts['failed']} failed (named above)" if counts["failed"] else ""
        print(f"{counts['restored']} of {len(jobs)} photos restored into {args.out}{there}{failed}")
    return 1 if counts["failed"] else 0


def restorer_of(args: argparse.Namespace) -> Restore:
    """What the model arguments ask for. Raises ValueError for numbers that cannot be."""
    tile: int | str | None = args.tile
    if args.tile == "none":
        tile = None
    elif args.tile != "auto":
        try:
            tile = int(args.tile)
        except ValueError as error:
            raise ValueError(f"--tile is a number of pixels, auto or none, not {args.tile!r}") from error
    if not 1 <= args.quality <= 100:
        raise ValueError(f"--quality lies in 1..100, got {args.quality}")
    jobs = getattr(args, "jobs", 1)
    if jobs < 1:
        raise ValueError(f"--jobs is at least 1, got {jobs}")
    return Restore(
        model=args.model,
        dtype=args.dtype,
        device=args.device,
        threads=max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None,
        quality=args.quality,
        options={"tile": tile, **{name: getattr(args, name) for name in OPTIONS}},
    )


def check_task(restore: Restore, args: argparse.Namespace) -> None:
    """Fails here, and not at every photo, for options that the network does not have."""
    pipe = restore.loaded()
    pipe.check(**restore.options)
    if args.jobs > 1:
        restore.pipe = None  # each process loads its own


def jobs_of(source: str, out: str, recursive: bool = False) -> list[Job]:
    """The photos that IN means, in order, each with its place in OUT.

    Raises FileNotFoundError where IN is nothing, ValueError where a folder holds no photo, where two photos would go to
    one file, or where OUT cannot be right.
    """
    from unirestore.data.photo_files import PHOTO_SUFFIXES, format_of

    place, target = Path(source), Path(out)
    if place.is_file():
        if target.is_dir() or not target.suffix:
            target = target / place.name
        format_of(target)
        if target.resolve() == place.resolve():
            raise ValueError(f"OUT is the photo {source} itself; choose another name")
        return [Job(source=source, target=str(target))]
    if place.is_dir():
        found = sorted(place.rglob("*") if recursive else place.iterdir())
        names = {path: path.relative_to(place) for path in found}
    else:
        found = sorted(Path(name) for name in glob.glob(source, recursive=True))
        if not found:
            raise FileNotFoundError(f"{source}: no such file or folder, and nothing fits it as a pattern")
        names = {path: Path(path.name) for path in found}
    within = target.resolve()
    inside = place.resolve() in within.parents  # then what an earlier run made is no photo
    photos = [
        path
        for path in found
        if path.suffix.lower() in PHOTO_SUFFIXES
        and path.is_file()
        and not path.name.startswith(".")
        and not (inside and within in path.resolve().parents)
    ]
    if within == place.resolve():
        raise ValueError(f"OUT is the folder {source} itself; the photos would be overwritten")
    if target.is_file():
        raise ValueError(f"{out} is a file, and {source} may be many photos: name a folder")
    if not photos:
        hint = "" if recursive or not place.is_dir() else "; --recursive looks into sub-folders too"
        raise ValueError(f"{source}: no photo there ({', '.join(PHOTO_SUFFIXES)}){hint}")
    jobs = [Job(source=str(path), target=str(target / names[path])) for path in photos]
    owner: dict[str, str] = {}
    for job in jobs:
        if owner.setdefault(job.target, job.source) != job.source:
            raise ValueError(f"{owner[job.target]} and {job.source} would both become {job.target}")
    return jobs


def share_of(jobs: list[Job]) -> list[Job]:
    """This process's share under torchrun, every photo in exactly one; else all."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    return jobs[rank::world]


def results(restore: Restore, jobs: list[Job], args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The lines of the summary as they come."""
    if args.jobs == 1 or len(jobs) < 2:
        return map(restore, jobs)
    from unirestore.degradations.workers import in_processes

    kept = "the photos that are finished are kept, and the same command makes the rest"
    return in_processes(restore, jobs, min(args.jobs, len(jobs)), kept=kept, ordered=True)


def _tell(line: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(line), flush=True)


def _streamed(restore: Restore, args: argparse.Namespace) -> int:
    """From standard input or to standard output; messages go to standard error."""
    from unirestore.data.photo_files import format_of

    stored: str | bytes = sys.stdin.buffer.read() if args.source == STANDARD else args.source
    if stored == b"":
        raise ValueError("standard input is empty; give a photo, as in: unirestore restore - - < photo.jpg")
    if args.source != STANDARD and not Path(args.source).is_file():
        raise FileNotFoundError(f"{args.source}: no such photo; standard output takes one")
    if args.out == STANDARD:
        if args.json:
            raise ValueError("--json and the picture cannot both go to standard output; name a file for OUT")
        restore.loaded().restore_file(stored, sys.stdout.buffer, quality=args.quality, **restore.options)
        sys.stdout.buffer.flush()
        return 0
    format_of(args.out)
    restore.loaded().restore_file(stored, args.out, quality=args.quality, **restore.options)
    _tell({"in": STANDARD, "out": args.out, "status": "restored"}, args.json)
    return 0
