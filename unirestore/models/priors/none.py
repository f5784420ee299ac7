"""No prior: the latent passes as it is. For ablations and for the fastest models.

Ours; there is no such module in the paper.
"""

import torch

from .base import Prior


class NoPrior(Prior):
    """`restore` returns its input; there is nothing to train, so `predict_noise` raises RuntimeError."""

    def predict_noise(
        self, noisy: torch.Tensor, timestep: int | torch.Tensor, condition: torch.Tensor | None = None
    ) -> torch.Tensor:
        raise RuntimeError('this model has prior="none" and predicts no noise; build it with prior="unet"')

    def restore(
        self, latent: torch.Tensor, noise: torch.Tensor, num_inference_steps: int = 1
    ) -> torch.Tensor:
        return latent
