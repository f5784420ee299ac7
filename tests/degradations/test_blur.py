"""Blur against geometry: kernels of known area and moments, light kept, content in place."""

import math

import cv2
import numpy as np
import pytest

from unirestore.degradations import DefocusBlur, MotionBlur, TemporalBlur
from unirestore.degradations.blur import (
    aperture_kernel,
    convolve,
    defocused,
    path_kernel,
    shake_path,
    with_highlights,
)
from unirestore.degradations.light import to_linear, to_srgb
from unirestore.degradations.noise_fields import generator


def dot(side=81, level=1.0):
    image = np.zeros((side, side, 3), np.float32)
    image[side // 2, side // 2] = level
    return image


def moments(plane):
    """Sum, centroid and covariance of a plane of weights, in pixels from its centre."""
    height, width = plane.shape
    weight = plane.astype(float)
    x = np.arange(width) - (width - 1) / 2
    y = np.arange(height)[:, None] - (height - 1) / 2
    total = weight.sum()
    mean = (weight * x).sum() / total, (weight * y).sum() / total
    spread = (weight * (x - mean[0]) ** 2).sum() / total, (weight * (y - mean[1]) ** 2).sum() / total
    return total, mean, spread


@pytest.mark.parametrize("shape", [(3, 3), (11, 11), (1, 25), (23, 13), (35, 35)])
def test_convolve_equals_the_sum_over_taps(shape):
    rng = np.random.default_rng(0)
    kernel = rng.random(shape).astype(np.float32)
    kernel[rng.random(shape) < 0.6] = 0
    kernel[0, -1] = 1  # asymmetric, so that a correlation is told from a convolution
    image = rng.random((40, 45, 3)).astype(np.float32)
    top, left = shape[0] // 2, shape[1] // 2
    padded = np.pad(image, ((top, top), (left, left), (0, 0)), mode="symmetric").astype(float)
    expected = np.zeros(image.shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            row, column = 2 * top - i, 2 * left - j
            expected += kernel[i, j] * padded[row : row + 40, column : column + 45]
    assert convolve(image, kernel) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_shake_path_has_its_length_and_is_centred():
    for seed in range(5):
        path = shake_path(generator(seed), 30.0, wander=2.0, jolt=1.0)
        assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(30, rel=0.03)
        assert path.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
    straight = shake_path(generator(1), 30.0, wander=0.0, jolt=0.0)
    assert np.linalg.norm(straight[-1] - straight[0]) == pytest.approx(30, rel=0.03)
    assert not np.array_equal(straight, shake_path(generator(2), 30.0, wander=0.0, jolt=0.0))


def test_path_kernel_keeps_the_moments_of_the_path():
    path = shake_path(generator(3), 24.0, wander=1.0, jolt=0.5)
    kernel = path_kernel(path)
    total, mean, spread = moments(kernel)
    assert total == pytest.approx(1, abs=1e-5) and kernel.min() >= 0 and kernel.shape[0] % 2 == 1
    assert mean == pytest.approx((0, 0), abs=1e-3), "the content stays in place"
    # bilinear drawing adds the variance of a triangle, at most 1/4
    assert spread == pytest.approx(path.var(axis=0), abs=0.26)


@pytest.mark.parametrize("blades", [0, 3, 6])
@pytest.mark.parametrize("radius", [0.4, 1.0, 3.3, 7.5])
def test_aperture_has_the_area_of_a_disc(radius, blades):
    kernel = aperture_kernel(radius, blades, 0.3)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    if radius > 3:
        assert 1 / kernel.max() == pytest.approx(math.pi * radius**2, rel=0.03)
        if blades == 0:
            _, mean, spread = moments(kernel)
            assert mean == pytest.approx((0, 0), abs=1e-4)
            assert spread == pytest.approx((radius**2 / 4, radius**2 / 4), rel=0.05)


def test_polygons_differ_from_discs_and_turn():
    hexagon = aperture_kernel(7.5, 6, 0.0)
    disc = np.pad(aperture_kernel(7.5, 0, 0.0), 1)
    assert np.abs(disc - hexagon).max() > 0.5 * disc.max()
    triangle = aperture_kernel(7.5, 3, 0.2)
    assert triangle[0].max() == triangle[:, 0].max() == 0, "no corner is cut off"
    assert np.abs(hexagon - aperture_kernel(7.5, 6, 0.5)).max() > 0.2 * hexagon.max()


def test_large_discs_on_a_small_picture_equal_direct_ones():
    rng = np.random.default_rng(0)
    light = cv2.GaussianBlur(rng.random((90, 100, 3)).astype(np.float32), (0, 0), 2)
    direct = convolve(light, aperture_kernel(11.0, 0, 0.0))
    coarse = defocused(light, 11.0, 0, 0.0)
    assert np.abs(direct - coarse).mean() < 0.004 < 0.02 < np.abs(direct - light).mean()


def test_blur_works_in_linear_light():
    stripes = np.zeros((60, 60, 3), np.float32)
    stripes[:, ::2] = 0.9
    out = MotionBlur(length=0.3, wander=0.0, jolt=0.0, highlights=0.0)(stripes, seed=2)
    middle = float(out[30, 20:40].mean())
    assert middle == pytest.approx(float(to_srgb(to_linear(np.float32([0.9])) / 2)[0]), abs=0.03)
    assert middle > 0.45 + 0.15, "averaging sRGB values would give 0.45"


@pytest.mark.parametrize(
    "effect",
    [
        MotionBlur(length=0.15, highlights=0.0),
        DefocusBlur(radius=0.06, highlights=0.0),
        DefocusBlur(radius=0.06, blades=5, highlights=0.0),
        TemporalBlur(shift=0.12, zoom=0.0, spin=0.0, highlights=0.0, frames=33),
    ],
    ids=["motion", "disc", "polygon", "clip"],
)
def test_a_dot_keeps_its_light_and_its_place(effect):
    image = dot()
    image[38:43, 38:43] = 1  # brighter than one pixel, so that the sRGB tables resolve the trail
    out = to_linear(effect(image, seed=4))[..., 1]
    total, mean, spread = moments(out)
    before, _, narrow = moments(to_linear(image)[..., 1])
    assert total == pytest.approx(before, rel=0.03)
    assert mean == pytest.approx((0, 0), abs=0.35)
    assert sum(spread) > sum(narrow) + 2


def test_highlights_make_lamps_brighter_and_spare_the_rest():
    light = to_linear(np.linspace(0, 1, 256, dtype=np.float32)[None, :, None].repeat(3, 2))
    out = with_highlights(light, 2.0)
    assert out[0, -1] == pytest.approx([4, 4, 4])
    assert np.array_equal(out[0, :240], light[0, :240])
    image = dot(level=1.0)
    dim = DefocusBlur(radius=0.05, highlights=0.0)(image, seed=0)
    bright = DefocusBlur(radius=0.05, highlights=3.0)(image, seed=0)
    assert to_linear(bright).sum() > 5 * to_linear(dim).sum()


def test_focus_keeps_its_distance_sharp():
    rng = np.random.default_rng(0)
    image = rng.random((80, 120, 3)).astype(np.float32)
    depth = np.full((80, 120), 5.0, np.float32)
    depth[:, 60:] = 500.0
    effect = DefocusBlur(radius=0.04, focus=5.0, highlights=0.0)
    out = effect(image, seed=0, depth=depth)
    assert np.abs(out - image)[:, :55].max() < 1e-3
    assert out[20:60, 75:110].std() < 0.3 * image[20:60, 75:110].std()
    turned = DefocusBlur(radius=0.04, focus=500.0, highlights=0.0)(image, seed=0, depth=depth)
    assert np.abs(turned - image)[:, 65:].max() < 1e-3
    assert turned[20:60, 10:45].std() < 0.3 * image[20:60, 10:45].std()


def test_no_halo_of_a_sharp_thing_in_its_blurred_background():
    image = np.full((60, 120, 3), 0.5, np.float32)
    image[:, :60] = 1.0
    depth = np.full((60, 120), 5.0, np.float32)
    depth[:, 60:] = 500.0
    out = DefocusBlur(radius=0.08, focus=5.0, highlights=0.0)(image, seed=0, depth=depth)
    assert np.abs(out[:, 61:] - 0.5).max() < 0.02


def test_a_clip_without_motion_is_the_photo():
    image = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)
    still = TemporalBlur(shift=0.0, zoom=0.0, spin=0.0, highlights=0.0)
    assert np.abs(still(image, seed=0) - image).max() < 1e-3


def test_zoom_is_sharp_near_the_centre_and_spin_too():
    image = np.random.default_rng(0).random((120, 120, 3)).astype(np.float32)
    for effect in (
        TemporalBlur(shift=0.0, zoom=0.15, spin=0.0, highlights=0.0),
        TemporalBlur(shift=0.0, zoom=0.0, spin=10.0, highlights=0.0),
    ):
        error = np.mean([np.abs(effect(image, seed=s) - image) for s in range(6)], axis=0).mean(2)
        assert error[56:64, 56:64].mean() < 0.8 * error[:12, :12].mean()


def test_parallax_spares_far_things():
    image = np.random.default_rng(0).random((80, 80, 3)).astype(np.float32)
    depth = np.full((80, 80), 1000.0, np.float32)
    depth[40:] = 3.0
    effect = TemporalBlur(shift=0.08, zoom=0.0, spin=0.0, parallax=1.0, highlights=0.0)
    error = np.abs(effect(image, seed=1, depth=depth) - image)
    assert error[:30].mean() < 0.15 * error[50:].mean()
