"""Photos in, photos out: a restorer for people who have photos, not tensors.

    pipe = RestorationPipeline.from_pretrained("tiny")
    pipe("foggy.jpg").save("restored.jpg")                          # a Pillow image comes back
    pipe.restore_file("foggy.jpg", "restored.jpg", task="det")      # keeps EXIF, ICC, alpha, grey, 16 bits

The network is `UniRestore`; what is added here is what stands around it: files, sizes, tiles, number types, colour, a
fidelity knob, and words for what goes wrong. Apache-2.0.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from . import tiling
from .color_fix import COLOR_FIXES
from .data.photo_files import Photo, format_of, read_photo, write_photo, write_whole
from .models.accelerated import accelerate
from .models.gate import restore_where
from .models.loading import build_restorer
from .models.priors.base import MAX_INFERENCE_STEPS
from .models.unirestore import UniRestore
from .models.winograd import filters_kept

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Names of the number types that the network may be in; in "float16" only its prior is."""


class RestorationPipeline:
    """Restores photos with one network. Build it with `from_pretrained`, or around a `UniRestore` in memory.

    Args:
        model: the network; the pipeline uses it in evaluation mode and does not change it.
        accelerated: run a faster copy of it where it is on a CPU in float32, which gives the same up to rounding; see
            `models.accelerated`.
    """

    def __init__(self, model: UniRestore, *, accelerated: bool = True) -> None:
        self.model, self.accelerated = model.eval(), accelerated
        weight = next(model.parameters())
        fast = accelerated and weight.device.type == "cpu" and weight.dtype == torch.float32
        self._model = accelerate(model) if fast else model

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | dict[str, Any],
        *,
        dtype: str | torch.dtype = "float32",
        device: str | torch.device = "cpu",
        accelerated: bool = True,
    ) -> RestorationPipeline:
        """Loads weights by name, from a folder or from a hub id, or what else `build_restorer` takes.

        Args:
            dtype: "float32"; "bfloat16", half the memory, for GPUs and CPUs that have it; or "float16", in which only
                the prior runs, because activations of the autoencoder pass its largest number.
            device: where it runs.

        Raises ValueError for another dtype, and what `UniRestore.from_pretrained` raises.
        """
        kind = _number_type(dtype)
        model = build_restorer(name)
        # torch's own `to`: that of diffusers warns of a conversion that is meant
        nn.Module.to(model, device, _outside_prior(kind))
        model.prior.to(kind)
        return cls(model, accelerated=accelerated)

    def to_dtype(self, dtype: str | torch.dtype) -> RestorationPipeline:
        """A pipeline around a copy of the network in another number type, as `from_pretrained` would load it; itself
        where it is in that already. Copied are only the values whose type changes. From fewer bits to more nothing is
        regained. Raises ValueError for another dtype."""
        kind = _number_type(dtype)
        copies = {}
        for name, value in (*self.model.named_parameters(), *self.model.named_buffers()):
            wanted = kind if name.startswith("prior.") else _outside_prior(kind)
            if value.is_floating_point() and value.dtype != wanted:
                copy_ = value.detach().to(wanted)
                copies[id(value)] = nn.Parameter(copy_, False) if isinstance(value, nn.Parameter) else copy_
            else:
                copies[id(value)] = value
        if all(id(value) == number for number, value in copies.items()):
            return self
        return type(self)(copy.deepcopy(self.model, copies), accelerated=self.accelerated)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that the network has prompts for."""
        return self.model.tasks

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def __call__(
        self,
        photos: Any,
        task: str = "ir",
        *,
        strength: float = 1.0,
        tile: int | str | None = "auto",
        color_fix: str | None = None,
        seed: int = 0,
        steps: int = 1,
        gate: float | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> Any:
        """Restores one photo or a list of them, each at its own size from 1x1 up.

        Args:
            photos: a path, a Pillow image, an array `(H, W, 3)` RGB (uint8, or floating point in [0, 1]), a tensor
                `(3, H, W)` or `(B, 3, H, W)` RGB in [0, 1], a `Photo`, or a list of these.
            task: one of `tasks`: "ir" for people, "det" for a detector.
            strength: 1: what the network makes of the photo, 0: the photo, between: that much of the way.
            tile: restore in tiles of so many pixels a side; "auto": only where the memory there is asks for it; None:
                never. See `tiling`.
            color_fix: "adain" or "wavelet" takes a tint out, see `color_fix`; None leaves colours alone.
            seed: 0: the fixed noise that the network is deterministic with; another number draws the prior's noise.
            steps: of the prior, 1 to 4.
            gate: 0 to 1: photos that the network finds less likely degraded than this come back as they are, at a few
                percent of the price; None restores all. See `UniRestore.degradation`.
            dtype: number type of the network in this call, as for `from_pretrained`, by a copy that is converted for it
                and let go; None: the one it is in. For many calls take `to_dtype` once.

        Returns:
            For each photo the same kind as was given, a Pillow image for a path; pictures in [0, 1] or 8 bits (a
            Pillow image holds 16 bits of grey alone). EXIF, ICC and alpha stay on Pillow images and on `Photo`s.

        Raises:
            TypeError, ValueError for photos and options that cannot be used, FileNotFoundError for a missing file.
            FloatingPointError where the network gives NaN or infinity, naming the stage and what to do.
            MemoryError where memory runs out, naming the option that helps.
        """
        options = dict(
            task=task, strength=strength, tile=tile, color_fix=color_fix, seed=seed, steps=steps, gate=gate
        )
        if dtype is not None and (other := self.to_dtype(dtype)) is not self:
            return other(photos, **options)
        self.check(**options)
        if isinstance(photos, (list, tuple)):
            return [self._restore(photo, **options) for photo in photos]
        return self._restore(photos, **options)

    def restore_file(
        self,
        source: str | Path | bytes,
        target: Any,
        *,
        quality: int = 95,
        format: str | None = None,
        **options: Any,
    ) -> None:
        """Restores a photo file into another; what the file holds beside colours is kept, see `data.photo_files`. A
        photo that the `gate` lets pass is copied byte for byte where the type stays.

        Args:
            source: path, or the bytes of a file.
            target: path (its suffix says which type), or an open binary file.
            quality: 1 to 100, of JPEG, WebP and HEIC.
            format: the type, in place of the suffix.
            options: of the call.
        """
        photo = read_photo(source)
        restored = self(photo, **options)
        named = isinstance(target, (str, Path))
        kind = format or (format_of(target) if named else photo.format)
        passed = options.get("gate") is not None and np.array_equal(restored.pixels, photo.pixels)
        if not passed or kind != photo.format:
            write_photo(restored, target, format=format, quality=quality)
            return
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        if named:
            write_whole(target, content)
        else:
            target.write(content)

    def check(self, **options: Any) -> dict[str, Any]:
        """The options of the call as they are. Raises ValueError for one that cannot be."""
        task, strength, tile = (options[name] for name in ("task", "strength", "tile"))
        if task not in self.tasks:
            raise ValueError(f"unknown task {task!r}; this restorer has {', '.join(self.tasks)}")
        if not 0 <= strength <= 1:
            raise ValueError(
                f"strength must lie in [0, 1], 0 for the photo and 1 for the restored picture; got {strength}"
            )
        if tile not in ("auto", None) and (isinstance(tile, (bool, str)) or int(tile) != tile or tile < 1):
            raise ValueError(f'tile must be a number of pixels, "auto" or None, got {tile!r}')
        if options["color_fix"] is not None and options["color_fix"] not in COLOR_FIXES:
            raise ValueError(
                f"color_fix must be {', '.join(COLOR_FIXES)} or None, got {options['color_fix']!r}"
            )
        gate = options.get("gate")
        if gate is not None and not 0 <= gate <= 1:
            raise ValueError(f"gate must lie in [0, 1], or be None to restore every photo; got {gate}")
        if gate is not None and self.model.gate is None:
            raise ValueError("this restorer has no gate; take another, or train one with configs/gate.py")
        if options["steps"] not in range(1, MAX_INFERENCE_STEPS + 1):
            raise ValueError(f"steps must be 1 to {MAX_INFERENCE_STEPS}, got {options['steps']!r}")
        if isinstance(options["seed"], bool) or not isinstance(options["seed"], int) or options["seed"] < 0:
            raise ValueError(f"seed must be an integer from 0 up, got {options['seed']!r}")
        return options

    # ---------------------------------------------------------------- inside

    def _restore(self, photo: Any, **options: Any) -> Any:
        """One photo of any kind -> the same kind."""
        if isinstance(photo, (str, Path)):
            return _to_pillow(self._restore(read_photo(photo), **options))
        if isinstance(photo, Photo):
            return photo.with_pixels(self._restore(photo.pixels, **options))
        if isinstance(photo, Image.Image):
            return _to_pillow(self._restore(_from_pillow(photo), **options))
        if isinstance(photo, np.ndarray):
            if photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
                raise ValueError(f"an array must be (H, W, 3) RGB, got {photo.shape}")
            if photo.dtype != np.uint8 and not np.issubdtype(photo.dtype, np.floating):
                raise TypeError(f"an array must be uint8 or floating point in [0, 1], got {photo.dtype}")
            eight = photo.dtype == np.uint8
            values = torch.from_numpy(np.array(photo.transpose(2, 0, 1), order="C")).float()
            if eight:
                values /= 255
            restored = self._restore(values, **options).permute(1, 2, 0).numpy()
            return np.rint(restored * 255).astype(np.uint8) if eight else restored.astype(photo.dtype)
        if isinstance(photo, Tensor):
            if photo.ndim == 3:
                return self._restore(photo[None], **options)[0]
            return self._tensor(photo, **options).to(photo.device, photo.dtype)
        raise TypeError(
            f"a photo is a path, a Pillow image, an array, a tensor or a Photo, not {type(photo).__name__}"
        )

    @torch.inference_mode()
    def _tensor(self, images: Tensor, *, gate: float | None, **options: Any) -> Tensor:
        """`(B, 3, H, W)` in [0, 1] -> the same, float32, on the network's device; below the gate as they were."""
        images = images.to(self.device, torch.float32)
        if gate is None:
            return self._restored(images, **options)
        degraded = self._model.degradation(images) >= gate
        return restore_where(degraded, images, lambda chosen: self._restored(images[chosen], **options))

    def _restored(
        self,
        images: Tensor,
        *,
        task: str,
        strength: float,
        tile: int | str | None,
        color_fix: str | None,
        seed: int,
        steps: int,
    ) -> Tensor:
        """`(B, 3, H, W)` float32 in [0, 1], where the network is -> the same."""
        generator = torch.Generator().manual_seed(seed) if seed else None
        size = images.shape[-2:]
        with (
            _memory_in_words(tile, size),
            filters_kept(self._model, images.ndim == 4 and tiling.keeps_filters(self._model, *size)),
        ):
            if tile == "auto":
                tile = tiling.choose_tile(self._model, *size) if images.ndim == 4 else None
            restore = self._model
            if tile is not None:
                restore = partial(tiling.restore_tiled, self._model, tile=tile)
            restored = restore(
                images,
                task,
                generator=generator,
                num_inference_steps=steps,
                check=_check_finite,
            ).float()
        if color_fix is not None:
            restored = COLOR_FIXES[color_fix](restored, images)
        if strength < 1:
            restored = torch.lerp(images, restored, strength)
        return restored.clamp(0, 1)


