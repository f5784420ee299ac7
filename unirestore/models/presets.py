"""Sizes of the one architecture, and the table of the weights that exist.

`sd_turbo` is the size of the paper (UniRestore, arXiv 2501.13134, on stabilityai/sd-turbo). `tiny` is ours:
the same modules, small enough for a CPU, ending in a candidate fusion. `tiny-fast` leaves the prior and what
costs most at full size out.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

PRESETS: dict[str, dict] = {
    "sd_turbo": {
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "vae_attention": True,
        "patch_size": 1,
        "scaling_factor": 0.18215,
        "cfrm_depths": (1, 1, 9),
        "cfrm_groups": 16,
        "prior": "unet",
        "prior_config": {
            "channels": (320, 640, 1280, 1280),
            "layers": 2,
            "groups": 32,
            "text_channels": 1024,
            "text_tokens": 77,
            "heads": (5, 10, 20, 20),
            "controller": {
                "channels": (256, 256, 512, 512),
                "attention": (True, True, True, False),
                "mid_attention": True,
                "heads": 4,
                "layers": 2,
                "groups": 32,
                "out_channels": 256,
            },
        },
        "tasks": ("ir", "cls", "seg", "det"),
    },
    "tiny": {
        "block_out_channels": (16, 16, 32, 64),
        "layers_per_block": 1,
        "decoder_layers_per_block": 1,
        "norm_num_groups": 8,
        "vae_attention": False,
        "patch_size": 2,
        "scaling_factor": 1.0,
        "cfrm_depths": (1, 1, 2),
        "cfrm_groups": 16,
        "prior": "unet",
        "prior_config": {
            "channels": (32, 64),
            "layers": 1,
            "groups": 8,
            "text_channels": None,
            "controller": {
                "channels": (32, 64),
                "attention": (False, False),
                "mid_attention": False,
                "heads": 4,
                "layers": 1,
                "groups": 8,
                "out_channels": 32,
            },
        },
        "tasks": ("ir", "det"),
        "prompt_std": 1.0,
        "candidates": ("dcp", "clahe", "clahe_dcp"),
        "candidate_weights": (0.3, 0.05, 0.05, 0.6),
        "fusion_channels": 16,
        "fusion_low_channels": 48,
        "fusion_blocks": 2,
        "working_scale": 2,
    },
}
PRESETS["tiny-fast"] = {  # the student of Uni-Removal: cheaper than a small detector
    **{name: value for name, value in PRESETS["tiny"].items() if name != "prior_config"},
    "prior": "none",
    "candidates": ("clahe_dcp",),
    "candidate_weights": (0.3, 0.7),
    "decoder_candidate": False,
    "working_scale": 4,
}


@dataclass(frozen=True)
class Weights:
    """One row of the table: weights in `unirestore/weights/<name>`, with their model card beside them."""

    preset: str
    base: str
    licence: str
    sha256: str
    bytes: int
    training: str


WEIGHTS: dict[str, Weights] = {
    "tiny": Weights(
        preset="tiny",
        base="none: VAE and prior are trained from scratch",
        licence="CC BY-NC 4.0 (CamVid photos were trained on)",
        sha256="078aea82f37042c3a3b3dc25da8645b02df542928f5a0a437f3a2609478f0ea4",
        bytes=3832390,
        training="docs/model_cards/tiny.md",
    ),
    "tiny-tasks": Weights(
        preset="tiny",
        base="`tiny`: all that precedes the decoder's adapters",
        licence="CC BY-NC 4.0 (CamVid photos were trained on)",
        sha256="06b96ef0827a3860b90d8e2e1b8493c5623380d737bf10773f315151dd8005e2",
        bytes=3832678,
        training="docs/model_cards/tiny-tasks.md",
    ),
    "tiny-base": Weights(
        preset="tiny",
        base="none: VAE and prior are trained from scratch",
        licence="CC BY-NC 4.0 (CamVid photos were trained on)",
        sha256="feb50b6fc63d802eb74cbd536d8e72bc0f8028abca8bf80e0da117318544921a",
        bytes=3820596,
        training="docs/model_cards/tiny-base.md",
    ),
    "tiny-scenes": Weights(
        preset="tiny",
        base="`tiny-base`: its VAE and prior",
        licence="CC BY-NC 4.0 (CamVid photos were trained on)",
        sha256="9aead8fc0b29b43414b92272e7cafd303a46112b1ad9f76e058014a183332aca",
        bytes=5124580,
        training="docs/model_cards/tiny-scenes.md",
    ),
    "tiny-fast": Weights(
        preset="tiny-fast",
        base="none: taught by `tiny` and two specialists of it",
        licence="CC BY-NC 4.0 (CamVid photos were trained on)",
        sha256="54aaefd61450c558fdb7dc41d4c96c0a6933502721f056013bcf4b2aeb391ca2",
        bytes=1963170,
        training="docs/model_cards/tiny-fast.md",
    ),
}
"""Name -> what ships in `unirestore/weights/<name>`; `sha256` and `bytes` are of the safetensors file."""


@dataclass(frozen=True)
class BaseModel:
    """What a preset's autoencoder and prior come from where they are not trained from nothing."""

    hub_id: str
    licence: str
    mirrors: tuple[str, ...]
    parts: str


BASE_MODELS: dict[str, BaseModel] = {
    "sd_turbo": BaseModel(
        hub_id="stabilityai/sd-turbo",
        licence="Stability AI Community License; read it before you ship anything",
        mirrors=("modelscope.cn: AI-ModelScope/sd-turbo",),
        parts="vae/, unet/, scheduler/, text_encoder/, tokenizer/ in diffusers' layout",
    ),
}
"""Preset -> base model. Any copy in the same layout does: a local folder, or another hub id. Mirrors are as others name
them; we have not compared their files."""

WEIGHTS_FOLDER = Path(__file__).resolve().parents[1] / "weights"


def preset_config(preset: str, **overrides) -> dict:
    """A preset's settings with some overridden. Raises ValueError for an unknown preset."""
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    return {**deepcopy(PRESETS[preset]), **overrides}


def find_weights(name: str | Path) -> str:
    """A folder, a name in `WEIGHTS` or a hub id `owner/model` -> what `ModelMixin.from_pretrained` takes.

    Raises FileNotFoundError, listing what is known, where it is none of them.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"{folder} has no config.json; pass a folder written by save_pretrained")
        return str(folder)
    if str(name) in WEIGHTS:
        packaged = WEIGHTS_FOLDER / str(name)
        if not packaged.is_dir():
            raise FileNotFoundError(
                f"the weights {name!r} should be in {packaged}, which does not exist; reinstall unirestore"
            )
        return str(packaged)
    parts = str(name).split("/")
    if len(parts) == 2 and all(parts) and not folder.is_absolute() and not str(name).startswith("."):
        return str(name)
    raise FileNotFoundError(
        f"{str(name)!r} is no folder, no known weights ({', '.join(WEIGHTS) or 'none ship yet'}) "
        "and no hub id of the form owner/model"
    )


def check_weights(source: str) -> None:
    """Opens the safetensors files of a local folder; ValueError names one that is cut short or damaged."""
    if Path(source).is_dir():
        for file in sorted(Path(source).glob("*.safetensors")):
            try:
                with safe_open(file, framework="pt"):
                    pass
            except SafetensorError as error:
                raise ValueError(f"{file} is cut short or damaged ({error}); copy it again") from error
