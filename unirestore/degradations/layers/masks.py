"""Masks as a user would draw them, and the training target that belongs to one.

UniSER (arXiv:2511.14183) steers a restorer by a soft mask alpha M: a binary region M times a strength alpha from
U[0, 1]. The target is blended so that the effect is removed by alpha inside and nothing changes outside:

    target = alpha M_blur clean + (1 - alpha M_blur) degraded,  M_blur = Gaussian(dilate(M))

The paper names shapes and free-form strokes but neither sizes nor kernels; those here are our choice. Strokes
are random walks of a round brush, in the manner of Yu et al., "Free-Form Image Inpainting with Gated
Convolution", ICCV 2019 (own code).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..base import require
from ..light import triple

SHAPES = ("rectangle", "ellipse", "polygon", "stroke")


def random_mask(
    shape: tuple[int, int], rng: np.random.Generator, *, shapes: int | None = None, full: float = 0.1
) -> np.ndarray:
    """A random binary mask, (H, W) float32 of 0 and 1; never empty.

    Args:
        shape: (H, W), at least (1, 1).
        rng: source of randomness.
        shapes: number of shapes and strokes; None draws 1 to 5.
        full: share of masks that are the whole photo.
    """
    require(min(shape) >= 1, f"shape must be at least (1, 1), got {shape}")
    require(shapes is None or shapes >= 1, f"shapes must be at least 1, got {shapes}")
    require(0 <= full <= 1, f"full must lie in [0, 1], got {full}")
    if rng.random() < full:
        return np.ones(shape, np.float32)
    canvas = np.zeros(shape, np.uint8)
    for _ in range(int(rng.integers(1, 6)) if shapes is None else shapes):
        draw_shape(canvas, SHAPES[int(rng.integers(len(SHAPES)))], rng)
    if not canvas.any():
        canvas[int(rng.integers(shape[0])), int(rng.integers(shape[1]))] = 1
    return canvas.astype(np.float32)


def draw_shape(canvas: np.ndarray, kind: str, rng: np.random.Generator) -> None:
    """Draws one of `SHAPES` with the value 1 into `canvas`, (H, W) uint8, in place."""
    height, width = canvas.shape
    short = min(height, width)
    centre = rng.uniform(0, 1, 2) * (width, height)
    radii = short * np.exp(rng.uniform(np.log(0.06), np.log(0.6), 2))
    turn = float(rng.uniform(0, 2 * np.pi))
    if kind == "stroke":
        points = stroke_path(centre, short, turn, rng)
        thick = max(1, round(short * float(np.exp(rng.uniform(np.log(0.02), np.log(0.12))))))
        cv2.polylines(canvas, [points], False, 1, thick, cv2.LINE_8)
        for point in points.tolist():  # round ends and joints, as a brush leaves them
            cv2.circle(canvas, point, thick // 2, 1, -1)
        return
    if kind == "ellipse":
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        outline = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    elif kind == "rectangle":
        outline = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
        turn = turn if rng.random() < 0.3 else 0.0  # most boxes are dragged along the axes
    elif kind == "polygon":
        corners = int(rng.integers(3, 10))
        angles = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) / corners
        outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.5, 1.2, (corners, 1))
    else:
        raise ValueError(f"kind must be one of {SHAPES}, got {kind!r}")
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = np.rint((outline * radii) @ rotation.T + centre).astype(np.int32)
    cv2.fillPoly(canvas, [points], 1)


def stroke_path(start: np.ndarray, short: float, heading: float, rng: np.random.Generator) -> np.ndarray:
    """(N, 2) int32 corners (x, y) of a free-hand stroke: steps that turn a little, now and then sharply."""
    steps = int(rng.integers(4, 14))
    bend = rng.normal(0, 0.35, steps) + np.pi * 0.8 * (rng.random(steps) < 0.12)
    headings = heading + np.cumsum(bend)
    lengths = short * rng.uniform(0.05, 0.2, steps)
    moves = np.stack([np.cos(headings), np.sin(headings)], axis=1) * lengths[:, None]
    return np.rint(np.vstack([start[None, :], start + np.cumsum(moves, axis=0)])).astype(np.int32)


def soften(mask: np.ndarray, *, dilation: float = 0.02, blur: float = 0.015) -> np.ndarray:
    """M_blur: the mask grown by a disc and blurred, (H, W) float32 in [0, 1].

    `dilation` is the radius of the disc and `blur` the sigma, both as a share of the shorter side; with dilation at
    least 1.3 x blur the mask itself stays above 0.9.
    """
    require(mask.ndim == 2, f"mask must be (H, W), got {mask.shape}")
    require(dilation >= 0 and blur >= 0, f"dilation and blur must be >= 0, got {dilation} and {blur}")
    short, out = min(mask.shape), np.ascontiguousarray(mask, dtype=np.float32)
    radius, sigma = round(dilation * short), blur * short
    if radius > 0:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        out = cv2.dilate(out, disc)
    if sigma > 0.1:
        out = cv2.GaussianBlur(out, (0, 0), sigma)
    return np.clip(out.reshape(mask.shape), 0, 1)


@dataclass(frozen=True, kw_only=True)
class MaskedTask:
    """One training item of mask-and-strength control.

    Args:
        condition: (H, W) float32, alpha M: what the restorer is given beside the degraded photo.
        target: (H, W, 3), what it should return; type and range of the clean photo.
        strength: alpha.
    """

    condition: np.ndarray
    target: np.ndarray
    strength: float


def blend_target(
    clean: np.ndarray, degraded: np.ndarray, mask: np.ndarray, strength: float = 1.0, **soften_by: float
) -> MaskedTask:
    """The target of `mask` at `strength`.

    Args:
        clean: (H, W, 3) uint8, or float32 in [0, 1].
        degraded: as `clean`.
        mask: (H, W), 0 or 1.
        strength: alpha in [0, 1].
        soften_by: `dilation` and `blur` of `soften`.

    Raises:
        ValueError when shapes, types or the strength do not fit.
    """
    require(
        clean.shape == degraded.shape and clean.dtype == degraded.dtype and clean.ndim == 3,
        f"clean and degraded must be (H, W, C) alike, got {clean.shape} {clean.dtype} and "
        f"{degraded.shape} {degraded.dtype}",
    )
    require(mask.shape == clean.shape[:2], f"mask is {mask.shape}, the photo is {clean.shape[:2]}")
    require(0 <= strength <= 1, f"strength must lie in [0, 1], got {strength}")
    weight = soften(mask, **soften_by) * np.float32(strength)
    weight = triple(weight) if clean.shape[2] == 3 else weight[..., None]
    before = degraded.astype(np.float32)
    target = before + weight.reshape(clean.shape) * (clean.astype(np.float32) - before)
    if clean.dtype == np.uint8:
        target = np.clip(np.rint(target), 0, 255).astype(np.uint8)
    condition = mask.astype(np.float32) * np.float32(strength)
    return MaskedTask(condition=condition, target=target, strength=float(strength))


def draw_task(clean: np.ndarray, degraded: np.ndarray, rng: np.random.Generator) -> MaskedTask:
    """A random mask and a strength from U[0, 1], as in training; a full mask at 1 removes everything."""
    mask = random_mask(clean.shape[:2], rng)
    return blend_target(clean, degraded, mask, float(rng.random()))
