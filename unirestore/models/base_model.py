"""The diffusion model that the network is built on, read from its files: autoencoder, UNet and the text condition.

Layout of diffusers: `vae/` and `unet/` with `config.json` and safetensors, `scheduler/`, `text_encoder/`, `tokenizer/`.
UniRestore (arXiv 2501.13134) stands on SD-Turbo (arXiv 2311.17042); its text condition is the embedding of the empty
text. Which models there are, and under which licence, says `presets.BASE_MODELS`. Apache-2.0.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from .presets import BASE_MODELS
from .state_files import Stored, read_pickle, read_state
from .unirestore import UniRestore

PARTS = {"vae": "vae.", "unet": "prior.unet."}
"""Folder of the base model -> our prefix."""
SCHEDULE = {
    "prediction_type": "epsilon",
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "num_train_timesteps": 1000,
}
"""The noise schedule of `priors.base`; a model of another one has tensors of the same shapes and gives noise."""
_OLD_ATTENTION = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
"""Names in autoencoders that diffusers saved before 0.18, and today's."""


def find_base_model(base_model: str | Path) -> Path:
    """The local folder of a base model, fetched first where it is a hub id or a name in `BASE_MODELS`.

    Raises FileNotFoundError where it is none of them.
    """
    if Path(base_model).expanduser().is_dir():
        return Path(base_model).expanduser()
    name = str(base_model)
    hub_id = BASE_MODELS[name].hub_id if name in BASE_MODELS else name
    parts = hub_id.split("/")
    if len(parts) != 2 or not all(parts) or Path(hub_id).is_absolute() or hub_id.startswith("."):
        raise FileNotFoundError(
            f"{base_model} is no folder, no known base model ({', '.join(BASE_MODELS)}) and no hub id of the form "
            "owner/model"
        )
    from huggingface_hub import snapshot_download

    patterns = [f"{part}/*" for part in (*PARTS, "scheduler", "text_encoder", "tokenizer")]
    ignored = ["*.bin", "*.onnx*", "*.msgpack", "*.fp16.*", "*non_ema*"]
    return Path(snapshot_download(hub_id, allow_patterns=patterns, ignore_patterns=ignored))


def read_part(folder: Path, part: str) -> dict[str, Stored]:
    """The tensors of `vae` or `unet`, in our keys.

    Raises FileNotFoundError where the folder holds no weights, ValueError where they are damaged.
    """
    found = {}
    for file in _weights_files(folder / part):
        state = read_state(file)
        for key in state:
            name = key
            if part == "vae" and ".attentions." in key:
                for old, new in _OLD_ATTENTION.items():
                    name = name.replace(old, new)
            found[PARTS[part] + name] = Stored(state, key)
    return found


def _weights_files(folder: Path) -> list[Path]:
    names = ("diffusion_pytorch_model", "model")
    for suffix in (".safetensors", ".fp16.safetensors", ".bin"):
        for stem in names:
            index = folder / f"{stem}{suffix}.index.json"  # weights in several files
            if index.is_file():
                shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
                return [folder / name for name in sorted(set(shards))]
            if (folder / f"{stem}{suffix}").is_file():
                return [folder / f"{stem}{suffix}"]
    raise FileNotFoundError(
        f"{folder} holds no {names[0]}.safetensors or .bin; is this a base model in diffusers' layout?"
    )


def check_base_model(folder: Path, model: UniRestore) -> None:
    """Sizes and settings of the base model against those of the network, also those that no shape tells (groups, heads,
    noise schedule). Raises ValueError that names what differs, FileNotFoundError where a config is not there."""
    config = model.config
    wanted: dict[str, dict[str, Any]] = {
        "vae": {
            "in_channels": 3,
            "out_channels": 3,
            "block_out_channels": config.block_out_channels,
            "layers_per_block": config.layers_per_block,
            "latent_channels": config.latent_channels,
            "norm_num_groups": config.norm_num_groups,
            "mid_block_add_attention": config.vae_attention,
            "scaling_factor": config.scaling_factor,
        }
    }
    if hasattr(model.prior, "unet"):
        own = model.prior.unet.config
        names = ["in_channels", "out_channels", "block_out_channels", "layers_per_block", "norm_num_groups"]
        names += ["down_block_types", "mid_block_type", "up_block_types", "flip_sin_to_cos", "freq_shift"]
        if model.prior.null_text is not None:
            names += ["cross_attention_dim", "attention_head_dim", "use_linear_projection"]
        wanted["unet"] = {name: own[name] for name in names}
    classes = {"vae": AutoencoderKL, "unet": UNet2DConditionModel}
    problems = []
    for part, settings in wanted.items():
        file = folder / part / "config.json"
        if not file.is_file():
            raise FileNotFoundError(f"no {file}; is {folder} a base model in diffusers' layout?")
        absent = {name: value.default for name, value in inspect.signature(classes[part]).parameters.items()}
        problems += _differences(file, settings, absent)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    if "unet" in wanted and scheduler.is_file():
        problems += _differences(scheduler, SCHEDULE, SCHEDULE)
    if problems:
        raise ValueError(f"this is another base model than the network's: {'; '.join(problems)}")


