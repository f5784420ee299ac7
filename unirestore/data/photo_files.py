"""A photo file taken apart for a restorer and put together again: nothing that is not pixels is lost.

`read_photo` keeps what the file says beside its colours: alpha, grey or colour, 8 or 16 bits, ICC profile and EXIF.
The EXIF orientation is applied to the pixels and set to 1 in the tags, as viewers would apply it again. `write_photo`
puts restored colours in the place of the old ones. `data.images.read_image` is the smaller sister for training, where
nothing goes back into a file. Pillow reads and writes; 16-bit colour, which it cannot, is read by OpenCV and written
by `deep_files`. Apache-2.0.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from .deep_files import png_file, tiff_file
from .exif import PREFIX, read_tags, upright, upright_xmp
from .images import IMAGE_SUFFIXES

PHOTO_SUFFIXES = (*(suffix for suffix in IMAGE_SUFFIXES if suffix not in (".ppm", ".pgm")), ".heic", ".heif")
_HEIF = (".heic", ".heif")
_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
_NO_ALPHA = ("JPEG", "BMP")
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""BT.601, as Pillow turns colours to grey."""


@dataclass(frozen=True, kw_only=True)
class Photo:
    """What a photo file holds.

    Args:
        pixels: `(H, W, 3)` float32 RGB in [0, 1], upright.
        name: of the file, for messages.
        format: Pillow's word for the file type, such as "JPEG".
        depth: 8 or 16 bits a channel.
        grey: one channel in the file; `pixels` has it three times.
        alpha: `(H, W)` uint8 or uint16, or None.
        icc: the ICC profile, or None.
        exif: the EXIF tags, whose orientation is 1, or None.
        xmp: the XMP packet, whose orientation is 1, or None.
        dpi: pixels per inch, (across, down), or None.
    """

    pixels: np.ndarray
    name: str
    format: str
    depth: int = 8
    grey: bool = False
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None

    def with_pixels(self, pixels: np.ndarray) -> Photo:
        """The same photo with other colours, `(H, W, 3)` of the same size."""
        if pixels.shape != self.pixels.shape:
            raise ValueError(f"{self.name}: pixels must be {self.pixels.shape}, got {pixels.shape}")
        return replace(self, pixels=pixels)

    def colours(self, depth: int | None = None) -> np.ndarray:
        """`(H, W, 3)` or, grey, `(H, W)` of uint8 or uint16: rounded as a file holds them."""
        depth = self.depth if depth is None else depth
        pixels = self.pixels @ _LUMINANCE if self.grey else self.pixels
        top = 2**depth - 1
        return np.rint(np.clip(pixels, 0, 1) * top).astype(np.uint8 if depth == 8 else np.uint16)


def read_photo(source: str | Path | bytes, name: str | None = None) -> Photo:
    """Read a photo from a file, or from the bytes of one (`name` then stands in messages).

    JPEG, PNG, WebP, TIFF, BMP, HEIC where the package `pillow-heif` is installed, and what else Pillow knows. Palettes
    become RGB or RGBA, CMYK goes to RGB by its own ICC profile (sRGB then) where it has one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError, naming the file: it is no picture or cut short, too large for Pillow to be sure that it is no
            attack, animated, of floating-point pixels, of 16 bits in other channels than grey, RGB and alpha, or HEIC
            without the package.
    """
    name = str(source if name is None and not isinstance(source, bytes) else name or "the picture")
    if isinstance(source, bytes):
        stored = source
    else:
        if not Path(source).is_file():
            raise FileNotFoundError(f"{source}: no such image file")
        stored = Path(source).read_bytes()
    _know_heif(name, stored)
    try:
        image = Image.open(io.BytesIO(stored))
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # phones add previews to a JPEG: MPO
            raise _Refused(f"it holds {image.n_frames} pictures; split it into files of one")
        return _taken_apart(image, stored, name)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes Pillow's readers fail in any way
        if isinstance(error, _Refused):
            raise ValueError(f"{name}: {error}") from None
        if isinstance(error, UnidentifiedImageError):
            raise ValueError(f"{name}: no picture of a type that is known here, or it is damaged") from None
        if isinstance(error, Image.DecompressionBombError):
            raise ValueError(
                f"{name}: {error} If you trust the file, raise --max-megapixels (PIL.Image.MAX_IMAGE_PIXELS)"
            ) from error
        raise ValueError(f"{name}: cannot be read as a photo ({error}); is the file whole?") from error


