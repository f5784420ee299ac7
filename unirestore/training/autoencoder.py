"""Before stage 1: the small VAE, trained on clean pictures. (The paper takes Stable Diffusion's instead.)

    L = L1(x, D(z)) + edge * L1(grad x, grad D(z)) + kl * KL(q(z | x) || N(0, 1)),   z ~ q(z | x)

Source: Kingma and Welling, arXiv 1312.6114, with the small KL weight of latent diffusion (arXiv 2112.10752).
No adversarial and no perceptual term: at this size the picture carries structure and colour, and detail comes
through the skips. Licence: Apache-2.0.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import broadcast
from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import Tensor

from .stage import TrainingStage


@MODELS.register_module()
class AutoencoderStage(TrainingStage):
    """Trains encoder and decoder without CFRM, TFA and prior; ends by setting the latent's scale to one.

    Args: `kl` and `edge`, weights of those terms; the rest as `TrainingStage`.
    """

    def __init__(
        self, *, trains: Sequence[str] = ("vae",), kl: float = 1e-5, edge: float = 1.0, **stage: Any
    ) -> None:
        super().__init__(trains=trains, **stage)
        self.kl, self.edge = kl, edge

    def losses(self, degraded: Tensor, clean: Tensor, index: Tensor, **batch: Any) -> dict[str, Tensor]:
        """Only `clean` is used."""
        mean, log_variance = self.restorer.posterior(clean)  # (B, 4, S/8, S/8)
        latent = mean + (0.5 * log_variance).exp() * self.noise_like(mean, index)
        picture = self.restorer.decode(
            latent * self.restorer.config.scaling_factor, None, None, image_only=True, size=clean.shape[-2:]
        )
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return {
            "loss_pixel": F.l1_loss(picture, clean),
            "loss_edge": self.edge * edge_loss(picture, clean),
            "loss_kl": self.kl * divergence,
        }

    @torch.no_grad()
    def finish(self, dataloader) -> None:
        """Sets `scaling_factor` so that latents of clean pictures have unit variance, as the prior expects.

        Measured on 64 items; every rank takes the first rank's figure. Latents that do not vary or are not
        finite leave the factor as it is, with a warning: such a VAE has not learnt anything to scale.
        """
        device = next(self.restorer.parameters()).device
        means = []
        # not the loader: its sampler has run out of what it gives persistent workers
        dataset = dataloader.dataset
        for index in range(min(64, len(dataset))):
            clean = dataset[index]["clean"][None].to(device).float() / 255  # (1, 3, S, S)
            means.append(self.restorer.posterior(clean)[0])
        spread = torch.cat(means).std()
        broadcast(spread)
        deviation = float(spread)
        if not 1e-6 < deviation < float("inf"):
            print_log(
                f"latents deviate by {deviation:.3g}: scaling_factor stays as it is",
                "current",
                logging.WARNING,
            )
            return
        self.restorer.register_to_config(scaling_factor=round(1 / deviation, 5))


def edge_loss(picture: Tensor, target: Tensor) -> Tensor:
    """L1 between the horizontal and vertical differences of two `(B, 3, H, W)` pictures."""
    return sum(F.l1_loss(picture.diff(dim=dim), target.diff(dim=dim)) for dim in (-1, -2))
