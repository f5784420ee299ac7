"""The authors' checkpoints and the base model's files -> one of our networks, and back.

UniRestore (arXiv 2501.13134, github.com/unirestore/UniRestore, MIT) saves what each stage has trained: stage 1 CFRM,
Controller and SC-Tuner, stage 2 TFA and prompts, as Lightning checkpoints. Autoencoder, UNet and text condition are
those of a base model, see `base_model.py`; `convert.py` holds the key table. Tensors go one by one into a network
without memory of its own and in the wanted number type: at the peak there is little more than the weights. Apache-2.0.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .base_model import PARTS, check_base_model, embed_empty_text, find_base_model, read_null_text, read_part
from .convert import rename, to_authors
from .presets import preset_config
from .state_files import State, Stored, place, read_state
from .unirestore import UniRestore

STAGES: dict[str, tuple[str, ...]] = {
    "stage1": ("cfrm.", "prior.controller.", "prior.sc_tuner."),
    "stage2": ("tfa.", "prompts."),
}
"""What each stage of the authors trains and saves, by our prefixes."""
FORMATS = ("ckpt", "safetensors")
"""Endings of what `save_official` writes. The authors' code reads `ckpt`."""
_SHOWN = 6


def from_official(
    stage1: str | Path | State,
    stage2: str | Path | State | None = None,
    *,
    base_model: str | Path | None = None,
    null_text: str | Path | Tensor | None = None,
    preset: str = "sd_turbo",
    dtype: torch.dtype | str = torch.float32,
    **overrides: Any,
) -> UniRestore:
    """A network with the authors' weights, in evaluation mode.

    Args:
        stage1: checkpoint of stage 1 (`.ckpt`, `.pt`, `.pth` or `.safetensors`) or its state dict, in the authors'
            keys; or everything in one, then nothing else is needed.
        stage2: the same of stage 2; where both hold a key, this one counts. None: TFA starts untrained and prompts at
            zero, as stage 2 itself starts.
        base_model: local folder in diffusers' layout, name in `presets.BASE_MODELS` or hub id; gives `vae/` and `unet/`
            where the stages do not hold them, and the text condition by its `text_encoder/` and `tokenizer/`.
        null_text: the text condition `(1, 77, 1024)`: a tensor or a file with one. Counts before all else.
        preset, overrides: the network, see `UniRestore.build`; tasks and length of the prompts are those of the files.
        dtype: number type that the weights are loaded in, also by name ("bfloat16").

    Raises:
        FileNotFoundError: a file, or a part of the base model, is not there.
        ModuleNotFoundError: the text condition needs transformers, which is absent.
        ValueError: a file is damaged or wants to run code; or keys are unknown, missing or of another shape, all told
            in one message, by file; or the base model is of another size than the preset.
    """
    dtype = _number_type(dtype)
    sources = [read_state(source) for source in (stage1, stage2) if source is not None]
    given: dict[str, Stored] = {}
    unknown: list[Stored] = []
    for state in sources:
        for key in state:
            try:
                given[rename(key, to_authors=False)] = Stored(state, key)
            except KeyError:
                unknown.append(Stored(state, key))
    model = _empty(given, preset, overrides)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    places = {prefix: place(sources[0]) for prefix in STAGES["stage1"]}
    places |= {prefix: place(sources[-1]) for prefix in STAGES["stage2"]}
    if base_model is not None:
        folder = find_base_model(base_model)
        check_base_model(folder, model)
        for part, prefix in PARTS.items():
            if any(name.startswith(prefix) and name not in given for name in wanted):
                given = read_part(folder, part) | given
            places[prefix] = str(folder / part)
    if "prior.null_text" in wanted:
        if null_text is not None:
            given |= _in_memory({"prior.null_text": read_null_text(null_text)})
        elif base_model is not None and "prior.null_text" not in given:
            text = embed_empty_text(folder, wanted["prior.null_text"][1])
            given |= _in_memory({"prior.null_text": text})
    if stage2 is None and not any(name.startswith(STAGES["stage2"]) for name in given):
        given |= _in_memory(_untrained(model))
    _refuse_misfits(wanted, given, unknown, places)
    model.load_state_dict({name: given[name].read(dtype) for name in wanted}, assign=True)
    return model.eval()