def _check_finite(stage: str, *values: Tensor) -> None:
    """Raises FloatingPointError, naming the stage, where a value holds NaN or infinity."""
    for value in values:
        if not torch.isfinite(value).all():
            raise FloatingPointError(
                f"{stage}: values are no longer finite in {str(value.dtype).removeprefix('torch.')}; load the "
                'restorer with dtype="float32", and if it is in that already, its weights are damaged'
            )


def _number_type(dtype: str | torch.dtype) -> torch.dtype:
    kind = DTYPES.get(str(dtype).removeprefix("torch."))
    if kind is None:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return kind


def _outside_prior(kind: torch.dtype) -> torch.dtype:
    """Activations of the autoencoder pass the largest number of float16."""
    return torch.float32 if kind == torch.float16 else kind


@contextmanager
def _memory_in_words(tile: int | str | None, size: Sequence[int]) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).lower()
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "not enough memory" not in text:
            raise
        raise MemoryError(
            f"memory ran out on a photo of {size[1]} x {size[0]} with tile={tile!r}; give a smaller tile, such as "
            "tile=256 (--tile 256)"
        ) from error


def _from_pillow(image: Image.Image) -> Photo:
    if 0 in image.size:
        raise ValueError(f"the picture has no pixels: {image.width} x {image.height}")
    file = io.BytesIO()
    tags = {name: image.info[name] for name in ("icc_profile", "exif") if image.info.get(name)}
    if image.mode in ("CMYK", "YCbCr", "HSV", "LAB", "F"):
        image = image.convert("RGB")
        tags.pop("icc_profile", None)
    image.save(file, "PNG", compress_level=0, **tags)
    return read_photo(file.getvalue(), "the picture")


def _to_pillow(photo: Photo) -> Image.Image:
    if photo.depth == 16 and (
        photo.alpha is not None or not photo.grey
    ):  # Pillow has no such pixels: rounded
        alpha = None if photo.alpha is None else np.rint(photo.alpha / 257).astype(np.uint8)
        photo = replace(photo, depth=8, alpha=alpha)
    file = io.BytesIO()
    write_photo(photo, file, format="PNG")
    image = Image.open(file)
    image.load()
    return image


__all__ = ["DTYPES", "RestorationPipeline"]
