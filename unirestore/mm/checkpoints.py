"""Reads detector weights without running code from the file.

Source: written for this project. A ``.pth`` is opened with ``weights_only=True``; the only extra classes
allowed are the plain containers that mmengine's runner puts beside the weights (its log history and numpy
arrays), so a training checkpoint opens too and an arbitrary pickle does not. Licence: Apache-2.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from torch import Tensor

_NUMPY_CORES = ("numpy.core", "numpy._core")


def _mmengine_containers() -> list[Any]:
    """Classes that mmengine's own checkpoints hold beside tensors; building one runs no foreign code."""
    scalar_types = [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")]
    core = (
        getattr(np, "_core", None) or np.core
    )  # numpy 2 renamed the package, files keep the name they were saved with
    rebuild = [
        (core.multiarray._reconstruct, f"{package}.multiarray._reconstruct") for package in _NUMPY_CORES
    ]
    scalars = [(core.multiarray.scalar, f"{package}.multiarray.scalar") for package in _NUMPY_CORES]
    looked_up = [(_history_method, "builtins.getattr")]
    return [HistoryBuffer, np.ndarray, np.dtype, *scalar_types, *rebuild, *scalars, *looked_up]


def _history_method(owner: Any, name: str) -> Any:
    """Stands in for ``getattr``, which a log history needs for its own statistics and nothing else may use."""
    if owner is not HistoryBuffer or name.startswith("_"):
        raise ValueError(f"the file asks for {name!r} of {owner!r}")
    return getattr(HistoryBuffer, name)


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the weights of a detector.

    Args:
        path: a ``.safetensors`` file, or a ``.pth`` / ``.pt`` that holds a state dict, bare or under the key
            ``state_dict`` as mmengine writes it.

    Returns:
        ``(weights, meta)``: parameter name to tensor on the CPU (a leading ``module.`` removed), and the
        dictionary that mmengine saved under ``meta`` (empty where there is none).

    Raises:
        FileNotFoundError: the path is not a file.
        ValueError: the file is damaged, wants to run code, or holds no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no checkpoint at {path}; give the path of a .pth or .safetensors file on this machine"
        )
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            content: Any = load_file(str(path))
        except Exception as error:
            raise ValueError(
                f"{path} is not a readable safetensors file ({error}); download or save it again"
            ) from error
    else:
        try:
            with torch.serialization.safe_globals(_mmengine_containers()):
                content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ValueError(
                f"{path} could not be read as plain weights ({error}); it is damaged or holds more than "
                "tensors. Re-save it with torch.save(state_dict, path) or as safetensors"
            ) from error
    meta: dict[str, Any] = {}
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        meta = content.get("meta") or {}
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors")
    weights = {
        name.removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)
    }
    if not weights:
        raise ValueError(f"{path} holds no tensors; is it a detector checkpoint?")
    return weights, meta
