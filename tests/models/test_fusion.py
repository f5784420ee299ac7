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


def test_trained_output_is_weights_gain_and_bias():
    fusion = head()
    candidates, features = torch.rand(1, 3, 3, 16, 16), torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        fusion.conv_out.bias += torch.tensor([0.3, -1.0, 0.4, 0.1, 0.2, -0.3, 0.01, 0.02, 0.03])
    w = fusion.conv_out.bias[:3].softmax(0)
    gain, bias = fusion.conv_out.bias[3:6, None, None], fusion.conv_out.bias[6:, None, None]
    wanted = (1 + gain) * sum(w[k] * candidates[:, k] for k in range(3)) + bias
    torch.testing.assert_close(fuse(fusion, features, candidates, None), wanted)


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
    for block in fusion.blocks:
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