def _differences(file: Path, wanted: Mapping[str, Any], absent: Mapping[str, Any]) -> list[str]:
    """Where a config says something else; `absent` is what it means where it says nothing."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); copy it again") from error
    differ = []
    for name, value in wanted.items():
        value, has = _plain(value), _plain(found.get(name, absent[name]))
        if isinstance(value, list) and isinstance(has, int):  # heads: one number for all levels
            has = [has] * len(value)
        if has != value:
            differ.append(f"{file}: {name} is {has}, this network has {value}")
    return differ


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


# ---------------------------------------------------------------------------------------------- text condition


def embed_empty_text(folder: str | Path, tokens: int) -> Tensor:
    """The base model's embedding of the empty text, `(1, tokens, D)` float32, computed once and kept in the user's
    cache (`$XDG_CACHE_HOME/unirestore`, else `~/.cache/unirestore`), if that can be written.

    Raises ModuleNotFoundError where transformers is absent, FileNotFoundError where the folder has no text encoder;
    both say how to go without.
    """
    folder = Path(folder)
    go_without = "or give the embedding itself: null_text=FILE"
    encoder, tokenizer = folder / "text_encoder", folder / "tokenizer"
    if not (encoder / "config.json").is_file() or not tokenizer.is_dir():
        raise FileNotFoundError(
            f"{folder} has no text_encoder/ and tokenizer/ to make the text condition of; add them, {go_without}"
        )
    kept = _cache_file(encoder, tokenizer, tokens)
    if kept.is_file():
        try:
            return read_null_text(kept)
        except ValueError:
            pass  # damaged: it is made again
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ImportError as error:
        raise ModuleNotFoundError(
            f"the text condition needs transformers once: pip install 'unirestore[depth]', {go_without}"
        ) from error
    words = CLIPTokenizer.from_pretrained(str(tokenizer))(
        "", padding="max_length", max_length=tokens, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        network = CLIPTextModel.from_pretrained(str(encoder), dtype=torch.float32).eval()
        embedding = network(words.input_ids)[0].contiguous()  # (1, tokens, D)
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f".{os.getpid()}.{kept.name}")
        save_file({"null_text": embedding}, partial)
        os.replace(partial, kept)
    return embedding


def _cache_file(encoder: Path, tokenizer: Path, tokens: int) -> Path:
    """Where the embedding is kept: by config and tokenizer, and by size and date of the weights."""
    mark = hashlib.sha256((encoder / "config.json").read_bytes())
    for file in sorted(path for path in tokenizer.iterdir() if path.is_file()):
        mark.update(file.read_bytes())
    for file in sorted(encoder.glob("*.safetensors")) + sorted(encoder.glob("*.bin")):
        mark.update(f"{file.resolve()}{file.stat().st_size}{file.stat().st_mtime_ns}".encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unirestore" / f"null_text_{mark.hexdigest()[:20]}_{tokens}.safetensors"


def read_null_text(source: str | Path | Tensor) -> Tensor:
    """The text condition `(1, tokens, D)` from a file that holds one tensor, bare (`.pt`) or in a state dict.

    Raises FileNotFoundError for a missing file, ValueError for one that is damaged, wants to run code or holds more.
    """
    if isinstance(source, Tensor):
        return source
    path = Path(source).expanduser()
    if path.suffix != ".safetensors" and path.is_file():
        content = read_pickle(path)
        if isinstance(content, Tensor):
            return content.clone()
    state = read_state(path)
    if len(state) != 1:
        raise ValueError(f"{path} must hold one tensor, the text condition, and holds {len(state)}")
    return next(iter(state.values())).clone()
