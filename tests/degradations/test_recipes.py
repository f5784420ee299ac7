"""The recipe language: what it draws, with which shares, and what it refuses."""

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest

from unirestore.degradations import (
    RECIPES,
    AtScale,
    Compose,
    GaussianNoise,
    Haze,
    Identity,
    JpegCompression,
    KernelBlur,
    Rain,
    SensorNoise,
    WeatherMixture,
    from_manifest,
    load_recipe,
    recipe_book,
)
from unirestore.degradations.kernel_blur import sinc_kernel


def photo(height=60, width=80, seed=0):
    rng = np.random.default_rng(seed)
    image = np.kron(rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3)), np.ones((4, 4, 1)))
    return image[:height, :width].astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


@pytest.mark.parametrize("name", [*sorted(RECIPES), "corruptions", "haze", "Haze:4", "JpegCompression"])
def test_named_recipes_draw_concrete_replayable_degradations(name):
    recipe, image = load_recipe(name), photo()
    for seed in range(8):
        effect = recipe.draw(seed)
        assert effect == load_recipe(name).draw(seed)
        out = effect(image, seed=seed)
        assert out.shape == image.shape and out.dtype == np.uint8
        again, same = from_manifest(json.loads(json.dumps(effect.to_manifest(seed))))
        assert again == effect and np.array_equal(again(image, seed=same), out)
    assert len({json.dumps(recipe.draw(seed).parameters()) for seed in range(8)}) > 4


@pytest.mark.parametrize("name", sorted(RECIPES))
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (33, 47)])
def test_named_recipes_take_any_size(name, size):
    for seed in range(6):
        assert load_recipe(name).draw(seed)(photo(*size), seed=seed).shape == (*size, 3)


def test_weights_and_probabilities_are_followed():
    recipe = load_recipe(
        {"one_of": [{"effect": "Haze"}, {"effect": "Rain", "probability": 0.5}], "weights": [1, 3]}
    )
    drawn = [type(recipe.draw(seed)) for seed in range(600)]
    for kind, share in ((Haze, 0.25), (Rain, 0.375), (Identity, 0.375)):
        assert abs(drawn.count(kind) / 600 - share) < 0.07, (kind, drawn.count(kind))


def test_everything_follows_the_severity_shares():
    recipe = load_recipe("everything")
    levels = [recipe.draw(seed).severity for seed in range(800)]
    shares = [levels.count(level) / 800 for level in range(1, 6)]
    assert np.allclose(shares, (0.05, 0.25, 0.40, 0.25, 0.05), atol=0.05), shares


def test_drawn_numbers_stay_in_their_ranges():
    spec = {
        "effect": "SensorNoise",
        "params": {
            "shot": {"log_uniform": [0.001, 0.1]},
            "read": {"uniform": [0.1, 0.2]},
            "colour": {"choice": [0.0, 1.0], "weights": [1, 3]},
            "grain": 0.25,
        },
    }
    drawn = [load_recipe(spec).draw(seed) for seed in range(300)]
    shots = np.array([noise.shot for noise in drawn])
    assert shots.min() >= 0.001 and shots.max() <= 0.1 and 0.4 < (shots < 0.01).mean() < 0.6
    assert all(0.1 <= noise.read <= 0.2 and noise.grain == 0.25 for noise in drawn)
    assert 0.65 < np.mean([noise.colour for noise in drawn]) < 0.85
    spec = {"effect": "JpegCompression", "params": {"quality": {"integer": [3, 5]}}}
    assert {load_recipe(spec).draw(seed).quality for seed in range(60)} == {3, 4, 5}


def test_severity_reaches_effects_that_name_none_and_ranges_are_inclusive():
    chain = {"chain": [{"effect": "Haze"}, {"effect": "SensorNoise", "severity": 1}, {"mixture": "rain"}]}
    haze, noise, weather = load_recipe(chain, severity=5).draw(0).effects
    assert haze.severity == 5 and noise.severity == 1 and weather.effects[0].severity == 5
    levels = {load_recipe({"effect": "Haze", "severity": [2, 4]}).draw(seed).severity for seed in range(60)}
    assert levels == {2, 3, 4}
    assert load_recipe({"effect": "Haze", "severity": 2, "params": {"lamps": 0.5}}).draw(3).lamps == 0.5


def test_a_change_in_one_node_leaves_its_siblings_as_they_were():
    one = load_recipe({"chain": [{"effect": "SensorNoise"}, {"effect": "Haze"}]}).draw(4)
    other = load_recipe({"chain": [{"effect": "Rain", "severity": 2}, {"effect": "Haze"}]}).draw(4)
    assert one.effects[1] == other.effects[1]


