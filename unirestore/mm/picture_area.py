"""Where in a network input the picture lies, and where only padding.

An mmdet pipeline may pad before the preprocessor sees the image (YOLOX and RTMDet pad to a square with grey
114), and ``Pad`` overwrites ``img_shape``, so the size of the picture itself is ``ori_shape * scale_factor``.
After Mosaic or RandomCrop that product says nothing; therefore it is believed only if all that lies outside
is one constant colour. Source: written for this project against mmdet 3.5. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

__all__ = ["picture_area"]

Area = tuple[slice, slice]


def picture_area(image: Tensor, metainfo: Mapping[str, Any] | None) -> Area:
    """Rows and columns of ``image`` that hold the picture.

    Args:
        image: ``(3, H, W)`` as it comes out of the pipeline, before batching.
        metainfo: ``ori_shape`` (H, W), ``scale_factor`` (w, h), ``flip`` and ``flip_direction`` of its data
            sample; any may be absent.

    Returns:
        ``(rows, columns)`` so that ``image[:, rows, columns]`` is the picture; all of it when nothing is
        known or what is said does not agree with the pixels.
    """
    height, width = image.shape[-2:]
    whole = slice(0, height), slice(0, width)
    metainfo = metainfo or {}
    original, scale = metainfo.get("ori_shape"), metainfo.get("scale_factor")
    if original is None or scale is None:
        return whole
    scale_w, scale_h = (scale, scale) if isinstance(scale, (int, float)) else scale[:2]
    rows = min(height, max(1, round(original[0] * float(scale_h))))
    columns = min(width, max(1, round(original[1] * float(scale_w))))
    if (rows, columns) == (height, width):
        return whole
    candidates = [(slice(0, rows), slice(0, columns))]
    if metainfo.get("flip"):  # flipped after padding: the padding has changed sides
        direction = metainfo.get("flip_direction") or "horizontal"
        top = height - rows if direction in ("vertical", "diagonal") else 0
        left = width - columns if direction in ("horizontal", "diagonal") else 0
        candidates.append((slice(top, top + rows), slice(left, left + columns)))
    for area in candidates:
        if _constant_outside(image, area):
            return area
    return whole


def _constant_outside(image: Tensor, area: Area) -> bool:
    """Whether each channel has one value in all of ``image`` outside ``area``."""
    rows, columns = area
    strips = (
        image[:, : rows.start],
        image[:, rows.stop :],
        image[:, rows, : columns.start],
        image[:, rows, columns.stop :],
    )
    strips = [strip.reshape(image.shape[0], -1) for strip in strips if strip.numel()]
    if not strips:
        return True
    colour = strips[0][:, :1]
    return all(bool((strip == colour).all()) for strip in strips)
