"""Statistics of photos against pictures whose statistics are known, and distances that are known in closed form."""

import cv2
import numpy as np
import pytest

from unirestore.degradations import Haze, WeatherMixture
from unirestore.degradations import statistics as st


def named(image):
    return dict(zip(st.NAMES, st.describe(image), strict=True))


def noise_photo(power, side=128, seed=0):
    """Grey noise whose power spectrum falls as frequency to the `power`."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    frequency[0, 0] = 1
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * frequency ** (power / 2)).real
    return field / field.std()


def test_a_flat_picture():
    values = named(np.full((60, 80, 3), (100, 150, 200), np.uint8))
    grey = (0.299 * 100 + 0.587 * 150 + 0.114 * 200) / 255
    assert values["bright"] == pytest.approx(grey, abs=2e-3)
    assert values["dark"] == pytest.approx(100 / 255, abs=1e-4)
    assert values["saturation"] == pytest.approx(0.5, abs=2e-3)
    assert values["red_green"] == pytest.approx(-50 / 255, abs=1e-4)
    assert values["blue_yellow"] == pytest.approx(75 / 255, abs=1e-4)
    assert values["contrast"] < 1e-3 and values["colourfulness"] < 1e-3
    assert values["gradient"] < -12, "log2 of nothing"


def test_a_ramp_has_its_gradient_and_its_top_and_bottom():
    rows = np.linspace(0.8, 0.2, 121, dtype=np.float32)[:, None, None]
    values = named(np.ascontiguousarray(np.broadcast_to(rows, (121, 160, 3))))
    assert 2 ** values["gradient"] == pytest.approx(0.6 / 120, rel=0.04)
    assert values["top_minus_bottom"] == pytest.approx(0.6 * 0.75, abs=0.02)
    assert values["gradient_tail"] < 0.05, "one gradient everywhere: no tail"


@pytest.mark.parametrize("power", [-1.0, -2.0, -3.0])
def test_slope_of_noise_with_a_known_spectrum(power):
    slopes = [st.spectral_slope(noise_photo(power, seed=seed)) for seed in range(4)]
    assert np.mean(slopes) == pytest.approx(power, abs=0.25)


def test_dark_channel_and_contrast_move_as_fog_thickens(shared):
    photos = [
        cv2.imread(str(p))[::3, ::3, ::-1].copy() for p in sorted((shared / "data/kodak24").glob("*.png"))[:6]
    ]
    depth = np.full(photos[0].shape[:2], 60, np.float32)
    rows = []
    for severity in (1, 3, 5):
        fog = Haze(severity=severity, unevenness=0.0)
        hazy = [fog(p, seed=0, depth=depth if p.shape[:2] == depth.shape else depth.T.copy()) for p in photos]
        rows.append(st.describe_all(hazy).mean(axis=0))
    table = dict(zip(st.NAMES, np.array(rows).T, strict=True))
    for name in ("dark", "dark_p10", "p5"):
        assert np.all(np.diff(table[name]) > 0), name
    for name in ("contrast", "local", "gradient", "grain"):
        assert np.all(np.diff(table[name]) < 0), name


def test_size_of_the_source_moves_little_but_the_grain():
    grey = noise_photo(-2.2, 640)
    image = np.clip(128 + 40 * grey, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    half = cv2.resize(image, (480, 480), interpolation=cv2.INTER_AREA)
    large, small = named(image), named(half)
    # real photos spread by some 0.9 (log2) in grain; another size of the source may move it by a third of that
    assert abs(large.pop("grain") - small.pop("grain")) < 0.3
    assert max(abs(large[name] - small[name]) for name in large) < 0.1


def test_distances_of_gaussians_are_the_closed_form():
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, (20000, 2))
    shifted = a + np.array([0.5, 0.0])
    deviation = a.std(axis=0)
    assert st.wasserstein_each(a, shifted) == pytest.approx([0.5 / deviation[0], 0.0], abs=1e-6)
    assert st.wasserstein(a, shifted) == pytest.approx(0.25, abs=0.01)
    assert st.frechet(a, shifted) == pytest.approx(0.5, abs=0.01)
    # N(0, 1) against N(0, 4): W1 = E|x| = sqrt(2 / pi); Frechet per axis |1 - 2|
    wide = 2 * a
    assert st.wasserstein(a, wide) == pytest.approx(np.sqrt(2 / np.pi), abs=0.02)
    assert st.frechet(a, wide) == pytest.approx(np.sqrt(2), abs=0.02)
    assert st.wasserstein(a, a) == 0 and st.frechet(a, a) == pytest.approx(0, abs=1e-3)


def test_distance_is_in_units_of_the_reference():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (50, 3)), rng.normal(1, 1, (60, 3))
    assert st.wasserstein(1000 * a, 1000 * b) == pytest.approx(st.wasserstein(a, b))
    assert st.frechet(1000 * a, 1000 * b) == pytest.approx(st.frechet(a, b))


def test_bootstrap_interval_holds_the_value():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, (80, 3)), rng.normal(0.8, 1, (80, 3))
    low, high = st.bootstrap(a, b)
    assert low < st.wasserstein(a, b) < high < low + 0.6
    assert st.bootstrap(a, b) == (low, high), "seeded"


def test_summary_has_a_row_for_each_statistic():
    rows = np.tile(np.arange(len(st.NAMES), dtype=float), (3, 1))
    table = st.summary({"a": rows, "b": rows + 1}).splitlines()
    assert len(table) == 2 + len(st.NAMES)
    assert table[2] == "| bright | 0.000 | 1.000 |"


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (np.zeros((20, 80, 3), np.uint8), ValueError, "32 x 32, got"),
        (np.zeros((80, 80), np.uint8), ValueError, r"\(80, 80\)"),
        (np.zeros((80, 80, 3)), TypeError, "float64"),
    ],
)
def test_refuses_what_it_cannot_describe(image, error, words):
    with pytest.raises(error, match=words):
        st.describe(image)


def test_refuses_sets_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(4, 3\) and \(5, 2\)"):
        st.wasserstein(np.zeros((4, 3)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="N, M >= 2"):
        st.frechet(np.zeros((1, 3)), np.zeros((5, 3)))


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
        return st.wasserstein(real, np.stack(rows))

    before, after = distance(old), distance(new)
    assert after < before, (before, after)
