"""Outlines of things that cast shadows: people, trees, foliage, windows, blinds, fences, buildings.

Each is a binary picture `SIDE` pixels square, 255 where light is blocked, whose bottom row is where the thing touches
the surface. Drawn at random, own code; nothing is traced from photos.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..base import require

SIDE = 320
STANDING = ("person", "tree", "fence", "building")  # touch the surface; the others hang above it
HANGING = ("foliage", "window", "blinds")
OPENINGS = ("window", "blinds")  # light comes through them and nowhere else
SILHOUETTES = STANDING + HANGING


def silhouette(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A random outline of `kind`, (SIDE, SIDE) uint8 of 0 and 255. Raises ValueError for an unknown kind."""
    require(kind in SILHOUETTES, f"kind must be one of {SILHOUETTES}, got {kind!r}")
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    _DRAW[kind](canvas, rng)
    return canvas


def _line(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, thick: float) -> None:
    start, end = (tuple(round(float(v) * SIDE) for v in point) for point in (a, b))
    cv2.line(canvas, start, end, 255, max(1, round(thick * SIDE)), cv2.LINE_8)


def _disc(canvas: np.ndarray, centre: np.ndarray, rx: float, ry: float, turn: float = 0.0) -> None:
    at = tuple(round(float(v) * SIDE) for v in centre)
    axes = (max(1, round(rx * SIDE)), max(1, round(ry * SIDE)))
    cv2.ellipse(canvas, at, axes, float(np.degrees(turn)), 0, 360, 255, -1)


def _person(canvas: np.ndarray, rng: np.random.Generator) -> None:
    lean, stride = float(rng.normal(0, 0.01)), float(rng.uniform(0.02, 0.09))
    hip, neck = np.array([0.5, 0.55]), np.array([0.5 + lean, 0.27])

    def off(x: float, y: float) -> np.ndarray:
        return np.array([x, y])

    for side in (-1, 1):
        knee, foot = hip + off(side * stride * 0.7, 0.22), off(0.5 + side * stride + 0.01, 1.0)
        _line(canvas, hip + off(side * 0.025, 0), knee, 0.055)
        _line(canvas, knee, foot, 0.04)
        elbow = neck + off(side * float(rng.uniform(0.06, 0.11)), 0.15)
        hand = elbow + off(side * float(rng.uniform(-0.04, 0.06)), float(rng.uniform(0.05, 0.15)))
        _line(canvas, neck + off(side * 0.055, 0.03), elbow, 0.036)
        _line(canvas, elbow, hand, 0.028)
    corners = ((neck, -0.075, 0.01), (neck, 0.075, 0.01), (hip, 0.055, 0.03), (hip, -0.055, 0.03))
    body = np.array([point + off(x, y) for point, x, y in corners])
    cv2.fillPoly(canvas, [np.rint(body * SIDE).astype(np.int32)], 255)
    _line(canvas, neck, neck - [0, 0.06], 0.04)
    _disc(canvas, neck - [0, 0.1], 0.042, 0.055)


def _tree(canvas: np.ndarray, rng: np.random.Generator) -> None:
    leafy = float(rng.uniform(0.2, 1.0))
    todo = [(np.array([0.5, 1.0]), -np.pi / 2, float(rng.uniform(0.2, 0.28)), 0.045)]
    while todo:
        start, heading, length, thick = todo.pop()
        end = start + length * np.array([np.cos(heading), np.sin(heading)])
        _line(canvas, start, end, thick)
        if length < 0.06:
            for _ in range(int(rng.poisson(5 * leafy))):
                spot = end + rng.normal(0, 0.03, 2)
                _disc(canvas, spot, float(rng.uniform(0.008, 0.02)), 0.008, float(rng.uniform(0, np.pi)))
            continue
        for turn in rng.normal(0, 0.12, 2) + np.array([-0.45, 0.45]):
            todo.append((end, heading + float(turn), length * float(rng.uniform(0.66, 0.8)), thick * 0.66))


def _foliage(canvas: np.ndarray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(3, 8))):  # branches from beyond the edges, each with its leaves
        start = rng.uniform(-0.1, 1.1, 2) * [1.0, 0.5]
        heading, bend = float(rng.uniform(0, 2 * np.pi)), float(rng.normal(0, 0.12))
        for _ in range(int(rng.integers(8, 16))):
            end = start + 0.06 * np.array([np.cos(heading), np.sin(heading)])
            _line(canvas, start, end, 0.006)
            for _ in range(int(rng.integers(1, 5))):
                turn, size = float(rng.uniform(0, np.pi)), float(rng.uniform(0.018, 0.045))
                _disc(canvas, end + rng.normal(0, 0.03, 2), size, size * 0.45, turn)
            start, heading = end, heading + bend + float(rng.normal(0, 0.15))


def _window(canvas: np.ndarray, rng: np.random.Generator) -> None:
    canvas[:] = 255
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(2, 5))
    bar = 0.02
    wide, tall = (0.84 - bar * (columns - 1)) / columns, (0.84 - bar * (rows - 1)) / rows
    for i in range(columns):
        for j in range(rows):
            x, y = 0.08 + i * (wide + bar), 0.08 + j * (tall + bar)
            a, b = (round(x * SIDE), round(y * SIDE)), (round((x + wide) * SIDE), round((y + tall) * SIDE))
            cv2.rectangle(canvas, a, b, 0, -1)


def _blinds(canvas: np.ndarray, rng: np.random.Generator) -> None:
    canvas[:] = 255
    count, openness = int(rng.integers(6, 16)), float(rng.uniform(0.35, 0.65))
    for i in range(count):
        y = 0.05 + 0.9 * i / count
        a, b = (
            (round(0.06 * SIDE), round(y * SIDE)),
            (round(0.94 * SIDE), round((y + 0.9 * openness / count) * SIDE)),
        )
        cv2.rectangle(canvas, a, b, 0, -1)


def _fence(canvas: np.ndarray, rng: np.random.Generator) -> None:
    top, count = float(rng.uniform(0.3, 0.6)), int(rng.integers(8, 20))
    thick = float(rng.uniform(0.25, 0.6)) / count
    for i in range(count):
        x = (i + 0.5) / count
        _line(canvas, np.array([x, top]), np.array([x, 1.0]), thick)
    for y in (top + 0.08, 0.9):
        _line(canvas, np.array([0.0, y]), np.array([1.0, y]), 0.018)


def _building(canvas: np.ndarray, rng: np.random.Generator) -> None:
    left = float(rng.uniform(-0.2, 0.3))
    while left < 1.0:
        right, top = left + float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.15, 0.6))
        roof = top - (float(rng.uniform(0.05, 0.15)) if rng.random() < 0.5 else 0.0)
        outline = np.array([[left, 1.0], [left, top], [(left + right) / 2, roof], [right, top], [right, 1.0]])
        cv2.fillPoly(canvas, [np.rint(outline * SIDE).astype(np.int32)], 255)
        left = right + (float(rng.uniform(0.0, 0.3)) if rng.random() < 0.4 else 0.0)


_DRAW = {
    "person": _person,
    "tree": _tree,
    "fence": _fence,
    "building": _building,
    "foliage": _foliage,
    "window": _window,
    "blinds": _blinds,
}
