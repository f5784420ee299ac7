"""Haze and rain against the numbers of their model, on known depth and labels."""

import math

import numpy as np
import pytest

from unirestore.degradations import Haze, JpegCompression, Rain, SensorNoise
from unirestore.degradations.base import Scene
from unirestore.degradations.lamps import vehicle_lamps
from unirestore.degradations.light import blurred, to_linear, to_srgb
from unirestore.degradations.noise_fields import generator, smooth_noise
from unirestore.degradations.rain import splash_field, spray_field, streak_field
from unirestore.degradations.scattering import (
    height_factor,
    open_sky,
    optical_depth,
    sample_airlight,
    scatter,
    transmission,
)

PLAIN = {"gradient": 0.0, "vignette": 0.0, "unevenness": 0.0, "blur": 0.0, "glow": 0.0, "height_scale": 1e9}
DRY = {"spray": 0.0, "streaks": 0.0, "wetness": 0.0, "lens": 0.0, "scene_light": 1.0}


def noise_photo(shape=(40, 50), seed=0, high=256):
    return np.random.default_rng(seed).integers(0, high, (*shape, 3), dtype=np.uint8)


def test_transmission_at_the_visibility_is_two_percent():
    assert transmission(np.array([0.0, 100.0, 50.0]), 100.0) == pytest.approx(
        [1.0, 0.02, math.sqrt(0.02)], rel=1e-3
    )


def test_srgb_curve_has_its_reference_values_and_is_exact_on_bytes():
    assert to_linear(np.float32([0.0, 0.04045, 0.5, 1.0])) == pytest.approx(
        [0, 0.0031308, 0.214041, 1], abs=1e-4
    )
    assert to_srgb(np.float32([0.0, 0.0031308, 0.214041, 1.0, 7.0])) == pytest.approx(
        [0, 0.04045, 0.5, 1, 1], abs=2e-4
    )
    levels = np.arange(256, dtype=np.float32) / 255
    assert np.abs(to_srgb(to_linear(levels)) * 255 - np.arange(256)).max() < 0.05
    exact = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    assert to_linear(levels) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_zero_distance_leaves_the_photo(severity):
    image = noise_photo()
    out = Haze(severity=severity)(image, seed=3, depth=np.zeros((40, 50), np.float32))
    assert np.abs(out.astype(int) - image).max() <= 1
    dry = Rain(severity=severity, **DRY)(image, seed=3, depth=np.zeros((40, 50), np.float32))
    assert np.abs(dry.astype(int) - image).max() <= 1


def test_infinite_distance_shows_the_airlight():
    airlight = (0.7, 0.75, 0.8)
    depth = np.full((40, 50), np.inf, np.float32)
    for effect in (Haze(airlight=airlight, **PLAIN), Rain(airlight=airlight, **PLAIN, **DRY)):
        out = effect(noise_photo(), seed=0, depth=depth).astype(float) / 255
        # seeded unevenness of the air itself stays within a few percent
        assert np.abs(out / np.array(airlight) - 1).max() < 0.12
        assert out.mean((0, 1)) == pytest.approx(airlight, abs=0.04)


def test_scatter_is_koschmieder_when_nothing_is_added():
    rng = np.random.default_rng(0)
    light = rng.random((8, 9, 3), dtype=np.float32)
    tau = rng.uniform(0, 4, (8, 9)).astype(np.float32)
    air = np.full((8, 9, 3), 0.5, np.float32)
    t = np.exp(-tau.astype(np.float64))[..., None]
    assert scatter(light, tau, air, blur=0, glow=0) == pytest.approx(light * t + air * (1 - t), abs=1e-5)
    assert np.array_equal(light, np.random.default_rng(0).random((8, 9, 3), dtype=np.float32))


def test_contrast_at_the_visibility_is_two_percent_in_linear_light():
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, 20:] = 255
    depth = np.full((20, 40), 100, np.float32)
    air = (1.0, 1.0, 1.0)
    hazy = Haze(visibility=100, airlight=air, horizon=0.0, **PLAIN)(
        image.astype(np.float32) / 255, seed=0, depth=depth
    )
    linear = to_linear(hazy)
    # white stays as bright as the white fog, black is lifted to 98 % of it
    assert (linear[:, :15].mean() / linear[:, 25:].mean()) == pytest.approx(0.98, abs=0.08)
    assert transmission(np.float32(100), 100) == pytest.approx(0.02, rel=1e-3)


