"""Time and memory against the size of the photo and against the batch: both should be straight lines.

    python benchmarks/scaling.py                                     # tiny, 0.25 to 33 megapixels, in tiles of 1024
    python benchmarks/scaling.py --megapixels 0.25 1 4 --batches 1 2 4 --json scaling.json --plot scaling.png

Each point is a fresh process (so that its resident high-water is its own) that restores once to warm up and then
`--rounds` times; the median counts. Photos above `--tile` pixels a side are restored in tiles. The last line fits
`a + b x` to each series by least squares and prints the largest distance of a point from it, as a share of the
largest value. Weights are those of `--restorer`; they change no time. About six minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow a shared machine

import numpy as np
import torch

from unirestore.evaluation.cost import high_water, machine, positive, restorer_source, settle, write_figures
from unirestore.models.loading import build_restorer
from unirestore.tiling import restore_tiled

BATCH_SIDE = 256
"""Pixels of a photo's side in the series over the batch."""


def measure_here(height: int, width: int, batch: int, args: argparse.Namespace) -> dict[str, float]:
    """In a process of its own: seconds of one call, and MiB above the loaded model at the peak."""
    settle(args.threads)
    model = build_restorer(restorer_source(args.restorer)).eval()
    images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
    loaded, times = high_water(forget=True), []
    with torch.inference_mode():
        for _ in range(1 + args.rounds):
            start = time.perf_counter()
            restore_tiled(model, images, args.task, tile=args.tile)
            times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times[1:]), "mib": high_water() - loaded}


def measure(height: int, width: int, batch: int, args: argparse.Namespace) -> dict[str, float]:
    """`measure_here` in a fresh interpreter."""
    command = [sys.executable, __file__, "--point", f"{height}x{width}x{batch}", "--restorer", args.restorer]
    command += ["--task", args.task, "--threads", str(args.threads), "--rounds", str(args.rounds)]
    done = subprocess.run([*command, "--tile", str(args.tile)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{height} x {width}, batch {batch}, failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def line(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """The least-squares line through points, and how far the furthest lies from it, as a share of the largest y."""
    slope, offset = np.polyfit(x, y, 1) if len(x) > 1 else (0.0, y[0])
    furthest = np.abs(np.asarray(y) - offset - slope * np.asarray(x)).max()
    return {"offset": float(offset), "slope": float(slope), "furthest": float(furthest / max(y))}


def sides(megapixels: float) -> tuple[int, int]:
    """Height and width of a photo of 2:3."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    return height, round(1.5 * height)


def to_plot(series: dict[str, list[dict[str, float]]], path: str) -> None:
    """Four small charts: seconds and MiB against megapixels and against the batch, with the fitted lines."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (860, 620), "white")
    draw = ImageDraw.Draw(picture)
    for column, (name, points) in enumerate(series.items()):
        x = [point["x"] for point in points]
        for row, unit in enumerate(("seconds", "mib")):
            left, top, width, height = 70 + 430 * column, 40 + 310 * row, 330, 220
            y, fit = [point[unit] for point in points], line(x, [point[unit] for point in points])
            place = lambda a, b, x=x, y=y, box=(left, top, width, height): (  # noqa: E731
                box[0] + box[2] * a / max(x),
                box[1] + box[3] * (1 - b / max(y)),
            )
            draw.rectangle((left, top, left + width, top + height), outline="#999999")
            ends = [place(a, fit["offset"] + fit["slope"] * a) for a in (0, max(x))]
            draw.line(ends, fill="#4c78a8", width=2)
            for a, b in zip(x, y, strict=True):
                u, v = place(a, b)
                draw.ellipse((u - 4, v - 4, u + 4, v + 4), fill="#e45756")
            draw.text((left, top - 18), f"{unit.replace('mib', 'MiB')} against {name}", fill="black")
            draw.text((left - 62, top - 6), f"{max(y):.4g}", fill="black")
            draw.text((left + width - 20, top + height + 6), f"{max(x):g}", fill="black")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def to_table(series: dict[str, list[dict[str, float]]], protocol: dict[str, Any]) -> str:
    """Markdown: a table for each series, and how straight it is."""
    lines = []
    for name, points in series.items():
        lines += [f"| {name} | seconds | MiB above the loaded model |", "|---:|---:|---:|"]
        lines += [f"| {point['x']:g} | {point['seconds']:.2f} | {point['mib']:.0f} |" for point in points]
        fits = {
            unit: line([point["x"] for point in points], [point[unit] for point in points])
            for unit in ("seconds", "mib")
        }
        lines += [
            "",
            f"a line through them: {fits['seconds']['slope']:.3g} s and {fits['mib']['slope']:.3g} MiB for each; the "
            f"furthest point lies {100 * fits['seconds']['furthest']:.0f} % and {100 * fits['mib']['furthest']:.0f} % "
            "of the largest value away from it",
            "",
        ]
    return "\n".join([*lines, ", ".join(f"{name} {value}" for name, value in protocol.items())])


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--restorer", default="tiny", help="folder, name of weights, or preset:NAME")
    parser.add_argument("--task", default="det", help="prompt")
    parser.add_argument("--megapixels", nargs="+", type=float, default=[0.25, 1, 2, 4, 8, 16, 33])
    parser.add_argument("--batches", nargs="+", type=positive, default=[1, 2, 4, 8, 16])
    parser.add_argument("--tile", type=positive, default=1024, help="pixels")
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)), help="of torch")
    parser.add_argument("--rounds", type=positive, default=3, help="of which the medians are taken")
    parser.add_argument("--json", help="write the figures here as well")
    parser.add_argument("--plot", help="write a picture of them here")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if min(args.megapixels) <= 0:
        parser.error("--megapixels are above 0")
    return args


def main(argv: Sequence[str] | None = None) -> dict[str, list[dict[str, float]]]:
    args = parse(argv)
    if args.point:
        print(json.dumps(measure_here(*(int(number) for number in args.point.split("x")), args)))
        return {}
    series: dict[str, list[dict[str, float]]] = {
        "megapixels": [{"x": mp, **measure(*sides(mp), 1, args)} for mp in args.megapixels],
        "batch": [{"x": n, **measure(BATCH_SIDE, BATCH_SIDE, n, args)} for n in args.batches],
    }
    protocol = {
        "restorer": args.restorer,
        "task": args.task,
        "tile": args.tile,
        "batch of photos": f"{BATCH_SIDE} x {BATCH_SIDE}",
        "threads": args.threads,
        "rounds": args.rounds,
        **machine(),
    }
    if args.json:
        write_figures(args.json, protocol, series=series)
    if args.plot:
        to_plot(series, args.plot)
    print(to_table(series, protocol))
    return series


if __name__ == "__main__":
    main()
