"""Milliseconds of one photo on a GPU: float32, bfloat16, bfloat16 compiled into one CUDA graph.

    python benchmarks/gpu_speed.py                                  # sd_turbo, 512 x 512
    python benchmarks/gpu_speed.py --size 768x1024 --rounds 50 --json gpu.json

Arms, each in channels-last layout, with random weights (they change no time):

    float32    plain, TF32 off
    bfloat16   plain
    compiled   bfloat16, torch.compile(mode="max-autotune"), which replays a CUDA graph; its warm-up is printed

Times are medians of CUDA events over the rounds, one photo at a time, the photo on the GPU already. Without a GPU it
says so and ends with 0. Memory: the allocator's peak. About five minutes, most of it compiling.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from unirestore.evaluation.cost import machine, picture_size, positive, write_figures
from unirestore.models import UniRestore
from unirestore.models.sizes import round_up

ARMS = ("float32", "bfloat16", "compiled")


def arm_call(name: str, args: argparse.Namespace) -> tuple[Callable[[], torch.Tensor], float]:
    """The call of an arm, warmed up, and the seconds that took."""
    dtype = torch.float32 if name == "float32" else torch.bfloat16
    with torch.device("cuda"):
        torch.manual_seed(0)
        model = UniRestore.build(args.preset).to(dtype).eval().to(memory_format=torch.channels_last)
    height, width = args.size
    images = torch.rand(1, 3, height, width, device="cuda", dtype=dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    latent = [round_up(length, model.size_multiple) // 8 for length in (height, width)]
    noise = torch.randn(1, 4, *latent, device="cuda", dtype=dtype)
    run: Any = model
    if name == "compiled":
        run = torch.compile(model, mode="max-autotune", fullgraph=True)
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(3):
            run(images, args.task, noise=noise)
    torch.cuda.synchronize()
    return lambda: run(images, args.task, noise=noise), time.perf_counter() - start


def measure(call: Callable[[], Any], rounds: int) -> list[float]:
    """Milliseconds of each round."""
    times = []
    with torch.inference_mode():
        for _ in range(rounds):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end))
    return times


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="sd_turbo", help="size of the network")
    parser.add_argument("--task", default="det", help="prompt")
    parser.add_argument("--size", type=picture_size, default=(512, 512), help="HEIGHTxWIDTH, pixels")
    parser.add_argument("--rounds", type=positive, default=30, help="of which the medians are taken")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="default: all")
    parser.add_argument("--json", help="write the figures here as well")
    args = parser.parse_args(argv)
    return args


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse(argv)
    if not torch.cuda.is_available():
        print(f"skipped: torch {torch.__version__} finds no CUDA GPU here")
        return {}
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    figures: dict[str, Any] = {}
    for name in args.arms:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        call, warm_up = arm_call(name, args)
        times = sorted(measure(call, args.rounds))
        figures[name] = {
            "ms": statistics.median(times),
            "ms_quartiles": [times[len(times) // 4], times[3 * len(times) // 4]],
            "warm_up_s": warm_up,
            "peak_mib": torch.cuda.max_memory_allocated() / 2**20,
        }
        del call
        low, high = figures[name]["ms_quartiles"]
        print(
            f"{name}: {figures[name]['ms']:.1f} ms ({low:.1f} to {high:.1f}), warm-up {warm_up:.0f} s, peak "
            f"{figures[name]['peak_mib']:.0f} MiB",
            flush=True,
        )
    protocol = {
        "preset": args.preset,
        "task": args.task,
        "size": list(args.size),
        "rounds": args.rounds,
        "gpu": torch.cuda.get_device_name(),
        **machine(),
    }
    if args.json:
        write_figures(args.json, protocol, arms=figures)
    print(", ".join(f"{name} {value}" for name, value in protocol.items()))
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
