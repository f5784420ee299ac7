"""What tiles cost and how close they come: PSNR against the whole photo, time, and peak memory against the account.

    python benchmarks/tiling.py                                       # tiny, a procedural scene, tiles of 128 to 384
    python benchmarks/tiling.py --photos ../shared/data/kodak24 --limit 4 --json tiling.json
    python benchmarks/tiling.py --restorer preset:sd_turbo --tiles 256 --size 384x512          # 10 minutes, 7 GB
    python benchmarks/tiling.py --restorer preset:sd_turbo --tiles 256 --memory 2160x3840      # 10 minutes, 8 GB

Each photo is restored whole and then in tiles, with the photo's statistics and with each tile's own, in one process;
cost is the ratio of the times. Where there are several photos the lowest PSNR counts. A preset has random weights of
seed 0, and random weights are a stand-in: they react to statistics more strongly than trained ones. `--memory` is the
resident high-water of a fresh process above the loaded model, on a photo of that size with all its buffers, of which
every stage runs one batch of crops and three tiles, since memory does not grow with their number.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow a shared machine

import numpy as np
import torch
from torch import Tensor

from unirestore import tiling
from unirestore.evaluation.cost import (
    high_water,
    machine,
    picture_size,
    positive,
    random_restorer,
    settle,
    write_figures,
)
from unirestore.models import UniRestore
from unirestore.models.loading import build_restorer


def load(name: str) -> UniRestore:
    """Named weights or a folder; `preset:NAME` with random weights of seed 0."""
    kind, _, preset = name.partition(":")
    return random_restorer(preset) if kind == "preset" else build_restorer(name).eval()


def photos(args: argparse.Namespace) -> Iterator[Tensor]:
    """`(1, 3, H, W)` each: those of a folder, cut to `--size` where it is given, or a scene."""
    from PIL import Image

    from unirestore.data import render_scene

    height, width = args.size or (512, 768)
    if args.photos is None:
        pictures = [render_scene(3, size=max(height, width)).image[:height, :width]]
    else:
        files = sorted(file for file in Path(args.photos).rglob("*") if file.suffix in (".png", ".jpg"))
        pictures = (np.array(Image.open(file).convert("RGB")) for file in files[: args.limit])
    for picture in pictures:
        image = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255
        yield image[..., :height, :width] if args.size else image


def compare(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each tile and kind of statistics."""
    model, rows = load(args.restorer), {}
    with torch.inference_mode():
        for image in photos(args):
            start = time.perf_counter()
            whole = model(image, args.task)
            once = time.perf_counter() - start
            for tile in args.tiles:
                for statistics in tiling.STATISTICS:
                    start = time.perf_counter()
                    found = tiling.restore_tiled(model, image, args.task, tile=tile, statistics=statistics)
                    cost = (time.perf_counter() - start) / once
                    error = (found - whole).square().mean().clamp_min(1e-12)
                    rows.setdefault((tile, statistics), []).append((float(-10 * error.log10()), cost))
    return [
        {
            "tile": tile,
            "statistics": statistics,
            "psnr": min(psnr for psnr, _ in values),
            "mean_psnr": float(np.mean([psnr for psnr, _ in values])),
            "cost": float(np.median([cost for _, cost in values])),
        }
        for (tile, statistics), values in rows.items()
    ]


