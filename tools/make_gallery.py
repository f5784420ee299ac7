"""The gallery of degradations: every registered effect at its five severities, on a photo that our own code renders.

    python tools/make_gallery.py                      # docs/degradations_gallery.md, docs/assets/degradations/
    python tools/make_gallery.py --only Haze,Rain     # these pictures only, the page stays as it is
    python tools/make_gallery.py --out shown --size 512

Everything is seeded. The page is written from the classes: their presets, and the first sentence, `Formula:` and
`Source:` of their docstrings. Cost: about a minute.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from unirestore.data.photo import PHOTO_LABELS, Photo, render_photo
from unirestore.degradations import RECIPES, REGISTRY, Degradation, load_recipe
from unirestore.degradations.mixture import ROADS
from unirestore.degradations.recipe_book import with_severities
from unirestore.degradations.recipes import SAMPLERS

SCENE_SEED = 7
SEED = 5
LARGEST = 145_000  # bytes of a picture; its JPEG quality goes down until it fits
SHOWN = {  # parameters beside the severity: what the scene has, or a sunny day asks for
    "HeadLamps": {"share": 1.0, "red": 0.0},
    "Shadow": {"light_size": 0.6},
}
CAPTION = 18
PICTURES = "assets/degradations"
SHELVES = (  # title, modules below unirestore.degradations
    ("Weather and air", ("haze", "rain", "snow", "dust", "smoke", "roads", "spray", "dusk", "headlamps")),
    ("Water on road and lens", ("puddles", "lens_drops", "surfaces")),
    ("Camera", ("blur", "kernel_blur", "lowlight", "noise", "camera", "moire", "tone")),
    ("Compression", ("compression",)),
    ("Soft effects with layers", ("layers",)),
    ("Benchmark corruptions", ("corruptions",)),
)
OLDER = {  # classes whose docstrings leave formula and source to their module
    "Haze": {
        "what": "Haze or fog: light scattered by uneven air that thins with height, under an overcast sky.",
        "formula": "I = J t + A (1 - t), t = exp(-tau), tau = 3.912 / V d h(d) exp(u n), in linear light",
        "source": "Koschmieder, 1924; multiple scattering after Narasimhan and Nayar, CVPR 2003, simplified",
    },
    "Rain": {
        "what": "Rain on the road: veil, spray, wet road, streaks, splashes and drops on the windscreen.",
        "formula": "wet road -> veil and spray -> splashes -> streaks at 40, 14 and 5 m -> windscreen, linear light",
        "source": "Garg and Nayar, IJCV 75, 2007, simplified; the order and the spray are ours",
    },
    "SensorNoise": {
        "what": "Photon and read noise of a quick all-round camera, partly blurred and partly coloured.",
        "formula": "B = I + (1.1 shot + read - 0.2 shot I) N(0, 1) in sRGB values",
        "source": "Foi et al., IEEE TIP 17(10), 2008, simplified",
    },
    "JpegCompression": {
        "what": "Written as JPEG (4:2:0) and read back.",
        "formula": "B = round(DCT(I) / Q(quality)) Q(quality), 8 x 8 blocks, chroma at half the size",
        "source": "ITU-T T.81, 1992, with libjpeg's scaling of the tables by quality",
    },
}


def effects() -> list[type[Degradation]]:
    """The registered effects of the package that have severities."""
    return [REGISTRY[name] for name in with_severities()]


def recipes() -> list[str]:
    """The recipes, samplers and weathers of the road that are shown, in order of their names."""
    return sorted([*RECIPES, *SAMPLERS, *ROADS])


def shelf_of(cls: type[Degradation]) -> str:
    """The section of the page that shows `cls`."""
    parts = cls.__module__.split(".")[2:]
    return next((title for title, modules in SHELVES if parts[0] in modules), "More")


def described(cls: type[Degradation]) -> dict[str, str]:
    """`what`, `formula` and `source` of a class, as far as its docstring has them."""
    if cls.__name__ in OLDER:
        return OLDER[cls.__name__]
    text = inspect.cleandoc(cls.__doc__ or "")
    head = re.split(r"\n\s*\n|\n(?=Formula:|Source:|Args:)", text, maxsplit=1)[0]
    found = {"what": " ".join(head.split())}
    for key in ("Formula", "Source"):
        match = re.search(rf"^{key}:(.*?)(?=^\S+:\s|^\s*$|\Z)", text, re.MULTILINE | re.DOTALL)
        if match:
            found[key.lower()] = " ".join(match[1].split())
    return found


def panel(image: np.ndarray, title: str) -> np.ndarray:
    """(H, W, 3) RGB uint8 with its title on a white strip above."""
    strip = np.full((CAPTION, image.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, title, (3, CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    return np.concatenate([strip, image])


def sheet(panels: Sequence[np.ndarray], columns: int = 3, gap: int = 4) -> np.ndarray:
    """Panels of one size in rows, RGB uint8."""
    height, width = panels[0].shape[:2]
    rows = -(-len(panels) // columns)
    page = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, one in enumerate(panels):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        page[top : top + height, left : left + width] = one
    return page


def of_effect(cls: type[Degradation], scene: Photo) -> np.ndarray:
    """The scene and its five severities."""
    company = {"depth": scene.depth, "label_map": scene.label_map, "class_names": PHOTO_LABELS}
    panels = [panel(scene.image, "clean")]
    for severity in range(1, 6):
        degraded = cls(severity=severity, **SHOWN.get(cls.__name__, {}))(scene.image, seed=SEED, **company)
        panels.append(panel(degraded, f"severity {severity}"))
    return sheet(panels)


def of_recipe(name: str, scene: Photo) -> np.ndarray:
    """The scene and five draws of a recipe."""
    recipe = load_recipe(name)
    company = {"depth": scene.depth, "label_map": scene.label_map, "class_names": PHOTO_LABELS}
    panels = [panel(scene.image, "clean")]
    for seed in range(5):
        panels.append(panel(recipe.draw(seed)(scene.image, seed=seed, **company), f"seed {seed}"))
    return sheet(panels)


def as_jpeg(picture: np.ndarray, quality: int) -> bytes:
    """RGB uint8 as JPEG of at most `LARGEST` bytes, if a quality of 40 or more can do that."""
    while True:
        done, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise OSError(f"a picture of {picture.shape} could not be written as JPEG")
        if len(coded) <= LARGEST or quality <= 40:
            return coded.tobytes()
        quality -= 6


def presets_table(cls: type[Degradation]) -> list[str]:
    """The presets as a Markdown table."""
    rows = ["| at severity | 1 | 2 | 3 | 4 | 5 |", "|---|---:|---:|---:|---:|---:|"]
    by_codec = {f"quality of {codec}": values for codec, values in getattr(cls, "QUALITIES", {}).items()}
    for name, values in {**cls.presets, **by_codec}.items():
        rows.append(f"| `{name}` | " + " | ".join(_short(value) for value in values) + " |")
    return rows


def page(kinds: Sequence[type[Degradation]]) -> str:
    """The Markdown page."""
    out = [
        "# Gallery of degradations",
        "",
        "Every effect at its five severities, on a country road that this project renders itself, with its exact depth",
        "and labels (`unirestore.data.photo`; nobody's photo). Pictures and text are made by",
        "`python tools/make_gallery.py` from the classes themselves; see [Degradations](degradations.md) for how to",
        "use them.",
        "",
    ]
    titles = [title for title, _ in SHELVES] + ["More"]
    for title in titles:
        shelf = sorted((cls for cls in kinds if shelf_of(cls) == title), key=lambda cls: cls.__name__)
        if not shelf:
            continue
        out += [f"## {title}", ""]
        for cls in shelf:
            text = described(cls)
            place = cls.__module__.replace(".", "/") + ".py"
            out += [f"### {cls.__name__}", "", text["what"], ""]
            out += [f"![{cls.__name__}, clean and severity 1 to 5]({PICTURES}/{cls.__name__}.jpg)", ""]
            if "formula" in text:
                out += ["```text", text["formula"], "```", ""]
            if "source" in text:
                out += [f"Source: {text['source']}", ""]
            if cls.__name__ in SHOWN:
                extra = ", ".join(f"{name}={value}" for name, value in SHOWN[cls.__name__].items())
                out += [f"Shown with `{extra}`.", ""]
            if not getattr(cls, "monotone", True):
                out += ["Severities as published: a higher one does not always do more damage (PSNR).", ""]
            if cls.moves_pixels:
                out += ["Moves pixels; boxes and label maps follow by `warp_boxes` and `warp_map`.", ""]
            out += [*presets_table(cls), "", f"`{place}`", ""]
    out += [
        "## Recipes",
        "",
        "Five draws each; see `unirestore/degradations/recipe_book.py` and, for the road, `roads.py` beside it.",
        "",
    ]
    for name in recipes():
        out += [
            f"### Recipe {name}",
            "",
            f"![clean and five draws of {name}]({PICTURES}/recipe_{name}.jpg)",
            "",
        ]
    return "\n".join(out)


def main(argv: Sequence[str] | None = None) -> list[Path]:
    """Write the pictures and the page; returns the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="docs", help="folder of the page (default: docs)")
    parser.add_argument("--size", type=int, default=384, help="width of a picture, 4 : 3 (default: 384)")
    parser.add_argument(
        "--quality", type=int, default=82, help="of the JPEG files, lower where they get large (default: 82)"
    )
    parser.add_argument(
        "--only", help="names of effects or recipes, with commas; the page is not written then"
    )
    args = parser.parse_args(argv)
    scene = render_photo(SCENE_SEED, args.size, args.size * 3 // 4)
    kinds, mixed = effects(), recipes()
    if args.only:
        wanted = set(args.only.split(","))
        unknown = wanted - {cls.__name__ for cls in kinds} - set(mixed)
        if unknown:
            parser.error(f"no effect or recipe {sorted(unknown)}")
        kinds = [cls for cls in kinds if cls.__name__ in wanted]
        mixed = [name for name in mixed if name in wanted]
    folder = Path(args.out) / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    jobs = [(cls.__name__, lambda cls=cls: of_effect(cls, scene)) for cls in kinds]
    jobs += [(f"recipe_{name}", lambda name=name: of_recipe(name, scene)) for name in mixed]
    for name, make in jobs:
        path = folder / f"{name}.jpg"
        path.write_bytes(as_jpeg(make(), args.quality))
        made.append(path)
    if not args.only:
        (Path(args.out) / "degradations_gallery.md").write_text(page(kinds), encoding="utf-8")
    print(f"{len(made)} pictures in {folder}, {sum(p.stat().st_size for p in made) / 1e6:.1f} MB")
    return made


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_short(v) for v in value) + ")"
    return str(value)


if __name__ == "__main__":
    main()
