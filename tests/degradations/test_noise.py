"""Noise against its moments: deviation, skewness, correlation, law over brightness, segments."""

import numpy as np
import pytest

from unirestore.degradations import GaussianNoise, GranularNoise, PoissonNoise, SegmentNoise
from unirestore.degradations.noise import coarse_normal, poisson_like, segments
from unirestore.degradations.noise_fields import generator


def flat(level, shape=(160, 160)):
    return np.full((*shape, 3), level, np.float32)


@pytest.mark.parametrize("mean", [4.0, 12.0, 60.0])
def test_poisson_like_has_three_moments_of_poisson(mean):
    counts = poisson_like(np.full(400_000, mean, np.float32), generator(0)).astype(float)
    assert counts.mean() == pytest.approx(mean, rel=0.005)
    assert counts.var() == pytest.approx(mean, rel=0.03)
    skewness = ((counts - counts.mean()) ** 3).mean() / counts.std() ** 3
    assert skewness == pytest.approx(mean**-0.5, rel=0.12, abs=0.02)


@pytest.mark.parametrize("mean", [0.1, 0.5, 1.0, 2.0])
def test_poisson_like_is_exact_where_counts_are_few(mean):
    counts = poisson_like(np.full(400_000, mean, np.float32), generator(0)).astype(float)
    assert counts.min() >= 0
    assert counts.mean() == pytest.approx(mean, rel=0.02)
    assert counts.var() == pytest.approx(mean, rel=0.02)
    assert (counts == 0).mean() == pytest.approx(np.exp(-mean), rel=0.02)
    assert poisson_like(np.zeros(9, np.float32), generator(0)).max() == 0


def test_read_noise_adds_its_variance_and_keeps_the_third_moment():
    counts = poisson_like(np.full(600_000, 20, np.float32), generator(0), read=5.0).astype(float)
    assert counts.mean() == pytest.approx(20, rel=0.005)
    assert counts.var() == pytest.approx(45, rel=0.02)
    assert ((counts - counts.mean()) ** 3).mean() == pytest.approx(20, rel=0.25)


def test_gaussian_noise_has_its_deviation_and_is_white():
    noise = GaussianNoise(sigma=0.05)(flat(0.5), seed=0) - np.float32(0.5)
    assert noise.std() == pytest.approx(0.05, rel=0.02) and abs(noise.mean()) < 1e-3
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02
    assert abs(np.mean(noise[:, 1:] * noise[:, :-1])) < 0.02 * noise.var()
    grey = GaussianNoise(sigma=0.05, grey=True)(flat(0.5), seed=0)
    assert np.array_equal(grey[..., 0], grey[..., 2]) and grey.std() == pytest.approx(0.05, rel=0.03)


@pytest.mark.parametrize("level", [0.1, 0.4, 0.7])
def test_poisson_noise_follows_the_square_root(level):
    noise = PoissonNoise(photons=200.0)(flat(level), seed=1) - np.float32(level)
    assert noise.std() == pytest.approx((level / 200) ** 0.5, rel=0.03)
    assert abs(noise.mean()) < 0.02 * noise.std() + 1e-4
    grey = PoissonNoise(photons=200.0, grey=True)(flat(level), seed=1) - np.float32(level)
    assert grey.std() == pytest.approx((level / 200) ** 0.5, rel=0.04)
    assert np.abs(grey[..., 0] - grey[..., 1]).max() < 1e-5


def test_grain_is_strongest_in_mid_tones_coarse_and_little_coloured():
    effect = GranularNoise(sigma=0.04, size=1.0, chroma=0.35)
    deviation = {
        level: (effect(flat(level), seed=2) - np.float32(level)).std() for level in (0.15, 0.5, 0.85)
    }
    assert deviation[0.5] == pytest.approx(0.04 * (1 + 0.35**2) ** 0.5, rel=0.06)
    assert deviation[0.15] == pytest.approx(deviation[0.85], rel=0.05)
    assert deviation[0.15] / deviation[0.5] == pytest.approx(0.35 + 0.65 * 4 * 0.15 * 0.85, rel=0.06)
    noise = effect(flat(0.5), seed=2) - np.float32(0.5)
    assert np.mean(noise[:, 1:] * noise[:, :-1]) > 0.5 * noise.var(), "grains are wider than a pixel"
    assert np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1] == pytest.approx(
        1 / (1 + 0.35**2), abs=0.03
    )
    neutral = GranularNoise(sigma=0.04, chroma=0.0)(flat(0.5), seed=2)
    assert np.abs(neutral[..., 0] - neutral[..., 1]).max() < 1e-6


@pytest.mark.parametrize("size", [0.0, 0.5, 1.2, 3.0])
def test_coarse_normal_keeps_its_deviation(size):
    field = coarse_normal((200, 200), 2, size, generator(0))
    assert field.shape == (200, 200, 2) and field.dtype == np.float32
    assert field[20:-20, 20:-20].std() == pytest.approx(1, abs=0.06)


def test_segments_follow_colour_and_place():
    image = flat(0.2, (90, 120))
    image[:, 60:] = (0.9, 0.3, 0.1)
    ids = segments(image, 2, generator(3))
    assert ids.shape == (90, 120) and ids.dtype == np.int32 and set(np.unique(ids)) == {0, 1}
    assert len(np.unique(ids[:, :57])) == 1 and len(np.unique(ids[:, 63:])) == 1
    noise = np.random.default_rng(0).random((70, 50, 3)).astype(np.float32)
    assert segments(noise, 12, generator(0)).max() < 12
    assert segments(flat(0.5, (1, 1)), 12, generator(0)).tolist() == [[0]]
    assert len(np.unique(segments(flat(0.5, (64, 64)), 9, generator(1)))) > 4, "a flat photo splits by place"


def deviations(out, labels, level):
    return np.array([(out - np.float32(level))[labels == k].std() for k in range(labels.max() + 1)])


def test_segment_noise_differs_between_labels_and_not_inside():
    labels = np.zeros((80, 120), np.uint8)
    labels[:40, 60:], labels[40:, :60], labels[40:, 60:] = 1, 2, 3
    effect = SegmentNoise(sigma=0.05, spread=0.8, kinds=("gaussian",))
    names = ("a", "b", "c", "d")
    out = effect(flat(0.5, (80, 120)), seed=5, label_map=labels, class_names=names)
    each = deviations(out, labels, 0.5)
    assert each.max() > 1.5 * each.min() and (each > 0.05 / 4.2).all() and (each < 0.05 * 2.6).all()
    even = SegmentNoise(sigma=0.05, spread=0.0, kinds=("gaussian",))
    each = deviations(even(flat(0.5, (80, 120)), seed=5, label_map=labels, class_names=names), labels, 0.5)
    assert each == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("kind", ["gaussian", "poisson", "grain", "impulse"])
def test_each_kind_has_about_its_deviation_at_mid_grey(kind):
    out = SegmentNoise(sigma=0.06, spread=0.0, count=1, kinds=(kind,))(flat(0.5), seed=1)
    assert (out - 0.5).std() == pytest.approx(0.06, rel=0.25)
    if kind == "impulse":
        assert set(np.unique(out).tolist()) == {0.0, 0.5, 1.0}
    if kind == "poisson":
        dark = SegmentNoise(sigma=0.06, spread=0.0, count=1, kinds=(kind,))(flat(0.125), seed=1)
        assert (dark - 0.125).std() == pytest.approx(0.03, rel=0.08)