def test_height_fall_off_matches_the_integral():
    depth = np.full((100, 1), 200.0, np.float32)
    factor = height_factor(depth, 50.0, 0.5)
    assert factor[60:] == pytest.approx(1.0, abs=1e-3)
    slope = (0.5 - 10.5 / 100) / 1.2
    heights = slope * np.linspace(0, 200, 20001)
    assert factor[10, 0] == pytest.approx(np.exp(-heights / 50).mean(), rel=1e-3)
    assert np.all(np.diff(factor[:50, 0]) > 0), "the air thins upwards"


def test_optical_depth_is_finite_and_uneven_only_when_asked():
    depth = np.full((30, 40), np.inf, np.float32)
    kwargs = {"visibility": 50.0, "height_scale": 80.0, "horizon": 0.4}
    even = optical_depth(depth, unevenness=0.0, rng=generator(0), **kwargs)
    assert np.isfinite(even).all() and even.max() <= 30
    near = np.full((30, 40), 20.0, np.float32)
    flat = optical_depth(near, unevenness=0.0, rng=generator(0), **kwargs)
    patchy = optical_depth(near, unevenness=0.5, rng=generator(0), **kwargs)
    assert flat[20:].std() < 1e-5 < 0.05 < patchy[20:].std()


def test_open_sky_finds_bright_gaps_above_the_horizon_only():
    image = np.full((40, 40, 3), 0.3, np.float32)
    image[:, 10:20] = 0.97
    found = open_sky(image, np.full((40, 40), 60, np.float32), 0.5)
    assert found[:15, 10:20].min() == 1 and found[:15, 25:].max() == 0 and found[25:].max() == 0
    assert open_sky(image, np.full((40, 40), 8, np.float32), 0.5).max() == 0


def test_airlight_colours_cover_what_road_photos_show():
    colours = np.array([sample_airlight(np.random.default_rng(seed)) for seed in range(500)])
    level = colours[:, 1]
    assert 0.28 < level.min() < 0.4 and 0.85 < level.max() < 0.97 and 0.6 < np.median(level) < 0.78
    assert (colours[:, 2] / level > 1.05).mean() > 0.05 and (colours[:, 2] / level < 0.95).mean() > 0.05


def test_fog_lowers_contrast_more_far_away():
    image = noise_photo((80, 80))
    depth = np.linspace(300, 5, 80, dtype=np.float32)[:, None].repeat(80, axis=1)
    out = Haze(severity=4, blur=0.0)(image, seed=0, depth=depth).astype(float)
    assert out[:20].std() < 0.15 * image[:20].std()
    assert out[-2:].std() > 0.4 * image[-2:].std()


def test_wet_road_touches_only_the_ground():
    image = noise_photo((60, 60), high=120)
    effect = Rain(**{**PLAIN, **DRY, "wetness": 1.0}, visibility=1e7, horizon=0.4)
    labels = np.full((60, 60), 1)
    labels[40:, 20:40] = 0
    out = effect(image, seed=0, label_map=labels, class_names=("road", "wall")).astype(int)
    change = np.abs(out - image).mean(2)
    assert change[45:, 24:36].mean() > 8
    assert change[:22].max() <= 1


def test_streaks_are_steep_bounded_and_follow_the_count():
    rain = Rain(severity=5, streak_angle=0.0)
    field = streak_field((160, 160), rain, 0.5, generator(1))
    assert field.shape == (160, 160) and field.min() >= 0 and 0.05 < field.max() <= 0.9
    down, across = np.abs(np.diff(field, axis=0)).mean(), np.abs(np.diff(field, axis=1)).mean()
    assert across > 1.5 * down, "streaks run downwards"
    fewer = streak_field((160, 160), Rain(severity=5, streaks=40.0), 0.5, generator(1))
    assert fewer.mean() < 0.5 * field.mean()


def test_spray_hangs_around_and_below_the_horizon():
    spray = spray_field(np.full((100, 60), 30.0, np.float32), 0.4, generator(0))
    assert spray[45:60].mean() > 5 * spray[:15].mean()


