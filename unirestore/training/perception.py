"""Stage 1b (ours): everything after the latent learns to restore for the eye, whatever the prompt.

    L = |x_task - x*| + edge(x_task, x*),   task drawn per batch

The paper has no such stage: its decoder is Stable Diffusion's and paints well before TFA is added. A small
model's TFA and candidate fusion start from nothing, and a detector's loss is a slow teacher of what haze is.
With every prompt taught alike, an adaptation starts from a restorer, and what its prompts then say is what the
tasks ask for. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from .autoencoder import edge_loss
from .stage import AFTER_LATENT, TrainingStage


@MODELS.register_module()
class PerceptionStage(TrainingStage):
    """Trains TFA, fusion and all prompts with pixel losses, and CFRM where `trains` names it.

    Args:
        edge_weight: weight of the loss on gradients, beside the L1 loss.
    """

    def __init__(
        self,
        *,
        trains: Sequence[str] = AFTER_LATENT,
        edge_weight: float = 1.0,
        **stage: Any,
    ) -> None:
        super().__init__(trains=trains, **stage)
        self.edge_weight, self.repairs = edge_weight, "cfrm" in trains

    def losses(
        self,
        degraded: Tensor,
        clean: Tensor,
        index: Tensor,
        candidates: Tensor | None = None,
        **batch: Any,
    ) -> dict[str, Tensor]:
        """See the header."""
        tasks = self.restorer.tasks
        task = tasks[int(self.choose(range(len(tasks)), index[:1]))]
        with torch.set_grad_enabled(self.repairs):
            seen = self.restorer.encode(degraded)
        with torch.no_grad():
            latent = self.restorer.denoise(seen.latent)
        restored = self.restorer.decode(latent, seen.skips, task, degraded, candidates)
        return {
            "loss_pixel": F.l1_loss(restored, clean),
            "loss_edge": self.edge_weight * edge_loss(restored, clean),
        }
