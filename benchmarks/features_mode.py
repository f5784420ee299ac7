"""Restored features against restored pictures in front of one detector: a ratio of times.

    python benchmarks/features_mode.py                       # 256x256 and 640x640
    python benchmarks/features_mode.py --threads 1 --rounds 30 --json features.json

Each round runs the detector by itself, behind the restorer, and with the restorer in its backbone's place, on the same
picture, in one process with the same threads: data preprocessor, network and head, without NMS. The figures are
medians over rounds. The models are those of the procedural scenes; the detector's weights are random, since speed does
not depend on them. Cost: about a minute.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow a shared machine

import torch

from unirestore.evaluation.cost import (
    machine,
    measure_times,
    picture_size,
    positive,
    settle,
    write_figures,
)

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "_base_"
MODES = {
    "detector": "scenes_detector_model.py",
    "pictures": "scenes_restored_model.py",
    "features": "scenes_features_model.py",
}
"""What is timed -> its model."""
Size = tuple[int, int]


def call_of(config: str | Path, size: Size) -> Callable[[], Any]:
    """The detector of a config on one picture of noise, from 8 bits to the head's maps."""
    import unirestore.mm  # noqa: F401  (supplies mmcv's operators before mmdet is imported)
    from unirestore.mm.frozen import build_network, read_config

    detector = build_network(read_config(config).model, "mmdet").eval()
    picture = torch.randint(
        60, 200, (3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    from mmdet.structures import DetDataSample

    sample = DetDataSample(metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0)))

    def call() -> Any:
        ready = detector.data_preprocessor({"inputs": [picture], "data_samples": [sample]}, False)
        return detector(ready["inputs"], mode="tensor")

    return call


def measure_size(size: Size, rounds: int) -> dict[str, Any]:
    """Times and ratios at one size."""
    times = measure_times({mode: call_of(CONFIGS / file, size) for mode, file in MODES.items()}, rounds)
    by_round = sorted(a / b for a, b in zip(times["features"], times["pictures"], strict=True))
    return {
        "height": size[0],
        "width": size[1],
        "ms": {mode: statistics.median(values) for mode, values in times.items()},
        "features_to_pictures": statistics.median(by_round),
        "quartiles": [by_round[rounds // 4], by_round[3 * rounds // 4]],
    }


def to_table(results: Sequence[dict[str, Any]], protocol: dict[str, Any]) -> str:
    """Markdown: a row per size, and how it was measured."""
    lines = [
        "| size | detector, ms | behind the restorer, ms | on restored features, ms | features : pictures |",
        "|---|---:|---:|---:|---:|",
    ]
    for result in results:
        ms, (low, high) = result["ms"], result["quartiles"]
        lines.append(
            f"| {result['height']} x {result['width']} | {ms['detector']:.1f} | {ms['pictures']:.1f} | "
            f"{ms['features']:.1f} | {result['features_to_pictures']:.2f} ({low:.2f} to {high:.2f}) |"
        )
    return "\n".join([*lines, "", ", ".join(f"{name} {value}" for name, value in protocol.items())])


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", nargs="+", type=picture_size, default=[(256, 256), (640, 640)], help="HEIGHTxWIDTH, pixels"
    )
    parser.add_argument("--threads", type=positive, default=2, help="of torch and of OpenCV")
    parser.add_argument("--rounds", type=positive, default=15, help="of which the medians are taken")
    parser.add_argument("--json", help="write the figures here as well")
    args = parser.parse_args(argv)
    settle(args.threads)
    with torch.inference_mode():
        results = [measure_size(size, args.rounds) for size in args.sizes]
    protocol = {"threads": args.threads, "rounds": args.rounds, "cores": os.cpu_count(), **machine()}
    if args.json:
        write_figures(args.json, protocol, sizes=results)
    print(to_table(results, protocol))
    return results


if __name__ == "__main__":
    main()
