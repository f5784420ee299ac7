"""Before stage 1: the small diffusion prior, trained on clean latents. (The paper takes SD-Turbo's.)

    L = || eps - eps_theta(sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps, t) ||^2,   t uniform over all 1000 steps

Source: Ho et al., arXiv 2006.11239, eq. 14, on latents as in arXiv 2112.10752. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from unirestore.models.priors.base import TRAIN_STEPS

from .stage import TrainingStage


@MODELS.register_module()
class PriorStage(TrainingStage):
    """Trains the UNet alone (no Controller, no SC-Tuner) to predict noise; the VAE is frozen."""

    def __init__(self, *, trains: Sequence[str] = ("prior",), **stage: Any) -> None:
        super().__init__(trains=trains, **stage)

    def losses(self, degraded: Tensor, clean: Tensor, index: Tensor, **batch: Any) -> dict[str, Tensor]:
        """Only `clean` is used."""
        with torch.no_grad():
            latent = self.restorer.encode(clean, repair=False).latent  # (B, 4, S/8, S/8)
        noise = self.noise_like(latent, index)
        timestep = self.choose(range(TRAIN_STEPS), index).to(latent.device)
        noisy = self.restorer.prior.add_noise(latent, noise, timestep)
        return {"loss_noise": F.mse_loss(self.restorer.prior.predict_noise(noisy, timestep), noise)}