class FewTiles(tiling.Grid):
    """The first three tiles, and one batch of crops."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return (place for place in super().__iter__() if sum(place) < 2)

    def groups(self, area: int, look: Tensor) -> list[list[tuple[int, int]]]:
        return super().groups(area, look)[:1]


class WholeCanvas(tiling.Canvas):
    """Memory that nobody writes to is not resident, so all of it is written to."""

    def add(self, row: int, column: int, x: Tensor) -> None:
        fresh = self.picture is None
        super().add(row, column, x)
        if fresh:
            self.picture.zero_()


def measure_memory_here(tile: int, args: argparse.Namespace) -> dict[str, float]:
    """In a process of its own: MiB with the model loaded and at the peak, and by the account."""
    settle(args.threads)
    model = load(args.restorer)
    images = torch.rand(1, 3, *args.memory, generator=torch.Generator().manual_seed(0))
    tiling.Grid, tiling.Canvas = FewTiles, WholeCanvas
    loaded = high_water(forget=True)
    tiling.restore_tiled(model, images, args.task, tile=tile)
    account = tiling.memory_needed(model, *args.memory, tile)
    return {
        "tile": tile,
        "loaded_mib": loaded,
        "peak_mib": high_water(),
        "account_mib": account / 2**20,
    }


def measure_memory(tile: int, args: argparse.Namespace) -> dict[str, float]:
    """`measure_memory_here` in a fresh interpreter."""
    command = [sys.executable, __file__, "--restorer", args.restorer, "--memory-part", str(tile)]
    command += [
        "--memory",
        "x".join(map(str, args.memory)),
        "--task",
        args.task,
        "--threads",
        str(args.threads),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring tiles of {tile} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def to_table(figures: dict[str, list[dict[str, Any]]], protocol: dict[str, Any]) -> str:
    """Markdown: both tables and how they were measured."""
    lines = []
    if figures["quality"]:
        lines += ["| tile | statistics | lowest PSNR, dB | mean PSNR, dB | time, whole photo = 1 |"]
        lines += ["|---:|---|---:|---:|---:|"]
        lines += [
            f"| {row['tile']} | {row['statistics']} | {row['psnr']:.1f} | {row['mean_psnr']:.1f} | {row['cost']:.1f} |"
            for row in figures["quality"]
        ]
    if figures["memory"]:
        lines += ["| tile | weights, MiB | above them at the peak, MiB | by the account, MiB | in all, MiB |"]
        lines += ["|---:|---:|---:|---:|---:|"]
        lines += [
            f"| {row['tile']} | {row['loaded_mib']:.0f} | {row['peak_mib'] - row['loaded_mib']:.0f} "
            f"| {row['account_mib']:.0f} | {row['peak_mib']:.0f} |"
            for row in figures["memory"]
        ]
    return "\n".join([*lines, "", ", ".join(f"{name} {value}" for name, value in protocol.items())])


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--restorer", default="tiny", help="folder, name of weights, or preset:NAME")
    parser.add_argument("--task", default="ir", help="prompt")
    parser.add_argument("--tiles", nargs="+", type=positive, default=[128, 192, 256, 384], help="pixels")
    parser.add_argument("--photos", help="folder of photos; default: one procedural scene")
    parser.add_argument("--limit", type=positive, default=24, help="so many photos of the folder")
    parser.add_argument("--size", type=picture_size, help="HEIGHTxWIDTH that photos are cut to")
    parser.add_argument(
        "--memory", type=picture_size, help="measure memory at HEIGHTxWIDTH, and nothing else"
    )
    parser.add_argument("--threads", type=positive, default=2, help="of torch and of OpenCV")
    parser.add_argument("--json", help="write the figures here as well")
    parser.add_argument("--memory-part", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> dict[str, list[dict[str, Any]]]:
    args = parse(argv)
    if args.memory_part:
        print(json.dumps(measure_memory_here(args.memory_part, args)))
        return {}
    settle(args.threads)
    figures = {
        "quality": [] if args.memory else compare(args),
        "memory": [measure_memory(tile, args) for tile in args.tiles] if args.memory else [],
    }
    protocol = {
        "restorer": args.restorer,
        "task": args.task,
        "photos": Path(args.photos).name if args.photos else "scene 3",
        "size": "x".join(map(str, args.memory or args.size or ())) or "as they are",
        "threads": args.threads,
        **machine(),
    }
    if args.json:
        write_figures(args.json, protocol, **figures)
    print(to_table(figures, protocol))
    return figures


if __name__ == "__main__":
    main()
