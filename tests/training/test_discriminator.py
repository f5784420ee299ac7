"""The discriminator learns to tell two kinds of patches apart, and its two losses move what they should."""

from __future__ import annotations

import pytest
import torch

from unirestore.training.discriminator import PatchDiscriminator, adversarial_loss, discriminator_loss


def kinds(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Contrasty and flat noise, both of mean 0.5."""
    noise = torch.rand(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    return noise[0], 0.5 + 0.2 * (noise[1] - 0.5)


def test_shape_and_settings():
    assert PatchDiscriminator()(torch.rand(2, 3, 40, 64)).shape == (2, 1, 5, 8)
    assert PatchDiscriminator((4, 8), spectral=False)(torch.rand(1, 3, 16, 16)).shape == (1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"widths of at least 1, got \(8, 0\)"):
        PatchDiscriminator((8, 0))


def test_spectral_norm_bounds_the_slope():
    """Every layer at most doubles what a pixel's change sums to, whatever its weights are scaled by."""
    torch.manual_seed(0)
    network = PatchDiscriminator((8, 8))
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("original"):
                value.mul_(100)
    for _ in range(20):
        network(torch.rand(1, 3, 16, 16))  # the power iteration settles
    for layer in network.layers[::2]:
        assert float(torch.linalg.matrix_norm(layer.weight.flatten(1), 2)) == pytest.approx(1.0, rel=0.02)


def test_it_learns_to_part_them():
    torch.manual_seed(0)
    network = PatchDiscriminator((8, 16))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for step in range(60):
        judged = discriminator_loss(network, *kinds(step), r1_weight=0.01)
        optimizer.zero_grad()
        judged["loss"].backward()
        optimizer.step()
    judged = discriminator_loss(network, *kinds(1000), r1_weight=0.01)
    assert float(judged["d_real"]) > 0.7 > 0.3 > float(judged["d_fake"])


def test_neither_side_moves_the_other():
    network = PatchDiscriminator((4, 4))
    clean, restored = kinds(0)
    restored.requires_grad_(True)
    adversarial_loss(network, restored).backward()
    assert restored.grad.abs().sum() > 0
    assert all(value.grad is None for value in network.parameters())
    assert all(value.requires_grad for value in network.parameters())
    restored.grad = None
    discriminator_loss(network, clean, restored, r1_weight=1.0)["loss"].backward()
    assert restored.grad is None
    assert all(value.grad is not None for value in network.parameters())


def test_the_penalty_is_the_squared_slope_per_pixel():
    class Plane(torch.nn.Module):
        """Score: three times red minus four times green; slope (3, -4, 0) at every pixel."""

        def forward(self, images):
            return 3 * images[:, :1] - 4 * images[:, 1:2]

    clean, restored = kinds(0)
    judged = discriminator_loss(Plane(), clean, restored, r1_weight=2.0)
    assert float(judged["r1"]) == pytest.approx(25.0)
    plain = discriminator_loss(Plane(), clean, restored, r1_weight=0.0)
    assert float(plain["r1"]) == 0.0
    assert float(judged["loss"] - plain["loss"]) == pytest.approx(25.0)


def test_least_squares():
    class Bias(torch.nn.Module):
        def forward(self, images):
            return images[:, :1] * 0 + 0.25

    judged = discriminator_loss(Bias(), *kinds(0), r1_weight=0.0)
    assert float(judged["loss"]) == pytest.approx(0.5 * (0.75**2 + 0.25**2))
