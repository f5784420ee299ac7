"""Reading photos, label maps and depth images, whatever their file holds.

Pillow decodes; what differs from a plain `Image.open(path).convert("RGB")`: the EXIF orientation is applied,
16-bit grey is scaled (Pillow would clip it), alpha is dropped (not blended), and a broken file is named in
the error.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from unirestore.degradations import depth

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
DEPTH_UNIT = 0.01
_DEPTH_TOP = 65535


def read_image(path: str | Path) -> np.ndarray:
    """Read a photo as `(H, W, 3)` RGB uint8, upright.

    Grey becomes three equal channels, 16-bit grey is scaled by 1/257, alpha is dropped, EXIF orientation is
    applied.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an image, is cut short, or holds a kind of pixel that has no 8-bit
            meaning.
    """
    image = _open(path)
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(
                f"{path}: integer pixels span {grey.min()}..{grey.max()}, expected 0..65535; "
                "save it as 8 or 16 bit"
            )
        image = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError(f"{path}: floating-point pixels have no agreed range; save it as 8 or 16 bit")
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "RGBX", "LA", "La", "RGBa"):
        bands = image.split()
        image = Image.merge("RGB", bands[:3]) if len(bands) == 4 else bands[0]
    return np.ascontiguousarray(np.asarray(image.convert("RGB")))


def read_label_map(path: str | Path) -> np.ndarray:
    """Read a label map as `(H, W)` uint8 class indices: an 8-bit grey or palette file, taken as it is.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is broken or has more than one channel.
    """
    image = _open(path)
    if image.mode not in ("L", "P", "1"):
        raise ValueError(
            f"{path}: a label map is one channel of 8-bit class indices, this file has mode {image.mode}"
        )
    return np.array(image, dtype=np.uint8)


def read_depth(path: str | Path, unit: float = DEPTH_UNIT) -> np.ndarray:
    """Read a depth file as `(H, W)` float32 metres; see `unirestore.degradations.depth.read`."""
    return depth.read(path, unit)


def write_depth(path: str | Path, metres: np.ndarray) -> None:
    """Write `(H, W)` metres as a 16-bit PNG in centimetres; from 655.35 m on, and in the sky, the file says
    65535. 0 means unknown in a file, so that no distance is written as 0."""
    steps = np.clip(np.rint(metres / DEPTH_UNIT), 1, _DEPTH_TOP).astype(np.uint16)
    Image.fromarray(steps).save(path, compress_level=1)


def _open(path: str | Path) -> Image.Image:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    try:
        image = Image.open(path)
        image.load()
        return ImageOps.exif_transpose(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(f"{path}: cannot be read as an image ({error}); is the file whole?") from error