def write_photo(
    photo: Photo, target: str | Path | BinaryIO, *, format: str | None = None, quality: int = 95
) -> None:
    """Write a photo: to a path, whole or not at all, as its suffix says; or to an open binary file as `format`
    (default: the photo's own) says.

    Where the type holds 8 bits only, 16 are rounded; `quality` (1 to 100) is that of JPEG, WebP and HEIC.

    Raises:
        ValueError: the type is unknown or cannot hold the photo's alpha channel or size; the message says what can.
        OSError: naming the path, where it cannot be written (a full disk, for example); what stood there before stays.
    """
    if not isinstance(target, (str, Path)):
        target.write(_put_together(photo, format or photo.format, quality))
        return
    write_whole(target, _put_together(photo, format or format_of(target), quality, str(target)))


def write_whole(target: str | Path, content: bytes) -> None:
    """Write a file whole or not at all, with its folder. Raises OSError, naming the path; see `write_photo`."""
    target = Path(target)
    partial = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the name without the content
        partial.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def format_of(path: str | Path) -> str:
    """Pillow's word for the type that a file name asks for. Raises ValueError for one that is not written."""
    suffix = Path(path).suffix.lower()
    if suffix not in PHOTO_SUFFIXES:
        raise ValueError(f"{path}: the name must end in one of {', '.join(PHOTO_SUFFIXES)}")
    return _FORMATS.get(suffix, suffix.lstrip(".").upper())


# ---------------------------------------------------------------------------------------------- inside


class _Refused(ValueError):
    """A picture that can be read and is not taken."""


def _know_heif(name: str, stored: bytes = b"") -> None:
    if Path(name).suffix.lower() not in _HEIF and stored[4:12] not in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise ValueError(f"{name}: HEIC needs a plug-in: pip install pillow-heif") from error
    pillow_heif.register_heif_opener()


def _taken_apart(image: Image.Image, stored: bytes, name: str) -> Photo:
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    orientation, exif = read_tags(image)
    xmp = image.info.get("xmp")  # of a TIFF: loading takes the orientation out of it
    raw = str(image.tile)  # gone once it is loaded
    image.load()
    if kind != "TIFF":  # a PNG's words may stand behind its pixels
        (orientation, exif), xmp = read_tags(image), image.info.get("xmp")
    known: dict[str, Any] = {
        "name": name,
        "format": kind,
        "exif": exif,
        "icc": image.info.get("icc_profile") or None,
        "xmp": upright_xmp(xmp),
        "dpi": _dots(image.info.get("dpi")),
    }
    if (kind == "PNG" and stored[24] == 16) or (";16" in raw and not image.mode.startswith("I")):
        if image.mode not in ("L", "I", "I;16", "LA", "RGB", "RGBA"):
            raise _Refused(f"16-bit {image.mode} is not taken; save it as 16-bit RGB or with 8 bits")
        two = kind == "PNG" and stored[25] == 4  # OpenCV gives grey with alpha as RGBA
        if kind == "TIFF":  # which OpenCV turns, asked or not
            stored = upright(stored)[1]
        return _of_channels(_turned(_sixteen_bits(stored, two), orientation), 16, **known)
    if kind == "TIFF":
        orientation = 1  # Pillow has turned it
    if image.mode == "F":
        raise _Refused("floating-point pixels have no agreed range; save it as 8 or 16 bit")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        if grey.size and (grey.min() < 0 or grey.max() > 65535):
            raise _Refused(f"integer pixels span {grey.min()}..{grey.max()}, expected 0..65535")
        return _of_channels(_turned(grey.astype(np.uint16), orientation), 16, **known)
    if image.mode == "LAB":
        raise _Refused("Lab pixels are not taken; save it as RGB")
    if image.mode == "CMYK":
        image, known["icc"] = _from_cmyk(image, known["icc"]), None
    see_through = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if grey else "RGBA") if see_through else ("L" if grey else "RGB")
    return _of_channels(_turned(np.asarray(image.convert(mode)), orientation), 8, **known)


