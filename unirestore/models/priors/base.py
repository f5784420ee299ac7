"""The small interface behind which the diffusion prior sits, and the noise schedule that all priors share.

Schedule: DDPM (Ho et al., arXiv 2006.11239), 1000 steps, scaled-linear betas 0.00085 ... 0.012 as in Stable
Diffusion; epsilon prediction. Sampler: DDIM (Song et al., arXiv 2010.02502, eq. 12, eta 0), trailing spacing,
`set_alpha_to_one=False` (the last step ends at alpha-bar of step 0), no clipping, as in SD-Turbo's scheduler.
What differs: a pure function instead of a scheduler object, so that nothing is kept between calls.
"""

from functools import lru_cache

import torch
from torch import nn

TRAIN_STEPS = 1000
"""Length of the diffusion chain; timesteps are 0...999 and 999 is almost pure noise."""
MAX_INFERENCE_STEPS = 4


@lru_cache(maxsize=1)
def alphas_cumprod() -> torch.Tensor:
    """alpha-bar of every timestep, `(1000,)` float32 on the CPU; do not write into it."""
    ends = 0.00085**0.5, 0.012**0.5
    betas = torch.linspace(*ends, TRAIN_STEPS, dtype=torch.float32, device="cpu") ** 2
    return torch.cumprod(1.0 - betas, dim=0)


def _coefficients(timestep: int | torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """sqrt(alpha-bar) and sqrt(1 - alpha-bar) of an int or `(B,)` timestep, shaped to multiply `like`."""
    index = torch.as_tensor(timestep, dtype=torch.long).to("cpu").reshape(-1)
    alpha = alphas_cumprod()[index].to(like.device).reshape(-1, 1, 1, 1)
    return alpha.sqrt().to(like.dtype), (1 - alpha).sqrt().to(like.dtype)


class Prior(nn.Module):
    """Base of all priors. A prior predicts noise; the rest follows from the schedule.

    Latents are `(B, 4, h, w)`, scaled. Timesteps are an int or a `(B,)` integer tensor in 0...999.
    """

    size_multiple: int = 1
    """Latent heights and widths must be multiples of this."""

    def predict_noise(
        self, noisy: torch.Tensor, timestep: int | torch.Tensor, condition: torch.Tensor | None = None
    ) -> torch.Tensor:
        """epsilon `(B, 4, h, w)`; `condition` is the degraded latent, None runs the bare prior."""
        raise NotImplementedError

    def add_noise(
        self, latent: torch.Tensor, noise: torch.Tensor, timestep: int | torch.Tensor
    ) -> torch.Tensor:
        """z_t = sqrt(alpha-bar) z_0 + sqrt(1 - alpha-bar) noise."""
        signal, sigma = _coefficients(timestep, latent)
        return signal * latent + sigma * noise

    def predict_clean(
        self, noisy: torch.Tensor, epsilon: torch.Tensor, timestep: int | torch.Tensor
    ) -> torch.Tensor:
        """z_0 = (z_t - sqrt(1 - alpha-bar) epsilon) / sqrt(alpha-bar)."""
        signal, sigma = _coefficients(timestep, noisy)
        return (noisy - sigma * epsilon) / signal

    def restore(
        self, latent: torch.Tensor, noise: torch.Tensor, num_inference_steps: int = 1
    ) -> torch.Tensor:
        """The degraded latent, noised to t = 999, walked back by `num_inference_steps` (1-4) DDIM steps.

        The prior may be of another number type than the autoencoder around it: what comes back is of the latent's.
        Raises ValueError for another number of steps.
        """
        if num_inference_steps not in range(1, MAX_INFERENCE_STEPS + 1):
            raise ValueError(
                f"num_inference_steps must be 1 to {MAX_INFERENCE_STEPS}, got {num_inference_steps!r}"
            )
        wanted = latent.dtype
        own = next((value.dtype for value in self.parameters()), wanted)
        latent, noise = latent.to(own), noise.to(own)
        z = self.add_noise(latent, noise, TRAIN_STEPS - 1)
        for step in range(num_inference_steps):
            t = round(TRAIN_STEPS * (num_inference_steps - step) / num_inference_steps) - 1
            # diffusers' DDIMScheduler steps by the floored stride, and below zero to alpha-bar of step 0
            earlier = max(t - TRAIN_STEPS // num_inference_steps, 0)
            epsilon = self.predict_noise(z, t, latent)
            z = self.add_noise(self.predict_clean(z, epsilon, t), epsilon, earlier)
        return z.to(wanted)
