"""State dicts in files: read tensor by tensor, without running code, into a network that has no memory of its own yet.

At the peak a network takes little more than its weights, in the number type that is wanted. Apache-2.0.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor, nn

State = Mapping[str, Tensor]
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
"""Of the weights in a folder that `save_pretrained` writes."""
_LEAST_MAPPED = 8 * 2**20


def read_state(source: str | Path | State) -> State:
    """The tensors of a checkpoint by name, read from the file when they are asked for.

    A Lightning or mmengine checkpoint gives its `state_dict`. Raises FileNotFoundError for a missing file, ValueError
    for one that is damaged, holds no tensors, or wants to run code.
    """
    if isinstance(source, Mapping):
        return source.get("state_dict", source)
    path = Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    return StateFile(path)


def read_pickle(path: Path) -> Any:
    """What `torch.save` wrote: tensors and plain containers, nothing else; tensors stay in the file, mapped, where its
    format lets them. Raises ValueError where it is damaged or wants to run code; nothing of it is run."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:
        raise _unreadable(path, error) from error


class StateFile(State):
    """The tensors of one file. What is asked for is a view into the file: copy it, and keep nothing of it.

    The file is opened again whenever a 32nd of it has been read, so that the system takes back what was mapped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()
        if self._is_safetensors:
            names = self._handle.keys()
            self.shapes = {name: tuple(self._handle.get_slice(name).get_shape()) for name in names}
        else:
            self.shapes = {name: tuple(value.shape) for name, value in self._handle.items()}
        self._limit = max(_LEAST_MAPPED, path.stat().st_size // 32)
        if not self._is_safetensors and not zipfile.is_zipfile(path):
            self._limit = float(
                "inf"
            )  # the format before torch 1.6 cannot be mapped; it is in memory as a whole

    @property
    def _is_safetensors(self) -> bool:
        return self.path.suffix == ".safetensors"

    def _open(self) -> None:
        self._read = 0
        self._handle = None  # what is mapped goes back before more is
        if self._is_safetensors:
            try:
                self._handle = safe_open(self.path, framework="pt")
            except Exception as error:
                raise _unreadable(self.path, error) from error
            return
        content = read_pickle(self.path)
        state = content.get("state_dict", content) if isinstance(content, Mapping) else None
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise ValueError(f"{self.path} holds no state dict: its content is {type(content).__name__}")
        self._handle = state

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.shapes:
            raise KeyError(name)
        if self._read > self._limit:
            self._open()
        tensor = self._handle.get_tensor(name) if self._is_safetensors else self._handle[name]
        self._read += tensor.numel() * tensor.element_size()
        return tensor

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
        if isinstance(self.state, StateFile):
            return self.state.shapes[self.key]
        return tuple(self.state[self.key].shape)

    @property
    def place(self) -> str:
        """The file, or that there is none; for messages."""
        return place(self.state)

    def read(self, dtype: torch.dtype | None = None) -> Tensor:
        """A copy of the tensor, as `dtype` where that is given."""
        return self.state[self.key].to(dtype, copy=True)


def place(state: State) -> str:
    """Where a state comes from, for messages."""
    return str(state.path) if isinstance(state, StateFile) else "the state dict in memory"


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
        kinds = {name: dtype if value.is_floating_point() else value.dtype for name, value in wanted.items()}
        model.load_state_dict({name: one.read(kinds[name]) for name, one in stored.items()}, assign=True)
    return problems


def _unreadable(path: Path, error: Exception) -> ValueError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    telling = [line for line in lines if line.startswith("WeightsUnpickler error")] or lines
    reason = telling[0].partition(" Please use")[0][:200]
    return ValueError(
        f"{path} is cut short, damaged or holds more than tensors ({reason}); nothing of it was run. If you trust its "
        "source, save its state_dict again as safetensors"
    )
