"""The benchmark's corruptions against published constants, closed forms and moments; the sampler's shares."""

import json
from collections import Counter
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from unirestore.degradations import (
    CORRUPTIONS,
    REGISTRY,
    CorruptionMixture,
    Identity,
    corruption,
    draws,
    from_manifest,
)
from unirestore.degradations.corruptions import (
    SEVERITY_SHARES,
    SUBSETS,
    AtShortSide,
    BrightnessC,
    ContrastC,
    DefocusBlurC,
    ElasticTransformC,
    FogC,
    FrostC,
    GaussianBlurC,
    GaussianNoiseC,
    GlassBlurC,
    ImpulseNoiseC,
    JpegC,
    MotionBlurC,
    PixelateC,
    SaturateC,
    ShotNoiseC,
    SnowC,
    SpatterC,
    SpeckleNoiseC,
    ZoomBlurC,
    blur,
    frost,
    kernels,
)
from unirestore.degradations.corruptions.digital import box_mean
from unirestore.degradations.corruptions.plasma import plasma
from unirestore.degradations.noise_fields import generator

NAMES = sorted(CORRUPTIONS)


def photo(height=64, width=80, seed=0):
    """A picture with flat areas, edges and texture; uint8 RGB, without clipped values."""
    rng = np.random.default_rng(seed)
    image = np.linspace(60, 190, width)[None, :, None] + np.zeros((height, width, 3))
    for _ in range(8):
        y, x = rng.integers(0, max(1, height - 12)), rng.integers(0, max(1, width - 16))
        image[y : y + 12, x : x + 16] = rng.integers(30, 225, 3)
    return np.clip(image + rng.normal(0, 5, image.shape), 5, 250).astype(np.uint8)


