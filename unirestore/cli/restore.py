"""Restore photos: files, a folder, a pattern, or standard input.

    unirestore restore foggy.jpg restored.jpg
    unirestore restore photos restored --recursive --task det
    unirestore restore 'photos/*.jpg' restored --strength 0.7
    cat foggy.jpg | unirestore restore - - > restored.jpg

Files keep their names, and what they hold beside colours: EXIF, ICC profile, alpha, grey, 16 bits. Finished files
are passed over when the same command is given again, so that a run that was stopped continues; --overwrite makes them
anew. A photo that cannot be restored is named at the end and stops nothing. Under torchrun each process takes its share
of the files, and with --device cuda a GPU of its own.

Exit status: 0 all restored; 1 some could not be; 2 not possible as asked; 130 stopped. Of several processes each ends
with 0 where photos failed, because torchrun would stop the others; the same command without torchrun tries those again.

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
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .sharing import shown

STANDARD = "-"
OPTIONS = ("task", "strength", "color_fix", "seed", "steps", "gate")
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
    megapixels: int | None
    options: dict[str, Any]
    pipe: Any = None

    def __call__(self, job: Job) -> dict[str, Any]:
        """A line of the summary; errors of one photo are told in it."""
        start = time.perf_counter()
        line: dict[str, Any] = {"in": job.source, "out": job.target, "status": "restored"}
        try:
            self.loaded().restore_file(job.source, job.target, quality=self.quality, **self.options)
        except (ValueError, OSError, FloatingPointError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno is not None and error.filename != job.source:
                raise  # a full disk, a folder that may not be written: the next photo would fail as well
            line |= {"status": "failed", "error": str(error)}
        return {**line, "seconds": round(time.perf_counter() - start, 3)}

    def loaded(self) -> Any:
        """The pipeline."""
        if self.pipe is None:
            import torch
            from PIL import Image

            from unirestore.pipeline import RestorationPipeline

            if self.threads is not None:
                torch.set_num_threads(self.threads)
            torch.set_flush_denormal(True)
            if self.megapixels is not None:
                Image.MAX_IMAGE_PIXELS = self.megapixels * 10**6 // 2  # Pillow refuses twice as many
            warnings.filterwarnings("ignore", module=r"PIL\.")  # on damaged tags, and on large photos
            self.pipe = RestorationPipeline.from_pretrained(self.model, dtype=self.dtype, device=self.device)
        return self.pipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `unirestore restore`."""
    parser.add_argument(
        "source",
        metavar="IN",
        nargs="+",
        help="a photo or several, a folder, a pattern such as 'photos/*.jpg', or -",
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
        "--gate",
        type=float,
        metavar="P",
        help="let photos pass as they are that are less likely degraded than this, 0 to 1 (default: restore all)",
    )
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="number type"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, ...")
    parser.add_argument("--quality", type=int, metavar="1-100", default=95, help="of JPEG, WebP and HEIC")
    parser.add_argument(
        "--max-megapixels",
        type=int,
        metavar="N",
        help="refuse larger photos, which may be made to fill the memory (default: 178, Pillow's limit)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    restore = restorer_of(args)
    if STANDARD in (*args.source, args.out):
        return _streamed(restore, args)
    jobs = share_of(jobs_of(args.source, args.out, args.recursive))
    rank, world = place_among()
    todo = [job for job in jobs if args.overwrite or not Path(job.target).exists()]
    new = set(todo)
    done = [{"in": job.source, "out": job.target, "status": "there"} for job in jobs if job not in new]
    with shown(len(todo), args.quiet or args.json or rank > 0 or not todo, "loading") as step:
        if todo:
            check_task(restore, args.jobs)
        for line in done:
            _tell(line, args.json)
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
        who = f"process {rank} of {world}: " if world > 1 else ""
        print(f"{who}{counts['restored']} of {len(jobs)} photos restored into {args.out}{there}{failed}")
    return 1 if counts["failed"] and world == 1 else 0


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
    if args.max_megapixels is not None and args.max_megapixels < 1:
        raise ValueError(f"--max-megapixels is at least 1, got {args.max_megapixels}")
    jobs = getattr(args, "jobs", 1)
    if jobs < 1:
        raise ValueError(f"--jobs is at least 1, got {jobs}")
    return Restore(
        model=args.model,
        dtype=args.dtype,
        device=_own_device(args.device),
        threads=max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else None,
        quality=args.quality,
        megapixels=args.max_megapixels,
        options={"tile": tile, **{name: getattr(args, name) for name in OPTIONS}},
    )


def check_task(restore: Restore, jobs: int = 1) -> None:
    """Fails here, and not at every photo, for options that the network does not have."""
    pipe = restore.loaded()
    pipe.check(**restore.options)
    if jobs > 1:
        restore.pipe = None  # each process loads its own


def jobs_of(source: str | Sequence[str], out: str, recursive: bool = False) -> list[Job]:
    """The photos that IN means, in order, each with its place in OUT. Several IN are what a shell makes of a pattern.

    Raises FileNotFoundError where IN is nothing, ValueError where a folder holds no photo, where two photos would go to
    one file, or where OUT cannot be right.
    """
    from unirestore.data.photo_files import PHOTO_SUFFIXES, format_of

    several = [] if isinstance(source, str) or len(source) == 1 else list(source)
    source = source if isinstance(source, str) else source[0]
    place, target = Path(source), Path(out)
    if several:
        lost = [name for name in several if not Path(name).exists()]
        if lost:
            raise FileNotFoundError(f"{lost[0]}: no such file or folder")
        found = sorted(set(map(Path, several)))
        names, source = {path: Path(path.name) for path in found}, f"{source} ..."
        place = Path(source)
    elif place.is_file():
        if target.is_dir() or not target.suffix:
            target = target / place.name
        format_of(target)
        if target.resolve() == place.resolve():
            raise ValueError(f"OUT is the photo {source} itself; choose another name")
        return [Job(source=source, target=str(target))]
    elif place.is_dir():
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
    photo_at = {os.path.realpath(job.source): job.source for job in jobs}
    owner: dict[str, str] = {}
    for job in jobs:
        if os.path.realpath(job.target) in photo_at:
            raise ValueError(f"{job.target} is one of the photos and would be overwritten; name another OUT")
        if owner.setdefault(job.target, job.source) != job.source:
            raise ValueError(f"{owner[job.target]} and {job.source} would both become {job.target}")
    return jobs


def share_of(jobs: list[Job]) -> list[Job]:
    """This process's share under torchrun, every photo in exactly one; else all."""
    rank, world = place_among()
    return jobs[rank::world]


def place_among() -> tuple[int, int]:
    """Number of this process under torchrun, from 0, and how many there are; (0, 1) without."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def _own_device(device: str) -> str:
    """`cuda` under torchrun: the GPU of this process's number on its machine."""
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if device == "cuda" and local is not None else device


def results(restore: Restore, jobs: list[Job], args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The lines of the summary as they come."""
    if args.jobs == 1 or len(jobs) < 2:
        return map(restore, jobs)
    from unirestore.workers import in_processes

    kept = "the photos that are finished are kept, and the same command makes the rest"
    return in_processes(restore, jobs, min(args.jobs, len(jobs)), kept=kept, ordered=True)


def _tell(line: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(line), flush=True)


def _streamed(restore: Restore, args: argparse.Namespace) -> int:
    """From standard input or to standard output; messages go to standard error."""
    from unirestore.data.photo_files import format_of

    if len(args.source) > 1:
        raise ValueError("- stands for one photo: give one IN and one OUT")
    (source,) = args.source
    if args.out == STANDARD:
        if args.json:
            raise ValueError("--json and the picture cannot both go to standard output; name a file for OUT")
        if sys.stdout.isatty():
            raise ValueError("the picture would go to the terminal: put > restored.jpg behind the command")
    else:
        format_of(args.out)
    stored: str | bytes = source
    if source == STANDARD:
        stored = sys.stdin.buffer.read()
        if not stored:
            raise ValueError(
                "standard input is empty; give a photo, as in: unirestore restore - - < photo.jpg"
            )
    elif not Path(source).is_file():
        raise FileNotFoundError(f"{source}: no such photo; standard output takes one")
    target = sys.stdout.buffer if args.out == STANDARD else args.out
    restore.loaded().restore_file(stored, target, quality=args.quality, **restore.options)
    if args.out == STANDARD:
        sys.stdout.buffer.flush()
    else:
        _tell({"in": STANDARD, "out": args.out, "status": "restored"}, args.json)
    return 0
