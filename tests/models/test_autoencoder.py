"""The tapped VAE against diffusers' own AutoencoderKL, and the strides of both patch sizes."""

import pytest
import torch
from diffusers import AutoencoderKL

from unirestore.models.autoencoder import TappedAutoencoder


def test_equals_diffusers_autoencoder_key_by_key_and_value_by_value():
    widths = (8, 16, 24, 24)
    theirs = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        layers_per_block=2,
        norm_num_groups=8,
    ).eval()
    ours = TappedAutoencoder(channels=widths, layers=2, groups=8)
    ours.load_state_dict(theirs.state_dict())  # strict: the same keys
    images, latent = torch.rand(2, 3, 32, 48) * 2 - 1, torch.randn(2, 4, 4, 6)
    with torch.no_grad():
        moments, skips = ours.encoder(images)
        torch.testing.assert_close(ours.quant_conv(moments), theirs.encode(images).latent_dist.parameters)
        features, _ = ours.decoder(ours.post_quant_conv(latent))
        torch.testing.assert_close(ours.decoder.to_image(features), theirs.decode(latent).sample)
    assert [tuple(skip.shape[1:]) for skip in skips] == [(8, 16, 24), (16, 8, 12), (24, 4, 6)]


@pytest.mark.parametrize("patch_size", [1, 2])
def test_both_patch_sizes_have_the_same_strides(patch_size):
    vae = TappedAutoencoder(
        channels=(8, 8, 16, 24), layers=1, groups=8, attention=False, patch_size=patch_size
    )
    moments, skips = vae.encoder(torch.zeros(1, 3, 64, 32))
    features, pyramid = vae.decoder(torch.zeros(1, 4, 8, 4))
    assert moments.shape == (1, 8, 8, 4)
    assert [tuple(skip.shape[1:]) for skip in skips] == [(8, 32, 16), (8, 16, 8), (16, 8, 4)]
    assert [tuple(x.shape[1:]) for x in pyramid] == [(24, 8, 4), (24, 16, 8), (16, 32, 16)]
    assert [x.shape[1] for x in pyramid] == list(vae.decoder.in_channels[:3])
    assert vae.decoder.to_image(features).shape == (1, 3, 64, 32)


def test_repair_and_adaptation_replace_what_flows_on():
    vae = TappedAutoencoder(channels=(8, 8, 8, 8), layers=1, groups=8, attention=False, patch_size=2)
    images = torch.rand(1, 3, 32, 32)
    moments, skips = vae.encoder(images, repair=[lambda x: x * 2] * 3)
    plain_moments, plain_skips = vae.encoder(images)
    torch.testing.assert_close(skips[0], 2 * plain_skips[0])
    assert not torch.allclose(moments, plain_moments)
    seen = []
    _, pyramid = vae.decoder(torch.randn(1, 4, 4, 4), lambda k, x: seen.append(k) or torch.full_like(x, k))
    assert seen == [0, 1, 2]
    assert [float(x.mean()) for x in pyramid] == [0, 1, 2]


def test_refuses_sizes_that_cannot_be():
    with pytest.raises(ValueError, match="four levels; got 3"):
        TappedAutoencoder(channels=(8, 8, 8), groups=8)
    with pytest.raises(ValueError, match="multiple of the 8 norm groups"):
        TappedAutoencoder(channels=(8, 8, 8, 12), groups=8)
    with pytest.raises(ValueError, match="patch_size must be 1 or 2, got 4"):
        TappedAutoencoder(channels=(8, 8, 8, 8), groups=8, patch_size=4)
