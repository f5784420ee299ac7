"""The recipe `realrestorer`: every published number, over many draws."""

import dataclasses
import math

import numpy as np
import pytest

from unirestore.degradations import REGISTRY, AtScale, Compose, load_recipe
from unirestore.degradations.base import Scene
from unirestore.degradations.rain import LAYERS
from unirestore.degradations.realrestorer import TASKS, RealRestorer


def drawn(task, count=400):
    return [RealRestorer((task,)).draw(seed) for seed in range(count)]


def inside(values, low, high):
    """All in [low, high], and spread over most of it."""
    values = list(values)
    assert low <= min(values) and max(values) <= high
    assert max(values) - min(values) > 0.85 * (high - low)


def test_blur():
    made = drawn("blur")
    kernels = [effect.effects[0] for effect in made]
    inside((kernel.size for kernel in kernels), 7, 21)
    sinc = [kernel for kernel in kernels if kernel.kind == "sinc"]
    assert 0.42 < len(sinc) / 400 < 0.58
    inside((kernel.cutoff for kernel in sinc), math.pi / 4, math.pi)
    inside((kernel.sigma for kernel in kernels if kernel.kind == "gaussian"), 0.5, 6)
    scaled = [effect.effects[1] for effect in made]
    inside((1 / effect.scale for effect in scaled), 2, 4)
    assert {effect.down for effect in scaled} == {"area", "bilinear", "bicubic"}
    assert {effect.up for effect in scaled} == {"bicubic"}
    gaussian = [s.effects[0] for s in scaled if type(s.effects[0]).__name__ == "GaussianNoise"]
    assert 0.68 < len(gaussian) / 400 < 0.82
    inside((255 * effect.sigma for effect in gaussian), 1, 25)
    poisson = [s.effects[0] for s in scaled if s.effects[0] not in gaussian]
    inside((math.sqrt(256 / effect.photons) for effect in poisson), 0.05, 2.5)
    inside((effect.effects[1].quality for effect in scaled), 20, 80)
    second = [effect.effects for effect in scaled if len(effect.effects) > 2]
    assert 0.62 < len(second) / 400 < 0.78
    inside((effects[2].size for effects in second), 7, 13)
    inside((effects[2].sigma for effects in second), 0.5, 5)
    assert all(3 <= 1 / (s.scale * s.effects[3].scale) <= 5.001 for s in scaled if len(s.effects) > 2)


def test_haze_is_the_published_scattering():
    made = drawn("haze")
    by_depth = [effect for effect in made if effect.visibility < 1e5]
    inside((391.2 / effect.visibility for effect in by_depth), 0.6, 1.8)
    inside((effect.depth_gamma for effect in by_depth), 1, 2)
    assert 0.74 < len(by_depth) / 400 < 0.86
    textured = [effect for effect in made if effect.smoke]
    assert all(effect.smoke for effect in made if effect.visibility >= 1e5), "at least one of the two"
    inside((1 - math.exp(-effect.veil) for effect in textured), 0.25, 0.6)
    for effect in by_depth:
        level = np.interp(391.2 / effect.visibility, (0.3, 3), (0.78, 0.95))
        assert abs(effect.airlight[0] - level) < 0.05 and effect.airlight[2] >= effect.airlight[0]
    only = next(effect for effect in by_depth if not effect.smoke)
    depth = np.tile(np.linspace(0.1, 1, 32, dtype=np.float32), (32, 1))
    photo = np.full((32, 32, 3), 0.5, np.float32)
    scene = Scene((32, 32), 1, 80 * depth, None, None, photo)
    left = only.render(photo, np.random.default_rng(1), scene).transmission
    expected = np.exp(-391.2 / only.visibility * depth**only.depth_gamma)
    assert np.abs(left[:, 4:-4, 0] - expected[:, 4:-4]).max() < 0.01


def test_noise():
    made = drawn("noise")
    parts = [[part for part in effect.effects if not isinstance(part, AtScale)] for effect in made]
    assert {len(part) for part in parts} == {2, 3, 4}
    kinds = {name: [p for part in parts for p in part if type(p).__name__ == name] for name in
             ("GaussianNoise", "ImpulseNoiseC", "PoissonNoise", "GranularNoise")}  # fmt: skip
    assert min(map(len, kinds.values())) > 200
    inside((effect.sigma**2 for effect in kinds["GaussianNoise"]), 0.005, 0.1)
    inside((effect.amount for effect in kinds["ImpulseNoiseC"]), 0.005, 0.05)
    inside((effect.sigma * 255 / 8 for effect in kinds["GranularNoise"]), 0.6, 2.4)
    assert {effect.chroma for effect in kinds["GranularNoise"]} == {0.35}
    tails = [effect.effects[-1] for effect in made if isinstance(effect.effects[-1], AtScale)]
    assert 0.42 < len(tails) / 400 < 0.58
    assert not any(type(part).__name__ == "GaussianNoise" for tail in tails for part in tail.effects)


