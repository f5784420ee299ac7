"""Depth of a photo by any monocular depth model of transformers, from a local folder or by its id.

    from unirestore.degradations.depth_model import DepthModel

    model = DepthModel("depth-anything/Depth-Anything-V2-Small-hf")   # or a folder with config, weights, processor
    foggy = Haze(severity=4)(photo, seed=7, depth=model(photo))

Models come in two kinds. Metric ones (ZoeDepth, DepthPro, GLPN, the metric Depth Anything) answer in metres.
Relative ones (MiDaS as DPT, Depth Anything) answer with an inverse depth up to a factor and an offset
(Ranftl et al., IEEE TPAMI 44(3), 2022, arXiv:1907.01341), which is laid between `near` and `far` here; that fixes the
order of things, not their metres. Needs the extra `depth`; not imported by `unirestore.degradations` itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .base import require, to_float_rgb
from .depth import FAR

KINDS = ("auto", "metric", "inverse")
METRIC = ("zoedepth", "depth_pro", "glpn", "prompt_depth_anything")
INVERSE = ("dpt", "depth_anything")


class DepthModel:
    """A depth model; calling it with a photo gives metres.

    Args:
        model: folder, or id on the Hugging Face hub (downloaded once by transformers).
        kind: "metric" (the model answers in metres), "inverse" (relative inverse depth), or "auto" (known from the
            model's type).
        near: metres of the nearest thing of an "inverse" model.
        far: metres of the farthest thing of an "inverse" model, below the sky.
        device: of torch.
        revision: commit or tag on the hub; name one where results must not change.

    Raises:
        ModuleNotFoundError without transformers; FileNotFoundError for a folder that is not there; ValueError for
        what is not a depth model, or one whose kind is not known.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        kind: str = "auto",
        near: float = 3.0,
        far: float = 300.0,
        device: str = "cpu",
        revision: str | None = None,
    ) -> None:
        require(kind in KINDS, f"kind must be one of {KINDS}, got {kind!r}")
        require(0 < near < far, f"near and far must be metres with 0 < near < far, got {near} and {far}")
        self.name, self.near, self.far, self.device = str(model), float(near), float(far), device
        self.network, self.processor = _load(model, revision)
        self.network.to(device).eval()
        self.kind = _kind_of(self.network.config) if kind == "auto" else kind

    def __repr__(self) -> str:
        return f"DepthModel({self.name!r}, kind={self.kind!r}, near={self.near}, far={self.far})"

    def raw(self, image: Any) -> np.ndarray:
        """(H, W) float32 as the model answers, at the size of the photo."""
        import torch
        from PIL import Image
        from torch.nn.functional import interpolate

        pixels, _ = to_float_rgb(image)
        size = pixels.shape[:2]
        photo = Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
        inputs = self.processor(images=photo, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            answer = self.network(**inputs)
        if hasattr(self.processor, "post_process_depth_estimation"):
            (found,) = self.processor.post_process_depth_estimation(answer, target_sizes=[size])
            depth = found["predicted_depth"]
        else:
            depth = answer.predicted_depth[0]
        depth = depth.float().reshape(1, 1, *depth.shape[-2:])
        if tuple(depth.shape[-2:]) != tuple(size):
            depth = interpolate(depth, size, mode="bicubic", align_corners=False)
        depth = depth[0, 0].cpu().numpy().astype(np.float32)
        require(bool(np.isfinite(depth).all()), f"{self.name} answered with numbers that are not finite")
        return depth

    def __call__(self, image: Any) -> np.ndarray:
        """Depth of a photo.

        Args:
            image: (H, W, 3) uint8 or float32 in [0, 1], or what else `Degradation.__call__` takes.

        Returns:
            (H, W) float32 metres, above 0, at most `depth.FAR`.
        """
        answer = self.raw(image)
        if self.kind == "metric":
            return np.clip(answer, 0.1, FAR)
        return metres_of_inverse(answer, self.near, self.far)


def metres_of_inverse(inverse: np.ndarray, near: float, far: float) -> np.ndarray:
    """Metres from a relative inverse depth: its 1st to 99th percentile is laid on [1 / far, 1 / near].

    What is farther than the 1st percentile, the sky among it, is at `far`. An inverse depth without contrast is `far`
    everywhere.
    """
    low, high = (float(value) for value in np.percentile(inverse, (1, 99)))
    if high - low <= 1e-6 * max(abs(high), 1e-6):
        return np.full(inverse.shape, far, np.float32)
    share = (inverse - np.float32(low)) / np.float32(high - low)
    share = np.clip(share, 0, None)
    return np.clip(1 / (1 / far + share * (1 / near - 1 / far)), 0.1, FAR).astype(np.float32)


def write_depth_folder(model: DepthModel, photos: str | Path, out: str | Path, step: Any = None) -> int:
    """Write the depth of every photo below `photos` to `out` as 16-bit PNG in centimetres; returns how many.

    A depth file that is there already is kept, so that a run that was stopped continues. `step` is called with
    each name. Names are those of `depth_names` with `.png`, as `PairBuilder(depth=...)` and `--depth` expect them.
    """
    from unirestore.data.images import IMAGE_SUFFIXES, depth_names, read_image, write_depth

    root, out = Path(photos), Path(out)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder of photos at {root}")
    names = sorted(p.relative_to(root) for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    require(bool(names), f"no photos in {root}")
    require(root.resolve() != out.resolve(), f"the depth would overwrite the photos in {root}")
    for name, own in depth_names(name.as_posix() for name in names).items():
        target = out / f"{own}.png"
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.stem}.part.png")
            write_depth(partial, model(read_image(root / name)))
            partial.replace(target)
        if step is not None:
            step(name)
    return len(names)


def _load(model: str | Path, revision: str | None) -> tuple[Any, Any]:
    """Network and image processor."""
    try:
        from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("transformers is not installed: pip install 'unirestore[depth]'") from error
    name = str(model)
    local = Path(name).is_dir()
    if not local and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise FileNotFoundError(f"no folder with a depth model at {name}")
    options = {"local_files_only": True} if local else {"revision": revision}
    try:
        config = AutoConfig.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: no model that transformers can load ({error})") from error
    try:
        network = AutoModelForDepthEstimation.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{name}: not a depth model of transformers (type {config.model_type}): {error}"
        ) from error
    try:
        processor = AutoImageProcessor.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: has no preprocessor_config.json ({error})") from error
    return network, processor


def _kind_of(config: Any) -> str:
    if getattr(config, "depth_estimation_type", None) == "metric" or config.model_type in METRIC:
        return "metric"
    if config.model_type in INVERSE:
        return "inverse"
    raise ValueError(
        f"whether a {config.model_type!r} model answers in metres is not known: pass kind='metric' or 'inverse'"
    )
