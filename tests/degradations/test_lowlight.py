"""Low light against counted electrons: attenuation, variance, rounding, colour."""

import numpy as np
import pytest

from unirestore.degradations import LowLight
from unirestore.degradations.light import to_linear

PLAIN = {"gamma": 1.0, "cast": (1.0, 1.0, 1.0), "unevenness": 0.0, "banding": 0.0, "grain": 0.0}
QUIET = {**PLAIN, "electrons": 1e8, "read": 0.0, "bits": 16}


def flat(level, shape=(64, 64)):
    return np.full((*shape, 3), level, np.float32)


def test_stops_halve_the_linear_light():
    for stops in (0.0, 1.0, 3.0):
        out = to_linear(LowLight(stops=stops, **QUIET)(flat(0.8), seed=0))
        expected = float(to_linear(np.float32([0.8]))[0]) * 2.0**-stops
        assert out.mean() == pytest.approx(expected, rel=5e-3)


def test_gamma_darkens_mid_tones_and_keeps_white():
    effect = LowLight(stops=1.0, **{**QUIET, "gamma": 1.5})
    linear = float(to_linear(np.float32([0.5]))[0])
    assert to_linear(effect(flat(0.5), seed=0)).mean() == pytest.approx(0.5 * linear**1.5, rel=1e-2)
    assert to_linear(effect(flat(1.0), seed=0)).mean() == pytest.approx(0.5, rel=5e-3)


def test_cast_and_gain():
    cast = (1.2, 1.0, 0.6)
    out = to_linear(LowLight(stops=2.0, **{**QUIET, "cast": cast})(flat(0.9), seed=0)).mean((0, 1))
    assert out / out[1] == pytest.approx(cast, rel=1e-2)
    lifted = to_linear(LowLight(stops=2.0, gain=2.0, **QUIET)(flat(0.6), seed=0)).mean()
    assert lifted == pytest.approx(float(to_linear(np.float32([0.6]))[0]), rel=1e-2)


@pytest.mark.parametrize(("electrons", "read"), [(4000.0, 0.0), (4000.0, 20.0), (800.0, 5.0)])
def test_variance_is_photons_plus_read_noise(electrons, read):
    level, stops = 0.85, 1.0
    effect = LowLight(stops=stops, **{**PLAIN, "electrons": electrons, "read": read, "bits": 16})
    counts = to_linear(effect(flat(level, (160, 160)), seed=1)) * electrons
    expected = float(to_linear(np.float32([level]))[0]) * electrons / 2**stops
    assert counts.mean() == pytest.approx(expected, rel=5e-3)
    assert counts.var() == pytest.approx(expected + read**2, rel=0.05)


def test_grain_correlates_neighbours_and_keeps_the_deviation():
    def noise(grain):
        effect = LowLight(stops=1.0, **{**PLAIN, "electrons": 2000.0, "grain": grain, "read": 4.0})
        out = to_linear(effect(flat(0.8, (160, 160)), seed=2))[..., 0]
        return out - out.mean()

    white, coarse = noise(0.0), noise(0.8)
    assert coarse.std() == pytest.approx(white.std(), rel=0.05)
    assert abs(np.mean(white[:, 1:] * white[:, :-1]) / white.var()) < 0.05
    assert np.mean(coarse[:, 1:] * coarse[:, :-1]) / coarse.var() > 0.3


def test_banding_is_shared_by_rows():
    effect = LowLight(stops=2.0, **{**PLAIN, "electrons": 1e5, "read": 0.0, "banding": 800.0})
    out = to_linear(effect(flat(0.7), seed=0))[..., 1]
    assert out.mean(axis=1).std() > 5 * out.mean(axis=0).std()


def test_few_bits_give_few_levels():
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None, :, None].repeat(3, 2).repeat(8, 0)
    coarse = LowLight(stops=3.0, **{**QUIET, "bits": 6})(ramp, seed=0)
    fine = LowLight(stops=3.0, **{**QUIET, "bits": 14})(ramp, seed=0)
    assert len(np.unique(coarse[..., 0])) == 9, "2^6 / 2^3 steps and zero"
    assert len(np.unique(fine[..., 0])) > 150


def test_black_stays_black_without_read_noise_and_nothing_is_negative():
    assert LowLight(**{**PLAIN, "read": 0.0})(flat(0.0), seed=0).max() < 0.01
    noisy = LowLight(severity=5)(flat(0.02), seed=0)
    assert noisy.min() == 0 and 0 < noisy.mean() < 0.1


def test_dark_parts_are_noisier_than_bright_ones_once_lifted():
    image = flat(0.3)
    image[:, 32:] = 0.9
    out = to_linear(LowLight(**{**PLAIN, "stops": 4.0, "electrons": 2000.0, "read": 2.0})(image, seed=0))
    dark, bright = out[:, :32], out[:, 32:]
    assert dark.std() / dark.mean() > 3 * bright.std() / bright.mean()
