"""Reading checkpoints without running code from them.

mmengine opens a checkpoint with `weights_only=True` and, where that fails, *again without it*, so that a
torn file or a foreign pickle gets to run whatever it holds. Importing this module puts a loader in its place
that never does: what is no plain checkpoint is refused. Official mmdet checkpoints open. Licence: Apache-2.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader

_FUNCTIONS = {
    HistoryBuffer: ("min", "max", "current", "mean"),
    OneCycleParamScheduler: ("_annealing_cos", "_annealing_linear"),
}
"""What mmengine writes into a checkpoint as a class and the name of one of its functions."""


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> Any:
    """What `path` holds: tensors, plain containers, numpy arrays and mmengine's log history, nothing else.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is cut short, damaged or wants to run code; nothing of it was run.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        reason = _reason(error)
        raise ValueError(
            f"{path} is cut short, damaged or holds more than tensors ({reason}); resume from an older "
            "one, or if you trust its source save its state_dict again with torch.save"
        ) from error


def read_training_checkpoint(path: str | Path) -> dict[str, Any]:
    """As `read_checkpoint`, for a file that training can continue from.

    Raises ValueError also where it holds weights alone: no optimizer or no step count.
    """
    content = read_checkpoint(path)
    lacking = [
        key
        for key in ("state_dict", "optimizer", "meta", "message_hub")
        if not isinstance(content, dict) or key not in content
    ]
    if lacking:
        raise ValueError(
            f"{path} is no training checkpoint, it has no {', '.join(lacking)}; to start from its weights "
            f"pass --cfg-options load_from={path} without --resume"
        )
    return content


def _reason(error: Exception) -> str:
    """The line of torch's advice that says what is wrong with the file; the rest says how to run its code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("WeightsUnpickler error")] or lines[:1]
    return telling[0].partition(" Please use")[0] if telling else type(error).__name__


def _harmless() -> list[Any]:
    """What checkpoints of mmengine hold beside tensors; building one runs no foreign code."""
    core = (
        getattr(np, "_core", None) or np.core
    )  # numpy 2 renamed it; files keep the name they were saved with
    scalar_types = [type(np.dtype(name)) for name in ("f8", "f4", "f2", "i8", "i4", "u4", "u1", "bool")]
    renamed = [
        (function, f"{package}.multiarray.{function.__name__}")
        for package in ("numpy.core", "numpy._core")
        for function in (core.multiarray._reconstruct, core.multiarray.scalar)
    ]
    plain = [np.ndarray, np.dtype, slice, *scalar_types, *renamed]
    return [*_FUNCTIONS, *plain, (_known_function, "builtins.getattr")]


def _known_function(owner: Any, name: str) -> Any:
    """Stands in for `getattr`: log history and learning rate name functions so, nothing else may."""
    if name not in _FUNCTIONS.get(owner, ()):
        raise ValueError(f"the file asks for {name!r} of {owner!r}")
    return getattr(owner, name)


@CheckpointLoader.register_scheme(prefixes="", force=True)
def load_from_file(filename: str, map_location: Any = None) -> Any:
    """mmengine's loader of local files, without its fallback; see `read_checkpoint`."""
    return read_checkpoint(filename, map_location)