def grey(value=128, shape=(96, 96, 3)):
    return np.full(shape, value, np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


def mean_psnr(name, photos):
    return [
        np.mean([psnr(p, corruption(name, s)(p, seed=i)) for i, p in enumerate(photos)]) for s in range(1, 6)
    ]


# ---- the published table -------------------------------------------------------------------------------------

PUBLISHED = {
    GaussianNoiseC: {"sigma": (0.08, 0.12, 0.18, 0.26, 0.38)},
    ShotNoiseC: {"photons": (60, 25, 12, 5, 3)},
    ImpulseNoiseC: {"amount": (0.03, 0.06, 0.09, 0.17, 0.27)},
    SpeckleNoiseC: {"sigma": (0.15, 0.2, 0.35, 0.45, 0.6)},
    GaussianBlurC: {"sigma": (1, 2, 3, 4, 6)},
    GlassBlurC: {"sigma": (0.7, 0.9, 1, 1.1, 1.5), "distance": (1, 2, 2, 3, 4), "passes": (2, 1, 3, 2, 2)},
    DefocusBlurC: {"radius": (3, 4, 6, 8, 10), "alias": (0.1, 0.5, 0.5, 0.5, 0.5)},
    MotionBlurC: {"radius": (10, 15, 15, 15, 20), "sigma": (3, 5, 8, 12, 15)},
    ZoomBlurC: {"largest": (1.11, 1.16, 1.21, 1.26, 1.31), "step": (0.01, 0.01, 0.02, 0.02, 0.03)},
    FogC: {"strength": (1.5, 2, 2.5, 2.5, 3), "decay": (2, 2, 1.7, 1.5, 1.4)},
    FrostC: {"photo": (1, 0.8, 0.7, 0.65, 0.6), "ice": (0.4, 0.6, 0.7, 0.7, 0.75)},
    SnowC: {
        "mean": (0.1, 0.2, 0.55, 0.55, 0.55),
        "deviation": (0.3,) * 5,
        "zoom": (3, 2, 4, 4.5, 2.5),
        "threshold": (0.5, 0.5, 0.9, 0.85, 0.85),
        "radius": (10, 12, 12, 12, 12),
        "sigma": (4, 4, 8, 8, 12),
        "mix": (0.8, 0.7, 0.7, 0.65, 0.55),
    },
    BrightnessC: {"amount": (0.1, 0.2, 0.3, 0.4, 0.5)},
    ContrastC: {"factor": (0.4, 0.3, 0.2, 0.1, 0.05)},
    JpegC: {"quality": (25, 18, 15, 10, 7)},
    PixelateC: {"scale": (0.6, 0.5, 0.4, 0.3, 0.25)},
    ElasticTransformC: {"alpha": tuple(250 * a for a in (0.05, 0.065, 0.085, 0.1, 0.12))},
    SaturateC: {"factor": (0.3, 0.1, 2, 5, 20), "offset": (0, 0, 0, 0.1, 0.2)},
    SpatterC: {
        "mean": (0.65, 0.65, 0.65, 0.65, 0.67),
        "deviation": (0.3, 0.3, 0.3, 0.3, 0.4),
        "sigma": (4, 3, 2, 1, 1),
        "threshold": (0.69, 0.68, 0.68, 0.65, 0.65),
        "strength": (0.6, 0.6, 0.5, 1.5, 1.5),
        "mud": (0, 0, 0, 1, 1),
    },
}


def test_parameters_are_the_published_ones():
    assert set(PUBLISHED) == set(CORRUPTIONS.values())
    for kind, table in PUBLISHED.items():
        assert set(kind.presets) == set(table), kind
        for severity in range(1, 6):
            effect = kind(severity=severity)
            assert {n: getattr(effect, n) for n in table} == pytest.approx(
                {n: values[severity - 1] for n, values in table.items()}
            )


def test_groups():
    assert len(CORRUPTIONS) == 19 and len(SUBSETS["common"]) == 15
    assert SUBSETS["noise"] == ("gaussian_noise", "shot_noise", "impulse_noise")
    assert SUBSETS["blur"] == ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur")
    assert SUBSETS["weather"] == ("snow", "frost", "fog", "brightness")
    assert SUBSETS["digital"] == ("contrast", "elastic_transform", "pixelate", "jpeg_compression")
    assert SUBSETS["validation"] == ("speckle_noise", "gaussian_blur", "spatter", "saturate")
    assert all(REGISTRY[kind.__name__] is kind for kind in CORRUPTIONS.values())
    with pytest.raises(ValueError, match="unknown corruption 'hail'"):
        corruption("hail")


# ---- what holds for all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (33, 47)])
def test_any_size_keeps_shape_and_input(name, size):
    image = photo(*size)
    before = image.copy()
    for severity in (1, 5):
        out = corruption(name, severity)(image, seed=1)
        assert out.shape == image.shape and out.dtype == np.uint8
    assert np.array_equal(image, before), "the input was written to"


@pytest.mark.parametrize("name", NAMES)
def test_bytes_floats_and_tensors_agree(name):
    image = photo()
    image[:6, :6] = 0
    image[6:12, :6] = 90
    loose = {"gaussian_blur": 1.01, "zoom_blur": 1.01, "pixelate": 1.01}  # rounded on the way in 8 bits
    for severity in (1, 3, 5):
        effect = corruption(name, severity)
        eight = effect(image, seed=5)
        real = effect(image.astype(np.float32) / 255, seed=5)
        assert real.dtype == np.float32 and 0 <= real.min() <= real.max() <= 1
        assert np.abs(real * 255 - eight).max() <= loose.get(name, 0.51)
        tensor = effect(torch.from_numpy(image.transpose(2, 0, 1).copy()), seed=5)
        assert np.array_equal(tensor.numpy().transpose(1, 2, 0), eight)
        assert np.array_equal(effect(image, seed=5, depth=np.ones(image.shape[:2], np.float32)), eight)
        assert np.array_equal(effect(np.asfortranarray(image), seed=5), eight)


def test_a_depth_of_another_size_is_refused_as_everywhere():
    for name in ("brightness", "fog"):
        with pytest.raises(ValueError, match=r"depth is \(3, 3\), the photo is \(64, 80\)"):
            corruption(name)(photo(), seed=0, depth=np.ones((3, 3), np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_grey_photos_and_manifest_replay(name):
    image = photo()
    assert corruption(name)(image[..., 0], seed=3).shape == image.shape[:2]
    effect = CORRUPTIONS[name].sample(np.random.default_rng(4))
    again, seed = from_manifest(json.loads(json.dumps(effect.to_manifest(9))))
    assert again == effect and np.array_equal(effect(image, seed=9), again(image, seed=seed))
    constant = {"brightness", "contrast", "defocus_blur", "gaussian_blur", "jpeg_compression", "pixelate"}
    if name not in constant | {"saturate", "zoom_blur"}:
        assert not np.array_equal(effect(image, seed=9), effect(image, seed=10))


ORDERED = {name for name in NAMES if CORRUPTIONS[name].monotone}


@pytest.mark.parametrize("name", sorted(ORDERED - {"jpeg_compression", "pixelate", "fog"}))
def test_severity_lowers_psnr_on_made_photos(name):
    values = mean_psnr(name, [photo(128, 128, seed) for seed in range(8)])
    assert all(a > b for a, b in pairwise(values)), values


def test_scales_that_are_not_in_order_still_get_worse_in_the_end():
    photos = [photo(96, 96, seed) for seed in range(6)]
    for name in ("frost", "glass_blur", "saturate"):
        values = mean_psnr(name, photos)
        assert values[0] > values[-1] + 0.8, values


# ---- noise: moments ------------------------------------------------------------------------------------------


def test_normal_table_has_the_moments_of_the_normal_distribution():
    values = draws.normal(generator(0), (400_000,)).astype(np.float64)
    assert values.mean() == pytest.approx(0, abs=0.006)
    assert values.std() == pytest.approx(1, abs=0.004)
    assert (values**4).mean() == pytest.approx(3, abs=0.06)
    assert (values > 1.959964).mean() == pytest.approx(0.025, abs=0.001)
    assert np.array_equal(draws.normal(generator(0), (7, 3)), draws.normal(generator(0), (7, 3)))


def test_poisson_table_has_the_moments_of_the_poisson_distribution():
    for peak, level in ((60, 255), (12, 128), (3, 20)):
        image = np.full((500, 500), level / 255, np.float32)
        counts = draws.poisson(generator(1), image, peak).astype(np.float64)
        mean = peak * level / 255
        assert counts.mean() == pytest.approx(mean, rel=0.01, abs=0.004)
        assert counts.var() == pytest.approx(mean, rel=0.02)
        assert (counts == 0).mean() == pytest.approx(np.exp(-mean), abs=0.003)


def test_noise_moments_on_grey():
    level, big = 128 / 255, grey(shape=(200, 200, 3))
    noisy = GaussianNoiseC(severity=1)(big.astype(np.float32) / 255, seed=0)
    assert noisy.mean() == pytest.approx(level, abs=0.002) and noisy.std() == pytest.approx(0.08, rel=0.02)
    assert np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1] == pytest.approx(0, abs=0.02)
    shot = ShotNoiseC(severity=1)(big.astype(np.float32) / 255, seed=0)
    assert shot.std() == pytest.approx(np.sqrt(level / 60), rel=0.02)
    speckle = SpeckleNoiseC(severity=1)(big.astype(np.float32) / 255, seed=0)
    assert speckle.std() == pytest.approx(0.15 * level, rel=0.02)
    impulse = ImpulseNoiseC(severity=5)(big, seed=0)
    assert (impulse == 255).mean() == pytest.approx(0.135, abs=0.003)
    assert (impulse == 0).mean() == pytest.approx(0.135, abs=0.003)
    assert set(np.unique(impulse)) == {0, 128, 255}


# ---- blur: known kernels -------------------------------------------------------------------------------------


def test_defocus_kernel_and_its_separable_sum():
    sharp = kernels.disc(3, 0.1)
    assert (sharp > 1e-4).sum() == 29, "pixels within 3 of the centre"
    point = np.zeros((61, 61, 3), np.float32)
    point[30, 30] = 1
    for severity in range(1, 6):
        effect = DefocusBlurC(severity=severity)
        kernel = kernels.disc(effect.radius, effect.alias)
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        reach = kernel.shape[0] // 2
        out = effect(point, seed=0)[30 - reach : 31 + reach, 30 - reach : 31 + reach, 0]
        assert np.abs(out - kernel).sum() < 1.1e-3
    mean_square = (np.square(np.arange(-11, 12))[:, None] * kernels.disc(9, 0.5)).sum()
    assert mean_square == pytest.approx(9**2 / 4 + 0.25, rel=0.03), "second moment of a disc and a Gaussian"


def test_gaussian_blur_of_a_point():
    point = np.zeros((61, 61, 3), np.float32)
    point[30, 30] = 1
    out = GaussianBlurC(sigma=3)(point, seed=0)[..., 0]
    assert out[30, 30] == pytest.approx(1 / (2 * np.pi * 9), rel=0.01)
    assert (out * np.square(np.arange(-30, 31))).sum() == pytest.approx(9, rel=0.02)
    assert out[30, 43] == 0, "cut at four deviations"


def test_motion_blur_is_the_sum_of_shifted_photos():
    image = photo(40, 50).astype(np.float32) / 255
    for radius, sigma, angle in ((10, 3, 0), (15, 12, 31.0), (20, 15, -45.0), (12, 8, -100.0)):
        weights, dy, dx = kernels.motion_taps(radius, sigma, angle)
        assert len(weights) == 2 * radius + 1 and weights.sum() == pytest.approx(1, abs=1e-6)
        assert weights[1] / weights[0] == pytest.approx(np.exp(-0.5 / sigma**2), rel=1e-5)
        reach = 2 * radius + 1
        padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        expected = sum(
            w * padded[reach - y : reach - y + 40, reach - x : reach - x + 50]
            for w, y, x in zip(weights, dy, dx, strict=True)
        )
        assert np.abs(kernels.motion_blur(image, radius, sigma, angle) - expected).max() < 1e-5


def test_zoom_factors_are_those_of_the_benchmark():
    counts = [len(ZoomBlurC(severity=s).factors()) for s in range(1, 6)]
    assert counts == [12, 16, 11, 13, 11]
    assert ZoomBlurC(severity=3).factors()[-1] == pytest.approx(1.2)
    even = ZoomBlurC(severity=5)(grey(90), seed=0)
    assert np.array_equal(even, grey(90))


@pytest.mark.parametrize(
    ("shape", "distance", "passes"), [((24, 21), 1, 2), ((22, 27), 2, 3), ((30, 25), 4, 2)]
)
def test_glass_takes_turns_as_one_by_one(shape, distance, passes):
    height, width = shape
    here, ends = blur.visiting_order(shape, distance, passes)
    offset = np.random.default_rng(0).integers(-distance, distance, size=(2, len(here)), dtype=np.int8)
    fast = blur.jumble(np.arange(height * width, dtype=np.int32), here, ends, offset, width)
    turns = {}
    for place, dy, dx in zip(here.tolist(), *offset.tolist(), strict=True):
        turns.setdefault(place, []).append(dy * width + dx)
    slow = np.arange(height * width)
    for number in range(passes):
        for y in range(height - distance, distance, -1):
            for x in range(width - distance, distance, -1):
                place = y * width + x
                slow[place] = slow[place + turns[place][number]]
    assert np.array_equal(fast, slow)
    assert len(ends) < len(here) / 2, "turns are taken together"


# ---- digital: closed forms -----------------------------------------------------------------------------------


def test_brightness_raises_value_and_keeps_hue_and_saturation():
    image = photo(20, 20).astype(np.float32) / 255 * 0.6
    out = BrightnessC(amount=0.2)(image, seed=0)
    before, after = cv2.cvtColor(image, cv2.COLOR_RGB2HSV), cv2.cvtColor(out, cv2.COLOR_RGB2HSV)
    assert after[..., 2] == pytest.approx(before[..., 2] + 0.2, abs=1e-5)
    assert after[..., :2] == pytest.approx(before[..., :2], abs=2e-3)
    assert BrightnessC(amount=0.2)(np.zeros((2, 2, 3), np.uint8), seed=0) == pytest.approx(51)


def test_saturate_scales_saturation():
    image = photo(20, 20).astype(np.float32) / 255
    out = SaturateC(factor=0.3, offset=0)(image, seed=0)
    before, after = cv2.cvtColor(image, cv2.COLOR_RGB2HSV), cv2.cvtColor(out, cv2.COLOR_RGB2HSV)
    assert after[..., 1] == pytest.approx(0.3 * before[..., 1], abs=1e-4)
    assert after[..., 2] == pytest.approx(before[..., 2], abs=1e-5)
    red = SaturateC(severity=5)(grey(100, (2, 2, 3)), seed=0)
    assert np.array_equal(red[0, 0], (100, 80, 80)), "grey has saturation 0 + 0.2 and the hue of red"


def test_contrast_keeps_the_mean_and_scales_the_deviation():
    image = photo(50, 50).astype(np.float32) / 255
    out = ContrastC(severity=3)(image, seed=0)
    assert out.mean((0, 1)) == pytest.approx(image.mean((0, 1)), abs=1e-4)
    assert out.std((0, 1)) == pytest.approx(0.2 * image.std((0, 1)), rel=1e-3)


def test_pixelate_has_the_means_of_whole_pixels():
    ramp = np.arange(10, dtype=np.float32).reshape(1, 10, 1).repeat(3, 2)
    # 4 cells of 2.5 pixels: centres 0-1 (2.5 rounds to 3), 3-4, 5-7, 8-9
    assert box_mean(ramp, 4, 1)[0, :, 0] == pytest.approx([1.0, 3.5, 6.0, 8.5])
    image = photo(64, 64)
    out = PixelateC(severity=2)(image, seed=0)
    blocks = image.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(out[::2, ::2].astype(float) - blocks).max() <= 1
    assert np.array_equal(out[::2], out[1::2]) and np.array_equal(out[:, ::2], out[:, 1::2])


def test_jpeg_is_opencv_with_the_right_channel_order():
    image = photo(48, 48)
    code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    assert np.array_equal(JpegC(severity=3)(image, seed=0), cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])


def test_elastic_moves_pixels_by_the_published_amount_and_boxes_follow():
    effect = ElasticTransformC(severity=3)
    assert effect.moves_pixels
    size = 200
    field = effect.sampling_map((size, size), generator(3))
    rows, columns = np.mgrid[:size, :size]
    shift = np.stack([field[..., 0] - columns, field[..., 1] - rows])
    # uniform in +-1 px (deviation 1 / sqrt 3), blurred by sigma 2 (deviation / (2 sigma sqrt pi)), times alpha
    expected = 1 / np.sqrt(3) / (2 * 2 * np.sqrt(np.pi)) * 21.25
    assert shift.std() == pytest.approx(expected, rel=0.06)
    marked = np.zeros((size, size), np.uint8)
    marked[60:90, 100:140] = 1
    moved = effect.warp_map(marked, seed=7)
    ys, xs = np.nonzero(moved)
    box = effect.warp_boxes(np.array([[100, 60, 140, 90]]), (size, size), seed=7)[0]
    assert box == pytest.approx([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], abs=1.5)
    shown = effect(np.repeat(marked[..., None] * 255, 3, 2), seed=7)[..., 0] > 127
    assert (shown != (moved > 0)).mean() < 0.004, "picture and labels move alike"


# ---- weather -------------------------------------------------------------------------------------------------


def test_plasma_is_a_fractal_from_zero_to_one():
    rough = [np.abs(np.diff(plasma(128, decay, generator(5)), axis=1)).mean() for decay in (1.2, 1.7, 3.0)]
    assert rough[0] > rough[1] > rough[2]
    field = plasma(64, 2.0, generator(0))
    assert field.min() == 0 and field.max() == 1 and field.dtype == np.float32
    seam = np.abs(field[:, 0] - field[:, -1]).mean()
    assert seam < 3 * np.abs(np.diff(field, axis=1)).mean(), "it closes on itself"
    with pytest.raises(ValueError, match="power of two, got 12"):
        plasma(12, 2.0, generator(0))


def test_fog_never_exceeds_the_brightest_and_obeys_its_formula():
    image = grey(200)
    out = FogC(severity=1)(image.astype(np.float32) / 255, seed=0)
    top = 200 / 255
    fog = plasma(128, 2.0, FogC(severity=1)._generator(0))[:96, :96]
    assert out[..., 0] == pytest.approx((top + 1.5 * fog) * top / (top + 1.5), abs=1e-5)
    means = [plasma(64, 1.7, generator(s)).mean() for s in range(40)]
    assert np.mean(means) == pytest.approx(0.5, abs=0.05), "as much fog as gaps"


def test_frost_sheets_have_the_moments_of_the_published_photos():
    for number, (_, mean, deviation) in enumerate(frost.SHEETS):
        ice = frost.sheet(number)
        assert ice.shape == (frost.SIDE, frost.SIDE, 3) and 0 <= ice.min() <= ice.max() <= 1
        assert ice.mean((0, 1)) == pytest.approx(mean, abs=0.01)
        assert ice.std((0, 1)) == pytest.approx(deviation, abs=0.012)
        assert np.abs(np.diff(ice, axis=1)).mean() > 0.01, "ice has texture"
    large = FrostC(severity=2)(grey(80, (20, frost.SIDE + 40, 3)), seed=1)
    assert large.shape == (20, frost.SIDE + 40, 3) and large.std() > 3


def test_snow_whitens_and_flakes_come_in_a_rotated_pair():
    black = np.zeros((64, 64, 3), np.float32)
    out = SnowC(severity=5, mix=1.0)(black, seed=2)
    assert out.mean() > 0.05 and np.abs(out - out[::-1, ::-1]).max() < 1e-6
    dry = SnowC(severity=1, deviation=0.0, mix=0.5)(black, seed=2)
    assert dry == pytest.approx(0.25), "half of max(0, 1.5 * 0 + 0.5)"


def test_spatter_water_is_turquoise_and_mud_is_brown():
    image = grey(100)
    water, mud = SpatterC(severity=3)(image, seed=0), SpatterC(severity=5)(image, seed=0)
    wet = (water != 100).any(2)
    assert 0.05 < wet.mean() < 0.9
    assert water[wet].mean(0)[0] < water[wet].mean(0)[1] == pytest.approx(water[wet].mean(0)[2], abs=1)
    covered = (mud.astype(int) - (63, 42, 20)).sum(2) < 60
    assert 0.05 < covered.mean() < 0.6
    assert np.array_equal(SpatterC(severity=1, deviation=0.0)(image, seed=0), image), "no drops, no change"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianNoiseC(sigma=-1), "sigma must be >= 0, got -1"),
        (lambda: ShotNoiseC(photons=0), "got 0"),
        (lambda: ImpulseNoiseC(amount=2), r"amount must lie in \[0, 1\], got 2"),
        (lambda: DefocusBlurC(radius=0), "radius must lie in"),
        (lambda: GlassBlurC(distance=1.5), "whole number of pixels >= 1, got 1.5"),
        (lambda: MotionBlurC(radius=0), r"1\.\.200, got 0"),
        (lambda: ZoomBlurC(largest=1), "got 1"),
        (lambda: FogC(decay=0.5), "decay must lie in"),
        (lambda: SnowC(zoom=0.5), "zoom must lie in"),
        (lambda: SpatterC(mud=2), "mud must be 0"),
        (lambda: PixelateC(scale=0), r"\(0, 1\], got 0"),
        (lambda: JpegC(quality=101), r"1\.\.100, got 101"),
        (lambda: corruption("fog", 6), "severity must be one of"),
        (lambda: AtShortSide(effects=(Identity(),), short_side=0), "short_side"),
        (lambda: CorruptionMixture(("hail",)), "unknown corruptions"),
        (lambda: CorruptionMixture(()), "names is empty"),
        (lambda: CorruptionMixture(severity=0), "severity must be"),
        (lambda: CorruptionMixture(severity_shares=(1, 2)), "five numbers"),
        (lambda: CorruptionMixture(short_side=(9, 3)), "smallest <= largest"),
    ],
)
def test_bad_parameters_are_refused_with_their_numbers(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# ---- the sampler ---------------------------------------------------------------------------------------------


def test_sampler_has_the_shares_of_the_paper():
    mixture = CorruptionMixture()
    draws_ = [mixture.draw(seed) for seed in range(4000)]
    names = Counter(type(d.effects[0]).__name__ for d in draws_)
    expected = {CORRUPTIONS[name].__name__ for name in SUBSETS["common"]} | {"Identity"}
    assert set(names) == expected and len(names) == 16
    assert all(180 < count < 330 for count in names.values()), names
    levels = Counter(d.effects[0].severity for d in draws_ if not isinstance(d.effects[0], Identity))
    total = sum(levels.values())
    for severity, share in enumerate(SEVERITY_SHARES, 1):
        assert levels[severity] / total == pytest.approx(share, abs=0.025)
    sides = [d.short_side for d in draws_]
    assert min(sides) == 128 or min(sides) == 129
    assert 509 <= max(sides) <= 511 and np.mean(sides) == pytest.approx(319.5, abs=8)


def test_sampler_draws_replay_and_switches_work():
    image = photo(140, 150)
    mixture = CorruptionMixture(short_side=(64, 96))
    for seed in range(12):
        effect = mixture.draw(seed)
        assert effect == CorruptionMixture(short_side=(64, 96)).draw(seed)
        again, number = from_manifest(json.loads(json.dumps(effect.to_manifest(seed))))
        out = effect(image, seed=seed)
        assert out.shape == image.shape and np.array_equal(out, again(image, seed=number))
    fixed = CorruptionMixture(SUBSETS["noise"], severity=4, short_side=None)
    assert {type(fixed.draw(s)) for s in range(60)} == {GaussianNoiseC, ShotNoiseC, ImpulseNoiseC}
    assert {fixed.draw(s).severity for s in range(9)} == {4}
    assert isinstance(CorruptionMixture(("clean",), short_side=None).draw(0), Identity)
    assert "16 names" in repr(CorruptionMixture())


def test_short_side_loses_detail_and_moves_boxes_with_the_photo():
    image = photo(120, 160)
    soft = AtShortSide(effects=(Identity(),), short_side=30)(image, seed=0)
    same = AtShortSide(effects=(Identity(),), short_side=120)(image, seed=0)
    assert np.array_equal(same, image) and psnr(image, soft) < 35
    assert AtShortSide(effects=(Identity(),), short_side=300)(photo(1, 1), seed=0).shape == (1, 1, 3)
    elastic = AtShortSide(effects=(ElasticTransformC(severity=5),), short_side=60)
    field = elastic.sampling_map((120, 160), generator(0))
    shift = field - np.stack(np.meshgrid(np.arange(160), np.arange(120)), -1)
    assert field.shape == (120, 160, 2) and 2 < shift.std() < 6
