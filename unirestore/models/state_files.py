"""State dicts in files: read tensor by tensor, without running code, into a network that has no memory of its own yet.

At the peak a network takes little more than its weights, in the number type that is wanted. Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor, nn

State = Mapping[str, Tensor]
_PICKLES = (".ckpt", ".pt", ".pth", ".bin")
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
"""Of the weights in a folder that `save_pretrained` writes."""


def read_state(source: str | Path | State) -> State:
    """The tensors of a checkpoint by name, read from the file when they are asked for.

    A Lightning or mmengine checkpoint gives its `state_dict`. Raises FileNotFoundError for a missing file, ValueError
    for one that is damaged, holds no tensors, or wants to run code.
    """
    if isinstance(source, Mapping):
        return source.get("state_dict", source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            return _Lazy(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=path.suffix in _PICKLES)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ValueError(
            f"{path} is cut short, damaged or holds more than tensors ({reason}); nothing of it was run. If you trust "
            "its source, save its state_dict again as safetensors"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no state dict: its content is {type(content).__name__}")
    return state


class _Lazy(Mapping):
    """The tensors of a safetensors file; each is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, framework="pt") as file:
            self.shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.shapes:
            raise KeyError(name)
        with safe_open(self.path, framework="pt") as file:  # closed again: what was mapped does not pile up
            return file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


class Stored(NamedTuple):
    """A tensor that stays where it is until it is read."""

    state: State
    key: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor, without reading it."""
        return (
            self.state.shapes[self.key]
            if isinstance(self.state, _Lazy)
            else tuple(self.state[self.key].shape)
        )

    def read(self) -> Tensor:
        """The tensor."""
        return self.state[self.key]


def fill(model: nn.Module, state: State, dtype: torch.dtype | None = None) -> dict[str, list[str]]:
    """Gives a model that was built on the device "meta" the tensors of `state`, copied one by one as `dtype` (None: as
    they are stored).

    Returns what is "missing", "unexpected" or "mis-shaped", sorted; where anything is, the model is left as it was.
    """
    wanted = model.state_dict()
    stored = {name: Stored(state, name) for name in state}
    problems = {
        "missing": sorted(set(wanted) - set(stored)),
        "unexpected": sorted(set(stored) - set(wanted)),
        "mis-shaped": sorted(
            name for name in set(wanted) & set(stored) if stored[name].shape != tuple(wanted[name].shape)
        ),
    }
    if not any(problems.values()):
        ready = {name: one.read().to(dtype, copy=True) for name, one in stored.items()}
        model.load_state_dict(ready, assign=True)
    return problems
