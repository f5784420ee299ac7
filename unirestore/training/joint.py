"""Several tasks in one run: batches of one task each, in turn, every task with its own frozen downstream network.

    L = L_task(batch of the task),   L_task as in `AdaptationStage`

How the data of UniRestore's tasks (arXiv 2501.13134) is mixed is not known to us; this way is ours. How much a task
gains or loses by the company of others is what `configs/tfa_joint.py` is for. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from torch import Tensor, nn

from unirestore.models.loading import build_restorer

from .adaptation import AdaptationStage
from .stage import AFTER_LATENT, TrainingStage


@MODELS.register_module()
class JointStage(TrainingStage):
    """Trains what follows the latent for several tasks at once.

    Args:
        restorer: as for every stage.
        tasks: name -> the arguments of its `AdaptationStage` beside `restorer`, `task` and `trains`: `downstream`,
            weights, `copy_from` for a task that the restorer does not know. A task of perception alone, such as `ir`,
            has `downstream=None` and `task_weight=0`, `feature_weight=0`.
        trains, seed: as for every stage.

    Batches come from `JointDataset`, which names the task.

    Raises:
        ValueError: there is no task; what `AdaptationStage` raises; later, a batch of no known task, or of several.
    """

    def __init__(
        self,
        *,
        restorer: str | Path | Mapping[str, Any] | nn.Module,
        tasks: Mapping[str, Mapping[str, Any]],
        trains: Sequence[str] = AFTER_LATENT,
        seed: int = 0,
    ) -> None:
        if not tasks:
            raise ValueError(
                "tasks is empty: name at least one, such as tasks=dict(det=dict(downstream=...))"
            )
        restorer = build_restorer(restorer)
        # outside the module tree: they share this stage's restorer, and their networks are frozen
        stages = {
            task: AdaptationStage(restorer=restorer, task=task, trains=trains, seed=seed, **options)
            for task, options in tasks.items()
        }
        super().__init__(restorer=restorer, trains=trains, seed=seed)
        self._stages = [stages]

    @property
    def stages(self) -> dict[str, AdaptationStage]:
        """The stage of each task, around the one restorer."""
        return self._stages[0]

    def losses(self, task: Sequence[str], **batch: Any) -> dict[str, Tensor]:
        """The losses of the batch's task, each with the task in its name."""
        names = sorted(set(task))
        if len(names) != 1 or names[0] not in self.stages:
            raise ValueError(
                f"a batch is of one task out of {', '.join(self.stages)}, got {', '.join(names)}; the loader's "
                "batch_size times the number of processes must be that of JointDataset, and nothing may shuffle"
            )
        (name,) = names
        found = self.stages[name].losses(**batch)
        return {
            key if key.startswith(f"loss_{name}_") else f"loss_{name}_{key.removeprefix('loss_')}": value
            for key, value in found.items()
        }


@HOOKS.register_module()
class TaskGradientNorms(Hook):
    """Logs the gradient norm of each batch also as `grad_norm_TASK`, so that one sees which task pulls hardest."""

    priority = "ABOVE_NORMAL"  # before the logger

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Only where the optimiser clips, which is when mmengine knows the norm."""
        norms = runner.message_hub.log_scalars.get("train/grad_norm")
        if norms is not None and data_batch and "task" in data_batch:
            runner.message_hub.update_scalar(f"train/grad_norm_{data_batch['task'][0]}", norms.current())
