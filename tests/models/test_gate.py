"""The gate: photos below it come back bit for bit, the others as without it; one photo's answer is its own."""

import pytest
import torch

from unirestore.models import UniRestore
from unirestore.models.gate import APPEARANCE, LOOK, appearance, small_copy
from unirestore.models.loading import build_restorer


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = UniRestore.build("tiny", gate_channels=8).eval()
    with torch.no_grad():
        model.gate.out.weight.normal_(0, 3)
    return model


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (64, 48), (300, 200)])
def test_any_size_has_an_answer_of_its_own(model, size):
    images = torch.rand(3, 3, *size)
    together = model.degradation(images)
    assert together.shape == (3,) and together.ge(0).all() and together.le(1).all()
    alone = torch.cat([model.degradation(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_appearance_of_a_flat_and_of_a_split_picture():
    grey = appearance(torch.full((1, 3, 20, 20), 0.5))[0]
    assert grey.shape == (APPEARANCE,)
    dark, saturation, brightness, contrast = grey[:20].split(5)
    torch.testing.assert_close(dark, torch.full((5,), 0.5))
    torch.testing.assert_close(brightness, dark)
    assert saturation.abs().max() < 1e-5 and contrast.abs().max() < 1e-3
    split = torch.zeros(1, 3, 20, 40)
    split[:, 0, :, 8:] = 1  # a fifth black, the rest red
    found = appearance(split)[0]
    torch.testing.assert_close(found[5:10], torch.tensor([0.0, 1, 1, 1, 1]) / 1.001, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[-6:], torch.tensor([0.8, 0, 0, 0.4, 0, 0]), rtol=1e-3, atol=1e-3)


def test_the_copy_is_small_and_of_the_same_shape():
    assert small_copy(torch.rand(1, 3, 600, 300)).shape == (1, 3, LOOK, LOOK // 2)
    assert small_copy(torch.rand(1, 3, 2000, 3)).shape == (1, 3, LOOK, 1)
    images = torch.rand(1, 3, 20, LOOK)
    assert small_copy(images) is images


@torch.no_grad()
def test_pictures_below_pass_bit_for_bit_and_the_others_are_restored(model):
    images = torch.stack([torch.full((3, 40, 56), value) for value in (0.1, 0.5, 0.9)])
    images += 0.1 * torch.rand_like(images)
    images.clamp_(0, 1)
    found = model.degradation(images)
    threshold = float(found.sort().values[1:].mean())  # between the second and the third
    restored, noise = model(images, "det"), torch.rand(3, 4, 5, 7)
    gated = model(images, "det", gate=threshold)
    for image, p, want, have in zip(images, found, restored, gated, strict=True):
        torch.testing.assert_close(have, want if p >= threshold else image, rtol=1e-4, atol=1e-5)
    below = found < threshold
    assert below.sum() == 2 and torch.equal(gated[below], images[below])
    assert torch.equal(model(images, "det", gate=1.0), images) and torch.equal(
        model(images, "det", gate=0.0), restored
    )
    candidates = model.stack_candidates(images)
    own = model(images, "det", noise=noise, candidates=candidates)
    some = model(images, "det", noise=noise, candidates=candidates, gate=threshold)
    torch.testing.assert_close(some[~below], own[~below], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_is_told(model):
    images = torch.rand(1, 3, 16, 16)
    for bad in (dict(gate=1.5), dict(gate=0.5, output="features")):
        with pytest.raises(ValueError, match="gate must lie"):
            model(images, "det", **bad)
    with pytest.raises(ValueError, match="no gate"):
        UniRestore.build("tiny").eval()(images, "det", gate=0.5)


def test_a_gate_can_be_added_to_trained_weights_and_is_saved(tmp_path):
    model = build_restorer(dict(weights="tiny-fast", gate_channels=8))
    images, before = torch.rand(1, 3, 32, 32), build_restorer("tiny-fast")
    assert torch.equal(model(images, "det"), before(images, "det"))
    model.save_pretrained(tmp_path)
    again = UniRestore.from_pretrained(tmp_path)
    assert torch.equal(again.degradation(images), model.degradation(images))
