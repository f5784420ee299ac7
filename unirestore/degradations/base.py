"""What every degradation is: a frozen record of parameters that turns a clean photo into a degraded one.

A subclass is a frozen, keyword-only dataclass (its fields are its configuration, its manifest and its schema)
that implements `apply(image, rng, scene)`. The base class checks the input once, converts it, derives the
random generator from the seed and converts back:

    effect = Haze(severity=4)
    hazy = effect(photo, seed=7)                      # photo uint8 or float32, same type back
    line = json.dumps(effect.to_manifest(7))
    effect, seed = from_manifest(json.loads(line))    # effect(photo, seed=seed) equals hazy bit for bit

The severity idea (five presets per corruption) follows Hendrycks and Dietterich, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations", ICLR 2019, arXiv:1903.12261; no code of theirs is used.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from . import geometry
from .light import to_linear
from .noise_fields import generator

REGISTRY: dict[str, type[Degradation]] = {}
SEVERITIES = (1, 2, 3, 4, 5)
DEFAULT_SEVERITY = 3
_LEVELS = np.arange(256, dtype=np.float32) * np.float32(1 / 255)  # as `to_float_rgb` makes them


class Scene:
    """What is known about a photo beside its pixels; depth is made on first use.

    Args:
        shape: (H, W).
        seed: seed of the stand-in depth.
        depth: (H, W) metres, or None.
        label_map: (H, W) integer class ids, or None.
        class_names: names of the ids in `label_map`.
        image: (H, W, 3) float32 sRGB, whose edges a guessed depth follows.
        levels: (H, W, 3) uint8, what `image` was made of, or None.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        seed: int,
        depth: np.ndarray | None = None,
        label_map: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        image: np.ndarray | None = None,
        levels: np.ndarray | None = None,
    ) -> None:
        self.shape, self.seed, self.image, self._levels = shape, seed, image, levels
        self.label_map, self.class_names = label_map, class_names
        self._depth = depth
        self.knows_depth = depth is not None or label_map is not None  # given, not guessed from the pixels
        self._make: Callable[[], np.ndarray] | None = None  # the depth, where it follows from another scene's

    @property
    def depth(self) -> np.ndarray:
        """(H, W) float32 metres: as given, from the label map, or guessed."""
        if self._depth is None:
            from . import depth as depth_sources

            if self._make is not None:
                self._depth = self._make()
            elif self.label_map is not None:
                self._depth = depth_sources.from_label_map(self.label_map, self.class_names, self.seed)
            elif self.image is not None:
                self._depth = depth_sources.guess(self.image, self.seed)
            else:
                self._depth = depth_sources.ground_plane(self.shape, self.seed)
        return self._depth

    def linear(self, image: np.ndarray) -> np.ndarray:
        """`light.to_linear(image)`, by a table of 256 where `image` is the photo itself in 8 bits; a new array."""
        if self._levels is None or image is not self.image:
            return to_linear(image)
        return cv2.LUT(self._levels, to_linear(_LEVELS))

    def warped(self, field: np.ndarray | None) -> Scene:
        """The scene after an effect that moved its pixels by `field` (see `Degradation.sampling_map`)."""
        if field is None:
            return self
        labels = None if self.label_map is None else geometry.warp_map(self.label_map, field)
        moved = Scene(self.shape, self.seed, None, labels, self.class_names, self.image)
        moved.knows_depth = self.knows_depth
        moved._make = lambda: geometry.warp_map(self.depth, field)
        return moved

    def resized(self, shape: tuple[int, int], image: np.ndarray) -> Scene:
        """The scene at another size (H, W); `image` is the photo at that size."""
        if tuple(shape) == tuple(self.shape):
            return self
        labels = None if self.label_map is None else geometry.resize_map(self.label_map, shape)
        scene = Scene(shape, self.seed, None, labels, self.class_names, image)
        scene.knows_depth = self.knows_depth
        scene._make = lambda: geometry.resize_map(self.depth, shape)
        return scene


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """Base of all degradations; see the module header. Subclasses register themselves by class name."""

    severity: int | None = None

    presets: ClassVar[dict[str, tuple]] = {}  # field -> its value at severity 1..5
    moves_pixels: ClassVar[bool] = False  # True: content is displaced, and `sampling_map` says from where

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "apply" not in cls.__dict__:  # a shared part, not an effect
            return
        if cls.__name__ in REGISTRY and REGISTRY[cls.__name__].__module__ != cls.__module__:
            raise ValueError(
                f"a degradation named {cls.__name__!r} exists already; choose another class name"
            )
        REGISTRY[cls.__name__] = cls

    def __post_init__(self) -> None:
        if self.severity is not None and self.severity not in SEVERITIES:
            raise ValueError(f"severity must be one of {SEVERITIES} or None, got {self.severity!r}")
        level = (self.severity or DEFAULT_SEVERITY) - 1
        for name, values in self.presets.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, values[level])
        # JSON has lists where we have tuples, numpy scalars come from draws
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))
        self.check()

    def check(self) -> None:
        """Raise ValueError when a parameter is out of range. Subclasses override it."""

    @classmethod
    def presets_at(cls, level: float) -> dict[str, float]:
        """Every field of `presets` at `level`, 0 (severity 1) to 4 (severity 5), straight between those."""
        return {name: float(np.interp(level, range(5), steps)) for name, steps in cls.presets.items()}

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        """Degrade (H, W, 3) float32 sRGB in [0, 1]; may leave that range, must not write into `image`."""
        raise NotImplementedError(f"{type(self).__name__} has no apply()")

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """`apply` on (H, W, 3) uint8 RGB, same type back, `image` untouched; None leaves it to `apply`.

        For effects that need no scene and save the detour over float; at most one grey level
        from what `apply` gives with the same `rng`.
        """
        return None

    def sampling_map(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
        """Where each pixel of the result comes from, for effects with `moves_pixels = True`.

        `apply` must call it with its own fresh `rng` before any other draw and sample the photo with it
        (`cv2.remap(image, field, None, ...)`), so that boxes and label maps follow the very same field.

        Args:
            shape: (H, W).
            rng: as `apply` gets it.

        Returns:
            (H, W, 2) float32 positions (x, y) in the input, in pixels with 0 at the first pixel's centre, or
            None when nothing moves.
        """
        if self.moves_pixels:
            raise NotImplementedError(f"{type(self).__name__} moves pixels but has no sampling_map()")
        return None

    def warp_boxes(self, boxes: np.ndarray, shape: tuple[int, int], *, seed: int) -> np.ndarray:
        """(N, 4) float32 boxes (x1, y1, x2, y2) of a photo of `shape` as they lie after the call with `seed`.

        A box that has left the picture comes back with no area, at its place in the order.
        """
        return geometry.warp_boxes(boxes, self.sampling_map(shape, self._generator(seed)), shape)

    def warp_points(self, points: np.ndarray, shape: tuple[int, int], *, seed: int) -> np.ndarray:
        """(N, 2) float32 points x, y (see `geometry.warp_points`) of a photo of `shape` after the call with `seed`."""
        return geometry.warp_points(points, self.sampling_map(shape, self._generator(seed)))

    def warp_map(self, label_map: np.ndarray, *, seed: int, fill: int | None = None) -> np.ndarray:
        """(H, W) label map (nearest, never mixed) as it lies after the call with `seed`.

        What comes from outside the picture gets `fill`, or with None what the mirrored picture shows there.
        """
        field = self.sampling_map(np.asarray(label_map).shape[:2], self._generator(seed))
        return geometry.warp_map(label_map, field, fill)

    def _generator(self, seed: int) -> np.random.Generator:
        return generator(seed, zlib.crc32(type(self).__name__.encode()))

    def __call__(
        self,
        image: Any,
        *,
        seed: int,
        depth: np.ndarray | None = None,
        label_map: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Any:
        """Degrade one photo.

        Args:
            image: (H, W, 3) RGB, (H, W, 1) or (H, W) grey; uint8 in 0-255 or float32 in [0, 1]; or a torch
                tensor of those types, then (3, H, W), (1, H, W) or any of the shapes above.
            seed: integer >= 0; the same seed, parameters and input give the same bits.
            depth: (H, W) distance in metres, infinity allowed; None makes one (see `depth.guess`).
            label_map: (H, W) integer class ids; used for the depth when `depth` is None.
            class_names: name of each id in `label_map`; needed with it when `depth` is None.

        Returns:
            The degraded photo, of the same type, shape and dtype.

        Raises:
            TypeError or ValueError that hold what was passed and what is expected.
        """
        eight = _colour_bytes(image)
        pixels, restore = (eight, None) if eight is not None else to_float_rgb(image)
        shape = pixels.shape[:2]
        depth, label_map = _checked_maps(shape, depth, label_map, class_names)
        if eight is not None:
            out = self.apply_bytes(eight, self._generator(seed))
            if out is not None:
                return _like_bytes(out, image)
            pixels, restore = to_float_rgb(image)
        scene = Scene(shape, int(seed), depth, label_map, class_names, pixels, eight)
        return restore(self.apply(pixels, self._generator(seed), scene))

    def parameters(self) -> dict[str, Any]:
        """Concrete parameters by name, as JSON can hold them."""
        return {f.name: _jsonable(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def to_manifest(self, seed: int) -> dict[str, Any]:
        """`{"type", "params", "seed"}`: all that is needed to do it again."""
        return {"type": type(self).__name__, "params": self.parameters(), "seed": int(seed)}

    @classmethod
    def from_parameters(cls, params: dict[str, Any]) -> Degradation:
        """The inverse of `parameters`."""
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(params) - known)
        if unknown:
            raise ValueError(f"{cls.__name__} has no parameter {unknown}; it has {sorted(known)}")
        return cls(**params)


def from_manifest(entry: dict[str, Any]) -> tuple[Degradation, int]:
    """Rebuild `(effect, seed)` from a manifest line. Raises ValueError when the line is not one."""
    missing = [key for key in ("type", "params", "seed") if key not in entry]
    if missing:
        raise ValueError(f"manifest entry lacks {missing}; it has {sorted(entry)}")
    return build(entry), int(entry["seed"])


def build(entry: dict[str, Any]) -> Degradation:
    """The effect of `{"type", "params"}`. Raises ValueError for a type that is not registered."""
    name = entry["type"]
    if name not in REGISTRY:
        raise ValueError(f"unknown degradation {name!r}; known: {sorted(REGISTRY)}")
    return REGISTRY[name].from_parameters(entry["params"])


def _checked_maps(
    shape: tuple[int, int],
    depth: np.ndarray | None,
    label_map: np.ndarray | None,
    class_names: Sequence[str] | None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """`depth` as float32 and `label_map` as an array. Raises ValueError where they do not fit the photo."""
    if depth is not None:
        depth = np.ascontiguousarray(depth, dtype=np.float32)
        if depth.shape != shape:
            raise ValueError(f"depth is {depth.shape}, the photo is {shape}; resize the depth to the photo")
        if not depth.min() >= 0:  # also NaN
            raise ValueError("depth must be in metres, >= 0 and without NaN; use infinity for the sky")
    if label_map is not None:
        label_map = np.asarray(label_map)
        if label_map.shape != shape:
            raise ValueError(f"label_map is {label_map.shape}, the photo is {shape}; resize it (nearest)")
        if depth is None and class_names is None:
            raise ValueError("label_map without class_names: pass class_names, or pass depth")
    return depth, label_map


def to_float_rgb(image: Any) -> tuple[np.ndarray, Any]:
    """`(H, W, 3) float32 in [0, 1]` and the function that brings a result back to the type of `image`."""
    if hasattr(image, "detach"):  # a torch tensor, recognised without importing torch
        array = image.detach().cpu().numpy()
        channels_first = array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3)
        channels_first |= array.ndim == 3 and array.shape[0] == 3
        pixels, restore = to_float_rgb(array.transpose(1, 2, 0) if channels_first else array)

        def back(out: np.ndarray) -> Any:
            result = restore(out)
            return _as_tensor(result.transpose(2, 0, 1) if channels_first else result, image)

        return pixels, back
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image must be a numpy array or a torch tensor, got {type(image).__name__}")
    dtype, shape = image.dtype, image.shape
    if dtype not in (np.uint8, np.float32):
        raise TypeError(f"image must be uint8 (0-255) or float32 (0-1), got {dtype}")
    if not (image.ndim == 2 or (image.ndim == 3 and shape[2] in (1, 3))) or min(shape[:2]) < 1:
        raise ValueError(f"image must be (H, W, 3), (H, W, 1) or (H, W) and not empty, got {shape}")
    grey = image.ndim == 2 or shape[2] == 1
    planes = np.repeat(image.reshape(*shape[:2], 1), 3, axis=2) if grey else image
    if dtype == np.uint8:
        pixels = np.multiply(planes, np.float32(1 / 255), dtype=np.float32)
    else:
        low, high = float(planes.min()), float(planes.max())
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise ValueError(f"float32 image must lie in [0, 1], got {low:.3g} to {high:.3g}; divide by 255?")
        pixels = np.ascontiguousarray(planes)

    def restore(out: np.ndarray) -> np.ndarray:
        if grey:
            out = cv2.cvtColor(np.ascontiguousarray(out, dtype=np.float32), cv2.COLOR_RGB2GRAY)
        out = out.reshape(shape)
        if dtype == np.uint8:
            return to_bytes(np.clip(np.asarray(out, np.float32), 0, 1)).reshape(shape)
        return np.clip(out, 0, 1).astype(np.float32, copy=False)

    return pixels, restore


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """uint8 of float32 pixels in [0, 1], which is not checked; halves go to the even level."""
    return cv2.convertScaleAbs(pixels, alpha=255).reshape(pixels.shape)


def _colour_bytes(image: Any) -> np.ndarray | None:
    """(H, W, 3) uint8 for an 8-bit colour array of that shape or a tensor of (3, H, W); else None."""
    if getattr(image, "ndim", 0) != 3 or min(image.shape) < 1:
        return None
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(image) if image.dtype == np.uint8 and image.shape[2] == 3 else None
    if hasattr(image, "detach") and str(image.dtype) == "torch.uint8" and image.shape[0] == 3:
        return np.ascontiguousarray(image.detach().cpu().numpy().transpose(1, 2, 0))
    return None


def _like_bytes(out: np.ndarray, image: Any) -> Any:
    """(H, W, 3) uint8 in the shape and kind of `image`, of which `_colour_bytes` made it."""
    if isinstance(image, np.ndarray):
        return out.reshape(image.shape)
    return _as_tensor(out.transpose(2, 0, 1), image)


def _as_tensor(pixels: np.ndarray, like: Any) -> Any:
    """A tensor of `pixels`, of the type and on the device of the tensor `like`."""
    tensor = like.new_empty(pixels.shape, device="cpu")
    tensor.numpy()[...] = pixels
    return tensor.to(like.device)


def require(condition: bool, message: str) -> None:
    """Raise ValueError(message) unless `condition`."""
    if not condition:
        raise ValueError(message)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return tuple(_plain(v) for v in value)
    return value


def _jsonable(value: Any) -> Any:
    if isinstance(value, Degradation):
        return {"type": type(value).__name__, "params": value.parameters()}
    if isinstance(value, tuple):
        return [_jsonable(v) for v in value]
    return value