def test_recipes_come_from_files_effects_and_mixtures(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"effect": "JpegCompression", "params": {"quality": 30}}')
    assert load_recipe(str(path)).draw(1) == JpegCompression(quality=30) and load_recipe(path).name == "mine"
    fixed = load_recipe(Haze(severity=2))
    assert fixed.draw(1) == fixed.draw(2) == Haze(severity=2) and "Haze" in repr(fixed)
    mixture = WeatherMixture("haze")
    assert load_recipe(mixture) is mixture
    assert load_recipe("Haze:4").draw(1).severity == 4 and "Haze:4" in repr(load_recipe("Haze:4"))
    path.write_text("{")
    with pytest.raises(ValueError, match=r"mine\.json: not JSON"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("hail", "no recipe 'hail'; recipes: .*web.*; mixtures: .*haze.*; effects: .*Rain"),
        ("Haze:9", "must be one of 1..5"),
        ("absent.json", "no recipe file"),
        ({}, "exactly one of"),
        ({"effect": "Haze", "chain": []}, "exactly one of"),
        ({"effect": "Hail"}, "unknown effect 'Hail'"),
        ({"effect": "Haze", "level": 3}, "unknown keys .*level"),
        ({"effect": "Haze", "severity": 7}, "severity must be 1..5"),
        ({"effect": "Haze", "params": {"fog": 1}}, "no parameter .*fog"),
        ({"effect": "Haze", "params": {"blur": {"uniform": [2, 1]}}}, r"recipe.blur: uniform needs"),
        ({"effect": "Haze", "params": {"blur": {"log_uniform": [0, 1]}}}, "log_uniform above 0"),
        ({"effect": "Haze", "params": {"blur": {"normal": [0, 1]}}}, "exactly one of"),
        ({"effect": "Haze", "params": {"blur": {"choice": []}}}, "choice is empty"),
        ({"effect": "Haze", "probability": 2}, r"probability must lie in \[0, 1\], got 2"),
        ({"chain": []}, "chain is empty"),
        ({"chain": [{"one_of": [{"effect": "Haze"}], "weights": [1, 2]}]}, r"chain\[0\]: 1 choices"),
        ({"mixture": "sleet"}, "unknown mixture 'sleet'"),
        ({"recipe": "soup"}, "unknown recipe 'soup'"),
        ({"at_scale": {"uniform": [1]}, "chain": [{"effect": "Haze"}]}, "at_scale: uniform needs"),
        (["Haze"], "no recipe"),
        ({"recipe": ["web"]}, r"recipe: unknown recipe \['web'\]"),
        ({"effect": ["Haze"]}, r"unknown effect \['Haze'\]"),
        ({"mixture": {}}, "unknown mixture {}"),
        ({"mixture": "haze", "clean": "a"}, "recipe: "),
        ({"effect": "Haze", "severity": [4, 2]}, "severity must be 1..5"),
        ({"effect": "Haze", "params": None}, "recipe: params must be a mapping"),
        ({"effect": "Haze", "params": {"blur": {"uniform": 3}}}, "recipe.blur: uniform needs"),
        ({"effect": "Haze", "params": {"blur": {"uniform": ["a", "b"]}}}, "recipe.blur: uniform needs"),
        ({"effect": "Haze", "params": {"blur": {"choice": 3}}}, "recipe.blur: choice must be a list"),
        ({"effect": "Haze", "params": {"blur": {"choice": [1], "weights": "a"}}}, "recipe.blur: 1 choices"),
        ({"chain": [{"one_of": [{"effect": "Haze"}], "weights": ["a"]}]}, r"chain\[0\]: 1 choices"),
        ({"one_of": [{"effect": "Haze"}], "weights": 1}, "recipe: 1 choices"),
        ({"at_scale": [1], "chain": [{"effect": "Haze"}]}, "recipe.at_scale: must be a number"),
    ],
)
def test_bad_recipes_are_refused(spec, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load_recipe(spec)
    with pytest.raises(ValueError, match="severity"):
        load_recipe(Haze(), severity=2)


def test_params_of_the_wrong_type_are_told_at_the_draw():
    with pytest.raises(ValueError, match=r"Haze: params .*'visibility': 'far'.* do not fit"):
        load_recipe({"effect": "Haze", "params": {"visibility": "far"}}).draw(0)


def test_at_scale_runs_its_effects_on_the_smaller_picture():
    image = cv2.GaussianBlur(photo(), (0, 0), 2)
    half = AtScale(effects=(Identity(),), scale=0.5)
    small = cv2.resize(image.astype(np.float32) / 255, (40, 30), interpolation=cv2.INTER_AREA)
    expected = np.clip(cv2.resize(small, (80, 60), interpolation=cv2.INTER_CUBIC), 0, 1)
    assert np.array_equal(half(image, seed=0), np.rint(expected * 255).astype(np.uint8))
    # 8-pixel blocks of a JPEG at a quarter of the size are 32 pixels wide
    blocky = AtScale(effects=(JpegCompression(quality=1),), scale=0.25, up="nearest")(image, seed=0)
    assert np.array_equal(blocky[:4, :4], np.broadcast_to(blocky[0, 0], (4, 4, 3)))
    assert psnr(image, AtScale(effects=(Identity(),), scale=0.2)(image, seed=0)) < psnr(
        image, half(image, seed=0)
    )
    for bad in ({"scale": 0}, {"down": "magic"}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            AtScale(effects=(Identity(),), **bad)


def test_haze_at_half_size_meets_the_depth_at_half_size():
    image = np.full((60, 80, 3), 40, np.uint8)
    depth = np.full((60, 80), 10.0, np.float32)
    depth[:, 40:] = 400.0
    effect = AtScale(effects=(Haze(severity=4, unevenness=0.0, vignette=0.0),), scale=0.5)
    out = effect(image, seed=1, depth=depth).mean(axis=(0, 2))
    assert out[60] > out[20] + 40


def test_kernels_sum_to_one_and_have_the_asked_moments():
    even = KernelBlur(sigma=2.0).kernel()
    x = np.arange(even.shape[0]) - even.shape[0] // 2
    assert abs(even.sum() - 1) < 1e-5 and abs((even.sum(0) * x**2).sum() - 4.0) < 0.1
    turned = KernelBlur(sigma=3.0, ratio=0.4, angle=90.0, size=41).kernel()
    x = np.arange(41) - 20
    assert abs((turned.sum(1) * x**2).sum() - 9.0) < 0.1  # the first axis points down now
    assert abs((turned.sum(0) * x**2).sum() - 1.44) < 0.1
    for kind in ("generalized", "plateau", "sinc"):
        kernel = KernelBlur(kind=kind, beta=2.0).kernel()
        assert abs(kernel.sum() - 1) < 1e-5 and np.allclose(kernel, kernel.T, atol=1e-7)
    flat = KernelBlur(kind="plateau", sigma=3.0, beta=4.0, size=21).kernel()
    assert flat[10, 10] / flat[10, 11] < 1.001 < even[6, 6] / even[6, 7]
    assert KernelBlur(kind="sinc").kernel().min() < 0, "an ideal low-pass rings"


def test_sinc_kernel_is_the_bessel_formula():
    special = pytest.importorskip("scipy.special")
    radius = np.linspace(0.1, 28, 200)
    for cutoff in (0.8, 2.0, 3.1):
        expected = cutoff * special.j1(cutoff * radius) / (2 * np.pi * radius)
        assert np.abs(sinc_kernel(radius, cutoff) - expected).max() < 1e-12
    assert np.isclose(sinc_kernel(np.zeros(1), 2.0)[0], 1 / np.pi)


@pytest.mark.parametrize("source", ["synthetic", "kodak"])
def test_kernel_blur_is_monotone_in_severity(source, request):
    if source == "kodak":
        folder = request.getfixturevalue("shared") / "data" / "kodak24"
        photos = [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))[:6]]
        photos = [cv2.resize(image, (192, 128), interpolation=cv2.INTER_AREA) for image in photos]
    else:
        photos = [photo(seed=seed) for seed in range(4)]
    means = [
        np.mean([psnr(image, KernelBlur(severity=level)(image, seed=0)) for image in photos])
        for level in range(1, 6)
    ]
    assert all(a > b for a, b in pairwise(means)), means


