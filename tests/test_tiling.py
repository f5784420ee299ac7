"""Tiles blend to the identity, a tiled photo is close to the whole one, and memory is accounted for."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unirestore import UniRestore, tile_memory, tiling
from unirestore.data import render_scene
from unirestore.models.accelerated import accelerate
from unirestore.models.priors import NoPrior
from unirestore.models.statistics import Moments, SharedStatistics, normalise
from unirestore.tile_grid import Canvas, Grid
from unirestore.tiling import choose_tile, keeps_filters, memory_needed, restore_tiled, run_stage


def psnr(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(-10 * torch.log10((found - wanted).square().mean()))


def scene(height: int, width: int, seed: int = 3) -> torch.Tensor:
    image = render_scene(seed, size=max(height, width)).image[:height, :width]
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope="module")
def tiny() -> UniRestore:
    return UniRestore.from_pretrained("tiny")


@pytest.fixture(scope="module")
def plain() -> UniRestore:
    """One width, the decoder's own picture, every zero-initialised branch awake."""
    torch.manual_seed(0)
    settings = dict(block_out_channels=(8, 8, 8, 8), candidates=(), candidate_weights=None, working_scale=1)
    model = UniRestore.build("tiny", **settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    return model


# -------------------------------------------------------------------- where tiles lie, and blending

SIDES = st.integers(1, 60)
TILES = st.integers(2, 12).flatmap(lambda tile: st.tuples(st.just(tile), st.integers(1, tile // 2)))


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, TILES, st.sampled_from([1, 8]))
def test_identity_in_is_identity_out_and_weights_sum_to_one(height, width, sides, multiple):
    tile, overlap = (multiple * length for length in sides)
    grid = Grid(multiple * height, multiple * width, tile, overlap, multiple)
    picture = torch.rand(2, 3, multiple * height, multiple * width)
    canvas, ones = Canvas(grid, 1), Canvas(grid, 1)
    covered = torch.zeros(*picture.shape[2:])
    for place in grid:
        top, left, tall, wide = grid.box(*place)
        assert top % multiple == left % multiple == 0
        crop = picture[..., top : top + tall, left : left + wide]
        canvas.add(*place, crop)
        ones.add(*place, torch.ones_like(crop))
        y, x, tall, wide = grid.core(*place)
        covered[top + y : top + y + tall, left + x : left + x + wide] += 1
    torch.testing.assert_close(canvas.finish(), picture, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ones.finish(), torch.ones_like(picture), rtol=1e-6, atol=1e-6)
    assert torch.equal(covered, torch.ones_like(covered))  # cores part the picture


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), TILES)
def test_no_ramp_at_the_border_and_neighbours_share_the_overlap(length, sides):
    tile, overlap = sides
    grid = Grid(1, length, tile, overlap)
    starts = grid.starts[1]
    assert starts[0] == 0 and starts[-1] + grid.tile[1] == length
    assert all(0 < b - a <= tile - overlap for a, b in pairwise(starts))
    weights = [grid.weights(1, index, 1) for index in range(len(starts))]
    assert all(float(w.min()) >= 0 and float(w.max()) <= 1 for w in weights)
    assert weights[0][0] == 1 == weights[-1][-1]
    assert all(w[0] < 1 for w in weights[1:]) and all(w[-1] < 1 for w in weights[:-1])


def test_groups_hold_every_crop_once_and_are_like_the_picture():
    look = scene(512, 768)
    crops = Grid(512, 768, 256, 64, 8).crops()
    groups = crops.groups(256 * 256, look[0])
    assert sorted(place for group in groups for place in group) == list(crops)
    assert all(len(group) * crops.tile[0] * crops.tile[1] <= 256 * 256 for group in groups)

    def brightness(places):
        boxes = [crops.box(*place) for place in places]
        return float(torch.stack([look[..., t : t + h, x : x + w].mean() for t, x, h, w in boxes]).mean())

    dealt = [brightness(group) for group in groups]
    size = len(groups[0])
    neighbours = [brightness(list(crops)[k : k + size]) for k in range(0, len(crops), size)]
    assert np.std(dealt) < 0.2 * np.std(neighbours)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_canvas_at_another_stride_keeps_the_type(dtype):
    grid = Grid(64, 96, 32, 8, 8)
    picture = torch.rand(2, 2, 16, 24).to(dtype)

    def stage(photo, boxes):
        ((top, left, height, width),) = boxes
        part = slice(top // 4, (top + height) // 4), slice(left // 4, (left + width) // 4)
        return [picture[(slice(photo, photo + 1), slice(None), *part)]]

    (found,) = run_stage(stage, grid, [4], 2)
    assert found.dtype == dtype and float((found - picture).abs().max()) <= (
        1e-6 if dtype.itemsize == 4 else 4e-3
    )


# -------------------------------------------------------------------- statistics


def test_moments_merge_to_those_of_the_whole():
    x = 3 + torch.randn(2, 6, 8, 10)
    whole, parts = Moments.of(x), Moments.of(x[..., :3]).merge(Moments.of(x[..., 3:]))
    torch.testing.assert_close(parts, whole)
    norm = nn.GroupNorm(3, 6)
    nn.init.normal_(norm.weight)
    mean, variance = whole.by_group(3)
    torch.testing.assert_close(normalise(x, mean, variance, norm.weight, norm.bias), norm(x))


def test_layers_see_the_photo_and_not_the_tile():
    """Exact for a first layer: the statistics gathered in crops are those of the whole."""
    layers = (nn.GroupNorm(2, 4), nn.AdaptiveAvgPool2d(1), lambda x: x.mean((2, 3), keepdim=True))
    x = torch.rand(2, 4, 64, 48).cumsum(2).cumsum(3)  # nothing like the same everywhere
    for layer in layers:
        wanted = layer(x).expand_as(x)

        def stage(photo, boxes, layer=layer):
            crops = torch.stack([x[photo, :, t : t + h, y : y + w] for t, y, h, w in boxes])
            return [layer(crops).expand_as(crops)]

        (found,) = run_stage(stage, Grid(64, 48, 32, 8, 4), [1], 2, x)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
        (alone,) = run_stage(stage, Grid(64, 48, 32, 8, 4), [1], 2)
        assert not torch.allclose(alone, wanted, rtol=0.1)


def test_another_way_through_the_layers_is_refused():
    with (
        pytest.raises(RuntimeError, match="layer 1 of 0"),
        SharedStatistics((4, 4), [(0, 0, 4, 4)], known=[]),
    ):
        nn.GroupNorm(1, 2)(torch.rand(1, 2, 4, 4))


# -------------------------------------------------------------------- photos


@pytest.mark.parametrize("size", [(1, 1), (5, 130), (64, 96), (127, 128)])
def test_one_tile_is_the_whole_photo_exactly(tiny, size):
    images = torch.rand(1, 3, *size)
    assert torch.equal(restore_tiled(tiny, images, "det", tile=160), tiny(images, "det"))


@pytest.mark.parametrize("name", ["tiny", "plain"])
@pytest.mark.parametrize("size", [(1, 300), (301, 203), (140, 333)])
def test_odd_sizes_and_a_batch(request, name, size):
    model = request.getfixturevalue(name)
    images = torch.cat([scene(*size), scene(*size, seed=4)])
    found = restore_tiled(model, images, "det", tile=128)
    with torch.no_grad():
        assert psnr(found, model(images, "det")) > 22  # tiles of 8 latents
    torch.testing.assert_close(
        found[1:], restore_tiled(model, images[1:], "det", tile=128), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("task", ["ir", "det"])
def test_a_scene_in_tiles_is_that_scene(tiny, task):
    images = scene(384, 576)
    with torch.no_grad():
        whole = tiny(images, task)
    assert psnr(whole, images) < 40  # the restorer does something
    found = restore_tiled(tiny, images, task, tile=256)
    alone = restore_tiled(tiny, images, task, tile=256, statistics="tile")
    assert psnr(found, whole) > max(44, 1 + psnr(alone, whole))


@pytest.mark.shared
@pytest.mark.parametrize(("index", "tile"), [(5, 256), (9, 256), (15, 384), (22, 256)])  # the hardest
def test_kodak_in_tiles_is_within_40_db(tiny, shared, index, tile):
    from PIL import Image

    files = sorted((shared / "data" / "kodak24").rglob("*.png"))
    if not files:
        pytest.skip(f"no Kodak photos in {shared / 'data'}")
    images = torch.from_numpy(np.array(Image.open(files[index]).convert("RGB"))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        assert psnr(restore_tiled(tiny, images, "ir", tile=tile), tiny(images, "ir")) > 40


class Echo(NoPrior):
    """A prior that looks at one latent at a time: what it makes of a tile is what it makes of the photo."""

    def restore(self, latent, noise, num_inference_steps=1):
        return latent + noise.roll(num_inference_steps - 1, dims=1)


def test_noise_is_the_photo_s(plain, monkeypatch):
    """Each tile gets its crop of the draw that the whole photo gets."""
    monkeypatch.setattr(tiling, "WIDE", 16)  # the prior in tiles too
    model = copy.deepcopy(plain)
    model.prior = Echo()
    images = scene(192, 256)
    noise = torch.randn(1, 4, 24, 32, generator=torch.Generator().manual_seed(9))
    cases = {
        "fixed": dict,
        "given": lambda: {"noise": noise},
        "number": lambda: {"noise": 0.0},
        "drawn": lambda: {"generator": torch.Generator().manual_seed(5)},
        "steps": lambda: {"num_inference_steps": 2},
    }
    with torch.no_grad():
        whole = {name: model(images, **options()) for name, options in cases.items()}
    for name, options in cases.items():
        found = restore_tiled(model, images, tile=128, **options())
        others = [psnr(found, other) for rest, other in whole.items() if rest != name]
        assert psnr(found, whole[name]) > 3 + max(others), name


def test_noise_at_the_working_scale_and_given_candidates(tiny):
    images = scene(192, 256)
    noise, candidates = torch.randn(1, 4, 24, 32), torch.rand(1, 3, 3, 192, 256)
    options = dict(noise=noise, candidates=candidates)
    with torch.no_grad():
        assert (
            psnr(restore_tiled(tiny, images, "det", tile=128, **options), tiny(images, "det", **options)) > 32
        )
    with pytest.raises(ValueError, match="candidates must be"):
        restore_tiled(tiny, images, tile=128, candidates=candidates[..., :-1])


def test_sampled_posteriors_are_drawn_for_the_photo():
    torch.manual_seed(0)
    model = UniRestore.build("tiny", sample_posterior=True, prior="none").eval()
    images = scene(160, 288)
    draws = [
        restore_tiled(model, images, tile=128, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_models_without_adapters_or_prior():
    torch.manual_seed(0)
    for preset, options in (("tiny-fast", {}), ("tiny", {"tfa": False, "cfrm": False})):
        model = UniRestore.build(preset, **options).eval()
        images = scene(300, 420)
        with torch.no_grad():
            assert psnr(restore_tiled(model, images, tile=256), model(images)) > 40


def test_bfloat16_stays_bfloat16():
    torch.manual_seed(0)
    model = UniRestore.build("tiny", detail_channels=8, detail_blocks=1).eval()
    images = scene(150, 290)
    with torch.no_grad():
        whole = model(images)
    nn.Module.to(model, torch.bfloat16)
    found = restore_tiled(model, images, tile=128)
    assert found.dtype == torch.bfloat16 and psnr(found.float(), whole) > 30


def test_nothing_is_left_on_the_model(plain):
    images = scene(160, 200)
    before = {name: dict(vars(module)) for name, module in plain.named_modules()}
    first = restore_tiled(plain, images, tile=128)
    assert not first.requires_grad
    assert {name: dict(vars(module)) for name, module in plain.named_modules()} == before
    assert torch.equal(first, restore_tiled(plain, images, tile=128))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tile": 127}, "at least 128 pixels for this model, got 127"),
        ({"tile": 128, "overlap": 80}, "16 to 64 pixels for tiles of 128, got 80"),
        ({"tile": 128, "overlap": 0}, "16 to 64 pixels"),
        ({"tile": 128, "statistics": "none"}, "global, tile, got 'none'"),
        ({"tile": 128, "task": "fog"}, "unknown task"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_numbers(tiny, options, words):
    with pytest.raises(ValueError, match=words):
        restore_tiled(tiny, torch.rand(1, 3, 200, 200), **options)


def test_lengths_are_rounded_down(tiny):
    images = scene(150, 200)
    rounded = restore_tiled(tiny, images, tile=143, overlap=47)
    assert torch.equal(rounded, restore_tiled(tiny, images, tile=128, overlap=32))


# -------------------------------------------------------------------- memory


def test_tiles_are_chosen_by_the_memory_there_is(monkeypatch):
    with torch.device("meta"):
        model = UniRestore.build("sd_turbo")
    large, gib = (2160, 3840), 2**30
    assert choose_tile(model, 512, 768, memory=3 * gib) is None
    chosen = [choose_tile(model, *large, memory=size * gib) for size in (0.1, 3.5, 8, 100)]
    assert chosen[0] == 256 < chosen[1] < chosen[2] and chosen[3] is None
    assert memory_needed(model, *large, chosen[1]) <= 3.5 * gib < memory_needed(model, *large, chosen[1] + 64)
    weights = sum(4 * value.numel() for value in model.parameters())
    assert weights + memory_needed(model, *large, 256) < 8e9  # the promise of the documentation
    monkeypatch.setattr(tile_memory, "free_memory", lambda device: 100 * gib)
    assert choose_tile(model, *large) is None
    assert (
        1.9 < memory_needed(model, *large, None) / memory_needed(model.to(torch.bfloat16), *large, None) < 2.1
    )


def test_free_memory_is_a_number_of_this_machine(tmp_path):
    assert 2**20 < tile_memory.free_memory(torch.device("cpu")) < 2**50
    (tmp_path / "memory.max").write_text("max\n")
    assert tile_memory._number(tmp_path / "memory.max", 0) is None
    (tmp_path / "stat").write_text("anon 5\ninactive_file 7\n")
    assert tile_memory._number(tmp_path / "stat", "inactive_file") == 7


def test_filters_count_where_they_are_kept(monkeypatch):
    with torch.device("meta"):
        model = UniRestore.build("sd_turbo")
        fast = accelerate(model)
    for size, tile in (((512, 512), None), ((2160, 3840), 256)):
        plain = memory_needed(model, *size, tile)
        assert 0 < memory_needed(fast, *size, tile) - plain < 100e6  # the largest
        kept = [memory_needed(m, *size, tile, kept=True) for m in (model, fast)]
        assert kept[0] == plain and 2e9 < kept[1] - plain < 3e9
    assert memory_needed(fast, 2160, 3840, None, kept=True) > 9e9 + memory_needed(fast, 2160, 3840, None)
    weights = sum(4 * value.numel() for value in model.parameters())
    assert (
        weights + memory_needed(fast, 2160, 3840, 256) < 7.7e9
    )  # the promise of the documentation, libraries on top
    assert keeps_filters(fast, 512, 512, memory=5e9) and not keeps_filters(fast, 512, 512, memory=3e9)


def test_filters_that_are_there_count_as_free(monkeypatch):
    fast = accelerate(nn.Sequential(nn.Conv2d(64, 64, 3, padding=1)))
    fast.device = torch.device("cpu")
    monkeypatch.setattr(tile_memory, "free_memory", lambda device: 1000.0)
    assert tile_memory._memory_there(fast) == 800
    with torch.no_grad():
        fast(torch.zeros(1, 64, 32, 32))
    assert tile_memory._memory_there(fast) == pytest.approx(0.8 * (1000 + 36 * 64 * 64 * 4))
