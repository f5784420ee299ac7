"""Folds: near-duplicates stay together, both halves are alike in number."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from unirestore.data import render_scene
from unirestore.data.folds import likeness, near_duplicates, thumbnail, two_folds


@pytest.fixture(scope="module")
def scenes():
    return [render_scene(seed, size=128).image for seed in range(5)]


def altered(image):
    """The same view mirrored, in thin fog, a little cropped, and as a JPEG."""
    fog = np.clip(0.5 * image.astype(np.float32) + 90, 0, 255).astype(np.uint8)
    cropped = cv2.resize(image[4:124, 4:124], (100, 90), interpolation=cv2.INTER_AREA)
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return [np.ascontiguousarray(image[:, ::-1]), fog, cropped, cv2.imdecode(code, cv2.IMREAD_COLOR)]


def test_a_near_duplicate_is_more_alike_than_any_other_scene(scenes):
    own = thumbnail(scenes[0])
    close = likeness(own, np.stack([thumbnail(image) for image in altered(scenes[0])]))
    far = likeness(own, np.stack([thumbnail(image) for image in scenes[1:]]))
    assert close.min() > 0.7 and close.min() > far.max() + 0.1
    assert likeness(own, own[None])[0] == pytest.approx(1.0, abs=1e-5)


def test_groups_are_closed(scenes):
    """First and third need not be alike themselves: the second joins them."""
    around = np.linspace(0, 1, 3)
    noise = [thumbnail(np.random.default_rng(k).integers(0, 255, (64, 64, 3), np.uint8)) for k in (0, 1)]
    chain = np.stack([(1 - t) * noise[0] + t * noise[1] for t in around])
    assert likeness(chain[0], chain[2:])[0] < 0.5 < likeness(chain[0], chain[1:2])[0]
    lone = np.random.default_rng(5).integers(0, 255, (64, 64, 3), np.uint8)
    found = near_duplicates(np.concatenate([chain, thumbnail(lone)[None]]), 0.5)
    assert found == [[0, 1, 2], [3]]
    with pytest.raises(ValueError, match=r"\(0, 1\], got 0"):
        near_duplicates(chain, 0)


def test_folds_hold_all_once_halve_every_kind_and_split_no_group():
    groups = [[0, 1, 12], [2, 13], *([k] for k in range(3, 12)), *([k] for k in range(14, 20))]
    kinds = ["fog"] * 12 + ["rain"] * 8
    first, second = two_folds(groups, kinds, seed=1)
    assert sorted(first + second) == list(range(20)) and first == sorted(first)
    assert all(set(group) <= set(first) or set(group) <= set(second) for group in groups)
    for kind in ("fog", "rain"):
        assert abs(sum(kinds[i] == kind for i in first) - sum(kinds[i] == kind for i in second)) <= 1
    assert two_folds(groups, kinds, seed=1) == (first, second) != two_folds(groups, kinds, seed=2)
    with pytest.raises(ValueError, match="two groups"):
        two_folds([[0, 1]], ["fog", "fog"])
