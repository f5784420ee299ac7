"""One photo degraded by a recipe, one line written about it, and the same photo made again from the line.

A line of a manifest (JSON lines) is everything but the input pixels:

    {"file": "a/b.jpg", "out": "a/b.png", "copy": 0, "type": "Haze", "params": {...}, "seed": 123,
     "depth": null, "max_side": null, "input": "sha256", "output": "sha256", "moves_pixels": false,
     "made_with": "numpy 2.2.6, OpenCV 4.12.0, Pillow 11.3.0, x86_64"}

With a depth, `input_depth` is its SHA-256.

`input` and `output` are the SHA-256 of size and pixels (RGB, 8 bit), not of the file, because two releases of
an image library may write the same pixels as different bytes. A PNG written by the same release of Pillow is the
same file too. Everything is computed in `portable()` arithmetic, so the pixels are the same on every x86-64
processor; they can be one level of 255 from those of an effect called without it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from PIL import Image, features

from unirestore.data.images import fit_depth, read_depth, read_image
from unirestore.version import __version__

from .base import from_manifest, require
from .depth import FAR
from .portable import portable

FORMATS = {"png": ".png", "jpg": ".jpg", "webp": ".webp"}
LINE_KEYS = ("file", "out", "type", "params", "seed", "input", "output")
_TEXT = ("file", "out", "type", "input", "output")


def item_seed(seed: int, name: str, copy: int = 0) -> int:
    """Seed in [0, 2^63) of copy `copy` of the photo called `name`; depends on nothing else, not on the order."""
    digest = hashlib.sha256(f"{int(seed)}/{int(copy)}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def pixel_hash(image: np.ndarray) -> str:
    """SHA-256 of an array (H, W, ...), a picture or a depth: its size and its values."""
    size = f"{image.shape[0]}x{image.shape[1]}:".encode()
    return hashlib.sha256(size + np.ascontiguousarray(image).tobytes()).hexdigest()


@portable()
def load_photo(
    path: str | Path, depth: str | Path | None = None, max_side: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """A photo (H, W, 3) uint8 and its depth (H, W) float32 metres or None, at most `max_side` pixels a side.

    Raises:
        ValueError or OSError that names the file which cannot be read, or does not fit (see `fit_depth`), or whose
            name no manifest can hold.
    """
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    require(shown == str(path), f"{shown}: the name of the file is not UTF-8; rename it")
    image = read_image(path)
    metres = None if depth is None else fit_depth(read_depth(depth), image.shape[:2], depth)
    if max_side is not None and max(image.shape[:2]) > max_side:
        ratio = max_side / max(image.shape[:2])
        size = tuple(max(1, round(side * ratio)) for side in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if metres is not None:
        metres = np.minimum(metres, np.float32(FAR))
        if metres.shape != image.shape[:2]:
            metres = cv2.resize(metres, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return image, metres


@portable()
def degrade_photo(
    image: np.ndarray, recipe: Any, *, name: str, seed: int, copy: int = 0, depth: np.ndarray | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """A degraded photo and the part of its line that says how.

    Args:
        image: (H, W, 3) uint8 RGB.
        recipe: what has `draw(seed)`, see `recipes.load_recipe`.
        name: name of the photo, on which the draw depends.
        seed: seed of the whole set.
        copy: number of the copy of this photo.
        depth: (H, W) metres or None.

    Raises:
        ValueError that names the photo, where the drawn parameters do not fit or the effect fails for its own.
    """
    own = item_seed(seed, name, copy)
    with _named(name):
        effect = recipe.draw(own)
    with _named(f"{name}: {type(effect).__name__}"):
        degraded = effect(image, seed=own, depth=depth)
    line = effect.to_manifest(own)
    line.update(input=pixel_hash(image), output=pixel_hash(degraded), moves_pixels=bool(effect.moves_pixels))
    if depth is not None:
        line["input_depth"] = pixel_hash(np.asarray(depth, np.float32))
    line["made_with"] = made_with()
    return degraded, line


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Turns what goes wrong within (ValueError or TypeError) into a ValueError that begins with `what`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error


def made_with() -> str:
    """What the bits of a picture depend on beside the line of its manifest: libraries and the kind of processor."""
    return f"numpy {np.__version__}, OpenCV {cv2.__version__}, {_codecs()}, {platform.machine()}"


@cache
def _codecs() -> str:
    """What reads photos and writes codecs: Pillow with its JPEG decoder, and PyAV where it is installed."""
    found = [
        f"Pillow {PIL.__version__}",
        f"libjpeg-turbo {features.version_feature('libjpeg_turbo') or 'none'}",
    ]
    with suppress(PackageNotFoundError):
        found.append(f"PyAV {version('av')}")
    return ", ".join(found)


@portable()
def replay_photo(image: np.ndarray, line: Mapping[str, Any], depth: np.ndarray | None = None) -> np.ndarray:
    """The degraded photo of `line`, (H, W, 3) uint8.

    Raises:
        ValueError when `image` is not the photo of the line, or what comes out is not what the line says.
    """
    found = pixel_hash(image)
    require(
        found == line["input"],
        f"{line['file']}: this is another photo than the manifest's, or it was decoded by another Pillow (pixels "
        f"{found[:12]}, expected {str(line['input'])[:12]}); replay needs the original; {_versions(line)}",
    )
    known, found = (
        line.get("input_depth"),
        None if depth is None else pixel_hash(np.asarray(depth, np.float32)),
    )
    require(
        known is None or found == known,
        f"{line['file']}: {line.get('depth') or 'this'} is another depth than the manifest's (metres "
        f"{'none' if found is None else found[:12]}, expected {str(known)[:12]}); replay needs the original",
    )
    try:
        effect, seed = from_manifest(dict(line))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{line['file']}: the manifest's params do not make a {line['type']} ({error})"
        ) from error
    with _named(f"{line['file']}: {line['type']}"):
        degraded = effect(image, seed=seed, depth=depth)
    found = pixel_hash(degraded)
    require(
        found == line["output"],
        f"{line['file']}: made other pixels ({found[:12]}) than the manifest's ({str(line['output'])[:12]}); "
        f"{_versions(line)}",
    )
    return degraded


def _versions(line: Mapping[str, Any]) -> str:
    return (
        f"it was made with {line.get('made_with', 'a release that did not say')} and unirestore "
        f"{line.get('unirestore', '?')}, this is {made_with()} and unirestore {__version__}"
    )


def write_picture(path: str | Path, image: np.ndarray, quality: int = 95) -> None:
    """Write (H, W, 3) uint8 RGB as the suffix of `path` says, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            save_picture(file, image, path.suffix.lstrip("."), quality)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno is None:  # Pillow's own
            raise OSError(f"{path}: could not be written ({error}); is the disk full?") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


