"""How fast the degradations are beside `imagecorruptions`, `albumentations` and `kornia`, in one run.

    pip install -e '.[bench]'
    python benchmarks/degradation_speed.py                                  # all rows, 512 x 512
    python benchmarks/degradation_speed.py --only fog haze rain --size 640 --json speed.json

Every contender gets the same photo (8-bit RGB; kornia its float tensor, made beforehand), at a strength near our
severity 3, on one thread. Our weather guesses the depth from the photo where the row does not say that it is
known. Rounds go around the contenders, so that a busy machine slows all of them; the figure is the smallest
processor time of the rounds, not wall clock, in photos per second of one core. Ratio: ours over the fastest of
the others; above 1 we are faster. An equivalent is the nearest thing the package has. Where it is simpler by
nature (`SIMPLER`: a table for a change of colour space, lines for rain in depth), its figure carries a star and a
second ratio leaves it out. A package that is absent or fails on this Python shows why. Cost: about two minutes, a
quarter of them `imagecorruptions`' glass blur.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would look for a newer version on the network

import cv2
import numpy as np

from unirestore.degradations import REGISTRY, SEVERITIES
from unirestore.degradations.corruptions import CORRUPTIONS
from unirestore.degradations.depth import ground_plane

PACKAGES = ("imagecorruptions", "albumentations", "kornia")
COLUMNS = ("ours", *PACKAGES)
Call = Callable[[], Any]

# our class, imagecorruptions' name, albumentations' and kornia's class with arguments; None where there is none
ROWS: tuple[tuple[str, str | None, tuple[str, dict] | None, tuple[str, dict] | None], ...] = (
    (
        "GaussianNoiseC",
        "gaussian_noise",
        ("GaussNoise", {"std_range": (0.18, 0.18)}),
        ("RandomGaussianNoise", {"std": 0.18}),
    ),
    ("ShotNoiseC", "shot_noise", ("ShotNoise", {"scale_range": (0.08, 0.08)}), None),
    (
        "ImpulseNoiseC",
        "impulse_noise",
        ("SaltAndPepper", {"amount": (0.09, 0.09)}),
        ("RandomSaltAndPepperNoise", {"amount": (0.09, 0.09)}),
    ),
    (
        "SpeckleNoiseC",
        "speckle_noise",
        ("MultiplicativeNoise", {"multiplier": (0.4, 1.6), "per_channel": True, "elementwise": True}),
        None,
    ),
    ("DefocusBlurC", "defocus_blur", ("Defocus", {"radius": (6, 6), "alias_blur": (0.5, 0.5)}), None),
    (
        "GlassBlurC",
        "glass_blur",
        ("GlassBlur", {"sigma": 1.0, "max_delta": 2, "iterations": 3, "mode": "fast"}),
        None,
    ),
    (
        "MotionBlurC",
        "motion_blur",
        ("MotionBlur", {"blur_limit": (31, 31), "angle_range": (0, 45)}),
        ("RandomMotionBlur", {"kernel_size": 31, "angle": 45.0, "direction": 1.0}),
    ),
    ("ZoomBlurC", "zoom_blur", ("ZoomBlur", {"max_factor": (1.21, 1.21), "step_factor": (0.02, 0.02)}), None),
    (
        "GaussianBlurC",
        "gaussian_blur",
        ("GaussianBlur", {"sigma_limit": (3.0, 3.0), "blur_limit": (25, 25)}),
        ("RandomGaussianBlur", {"kernel_size": (25, 25), "sigma": (3.0, 3.0)}),
    ),
    ("SnowC", "snow", ("RandomSnow", {"method": "texture"}), ("RandomSnow", {})),
    ("FrostC", "frost", None, None),
    ("FogC", "fog", ("RandomFog", {"fog_coef_range": (0.6, 0.6)}), None),
    ("SpatterC", "spatter", ("Spatter", {}), None),
    (
        "BrightnessC",
        "brightness",
        ("RandomBrightnessContrast", {"brightness_limit": (0.3, 0.3), "contrast_limit": (0, 0)}),
        ("RandomBrightness", {"brightness": (1.3, 1.3)}),
    ),
    (
        "ContrastC",
        "contrast",
        ("RandomBrightnessContrast", {"brightness_limit": (0, 0), "contrast_limit": (-0.8, -0.8)}),
        ("RandomContrast", {"contrast": (0.2, 0.2)}),
    ),
    (
        "SaturateC",
        "saturate",
        ("ColorJitter", {"brightness": (1, 1), "contrast": (1, 1), "saturation": (2, 2), "hue": (0, 0)}),
        ("RandomSaturation", {"saturation": (2.0, 2.0)}),
    ),
    (
        "ElasticTransformC",
        "elastic_transform",
        ("ElasticTransform", {"alpha": 54.0, "sigma": 5.12}),
        ("RandomElasticTransform", {"kernel_size": (31, 31), "sigma": (5.12, 5.12)}),
    ),
    (
        "PixelateC",
        "pixelate",
        (
            "Downscale",
            {"scale_range": (0.4, 0.4), "interpolation_pair": {"downscale": cv2.INTER_AREA, "upscale": 0}},
        ),
        None,
    ),
    (
        "JpegC",
        "jpeg_compression",
        ("ImageCompression", {"quality_range": (15, 15)}),
        ("RandomJPEG", {"jpeg_quality": (15.0, 15.0)}),
    ),
    ("Haze", "fog", ("RandomFog", {"fog_coef_range": (0.6, 0.6)}), None),
    ("Rain", None, ("RandomRain", {"rain_type": "heavy"}), ("RandomRain", {})),
    ("Snow", "snow", ("RandomSnow", {"method": "texture"}), ("RandomSnow", {})),
    ("SensorNoise", None, ("ISONoise", {}), None),
    (
        "JpegCompression",
        "jpeg_compression",
        ("ImageCompression", {"quality_range": (40, 40)}),
        ("RandomJPEG", {"jpeg_quality": (40.0, 40.0)}),
    ),
    (
        "GaussianNoise",
        "gaussian_noise",
        ("GaussNoise", {"std_range": (0.1, 0.1)}),
        ("RandomGaussianNoise", {"std": 0.1}),
    ),
    ("PoissonNoise", "shot_noise", ("ShotNoise", {"scale_range": (0.08, 0.08)}), None),
    (
        "MotionBlur",
        "motion_blur",
        ("MotionBlur", {"blur_limit": (31, 31)}),
        ("RandomMotionBlur", {"kernel_size": 31, "angle": 45.0, "direction": 1.0}),
    ),
    ("DefocusBlur", "defocus_blur", ("Defocus", {"radius": (6, 6), "alias_blur": (0.5, 0.5)}), None),
    ("Haze, known depth", None, None, None),
    ("Rain, known depth", None, None, None),
    ("Rain, 120 drops", None, None, None),
    ("Snow, known depth", None, None, None),
    ("Shadow", None, ("RandomShadow", {}), None),
    ("Flare", None, ("RandomSunFlare", {"method": "physics_based", "src_radius": 100}), None),
)

CASES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "Haze, known depth": ("Haze", {}, True),
    "Rain, known depth": ("Rain", {}, True),
    "Rain, 120 drops": ("Rain", {"drops": 120}, False),
    "Snow, known depth": ("Snow", {}, True),
}
"""Row -> our class, parameters besides the severity, whether the depth is given; else it is guessed from the photo."""

SIMPLER: dict[tuple[str, str], str] = {
    ("BrightnessC", "albumentations"): "adds a constant to every byte by table, ours raises the value of HSV",
    ("BrightnessC", "kornia"): "multiplies by a constant, ours raises the value of HSV",
    ("ContrastC", "albumentations"): "scales every byte by table, ours towards the mean of the photo",
    ("SaturateC", "albumentations"): "mixes with grey, ours scales the saturation of HSV",
    ("SaturateC", "kornia"): "mixes with grey in float, ours scales the saturation of HSV",
    ("PixelateC", "albumentations"): "OpenCV's area weights, ours the benchmark's boxes of whole pixels",
    (
        "JpegC",
        "albumentations",
    ): "hands RGB to an encoder that takes BGR: no conversion, red and blue swapped",
    ("JpegCompression", "albumentations"): "hands RGB to an encoder that takes BGR, as above",
    ("Haze", "imagecorruptions"): "one noise plane added to all of the photo, no distance, no light",
    ("Haze", "albumentations"): "blurred white discs, no distance",
    ("Rain", "albumentations"): "draws straight lines and darkens",
    ("Rain", "kornia"): "adds straight lines",
    ("Snow", "imagecorruptions"): "one layer of noise, no distance",
    ("Snow", "albumentations"): "noise and white, no distance",
    ("Snow", "kornia"): "brightens the bright pixels",
    ("Shadow", "albumentations"): "darkens a polygon",
}
"""(effect, package) -> why the package's figure is for something else."""


