"""Statistics of photos against pictures whose statistics are known."""

import cv2
import numpy as np
import pytest

from unirestore.degradations import Haze
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
        (np.zeros((40, 401, 3), np.uint8), ValueError, "40 x 401: more than ten times"),
        (np.full((40, 40, 3), 200, np.float32), ValueError, r"in \[0, 1\], got 200"),
        (np.full((40, 40, 3), np.nan, np.float32), ValueError, "nan"),
    ],
)
def test_refuses_what_it_cannot_describe(image, error, words):
    with pytest.raises(error, match=words):
        st.describe(image)


def test_slope_refuses_small_and_coloured_pictures():
    with pytest.raises(ValueError, match=r"\(31, 64\)"):
        st.spectral_slope(np.zeros((31, 64)))
    with pytest.raises(ValueError, match=r"\(64, 64, 3\)"):
        st.spectral_slope(np.zeros((64, 64, 3)))


def test_slope_of_white_noise_and_of_a_flat_picture_is_zero():
    noise = np.random.default_rng(0).standard_normal((64, 128, 128))  # each spreads by 0.14
    assert np.mean([st.spectral_slope(n) for n in noise]) == pytest.approx(0, abs=0.1)
    assert st.spectral_slope(np.full((64, 64), 0.3)) == pytest.approx(0, abs=1e-6)


def coloured_noise(height=240, width=400):
    planes = [noise_photo(-1.5, max(height, width), seed)[:height, :width] for seed in range(3)]
    grey = noise_photo(-2.0, max(height, width), 9)[:height, :width]
    photo = 0.45 + 0.12 * grey[..., None] + 0.04 * np.stack(planes, axis=-1)
    return np.clip(photo * 255, 0, 255).astype(np.uint8)


def test_bytes_and_floats_of_one_photo_are_the_same_photo():
    image = coloured_noise()
    floats = st.describe(image.astype(np.float32) / 255)
    assert st.describe(image) == pytest.approx(floats, abs=1e-4)


def test_a_mirrored_photo_has_the_same_statistics():
    image = coloured_noise()[:, :320]  # no shrinking, so that pixels stay pixels
    assert st.describe(image[:, ::-1].copy()) == pytest.approx(st.describe(image), abs=1e-3)


def test_upside_down_turns_only_what_knows_up_from_down():
    image = coloured_noise()[:, :320]
    up, down = named(image), named(image[::-1].copy())
    assert down["top_minus_bottom"] == pytest.approx(-up["top_minus_bottom"], abs=1e-5)
    assert down["local_top"] == pytest.approx(up["local_bottom"], abs=1e-3)
    same = [n for n in st.NAMES if "top" not in n and "bottom" not in n]
    assert [down[n] for n in same] == pytest.approx([up[n] for n in same], abs=1e-3)


def test_a_uniform_veil_moves_each_statistic_as_the_formula_says():
    """t J + (1 - t) A with t = 1/2 and a white A: contrasts halve, the dark channel rises to (d + 1) / 2."""
    clear = coloured_noise()[:, :320].astype(np.float32) / 255
    before, after = named(clear), named(0.5 * clear + 0.5)
    for name in ("bright", "p5", "p95", "dark", "dark_p10"):
        assert after[name] == pytest.approx(0.5 * before[name] + 0.5, abs=1e-4), name
    for name in ("contrast", "top_minus_bottom", "colourfulness", "red_green", "blue_yellow"):
        assert after[name] == pytest.approx(0.5 * before[name], abs=1e-4), name
    for name in ("local", "local_top", "local_p95", "gradient", "gradient_bottom", "grain"):
        assert after[name] == pytest.approx(before[name] - 1, abs=0.03), name
    assert after["slope"] == pytest.approx(before["slope"], abs=0.01)
    assert after["saturation"] < 0.5 * before["saturation"]


def test_local_contrast_of_a_bright_even_sky():
    """A deviation of 0.002 on 0.95 cancels in float32: E[x^2] - E[x]^2 has seven digits there."""
    noise = np.random.default_rng(0).standard_normal((200, 320, 1)).astype(np.float32)
    sky = np.repeat(0.95 + 0.002 * noise, 3, axis=2)
    assert 2 ** named(sky)["local"] - 1e-4 == pytest.approx(0.002, rel=0.02)


def test_dark_channel_sees_the_darkest_colour_of_the_neighbourhood():
    image = np.full((120, 160, 3), 200, np.uint8)
    image[60, 80, 2] = 40  # one blue-less pixel darkens the window around it
    expected = 200 / 255 - (160 / 255) * st.PATCH**2 / (120 * 160)
    assert named(image)["dark"] == pytest.approx(expected, abs=1e-5)
