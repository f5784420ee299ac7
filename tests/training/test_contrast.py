"""The contrastive loss against its formula, the queue's order, and what embeddings see."""

from __future__ import annotations

import math

import pytest
import torch

from unirestore.training.contrast import Centre, FeatureQueue, info_nce, patch_embedding, pooled

EAST, NORTH = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])


def one(*vectors: torch.Tensor) -> torch.Tensor:
    """Vectors of one item: `(1, count, D)`."""
    return torch.stack(vectors)[None]


def test_the_loss_of_one_item_is_the_formula():
    anchor = 3 * EAST[None]  # lengths do not matter
    both = (EAST + NORTH) / math.sqrt(2)
    found = info_nce(anchor, one(0.2 * both), one(NORTH, -EAST), temperature=0.5)
    near, far = math.exp(math.sqrt(0.5) / 0.5), math.exp(0.0) + math.exp(-1 / 0.5)
    assert float(found) == pytest.approx(-math.log(near / (near + far)), rel=1e-5)


def test_positives_are_averaged_in_log_space_and_do_not_compete():
    anchor, negatives = EAST[None], one(-EAST)
    apart = [info_nce(anchor, one(p), negatives) for p in (EAST, NORTH)]
    together = info_nce(anchor, one(EAST, NORTH), negatives)
    assert float(together) == pytest.approx(float(sum(apart)) / 2, rel=1e-5)


def test_masks_leave_negatives_positives_and_items_out():
    anchor = torch.stack([EAST, NORTH])
    positives = torch.stack([torch.stack([EAST, -EAST]), torch.stack([EAST, EAST])])
    negatives = torch.stack([torch.stack([NORTH, -EAST]), torch.stack([NORTH, NORTH])])
    valid = torch.tensor([[True, False], [True, True]])
    counts = torch.tensor([[True, False], [False, False]])
    found = info_nce(anchor, positives, negatives, 0.3, valid, counts)
    assert float(found) == pytest.approx(
        float(info_nce(EAST[None], one(EAST), one(NORTH), 0.3)), rel=1e-6
    )  # the second item has no positive, the first one of each
    assert float(info_nce(anchor, positives, negatives, valid_positives=torch.zeros_like(counts))) == 0


def test_nothing_to_push_from_costs_nothing_and_keeps_gradients_finite():
    anchor = EAST[None].clone().requires_grad_()
    found = info_nce(anchor, one(NORTH), one(EAST), valid=torch.tensor([[False]]))
    assert float(found.detach()) == 0
    found.backward()
    assert torch.equal(anchor.grad, torch.zeros(1, 2))
    assert float(info_nce(EAST[None], one(NORTH), torch.zeros(1, 0, 2))) == 0


