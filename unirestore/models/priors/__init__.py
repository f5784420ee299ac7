"""What denoises the latent, behind one small interface. Add a prior by adding its class to `PRIORS`."""

from .base import Prior, alphas_cumprod
from .none import NoPrior
from .unet import UNetPrior

PRIORS: dict[str, type[Prior]] = {"unet": UNetPrior, "none": NoPrior}

__all__ = ["PRIORS", "NoPrior", "Prior", "UNetPrior", "alphas_cumprod"]
