"""Reading photos, label maps and depth images, whatever their file holds.

Pillow decodes; what differs from a plain `Image.open(path).convert("RGB")`: the EXIF orientation is applied,
16 bits are rounded to 8 (Pillow would clip grey and cut off colour), alpha is dropped (not blended), and a broken
file is named in the error.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from unirestore.degradations import depth

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
DEPTH_SUFFIXES = (".png", ".npy")
DEPTH_UNIT = 0.01
_DEPTH_TOP = 65535


def read_image(path: str | Path) -> np.ndarray:
    """Read a photo as `(H, W, 3)` RGB uint8, upright.

    Grey becomes three equal channels, 16 bits are divided by 257 and rounded, alpha is dropped, EXIF orientation
    is applied.

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


def depth_names(photos: Iterable[str]) -> dict[str, str]:
    """Photo -> the name of its depth file without `.png` or `.npy`: `a` for `a.jpg`.

    Photos that differ in their suffix only (upper and lower case are alike) have `a.jpg` and `a.png` instead.
    """
    stems = {photo: Path(photo).with_suffix("").as_posix() for photo in photos}
    often = Counter(stem.lower() for stem in stems.values())
    return {
        photo: stem if often[stem.lower()] == 1 else Path(photo).as_posix() for photo, stem in stems.items()
    }


def fit_depth(metres: np.ndarray, shape: tuple[int, int], path: str | Path) -> np.ndarray:
    """`metres` (h, w) at the size of its photo, (H, W) float32; nearest neighbour, with a UserWarning, where the
    size differs and the sides have the same ratio (within a pixel).

    Raises:
        ValueError: another ratio, so it is the depth of another photo, or of a part of this one.
    """
    if metres.shape == tuple(shape):
        return metres
    (high, wide), (height, width) = metres.shape, shape
    if abs(high * width - wide * height) > max(height, width):
        raise ValueError(
            f"{path}: the depth is {high} x {wide}, its photo is {height} x {width}: other proportions, so it "
            "belongs to another photo or to a part of it"
        )
    warnings.warn(
        f"depth of {high} x {wide} is brought to its photo's {height} x {width} by nearest neighbour",
        stacklevel=2,
    )
    return cv2.resize(metres, (width, height), interpolation=cv2.INTER_NEAREST)


def _open(path: str | Path) -> Image.Image:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    try:
        image = Image.open(path)
        deep = ";16" in str(image.tile) and image.mode in ("RGB", "RGBA", "LA")
        image.load()
        return ImageOps.exif_transpose(_rounded(path, image) if deep else image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(f"{path}: cannot be read as an image ({error}); is the file whole?") from error


def _rounded(path: str | Path, image: Image.Image) -> Image.Image:
    """A file of 16 bits a channel, which Pillow has cut to 8 in `image`, with its 8 bits rounded."""
    stored = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if stored is None or stored.dtype != np.uint16 or stored.shape[:2] != (image.height, image.width):
        raise ValueError("its 16-bit channels cannot be decoded; save it as 8 bit")
    levels = (stored.astype(np.uint32) + 128) // 257
    grey = levels.ndim == 2
    pixels = Image.fromarray((levels if grey else levels[..., 2::-1]).astype(np.uint8))
    pixels.getexif().update(image.getexif())
    return pixels