def test_descent_pulls_to_the_positive_and_away_from_the_negative():
    anchor = ((EAST + NORTH) / 2)[None].requires_grad_()
    info_nce(anchor, one(EAST), one(NORTH)).backward()
    assert anchor.grad[0, 0] < 0 < anchor.grad[0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(positives=torch.ones(3, 1, 2)), r"positives must be \(2, any, 2\)"),
        (dict(negatives=torch.ones(2, 1, 3)), r"negatives must be \(2, any, 2\)"),
        (dict(temperature=0.0), "above 0"),
        (dict(valid=torch.ones(2, 5, dtype=torch.bool)), r"valid must be \(2, 1\)"),
        (dict(valid_positives=torch.ones(2, 5, dtype=torch.bool)), r"valid_positives must be \(2, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(change, message):
    fitting = dict(anchor=torch.ones(2, 2), positives=torch.ones(2, 1, 2), negatives=torch.ones(2, 1, 2))
    with pytest.raises(ValueError, match=message):
        info_nce(**(fitting | change))


def held(queue: FeatureQueue) -> set[float]:
    return set(queue.entries[queue.valid][:, 0].tolist())


def test_the_queue_forgets_the_oldest_first():
    queue = FeatureQueue(3, 1)
    assert held(queue) == set()
    queue.push(torch.tensor([[1.0], [2.0]]))
    assert held(queue) == {1, 2}
    queue.push(torch.tensor([[3.0], [4.0]]))
    assert held(queue) == {2, 3, 4}
    queue.push(torch.tensor([[float(n)] for n in range(10, 20)]))
    assert held(queue) == {17, 18, 19}
    queue.push(torch.tensor([[20.0]]))
    assert held(queue) == {18, 19, 20}


def test_the_queue_travels_in_the_state_dict_and_takes_no_gradient():
    queue, copy = FeatureQueue(3, 2), FeatureQueue(3, 2)
    queue.push(torch.ones(2, 2, requires_grad=True))
    assert not queue.entries.requires_grad
    copy.load_state_dict(queue.state_dict())
    for each in (queue, copy):
        each.push(torch.arange(4.0).reshape(2, 2))
    assert torch.equal(queue.entries, copy.entries) and torch.equal(queue.valid, copy.valid)
    assert all(copy.valid)


def test_a_queue_of_none_stays_empty_and_wrong_widths_are_refused():
    queue = FeatureQueue(0, 2)
    queue.push(torch.ones(2, 2))
    assert queue.entries.shape == (0, 2) and not len(queue.valid)
    with pytest.raises(ValueError, match=r"\(any, 2\)"):
        queue.push(torch.ones(2, 3))
    with pytest.raises(ValueError, match="size=-1"):
        FeatureQueue(-1, 2)


def test_the_centre_follows_the_mean_without_a_pull_to_zero():
    centre, copy = Centre(2, momentum=0.5), Centre(2, momentum=0.5)
    assert torch.allclose(centre.follow(torch.tensor([[1.0, 3.0], [3.0, 5.0]])), torch.tensor([2.0, 4.0]))
    copy.load_state_dict(centre.state_dict())
    # the older mean has half the weight of the newer: (0.25 * 2 + 0.5 * 5) / 0.75
    for each in (centre, copy):
        assert torch.allclose(each.follow(torch.tensor([[5.0, 4.0]])), torch.tensor([4.0, 4.0]))
    with pytest.raises(ValueError, match=r"\[0, 1\), got 1"):
        Centre(2, momentum=1.0)


def test_pooled_holds_mean_and_deviation_of_each_channel():
    levels = [torch.randn(2, 3, 4, 5), 10 * torch.randn(2, 2, 2, 2)]
    found = pooled(levels)
    parts = [
        part
        for level in levels
        for part in (level.mean((2, 3)), (level.var((2, 3), unbiased=False) + 1e-6).sqrt())
    ]
    expected = torch.cat(parts, 1)
    expected = (expected - expected.mean(1, keepdim=True)) / expected.std(1, keepdim=True, unbiased=False)
    assert found.shape == (2, 10)
    assert torch.allclose(found, expected, atol=1e-4)
    flat = torch.zeros(1, 2, 4, 4, requires_grad=True)
    pooled([flat]).sum().backward()
    assert torch.isfinite(flat.grad).all()
    with pytest.raises(ValueError, match="got none"):
        pooled([])


def test_patches_see_brightness_colour_and_contrast_and_no_finer_detail():
    grey = torch.full((1, 3, 64, 64), 0.5)
    assert patch_embedding(grey).shape == (1, 4 * 16 * 16)
    base = patch_embedding(grey, grid=2).reshape(4, 4)
    assert torch.allclose(base[:3], torch.zeros(3, 4), atol=1e-5) and base[3].max() < 0.01
    bright = patch_embedding(grey + 0.2, grid=2).reshape(4, 4)
    assert torch.allclose(bright[0], torch.full((4,), 0.2), atol=1e-5)
    red = patch_embedding(grey + torch.tensor([0.2, 0.0, 0.0])[:, None, None], grid=2).reshape(4, 4)
    assert (red[2] > 0.2).all() and (red[1] < 0).all()
    stripes = grey + 0.1 * torch.tensor([1.0, -1.0]).repeat(32)
    striped = patch_embedding(stripes, grid=2).reshape(4, 4)
    assert torch.allclose(striped[3], torch.full((4,), 0.4), atol=0.01)
    assert torch.allclose(striped, patch_embedding(stripes.flip(-1), grid=2).reshape(4, 4), atol=1e-6)
    with pytest.raises(ValueError, match="8 x 8"):
        patch_embedding(torch.zeros(1, 3, 7, 64))
