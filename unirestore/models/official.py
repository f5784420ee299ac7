"""The authors' checkpoints and the base model's files -> one of our networks, and back.

UniRestore (arXiv 2501.13134, github.com/unirestore/UniRestore, MIT) saves what each stage has trained: stage 1 CFRM,
Controller and SC-Tuner, stage 2 TFA and prompts, as Lightning checkpoints. The autoencoder and the UNet are those of
SD-Turbo in diffusers' layout (`vae/`, `unet/`, `text_encoder/`, `tokenizer/`), and the text condition is the embedding
of the empty text. `convert.py` holds the key table. Pickles are read with `weights_only=True`, so no code of a file
runs. Tensors go one by one into a network without memory of its own and in the wanted number type: at the peak there is
little more than the weights. Apache-2.0.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .convert import rename, to_authors
from .presets import preset_config
from .state_files import State, Stored, read_state
from .unirestore import UniRestore

STAGES: dict[str, tuple[str, ...]] = {
    "stage1": ("cfrm.", "prior.controller.", "prior.sc_tuner."),
    "stage2": ("tfa.", "prompts."),
}
"""What each stage of the authors trains and saves, by our prefixes."""
BASE_PARTS = {"vae": "vae.", "unet": "prior.unet."}
"""Folder of the base model in diffusers' layout -> our prefix."""
_SHOWN = 6


def from_official(
    stage1: str | Path | State,
    stage2: str | Path | State | None = None,
    *,
    base_model: str | Path | None = None,
    null_text: str | Path | Tensor | None = None,
    preset: str = "sd_turbo",
    dtype: torch.dtype = torch.float32,
    **overrides: Any,
) -> UniRestore:
    """A network with the authors' weights, in evaluation mode.

    Args:
        stage1: checkpoint of stage 1 (`.ckpt`, `.pt`, `.pth` or `.safetensors`) or its state dict, in the authors'
            keys; or everything in one, then nothing else is needed.
        stage2: the same of stage 2. None: TFA starts untrained and prompts at zero, as stage 2 itself starts.
        base_model: local folder or hub id in diffusers' layout with `vae/` and `unet/`; whatever the stages hold of
            them already wins. Its `text_encoder/` and `tokenizer/` make the text condition where nothing else gives it.
        null_text: the text condition `(1, 77, 1024)`: a tensor or a file with one.
        preset, overrides: the network, see `UniRestore.build`; tasks and length of the prompts are those of the files.
        dtype: number type that the weights are loaded in.

    Raises:
        FileNotFoundError: a file, or a part of the base model, is not there.
        ValueError: a file is damaged or wants to run code; or keys are unknown, missing or of another shape, all told
            in one message; or the base model is of another size than the preset.
    """
    given: dict[str, Stored] = {}
    unknown: list[str] = []
    for source in (stage1, stage2):
        if source is not None:
            state, foreign = _ours(read_state(source))
            given |= state
            unknown += foreign
    model = _empty(given, preset, overrides)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if base_model is not None:
        folder = _base_folder(base_model)
        _check_base(folder, model)
        for part, prefix in BASE_PARTS.items():
            if any(name.startswith(prefix) and name not in given for name in wanted):
                state = read_state(_weights_file(folder / part))
                given = {prefix + key: Stored(state, key) for key in state} | given
    if "prior.null_text" in wanted and "prior.null_text" not in given:
        if null_text is not None:
            given |= _in_memory({"prior.null_text": _null_text_file(null_text)})
        elif base_model is not None:
            text = embed_empty_text(_base_folder(base_model), wanted["prior.null_text"][1])
            given |= _in_memory({"prior.null_text": text})
    if stage2 is None and not any(name.startswith("tfa.") for name in given):
        given |= _in_memory(_untrained(preset, overrides, wanted))
    _refuse_misfits(wanted, given, unknown, base_model)
    model.load_state_dict({name: given[name].read().to(dtype, copy=True) for name in wanted}, assign=True)
    return model.eval()


