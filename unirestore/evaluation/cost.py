"""What something costs: time side by side in one process, and memory. The scripts in `benchmarks/` stand on this."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import torch

from unirestore.version import __version__


def measure_times(
    calls: dict[str, Callable[[], Any]], rounds: int, warmup: int = 2
) -> dict[str, list[float]]:
    """Milliseconds of each call in each round; one call of each per round, in order."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        for turn in range(warmup + rounds):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                elapsed = 1000 * (time.perf_counter() - start)
                if turn >= warmup:
                    times[name].append(elapsed)
    return times


def high_water(*, forget: bool = False) -> float:
    """Largest resident size of this process so far, MiB; `forget` starts again from what it holds now.

    Linux hands `ru_maxrss` down from the parent, so there the kernel's own count of this program is read.
    Elsewhere, and where the kernel refuses to forget, the peak includes the loading of the model.
    """
    if forget:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # glibc: hand back what is free
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def settle(threads: int) -> None:
    """The same number of threads for torch and OpenCV, and no slow denormal numbers."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    torch.set_flush_denormal(True)


def matrix_product_rate(size: int = 2048, rounds: int = 3) -> float:
    """GFLOP/s of the product of two square float32 matrices with the threads of this process, best of `rounds`.

    What the arithmetic units give a program that does nothing else: other work is stated as a share of it.
    """
    a, b = torch.rand(2, size, size).unbind(0)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(rounds + 1):  # the first warms up
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def operations(call: Callable[[], Any]) -> float:
    """GFLOP of products that `call` asks for, a multiplication and an addition counting as two, as torch counts
    them: direct convolutions, matrix products and attention, nothing else."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:  # it sees nothing in inference mode
        call()
    return counter.get_total_flops() / 1e9


def picture_size(text: str) -> tuple[int, int]:
    """ "512x768" -> (512, 768), height and width; a type for argparse."""
    try:
        height, width = (int(length) for length in text.split("x"))
    except ValueError:
        height = width = 0
    if min(height, width) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in pixels, for example 512x512")
    return height, width


def positive(text: str) -> int:
    """A whole number from 1 up; a type for argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, at least 1")
    return int(text)


def machine() -> dict[str, str]:
    """What stands beside every figure: processor type and versions."""
    return {"machine": platform.machine(), "torch": torch.__version__, "unirestore": __version__}


def write_figures(path: str | Path, protocol: Mapping[str, Any], **figures: Any) -> None:
    """Figures and how they were measured, as JSON."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps({"protocol": protocol, **figures}, indent=1) + "\n")


def restorer_source(name: str) -> Any:
    """What `build_restorer` takes: `preset:NAME` is an untrained model, anything else a folder or name of weights."""
    kind, _, preset = name.partition(":")
    return {"preset": preset} if kind == "preset" else name


def random_restorer(preset: str) -> Any:
    """A preset in evaluation mode with random weights of seed 0 that keep activations near one, without gradients;
    nothing is initialised twice, which takes long at the paper's size."""
    from unirestore.models import UniRestore

    with torch.device("meta"):
        model = UniRestore.build(preset)
    model.to_empty(device="cpu").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            if value.ndim >= 2:
                value.normal_(0, (value.numel() / value.shape[0]) ** -0.5, generator=generator)
            else:
                value.fill_(1.0 if name.endswith("weight") else 0.0)
    return model