def save_picture(file: Any, image: np.ndarray, kind: str, quality: int = 95) -> None:
    """Write (H, W, 3) uint8 RGB to an open binary file as "png", "jpg" or "webp" (lossy ones at `quality`)."""
    require(kind in FORMATS, f"picture format must be one of {sorted(FORMATS)}, got {kind!r}")
    if kind == "png":
        Image.fromarray(image).save(file, "PNG", compress_level=3)
    elif kind == "jpg":
        Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=0)
    else:
        Image.fromarray(image).save(file, "WEBP", quality=quality)


def dump_line(line: Mapping[str, Any]) -> str:
    """One line of a manifest with its newline; equal lines give equal text."""
    try:
        return json.dumps(line, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        raise ValueError(
            f"{line.get('file')}: a parameter of {line.get('type')} is infinite or NaN, which no manifest can "
            f"hold: {str(line.get('params'))[:200]}"
        ) from error


def read_manifest(path: str | Path, *, partial: bool = False) -> list[dict[str, Any]]:
    """The lines of a manifest.

    Args:
        path: JSON lines.
        partial: True drops a last line that was cut off (the writer was stopped).

    Raises:
        FileNotFoundError, or ValueError that names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no manifest at {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a manifest, it is not UTF-8 ({error})") from error
    if partial:
        text = text[: text.rfind("\n") + 1]
    return list(_parsed(text.split("\n"), path))


def _parsed(rows: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            line = json.loads(row)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error})") from error
        lacking = [key for key in LINE_KEYS if not isinstance(line, dict) or key not in line]
        require(not lacking, f"{path}, line {number}: lacks {lacking}")
        wrong = _wrong(line)
        require(not wrong, f"{path}, line {number}: {wrong}")
        yield line


def _wrong(line: Mapping[str, Any]) -> str:
    """What is of the wrong type in a line, or nothing."""
    kinds = {key: (isinstance(line[key], str), "text") for key in _TEXT}
    suffix = Path(line["out"].rpartition("#")[2]).suffix if kinds["out"][0] else None
    kinds["out"] = suffix in FORMATS.values(), "the name of a .jpg, .png or .webp"
    kinds["params"] = isinstance(line["params"], dict), "an object"
    kinds["seed"] = _whole(line["seed"], 0), "an integer >= 0"
    for key, top in (("max_side", None), ("quality", 100)):
        value = line.get(key)
        words = "null or an integer >= 1" if top is None else f"null or an integer from 1 to {top}"
        kinds[key] = value is None or _whole(value, 1, top), words
    kinds["depth"] = line.get("depth") is None or isinstance(line["depth"], str), "null or text"
    return "; ".join(
        f"{key} must be {words}, got {line[key]!r:.60}" for key, (good, words) in kinds.items() if not good
    )


def _whole(value: Any, low: int, top: int | None = None) -> bool:
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
    return fits and (top is None or value <= top)