def to_official(model: UniRestore) -> dict[str, dict[str, Tensor]]:
    """Our network in the authors' keys: `stage1` and `stage2` as their stages save them.

    Raises ValueError for parts that the authors' network does not have (candidate fusion, detail refiner).
    """
    state = model.state_dict()
    foreign = sorted(name for name in state if name.startswith(("fusion.", "detail.")))
    if foreign:
        raise ValueError(
            f"the authors' network has no {foreign[0].split('.')[0]}, this one has {len(foreign)} tensors of it; "
            "only presets without candidates can be converted"
        )
    return {
        stage: to_authors({name: value for name, value in state.items() if name.startswith(prefixes)})
        for stage, prefixes in STAGES.items()
    }


def save_official(model: UniRestore, folder: str | Path) -> list[Path]:
    """Writes `stage1.safetensors` and `stage2.safetensors` in the authors' keys; returns the paths."""
    folder = Path(folder)
    stages = to_official(model)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for stage, state in stages.items():
        path = folder / f"{stage}.safetensors"
        partial = path.with_name(f".{path.name}.part")
        save_file({key: value.contiguous() for key, value in state.items()}, partial)
        os.replace(partial, path)
        paths.append(path)
    return paths


def _in_memory(state: State) -> dict[str, Stored]:
    return {name: Stored(state, name) for name in state}


def _ours(state: State) -> tuple[dict[str, Stored], list[str]]:
    """The tensors in our keys, and the keys that no part of the network has."""
    known, unknown = {}, []
    for key in state:
        try:
            known[rename(key, to_authors=False)] = Stored(state, key)
        except KeyError:
            unknown.append(key)
    return known, unknown


def _empty(given: Mapping[str, Stored], preset: str, overrides: Mapping[str, Any]) -> UniRestore:
    """The network without memory behind it, its prompts as the files have them."""
    prompts = {
        name.removeprefix("prompts."): value for name, value in given.items() if name.startswith("prompts.")
    }
    settings = dict(overrides)
    if prompts:
        settings.setdefault("tasks", tuple(prompts))
        settings.setdefault("prompt_length", next(iter(prompts.values())).shape[0])
    with torch.device("meta"):
        return UniRestore(**preset_config(preset, **settings))


def _untrained(
    preset: str, overrides: Mapping[str, Any], wanted: Mapping[str, Sequence[int]]
) -> dict[str, Tensor]:
    """TFA as it starts, and prompts of zero: what stage 2 begins with. Only TFA gets memory."""
    with torch.device("meta"):
        start = UniRestore(**preset_config(preset, **overrides))
    start.tfa.to_empty(device="cpu")
    for module in start.tfa.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    state = {f"tfa.{name}": value for name, value in start.tfa.state_dict().items()}
    return state | {name: torch.zeros(shape) for name, shape in wanted.items() if name.startswith("prompts.")}


def _refuse_misfits(
    wanted: Mapping[str, Sequence[int]],
    given: Mapping[str, Stored],
    unknown: Sequence[str],
    base_model: str | Path | None,
) -> None:
    """One ValueError with all that is unknown, missing or of another shape."""
    unknown = [*unknown, *(name for name in given if name not in wanted)]
    missing = [name for name in wanted if name not in given]
    shapes = [
        f"{name} {given[name].shape} instead of {tuple(wanted[name])}"
        for name in wanted
        if name in given and given[name].shape != tuple(wanted[name])
    ]
    told = [
        f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}"
        for names, what in ((unknown, "unknown"), (missing, "missing"), (shapes, "of another shape"))
        if names
    ]
    if told:
        hint = ""
        if base_model is None and any(name.startswith(tuple(BASE_PARTS.values())) for name in missing):
            hint = "; VAE and UNet come from base_model=FOLDER_OR_ID"
        elif "prior.null_text" in missing:
            hint = "; the text condition comes from null_text=FILE or from base_model's text encoder"
        raise ValueError(f"the weights do not make the network: {'; '.join(told)}{hint}")


# ---------------------------------------------------------------------------------------------- base model


