"""Candidate fusion: the fixed mix it starts from, the written-out blend, the path of the prompt."""

import pytest
import torch
import torch.nn.functional as F

from unirestore.models.fusion import CandidateFusion


def head(**overrides) -> CandidateFusion:
    settings = {"feature_channels": 8, "prompt_channels": 4, "weights": (2.0, 1.0, 1.0), "groups": 4}
    return CandidateFusion(**{**settings, **overrides})


def fuse(fusion: CandidateFusion, features, candidates, prompt):
    """Judge and blend at one size."""
    pictures = candidates.unbind(1)
    return fusion.blend(fusion(features, pictures, prompt), pictures)


@pytest.mark.parametrize("patch_size", [1, 2])
def test_untrained_output_is_the_fixed_mix(patch_size):
    fusion = head(patch_size=patch_size)
    candidates = torch.rand(2, 3, 3, 16, 24)
    features = torch.randn(2, 8, 16 // patch_size, 24 // patch_size)
    wanted = 0.5 * candidates[:, 0] + 0.25 * candidates[:, 1] + 0.25 * candidates[:, 2]
    torch.testing.assert_close(fuse(fusion, features, candidates, torch.randn(2, 1, 4)), wanted)


def box_mean(picture, centre, radius_low, radius_high):
    """Mean over the pixels of a window that lie in the picture, per channel: `(3,)`."""
    (y, x), (height, width) = centre, picture.shape[-2:]
    rows = slice(max(y - radius_low, 0), min(y + radius_high, height))
    columns = slice(max(x - radius_low, 0), min(x + radius_high, width))
    return picture[0, :, rows, columns].mean((1, 2))


def test_trained_output_is_weights_gained_bands_and_bias():
    fusion = head()
    candidates, features = torch.rand(1, 3, 3, 17, 17), torch.randn(1, 8, 8, 8)
    pictures = candidates.unbind(1)
    constant = torch.tensor([0.3, -1.0, 0.4, 0.5, -0.7, 0.01, 0.02, 0.03])
    maps = constant[None, :, None, None].expand(1, -1, 17, 17)
    w = constant[:3].softmax(0)
    mix = sum(w[k] * candidates[:, k] for k in range(3))
    # a picture of 17 pixels: its first, ninth and last pixel are centres of the coarse blur
    for pixel in ((0, 0), (8, 16), (16, 8)):
        here = mix[0, :, pixel[0], pixel[1]]
        smooth, base = box_mean(mix, pixel, 1, 2), box_mean(mix, pixel, 8, 8)
        wanted = base + 1.5 * (smooth - base) + 0.3 * (here - smooth) + constant[5:]
        torch.testing.assert_close(fusion.blend(maps, pictures)[0, :, pixel[0], pixel[1]], wanted)
    assert fusion(features, [x[..., :16, :16] for x in pictures], None).shape == (1, 8, 16, 16)


def test_gains_leave_a_flat_picture_alone_and_minus_one_flattens():
    fusion = head()
    flat = [torch.full((1, 3, 20, 30), value) for value in (0.2, 0.4, 0.6)]
    maps = torch.zeros(1, 8, 20, 30)
    maps[:, 3:5] = 3.0
    torch.testing.assert_close(fusion.blend(maps, flat), torch.full((1, 3, 20, 30), 0.4))
    noisy = [x + 0.1 * torch.randn_like(x) for x in flat]
    maps[:, 3:5] = -1.0
    assert fusion.blend(maps, noisy).std() < 0.1 * noisy[0].std()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (15, 16)])
def test_blends_pictures_smaller_than_its_blurs(size):
    pictures = [torch.rand(1, 3, *size) for _ in range(3)]
    out = head().blend(torch.randn(1, 8, *size), pictures)
    assert out.shape == (1, 3, *size) and torch.isfinite(out).all()


def test_the_judgement_of_the_whole_photo_shifts_all_pixels_alike():
    fusion = head()
    features, pictures = torch.randn(1, 8, 8, 8), [torch.rand(1, 3, 16, 16) for _ in range(3)]
    before = fusion(features, pictures, None)
    torch.nn.init.normal_(fusion.judge.weight)
    shift = fusion(features, pictures, None) - before
    assert shift.abs().max() > 1e-2
    torch.testing.assert_close(shift, shift[..., :1, :1].expand_as(shift), atol=1e-5, rtol=1e-5)


def test_prompt_reaches_the_picture_through_film_alone():
    fusion = head()
    candidates, features = torch.rand(1, 3, 3, 16, 16), torch.randn(1, 8, 8, 8)
    first, second = torch.zeros(1, 1, 4), torch.ones(1, 1, 4)
    torch.nn.init.normal_(fusion.conv_out.weight, std=0.1)
    assert torch.equal(fuse(fusion, features, candidates, first), fuse(fusion, features, candidates, second))
    torch.nn.init.normal_(fusion.film.weight, std=0.5)
    difference = fuse(fusion, features, candidates, first) - fuse(fusion, features, candidates, second)
    assert difference.abs().max() > 1e-2


def test_every_part_learns_once_the_output_layer_moved():
    fusion = head()
    torch.nn.init.normal_(fusion.conv_out.weight, std=0.1)
    for block in (fusion.low_in, fusion.low_out, *fusion.blocks):
        block.beta.data.fill_(0.1)
        block.gamma.data.fill_(0.1)
    out = fuse(fusion, torch.randn(1, 8, 8, 8), torch.rand(1, 3, 3, 16, 16), torch.ones(1, 1, 4))
    F.mse_loss(out, torch.rand_like(out)).backward()
    silent = [name for name, p in fusion.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_refuses_weights_that_make_no_mix():
    with pytest.raises(ValueError, match="positive weights"):
        head(weights=(1.0, 0.0))
    with pytest.raises(ValueError, match="at least two"):
        head(weights=(1.0,))


def test_blending_with_and_without_gradients_gives_the_same_picture_and_leaves_its_inputs_alone():
    fusion = head()
    maps, pictures = torch.randn(1, 8, 20, 30), [torch.rand(1, 3, 20, 30) for _ in range(3)]
    kept = [x.clone() for x in (maps, *pictures)]
    with torch.no_grad():
        plain = fusion.blend(maps, pictures)
    for x, before in zip((maps, *pictures), kept, strict=True):
        assert torch.equal(x, before)
    for learns in (maps, pictures[0]):
        learns.requires_grad_(True)
        torch.testing.assert_close(fusion.blend(maps, pictures), plain)
        fusion.blend(maps, pictures).sum().backward()
        learns.requires_grad_(False)
