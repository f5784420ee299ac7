"""What the restorer costs in front of YOLOX-nano: a ratio of times, stage by stage, and peak memory.

    python benchmarks/restorer_ratio.py                              # preset `tiny`, 640x640 and 426x640
    python benchmarks/restorer_ratio.py --threads 1 --rounds 50 --json ratio.json
    python benchmarks/restorer_ratio.py --restorer work_dirs/tfa_det/restorer --sizes 480x640

Each round runs the detector's forward and then the restorer's stages on the same picture, in one process
with the same threads; the figures are medians over rounds, so a busy machine slows both. The detector runs
twice: as mmdet builds it (the ratio) and with convolutions and batch norms fused, as our measurement runs it.
It gets the picture padded to a multiple of 32, not to a square, which is its cheaper form, and no NMS. Speed
depends on sizes, not on weights, so random weights do unless a folder and a checkpoint are given. Memory is
the resident high-water of a fresh process for each part, above what it held with the model loaded. Cost:
about two minutes.
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

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # as tools/train.py: threads that spin slow a shared machine

import torch

from unirestore.evaluation.cost import (
    high_water,
    machine,
    measure_times,
    picture_size,
    positive,
    restorer_source,
    settle,
    write_figures,
)
from unirestore.models.loading import build_restorer
from unirestore.models.sizes import round_up

DETECTOR = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
STAGES = ("candidates", "encode", "denoise", "decode")
"""Of the restorer, in order; together they are its forward."""
MEMORY_PARTS = ("detector", "restorer", *STAGES)
STRIDE = 32
Size = tuple[int, int]


def build_detector(config: str, checkpoint: str | None, *, fused: bool) -> torch.nn.Module:
    """The frozen detector, in evaluation mode; as mmdet builds it, or fused."""
    import unirestore.mm  # noqa: F401  (supplies mmcv's operators before mmdet is imported)
    from unirestore.mm.downstream import FrozenDetector, read_config

    config = read_config(config)
    classes = [str(index) for index in range(config.model.bbox_head.num_classes)]
    options = dict(classes=classes, detector_classes=classes, fuse=fused)
    if checkpoint is not None:  # the checkpoint or the config knows the names
        from mmdet.datasets import CocoDataset

        options = dict(classes=CocoDataset.METAINFO["classes"], fuse=fused)
    detector = FrozenDetector(config, checkpoint, **options).detector
    return detector if fused else detector.to(memory_format=torch.contiguous_format)


def detector_call(detector: torch.nn.Module, size: Size) -> Callable[[], Any]:
    """Backbone, neck and head on one grey-padded picture."""
    inputs = torch.full((1, 3, *(round_up(length, STRIDE) for length in size)), 114.0)
    inputs[..., : size[0], : size[1]] = 255 * picture(size)
    return lambda: detector(inputs, mode="tensor")


def restorer_calls(model: torch.nn.Module, size: Size, task: str) -> dict[str, Callable[[], Any]]:
    """Each stage on what the stages before it give, worked out beforehand, so that it can run alone; and the gate,
    where there is one, which is no part of a restoration."""
    images = picture(size)
    known = len(model.config.candidates) > 0
    with torch.inference_mode():
        candidates = model.stack_candidates(images) if known else None
        encoding = model.encode(images)
        latent = model.denoise(encoding.latent)
    gate = {"gate": lambda: model.degradation(images)} if model.gate is not None else {}
    return gate | {
        "candidates": (lambda: model.stack_candidates(images)) if known else (lambda: None),
        "encode": lambda: model.encode(images),
        "denoise": lambda: model.denoise(encoding.latent),
        "decode": lambda: model.decode(latent, encoding.skips, task, images, candidates),
    }


def picture(size: Size) -> torch.Tensor:
    """`(1, 3, H, W)` RGB in [0, 1]: a procedural street scene in haze."""
    from unirestore.data import render_scene
    from unirestore.degradations import Haze

    scene = render_scene(2_000_002, size=max(32, *size))
    hazy = Haze(severity=3)(scene.image, seed=0, depth=scene.depth)[: size[0], : size[1]]
    return torch.from_numpy(hazy.copy()).permute(2, 0, 1)[None] / 255


def measure_memory_here(part: str, size: Size, args: argparse.Namespace) -> dict[str, float]:
    """In a process of its own: MiB with the model loaded, and at the peak of two calls."""
    settle(args.threads)
    if part == "detector":
        call = detector_call(build_detector(args.detector, args.detector_checkpoint, fused=False), size)
        calls = [call]
    else:
        stages = restorer_calls(build_restorer(restorer_source(args.restorer)).eval(), size, args.task)
        calls = [stages[stage] for stage in (STAGES if part == "restorer" else (part,))]
    loaded = high_water(forget=True)
    with torch.inference_mode():
        for _ in range(2):
            for call in calls:
                call()
    return {"loaded_mib": loaded, "peak_mib": high_water()}


def measure_memory(part: str, size: Size, args: argparse.Namespace) -> dict[str, float]:
    """`measure_memory_here` in a fresh interpreter."""
    command = [sys.executable, __file__, "--memory-part", part, "--sizes", f"{size[0]}x{size[1]}"]
    command += ["--threads", str(args.threads), "--task", args.task, "--restorer", args.restorer]
    command += ["--detector", args.detector]
    command += ["--detector-checkpoint", args.detector_checkpoint] if args.detector_checkpoint else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {part} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_size(size: Size, args: argparse.Namespace) -> dict[str, Any]:
    """Times, ratios and memory at one size."""
    model = build_restorer(restorer_source(args.restorer)).eval()
    detectors = {
        name: detector_call(build_detector(args.detector, args.detector_checkpoint, fused=fused), size)
        for name, fused in (("detector", False), ("detector_fused", True))
    }
    times = measure_times({**detectors, **restorer_calls(model, size, args.task)}, args.rounds)
    totals = [sum(times[stage][turn] for stage in STAGES) for turn in range(args.rounds)]
    median = {name: statistics.median(values) for name, values in {**times, "restorer": totals}.items()}
    by_round = sorted(total / own for total, own in zip(totals, times["detector"], strict=True))
    result: dict[str, Any] = {
        "height": size[0],
        "width": size[1],
        "ms": median,
        "ratio": median["restorer"] / median["detector"],
        "ratio_to_fused": median["restorer"] / median["detector_fused"],
        "ratio_quartiles": [by_round[args.rounds // 4], by_round[3 * args.rounds // 4]],
    }
    if not args.no_memory:
        result["memory"] = {part: measure_memory(part, size, args) for part in MEMORY_PARTS}
    return result


def to_table(results: Sequence[dict[str, Any]], protocol: dict[str, Any]) -> str:
    """Markdown: one table per size, and how it was measured."""
    lines = []
    for result in results:
        ms, memory = result["ms"], result.get("memory", {})
        low, high = result["ratio_quartiles"]
        lines += [
            f"{result['height']} x {result['width']}: the restorer takes **{result['ratio']:.2f}** times the "
            f"detector's forward (quartiles over rounds {low:.2f} to {high:.2f}; "
            f"{result['ratio_to_fused']:.2f} times the fused one's)",
            "",
            "| part | ms | ratio to the detector | peak memory above the loaded model, MiB | process, MiB |",
            "|---|---:|---:|---:|---:|",
        ]
        for part in ("detector", "detector_fused", *STAGES, "restorer", *(["gate"] if "gate" in ms else [])):
            held = memory.get(part)
            added = f"{held['peak_mib'] - held['loaded_mib']:.0f}" if held else "–"
            whole = f"{held['peak_mib']:.0f}" if held else "–"
            ratio = ms[part] / ms["detector"]
            lines.append(f"| {part.replace('_', ', ')} | {ms[part]:.1f} | {ratio:.2f} | {added} | {whole} |")
        if "gate" in ms:
            share = 100 * ms["gate"] / ms["restorer"]
            lines += ["", f"The gate costs {share:.1f} % of a restoration."]
        lines.append("")
    lines += [", ".join(f"{name.replace('_', ' ')} {value}" for name, value in protocol.items())]
    return "\n".join(lines)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--restorer", default="preset:tiny", help="folder, name of weights, or preset:NAME")
    parser.add_argument("--task", default="det", help="prompt")
    parser.add_argument("--detector", default=DETECTOR, help="mmdet config")
    parser.add_argument("--detector-checkpoint", help="weights; default: random, which costs the same")
    parser.add_argument(
        "--sizes", nargs="+", type=picture_size, default=[(640, 640), (426, 640)], help="HEIGHTxWIDTH, pixels"
    )
    parser.add_argument("--threads", type=positive, default=2, help="of torch and of OpenCV")
    parser.add_argument("--rounds", type=positive, default=30, help="of which the medians are taken")
    parser.add_argument("--no-memory", action="store_true", help="times only")
    parser.add_argument("--json", help="write the figures here as well")
    parser.add_argument("--memory-part", choices=MEMORY_PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    return args


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    args = parse(argv)
    if args.memory_part:
        print(json.dumps(measure_memory_here(args.memory_part, args.sizes[0], args)))
        return []
    settle(args.threads)
    results = [measure_size(size, args) for size in args.sizes]
    protocol = {
        "restorer": args.restorer,
        "task": args.task,
        "detector": Path(args.detector.rpartition("::")[2]).stem,
        "threads": args.threads,
        "rounds": args.rounds,
        "cores": os.cpu_count(),
        **machine(),
    }
    if args.json:
        write_figures(args.json, protocol, sizes=results)
    print(to_table(results, protocol))
    return results


if __name__ == "__main__":
    main()