def test_splashes_stay_on_the_ground():
    field = splash_field(
        np.full((120, 120), 10.0, np.float32), Rain(severity=5, horizon=0.4), 0.5, generator(0)
    )
    assert field[:58].max() == 0 and 0 < field[70:].max() <= 1


def test_lamps_need_a_label_map_and_light_a_vehicle():
    rng = np.random.default_rng(0)
    assert vehicle_lamps(Scene((40, 60), 0), 1.0, rng) is None
    labels = np.zeros((40, 60), np.uint8)
    assert vehicle_lamps(Scene((40, 60), 0, None, labels, ("road", "car")), 1.0, rng) is None
    labels[15:30, 20:40] = 1
    lamps = vehicle_lamps(Scene((40, 60), 0, None, labels, ("road", "car")), 1.0, rng)
    assert lamps is not None and lamps.max() > 0.2
    assert lamps[labels == 0].max() <= lamps.max() * 0.999 and lamps[:14].max() == 0
    assert vehicle_lamps(Scene((40, 60), 0, None, labels, ("road", "car")), 0.0, rng) is None
    image = noise_photo((40, 60), high=60)
    names = {"label_map": labels, "class_names": ("road", "car")}
    lit = Haze(severity=3, lamps=1.0)(image, seed=1, **names).astype(int)
    dark = Haze(severity=3, lamps=0.0)(image, seed=1, **names).astype(int)
    assert (lit - dark).max() > 30 and (lit - dark).min() >= -1


def test_drops_and_lens_blur_change_the_picture():
    image = noise_photo((60, 80))
    depth = np.full((60, 80), 10.0, np.float32)
    plain = Rain(severity=1, lens=0.0)(image, seed=0, depth=depth)
    soft = Rain(severity=1, lens=1.0)(image, seed=0, depth=depth)
    drops = Rain(severity=1, lens=0.0, drops=30)(image, seed=0, depth=depth)
    sharpness = [np.abs(np.diff(p.astype(float), axis=1)).mean() for p in (plain, soft, drops)]
    assert sharpness[1] < 0.6 * sharpness[0] and sharpness[2] < sharpness[0]


def test_sensor_noise_has_the_asked_deviation():
    grey = np.full((200, 200, 3), 0.5, np.float32)
    for grain in (0.0, 0.7):
        noise = SensorNoise(shot=0.0, read=0.02, grain=grain, colour=0.0)(grey, seed=0) - grey
        assert noise.std() == pytest.approx(0.02, rel=0.06) and abs(noise.mean()) < 1e-3
    coloured = SensorNoise(shot=0.0, read=0.02, colour=1.0)(grey, seed=0) - grey
    assert np.abs(np.corrcoef(coloured.reshape(-1, 3).T) - np.eye(3)).max() < 0.1
    assert 0.01 < coloured.std() < 0.03


def test_jpeg_at_full_quality_is_nearly_lossless():
    smooth = np.linspace(0, 1, 64, dtype=np.float32)[None, :, None].repeat(48, 0).repeat(3, 2)
    assert np.abs(JpegCompression(quality=100)(smooth, seed=0) - smooth).max() < 0.01
    assert np.abs(JpegCompression(quality=5)(smooth, seed=0) - smooth).max() > 0.01


def test_smooth_noise_is_standard_and_smooth():
    fields = [smooth_noise((120, 200), generator(seed), cells=4) for seed in range(20)]
    assert np.mean(fields) == pytest.approx(0, abs=0.15)
    assert np.std(fields) == pytest.approx(1, abs=0.25)
    assert max(np.abs(np.diff(f, axis=1)).max() for f in fields) < 0.8
    assert np.array_equal(fields[0], smooth_noise((120, 200), generator(0), cells=4))


def test_blur_keeps_the_mean_and_the_shape():
    image = np.random.default_rng(0).random((50, 70, 3), dtype=np.float32)
    for sigma in (0.5, 4.0, 30.0):
        out = blurred(image, sigma)
        assert out.shape == image.shape and out.mean() == pytest.approx(image.mean(), abs=0.01)
        assert out.std() < image.std()
