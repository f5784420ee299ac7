"""What tiles cost and how close they come: PSNR against the whole photo, time, and peak memory against the account.

    python benchmarks/tiling.py                                       # tiny, a procedural scene, tiles of 128 to 384
    python benchmarks/tiling.py --photos kodak24 --limit 4 --json tiling.json
    python benchmarks/tiling.py --settings --tiles 256 384 --photos coco128/train2017 --limit 6
    python benchmarks/tiling.py --restorer preset:sd_turbo --tiles 256 --size 384x512          # 10 minutes, 7 GB
    python benchmarks/tiling.py --restorer preset:sd_turbo --tiles 256 --memory 2160x3840      # 5 minutes, 8 GB

Each photo is restored whole and then in tiles, with the photo's statistics and with each tile's own, in one process;
cost is the ratio of the times. `--settings` compares other crops, groups of crops and overlaps in place of the kinds
of statistics: by what those of `unirestore.tiling` are chosen. Where there are several photos the lowest PSNR counts.
A preset has random weights of seed 0, and random weights are a stand-in: they react to statistics more strongly than
trained ones.

`--memory` is the resident high-water of a fresh process in which `RestorationPipeline` restores a photo of that size
with all its buffers; every stage runs one batch of crops and three tiles, since memory does not grow with their number.
It takes the accelerated copy of the network, as the pipeline does on a CPU; `--plain`: the network itself.
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
import torch.nn.functional as F
from torch import Tensor

from unirestore import RestorationPipeline, tiling
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
        if args.photo_size:
            files = [file for file in files if Image.open(file).size == args.photo_size[::-1]]
        pictures = (np.array(Image.open(file).convert("RGB")) for file in files[args.skip :][: args.limit])
    for picture in pictures:
        image = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255
        if args.enlarge > 1:
            image = F.interpolate(image, scale_factor=args.enlarge, mode="bicubic").clamp(0, 1)
        yield image[..., :height, :width] if args.size else image


def crops_of(share: float, dealt: bool = True) -> type[tiling.Grid]:
    """Grids whose statistics are gathered in crops of this share of a tile's side, dealt out to groups that are like
    the photo or (not `dealt`) taken row by row."""

    class OtherCrops(tiling.Grid):
        def crops(self) -> tiling.Grid:
            side = max(int(share * min(self.tile)) // self.multiple, 4) * self.multiple
            overlap = max(side // 4 // self.multiple, 1) * self.multiple
            return type(self)(*self.size, side, overlap, self.multiple)

        def groups(self, area: int, look: Tensor) -> list[list[tuple[int, int]]]:
            if dealt:
                return super().groups(area, look)
            places, room = list(self), max(1, area // (self.tile[0] * self.tile[1]))
            return [places[first : first + room] for first in range(0, len(places), room)]

    return OtherCrops


def arms(tile: int, settings: bool) -> dict[str, tuple[type[tiling.Grid], dict[str, Any]]]:
    """What is compared, by name: the grid, and arguments of `restore_tiled`."""
    if not settings:
        return {name: (tiling.Grid, {"statistics": name}) for name in tiling.STATISTICS}
    return {
        "as they are": (tiling.Grid, {}),
        "crops 1/4": (crops_of(1 / 4), {}),
        "crops 3/8": (crops_of(3 / 8), {}),
        "crops 1/2": (crops_of(1 / 2), {}),
        "crops 1": (crops_of(1), {}),
        "crops 3/8 row by row": (crops_of(3 / 8, dealt=False), {}),
        "overlap 1/8": (tiling.Grid, {"overlap": tile // 8}),
        "overlap 3/8": (tiling.Grid, {"overlap": 3 * tile // 8}),
    }


def compare(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each tile and kind of statistics, or each of the `--settings`."""
    model, rows, known = load(args.restorer), {}, tiling.Grid
    with torch.inference_mode():
        for image in photos(args):
            start = time.perf_counter()
            whole = model(image, args.task)
            once = time.perf_counter() - start
            for tile in args.tiles:
                for name, (grid, options) in arms(tile, args.settings).items():
                    tiling.Grid = grid
                    start = time.perf_counter()
                    found = tiling.restore_tiled(model, image, args.task, tile=tile, **options)
                    cost = (time.perf_counter() - start) / once
                    tiling.Grid = known
                    error = (found - whole).square().mean().clamp_min(1e-12)
                    rows.setdefault((tile, name), []).append((float(-10 * error.log10()), cost))
    return [
        {
            "tile": tile,
            "statistics": name,
            "psnr": min(psnr for psnr, _ in values),
            "mean_psnr": float(np.mean([psnr for psnr, _ in values])),
            "cost": float(np.median([cost for _, cost in values])),
        }
        for (tile, name), values in rows.items()
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
    pipe = RestorationPipeline(load(args.restorer), accelerated=not args.plain)
    images = torch.rand(1, 3, *args.memory, generator=torch.Generator().manual_seed(0))
    tiling.Grid, tiling.Canvas = FewTiles, WholeCanvas
    loaded = high_water(forget=True)
    pipe(images, args.task, tile=tile)
    peak = high_water()
    account = tiling.memory_needed(pipe._model, *args.memory, tile)
    return {
        "tile": tile,
        "network": "plain" if args.plain else "accelerated",
        "loaded_mib": loaded,
        "peak_mib": peak,
        "account_mib": account / 2**20,
    }


def measure_memory(tile: int, args: argparse.Namespace) -> dict[str, float]:
    """`measure_memory_here` in a fresh interpreter."""
    command = [sys.executable, __file__, "--restorer", args.restorer, "--memory-part", str(tile)]
    command += ["--memory", "x".join(map(str, args.memory)), "--task", args.task]
    command += ["--threads", str(args.threads), *(["--plain"] if args.plain else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring tiles of {tile} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def to_table(figures: dict[str, list[dict[str, Any]]], protocol: dict[str, Any]) -> str:
    """Markdown: both tables and how they were measured."""
    lines = []
    if figures["quality"]:
        kind = "settings" if protocol["settings"] else "statistics"
        lines += [f"| tile | {kind} | lowest PSNR, dB | mean PSNR, dB | time, whole photo = 1 |"]
        lines += ["|---:|---|---:|---:|---:|"]
        lines += [
            f"| {row['tile']} | {row['statistics']} | {row['psnr']:.1f} | {row['mean_psnr']:.1f} | {row['cost']:.1f} |"
            for row in figures["quality"]
        ]
    if figures["memory"]:
        lines += ["| tile | network | loaded, MiB | above that at the peak, MiB | by the account, MiB "]
        lines[-1] += "| in all, MiB | in all, GB of 1e9 bytes |"
        lines += ["|---:|---|---:|---:|---:|---:|---:|"]
        lines += [
            f"| {row['tile']} | {row['network']} | {row['loaded_mib']:.0f} "
            f"| {row['peak_mib'] - row['loaded_mib']:.0f} | {row['account_mib']:.0f} "
            f"| {row['peak_mib']:.0f} | {row['peak_mib'] * 2**20 / 1e9:.2f} |"
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
    parser.add_argument("--skip", type=int, default=0, help="so many photos at the start of the folder")
    parser.add_argument("--photo-size", type=picture_size, help="only photos of HEIGHTxWIDTH")
    parser.add_argument("--enlarge", type=positive, default=1, help="photos so many times, bicubic")
    parser.add_argument("--settings", action="store_true", help="compare crops, groups and overlaps")
    parser.add_argument("--size", type=picture_size, help="HEIGHTxWIDTH that photos are cut to")
    parser.add_argument(
        "--memory", type=picture_size, help="measure memory at HEIGHTxWIDTH, and nothing else"
    )
    parser.add_argument("--plain", action="store_true", help="memory of the network that is not accelerated")
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
        "settings": args.settings,
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
