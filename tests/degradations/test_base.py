"""Every degradation: types, shapes, determinism, manifest replay, severity, guards."""

import json
from itertools import pairwise

import numpy as np
import pytest

from unirestore.degradations import (
    MIXTURES,
    REGISTRY,
    SEVERITIES,
    Compose,
    Degradation,
    Haze,
    Identity,
    JpegCompression,
    Rain,
    RandomChoice,
    SensorNoise,
    WeatherMixture,
    build,
    from_manifest,
)

SEVERE = (Haze, Rain, SensorNoise, JpegCompression)
EFFECTS = [
    Identity(),
    Haze(severity=3, flatness=0.3, exposure=0.1),
    Rain(severity=4, drops=8, lens=0.3),
    SensorNoise(severity=2),
    JpegCompression(severity=3),
    Compose(
        effects=(Haze(severity=2), Rain(severity=1), SensorNoise(severity=1), JpegCompression(severity=1))
    ),
    RandomChoice(effects=(Haze(), Rain(), Identity()), weights=(1, 2, 0.5)),
]
NAMES = [type(effect).__name__ for effect in EFFECTS]


def photo(height=60, width=80, seed=0):
    """A street-like test picture: sky, road, bright and dark boxes, texture; uint8 RGB."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None, None]
    image = np.where(rows < 0.45, (150, 175, 205), (95, 92, 90)) + 0 * np.zeros((height, width, 3))
    for _ in range(6):
        y, x = rng.integers(0, max(1, height - 8)), rng.integers(0, max(1, width - 12))
        image[y : y + 8, x : x + 12] = rng.integers(0, 256, 3)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


@pytest.mark.parametrize("effect", EFFECTS, ids=NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (2, 3), (33, 47), (60, 80)])
def test_any_size_keeps_shape_and_dtype(effect, size):
    image = photo(*size)
    before = image.copy()
    out = effect(image, seed=1)
    assert out.shape == image.shape and out.dtype == np.uint8
    assert np.array_equal(image, before), "the input was written to"


@pytest.mark.parametrize("effect", EFFECTS, ids=NAMES)
def test_float_and_byte_photos_agree(effect):
    image = photo()
    as_bytes = effect(image, seed=5)
    as_float = effect(image.astype(np.float32) / 255, seed=5)
    assert as_float.dtype == np.float32 and as_float.min() >= 0 and as_float.max() <= 1
    assert np.abs(as_float * 255 - as_bytes).max() <= 0.51


@pytest.mark.parametrize("effect", EFFECTS, ids=NAMES)
def test_grey_photos_stay_grey(effect):
    grey = photo()[..., 0]
    assert effect(grey, seed=2).shape == grey.shape
    column = effect(grey[..., None], seed=2)
    assert column.shape == (*grey.shape, 1)
    assert np.array_equal(column[..., 0], effect(grey, seed=2))


@pytest.mark.parametrize("effect", EFFECTS, ids=NAMES)
def test_same_seed_same_bits_and_manifest_replays_them(effect):
    image = photo()
    first = effect(image, seed=11)
    assert np.array_equal(first, effect(image, seed=11))
    again, seed = from_manifest(json.loads(json.dumps(effect.to_manifest(11))))
    assert again == effect and seed == 11
    assert np.array_equal(first, again(image, seed=seed))


@pytest.mark.parametrize("effect", [e for e in EFFECTS if not isinstance(e, (Identity, JpegCompression))])
def test_another_seed_gives_another_picture(effect):
    image = photo()
    assert not np.array_equal(effect(image, seed=1), effect(image, seed=2))


@pytest.mark.parametrize("kind", SEVERE)
def test_severity_lowers_psnr_step_by_step(kind):
    means = []
    for severity in SEVERITIES:
        effect = kind(severity=severity)
        means.append(np.mean([psnr(photo(seed=s), effect(photo(seed=s), seed=s)) for s in range(6)]))
    assert all(a > b for a, b in pairwise(means)), means


@pytest.mark.parametrize("kind", SEVERE)
def test_sample_is_concrete_and_replays(kind):
    image = photo()
    for number in range(20):
        effect = kind.sample(np.random.default_rng(number))
        assert effect == kind.sample(np.random.default_rng(number))
        assert all(value is not None for name, value in effect.parameters().items() if name != "severity")
        again, seed = from_manifest(json.loads(json.dumps(effect.to_manifest(number))))
        assert np.array_equal(effect(image, seed=number), again(image, seed=seed))
    for severity in SEVERITIES:
        assert kind.sample(np.random.default_rng(0), severity).severity == severity


@pytest.mark.parametrize("name", sorted(MIXTURES))
def test_mixture_draws_are_seeded_and_replay(name):
    image, mixture = photo(), WeatherMixture(name)
    draws = [mixture.draw(seed) for seed in range(12)]
    assert draws == [WeatherMixture(name).draw(seed) for seed in range(12)]
    assert len({json.dumps(draw.parameters()) for draw in draws}) == 12
    for seed, draw in enumerate(draws):
        again, _ = from_manifest(json.loads(json.dumps(draw.to_manifest(seed))))
        assert np.array_equal(draw(image, seed=seed), again(image, seed=seed))


def test_mixture_shares_and_switches():
    kinds = [type(WeatherMixture("mixed", camera=False).draw(seed)) for seed in range(200)]
    assert 60 < kinds.count(Haze) < 160 and kinds.count(Haze) + kinds.count(Rain) == 200
    clean = [type(WeatherMixture("haze", clean=0.5, camera=False).draw(seed)) for seed in range(200)]
    assert 60 < clean.count(Identity) < 140
    cameras = [type(e).__name__ for e in WeatherMixture("rain").draw(0).effects]
    assert cameras == ["Rain", "SensorNoise", "JpegCompression"]
    assert WeatherMixture("haze", severity=4, camera=False).draw(1).severity == 4
    with pytest.raises(ValueError, match="unknown mixture 'sleet'"):
        WeatherMixture("sleet")
    with pytest.raises(ValueError, match=r"\[0, 1\], got 2"):
        WeatherMixture("haze", clean=2)
    assert "haze" in repr(WeatherMixture("haze"))


def test_compose_runs_in_order_and_siblings_keep_their_noise():
    image = photo()
    noisy = Compose(effects=(SensorNoise(severity=3), JpegCompression(quality=30)))
    turned = Compose(effects=(JpegCompression(quality=30), SensorNoise(severity=3)))
    assert not np.array_equal(noisy(image, seed=1), turned(image, seed=1))
    silent = SensorNoise(shot=0.0, read=0.0)  # draws randomness, adds nothing
    alone = Compose(effects=(Identity(), SensorNoise(severity=3)))(image, seed=4)
    assert np.array_equal(alone, Compose(effects=(silent, SensorNoise(severity=3)))(image, seed=4))


def test_random_choice_follows_its_weights():
    image = photo()
    never = RandomChoice(effects=(Identity(), Haze(severity=5)), weights=(1, 0))
    assert all(np.array_equal(never(image, seed=s), image) for s in range(10))
    even = RandomChoice(effects=(Identity(), Haze(severity=5)))
    same = sum(np.array_equal(even(image, seed=s), image) for s in range(60))
    assert 15 < same < 45


def test_torch_tensors_come_back_as_they_went():
    torch = pytest.importorskip("torch")
    image, effect = photo(), Haze(severity=3)
    expected = effect(image, seed=3)
    planes = effect(torch.from_numpy(image).permute(2, 0, 1), seed=3)
    assert planes.dtype == torch.uint8 and planes.shape == (3, 60, 80)
    assert np.array_equal(planes.permute(1, 2, 0).numpy(), expected)
    assert np.array_equal(effect(torch.from_numpy(image), seed=3).numpy(), expected)
    floats = effect(torch.from_numpy(image).permute(2, 0, 1).float() / 255, seed=3)
    assert (
        floats.dtype == torch.float32
        and np.abs(floats.permute(1, 2, 0).numpy() * 255 - expected).max() < 0.51
    )


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        ([[1, 2]], TypeError, "numpy array or a torch tensor, got list"),
        (np.zeros((4, 4, 3)), TypeError, "uint8 .* got float64"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"\(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "not empty"),
        (np.full((4, 4, 3), 200, np.float32), ValueError, "divide by 255"),
        (np.full((4, 4, 3), np.nan, np.float32), ValueError, r"\[0, 1\]"),
    ],
)
def test_bad_photos_are_refused(image, error, words):
    with pytest.raises(error, match=words):
        Haze()(image, seed=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"seed": 0.5}, "seed"),
        ({"seed": 0, "depth": np.ones((3, 3))}, r"depth is \(3, 3\), the photo is \(60, 80\)"),
        ({"seed": 0, "depth": np.full((60, 80), -1.0)}, "metres"),
        ({"seed": 0, "depth": np.full((60, 80), np.nan)}, "NaN"),
        ({"seed": 0, "label_map": np.zeros((3, 3), int), "class_names": ["sky"]}, "label_map is"),
        ({"seed": 0, "label_map": np.zeros((60, 80), int)}, "pass class_names"),
    ],
)
def test_bad_company_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Haze()(photo(), **arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Haze(severity=6), "severity must be one of .* got 6"),
        (lambda: Haze(visibility=0), "visibility must be above 0 metres, got 0"),
        (lambda: Haze(airlight=(1, 1)), "airlight"),
        (lambda: Haze(airlight=(1, 1, 2)), "airlight"),
        (lambda: Haze(flatness=2), "flatness must lie in"),
        (lambda: Haze(blur=-1), "blur must be >= 0, got -1"),
        (lambda: Rain(spray=-1), "spray must be >= 0, got -1"),
        (lambda: Rain(wetness=1.5), "wetness must lie in"),
        (lambda: Rain(streak_length=0), "streak_length"),
        (lambda: Rain(streak_angle=90), "80 degrees, got 90"),
        (lambda: SensorNoise(shot=-0.1), "shot must be >= 0"),
        (lambda: SensorNoise(colour=3), "colour"),
        (lambda: JpegCompression(quality=0), "1..100, got 0"),
        (lambda: JpegCompression(quality=50.5), "integer"),
        (lambda: Compose(effects=()), "at least one effect"),
        (lambda: Compose(effects=("haze",)), "Degradation objects"),
        (lambda: Compose(effects=(Identity(),), severity=2), "no severity of its own"),
        (lambda: RandomChoice(effects=(Identity(),), weights=(1, 2)), "2 weights for 1 effects"),
        (lambda: RandomChoice(effects=(Identity(),), weights=(0,)), "not all zero"),
        (lambda: from_manifest({"type": "Haze"}), "lacks .*params"),
        (lambda: build({"type": "Hail", "params": {}}), "unknown degradation 'Hail'; known"),
        (lambda: build({"type": "Haze", "params": {"depht": 1}}), "no parameter .*depht"),
    ],
)
def test_bad_configurations_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_configuration_is_keyword_only_and_frozen():
    with pytest.raises(TypeError):
        Haze(3)
    with pytest.raises(AttributeError):
        Haze(severity=3).visibility = 5


def test_registry_holds_every_effect_and_guards_names():
    expected = {"Identity", "Compose", "RandomChoice", "Haze", "Rain", "SensorNoise", "JpegCompression"}
    assert expected <= set(REGISTRY)
    with pytest.raises(ValueError, match="'Haze' exists already"):
        type("Haze", (Degradation,), {"apply": lambda self, image, rng, scene: image})
    with pytest.raises(NotImplementedError, match=r"Degradation has no apply"):
        Degradation()(photo(), seed=0)
