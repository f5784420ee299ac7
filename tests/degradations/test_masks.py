"""User-like masks and the target that belongs to a mask and a strength."""

import cv2
import numpy as np
import pytest

from unirestore.degradations.layers import blend_target, draw_task, random_mask, soften
from unirestore.degradations.layers.masks import SHAPES, draw_shape
from unirestore.degradations.noise_fields import generator


def test_random_masks_are_binary_seeded_varied_and_never_empty():
    masks = [random_mask((60, 80), generator(seed)) for seed in range(200)]
    for mask in masks:
        assert mask.shape == (60, 80) and mask.dtype == np.float32
        assert set(np.unique(mask)) <= {0.0, 1.0} and mask.any()
    assert np.array_equal(masks[3], random_mask((60, 80), generator(3)))
    full = sum(mask.all() for mask in masks)
    assert 8 < full < 45, "about a tenth is the whole photo, and a few shapes cover it"
    shares = np.array([mask.mean() for mask in masks if not mask.all()])
    assert (shares < 0.1).mean() > 0.05 and (shares > 0.4).mean() > 0.05


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (3, 200)])
def test_masks_of_odd_sizes(shape):
    for seed in range(20):
        mask = random_mask(shape, generator(seed), full=0.0)
        assert mask.shape == shape and mask.any()
        assert soften(mask).shape == shape


def test_masks_know_their_shapes():
    def area(kind, seed):
        canvas = np.zeros((200, 200), np.uint8)
        draw_shape(canvas, kind, generator(seed))
        return canvas

    for kind in SHAPES:
        drawn = [area(kind, seed) for seed in range(12)]
        assert sum(canvas.any() for canvas in drawn) == 12
    # strokes are thin: eroding them by a sixth of the picture leaves nothing, and they reach far
    strokes = [area("stroke", seed) for seed in range(12)]
    assert not any(cv2.erode(s, np.ones((33, 33), np.uint8)).any() for s in strokes)
    spans = [max(np.ptp(np.nonzero(s)[0]), np.ptp(np.nonzero(s)[1])) for s in strokes]
    assert np.median(spans) > 70
    with pytest.raises(ValueError, match="got 'star'"):
        area("star", 0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: random_mask((0, 3), generator(0)), r"\(0, 3\)"),
        (lambda: random_mask((4, 4), generator(0), shapes=0), "shapes must be at least 1, got 0"),
        (lambda: random_mask((4, 4), generator(0), full=2), "full must lie"),
        (lambda: soften(np.zeros((2, 2, 2))), r"\(H, W\), got \(2, 2, 2\)"),
        (lambda: soften(np.zeros((2, 2)), blur=-1), ">= 0"),
    ],
)
def test_bad_masks_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_softening_grows_then_blurs():
    mask = np.zeros((100, 100), np.float32)
    mask[40:60, 40:60] = 1
    grown = soften(mask, dilation=0.05, blur=0.0)
    assert grown[50, 35] == 1 and grown[50, 34] == 0 and set(np.unique(grown)) == {0, 1}
    soft = soften(mask, dilation=0.02, blur=0.015)
    assert soft[mask > 0].min() > 0.85 and soft[50, 50] == 1
    assert 0.2 < soft[50, 38] < 1 and soft[50, 30] == 0
    assert np.array_equal(soften(mask, dilation=0, blur=0), mask)


def test_target_is_the_published_blend():
    rng = np.random.default_rng(0)
    clean, degraded = rng.random((2, 40, 50, 3), dtype=np.float32)
    mask = random_mask((40, 50), generator(4), full=0.0)
    task = blend_target(clean, degraded, mask, 0.6)
    weight = 0.6 * soften(mask)[..., None]
    assert task.target == pytest.approx(weight * clean + (1 - weight) * degraded, abs=1e-6)
    assert np.array_equal(task.condition, mask * np.float32(0.6)) and task.strength == 0.6
    whole = blend_target(clean, degraded, np.ones((40, 50), np.float32), 1.0)
    assert whole.target == pytest.approx(clean, abs=1e-6), "a full mask at full strength removes everything"
    none = blend_target(clean, degraded, mask, 0.0)
    assert np.array_equal(none.target, degraded)


def test_targets_keep_bytes_and_leave_the_rest_alone():
    rng = np.random.default_rng(0)
    clean, degraded = rng.integers(0, 256, (2, 60, 60, 3), dtype=np.uint8)
    mask = np.zeros((60, 60), np.float32)
    mask[:20, :20] = 1
    task = blend_target(clean, degraded, mask)
    assert task.target.dtype == np.uint8
    assert np.array_equal(task.target[35:, 35:], degraded[35:, 35:])
    assert np.array_equal(task.target[:12, :12], clean[:12, :12])
    grey = blend_target(clean[..., :1], degraded[..., :1], mask)
    assert grey.target.shape == (60, 60, 1)


def test_drawn_tasks_have_uniform_strength():
    clean, degraded = np.zeros((2, 16, 16, 3), np.uint8)
    strengths = [draw_task(clean, degraded, generator(seed)).strength for seed in range(300)]
    assert np.mean(strengths) == pytest.approx(0.5, abs=0.06) and np.std(strengths) == pytest.approx(
        0.29, abs=0.03
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"degraded": np.zeros((3, 4, 3), np.uint8)}, "alike"),
        ({"degraded": np.zeros((4, 4, 3), np.float32)}, "float32"),
        ({"mask": np.zeros((4, 5))}, r"mask is \(4, 5\), the photo is \(4, 4\)"),
        ({"strength": 1.1}, r"\[0, 1\], got 1.1"),
    ],
)
def test_bad_blends_are_refused(change, words):
    arguments = {
        "clean": np.zeros((4, 4, 3), np.uint8),
        "degraded": np.zeros((4, 4, 3), np.uint8),
        "mask": np.zeros((4, 4)),
    }
    with pytest.raises(ValueError, match=words):
        blend_target(**{**arguments, **change})
