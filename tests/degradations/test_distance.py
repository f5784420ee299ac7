"""Distances that are known in closed form, and intervals that hold the truth as often as they say."""

import cv2
import numpy as np
import pytest

from unirestore.degradations import WeatherMixture
from unirestore.degradations import statistics as st
from unirestore.degradations.distance import (
    frechet,
    interval,
    paired_interval,
    wasserstein,
    wasserstein_each,
)


def test_distances_of_gaussians_are_the_closed_form():
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, (20000, 2))
    shifted = a + np.array([0.5, 0.0])
    deviation = a.std(axis=0)
    assert wasserstein_each(a, shifted) == pytest.approx([0.5 / deviation[0], 0.0], abs=1e-6)
    assert wasserstein(a, shifted) == pytest.approx(0.25, abs=0.01)
    assert frechet(a, shifted) == pytest.approx(0.5, abs=0.01)
    # N(0, 1) against N(0, 4): W1 = E|x| = sqrt(2 / pi); Frechet per axis |1 - 2|
    wide = 2 * a
    assert wasserstein(a, wide) == pytest.approx(np.sqrt(2 / np.pi), abs=0.02)
    assert frechet(a, wide) == pytest.approx(np.sqrt(2), abs=0.02)
    assert wasserstein(a, a) == 0 and frechet(a, a) == pytest.approx(0, abs=1e-3)


def test_distance_is_in_units_of_the_reference():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (50, 3)), rng.normal(1, 1, (60, 3))
    assert wasserstein(1000 * a, 1000 * b) == pytest.approx(wasserstein(a, b))
    assert frechet(1000 * a, 1000 * b) == pytest.approx(frechet(a, b))


def test_distance_of_sets_of_two_sizes_is_exact():
    """{0, 3} against {0, 1, 2}: sixths 0 0 1 2 1 1 of the quantile functions apart."""
    a, b = np.array([[0.0], [3.0]]), np.array([[0.0], [1.0], [2.0]])
    assert wasserstein(a, b) * a.std() == pytest.approx(5 / 6)
    assert wasserstein(b, a) * b.std() == pytest.approx(5 / 6)


def test_every_photo_twice_changes_no_distance():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(13, 4)), rng.normal(0.3, size=(9, 4))
    assert wasserstein(np.tile(a, (2, 1)), b[[*range(9), *range(9)]]) == pytest.approx(wasserstein(a, b))


def test_intervals_are_seeded_and_in_order():
    rng = np.random.default_rng(2)
    a, b, c = (rng.normal(m, 1, (40, 3)) for m in (0, 0.8, 1.5))
    estimate, low, high = interval(a, b)
    assert low < estimate < high < low + 1
    assert interval(a, b) == (estimate, low, high) != interval(a, b, seed=1)
    estimate, low, high = paired_interval(a, b, c)
    assert low < estimate < high < 0, "b is closer"
    back = paired_interval(a, c, b)
    assert back == pytest.approx((-estimate, -high, -low))
    assert paired_interval(a, b, b) == (0.0, 0.0, 0.0)


def test_interval_holds_the_truth_where_the_percentiles_of_a_bootstrap_do_not():
    """N(0, 1) against N(0, 1.6^2): W1 = 0.6 sqrt(2 / pi). Sets so close are where the bias is large."""
    truth, runs, held, naive, raw, mended = 0.6 * np.sqrt(2 / np.pi), 60, 0, 0, [], []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(0, 1, (60, 8)), rng.normal(0, 1.6, (50, 8))
        estimate, low, high = interval(a, b, resamples=60)
        held += low <= truth <= high
        raw.append(wasserstein(a, b))
        mended.append(estimate)
        again = [wasserstein(a[rng.integers(0, 60, 60)], b[rng.integers(0, 50, 50)]) for _ in range(60)]
        naive += np.quantile(again, 0.025) <= truth <= np.quantile(again, 0.975)
    # 95 % of 60 is 57; fewer than 51 has a chance below 1 %
    assert held >= 51 and naive < held, (held, naive)
    assert abs(np.mean(mended) - truth) < 0.5 * abs(np.mean(raw) - truth)


def test_paired_interval_holds_the_true_difference():
    """Shifts of 0.9 and 0.6 of photos that share their content: the difference is 0.3."""
    held, widths = 0, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a, clean = rng.normal(0, 1, (60, 4)), rng.normal(0, 1, (50, 4))
        _, low, high = paired_interval(
            a, clean + 0.9, clean + 0.6 + rng.normal(0, 0.1, (50, 4)), resamples=60
        )
        held += low <= 0.3 <= high
        widths.append(high - low)
    assert held >= 51, held
    alone = interval(a, clean + 0.9, resamples=60)
    assert np.mean(widths) < alone[2] - alone[1], "pairs are narrower than one distance"


def test_refuses_sets_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(4, 3\) and \(5, 2\)"):
        wasserstein(np.zeros((4, 3)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="N, M >= 2"):
        frechet(np.zeros((1, 3)), np.zeros((5, 3)))


@pytest.mark.parametrize(
    ("reference", "other", "words"),
    [
        (np.zeros((5, 2)), np.ones((5, 2)), r"columns \[0, 1\] are the same"),
        (np.full((5, 2), np.nan), np.ones((5, 2)), "finite"),
    ],
)
def test_refuses_a_reference_without_a_unit(reference, other, words):
    with pytest.raises(ValueError, match=words):
        wasserstein_each(reference, other)


def test_intervals_refuse_too_few_and_what_is_not_paired():
    a = np.arange(12.0).reshape(6, 2)
    with pytest.raises(ValueError, match="4 photos in each set, got 6 and 3"):
        interval(a, a[:3])
    with pytest.raises(ValueError, match=r"\(6, 2\) statistics of ours, \(5, 2\) of theirs"):
        paired_interval(a, a, a[:5])


CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian")
CAMVID += ("bicyclist", "void")


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "kind"), [("haze", "road_fog", "fog"), ("rain", "road_rain", "rain")])
def test_the_road_mixtures_are_closer_to_real_photos(shared, old, new, kind):
    def read(path):
        return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])

    real = st.describe_all(read(p) for p in sorted((shared / "data/dawn" / kind).glob("*.jpg"))[::2])
    files = sorted((shared / "data/camvid/train").glob("*"))[::12]

    def distance(name):
        mixture, rows = WeatherMixture(name), []
        for seed, path in enumerate(files):
            labels = cv2.imread(str(shared / "data/camvid/trainannot" / (path.stem + ".png")), 0)
            effect = mixture.draw(seed)
            rows.append(st.describe(effect(read(path), seed=seed, label_map=labels, class_names=CAMVID)))
        return wasserstein(real, np.stack(rows))

    before, after = distance(old), distance(new)
    assert after < before, (before, after)
