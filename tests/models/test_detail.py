"""Detail refiner: nothing before training, any size, detail finer than the working scale, prompts, growing."""

import pytest
import torch

from unirestore.models import UniRestore
from unirestore.models.detail import DetailRefiner
from unirestore.models.loading import build_restorer


def refiner(**overrides) -> DetailRefiner:
    torch.manual_seed(0)
    return DetailRefiner(**{"prompt_channels": 4, "channels": 8, "blocks": 1, **overrides})


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (17, 30)])
def test_untrained_it_returns_the_picture_at_any_size(size):
    photo, picture = torch.rand(2, 3, *size), torch.rand(2, 3, *size)
    assert torch.equal(refiner()(photo, picture, torch.randn(2, 1, 4)), picture)


def test_it_learns_to_remove_what_the_working_scale_cannot_see():
    """A checkerboard of single pixels has no trace in means of 2 x 2 pixels."""
    net = refiner()
    clean = torch.nn.functional.interpolate(torch.rand(4, 3, 6, 6), size=24, mode="bilinear")
    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    photo = clean + 0.2 * (1 - 2 * ((rows + columns) % 2))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(60):
        loss = (net(photo, photo, None) - clean).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_the_prompt_reaches_the_picture_and_every_weight_learns():
    net = refiner()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if not parameter.any() or "beta" in name or "gamma" in name:
                parameter.normal_(0, 0.1)
    photo, picture = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    one, two = (net(photo, picture, torch.full((1, 1, 4), value)) for value in (1.0, -1.0))
    assert not torch.allclose(one, two)
    one.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())


def test_a_trained_model_grows_a_refiner_and_is_unchanged(tmp_path):
    full = UniRestore.build("tiny", detail_channels=0).eval()
    full.save_pretrained(tmp_path)
    grown = build_restorer(dict(weights=tmp_path, detail_channels=8, detail_blocks=1))
    images = torch.rand(1, 3, 40, 56)
    assert grown.parameter_group("detail") and not full.parameter_group("detail")
    with torch.inference_mode():
        torch.testing.assert_close(grown(images, "det"), full(images, "det"), rtol=0, atol=0)
    with pytest.raises(ValueError, match="lack"):
        build_restorer(dict(weights=tmp_path, detail_channels=8, fusion_channels=24))


def test_a_grown_refiner_cannot_change_its_size(tmp_path):
    UniRestore.build("tiny", detail_channels=8, detail_blocks=1).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="lack"):
        build_restorer(dict(weights=tmp_path, detail_channels=16, detail_blocks=1))


def test_without_candidates_there_is_no_refiner():
    assert UniRestore.build("tiny", candidates=(), candidate_weights=None).detail is None


def test_the_fast_preset_starts_from_trained_tensors_of_the_same_shape(tmp_path):
    big = UniRestore.build("tiny")
    big.save_pretrained(tmp_path)
    fast = build_restorer(dict(preset="tiny-fast", start_from=tmp_path))
    assert torch.equal(fast.vae.encoder.conv_in.weight, big.vae.encoder.conv_in.weight)
    assert fast.fusion.candidates == 2  # the photo and one candidate; the decoder's picture is none