def _dots(dpi: Any) -> tuple[float, float] | None:
    """Pixels per inch that a file may be written with; what programs write who know none, (1, 1) and 0, is None."""
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 < across < 65536 and 1 < down < 65536 else None


def _of_channels(values: np.ndarray, depth: int, **known: Any) -> Photo:
    """From `(H, W)` or `(H, W, C)`: grey, grey and alpha, RGB or RGBA."""
    values = values[..., None] if values.ndim == 2 else values
    channels = values.shape[2]
    colour = values[..., : channels - 1] if channels in (2, 4) else values
    pixels = colour.astype(np.float32) / np.float32(2**depth - 1)
    return Photo(
        pixels=np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))),
        depth=depth,
        grey=channels < 3,
        alpha=np.ascontiguousarray(values[..., -1]) if channels in (2, 4) else None,
        **known,
    )


def _sixteen_bits(stored: bytes, two: bool) -> np.ndarray:
    """The channels of a file of 16 bits each, `(H, W, C)` uint16 in the order of RGBA; with `two`, grey and alpha."""
    values = cv2.imdecode(
        np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if values is None or values.dtype != np.uint16:
        raise ValueError("its 16-bit channels cannot be decoded")
    if values.ndim == 2:
        return values[..., None]
    values = np.concatenate([values[..., 2::-1], values[..., 3:]], axis=2)
    return values[..., [0, 3]] if two and values.shape[2] == 4 else values


def _turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """An array upright, as EXIF says that it lies (2 to 8; others: as it is)."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def _from_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    if icc is not None:
        try:
            return ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(icc)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that cannot be read: as without one
    return image.convert("RGB")


def _put_together(photo: Photo, kind: str, quality: int, name: str = "the picture") -> bytes:
    if photo.alpha is not None and kind in _NO_ALPHA:
        raise ValueError(
            f"{name}: {kind} holds no alpha channel, and {photo.name} has one; write PNG or WebP"
        )
    depth = photo.depth if kind in ("PNG", "TIFF") else 8
    colours = photo.colours(depth)
    if photo.alpha is not None:
        alpha = photo.alpha if depth == photo.depth else np.rint(photo.alpha / 257).astype(np.uint8)
        if (
            kind == "TIFF" and depth == 16 and photo.grey
        ):  # no reader that we know takes grey with alpha there
            colours = np.dstack([colours] * 3)
        colours = np.dstack([colours, alpha])
    words = {"icc": photo.icc, "exif": photo.exif, "xmp": photo.xmp}
    words["exif"] = photo.exif.removeprefix(PREFIX) if photo.exif else None
    _know_heif(".heic" if kind == "HEIF" else name)
    try:
        if kind == "TIFF":
            return tiff_file(colours, **words, dpi=photo.dpi)
        if kind == "PNG" and depth == 16:
            return png_file(colours, **words, dpi=photo.dpi)
        file = io.BytesIO()
        Image.fromarray(colours).save(file, kind, **_options(kind, words, photo.dpi, quality))
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ValueError(f"{name}: {kind} cannot hold {photo.name} ({error}); write PNG") from error
    return file.getvalue()


def _options(
    kind: str, words: dict[str, bytes | None], dpi: tuple[float, float] | None, quality: int
) -> dict[str, Any]:
    """What Pillow's writers take."""
    options: dict[str, Any] = {"dpi": dpi} if dpi is not None else {}
    if kind == "BMP":
        return options
    given = {
        "icc_profile": words["icc"],
        "exif": words["exif"] and PREFIX + words["exif"],
        "xmp": words["xmp"],
    }
    options |= {name: value for name, value in given.items() if value}
    if kind == "PNG" and words["xmp"]:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", words["xmp"].decode("utf-8", "replace"))
    if kind in ("JPEG", "WEBP", "HEIF"):
        options["quality"] = quality
    if kind == "JPEG":
        options["subsampling"] = 0
    return options
