"""How fast the network of the paper's size runs on a CPU: plain and accelerated, side by side, stage by stage.

    python benchmarks/full_scale_speed.py                                  # sd_turbo, 512 x 512, float32
    python benchmarks/full_scale_speed.py --sizes 512x512 768x768 --rounds 5 --json speed.json --plot speed.png

Each round runs every stage plain and then accelerated on the same input, in one process with the same threads;
figures are medians over rounds, so a busy machine slows both. The rate of a 2048 x 2048 matrix product is taken
in every round too: GFLOP/s of a stage, counted as direct convolutions need them, stand beside it as a share (Winograd
needs fewer, so a share may pass 100 %). Speed depends on sizes, not on weights: they are drawn at random, which also
gives the largest relative difference between the two. Memory is the resident high-water of a fresh process for each,
above what it held with the model loaded. Needs 12 GB and about five minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow a shared machine

import torch
from torch import Tensor, nn

from unirestore.evaluation.cost import (
    high_water,
    machine,
    matrix_product_rate,
    measure_times,
    operations,
    picture_size,
    positive,
    random_restorer,
    settle,
    write_figures,
)
from unirestore.models.accelerated import accelerate

STAGES = ("encode", "denoise", "decode")
KINDS = ("plain", "accelerated")


def stage_calls(model: nn.Module, images: Tensor, task: str) -> dict[str, Callable[[], Tensor]]:
    """Each stage on what the stages before it give, worked out beforehand, so that it can run alone."""
    with torch.no_grad():  # not inference mode: counting operations needs ordinary tensors
        encoding = model.encode(images)
        latent = model.denoise(encoding.latent)
        candidates = model.stack_candidates(images) if len(model.config.candidates) else None
    return {
        "encode": lambda: model.encode(images).latent,
        "denoise": lambda: model.denoise(encoding.latent),
        "decode": lambda: model.decode(latent, encoding.skips, task, images, candidates),
    }


def measure_size(
    models: dict[str, nn.Module], size: tuple[int, int], args: argparse.Namespace
) -> dict[str, Any]:
    """Times, rates, ratios and differences at one size."""
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    calls = {kind: stage_calls(model, images, args.task) for kind, model in models.items()}
    work = {stage: operations(calls["plain"][stage]) for stage in STAGES}
    rates: list[float] = []
    turns = {f"{kind} {stage}": calls[kind][stage] for stage in STAGES for kind in models}
    turns["matrix product"] = lambda: rates.append(matrix_product_rate(rounds=1))
    times = measure_times(turns, args.rounds, warmup=1)
    for kind in models:
        each = zip(*(times[f"{kind} {stage}"] for stage in STAGES), strict=True)
        times[f"{kind} whole"] = [sum(stages) for stages in each]
    work["whole"] = sum(work.values())
    with torch.inference_mode():
        differences = {
            stage: float(torch.linalg.vector_norm(calls["accelerated"][stage]() - wanted) / wanted.norm())
            for stage in STAGES
            for wanted in [calls["plain"][stage]()]
        }
    rate = statistics.median(rates)
    result: dict[str, Any] = {
        "height": size[0],
        "width": size[1],
        "matrix_product_gflops": rate,
        "stages": {},
    }
    for stage in (*STAGES, "whole"):
        plain, fast = (times[f"{kind} {stage}"] for kind in KINDS)
        ratios = sorted(a / b for a, b in zip(plain, fast, strict=True))
        result["stages"][stage] = {
            "gflop": work[stage],
            "seconds": {kind: statistics.median(times[f"{kind} {stage}"]) / 1000 for kind in KINDS},
            "share_of_matrix_product": {
                kind: work[stage] / (statistics.median(times[f"{kind} {stage}"]) / 1000) / rate
                for kind in KINDS
            },
            "ratio": statistics.median(ratios),
            "ratio_range": [ratios[0], ratios[-1]],
            "relative_difference": differences.get(stage),
        }
    if not args.no_memory:
        result["memory"] = {kind: measure_memory(kind, size, args) for kind in KINDS}
    return result


def measure_memory_here(kind: str, size: tuple[int, int], args: argparse.Namespace) -> dict[str, float]:
    """In a process of its own: MiB with the model loaded, and at the peak of two passes."""
    settle(args.threads)
    model: nn.Module = random_restorer(args.preset)
    model = accelerate(model) if kind == "accelerated" else model
    images = torch.rand(1, 3, *size)
    loaded = high_water(forget=True)
    with torch.inference_mode():
        for _ in range(2):
            model(images, args.task)
    return {"loaded_mib": loaded, "peak_mib": high_water()}


def measure_memory(kind: str, size: tuple[int, int], args: argparse.Namespace) -> dict[str, float]:
    """`measure_memory_here` in a fresh interpreter."""
    command = [sys.executable, __file__, "--memory-of", kind, "--sizes", f"{size[0]}x{size[1]}"]
    command += ["--threads", str(args.threads), "--task", args.task, "--preset", args.preset]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {kind} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def to_table(results: Sequence[dict[str, Any]], protocol: dict[str, Any]) -> str:
    """Markdown: one table per size, and how it was measured."""
    lines = []
    for result in results:
        lines += [
            f"{result['height']} x {result['width']}; a matrix product runs at "
            f"{result['matrix_product_gflops']:.0f} GFLOP/s:",
            "",
            "| stage | GFLOP | plain, s | share | accelerated, s | share | faster by | difference |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for stage, row in result["stages"].items():
            seconds, share, low_high = row["seconds"], row["share_of_matrix_product"], row["ratio_range"]
            difference = row["relative_difference"]
            lines.append(
                f"| {stage} | {row['gflop']:.0f} | {seconds['plain']:.2f} | {100 * share['plain']:.0f} % "
                f"| {seconds['accelerated']:.2f} | {100 * share['accelerated']:.0f} % "
                f"| {row['ratio']:.2f} ({low_high[0]:.2f} to {low_high[1]:.2f}) "
                f"| {'–' if difference is None else f'{difference:.0e}'} |"
            )
        for kind, held in result.get("memory", {}).items():
            lines.append("") if kind == KINDS[0] else None
            added = held["peak_mib"] - held["loaded_mib"]
            lines.append(f"{kind}: {held['loaded_mib']:.0f} MiB loaded, {added:.0f} MiB more at the peak")
        lines.append("")
    lines += [", ".join(f"{name.replace('_', ' ')} {value}" for name, value in protocol.items())]
    return "\n".join(lines)


def to_plot(results: Sequence[dict[str, Any]], path: str) -> None:
    """Seconds of each stage, stacked, a bar for each kind and size."""
    from PIL import Image, ImageDraw

    bars = [(f"{r['height']} x {r['width']} {kind}", kind, r) for r in results for kind in KINDS]
    longest = max(r["stages"]["whole"]["seconds"][kind] for _, kind, r in bars)
    picture = Image.new("RGB", (900, 46 * len(bars) + 60), "white")
    draw = ImageDraw.Draw(picture)
    colours = dict(zip(STAGES, ("#4c78a8", "#f58518", "#54a24b"), strict=True))
    for line, (label, kind, result) in enumerate(bars):
        left, top = 200.0, 20 + 46 * line
        draw.text((10, top + 10), label, fill="black")
        for stage in STAGES:
            length = 580 * result["stages"][stage]["seconds"][kind] / longest
            draw.rectangle((left, top, left + length, top + 30), fill=colours[stage])
            left += length
        draw.text((left + 8, top + 10), f"{result['stages']['whole']['seconds'][kind]:.1f} s", fill="black")
    left = 200
    for stage, colour in colours.items():
        top = 20 + 46 * len(bars)
        draw.rectangle((left, top, left + 14, top + 14), fill=colour)
        draw.text((left + 20, top + 1), stage, fill="black")
        left += 120
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="sd_turbo", help="size of the network")
    parser.add_argument("--task", default="det", help="prompt")
    parser.add_argument(
        "--sizes", nargs="+", type=picture_size, default=[(512, 512)], help="HEIGHTxWIDTH, pixels"
    )
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)), help="of torch")
    parser.add_argument("--rounds", type=positive, default=3, help="of which the medians are taken")
    parser.add_argument("--no-memory", action="store_true", help="times only")
    parser.add_argument("--json", help="write the figures here as well")
    parser.add_argument("--plot", help="write a picture of the times here")
    parser.add_argument("--memory-of", choices=KINDS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    return args


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    args = parse(argv)
    if args.memory_of:
        print(json.dumps(measure_memory_here(args.memory_of, args.sizes[0], args)))
        return []
    settle(args.threads)
    plain = random_restorer(args.preset)
    models = {"plain": plain, "accelerated": accelerate(plain)}
    results = [measure_size(models, size, args) for size in args.sizes]
    protocol = {
        "preset": args.preset,
        "task": args.task,
        "dtype": "float32",
        "weights": "random, seed 0",
        "threads": args.threads,
        "rounds": args.rounds,
        **machine(),
    }
    if args.json:
        write_figures(args.json, protocol, sizes=results)
    if args.plot:
        to_plot(results, args.plot)
    print(to_table(results, protocol))
    return results


if __name__ == "__main__":
    main()
