"""Stage 1: CFRM learns to repair the skips; Controller and SC-Tuner learn to steer the frozen prior.

    L = 0.1 |F0 - F0*|^2 + 0.1 |F1 - F1*|^2 + 0.01 |F2 - F2*|^2 + |z0_hat - z0*|^2

F are the repaired skips of the degraded picture, F* the plain skips of the clean one, z0* its latent and
z0_hat the prior's one-step estimate from the clean latent noised to t in {249, 499, 749, 999, 999, 999}. No
loss on the latent reaches CFRM: the encoder detaches before its last block. Source: UniRestore, arXiv
2501.13134, section 3.4, with the weights of the authors' code. What differs: `start="degraded"` (ours) noises
the degraded latent instead, as inference does. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from unirestore.models.autoencoder import TAPS
from unirestore.models.priors import NoPrior

from .stage import TrainingStage

TIMESTEPS = (249, 499, 749, 999, 999, 999)
"""Steps that training draws from, uniformly; inference starts at 999."""
STARTS = ("clean", "degraded")


@MODELS.register_module()
class RestorationStage(TrainingStage):
    """Trains CFRM, Controller and SC-Tuner with the plain VAE frozen.

    Args:
        skip_weights: of the three skip losses, finest first.
        latent_weight: of the latent loss.
        start: the latent that is noised, "clean" (the paper) or "degraded" (as at inference).

    Raises:
        ValueError: `start` is unknown, or there is not one weight for each of the three skips.
    """

    def __init__(
        self,
        *,
        trains: Sequence[str] = ("cfrm", "controller", "sc_tuner"),
        skip_weights: Sequence[float] = (0.1, 0.1, 0.01),
        latent_weight: float = 1.0,
        start: str = "clean",
        **stage: Any,
    ) -> None:
        super().__init__(trains=trains, **stage)
        if start not in STARTS:
            raise ValueError(f"start is {start!r}; it must be one of {', '.join(STARTS)}")
        if len(skip_weights) != TAPS:
            raise ValueError(
                f"skip_weights needs {TAPS} numbers, finest skip first, got {tuple(skip_weights)}"
            )
        self.skip_weights, self.latent_weight, self.start = tuple(skip_weights), latent_weight, start

    def losses(self, degraded: Tensor, clean: Tensor, index: Tensor, **batch: Any) -> dict[str, Tensor]:
        """See the header. Without a prior, or where nothing that steers it learns, the latent has no loss."""
        with torch.no_grad():
            target = self.restorer.encode(clean, repair=False)
        seen = self.restorer.encode(degraded)
        losses = {
            f"loss_skip{level}": weight * F.mse_loss(repaired, plain)
            for level, (weight, repaired, plain) in enumerate(
                zip(self.skip_weights, seen.skips, target.skips, strict=True)
            )
        }
        if isinstance(self.restorer.prior, NoPrior):
            return losses
        estimate = one_step(self, seen.latent, target.latent if self.start == "clean" else seen.latent, index)
        if estimate.requires_grad:
            losses["loss_latent"] = self.latent_weight * F.mse_loss(estimate, target.latent)
        return losses


def one_step(stage: TrainingStage, condition: Tensor, start: Tensor, index: Tensor) -> Tensor:
    """The prior's estimate of the clean latent from `start` noised to a drawn timestep, `(B, 4, h, w)`."""
    prior = stage.restorer.prior
    timestep = stage.choose(TIMESTEPS, index).to(start.device)
    noisy = prior.add_noise(start, stage.noise_like(start, index), timestep)
    return prior.predict_clean(noisy, prior.predict_noise(noisy, timestep, condition), timestep)