def picture(size: int) -> np.ndarray:
    """(size, size, 3) uint8 RGB: a made-up street with sky, facades, road and texture."""
    rng = np.random.default_rng(0)
    rows = np.linspace(0, 1, size)[:, None, None]
    image = np.where(rows < 0.4, (150, 180, 215), (105, 100, 95)) + np.zeros((size, size, 3))
    for _ in range(60):
        y, x = rng.integers(0, size, 2)
        height, width = rng.integers(size // 40 + 1, size // 6 + 2, 2)
        image[y : y + height, x : x + width] = rng.integers(10, 246, 3)
    image += cv2.GaussianBlur(rng.normal(0, 30, image.shape), (0, 0), 1.5)
    return np.clip(image, 0, 255).astype(np.uint8)


def ours(name: str, photo: np.ndarray) -> Call:
    """One call of our effect of row `name`; another seed each time."""
    kind, parameters, known = CASES.get(name, (name, {}, False))
    effect = REGISTRY[kind](severity=3, **parameters) if REGISTRY[kind].presets else REGISTRY[kind]()
    depth = ground_plane(photo.shape[:2], 0) if known else None
    seeds = iter(range(10**9))
    return lambda: effect(photo, seed=next(seeds), depth=depth)


def theirs_imagecorruptions(name: str, photo: np.ndarray) -> Call:
    """`imagecorruptions.corrupt` at severity 3, with what newer numpy and scikit-image took away put back."""
    if not hasattr(np, "float_"):
        np.float_ = np.float64
    import skimage.filters

    module = import_module("imagecorruptions.corruptions")

    def gaussian(image: np.ndarray, *args: Any, multichannel: bool = False, **kwargs: Any) -> np.ndarray:
        return skimage.filters.gaussian(image, *args, channel_axis=-1 if multichannel else None, **kwargs)

    module.gaussian = gaussian
    corrupt = import_module("imagecorruptions").corrupt
    return lambda: corrupt(photo, corruption_name=name, severity=3)


def theirs_albumentations(spec: tuple[str, dict], photo: np.ndarray) -> Call:
    """One transform of albumentations that always applies."""
    transform = getattr(import_module("albumentations"), spec[0])(p=1.0, **spec[1])
    return lambda: transform(image=photo)["image"]


def theirs_kornia(spec: tuple[str, dict], photo: np.ndarray) -> Call:
    """One augmentation of kornia that always applies, on a float tensor of one photo."""
    import torch

    torch.set_num_threads(1)
    augmentation = getattr(import_module("kornia.augmentation"), spec[0])(p=1.0, **spec[1])
    tensor = torch.from_numpy(photo).permute(2, 0, 1)[None].float().div(255).contiguous()

    def call() -> Any:
        with torch.inference_mode():
            return augmentation(tensor)

    return call


MAKERS: dict[str, Callable[[Any, np.ndarray], Call]] = {
    "imagecorruptions": theirs_imagecorruptions,
    "albumentations": theirs_albumentations,
    "kornia": theirs_kornia,
}


def race(
    calls: dict[str, Call], rounds: int, patience: float = 1.0
) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds of processor time per call, the smallest of `rounds`; and who failed, with the reason.

    Who needs more than `patience` seconds for the first call is not asked again.
    """
    best: dict[str, float] = {}
    failed: dict[str, str] = {}
    slow: set[str] = set()
    for number in range(rounds + 1):
        for name, call in calls.items():
            if name in failed or name in slow:
                continue
            start = time.process_time()
            try:
                call()
            except Exception as error:  # whatever a package raises on this Python is what we report
                failed[name] = f"{type(error).__name__}: {error}"[:120]
                best.pop(name, None)
                continue
            spent = time.process_time() - start
            if number == 0:  # tables, plans and kernels are made in the first call
                if spent > patience:
                    slow.add(name)
                    best[name] = spent
                continue
            best[name] = min(best.get(name, spent), spent)
    return best, failed


def measure(size: int, rounds: int, only: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One record per effect: photos per second of everyone, and the ratio to the fastest of the others."""
    photo = picture(size)
    records = []
    for name, *specs in ROWS:
        known = {name.lower(), getattr(REGISTRY.get(name), "name", name).lower()}
        if only and not known & {item.lower() for item in only}:
            continue
        calls: dict[str, Call] = {"ours": ours(name, photo)}
        failed: dict[str, str] = {}
        for package, spec in zip(PACKAGES, specs, strict=True):
            if spec is None:
                continue
            try:
                calls[package] = MAKERS[package](spec, photo)
            except Exception as error:  # absent, or refuses its own arguments
                failed[package] = f"{type(error).__name__}: {error}"[:120]
        best, broken = race(calls, rounds)
        others = [best[package] for package in PACKAGES if package in best]
        alike = [best[p] for p in PACKAGES if p in best and (name, p) not in SIMPLER]
        records.append(
            {
                "effect": name,
                "photos_per_second": {who: round(1 / max(spent, 1e-6), 1) for who, spent in best.items()},
                "ratio_to_fastest_other": round(min(others) / best["ours"], 2) if others else None,
                "ratio_to_fastest_alike": round(min(alike) / best["ours"], 2) if alike else None,
                "simpler": {p: SIMPLER[name, p] for p in PACKAGES if (name, p) in SIMPLER},
                "failed": {**failed, **broken},
            }
        )
        print(line(records[-1]), flush=True)
    return records


def line(record: dict[str, Any]) -> str:
    """A record as a line of the table."""
    speeds = record["photos_per_second"]
    cells = [
        f"{speeds[who]:.1f}" + "*" * (who in record["simpler"]) if who in speeds else "-" for who in COLUMNS
    ]
    ratios = (record["ratio_to_fastest_other"], record["ratio_to_fastest_alike"])
    cells += ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
    return f"{record['effect']:<18}" + "".join(f"{cell:>17}" for cell in cells)


def versions() -> dict[str, str]:
    """Versions of what took part."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("unirestore", "numpy", "opencv-python-headless", "torch", *PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of the photo in pixels")
    parser.add_argument("--rounds", type=int, default=7, help="calls of each contender after the first")
    parser.add_argument("--only", nargs="+", help="class names or benchmark names, e.g. Haze fog snow")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(arguments)
    if options.size < 16 or options.rounds < 1:
        parser.error(f"--size must be >= 16 and --rounds >= 1, got {options.size} and {options.rounds}")
    warnings.filterwarnings("ignore")
    cv2.setNumThreads(1)
    known = {row[0].lower() for row in ROWS} | set(CORRUPTIONS)
    unknown = [item for item in options.only or () if item.lower() not in known]
    if unknown:
        parser.error(f"no such rows: {unknown}; there are {sorted(row[0] for row in ROWS)}")
    print(f"photos per second of one core, {options.size} x {options.size}, severity {SEVERITIES[2]}")
    print(f"{'effect':<18}" + "".join(f"{head:>17}" for head in (*COLUMNS, "ratio", "ratio without *")))
    records = measure(options.size, options.rounds, options.only)
    for record in records:
        for package, reason in record["simpler"].items():
            print(f"* {record['effect']}, {package}: {reason}")
    for package in PACKAGES:
        reasons = {record["failed"][package] for record in records if package in record["failed"]}
        for reason in sorted(reasons):
            print(f"{package}: {reason}")
    for kind, key in (("alike", "ratio_to_fastest_alike"), ("of all, * included", "ratio_to_fastest_other")):
        slower = [r["effect"] for r in records if r[key] is not None and r[key] < 1]
        print(f"slower than the fastest {kind}: {', '.join(slower) or 'none'}")
    if options.json:
        options.json.write_text(
            json.dumps({"size": options.size, "versions": versions(), "rows": records}, indent=1) + "\n"
        )
    return records


if __name__ == "__main__":
    main()
