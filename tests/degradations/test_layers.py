"""Soft effects with layers: the one formula, geometry, penumbra, Fresnel, and UniSER's numbers."""

import json
import math
from itertools import pairwise

import cv2
import numpy as np
import pytest

from unirestore.degradations import SEVERITIES, Flare, Reflection, Shadow, SoftHaze, from_manifest
from unirestore.degradations.base import Scene
from unirestore.degradations.depth import FOCAL
from unirestore.degradations.layers import (
    HALO_KINDS,
    HAZE_PRESETS,
    REFLECTIONS,
    SILHOUETTES,
    Layers,
    SoftEffect,
)
from unirestore.degradations.layers.flare import project, visible
from unirestore.degradations.layers.lens import REACH, make_lens, spikes, spread_table
from unirestore.degradations.layers.perlin import fractal, path_blur, perlin, smoke_texture
from unirestore.degradations.layers.reflection import doubled, pane_reflectance, ray_cosines
from unirestore.degradations.layers.room import draw_room
from unirestore.degradations.layers.shadow import surface_points
from unirestore.degradations.layers.silhouettes import silhouette
from unirestore.degradations.light import to_linear, to_srgb
from unirestore.degradations.noise_fields import generator

KINDS = (SoftHaze, Flare, Shadow, Reflection)
EFFECTS = [
    SoftHaze(severity=3),
    SoftHaze.preset("fog/valley/50"),
    Flare(severity=3, anamorphic=0.5, occlusion=True),
    Shadow(severity=3, kind="window"),
    Shadow(severity=4, kind="person", surface="scene", count=2),
    Reflection(severity=3, kind="ghosting"),
    Reflection(severity=3, kind="focused", source="self"),
]
NAMES = [f"{type(e).__name__}-{i}" for i, e in enumerate(EFFECTS)]


