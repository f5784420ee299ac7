"""Reads detector weights without running code from the file.

Source: written for this project. A ``.pth`` is opened with ``weights_only=True``; the only extra classes
allowed are the plain containers that mmengine's runner puts beside the weights (its log history and numpy
arrays), so a training checkpoint opens too and an arbitrary pickle does not. Licence: Apache-2.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from unirestore.training.safe_loading import read_checkpoint


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
        content = read_checkpoint(path)
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
