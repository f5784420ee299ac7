"""CLAHE, dark channel prior and their mix: sizes, known values, what they are for."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unirestore.classical import (
    CANDIDATES,
    clahe,
    dark_channel,
    dark_channel_prior,
    estimate_airlight,
    guided_filter,
    mix,
)


def street(height=120, width=160, seed=0):
    """Colourful texture: most patches have a dark channel near 0, as the prior assumes."""
    rng = np.random.default_rng(seed)
    image = rng.random((height, width, 3)) ** 3 * 255
    return cv2.GaussianBlur(image, (5, 5), 1.2).astype(np.uint8)


def hazed(image, transmission, airlight=(200, 205, 210)):
    t = np.broadcast_to(transmission, image.shape[:2])[..., None]
    return np.rint(image * t + np.array(airlight) * (1 - t)).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([clahe, dark_channel_prior, mix]))
def test_any_size_from_one_pixel(height, width, restore):
    image = np.random.default_rng(height * 71 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = image.copy()
    restored = restore(image)
    assert restored.shape == image.shape and restored.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(restored, restore(image))


def test_dark_channel_is_the_minimum_over_patch_and_channels():
    image = street(20, 24)
    dark = dark_channel(image, 5)
    for y, x in [(0, 0), (10, 11), (19, 23), (3, 20)]:
        patch = image[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        assert dark[y, x] == patch.min()


def test_guided_filter_equals_its_definition():
    rng = np.random.default_rng(1)
    guide, target = rng.random((2, 15, 17)).astype(np.float32)
    radius, eps = 2, 1e-2
    filtered = guided_filter(guide, target, radius, eps)
    slopes, offsets = np.zeros((15, 17)), np.zeros((15, 17))
    for y in range(2, 13):
        for x in range(2, 15):
            g, t = (p[y - 2 : y + 3, x - 2 : x + 3].astype(np.float64) for p in (guide, target))
            slopes[y, x] = ((g * t).mean() - g.mean() * t.mean()) / (g.var() + eps)
            offsets[y, x] = t.mean() - slopes[y, x] * g.mean()
    for y, x in [(4, 4), (7, 8), (10, 12)]:  # all windows whole
        window = (slice(y - 2, y + 3), slice(x - 2, x + 3))
        expected = slopes[window].mean() * guide[y, x] + offsets[window].mean()
        assert filtered[y, x] == pytest.approx(expected, abs=1e-4)


def test_guided_filter_keeps_an_edge_of_the_guide():
    guide = np.zeros((40, 40), np.float32)
    guide[:, 20:] = 1
    noisy = guide + np.random.default_rng(0).normal(0, 0.1, guide.shape).astype(np.float32)
    filtered = guided_filter(guide, noisy, 6, 1e-3)
    assert filtered[:, 18].max() < 0.1 and filtered[:, 21].min() > 0.9
    assert filtered[:, :19].std() < 0.03


def test_airlight_is_the_colour_of_the_haze():
    image = street()
    transmission = np.linspace(0.0, 0.9, 120)[:, None]  # no view at all at the top
    airlight = estimate_airlight(hazed(image, transmission)) * 255
    np.testing.assert_allclose(airlight, (200, 205, 210), atol=6)


def test_dark_channel_prior_removes_most_of_the_haze():
    image = street()
    transmission = np.linspace(0.02, 0.8, 120)[:, None] * np.ones((1, 160))
    hazy = hazed(image, transmission)
    rows = slice(50, None)  # above there is next to nothing to recover
    before = np.abs(hazy[rows].astype(float) - image[rows]).mean()
    after = np.abs(dark_channel_prior(hazy)[rows].astype(float) - image[rows]).mean()
    assert after < 0.45 * before


def test_dark_channel_prior_keeps_a_clear_photo():
    image = street()
    image[::6, ::6, 1] = 0  # something dark in every patch: no haze anywhere
    np.testing.assert_allclose(dark_channel_prior(image).astype(int), image, atol=1)


def test_omega_zero_changes_nothing():
    image = street(30, 40)
    np.testing.assert_allclose(dark_channel_prior(image, omega=0.0).astype(int), image, atol=1)


def test_clahe_raises_contrast_and_keeps_colour():
    image = (street() // 8 + 100).astype(np.uint8)
    restored = clahe(image)
    assert restored.astype(float).std() > 1.5 * image.astype(float).std()
    lab, lab_after = (cv2.cvtColor(i, cv2.COLOR_RGB2LAB).astype(int) for i in (image, restored))
    assert np.abs(lab_after[..., 1:] - lab[..., 1:]).mean() < 2


def test_mix_is_the_weighted_mean():
    image = street(40, 50)
    expected = 0.3 * image + 0.45 * dark_channel_prior(image) + 0.25 * clahe(image)
    assert np.abs(mix(image) - expected).max() <= 0.51
    np.testing.assert_array_equal(mix(image, (1.0, 0.0, 0.0)), image)


def test_candidates_are_named():
    assert CANDIDATES["dcp"] is dark_channel_prior and CANDIDATES["clahe"] is clahe


@pytest.mark.parametrize("restore", [clahe, dark_channel_prior, mix])
@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), [[1]]]
)
def test_bad_images_are_refused(restore, bad):
    with pytest.raises(ValueError, match="expected"):
        restore(bad)


def test_bad_parameters_are_refused_with_their_numbers():
    image = street(8, 8)
    with pytest.raises(ValueError, match=r"omega=1\.5"):
        dark_channel_prior(image, omega=1.5)
    with pytest.raises(ValueError, match="got 0 and 8"):
        clahe(image, clip_limit=0)
    with pytest.raises(ValueError, match=r"sum 1\.2"):
        mix(image, (0.4, 0.4, 0.4))