def _base_folder(base_model: str | Path) -> Path:
    """The local folder of a base model, fetched first where it is a hub id."""
    if Path(base_model).is_dir():
        return Path(base_model)
    parts = str(base_model).split("/")
    if len(parts) != 2 or not all(parts) or Path(base_model).is_absolute() or str(base_model).startswith("."):
        raise FileNotFoundError(f"{base_model} is no folder and no hub id of the form owner/model")
    from huggingface_hub import snapshot_download

    patterns = [f"{part}/*" for part in (*BASE_PARTS, "text_encoder", "tokenizer")]
    return Path(
        snapshot_download(str(base_model), allow_patterns=patterns, ignore_patterns=["*.bin", "*.onnx*"])
    )


def _weights_file(folder: Path) -> Path:
    names = [
        f"{stem}{suffix}"
        for suffix in (".safetensors", ".bin")
        for stem in ("diffusion_pytorch_model", "model")
    ]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{folder} holds none of {', '.join(names)}; is this a base model in diffusers' layout?"
    )


def _check_base(folder: Path, model: UniRestore) -> None:
    """Widths and depths of the base model against those of the network. Raises ValueError that names the setting."""
    prior = model.config.prior_config or {}
    wanted = {
        "vae": {
            "block_out_channels": list(model.config.block_out_channels),
            "layers_per_block": model.config.layers_per_block,
            "latent_channels": model.config.latent_channels,
        },
        "unet": {
            "block_out_channels": list(prior.get("channels", [])) or None,
            "layers_per_block": prior.get("layers"),
            "cross_attention_dim": prior.get("text_channels"),
        },
    }
    for part, settings in wanted.items():
        file = folder / part / "config.json"
        if not file.is_file():
            raise FileNotFoundError(f"no {file}; is {folder} a base model in diffusers' layout?")
        found = json.loads(file.read_text(encoding="utf-8"))
        for name, value in settings.items():
            has = found.get(name, value)
            if value is not None and (list(has) if isinstance(has, (list, tuple)) else has) != value:
                raise ValueError(
                    f"{file}: {name} is {has}, this network has {value}; it is another base model"
                )


def embed_empty_text(folder: str | Path, tokens: int) -> Tensor:
    """The base model's embedding of the empty text, `(1, tokens, D)` float32, computed once and kept in the user's
    cache.

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
    kept = _cache_file(encoder, tokens)
    if kept.is_file():
        try:
            return _null_text_file(kept)
        except ValueError:
            kept.unlink(missing_ok=True)
    try:
        from transformers import AutoTokenizer, CLIPTextModel
    except ImportError as error:
        raise ModuleNotFoundError(
            f"the text condition needs transformers once: pip install 'unirestore[depth]', {go_without}"
        ) from error
    words = AutoTokenizer.from_pretrained(tokenizer)(
        "", padding="max_length", max_length=tokens, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        embedding = CLIPTextModel.from_pretrained(encoder).eval()(words.input_ids)[0].float().contiguous()
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_name(f".{os.getpid()}.{kept.name}")
    save_file({"null_text": embedding}, partial)
    os.replace(partial, kept)
    return embedding


def _cache_file(encoder: Path, tokens: int) -> Path:
    """Where the embedding of this text encoder is kept: by its config, and size and date of its weights."""
    mark = hashlib.sha256((encoder / "config.json").read_bytes())
    for file in sorted(encoder.glob("*.safetensors")) + sorted(encoder.glob("*.bin")):
        mark.update(f"{file.resolve()}{file.stat().st_size}{file.stat().st_mtime_ns}".encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unirestore" / f"null_text_{mark.hexdigest()[:20]}_{tokens}.safetensors"


def _null_text_file(source: str | Path | Tensor) -> Tensor:
    if isinstance(source, Tensor):
        return source
    path = Path(source)
    if path.suffix != ".safetensors" and path.is_file():
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ValueError(
                f"{path} is damaged or holds more than a tensor; nothing of it was run"
            ) from error
        if isinstance(content, Tensor):
            return content
    state = read_state(path)
    if len(state) != 1:
        raise ValueError(f"{path} must hold one tensor, the text condition, and holds {len(state)}")
    return next(iter(state.values()))


__all__ = ["STAGES", "embed_empty_text", "from_official", "read_state", "save_official", "to_official"]
