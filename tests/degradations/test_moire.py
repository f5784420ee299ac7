"""Moire against sampling theory: the waves have the frequency of the alias and the contrast of the optics."""

import numpy as np
import pytest

from unirestore.degradations import Moire
from unirestore.degradations.light import to_linear
from unirestore.degradations.moire import CELL, STRIPE, filter_colours, harmonic, screen_position

FLAT = {"tilt": (0.0, 0.0), "bow": 0.0, "angle": 0.0, "noise": 0.0}


def flat(level=0.5, shape=(64, 128)):
    return np.full((*shape, 3), level, np.float32)


def strongest(plane):
    """Frequency along x, in cycles per pixel, of the strongest wave of a plane below a quarter."""
    spectrum = np.abs(np.fft.rfft(plane - plane.mean(axis=1, keepdims=True), axis=1)).mean(axis=0)
    limit = plane.shape[1] // 4
    return float(np.argmax(spectrum[:limit]) / plane.shape[1])


def test_without_stripes_only_demosaicking_is_left():
    out = Moire(strength=0.0, **FLAT)(flat(0.6), seed=0)
    assert np.abs(out - 0.6).max() < 2e-3
    ramp = np.linspace(0.1, 0.9, 128, dtype=np.float32)[None, :, None].repeat(64, 0).repeat(3, 2)
    assert np.abs(Moire(strength=0.0, **FLAT)(ramp, seed=0) - ramp).max() < 0.02


def test_colour_filter_is_red_green_green_blue():
    assert filter_colours((2, 4)).tolist() == [[0, 1, 0, 1], [1, 2, 1, 2]]
    # the right colour reaches the right channel
    image = flat(0.0)
    image[..., 0], image[..., 2] = 0.8, 0.3
    out = Moire(strength=0.0, **FLAT)(image, seed=0).mean((0, 1))
    assert out == pytest.approx((0.8, 0.0, 0.3), abs=5e-3)


@pytest.mark.parametrize("pitch", [0.453125, 0.46875, 0.53125, 0.5625])
def test_waves_have_the_frequency_of_the_alias(pitch):
    # red cells lie two pixels apart: a stripe frequency f shows as |f - 1/2|
    out = to_linear(Moire(strength=0.5, pitch=pitch, **FLAT)(flat(), seed=1))
    for channel in (0, 2):
        assert strongest(out[..., channel]) == pytest.approx(abs(pitch - 0.5), abs=1 / 128 + 1e-9)


def test_waves_are_coloured_and_scale_with_strength():
    contrasts = []
    for strength in (0.1, 0.2, 0.4):
        out = to_linear(Moire(strength=strength, pitch=0.46875, **FLAT)(flat(0.4), seed=1))
        contrasts.append(out[..., 0].std())
        red, blue = (out[..., c].mean(axis=0) - out[..., c].mean() for c in (0, 2))
        assert np.corrcoef(red, blue)[0, 1] < 0.5, "the stripes of the colours lie apart, so do their waves"
    assert contrasts[1] / contrasts[0] == pytest.approx(2, rel=0.1)
    assert contrasts[2] / contrasts[1] == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("pitch", [0.3, 0.47, 0.9])
def test_harmonics_equal_an_integral_over_the_cell(pitch):
    blur = 0.3
    x = np.linspace(-0.5, 0.5, 4001)[:-1]  # one period of the stripes, in screen pixels
    stripes = (np.abs(x) < STRIPE / 2).astype(float)
    spectrum = np.fft.fft(stripes)
    for order in (1, 2, 3):
        bare = 2 * abs(spectrum[order]) / abs(spectrum[0])
        # the cell as a box, the lens as a Gaussian, both integrated numerically in camera pixels
        u = np.linspace(-4, 4, 80001)
        box = np.cos(2 * np.pi * order * pitch * u)[np.abs(u) < CELL / 2].mean()
        bell = np.exp(-(u**2) / (2 * blur**2))
        lens = (bell * np.cos(2 * np.pi * order * pitch * u)).sum() / bell.sum()
        assert abs(harmonic(order, STRIPE, pitch, blur)) == pytest.approx(abs(bare * box * lens), abs=2e-3)


def test_screen_position_turns_scales_and_bends():
    x, y = screen_position((40, 60), pitch=0.5, angle=0.0, tilt=(0.0, 0.0), bow=0.0)
    assert np.diff(x, axis=1) == pytest.approx(0.5, abs=1e-4) and np.abs(np.diff(x, axis=0)).max() < 1e-4
    assert np.diff(y, axis=0) == pytest.approx(0.5, abs=1e-4)
    x, y = screen_position((40, 60), pitch=0.5, angle=90.0, tilt=(0.0, 0.0), bow=0.0)
    assert np.diff(y, axis=1) == pytest.approx(0.5, abs=1e-4)
    x, _ = screen_position((40, 60), pitch=0.5, angle=0.0, tilt=(0.2, 0.0), bow=0.0)
    steps = np.diff(x, axis=1)[20]
    assert steps[-1] / steps[0] == pytest.approx(1.2, rel=0.05) and (np.diff(steps) > 0).all()
    x, _ = screen_position((41, 61), pitch=0.5, angle=0.0, tilt=(0.0, 0.0), bow=0.1)
    steps = np.diff(x, axis=1)[20]
    assert steps[-1] > 1.2 * steps[30] and steps[0] == pytest.approx(steps[-1], rel=1e-3)
    big, _ = screen_position((40, 60), pitch=0.5, angle=3.0, tilt=(0.1, 0.1), bow=0.01, pad=4)
    small, _ = screen_position((40, 60), pitch=0.5, angle=3.0, tilt=(0.1, 0.1), bow=0.01)
    assert np.array_equal(big[4:-4, 4:-4], small)


def test_black_screens_show_nothing_and_the_mean_stays():
    assert Moire(strength=0.9, **FLAT)(flat(0.0), seed=0).max() < 5e-3
    out = to_linear(
        Moire(strength=0.6, pitch=0.47, angle=4.0, tilt=(0.05, 0.03), noise=0.0)(flat(0.5), seed=0)
    )
    assert out.mean() == pytest.approx(float(to_linear(np.float32([0.5]))[0]), rel=0.03)


def test_content_stays_in_place():
    image = flat(0.2, (80, 80))
    image[30:50, 20:60] = 0.8
    out = Moire(severity=2)(image, seed=3).mean(axis=2)
    found = out > 0.5
    assert found[32:48, 22:58].mean() > 0.97 and found[:27].mean() < 0.01 and found[53:].mean() < 0.01
