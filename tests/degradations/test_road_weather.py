"""Snow, dust, smoke, spray, puddles, drops, dusk, lamps, tone and the road mixtures against what they claim."""

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest

from unirestore.degradations import (
    MIXTURES,
    Dusk,
    Dust,
    HeadLamps,
    LensDrops,
    Puddles,
    Smoke,
    Snow,
    SprayTrails,
    Tone,
    WeatherMixture,
    from_manifest,
)
from unirestore.degradations.base import Scene
from unirestore.degradations.light import to_linear
from unirestore.degradations.noise_fields import generator
from unirestore.degradations.snow import flake_layers
from unirestore.degradations.surfaces import ground_distance, ground_mask, road_coordinates, tops

EFFECTS = [Snow, Dust, Smoke, SprayTrails, Puddles, LensDrops, Dusk, HeadLamps, Tone]
CLASSES = ("sky", "building", "road", "car")


def street(height=96, width=128, seed=0):
    """A photo-like street and its label map: sky, houses, road with a texture, one car."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    labels = np.zeros((height, width), np.uint8)
    image[:] = (0.62, 0.72, 0.85)
    top = int(0.2 * height)
    labels[top : height // 2] = 1
    image[top : height // 2] = rng.uniform(0.2, 0.7, (1, width // 8, 3)).repeat(8, axis=1)
    labels[height // 2 :] = 2
    image[height // 2 :] = 0.3 + 0.1 * rng.random((height - height // 2, width, 1))
    labels[int(0.5 * height) : int(0.7 * height), int(0.3 * width) : int(0.5 * width)] = 3
    image[labels == 3] = (0.5, 0.1, 0.1)
    image += rng.normal(0, 0.02, image.shape)
    return np.clip(image * 255, 0, 255).astype(np.uint8), labels


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize("cls", EFFECTS)
def test_severity_is_monotone(cls):
    photos = [street(seed=seed)[0] for seed in range(5)]
    levels = [
        np.mean([psnr(cls(severity=s)(p, seed=seed), p) for seed, p in enumerate(photos)])
        for s in range(1, 6)
    ]
    assert all(after < before for before, after in pairwise(levels)), levels


@pytest.mark.parametrize("cls", EFFECTS)
def test_replay_is_bit_equal_and_seeds_differ(cls):
    image, labels = street()
    effect = cls.sample(generator(3), None)
    # labels only where they leave something to do at random
    known = {} if cls in (SprayTrails, HeadLamps) else {"label_map": labels, "class_names": CLASSES}
    first = effect(image, seed=11, **known)
    again, seed = from_manifest(json.loads(json.dumps(effect.to_manifest(11))))
    assert np.array_equal(first, again(image, seed=seed, **known))
    assert again == effect
    if cls not in (Tone, Dusk):  # these two have nothing random
        assert not np.array_equal(first, effect(image, seed=12, **known))


@pytest.mark.parametrize("cls", EFFECTS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 37), (33, 2), (45, 61)])
def test_any_size_and_finite(cls, shape):
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    before = image.copy()
    for severity in (1, 5):
        out = cls(severity=severity)(image, seed=1)
        assert out.shape == image.shape and np.isfinite(out).all() and out.min() >= 0 and out.max() <= 1
    assert np.array_equal(image, before)


@pytest.mark.parametrize("cls", EFFECTS)
def test_random_parameters_are_valid_and_keep_the_severity(cls):
    for seed in range(60):
        effect = cls.sample(generator(seed), None if seed < 30 else 1 + seed % 5)
        assert effect.severity == (None if seed < 30 else 1 + seed % 5)
    assert len({str(cls.sample(generator(seed))) for seed in range(5)}) == 5


@pytest.mark.parametrize(
    ("cls", "wrong", "words"),
    [
        (Snow, {"cover": 1.2}, "cover must lie in .* 1.2"),
        (Snow, {"flakes": -1.0}, "flakes must be >= 0"),
        (Snow, {"size": 0.0}, "size must be above 0"),
        (Snow, {"visibility": 0.0}, "visibility must be above 0 metres"),
        (Dust, {"drift": -0.1}, "drift must be >= 0"),
        (Dust, {"filtering": 2.0}, "filtering must lie"),
        (Smoke, {"albedo": 1.5}, "albedo must lie"),
        (Smoke, {"spread": 0.0}, "spread must be above 0"),
        (SprayTrails, {"size": 0.0}, "size must be above 0"),
        (SprayTrails, {"share": 2.0}, "share must lie"),
        (Puddles, {"amount": 1.1}, "amount must lie"),
        (Puddles, {"scale": 0.0}, "scale must be above 0"),
        (LensDrops, {"drops": -1}, "drops must be an integer >= 0"),
        (LensDrops, {"fog": 1.1}, "fog must lie"),
        (Dusk, {"stops": -1.0}, "stops must be >= 0"),
        (Dusk, {"blue": 1.0}, "blue must lie"),
        (HeadLamps, {"reach": 0.0}, "reach must be above 0"),
        (HeadLamps, {"red": 1.5}, "red must lie"),
        (Tone, {"gamma": 0.0}, "gamma must be above 0"),
        (Tone, {"contrast": 0.7}, "contrast must lie"),
        (Tone, {"balance": -0.1}, "balance must lie"),
    ],
)
def test_refuses_wrong_parameters(cls, wrong, words):
    with pytest.raises(ValueError, match=words):
        cls(**wrong)


def test_snow_whitens_the_ground_but_not_the_wall():
    image, labels = street()
    calm = Snow(
        visibility=1e6, cover=0.9, tracks=0.0, flakes=0.0, flatness=0.0, scene_light=1.0, glow=0.0, blur=0.0
    )
    out = calm(image, seed=2, label_map=labels, class_names=CLASSES).astype(float)
    ground, wall = labels == 2, np.zeros_like(labels, bool)
    wall[24:44] = True  # houses, without their upper edge
    assert out[ground].mean() > image[ground].mean() + 60
    assert abs(out[wall].mean() - image[wall].mean()) < 12
    bare = Snow(**{**calm.parameters(), "cover": 0.0})(image, seed=2, label_map=labels, class_names=CLASSES)
    assert abs(bare[ground].mean() - image[ground].mean()) < 4


def test_wheel_tracks_are_darker_stripes_in_perspective():
    light = np.full((120, 160, 3), 0.1, np.float32)
    labels = np.full((120, 160), 2)
    scene = Scene((120, 160), 0, label_map=labels, class_names=CLASSES)
    share = Snow(cover=0.75, tracks=1.0).cover_field(light, scene, 0.4, generator(4))
    smooth = Snow(cover=0.75, tracks=0.0).cover_field(light, scene, 0.4, generator(4))
    assert share[100].min() < 0.4 < 0.6 < smooth[100].min()
    assert np.array_equal(share[:50], smooth[:50]) and share.max() <= 1


def test_flakes_number_size_and_limits():
    few = flake_layers((200, 200), Snow(flakes=40.0), 0.6, generator(0))
    many = flake_layers((200, 200), Snow(flakes=400.0), 0.6, generator(0))
    assert sum(layer.mean() for layer in many) > 4 * sum(layer.mean() for layer in few)
    assert all(layer.min() >= 0 and layer.max() <= 1 for layer in many)


def test_dust_far_away_is_its_colour_and_takes_blue_first():
    plain = {"gradient": 0.0, "vignette": 0.0, "unevenness": 0.0, "drift": 0.0, "blur": 0.0, "glow": 0.0}
    dust = Dust(visibility=100.0, airlight=(0.8, 0.6, 0.3), height_scale=1e9, flatness=0.0, **plain)
    image = np.full((40, 50, 3), 0.1, np.float32)
    far = dust(image, seed=0, depth=np.full((40, 50), np.inf, np.float32))
    assert far.mean((0, 1)) == pytest.approx((0.8, 0.6, 0.3), abs=0.04)
    # the light of the scene that is left after 30 m, with black air
    black = Dust(**{**dust.parameters(), "airlight": (0.0, 0.0, 0.0), "filtering": 0.0, "scene_light": 1.0})
    left = to_linear(
        black(np.full((40, 50, 3), 0.5, np.float32), seed=0, depth=np.full((40, 50), 30, np.float32))
    )
    red, green, blue = left.mean((0, 1)) / float(to_linear(np.float32(0.5)))
    tau = 3.912 * 30 / 100
    assert (red, green, blue) == pytest.approx(np.exp(-tau * np.array([0.92, 1.0, 1.18])), rel=0.03)


def test_things_before_a_plume_stay_clear():
    near = np.full((80, 104), 1.0, np.float32)
    smoke = Smoke(plumes=4, density=5.0, pall=0.0)
    image = street(80, 104)[0]
    assert np.array_equal(smoke(image, seed=3, depth=near), image)
    assert psnr(smoke(image, seed=3, depth=np.full((80, 104), 500.0, np.float32)), image) < 25


def test_black_smoke_darkens_and_steam_brightens():
    image = np.full((80, 100, 3), 128, np.uint8)
    depth = np.full((80, 100), 300.0, np.float32)
    black = Smoke(severity=5, albedo=0.05)(image, seed=1, depth=depth).astype(float)
    steam = Smoke(severity=5, albedo=1.0)(image, seed=1, depth=depth).astype(float)
    assert black.mean() < 100 and steam.mean() > black.mean() + 40


@pytest.mark.parametrize("cls", [SprayTrails, HeadLamps])
def test_labelled_scenes_without_vehicles_are_left_alone(cls):
    image, labels = street()
    labels[labels == 3] = 2
    assert np.array_equal(cls(severity=5)(image, seed=0, label_map=labels, class_names=CLASSES), image)


def test_spray_and_lamps_sit_at_the_vehicle():
    image, labels = street()
    rows, columns = np.nonzero(labels == 3)
    spray = SprayTrails(share=1.0, density=2.0, size=1.0, drops=0)
    change = np.abs(spray(image, seed=1, label_map=labels, class_names=CLASSES).astype(int) - image).sum(-1)
    row, column = np.unravel_index(np.argmax(cv2.blur(change.astype(np.float32), (7, 7))), change.shape)
    assert columns.min() - 12 <= column <= columns.max() + 12 and rows.min() <= row <= rows.max() + 8
    lamps = HeadLamps(share=1.0, power=9.0, halo=0.0, mirror=0.0, red=0.0, reach=1e6)
    lit = lamps(image, seed=0, label_map=labels, class_names=CLASSES).astype(int) - image
    where = np.argwhere(lit.sum(-1) > 100)
    assert len(where) and all(labels[r, c] == 3 for r, c in where)


def test_lamps_are_mirrored_by_a_wet_road_only():
    image, labels = street()
    company = {"label_map": labels, "class_names": CLASSES}
    rows = np.nonzero(labels == 3)[0]
    foot = rows.max() + 2
    plain = {"share": 1.0, "power": 9.0, "halo": 0.0, "red": 0.0, "reach": 1e6}
    dry = HeadLamps(**plain)(image, seed=0, **company)
    assert np.array_equal(dry[foot:], image[foot:]), "by default the road is dry"
    wet = HeadLamps(mirror=0.8, **plain)(image, seed=0, **company).astype(int)
    assert (wet[foot:] - image[foot:]).max() > 5
    labels[foot:] = 1  # no road there
    assert (
        np.abs(
            HeadLamps(mirror=0.8, **plain)(image, seed=0, **company)[foot + 3 :].astype(int)
            - image[foot + 3 :]
        ).max()
        <= 1
    )


def test_a_vehicle_is_seen_before_its_spray_and_what_is_nearer_hides_it():
    labels = street()[1]
    image = np.full((*labels.shape, 3), 60, np.uint8)
    company = {"label_map": labels, "class_names": CLASSES}
    spray = SprayTrails(share=1.0, density=3.0, size=1.6, drops=0)
    depth = np.full(labels.shape, 15.0, np.float32)
    change = np.mean(
        [
            np.abs(spray(image, seed=s, depth=depth, **company).astype(float) - image).sum(-1)
            for s in range(6)
        ],
        0,
    )
    rows, columns = np.nonzero(labels == 3)
    low = slice(rows.max() - 8, rows.max())
    left, right = (np.s_[low, at : at + 10] for at in (columns.min() - 12, columns.max() + 3))
    before = change[low, columns.min() + 3 : columns.max() - 2].mean()
    assert min(change[left].mean(), change[right].mean()) > 1.2 * before
    depth[right] = 5.0
    assert np.abs(spray(image, seed=1, depth=depth, **company).astype(float) - image)[right].max() <= 1


def test_puddles_mirror_and_keep_to_the_ground():
    image, labels = street()
    wet = Puddles(amount=1.0, ripples=0.0)
    out = wet(image, seed=0, label_map=labels, class_names=CLASSES)
    assert np.abs(out[:44].astype(int) - image[:44]).max() <= 1, "nothing above the ground"
    below, above = out[50:56, 90].astype(float), image[40:46, 90].astype(float)[::-1]
    dry = image[50:56, 90].astype(float)
    assert np.abs(below - above).mean() < np.abs(dry - above).mean(), "far ground mirrors what stands behind"
    assert np.array_equal(Puddles(amount=0.0)(image, seed=0, label_map=labels, class_names=CLASSES), image)


def test_share_of_water_is_the_amount():
    scene = Scene((400, 400), 0, label_map=np.full((400, 400), 2), class_names=CLASSES)
    found = [
        np.mean([Puddles(amount=a, scale=0.8).water(scene, generator(s))[220:].mean() for s in range(6)])
        for a in (0.2, 0.5, 0.8)
    ]
    assert found == pytest.approx([0.2, 0.5, 0.8], abs=0.15)


def test_a_drop_shows_the_scene_upside_down():
    image = np.zeros((200, 200, 3), np.float32)
    image[:100] = 0.8  # bright above, dark below
    drops = LensDrops(drops=25, size=14.0, blur=0.0, fog=0.0, trails=0.0)
    surface = drops.surface((200, 200), 200 / 320, generator(0, 1))[0]
    assert 0 <= surface.max() <= 1 and (surface > 0.1).mean() > 0.03
    out = drops(image, seed=5)
    lower = out[130:]
    assert lower.max() > 0.3, "drops in the dark half show the bright sky"
    assert out[:60].min() < 0.3, "and the other way round"
    assert np.array_equal(
        LensDrops(drops=0, fog=0.0)((image * 255).astype(np.uint8), seed=0)[0, 0], [204] * 3
    )


def test_dusk_loses_its_stops_and_keeps_the_sky_brighter():
    image, labels = street()
    dusk = Dusk(stops=2.0, rods=0.0, blue=0.0, flatness=0.0)
    out = dusk(image, seed=0, label_map=labels, class_names=CLASSES)
    ratio = to_linear(np.float32(out / 255)).mean(-1) / to_linear(np.float32(image / 255)).mean(-1)
    assert np.median(ratio[60:]) == pytest.approx(0.25, abs=0.03)
    assert np.median(ratio[:10]) == pytest.approx(0.5, abs=0.05)
    blue = Dusk(stops=2.0, blue=0.6)(image, seed=0).astype(float).mean((0, 1))
    assert blue[2] / blue[0] > 1.2 * image.mean((0, 1))[2] / image.mean((0, 1))[0]


def test_tone_does_what_each_knob_says():
    image = np.random.default_rng(0).uniform(0.3, 0.6, (64, 64, 3)).astype(np.float32)
    none = {"contrast": 0.0, "gamma": 1.0, "warmth": 0.0}
    assert Tone(**none)(image, seed=0) == pytest.approx(image, abs=1e-5)
    full = Tone(**none, levels=1.0)(image, seed=0)
    grey = cv2.cvtColor(full, cv2.COLOR_RGB2GRAY)
    assert np.percentile(grey, 1) < 0.06 and np.percentile(grey, 99) > 0.94
    assert np.ptp(Tone(**none, saturation=0.0)(image, seed=0), axis=-1).max() < 1e-5
    assert Tone(**{**none, "gamma": 2.0})(image, seed=0) == pytest.approx(image**2, abs=1e-3)
    warm = Tone(**{**none, "warmth": 0.1})(image, seed=0)
    assert warm[..., 0].mean() > image[..., 0].mean() and warm[..., 2].mean() < image[..., 2].mean()
    cast = image * np.float32([1.0, 0.9, 0.8])
    means = Tone(**none, balance=1.0)(cast, seed=0).mean((0, 1))
    assert np.ptp(means) < 0.02 < np.ptp(cast.mean((0, 1)))
    assert Tone(**none, softness=4.0)(image, seed=0).std() < 0.6 * image.std()


def test_ground_geometry():
    rows = ground_distance((100, 50), 0.5)
    assert np.isinf(rows[:50]).all() and rows[74] == pytest.approx(1.5 * 1.2 * 100 / 24.5)
    right, ahead = road_coordinates((100, 50), 0.5, 0.5)
    assert ahead[74] == rows[74] and right[74, 25] == pytest.approx(0.5 * rows[74] / 120)
    labels = np.zeros((20, 30), int)
    labels[10:] = 2
    mask = ground_mask(Scene((20, 30), 0, label_map=labels, class_names=CLASSES), 0.5)
    assert mask[:8].max() < 0.01 and mask[13:].min() > 0.99
    flat = np.repeat(np.minimum(rows, 1000)[:, None], 50, axis=1)
    assert ground_mask(Scene((100, 50), 0, depth=flat), 0.5)[60:].min() == 1
    assert ground_mask(Scene((100, 50), 0, depth=0.2 * flat), 0.5).max() == 0, "standing things are nearer"
    step = np.full((40, 40, 3), 0.6, np.float32)
    step[20:] = 0.05
    found = tops(step, 1.0)
    assert found[20:22].max() > 0.5 and found[:15].max() < 1e-3 and found[30:].max() < 1e-3


@pytest.mark.parametrize("name", ["road_snow", "road_sand", "road_all"])
def test_the_other_road_mixtures_draw_their_kinds(name):
    known = {"road_snow": {"Snow"}, "road_sand": {"Dust"}, "road_all": {"Haze", "Rain", "Snow", "Dust"}}[name]
    image, labels = street(48, 64)
    found = set()
    for seed in range(30):
        effect = WeatherMixture(name).draw(seed)
        found |= {type(e).__name__ for e in effect.effects[0].effects} & {"Haze", "Rain", "Snow", "Dust"}
        if seed < 4:
            again, number = from_manifest(json.loads(json.dumps(effect.to_manifest(seed))))
            once = effect(image, seed=seed, label_map=labels, class_names=CLASSES)
            assert np.array_equal(once, again(image, seed=number, label_map=labels, class_names=CLASSES))
    assert found == known


@pytest.mark.parametrize("name", ["road_fog", "road_rain", "road"])
def test_road_mixtures_draw_replayable_weather(name):
    assert name in MIXTURES
    image, labels = street()
    kinds = set()
    for seed in range(12):
        effect = WeatherMixture(name).draw(seed)
        assert effect == WeatherMixture(name).draw(seed)
        out = effect(image, seed=seed, label_map=labels, class_names=CLASSES)
        again, number = from_manifest(json.loads(json.dumps(effect.to_manifest(seed))))
        assert np.array_equal(out, again(image, seed=number, label_map=labels, class_names=CLASSES))
        kinds |= {type(e).__name__ for e in effect.effects[0].effects}
    assert {"Tone", "HeadLamps"} <= kinds
    assert ("Haze" in kinds) == (name != "road_rain") and ("Rain" in kinds) == (name != "road_fog")


def test_road_draws_follow_the_severity_and_have_a_calmer_camera():
    for severity in (1, 5):
        inner = WeatherMixture("road_fog", severity=severity, camera=False).draw(3).effects
        haze = next(e for e in inner if type(e).__name__ == "Haze")
        assert haze.severity == severity

    def grain(name):
        draws = (WeatherMixture(name).draw(seed).effects for seed in range(60))
        return np.median([next(e for e in d if type(e).__name__ == "SensorNoise").shot for d in draws])

    assert grain("road_fog") < grain("haze")
