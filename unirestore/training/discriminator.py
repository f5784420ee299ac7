"""Patch discriminator: does a patch look as if cut from a clean photo? Least squares, spectral norm, R1.

    L_D = mean (D(x) - 1)^2 / 2 + mean D(y)^2 / 2 + r1/2 |grad_x D(x)|^2        x clean photos, y restored ones
    L_G = mean (D(y) - 1)^2 / 2

Sources: least squares (Mao et al., arXiv 1611.04076), patches (Isola et al., arXiv 1611.07004), spectral norm
(Miyato et al., arXiv 1802.05957), R1 on the real side (Mescheder et al., arXiv 1801.04406). Uni-Removal (arXiv
2307.05075) names an adversarial loss and nothing of its discriminator; this one is ours: three strided
convolutions, so small that it can judge tone and texture and learn no scenes. Both sides take their step at once,
from one batch and with one optimizer (simultaneous descent, for which the R1 penalty is shown to converge): the
generator's term reads the discriminator with its weights held. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """`(B, 3, H, W)` RGB in about [0, 1], sides of 16 pixels at least -> scores `(B, 1, H/8, W/8)`, clean near 1.

    Each score sees 38 x 38 pixels with the default three layers.

    Args:
        channels: width of each strided layer.
        spectral: hold the largest singular value of every layer at one.

    Raises:
        ValueError: no channels, or a width below 1.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64), *, spectral: bool = True) -> None:
        super().__init__()
        if not channels or min(channels) < 1:
            raise ValueError(f"channels must be one or more widths of at least 1, got {tuple(channels)}")
        norm = spectral_norm if spectral else nn.Identity()
        layers: list[nn.Module] = []
        for before, width in zip((3, *channels), channels, strict=False):
            layers += [norm(nn.Conv2d(before, width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, norm(nn.Conv2d(channels[-1], 1, 3, padding=1)))

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        return self.layers(2 * images - 1)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, what is computed sends no gradient to the weights."""
        learning = [value for value in self.parameters() if value.requires_grad]
        for value in learning:
            value.requires_grad_(False)
        try:
            yield
        finally:
            for value in learning:
                value.requires_grad_(True)


def discriminator_loss(
    discriminator: nn.Module, clean: Tensor, restored: Tensor, r1_weight: float
) -> dict[str, Tensor]:
    """L_D of the header and what to watch.

    Args:
        clean: `(B, 3, H, W)` RGB in [0, 1].
        restored: the same; its gradient is cut.
        r1_weight: of the penalty on the slope at the clean photos; 0 leaves it out.

    Returns:
        `loss` the sum; `d_real` and `d_fake`, mean scores of clean and restored patches (1 and 0 where the
        discriminator has won, both 0.5 where it knows nothing); `r1`, the squared slope of the sum of the scores
        at a pixel, mean over the pixels, unweighted.
    """
    clean = clean.detach().requires_grad_(r1_weight > 0)
    real, fake = discriminator(clean), discriminator(restored.detach())
    slope = real.new_zeros(())
    if r1_weight > 0:
        (gradient,) = torch.autograd.grad(real.sum(), clean, create_graph=True)
        slope = gradient.square().sum(1).mean()
    loss = 0.5 * ((real - 1).square().mean() + fake.square().mean()) + 0.5 * r1_weight * slope
    return dict(loss=loss, d_real=real.mean().detach(), d_fake=fake.mean().detach(), r1=slope.detach())


def adversarial_loss(discriminator: PatchDiscriminator, restored: Tensor) -> Tensor:
    """L_G of the header, differentiable in `restored` alone."""
    with discriminator.held():
        return 0.5 * (discriminator(restored) - 1).square().mean()