def test_nine_draws_each_task_alike_and_everything_knows_every_effect():
    nine, everything = load_recipe("nine"), load_recipe("everything")
    draws = [nine.draw(seed) for seed in range(450)]
    first = [type(draw.effects[0] if isinstance(draw, Compose) else draw).__name__ for draw in draws]
    groups = {"Blur": 0, "Noise": 0}
    for name in first:
        group = next((group for group in ("Blur", "Noise") if name.endswith(group)), name)
        groups[group] = groups.get(group, 0) + 1
    assert len(groups) == 9 and min(groups.values()) > 25 and max(groups.values()) < 80, groups
    drawn = {type(everything.draw(seed)).__name__ for seed in range(1500)}
    assert drawn == set(recipe_book.with_severities()) and {"Haze", "Compression", "Flare"} <= drawn


def test_web_is_gentler_than_second_order():
    image = cv2.GaussianBlur(photo(), (0, 0), 1.5)
    web, second = (
        np.mean([psnr(image, load_recipe(name).draw(seed)(image, seed=seed)) for seed in range(30)])
        for name in ("web", "second_order")
    )
    assert web > second + 3, (web, second)
    kinds = [type(effect) for effect in _leaves(load_recipe("second_order").draw(0))]
    assert kinds.count(JpegCompression) == 2 and KernelBlur in kinds
    assert not {Haze, Rain, SensorNoise} & set(kinds)
    deviations = [
        effect.sigma
        for seed in range(80)
        for effect in _leaves(load_recipe("second_order").draw(seed))
        if isinstance(effect, GaussianNoise)
    ]
    assert deviations and min(deviations) >= 1 / 255 and max(deviations) <= 30 / 255


def _leaves(effect):
    if isinstance(effect, (Compose, AtScale)):
        return [leaf for child in effect.effects for leaf in _leaves(child)]
    return [effect]
