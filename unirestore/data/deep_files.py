"""Files that Pillow cannot write: PNG of 16 bits in colour or with alpha, and TIFF with EXIF tables or 16 bits.

Layouts: PNG (3rd edition), sections 5, 9 and 11; TIFF 6.0, sections 2, 8, 14 and 18, and Adobe's deflate (supplement 2
of 2002). Both are compressed without loss, with the predictor of their format. Apache-2.0.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from .exif import tables

_STRIP = 1 << 20
"""Bytes of a strip of a TIFF before compression."""


def png_file(
    values: np.ndarray,
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """A PNG out of `(H, W)` or `(H, W, C)` uint16: grey, grey and alpha, RGB, RGBA."""
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    rows = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))  # filter 2, "up", modulo 256
    rows = np.concatenate([np.full((height, 1), 2, np.uint8), rows], axis=1)
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    if icc is not None:
        content += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if exif is not None:
        content += _chunk(b"eXIf", exif)
    if dpi is not None:
        content += _chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in dpi), 1))
    if xmp is not None:
        content += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    return content + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 4)) + _chunk(b"IEND", b"")


def tiff_file(
    values: np.ndarray,
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """A TIFF out of `(H, W)` or `(H, W, C)` uint8 or uint16: grey, grey and alpha, RGB, RGBA."""
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    bits = 8 * values.itemsize
    rows = max(1, _STRIP // max(1, width * channels * values.itemsize))
    moves = np.diff(values, axis=1, prepend=np.zeros((height, 1, channels), values.dtype))  # predictor 2
    moves = moves.astype(values.dtype.newbyteorder("<"), copy=False)
    strips = [zlib.compress(moves[top : top + rows].tobytes(), 6) for top in range(0, height, rows)]
    entries: dict[int, Any] = {} if exif is None else tables(exif)
    entries |= {256: width, 257: height, 258: (bits,) * channels, 259: 8, 262: 2 if channels > 2 else 1}
    entries |= {277: channels, 278: rows, 284: 1, 317: 2, 279: tuple(map(len, strips))}
    entries[273] = tuple(np.cumsum([0, *map(len, strips[:-1])]).tolist())  # `save` adds where they begin
    if dpi is not None:
        entries |= {282: dpi[0], 283: dpi[1], 296: 2}
    if channels in (2, 4):
        entries[338] = 2  # the last channel is alpha, and colours are not multiplied by it
    folder = ImageFileDirectory_v2(prefix=b"II")
    for tag, content in ((34675, icc), (700, xmp)):
        if content is not None:
            entries[tag] = content
            folder.tagtype[tag] = 7 if tag == 34675 else 1
    for tag in (273, 279):
        folder.tagtype[tag] = 4
    for tag, value in entries.items():
        folder[tag] = value
    file = io.BytesIO()
    folder.save(file)
    return file.getvalue() + b"".join(strips)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