def to_official(model: UniRestore) -> dict[str, dict[str, Tensor]]:
    """Our network in the authors' keys: `stage1` and `stage2` as their stages save them. Autoencoder, UNet and text
    condition belong to the base model and are left out; `convert.to_authors` has everything in one.

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


def save_official(model: UniRestore, folder: str | Path, file_format: str = "ckpt") -> list[Path]:
    """Writes `stage1` and `stage2` in the authors' keys, each at once or not at all; returns the paths.

    `file_format`: "ckpt", what Lightning and the authors' code read, or "safetensors". Raises ValueError for another.
    """
    if file_format not in FORMATS:
        raise ValueError(f"file_format must be one of {', '.join(FORMATS)}, got {file_format!r}")
    folder = Path(folder)
    stages = to_official(model)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for stage, state in stages.items():
        path = folder / f"{stage}.{file_format}"
        partial = path.with_name(f".{path.name}.part")
        state = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        if file_format == "ckpt":
            torch.save({"state_dict": state}, partial)
        else:
            save_file(state, partial)
        os.replace(partial, path)
        paths.append(path)
    return paths


def _number_type(dtype: torch.dtype | str) -> torch.dtype:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type such as 'bfloat16', got {dtype!r}")
    return found


def _in_memory(state: State) -> dict[str, Stored]:
    return {name: Stored(state, name) for name in state}


def _empty(given: Mapping[str, Stored], preset: str, overrides: Mapping[str, Any]) -> UniRestore:
    """The network without memory behind it, its prompts as the files have them."""
    prompts = {
        name.removeprefix("prompts."): value.shape
        for name, value in given.items()
        if name.startswith("prompts.")
    }
    settings = dict(overrides)
    if prompts:
        settings.setdefault("tasks", tuple(prompts))
        lengths = [shape[0] for shape in prompts.values() if len(shape) == 2]
        settings.setdefault("prompt_length", lengths[0] if lengths else 1)
    with torch.device("meta"):
        return UniRestore(**preset_config(preset, **settings))


def _untrained(model: UniRestore) -> dict[str, Tensor]:
    """TFA as it starts, and prompts of zero: what stage 2 begins with. Only these get memory, `model` gets none."""
    tfa = deepcopy(model.tfa).to_empty(device="cpu")
    for module in tfa.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    prompts = {f"prompts.{task}": torch.zeros(value.shape) for task, value in model.prompts.items()}
    return {f"tfa.{name}": value for name, value in tfa.state_dict().items()} | prompts


def _refuse_misfits(
    wanted: Mapping[str, Sequence[int]],
    given: Mapping[str, Stored],
    unknown: Sequence[Stored],
    places: Mapping[str, str],
) -> None:
    """One ValueError with all that is unknown, missing or of another shape, by file and in the names of the file."""
    found: dict[str, dict[str, list[str]]] = {}

    def add(where: str, what: str, key: str) -> None:
        found.setdefault(where, {}).setdefault(what, []).append(key)

    for stored in (*unknown, *(value for name, value in given.items() if name not in wanted)):
        add(stored.place, "unknown", stored.key)
    for name, shape in wanted.items():
        if name not in given:
            prefix = next((prefix for prefix in places if name.startswith(prefix)), None)
            in_base = prefix in PARTS.values()
            key = name.removeprefix(prefix) if in_base else _authors_name(name)
            add(places.get(prefix, "not given"), "missing", key)
        elif given[name].shape != tuple(shape):
            shapes = f"{given[name].shape} instead of {tuple(shape)}"
            add(given[name].place, "of another shape", f"{given[name].key} {shapes}")
    if not found:
        return
    lines = []
    for where, kinds in found.items():
        told = [
            f"{len(keys)} {what}: {', '.join(keys[:_SHOWN])}{' ...' if len(keys) > _SHOWN else ''}"
            for what, keys in kinds.items()
        ]
        lines.append(f"{where}: {'; '.join(told)}")
    missing = [name for name in wanted if name not in given]
    if any(name.startswith(tuple(PARTS.values())) for name in missing) and "vae." not in places:
        lines.append("VAE and UNet come from base_model=FOLDER_OR_ID")
    elif "prior.null_text" in missing:
        lines.append("the text condition comes from null_text=FILE or from the text encoder of base_model")
    raise ValueError("the weights do not make the network\n  " + "\n  ".join(lines))


def _authors_name(name: str) -> str:
    try:
        return rename(name, to_authors=True)
    except KeyError:  # candidate fusion: the authors have none
        return name


__all__ = ["FORMATS", "STAGES", "from_official", "save_official", "to_official"]
