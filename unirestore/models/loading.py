"""From what a config file can hold to a restorer: one loader for training, measuring and the mm seam."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from .unirestore import UniRestore


def build_restorer(restorer: str | Path | Mapping[str, Any] | nn.Module) -> nn.Module:
    """A restorer from what a config can hold.

    Args:
        restorer: a module, used as it is; a folder, the name of shipped weights or a hub id for
            `UniRestore.from_pretrained`; a mapping with `preset` (and overrides) for an untrained
            `UniRestore.build`; or a mapping with `weights` (folder, name or id) and overrides of settings
            that need no weights of their own.

    Raises:
        FileNotFoundError: the string is no folder, no shipped weights and no hub id.
        TypeError, ValueError: it is none of these.
    """
    if isinstance(restorer, nn.Module):
        return restorer
    if isinstance(restorer, Mapping):
        options = dict(restorer)
        if "preset" not in options:
            raise ValueError(
                f"restorer has the keys {sorted(options)}; give dict(preset='tiny'), a folder or a module"
            )
        return UniRestore.build(options.pop("preset"), **options)
    if isinstance(restorer, (str, Path)):
        return UniRestore.from_pretrained(restorer)
    raise TypeError(f"restorer is a {type(restorer).__name__}; give a folder, a dict or a module")
