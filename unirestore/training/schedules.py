"""The learning rate over a run. Licence: Apache-2.0."""

from __future__ import annotations

from typing import Any

from mmengine.optim import OneCycleLR, OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch.optim import Optimizer


@PARAM_SCHEDULERS.register_module()
class GroupOneCycleLR(OneCycleLR):
    """mmengine's `OneCycleLR` with `eta_max` times the `lr_mult` of each group of parameters.

    mmengine's own gives every group the same peak: `lr_mult` in `paramwise_cfg` has no effect, and nothing says so.
    A group's factor is its learning rate over that of the optimiser, as both stand when the schedule is built.

    Args:
        optimizer: mmengine's wrapper around one optimiser, or the optimiser; its own learning rate is above 0.
        eta_max: peak of a group without `lr_mult`, above 0.
        **options: of `OneCycleLR`.

    Raises:
        ValueError: `eta_max` or the optimiser's learning rate is not above 0.
    """

    def __init__(self, optimizer: OptimWrapper | Optimizer, *, eta_max: float, **options: Any) -> None:
        base = getattr(optimizer, "optimizer", optimizer).defaults["lr"]
        if not (eta_max > 0 and base > 0):
            raise ValueError(f"eta_max and the optimiser's lr must be above 0, got {eta_max} and {base}")
        peaks = [eta_max * group["lr"] / base for group in optimizer.param_groups]
        super().__init__(optimizer, eta_max=peaks, **options)
