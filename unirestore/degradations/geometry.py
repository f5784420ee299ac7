"""What follows a degradation that moves pixels: boxes, label maps, depth, and several such moves in a row.

A move is a sampling map, (H, W, 2) float32: the input position (x, y) that each pixel of the result shows, in
pixels with 0 at the centre of the first pixel, as `cv2.remap` takes it. Boxes use pixel edges instead (a box
around the first pixel is 0, 0, 1, 1), as mmdet and torchvision do. None means that nothing moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


def warp_map(values: np.ndarray, field: np.ndarray | None, fill: float | None = None) -> np.ndarray:
    """(H, W) numbers moved by `field`, nearest neighbour, same dtype.

    Args:
        values: (H, W) of any dtype: label map, depth.
        field: (H, W, 2) sampling map or None.
        fill: value of what comes from outside the picture; None mirrors the picture there.

    Raises:
        ValueError when the two differ in size.
    """
    values = np.asarray(values)
    if field is None:
        return values.copy()
    if values.shape[:2] != field.shape[:2]:
        raise ValueError(
            f"the map is {values.shape}, the sampling map is {field.shape}; both need the same height and width"
        )
    height, width = values.shape[:2]
    columns, rows = np.rint(field[..., 0]).astype(np.int64), np.rint(field[..., 1]).astype(np.int64)
    out = values[_mirror(rows, height), _mirror(columns, width)]
    if fill is not None:
        outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
        out[outside] = fill
    return out


def resize_map(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) numbers of any dtype at another size (H', W'), nearest neighbour (pixel centres)."""
    values = np.asarray(values)
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
        for new, old in zip(shape, values.shape[:2], strict=True)
    )
    return values[rows[:, None], columns[None, :]]


def warp_boxes(boxes: np.ndarray, field: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    """The smallest boxes around what each box held, after the move.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the input.
        field: (H, W, 2) sampling map or None.
        shape: (H, W) of the picture.

    Returns:
        (N, 4) float32, in the same order, inside the picture where anything moved; no area where all has left.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    if field is None or not len(boxes):
        return boxes.copy()
    if tuple(field.shape) != (*shape, 2):
        raise ValueError(f"the sampling map is {field.shape}, expected {(*shape, 2)}")
    height, width = shape
    shift_x, shift_y = (
        field[..., 0] - np.arange(width, dtype=np.float32),
        field[..., 1] - np.arange(height, dtype=np.float32)[:, None],
    )
    out = np.zeros_like(boxes)
    for index, (left, top, right, bottom) in enumerate(boxes):
        x, y = field[..., 0] + np.float32(0.5), field[..., 1] + np.float32(0.5)
        inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if not rows.size:  # smaller than a pixel, or gone: follow the pixel under its centre
            out[index] = _tiny((left, top, right, bottom), x, y, shift_x, shift_y)
            continue
        # to sub-pixel precision: the source edge minus the shift found at the outermost pixels
        first_x, last_x = shift_x[:, columns[0]], shift_x[:, columns[-1]]
        first_y, last_y = shift_y[rows[0]], shift_y[rows[-1]]
        out[index] = (
            _edge(left - first_x[inside[:, columns[0]]].max(), columns[0]),
            _edge(top - first_y[inside[rows[0]]].max(), rows[0]),
            _edge(right - last_x[inside[:, columns[-1]]].min(), columns[-1] + 1),
            _edge(bottom - last_y[inside[rows[-1]]].min(), rows[-1] + 1),
        )
    out[:, 0::2] = out[:, 0::2].clip(0, width)
    out[:, 1::2] = out[:, 1::2].clip(0, height)
    return out


def warp_points(points: np.ndarray, field: np.ndarray | None) -> np.ndarray:
    """(N, 2) points x, y where what they mark lies after the move, float32.

    Pixels count as in the sampling map, 0 at the centre of the first one (torchvision's keypoints do so too). A
    point moves as the pixel that shows the place nearest to it; so one that leaves comes to lie outside.
    """
    points = np.asarray(points, np.float32).reshape(-1, 2)
    if field is None:
        return points.copy()
    out = np.empty_like(points)
    for index, point in enumerate(points):
        distance = np.square(field - point).sum(axis=-1)
        row, column = np.unravel_index(int(distance.argmin()), distance.shape)
        out[index] = point - field[row, column] + np.float32((column, row))
    return out


def chain(fields: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """One sampling map for several, applied first to last."""
    total = None
    for field in fields:
        if field is None:
            continue
        if total is None:
            total = field
            continue
        # a pixel of the last result shows `field` in the picture before, which shows `total` there
        height, width = total.shape[:2]
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        shift = np.ascontiguousarray(total - np.stack([columns, rows], -1))
        total = field + cv2.remap(shift, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return total


def _mirror(index: np.ndarray, size: int) -> np.ndarray:
    """Indices folded back into [0, size), the border pixel not repeated (OpenCV's BORDER_REFLECT_101)."""
    if size == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * size - 2)
    return np.where(index >= size, 2 * size - 2 - index, index)


def _edge(value: float, pixel: int) -> float:
    """`value`, but at most one pixel from the edge of the outermost pixel that still shows the box."""
    return min(max(float(value), pixel - 1.0), pixel + 1.0)


def _tiny(box, x, y, shift_x, shift_y) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(v) for v in box)
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    distance = np.maximum(np.abs(x - middle_x), np.abs(y - middle_y))
    row, column = np.unravel_index(int(distance.argmin()), distance.shape)
    if distance[row, column] > 1.0:  # nothing of it is in the picture any more
        return (0.0, 0.0, 0.0, 0.0)
    dx, dy = float(shift_x[row, column]), float(shift_y[row, column])
    return (left - dx, top - dy, right - dx, bottom - dy)