def photo(height=72, width=96, seed=0):
    """Sky, ground and boxes with texture; uint8 RGB."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None, None]
    image = np.where(rows < 0.45, (150, 175, 205), (105, 98, 90)) + np.zeros((height, width, 3))
    for _ in range(8):
        y, x = rng.integers(0, max(1, height - 14)), rng.integers(0, max(1, width - 18))
        image[y : y + 14, x : x + 18] = rng.integers(0, 256, 3)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


# one formula for all


@pytest.mark.parametrize("effect", EFFECTS, ids=NAMES)
def test_composite_is_clean_times_transmission_plus_light(effect):
    image = photo()
    out = effect.layers(image, seed=4)
    assert np.array_equal(out.composite, effect(image, seed=4)), "the same picture as calling the effect"
    assert np.array_equal(out.clean, image)
    srgb = image / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    left = 1.0 if out.layers.transmission is None else out.layers.transmission
    added = 0.0 if out.layers.light is None else out.layers.light
    total = np.clip(linear * left + added, 0, 1)
    expected = np.where(total <= 0.0031308, total * 12.92, 1.055 * total ** (1 / 2.4) - 0.055) * 255
    assert np.abs(expected - out.composite).max() < 0.7
    assert out.mask.shape == image.shape[:2] and out.mask.dtype == np.float32
    assert out.mask.min() >= 0 and out.mask.max() <= 1
    if out.layers.transmission is not None:
        assert out.layers.transmission.min() >= 0 and out.layers.transmission.max() <= 1
    if out.layers.light is not None:
        assert out.layers.light.min() >= 0 and out.layers.light.dtype == np.float32


@pytest.mark.parametrize("effect", EFFECTS, ids=NAMES)
def test_strength_goes_from_clean_to_composite(effect):
    image = photo()
    out = effect.layers(image, seed=4)
    assert np.abs(out.at_strength(0.0).astype(int) - image).max() <= 1
    assert np.abs(out.at_strength(1.0).astype(int) - out.composite).max() <= 1
    steps = [psnr(image, out.at_strength(s)) for s in (0.2, 0.5, 0.8)]
    assert all(a > b for a, b in pairwise(steps)), steps
    with pytest.raises(ValueError, match=r"\[0, 1\], got 1.5"):
        out.at_strength(1.5)


def test_pixels_outside_the_mask_are_clean():
    image = photo(96, 128)
    out = Shadow(kind="person", severity=5, light_size=0.5, unevenness=0.0).layers(image, seed=2)
    untouched = out.mask == 0
    assert 0.2 < untouched.mean() < 1
    assert np.abs(out.composite.astype(int) - image)[untouched].max() <= 1
    assert np.abs(out.composite.astype(int) - image)[out.mask > 0.9].max() > 20


def test_effect_picture_has_the_type_of_the_photo():
    torch = pytest.importorskip("torch")
    flare = Flare(severity=3)
    for image in (photo(), photo().astype(np.float32) / 255, photo()[..., 0]):
        out = flare.layers(image, seed=1)
        for picture in (out.clean, out.composite, out.effect):
            assert picture.shape == image.shape and picture.dtype == image.dtype
    tensor = torch.from_numpy(photo()).permute(2, 0, 1)
    out = flare.layers(tensor, seed=1)
    assert out.effect.shape == (3, 72, 96) and out.effect.dtype == torch.uint8
    assert np.array_equal(out.composite.permute(1, 2, 0).numpy(), flare(photo(), seed=1))
    assert out.at_strength(0.5).shape == (3, 72, 96)
    shadow = Shadow(severity=3).layers(photo(), seed=1)
    assert shadow.effect.max() == 255, "nothing added: the transmission over white"
    nothing = Layers(transmission=None, light=None, mask=np.zeros((4, 5), np.float32))
    assert nothing.over(np.full((4, 5, 3), 0.5, np.float32)) == pytest.approx(0.5, abs=1e-3)
    with pytest.raises(NotImplementedError, match=r"no render"):
        SoftEffect().render(photo(), generator(0), Scene((72, 96), 0))


# every effect


@pytest.mark.parametrize("effect", EFFECTS, ids=NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (2, 3), (33, 47), (130, 64)])
def test_any_size_keeps_shape_and_input(effect, size):
    image = photo(*size)
    before = image.copy()
    out = effect(image, seed=1)
    assert out.shape == image.shape and out.dtype == np.uint8
    assert np.array_equal(image, before), "the input was written to"
    as_float = effect(image.astype(np.float32) / 255, seed=1)
    assert np.abs(as_float * 255 - out).max() <= 0.51


@pytest.mark.parametrize("effect", EFFECTS, ids=NAMES)
def test_manifest_replays_the_same_bits(effect):
    image = photo()
    again, seed = from_manifest(json.loads(json.dumps(effect.to_manifest(11))))
    assert again == effect and seed == 11
    assert np.array_equal(effect(image, seed=11), again(image, seed=seed))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_concrete_seeded_and_replay(kind):
    image = photo(48, 64)
    drawn = [kind.sample(np.random.default_rng(n)) for n in range(15)]
    assert drawn == [kind.sample(np.random.default_rng(n)) for n in range(15)]
    assert len({json.dumps(effect.parameters()) for effect in drawn}) == 15
    for number, effect in enumerate(drawn):
        again, seed = from_manifest(json.loads(json.dumps(effect.to_manifest(number))))
        assert np.array_equal(effect(image, seed=number), again(image, seed=seed))
    for severity in SEVERITIES:
        assert kind.sample(np.random.default_rng(0), severity).severity == severity


@pytest.mark.parametrize("kind", KINDS)
def test_severity_lowers_psnr_on_synthetic_photos(kind):
    means = []
    for severity in SEVERITIES:
        effect = kind(severity=severity)
        means.append(np.mean([psnr(photo(seed=s), effect(photo(seed=s), seed=s)) for s in range(5)]))
    assert all(a > b + 0.3 for a, b in pairwise(means)), means


@pytest.mark.shared
@pytest.mark.parametrize("kind", KINDS)
def test_severity_of_samples_lowers_psnr_on_kodak(kind, kodak):
    means = [
        np.mean(
            [
                psnr(image, kind.sample(np.random.default_rng(7), s)(image, seed=n))
                for n, image in enumerate(kodak)
            ]
        )
        for s in SEVERITIES
    ]
    assert all(a > b + 0.3 for a, b in pairwise(means)), means


# haze


def test_haze_table_has_the_published_37():
    counts = [sum(name.startswith(kind) for name in HAZE_PRESETS) for kind in ("haze", "fog", "smoke")]
    assert counts == [20, 10, 7] and len(HAZE_PRESETS) == 37
    sky = SoftHaze.preset("haze/sky_blue/300")
    assert sky.airlight == pytest.approx((153 / 255, 174 / 255, 215 / 255))
    assert (sky.visibility, sky.depth_max, sky.albedo, sky.eta, sky.scale_height) == (300, 120, 1, 1, 1200)
    assert sky.spectral == (1.1, 1.0, 0.9) and sky.top_height == 1200
    valley = SoftHaze.preset("fog/valley/50")
    assert (valley.visibility, valley.scale_height, valley.top_height, valley.eta) == (50, 45, 120, 0.7)
    assert valley.airlight == (1, 1, 1) and valley.depth_blur == 11
    smoke = SoftHaze.preset("smoke/80")
    assert (smoke.scale_height, smoke.top_height, smoke.eta, smoke.albedo) == (40, 60, 0.85, 0.75)
    kernels = {name: row["depth_blur"] for name, row in HAZE_PRESETS.items() if name.startswith("fog")}
    assert [kernels[f"fog/{v}"] for v in (40, 80, 120)] == [7, 3, 3]
    assert [kernels[f"fog/valley/{v}"] for v in (30, 50, 70)] == [7, 11, 3]
    assert {SoftHaze.preset(n).visibility for n in HAZE_PRESETS if n.startswith("smoke/cool")} == {
        120,
        200,
        500,
        1000,
    }
    with pytest.raises(ValueError, match="unknown haze preset 'mist'"):
        SoftHaze.preset("mist")


def test_haze_preset_jitter_is_five_levels_and_blur_is_a_coin():
    drawn = [SoftHaze.preset("fog/300", np.random.default_rng(n)) for n in range(200)]
    assert 60 < sum(effect.depth_blur == 3 for effect in drawn) < 140
    assert min(e.veil for e in drawn) > 0 and 0.19 < max(e.veil for e in drawn) <= 0.2
    sky = np.array(
        [SoftHaze.preset("haze/sky_blue/300", np.random.default_rng(n)).airlight for n in range(200)]
    )
    levels = np.rint(sky * 255 - (153, 174, 215))
    assert levels.min() == -5 and levels.max() == 5
    always = [SoftHaze.preset("fog/40", np.random.default_rng(n)).depth_blur for n in range(20)]
    assert set(always) == {7}


def test_haze_equation_pixel_by_pixel():
    rng = np.random.default_rng(3)
    image = rng.random((20, 30, 3), dtype=np.float32)
    depth = rng.uniform(0, 120, (20, 30)).astype(np.float32)
    effect = SoftHaze(
        kind="smoke",
        visibility=90.0,
        depth_max=70.0,
        depth_gamma=1.4,
        veil=0.07,
        smoke=0.0,
        reach=80.0,
        top_height=20.0,
    )
    got = to_linear(effect(image, seed=0, depth=depth))
    linear = np.where(image <= 0.04045, image / 12.92, ((image.astype(float) + 0.055) / 1.055) ** 2.4)
    metres = (np.minimum(depth, 80) / 80.0) ** 1.4 * 70
    h = 20.0 * (1 - (np.arange(20) + 0.5) / 20)[:, None]
    for c, (air, factor) in enumerate(zip((0.75, 0.65, 0.55), (0.9, 1.0, 1.1), strict=True)):
        tau = 3.912 / 90 * factor * np.exp(-h / 50) * metres + 0.07
        t = np.exp(-tau)
        airlight = ((air + 0.055) / 1.055) ** 2.4
        expected = linear[..., c] * t + airlight * 0.8 * (1 - t**0.9)
        assert np.abs(got[..., c] - np.clip(expected, 0, 1)).max() < 2e-3


@pytest.mark.parametrize("kind", ["haze", "smoke"])
def test_the_veil_before_the_lens_is_grey(kind):
    image, depth = photo(20, 30), np.zeros((20, 30), np.float32)
    t = SoftHaze(kind=kind, visibility=200.0, veil=0.2, smoke=0.0).layers(image, seed=0, depth=depth)
    assert np.abs(t.layers.transmission - math.exp(-0.2)).max() < 1e-6
    t = SoftHaze(kind=kind, visibility=200.0, veil=0.2, smoke=0.7).layers(image, seed=0, depth=depth)
    assert np.ptp(t.layers.transmission, axis=2).max() < 1e-6, "R, G and B alike where there is no distance"
    far = SoftHaze(kind=kind, visibility=200.0, smoke=0.0).layers(image, seed=0, depth=depth + 80)
    assert np.ptp(far.layers.transmission, axis=2).min() > 0.01, "the way through the air is coloured"


def test_smoke_thins_the_haze_where_it_is_dark():
    depth = np.full((64, 64), 80, np.float32)
    image = np.zeros((64, 64, 3), np.float32)
    even = SoftHaze(severity=3, smoke=0.0).layers(image, seed=0, depth=depth).mask
    patchy = SoftHaze(severity=3, smoke=1.0).layers(image, seed=0, depth=depth).mask
    assert even[:, 0].std() > 0 and np.abs(np.diff(even, axis=1)).max() < 1e-6, "only height matters"
    assert patchy.std() > 2 * even.std() and (patchy <= even + 1e-6).all()


def test_perlin_is_zero_on_its_lattice_and_bounded():
    cell = 8.0
    field = perlin((200, 200), cell, generator(5))
    rng = generator(5)
    offsets = [float(rng.random()), float(rng.random())]  # of rows, then columns
    rows = [(n - offsets[0]) * cell - 0.5 for n in range(1, 20)]
    assert np.abs(field).max() <= math.sqrt(0.5) + 1e-6 and field.std() > 0.15
    assert abs(field.mean()) < 0.03
    # between the rows beside a lattice row, and likewise for columns, the value passes through zero
    near = [(round(r), round((m - offsets[1]) * cell - 0.5)) for r in rows for m in range(1, 20)]
    values = np.abs([field[r, c] for r, c in near])
    assert values.max() < 0.12 < np.abs(field).max()
    assert np.array_equal(field, perlin((200, 200), cell, generator(5)))


def test_fractal_octaves_add_detail():
    smooth = fractal((128, 128), 64.0, generator(1), octaves=1)
    rough = fractal((128, 128), 64.0, generator(1), octaves=5)
    sharpness = [np.abs(np.diff(f, axis=1)).mean() / f.std() for f in (smooth, rough)]
    assert sharpness[1] > 1.4 * sharpness[0]


def test_path_blur_smears_along_the_flow_only():
    texture = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    flow = np.zeros((64, 64, 2), np.float32)
    flow[..., 0] = 1
    out = path_blur(texture, flow, steps=20, length=1.0, share=1.0)
    across, down = np.abs(np.diff(out, axis=1)).mean(), np.abs(np.diff(out, axis=0)).mean()
    assert down > 3 * across
    assert np.array_equal(path_blur(texture, flow, steps=20, length=1.0, share=0.0), texture)
    # 1 step of 1 px to the right: the mean of a pixel and its right neighbour
    once = path_blur(texture, flow, steps=1, length=1.0, share=1.0)
    assert once[:, :-1] == pytest.approx((texture[:, :-1] + texture[:, 1:]) / 2, abs=1e-5)


def test_smoke_textures_fill_zero_to_one_and_differ():
    fields = [smoke_texture((90, 120), generator(s)) for s in range(8)]
    for field in fields:
        assert field.shape == (90, 120) and field.min() >= 0 and field.max() <= 1 and np.ptp(field) > 0.9
    assert np.abs(fields[0] - fields[1]).mean() > 0.05
    assert smoke_texture((1, 1), generator(0)).shape == (1, 1)


# flare


def test_lamps_project_and_fade_as_a_pinhole_camera_says():
    position, power = project((1.0, 0.5, 10.0, 100.0, 5000.0), (120, 160))
    assert position == pytest.approx((80 + FOCAL * 120 * 0.1, 60 - FOCAL * 120 * 0.05))
    cosine = 10 / math.sqrt(101.25)
    assert power == pytest.approx(100 / 101.25 * cosine**4)
    assert project((2.0, 1.0, 20.0, 100.0, 5000.0), (120, 160))[0] == pytest.approx(position)


def test_light_of_two_lamps_adds_up_in_linear_light():
    one, two = (-2.0, 1.0, 10.0, 80.0, 3000.0), (1.5, 0.5, 8.0, 60.0, 6500.0)
    light = [
        Flare(severity=3, lamps=lamps).layers(photo(), seed=0).layers.light
        for lamps in ((one,), (two,), (one, two))
    ]
    assert light[2] == pytest.approx(light[0] + light[1], abs=1e-4)
    assert light[0][..., 0].mean() > 1.3 * light[0][..., 2].mean(), "3000 K is reddish"
    assert light[1][..., 2].mean() > 0.8 * light[1][..., 0].mean(), "6500 K is not"


def test_ghosts_lie_on_the_line_through_lamp_and_axis_and_move_with_the_lamp():
    only_ghosts = {"streaks": 0.0, "glare": 0.0, "shimmer": 0.0, "ghosts": 1.0, "strength": 1.0, "lens": 3}
    black = np.zeros((200, 200, 3), np.float32)

    def ghosts(x, y):
        return (
            Flare(lamps=((x, y, 10.0, 100.0, 5500.0),), **only_ghosts)
            .layers(black, seed=0)
            .layers.light.sum(2)
        )

    rows, columns = np.mgrid[:200, :200] + 0.5
    flat = ghosts(2.0, 0.0)
    farthest = max(g.radius for g in make_lens(3).ghosts) * 200 * 1.2
    assert flat.max() > 0 and np.abs(rows - 100)[flat > 0].max() < farthest
    upright = ghosts(0.0, 2.0)
    assert np.abs(columns - 100)[upright > 0].max() < farthest
    centre = make_lens(3).ghosts[0]
    moved = [np.array((100 + centre.place * FOCAL * 200 * x / 10, 100)) for x in (1.0, 2.0)]
    assert moved[1][0] - 100 == pytest.approx(2 * (moved[0][0] - 100))
    at = np.round(moved[1] - 0.5).astype(int)
    if 0 <= at[0] < 200:
        assert flat[at[1], at[0]] > 0


def test_spikes_follow_the_blades():
    assert [spikes(n) for n in (5, 6, 7, 8)] == [10, 6, 14, 8]
    lens = make_lens(1)
    table = spread_table(lens, streaks=1.0, glare=0.0, shimmer=0.0, anamorphic=0.0)
    ring = table[60, :-2, 1]
    above = ring > 0.5 * ring.max()
    assert int((above & ~np.roll(above, 1)).sum()) == spikes(lens.blades)


def test_glare_falls_with_the_square_of_the_angle():
    table = spread_table(make_lens(0), streaks=0.0, glare=1.0, shimmer=0.0, anamorphic=0.0)[:, 0, 1]
    radius = REACH * (np.arange(len(table)) / (len(table) - 1)) ** 2
    near, far = np.interp((0.9, 1.8), radius, table)
    assert near / far == pytest.approx(4, rel=0.12)
    assert np.all(np.diff(table) <= 1e-6)


def test_streaks_are_longer_in_red_than_in_blue():
    table = spread_table(make_lens(0), streaks=1.0, glare=0.0, shimmer=0.0, anamorphic=0.0)
    profile = table.max(axis=1)[80]
    assert profile[0] > profile[1] > profile[2] > 0


def test_a_lamp_behind_something_is_hidden():
    lamp = (0.0, 0.0, 10.0, 100.0, 5000.0)
    depth = np.full((80, 80), 5.0, np.float32)
    position, _ = project(lamp, (80, 80))
    assert visible(lamp, position, Scene((80, 80), 0, depth)) == 0
    assert visible(lamp, position, Scene((80, 80), 0, depth + 10)) == 1
    assert visible(lamp, (-50.0, 20.0), Scene((80, 80), 0, depth)) == 1
    image = photo(80, 80)
    out = Flare(severity=4, lamps=(lamp,), occlusion=True)(image, seed=0, depth=depth)
    assert np.abs(out.astype(int) - image).max() <= 1


def test_halo_kinds_show_what_they_are_named_after():
    for kind in HALO_KINDS:
        drawn = Flare.sample(np.random.default_rng(0), 3, kind)
        part = {"reflective": "ghosts", "streak": "streaks"}.get(kind, kind)
        others = [getattr(drawn, name) for name in ("ghosts", "streaks", "glare", "shimmer") if name != part]
        assert getattr(drawn, part) > max(others)
    with pytest.raises(ValueError, match="kind must be one of"):
        Flare.sample(np.random.default_rng(0), 3, "sparkle")


# shadow


def test_umbra_keeps_the_light_of_the_sky():
    image = np.full((128, 128, 3), 0.6, np.float32)
    effect = Shadow(kind="building", darkness=0.7, sky=(0.8, 1.0, 1.2), unevenness=0.0, light_size=0.1)
    out = effect.layers(image, seed=3)
    ratio = to_linear(out.composite) / to_linear(image)
    umbra = out.mask > 0.999
    assert umbra.mean() > 0.02
    assert ratio[umbra].mean(axis=0) == pytest.approx((0.24, 0.3, 0.36), abs=0.005)
    assert ratio[out.mask == 0] == pytest.approx(1, abs=0.005)


def test_penumbra_widens_with_the_lamp():
    image = np.full((160, 160, 3), 0.5, np.float32)
    shares = []
    for size in (0.3, 4.0, 12.0):
        mask = np.concatenate(
            [
                Shadow(kind="window", light_size=size, severity=3).layers(image, seed=s).mask.ravel()
                for s in range(4)
            ]
        )
        shares.append(float(((mask > 0.05) & (mask < 0.95)).mean()))
    assert shares[0] < 0.6 * shares[1] and shares[1] < 0.8 * shares[2], shares


def test_surface_is_the_plane_it_claims_to_be():
    for tilt in (0.0, 40.0, 75.0):
        points, normal, seen = surface_points(Shadow(tilt=tilt), (30, 40), Scene((120, 160), 0))
        assert np.linalg.norm(normal) == pytest.approx(1)
        distance = (points - np.array([0, 0, FOCAL])) @ normal
        assert np.abs(distance[seen > 0.99]).max() < 1e-3 and seen.max() == 1
    wall, _, _ = surface_points(Shadow(tilt=0.0), (30, 40), Scene((120, 160), 0))
    assert np.ptp(wall[..., 1]) == pytest.approx(29 / 30, rel=1e-3), "the photo is 1 high at the wall"
    flat = np.full((120, 160), 12.0, np.float32)
    scene, _, _ = surface_points(Shadow(surface="scene"), (30, 40), Scene((120, 160), 0, flat))
    assert scene[..., 2] == pytest.approx(12.0)


def test_no_shadow_falls_on_the_sky_where_depth_is_known():
    depth = np.full((128, 160), 1000.0, np.float32)
    depth[60:] = (1.5 * FOCAL * 128 / (np.arange(60, 128) + 0.5 - 57))[:, None]
    for surface in ("auto", "plane"):
        for kind in ("foliage", "tree", "window"):
            masks = [
                Shadow(kind=kind, severity=5, surface=surface)
                .layers(photo(128, 160), seed=s, depth=depth)
                .mask
                for s in range(3)
            ]
            assert max(float(m[:56].max()) for m in masks) < 1e-6, (surface, kind)
            assert max(float(m[64:].max()) for m in masks) > 0.5, (surface, kind)


def test_shadow_lies_on_the_scene_where_depth_is_given_and_on_a_plane_elsewhere():
    depth = np.full((96, 96), 12.0, np.float32)
    made = {
        (surface, given): Shadow(kind="window", severity=4, surface=surface)
        .layers(photo(96, 96), seed=3, depth=depth if given else None)
        .mask
        for surface in ("auto", "scene", "plane")
        for given in (True, False)
    }
    assert np.array_equal(made["auto", True], made["scene", True])
    assert np.array_equal(made["auto", False], made["plane", False])
    assert not np.array_equal(made["auto", True], made["plane", True])


@pytest.mark.parametrize("kind", SILHOUETTES)
def test_every_silhouette_shades_part_of_the_photo(kind):
    outline = silhouette(kind, generator(1))
    assert outline.dtype == np.uint8 and set(np.unique(outline)) == {0, 255}
    assert 0.02 < (outline > 0).mean() < 0.95
    masks = [Shadow(kind=kind, severity=3).layers(photo(), seed=s).mask for s in range(5)]
    assert np.mean([m.mean() for m in masks]) > 0.03 and min(m.min() for m in masks) < 0.1


# reflection


def test_pane_mirrors_eight_percent_straight_on_and_all_at_grazing():
    face = ((1.52 - 1) / (1.52 + 1)) ** 2
    assert float(pane_reflectance(np.float32(1))) == pytest.approx(2 * face / (1 + face), rel=1e-4)
    cosines = np.cos(np.radians(np.float32([0, 30, 60, 80, 89.9])))
    values = pane_reflectance(cosines)
    assert np.all(np.diff(values) > 0) and values[-1] > 0.97
    # at Brewster's angle only s-polarised light is mirrored
    brewster = math.atan(1.52)
    s = (math.cos(brewster) - 1.52 * math.cos(math.asin(math.sin(brewster) / 1.52))) ** 2 / (
        math.cos(brewster) + 1.52 * math.cos(math.asin(math.sin(brewster) / 1.52))
    ) ** 2
    assert float(pane_reflectance(np.float32(math.cos(brewster)))) == pytest.approx(s / (1 + s), rel=1e-3)


def test_a_turned_pane_mirrors_more_on_one_side():
    straight, turned = ray_cosines((60, 90), 0.0), ray_cosines((60, 90), 40.0)
    assert np.unravel_index(straight.argmax(), straight.shape) in {(r, c) for r in (29, 30) for c in (44, 45)}
    assert pane_reflectance(turned)[:, 0].mean() > 1.5 * pane_reflectance(turned)[:, -1].mean()


def test_ghosting_repeats_a_spot_at_the_asked_place():
    spot = np.zeros((100, 100, 3), np.float32)
    spot[40, 50] = 1
    out = doubled(spot, 0.1, 0.0, 0.5)[..., 0]
    assert out[40, 50] == pytest.approx(1 / 1.5) and out[40, 60] == pytest.approx(0.5 / 1.5, abs=1e-3)
    assert out.sum() == pytest.approx(1, abs=1e-3)


def test_reflections_come_sharp_soft_and_double():
    black = np.zeros((128, 160, 3), np.float32)
    sharp = {}
    for kind in REFLECTIONS:
        light = Reflection(kind=kind, severity=4, defocus=16.0).layers(black, seed=2).layers.light
        sharp[kind] = float(np.abs(np.diff(light, axis=1)).mean())
    assert sharp["defocused"] < 0.8 * sharp["ghosting"] and sharp["ghosting"] < 0.8 * sharp["focused"], sharp


def test_a_given_picture_is_mirrored(tmp_path):
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), np.full((40, 50, 3), (0, 0, 200), np.uint8))
    effect = Reflection(source="picture", picture=str(path), kind="focused", strength=0.55, yaw=0.0)
    light = effect.layers(photo(), seed=0).layers.light
    assert light[..., 0].min() > 0.2 and light[..., 1:].max() < 1e-3
    with pytest.raises(FileNotFoundError, match=r"no picture to mirror at .*gone"):
        Reflection(source="picture", picture=str(tmp_path / "gone.png"))(photo(), seed=0)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="not a readable picture"):
        Reflection(source="picture", picture=str(tmp_path / "text.png"))(photo(), seed=0)


def test_rooms_are_mostly_dark_with_bright_things():
    rooms = [draw_room((120, 160), generator(s)) for s in range(6)]
    for room in rooms:
        assert room.shape == (120, 160, 3) and room.dtype == np.float32 and room.min() >= 0
        assert room.max() > 4 * np.median(room)
    assert np.mean([r.mean() for r in rooms]) == pytest.approx(0.15, rel=0.3)
    assert to_srgb(rooms[0]).std() > 0.05


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SoftHaze(kind="mist"), "kind must be one of .* got 'mist'"),
        (lambda: SoftHaze(visibility=0.0), "visibility must be above 0, got 0"),
        (lambda: SoftHaze(eta=0.0), r"eta must lie in \(0, 1\], got 0"),
        (lambda: SoftHaze(depth_blur=4), "odd integer, got 4"),
        (lambda: SoftHaze(airlight=(1, 1, 2)), "airlight must be three numbers"),
        (lambda: SoftHaze(smoke=1.2), r"smoke must lie in \[0, 1\], got 1.2"),
        (lambda: Flare(lamps=()), "at least one lamp"),
        (lambda: Flare(lamps=((0, 0, -1, 5, 5000),)), "z > 0"),
        (lambda: Flare(glare=-1.0), "glare must be >= 0, got -1"),
        (lambda: Flare(lens=0.5), "lens must be an integer"),
        (lambda: Shadow(kind="cloud"), "kind must be one of .* got 'cloud'"),
        (lambda: Shadow(darkness=1.5), r"darkness must lie in \[0, 1\], got 1.5"),
        (lambda: Shadow(elevation=0.0), "elevation"),
        (lambda: Shadow(count=0), "count must be >= 1, got 0"),
        (lambda: Shadow(surface="sea"), "surface must be one of"),
        (lambda: Reflection(kind="wavy"), "kind must be one of"),
        (lambda: Reflection(source="picture"), "goes with source='picture'"),
        (lambda: Reflection(attenuation=2.0), "attenuation"),
        (lambda: Reflection(yaw=80.0), "70 degrees, got 80"),
        (lambda: silhouette("cat", generator(0)), "got 'cat'"),
    ],
)
def test_bad_configurations_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
