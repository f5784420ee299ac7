"""What every training stage shares: a restorer of which some parts learn, as an mmengine model.

A stage is an `mmengine.model.BaseModel`, so that mmengine's Runner brings loops, logging with ETA, resuming,
mixed precision and distributed training. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from unirestore.models import UniRestore
from unirestore.models.loading import build_restorer

AFTER_LATENT = ("tfa", "prompts", "fusion", "detail")
"""Groups of parameters that follow the latent: what adaptations and stage 1b train."""


class TrainingStage(BaseModel):
    """A restorer, the parts of it that learn, and how a batch becomes losses.

    Batches are those of `unirestore.data.paired.collate`: `degraded` and `clean` `(B, 3, S, S)` uint8 RGB,
    `index` `(B,)` the running number of each item, perhaps `candidates` `(B, K, 3, S, S)` uint8, and more. Subclasses
    write `losses(...)`.

    Args:
        restorer: a module, a folder, the name of shipped weights, or `dict(preset=...)` for an untrained one.
        trains: names of `unirestore.models.unirestore.PARAMETER_GROUPS` that learn, or `prompts.TASK` for the prompt of
            one task; everything else is frozen.
        seed: of the noise that a stage draws. Item `index` always gets the same draw, so a resumed run
            continues exactly.

    Raises:
        ValueError: a group does not exist, `trains` is a string, or the restorer has no parameter in any of
            them.
    """

    def __init__(
        self, *, restorer: str | Path | Mapping[str, Any] | nn.Module, trains: Sequence[str], seed: int = 0
    ) -> None:
        super().__init__()
        if isinstance(trains, str):
            raise ValueError(
                f"trains is the string {trains!r}; give a list of groups, for example [{trains!r}]"
            )
        self.restorer: UniRestore = build_restorer(restorer)
        self.seed = seed
        self.restorer.requires_grad_(False)
        learning = {}
        for group in trains:
            learning |= self.restorer.parameter_group(group)
        if not learning:
            raise ValueError(f"the restorer has no parameters in {tuple(trains)}: nothing would be trained")
        for parameter in learning.values():
            parameter.requires_grad_(True)
        self.learning = frozenset(f"restorer.{name}" for name in learning)
        self.register_state_dict_post_hook(_keep_what_learns)

    def forward(self, mode: str = "loss", **batch: Any) -> dict[str, Tensor]:
        """mmengine's entry. `mode` is always "loss": stages are measured elsewhere, on whole photos."""
        if mode != "loss":
            raise ValueError(f"a training stage has no mode {mode!r}; measure with tools/measure_gain.py")
        for key in {"degraded", "clean", "real", "candidates"} & batch.keys():
            batch[key] = batch[key].float() / 255
        return self.losses(**batch)

    def losses(self, degraded: Tensor, clean: Tensor, **batch: Any) -> dict[str, Tensor]:
        """Losses by name; those called `loss...` are summed. Images are `(B, 3, S, S)` RGB in [0, 1]."""
        raise NotImplementedError

    def finish(self, dataloader) -> None:
        """Called once, after the last step and before the restorer is saved."""

    def noise_like(self, latent: Tensor, index: Tensor) -> Tensor:
        """Normal noise of `latent`'s shape, drawn per item from `(seed, index)`."""
        return torch.stack(
            [torch.randn(latent.shape[1:], generator=self._generator(n)) for n in index.tolist()]
        ).to(latent)

    def choose(self, options: Sequence[int], index: Tensor) -> Tensor:
        """One of `options` per item, `(B,)` int64, drawn from `(seed, index)`."""
        draws = [torch.randint(len(options), (), generator=self._generator(n, 1)) for n in index.tolist()]
        return torch.tensor([options[int(draw)] for draw in draws])

    def _generator(self, index: int, stream: int = 0) -> torch.Generator:
        return torch.Generator().manual_seed((self.seed * 1_000_003 + index) * 2 + stream)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """A checkpoint holds what learns; the rest stays as it was built and does not count as missing."""
        for name, value in nn.Module.state_dict(self.restorer).items():
            if f"restorer.{name}" not in self.learning:
                state_dict.setdefault(f"{prefix}restorer.{name}", value)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _keep_what_learns(
    stage: TrainingStage, state: dict[str, Tensor], prefix: str, local_metadata: Any
) -> None:
    """State-dict hook: frozen weights are in the restorer folder that the stage started from already."""
    own = f"{prefix}restorer."
    for name in [
        name for name in state if name.startswith(own) and name[len(prefix) :] not in stage.learning
    ]:
        del state[name]
