"""Colour fixes against their definitions."""

import pytest
import torch
import torch.nn.functional as F

from unirestore.color_fix import COLOR_FIXES, adain, low_frequencies, wavelet


@pytest.fixture
def photo():
    return 0.5 + 0.2 * torch.randn(2, 3, 70, 50, generator=torch.Generator().manual_seed(0))


def test_adain_gives_the_photo_s_mean_and_deviation(photo):
    fixed = adain(0.3 * photo.flip(3) + 0.1, photo)
    torch.testing.assert_close(fixed.mean((2, 3)), photo.mean((2, 3)))
    torch.testing.assert_close(fixed.std((2, 3)), photo.std((2, 3)))


def test_a_constant_channel_goes_to_the_mean(photo):
    fixed = adain(torch.full_like(photo, 0.9), photo)
    torch.testing.assert_close(fixed, photo.mean((2, 3), keepdim=True).expand_as(photo), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(COLOR_FIXES))
def test_a_tint_goes_and_the_photo_itself_stays(name, photo):
    fix = COLOR_FIXES[name]
    tinted = photo + torch.tensor([0.1, -0.05, 0.02])[:, None, None]
    torch.testing.assert_close(fix(tinted, photo), photo, atol=1e-5, rtol=0)
    torch.testing.assert_close(fix(photo, photo), photo, atol=1e-5, rtol=0)


def test_wavelet_keeps_the_picture_s_detail_and_takes_the_photo_s_base(photo):
    picture = torch.rand(photo.shape, generator=torch.Generator().manual_seed(1))
    fixed = wavelet(picture, photo)
    detail = picture - low_frequencies(picture)
    torch.testing.assert_close(fixed, detail + low_frequencies(photo), atol=1e-5, rtol=0)


def test_low_frequencies_are_five_blurs_of_binomial_taps():
    x = torch.zeros(1, 1, 129, 129)
    x[0, 0, 64, 64] = 1
    row = torch.tensor([1.0])
    for level in range(5):  # the impulse response along one side, by polynomial products
        taps = torch.zeros(2 * 2**level + 1)
        taps[[0, 2**level, -1]] = torch.tensor([0.25, 0.5, 0.25])
        row = F.conv1d(row.view(1, 1, -1), taps.view(1, 1, -1), padding=len(taps) - 1).flatten()
    centre = low_frequencies(x)[0, 0, 64, 64 - len(row) // 2 : 64 + len(row) // 2 + 1]
    torch.testing.assert_close(centre, row * row.max(), atol=1e-7, rtol=1e-4)
    torch.testing.assert_close(low_frequencies(torch.ones(1, 3, 5, 4)), torch.ones(1, 3, 5, 4))
