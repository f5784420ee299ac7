"""The picture of the README: procedural scenes, clean, under weather, and restored. No photo is needed.

    python tools/make_figure.py                              # docs/assets/scenes.jpg, weights `tiny`
    python tools/make_figure.py --restorer work_dirs/tfa_det/restorer --task ir --out /tmp/scenes.jpg
    python tools/make_figure.py --restorer none              # clean and degraded only

Everything is seeded: scene, weather and restorer give the same picture again. Cost: seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from unirestore.data import render_scene
from unirestore.degradations import Haze, Rain
from unirestore.evaluation.arms import restorer_arm
from unirestore.models.loading import build_restorer

ROWS = ((2_000_002, "haze", Haze(severity=4)), (2_000_004, "rain", Rain(severity=4)))
"""Seed of the scene (out of the range that is only tested on), name, weather."""
GAP = 6
CAPTION = 26


def panel(image: np.ndarray, title: str) -> np.ndarray:
    """`(H, W, 3)` RGB uint8 with its title on a white strip above."""
    strip = np.full((CAPTION, image.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, title, (4, CAPTION - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (30, 30, 30), 1, cv2.LINE_AA)
    return np.concatenate([strip, image])


def build_figure(restorer: torch.nn.Module | None, task: str, size: int, seed: int) -> np.ndarray:
    """One row per weather: clean, degraded and, with a restorer, restored; RGB uint8."""
    rows = []
    for scene_seed, name, weather in ROWS:
        scene = render_scene(scene_seed, size=size)
        degraded = weather(scene.image, seed=seed, depth=scene.depth)
        panels = [panel(scene.image, "clean"), panel(degraded, f"{name}, severity {weather.severity}")]
        if restorer is not None:
            panels.append(panel(restorer_arm(restorer, task)(degraded), f"restored, prompt '{task}'"))
        gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
        rows.append(np.concatenate([part for p in panels for part in (p, gap)][:-1], axis=1))
    return np.concatenate(rows)


def main(argv: Sequence[str] | None = None) -> Path:
    """Render and write; returns the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--restorer", default="tiny", help="folder or name of weights, or `none`")
    parser.add_argument("--task", default="det", help="prompt of the restored column")
    parser.add_argument("--size", type=int, default=320, help="side of a scene, pixels")
    parser.add_argument("--seed", type=int, default=1, help="of the weather")
    parser.add_argument("--out", default="docs/assets/scenes.jpg", help="picture to write")
    args = parser.parse_args(argv)
    restorer = None if args.restorer == "none" else build_restorer(args.restorer).eval()
    figure = build_figure(restorer, args.task, args.size, args.seed)
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(out), figure[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88]):
        raise OSError(f"{out} could not be written")
    print(f"{figure.shape[1]} x {figure.shape[0]}: {out}")
    return out


if __name__ == "__main__":
    main()
