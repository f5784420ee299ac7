"""Spoil a folder of photos by a recipe, or make the same pictures again from a manifest.

    unirestore degrade photos foggy --recipe Haze:4 --seed 7 --manifest foggy.jsonl
    unirestore degrade photos again --replay foggy.jsonl
    unirestore degrade photos web   --recipe second_order
    unirestore degrade --list

The pictures keep their names (the suffix becomes that of --format); what each one went through is a line of the
manifest. A run that was stopped continues where it was (OUT/.parts says how far that is), and an OUT that was made
with another recipe, seed, option or other photos is left alone unless --anew is given. --replay checks every
picture against the manifest and exits with 1 if one differs or its photo cannot be read; the others are made all
the same.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from .sharing import add_source_arguments, builder_of, report_skipped, show_recipes, shown

IN_MANIFEST = ("recipe", "severity", "format", "quality", "max_side", "manifest", "skip_broken", "anew")
"""Arguments that --replay does not take, beside --seed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `unirestore degrade`."""
    add_source_arguments(parser)
    parser.add_argument("--manifest", help="file of the manifest (default: OUT/manifest.jsonl)")
    parser.add_argument("--replay", metavar="MANIFEST", help="make the pictures of this manifest again")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    if args.list:
        return show_recipes()
    if args.replay is not None:
        return replay(args)
    builder = builder_of(args, layout="degraded", manifest=args.manifest)
    with shown(builder.chunks, args.quiet) as step:
        pictures = builder.build(args.workers, step)
    print(f"{pictures} pictures in {builder.out}, what was done to them in {builder.manifest_path}")
    return report_skipped(builder.skipped())


def replay(args: argparse.Namespace) -> int:
    """Make the pictures of a manifest again; 1 if one comes out differently or cannot be made."""
    from unirestore.degradations.replay import read_manifest
    from unirestore.workers import in_processes

    given = [f"--{name.replace('_', '-')}" for name in IN_MANIFEST if getattr(args, name)]
    given += ["--seed"] if args.seed is not None else []
    if given:
        raise ValueError(f"{', '.join(given)}: no say in --replay, the manifest holds it for every picture")
    if args.source is None or args.out is None:
        raise ValueError("IN or OUT missing; --help shows the usage")
    lines, complaints = read_manifest(args.replay), []
    if not lines:
        raise ValueError(f"{args.replay}: the manifest is empty; was the run that wrote it stopped?")
    source, out = Path(args.source), Path(args.out)
    if not source.is_dir():
        raise FileNotFoundError(f"no folder {source}")
    if source.resolve() == out.resolve():
        raise ValueError(f"OUT is the source folder {source}; the photos would be overwritten")
    jobs = [_job(line, source, out, args) for line in lines]
    workers = max(1, min(args.workers, len(jobs)))
    kept = "the pictures that are finished are kept, and the same command makes all of them"
    done = (
        in_processes(replay_one, jobs, workers, kept=kept, ordered=True)
        if workers > 1
        else map(replay_one, jobs)
    )
    with shown(len(jobs), args.quiet) as step:
        for complaint in done:
            step("replay")
            if complaint:
                complaints.append(complaint)
    print("".join(f"{complaint}\n" for complaint in complaints), end="", file=sys.stderr)
    print(
        f"{len(lines) - len(complaints)} of {len(lines)} pictures made again, equal to the manifest, in {out}"
    )
    return 1 if complaints else 0


def replay_one(job: tuple[dict[str, Any], Path, Path | None, Path]) -> str:
    """Make one picture again; returns what is wrong with it, or nothing."""
    from unirestore.degradations.replay import load_photo, replay_photo, write_picture

    line, photo, depth, target = job
    try:
        image, metres = load_photo(photo, depth, line.get("max_side"))
    except (ValueError, OSError) as error:
        return str(error)
    try:
        picture = replay_photo(image, line, metres)
    except ValueError as error:
        return str(error)
    except OSError as error:  # a picture that the effect needs, such as a mirrored one, is not here
        return f"{line['file']}: {line['type']}: {error}"
    except RuntimeError as error:  # a codec that is not installed here
        return f"{line['file']}: {error}"
    write_picture(target, picture, line.get("quality") or 95)
    return ""


def _job(
    line: dict[str, Any], source: Path, out: Path, args: argparse.Namespace
) -> tuple[dict[str, Any], Path, Path | None, Path]:
    """What `replay_one` takes. Raises ValueError for names that lead out of the folders."""
    target = Path(os.path.normpath(out / line["out"].rpartition("#")[2]))
    photo = Path(os.path.normpath(source / line["file"]))
    for path, folder, name in ((target, out, line["out"]), (photo, source, line["file"])):
        if Path(os.path.normpath(folder)) not in path.parents:
            raise ValueError(f"{args.replay}: {name!r} leads out of {folder}")
    depth = line.get("depth")
    if depth is None:
        return line, photo, None, target
    if args.depth is None:
        raise ValueError(f"{line['file']} was made with the depth {depth}: pass --depth FOLDER")
    return line, photo, Path(args.depth) / depth, target
