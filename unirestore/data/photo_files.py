"""A photo file taken apart for a restorer and put together again: nothing that is not pixels is lost.

`read_photo` keeps what the file says beside its colours: alpha, grey or colour, 8 or 16 bits, ICC profile and EXIF.
The EXIF orientation is applied to the pixels and taken out of the tags, as viewers would apply it again. `write_photo`
puts restored colours in the place of the old ones. `data.images.read_image` is the smaller sister for training, where
nothing goes back into a file. Pillow reads and writes; 16-bit colour, which it cannot, is read by OpenCV and written
here (PNG alone). Apache-2.0.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

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
_ORIENTATION = 0x0112
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
        exif: the EXIF tags without the orientation, or None.
    """

    pixels: np.ndarray
    name: str
    format: str
    depth: int = 8
    grey: bool = False
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None

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
            attack, animated, of floating-point pixels, of 16-bit colour but no PNG, or HEIC without the package.
    """
    name = str(source if name is None and not isinstance(source, bytes) else name or "the picture")
    if isinstance(source, bytes):
        stored = source
    else:
        if not Path(source).is_file():
            raise FileNotFoundError(f"{source}: no such image file")
        stored = Path(source).read_bytes()
    _know_heif(name)
    try:
        image = Image.open(io.BytesIO(stored))
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # phones add previews to a JPEG: MPO
            raise _Refused(f"it holds {image.n_frames} pictures; split it into files of one")
        tile = str(image.tile)  # gone once it is loaded
        image.load()
        return _taken_apart(image, stored, name, tile)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        UnidentifiedImageError,
        Image.DecompressionBombError,
    ) as error:
        if isinstance(error, _Refused):
            raise ValueError(f"{name}: {error}") from None
        if isinstance(error, UnidentifiedImageError):
            raise ValueError(f"{name}: no picture of a type that is known here, or it is damaged") from None
        if isinstance(error, Image.DecompressionBombError):
            raise ValueError(
                f"{name}: {error}; if you trust the file, raise PIL.Image.MAX_IMAGE_PIXELS or make it smaller"
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
    target = Path(target)
    content = _put_together(photo, format or format_of(target), quality, str(target))
    partial = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(target)) from error


def format_of(path: str | Path) -> str:
    """Pillow's word for the type that a file name asks for. Raises ValueError for one that is not written."""
    suffix = Path(path).suffix.lower()
    if suffix not in PHOTO_SUFFIXES:
        raise ValueError(f"{path}: the name must end in one of {', '.join(PHOTO_SUFFIXES)}")
    return _FORMATS.get(suffix, suffix.lstrip(".").upper())


# ---------------------------------------------------------------------------------------------- inside


class _Refused(ValueError):
    """A picture that can be read and is not taken."""


def _know_heif(name: str) -> None:
    if Path(name).suffix.lower() not in _HEIF:
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise ValueError(f"{name}: HEIC needs a plug-in: pip install pillow-heif") from error
    pillow_heif.register_heif_opener()


def _taken_apart(image: Image.Image, stored: bytes, name: str, tile: str) -> Photo:
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    orientation = image.getexif().get(_ORIENTATION, 1)
    known: dict[str, Any] = {
        "name": name,
        "format": kind,
        "exif": _upright_tags(image),
        "icc": image.info.get("icc_profile"),
    }
    if kind != "PNG" and ";16" in tile and image.mode in ("RGB", "RGBA", "LA"):
        raise _Refused("16-bit colour is read from PNG alone; save it as PNG or with 8 bits")
    deep = _deep_png(stored) if kind == "PNG" else None
    if deep is not None:
        return _of_channels(_turned(deep, orientation), 16, **known)
    if image.mode == "F":
        raise _Refused("floating-point pixels have no agreed range; save it as 8 or 16 bit")
    if image.mode.startswith("I"):
        grey = np.asarray(ImageOps.exif_transpose(image)).astype(np.int64)
        if grey.size and (grey.min() < 0 or grey.max() > 65535):
            raise _Refused(f"integer pixels span {grey.min()}..{grey.max()}, expected 0..65535")
        return _of_channels(grey.astype(np.uint16), 16, **known)
    if image.mode == "CMYK":
        image, known["icc"] = _from_cmyk(image, known["icc"]), None
    image = ImageOps.exif_transpose(image)
    see_through = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if grey else "RGBA") if see_through else ("L" if grey else "RGB")
    return _of_channels(np.asarray(image.convert(mode)), 8, **known)


def _upright_tags(image: Image.Image) -> bytes | None:
    """The EXIF tags without the orientation, which goes into the pixels; None for none."""
    tags = Image.Exif()
    if len(image.getexif()):
        tags.load(image.getexif().tobytes())  # a copy: `exif_transpose` still needs the image's own
        tags.pop(_ORIENTATION, None)
    return tags.tobytes() if len(tags) else None


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


def _deep_png(stored: bytes) -> np.ndarray | None:
    """The channels of a PNG of 16 bits, `(H, W, C)` uint16 in the order of RGBA; None for other depths."""
    if len(stored) < 26 or stored[24] != 16:  # IHDR: width, height, bits, colour type
        return None
    values = cv2.imdecode(
        np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if values is None or values.dtype != np.uint16:
        raise ValueError("its 16-bit channels cannot be decoded")
    if values.ndim == 2:
        return values[..., None]
    values = np.concatenate([values[..., 2::-1], values[..., 3:]], axis=2)
    # OpenCV gives grey with alpha as three equal channels and alpha
    return values[..., [0, 3]] if stored[25] == 4 and values.shape[2] == 4 else values


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
    deep_grey = photo.grey and photo.alpha is None
    depth = photo.depth if kind == "PNG" or (kind == "TIFF" and deep_grey) else 8
    colours = photo.colours(depth)
    if photo.alpha is not None:
        alpha = photo.alpha if depth == photo.depth else np.rint(photo.alpha / 257).astype(np.uint8)
        colours = np.dstack([colours, alpha])
    if depth == 16 and kind == "PNG":
        return _deep_png_file(photo, colours)
    options: dict[str, Any] = {}
    if photo.icc is not None and kind != "BMP":
        options["icc_profile"] = photo.icc
    if photo.exif is not None and kind != "BMP":
        options["exif"] = photo.exif
    if kind in ("JPEG", "WEBP", "HEIF"):
        options["quality"] = quality
    if kind == "JPEG":
        options["subsampling"] = 0
    if kind == "TIFF":
        options["compression"] = "tiff_lzw"
    _know_heif(".heic" if kind == "HEIF" else name)
    file = io.BytesIO()
    try:
        Image.fromarray(colours).save(file, kind, **options)
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise ValueError(f"{name}: {kind} cannot hold {photo.name} ({error}); write PNG") from error
    return file.getvalue()


def _deep_png_file(photo: Photo, values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel out of `(H, W)` or `(H, W, C)` uint16 (PNG 3rd edition, sections 5, 9 and 11):
    neither Pillow nor OpenCV writes all of its kinds with profile and tags."""
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    rows = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))  # filter 2, "up", modulo 256
    rows = np.concatenate([np.full((height, 1), 2, np.uint8), rows], axis=1)
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    if photo.icc is not None:
        content += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(photo.icc))
    if photo.exif is not None:
        content += _chunk(b"eXIf", photo.exif.removeprefix(b"Exif\0\0"))
    return content + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 4)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
