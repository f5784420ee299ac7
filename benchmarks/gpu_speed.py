"""Milliseconds of one photo on a GPU: float32, bfloat16, bfloat16 compiled into one CUDA graph.

    python benchmarks/gpu_speed.py                                  # sd_turbo, 512 x 512
    python benchmarks/gpu_speed.py --size 768x1024 --rounds 50 --json gpu.json
    python benchmarks/gpu_speed.py --photo 2160x3840                # and a large photo in tiles, bfloat16

Arms, each in channels-last layout, with random weights (they change no time):

    float32    plain, TF32 off
    bfloat16   plain
    compiled   bfloat16, torch.compile(mode="reduce-overhead"), which replays a CUDA graph; its warm-up is printed.
               --mode max-autotune also tries more kernels, for minutes more

Times are medians of CUDA events over the rounds, one photo at a time, the photo on the GPU already. The difference is
the mean absolute one to the first arm's picture, as a share of that picture's standard deviation. Without a GPU it says
so and ends with 0. Memory: the allocator's peak, weights included. About four minutes, most of them compiling.
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
from unirestore.tiling import restore_tiled

ARMS = ("float32", "bfloat16", "compiled")


def load(preset: str, dtype: torch.dtype) -> UniRestore:
    """The same random weights whatever the dtype, on the GPU."""
    with torch.device("cuda"):
        torch.manual_seed(0)
        model = UniRestore.build(preset)
    return model.to(dtype).eval().to(memory_format=torch.channels_last)


def random_photo(size: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
    """`(1, 3, H, W)` in [0, 1], the same whatever the dtype."""
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    return images.to("cuda", dtype).contiguous(memory_format=torch.channels_last)


def arm_call(name: str, args: argparse.Namespace) -> tuple[Callable[[], torch.Tensor], float]:
    """The call of an arm, warmed up, and the seconds that took."""
    dtype = torch.float32 if name == "float32" else torch.bfloat16
    model, images = load(args.preset, dtype), random_photo(args.size, dtype)
    latent = [round_up(length, model.size_multiple) // 8 for length in args.size]
    noise = torch.randn(1, 4, *latent, generator=torch.Generator().manual_seed(1)).to("cuda", dtype)
    run: Any = model
    if name == "compiled":
        run = torch.compile(model, mode=args.mode, fullgraph=True)
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(3):
            run(images, args.task, noise=noise)
    torch.cuda.synchronize()
    return lambda: run(images, args.task, noise=noise), time.perf_counter() - start


def measure_photo(args: argparse.Namespace) -> dict[str, float]:
    """A large photo in tiles, bfloat16: seconds of the second pass, and the peak of memory."""
    model, images = load(args.preset, torch.bfloat16), random_photo(args.photo, torch.bfloat16)
    seconds = 0.0
    with torch.inference_mode():
        for _ in range(2):
            torch.cuda.synchronize()
            start = time.perf_counter()
            restore_tiled(model, images, args.task, tile=args.tile)
            torch.cuda.synchronize()
            seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mib": torch.cuda.max_memory_allocated() / 2**20}


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
    modes = ("reduce-overhead", "max-autotune")
    parser.add_argument("--mode", default=modes[0], choices=modes, help="of torch.compile")
    parser.add_argument(
        "--photo", type=picture_size, help="HEIGHTxWIDTH of a photo to restore in tiles as well"
    )
    parser.add_argument("--tile", type=positive, default=512, help="side of its tiles, pixels")
    parser.add_argument("--json", help="write the figures here as well")
    return parser.parse_args(argv)


def protocol(args: argparse.Namespace) -> dict[str, Any]:
    """How it was measured."""
    asked = {
        name: getattr(args, name) for name in ("preset", "task", "mode", "size", "photo", "tile", "rounds")
    }
    return {**asked, "gpu": torch.cuda.get_device_name(), **machine()}


def write(args: argparse.Namespace, figures: dict[str, Any]) -> None:
    """What there is so far, after each arm: compiling may outlast one's patience."""
    if args.json:
        write_figures(args.json, protocol(args), arms=figures)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    args = parse(argv)
    if not torch.cuda.is_available():
        print(f"skipped: torch {torch.__version__} finds no CUDA GPU here")
        return {}
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    figures: dict[str, Any] = {}
    first: torch.Tensor | None = None
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
        with torch.inference_mode():
            picture = call().float().cpu()
        first = picture if first is None else first
        figures[name]["difference"] = float((picture - first).abs().mean() / first.std())
        del call
        torch.compiler.reset()
        write(args, figures)
        low, high = figures[name]["ms_quartiles"]
        print(
            f"{name}: {figures[name]['ms']:.1f} ms ({low:.1f} to {high:.1f}), warm-up {warm_up:.0f} s, peak "
            f"{figures[name]['peak_mib']:.0f} MiB, difference {figures[name]['difference']:.2g}",
            flush=True,
        )
    if args.photo:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        figures["photo"] = measure_photo(args)
        write(args, figures)
        print(
            f"{args.photo[0]} x {args.photo[1]} in tiles of {args.tile}: {figures['photo']['seconds']:.2f} s, peak "
            f"{figures['photo']['peak_mib']:.0f} MiB",
            flush=True,
        )
    print(", ".join(f"{name} {value}" for name, value in protocol(args).items()))
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
