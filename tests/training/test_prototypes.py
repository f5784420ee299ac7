"""Prototypes: k-means finds the clusters, the moving average follows them, collapse shows."""

from __future__ import annotations

import pytest
import torch

from unirestore.training.prototypes import Prototypes, k_means

CORNERS = torch.tensor([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]])


def clouds(per_cluster: int, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(3 * per_cluster, 3, generator=torch.Generator().manual_seed(seed))
    return CORNERS.repeat_interleave(per_cluster, 0) + 0.1 * noise


@pytest.mark.parametrize("seed", range(4))
def test_k_means_finds_three_clouds(seed):
    found = k_means(clouds(20), 3, seed)
    assert torch.cdist(CORNERS, found).amin(1).max() < 0.15
    assert torch.equal(found, k_means(clouds(20), 3, seed))


def test_k_means_is_the_mean_for_one_cluster_and_each_point_for_as_many():
    points = clouds(2)
    torch.testing.assert_close(k_means(points, 1)[0], points.mean(0))
    assert torch.cdist(points, k_means(points, 6)).amin(1).max() < 1e-6
    assert torch.isfinite(k_means(torch.ones(5, 2), 3)).all()  # more clusters than different points
    with pytest.raises(ValueError, match="3 clusters need 3 points at least, got 2"):
        k_means(points[:2], 3)


def test_a_prototype_moves_towards_what_is_nearest_to_it_and_the_others_stay():
    prototypes = Prototypes(3, 3, momentum=0.75)
    prototypes.centres.copy_(CORNERS)
    seen = torch.tensor([[4.0, 1.0, 0.0], [6.0, 1.0, 0.0]])
    prototypes.update(seen)
    torch.testing.assert_close(prototypes.centres[0], torch.tensor([5.0, 0.25, 0.0]))
    assert torch.equal(prototypes.centres[1:], CORNERS[1:])
    prototypes.update(seen[:0])
    torch.testing.assert_close(prototypes.centres[0], torch.tensor([5.0, 0.25, 0.0]))


def test_nearest_is_by_direction_not_by_distance():
    prototypes = Prototypes(2, 2)
    prototypes.centres.copy_(torch.tensor([[10.0, 0.0], [1.0, 1.0]]))
    assert prototypes.nearest(torch.tensor([[1.0, 0.1]]), 2).tolist() == [[0, 1]]


def test_entropy_falls_when_all_outputs_become_one():
    prototypes = Prototypes(3, 3, momentum=0.5)
    prototypes.fit(clouds(5))
    assert float(prototypes.entropy()) == pytest.approx(1.0)
    prototypes.count_use(clouds(4, seed=1))
    assert float(prototypes.entropy()) == pytest.approx(1.0)
    for _ in range(20):
        prototypes.count_use(CORNERS[:1].repeat(4, 1))
    assert float(prototypes.entropy()) < 0.01
    assert float(Prototypes(1, 3).entropy()) == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [(dict(count=0, width=3), "count=0"), (dict(count=2, width=3, momentum=1.5), "momentum .* 1.5")],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Prototypes(**settings)
