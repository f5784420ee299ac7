"""Stages 2 and 3: TFA and prompts learn what a frozen downstream network wants to see.

    L = task_weight * L_task(x_task) + feature_weight * |N(x_task) - N(x*)| / |N(x*)| + L_ir,
    L_ir = 10 |x_ir - x*| + edge

x_task and x_ir are the same encoding decoded with two prompts, x* is the clean picture, N the downstream
network's neck features. Source: UniRestore, arXiv 2501.13134, section 3.4, with the authors' weights for the
perception term. What differs: the feature-matching term (as in SR4IR, CVPR 2024), normalised per level; and
`start`: the paper's code decodes latents estimated from noised *clean* latents ("clean", teacher-forced),
inference starts from the degraded one ("degraded", our default). Stage 3 (a new task, TASK) is
`trains=("prompts.TASK",)`: what other tasks' pictures are made of does not change by a bit. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from unirestore.models.loading import build_restorer
from unirestore.models.priors import NoPrior

from .autoencoder import edge_loss
from .restoration import STARTS, one_step
from .stage import AFTER_LATENT, TrainingStage

BOXES = ("boxes", "labels")


@MODELS.register_module()
class AdaptationStage(TrainingStage):
    """Trains what follows the latent (TFA, prompts, and the candidate fusion where there is one) for a task.

    Args:
        downstream: a frozen network with `features(images)` and `loss_and_features(images, **truth)`, or the config
            to build it from mmengine's registry: `dict(type="FrozenDetector", ...)`, `dict(type="FrozenSegmentor",
            ...)` and so on. Its attribute `truth` names the entries of a batch that it learns from; without one these
            are `boxes` and `labels`.
        task: the prompt that the downstream network reads.
        copy_from: task whose prompt `task` starts as, where the restorer does not know `task` yet.
        task_weight: weight of the downstream loss; `term_weights` multiplies single terms of it by name.
        feature_weight: weight of the feature-matching term.
        perception_weight: weight of the L1 term of `ir`; 0 leaves that decode out.
        fidelity_weight: weight of an L1 term between the task's picture and the clean one.
        start: "degraded" or "clean", see the header.

    Raises:
        ValueError: `start` is unknown, or is "clean" for a restorer without a prior; the restorer does not
            know the task, or not `ir` while `perception_weight` asks for it; every weight is 0, or one asks
            for a downstream network that is not there; later, in training: `term_weights` names a term that
            the downstream network does not have, a picture has no boxes because nobody labelled it, or batches
            lack what the network learns from.
    """

    def __init__(
        self,
        *,
        downstream: Mapping[str, Any] | nn.Module | None,
        task: str = "det",
        copy_from: str | None = None,
        trains: Sequence[str] = AFTER_LATENT,
        task_weight: float = 0.1,
        term_weights: Mapping[str, float] | None = None,
        feature_weight: float = 1.0,
        perception_weight: float = 10.0,
        fidelity_weight: float = 0.0,
        start: str = "degraded",
        restorer: str | Path | Mapping[str, Any] | nn.Module,
        **stage: Any,
    ) -> None:
        restorer = build_restorer(restorer)
        if copy_from is not None and task not in restorer.tasks:
            restorer.add_task(task, copy_from=copy_from)
        super().__init__(restorer=restorer, trains=trains, **stage)
        if start not in STARTS:
            raise ValueError(f"start is {start!r}; it must be one of {', '.join(STARTS)}")
        if task not in self.restorer.tasks:
            raise ValueError(
                f"the restorer has no task {task!r} (it has {', '.join(self.restorer.tasks)}); add_task it "
                "or say copy_from="
            )
        if perception_weight and "ir" not in self.restorer.tasks:
            raise ValueError(
                "the restorer has no task 'ir' to keep honest; add_task it or set perception_weight=0"
            )
        if start == "clean" and isinstance(self.restorer.prior, NoPrior):
            raise ValueError(
                "start='clean' noises the clean latent for the prior, and there is none; use 'degraded'"
            )
        if downstream is None and (task_weight or feature_weight):
            raise ValueError(
                f"task_weight={task_weight} and feature_weight={feature_weight} need a downstream network; "
                "set both to 0 to train for perception alone"
            )
        if not any((task_weight, feature_weight, perception_weight, fidelity_weight)):
            raise ValueError("every weight is 0: there is no loss to train with; give at least one")
        # outside the module tree: it is frozen, is no part of a checkpoint and must not follow train()
        self._downstream = [MODELS.build(downstream) if isinstance(downstream, Mapping) else downstream]
        self.task, self.start = task, start
        self.task_weight, self.term_weights = task_weight, dict(term_weights or {})
        self.feature_weight, self.perception_weight = feature_weight, perception_weight
        self.fidelity_weight = fidelity_weight

    @property
    def downstream(self) -> nn.Module:
        """The frozen network, on the restorer's device."""
        return self._downstream[0].to(next(self.restorer.parameters()).device)

    def losses(
        self,
        degraded: Tensor,
        clean: Tensor,
        index: Tensor,
        candidates: Tensor | None = None,
        **batch: Any,
    ) -> dict[str, Tensor]:
        """See the header; `batch` holds what the downstream network learns from, see `truth_of`."""
        if self.task_weight:
            check_labelled(batch, self.downstream)
        with torch.no_grad():
            seen = self.restorer.encode(degraded)
            latent = self._latent(seen.latent, clean, index)
            if candidates is None and self.restorer.fusion is not None:
                candidates = self.restorer.stack_candidates(degraded)
        losses = self._task_losses(seen.skips, latent, candidates, degraded, clean, batch)
        if self.perception_weight:
            perceived = self.restorer.decode(latent, seen.skips, "ir", degraded, candidates)
            losses["loss_ir"] = self.perception_weight * F.l1_loss(perceived, clean)
            losses["loss_ir_edge"] = self.perception_weight * edge_loss(perceived, clean)
        return losses

    def _task_losses(
        self,
        skips: list[Tensor],
        latent: Tensor,
        candidates: Tensor | None,
        degraded: Tensor,
        clean: Tensor,
        batch: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """The terms of the task's own picture; none of them where all their weights are 0."""
        if not (self.task_weight or self.feature_weight or self.fidelity_weight):
            return {}
        picture = self.restorer.decode(latent, skips, self.task, degraded, candidates)
        losses = {}
        if self.task_weight or self.feature_weight:
            losses, found = downstream_losses(
                self.downstream, self.task, picture, batch, self.task_weight, self.term_weights
            )
        if self.feature_weight:
            with torch.no_grad():
                wanted = self.downstream.features(clean)
            losses["loss_feature"] = self.feature_weight * feature_distance(found, wanted)
        if self.fidelity_weight:
            losses["loss_fidelity"] = self.fidelity_weight * F.l1_loss(picture, clean)
        return losses

    def _latent(self, degraded: Tensor, clean: Tensor, index: Tensor) -> Tensor:
        if self.start == "degraded":
            return self.restorer.denoise(degraded)
        return one_step(self, degraded, self.restorer.encode(clean, repair=False).latent, index)


def downstream_losses(
    downstream: nn.Module,
    task: str,
    picture: Tensor,
    batch: Mapping[str, Any],
    weight: float,
    term_weights: Mapping[str, float],
) -> tuple[dict[str, Tensor], Sequence[Tensor]]:
    """The terms of a downstream network's loss as `loss_<task>_<term>`, weighted, and its features.

    Raises ValueError where `term_weights` names a term that the network's loss does not have, and as `truth_of`.
    """
    terms, features = downstream.loss_and_features(picture, **truth_of(downstream, batch))
    if unknown := sorted(set(term_weights) - set(terms)):
        raise ValueError(
            f"term_weights names {', '.join(unknown)}; the downstream loss has {', '.join(terms)}"
        )
    losses = {
        f"loss_{task}_{name.replace('loss_', '')}": weight * term_weights.get(name, 1.0) * term
        for name, term in terms.items()
    }
    return losses, features


def truth_of(downstream: nn.Module, batch: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a batch that a downstream network learns from: those in its `truth`, or boxes and labels.

    Raises ValueError where the batch lacks one.
    """
    names = _learns_from(downstream)
    if lacking := [name for name in names if name not in batch]:
        raise ValueError(
            f"the downstream network learns from {', '.join(lacking)}, which the batches lack; label maps come with "
            "label_map_classes=(...) in train_dataloader.dataset, depth with depth=True"
        )
    return {name: batch[name] for name in names}


def _learns_from(downstream: nn.Module) -> tuple[str, ...]:
    return getattr(downstream, "truth", BOXES)


def check_labelled(batch: Mapping[str, Any], downstream: nn.Module) -> None:
    """Raises ValueError for pictures without annotations before a detector: no boxes would teach to hide objects."""
    labelled = batch.get("labelled") if "boxes" in _learns_from(downstream) else None
    if labelled is not None and not bool(labelled.all()):
        names = [name for name, known in zip(batch.get("name", ()), labelled.tolist()) if not known]
        raise ValueError(
            f"{len(labelled) - int(labelled.sum())} of {len(labelled)} pictures have no annotations "
            f"({', '.join(names[:3])}); make some with tools/pseudo_label.py and give them as "
            "boxes=..., or set task_weight=0 to learn from the features alone"
        )


def feature_distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Mean over levels of the L1 distance, relative to the mean magnitude of `wanted`."""
    distances = [
        (f - w).abs().mean() / w.abs().mean().clamp_min(1e-6) for f, w in zip(found, wanted, strict=True)
    ]
    return torch.stack(distances).mean()