def test_web_and_its_scale_for_small_photos():
    made = drawn("sr")
    inside((effect.scale for effect in made), 0.5, 0.9)
    inside((effect.small_scale for effect in made), 0.8, 1.0)
    parts = [part for effect in made for part in effect.effects]
    kernels = [part for part in parts if type(part).__name__ == "KernelBlur"]
    assert 0.52 < len(kernels) / 400 < 0.68 and {kernel.size for kernel in kernels} == {3, 5}
    inside((kernel.sigma for kernel in kernels), 0.1, 1.2)
    noises = [part for part in parts if type(part).__name__ == "GaussianNoise"]
    assert 0.42 < len(noises) / 400 < 0.58
    inside((255 * noise.sigma for noise in noises), 1, 10)
    quality = [part.quality for part in parts if type(part).__name__ == "JpegCompression"]
    inside(quality, 40, 95)
    assert 0.14 < np.mean([value < 60 for value in quality]) < 0.26
    assert made[0]._shape((511, 800)) == (round(511 * made[0].small_scale), round(800 * made[0].small_scale))
    assert made[0]._shape((512, 800)) == (round(512 * made[0].scale), round(800 * made[0].scale))


def test_reflection():
    made = drawn("reflection")
    assert {effect.kind for effect in made} == {"focused", "defocused", "ghosting"}
    inside((effect.defocus for effect in made), 5, 10)
    inside((effect.shift for effect in made), 0.05, 0.1)
    inside((effect.attenuation for effect in made), 0.5, 1)


def test_rain():
    made = drawn("rain")
    rains = [effect.effects[0] if isinstance(effect, Compose) else effect for effect in made]
    assert {type(rain).__name__ for rain in rains} == {"Rain"}
    area = (1024 / 320) ** 2  # streaks are counted on 320 x 320 pixels, theirs taken as on 1024 x 1024
    inside((rain.streaks * area for rain in rains), 8000, 15000)
    inside((90 - rain.streak_angle for rain in rains), 75, 105)
    inside((rain.splashes for rain in rains), 0.02, 0.07)
    inside((1.6 * rain.streak_strength for rain in rains), 0.7, 0.95)
    assert all(rain.spray == rain.wetness == rain.lens == rain.drops == rain.flatness == 0 for rain in rains)
    lengths = [
        rain.streak_length * (1024 / 320) * (14 / distance) ** 0.5 * spread
        for rain in rains
        for distance, _, _ in LAYERS
        for spread in (0.6, 1.4)
    ]
    inside(lengths, 5, 50)
    textured = [effect.effects[1] for effect in made if isinstance(effect, Compose)]
    assert 0.42 < len(textured) / 400 < 0.58
    inside((1.6 * texture.streak_strength for texture in textured), 0.25, 0.6)


def test_rain_adds_streaks_and_leaves_the_air_clear():
    """No veil of ours: a photo without streaks comes back as it was, with them it is brighter, sky included."""
    rng = np.random.default_rng(2)
    photo = np.clip(rng.normal(70, 12, (128, 128, 3)), 0, 255).astype(np.uint8)
    photo[:50] = (190, 200, 215)  # a sky
    rain = next(e for e in drawn("rain", 20) if not isinstance(e, Compose))
    dry = dataclasses.replace(rain, streaks=0.0)(photo, seed=1)
    assert np.abs(dry.astype(int) - photo).max() <= 1
    wet = rain(photo, seed=1).astype(int) - photo
    assert wet[60:].mean() > 3
    assert (
        dataclasses.replace(rain, splashes=0.0)(photo, seed=1)[60:].mean() < rain(photo, seed=1)[60:].mean()
    )


def test_every_task_runs_and_replays():
    photo = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    for task in TASKS:
        effect = RealRestorer((task,)).draw(3)
        entry = effect.to_manifest(3)
        again = REGISTRY[entry["type"]].from_parameters(entry["params"])
        assert isinstance(again, type(effect)) and np.array_equal(again(photo, seed=3), effect(photo, seed=3))
    seen = {type(load_recipe("realrestorer").draw(seed)) for seed in range(60)}
    assert Compose in seen and len(seen) >= 5
    with pytest.raises(ValueError, match="its ranges are the published ones"):
        load_recipe("realrestorer", severity=3)
    with pytest.raises(ValueError, match="tasks must be of"):
        RealRestorer(("hail",))
