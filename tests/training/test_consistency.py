"""What keeps content and colour: free for tone, dear for texture and tint."""

from __future__ import annotations

import pytest
import torch

from unirestore.data import render_scene
from unirestore.training.consistency import colour_loss, content_loss, luminance


@pytest.fixture(scope="module")
def photo():
    return torch.from_numpy(render_scene(3, size=96).image).permute(2, 0, 1)[None].float() / 255


def test_tone_is_cheap_and_texture_dear(photo):
    toned = 0.7 * photo + 0.2
    texture = photo + 0.05 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(photo, 5, stride=1, padding=2)
    assert float(content_loss(photo, photo)) == 0
    dear = min(float(content_loss(texture, photo)), float(content_loss(blurred, photo)))
    assert 0 < 4 * float(content_loss(toned, photo)) < dear


def test_an_even_surface_stays_cheap_for_faint_noise():
    flat = torch.full((1, 3, 64, 64), 0.5)
    noise = torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    assert float(content_loss(flat + 0.001 * noise, flat)) < 0.2 * float(
        content_loss(flat + 0.05 * noise, flat)
    )


def test_colour_sees_a_tint_and_not_brightness(photo):
    tinted = photo + torch.tensor([0.1, 0.0, -0.1])[None, :, None, None]
    brighter = photo + 0.1
    assert float(colour_loss(brighter, photo)) < 1e-6
    shift = torch.tensor([0.1, 0.0, -0.1]) - (0.299 * 0.1 - 0.114 * 0.1)
    assert float(colour_loss(tinted, photo)) == pytest.approx(float(shift.abs().mean()), rel=1e-4)


def test_any_size_and_a_gradient():
    image = torch.rand(2, 3, 37, 21, requires_grad=True)
    other = torch.rand(2, 3, 37, 21)
    (content_loss(image, other) + colour_loss(image, other)).backward()
    assert torch.isfinite(image.grad).all() and float(image.grad.abs().sum()) > 0


def test_luminance_of_white_is_one():
    torch.testing.assert_close(luminance(torch.ones(1, 3, 2, 2)), torch.ones(1, 1, 2, 2))
