"""From what a config file can hold to a restorer: one loader for training, measuring and the mm seam."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from .unirestore import PARAMETER_GROUPS, UniRestore


def build_restorer(restorer: str | Path | Mapping[str, Any] | nn.Module) -> nn.Module:
    """A restorer from what a config can hold.

    Args:
        restorer: a module, used as it is; a folder, the name of shipped weights or a hub id for
            `UniRestore.from_pretrained`; a mapping with `preset` (and overrides) for an untrained
            `UniRestore.build`, which takes over from `start_from`, a trained restorer of another size, every
            tensor of the same name and shape; or a mapping with `weights` (folder, name or id) or `official`
            (the arguments of `UniRestore.from_official`) and overrides that take parts away, such as
            `cfrm=False` (ablations), or add the detail refiner or the gate, which change nothing untrained.

    Raises:
        FileNotFoundError: the string is no folder, no shipped weights and no hub id.
        TypeError, ValueError: it is none of these.
    """
    if isinstance(restorer, nn.Module):
        return restorer
    if isinstance(restorer, Mapping):
        options = dict(restorer)
        if "weights" in options:
            return _altered(UniRestore.from_pretrained(options.pop("weights")), options)
        if "official" in options:
            return _altered(UniRestore.from_official(**options.pop("official")), options)
        if "preset" not in options:
            raise ValueError(
                f"restorer has the keys {sorted(options)}; give dict(preset='tiny'), "
                "dict(weights='tiny', cfrm=False), dict(official=dict(stage1=...)), a folder or a module"
            )
        start_from = options.pop("start_from", None)
        model = UniRestore.build(options.pop("preset"), **options)
        return model if start_from is None else _take_over(model, UniRestore.from_pretrained(start_from))
    if isinstance(restorer, (str, Path)):
        return UniRestore.from_pretrained(restorer)
    raise TypeError(f"restorer is a {type(restorer).__name__}; give a folder, a dict or a module")


def _altered(full: UniRestore, overrides: Mapping[str, Any]) -> UniRestore:
    """A trained model with some settings changed that need no weights of their own, in evaluation mode."""
    if not overrides:
        return full.eval()
    settings = {name: full.config[name] for name in full.config if not name.startswith("_")}
    model = UniRestore(**{**settings, **overrides})
    trained, wanted = full.state_dict(), model.state_dict()
    new = tuple(
        PARAMETER_GROUPS[part] for part in ("detail", "gate") if getattr(full, part) is None
    )  # may come: untrained they change nothing
    absent = [
        name
        for name, value in wanted.items()
        if (trained[name].shape != value.shape if name in trained else not name.startswith(new))
    ]
    if absent:
        raise ValueError(
            f"with {dict(overrides)} the model needs {len(absent)} tensors that its weights lack, first "
            f"{absent[0]}; overrides beside `weights` may take parts away or add the detail refiner or the gate"
        )
    model.load_state_dict({name: trained.get(name, fresh) for name, fresh in wanted.items()})
    return model.eval()


def _take_over(model: UniRestore, trained: UniRestore) -> UniRestore:
    """`model` with every tensor of `trained` that has the same name and shape."""
    own = model.state_dict()
    fitting = {
        name: value
        for name, value in trained.state_dict().items()
        if name in own and own[name].shape == value.shape
    }
    model.load_state_dict({**own, **fitting})
    return model
