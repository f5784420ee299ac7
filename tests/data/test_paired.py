"""Pairs: reproducible from (seed, n), boxes and planes follow the crop, weather replays from its manifest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unirestore.data.paired import PairedDataset, collate, crop_sample
from unirestore.data.sample import Sample


class Marked:
    """Pictures that are black but for one white rectangle, which is the box."""

    classes = ("thing",)

    def __init__(self, count: int = 5, shape=(90, 120), labelled: bool = True, planes: bool = False) -> None:
        self.count, self.shape, self.labelled, self.planes = count, shape, labelled, planes

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        height, width = self.shape
        x, y = int(rng.integers(0, width - 30)), int(rng.integers(0, height - 30))
        image = np.zeros((height, width, 3), np.uint8)
        image[y : y + 24, x : x + 30] = 255
        boxes = (
            np.array([[x, y, x + 30, y + 24]], np.float32) if self.labelled else np.zeros((0, 4), np.float32)
        )
        sample = Sample(image, boxes, np.zeros(len(boxes), np.int64), name=str(index), labelled=self.labelled)
        if self.planes:
            sample.depth = np.where(image[..., 0] > 0, 7.0, 50.0).astype(np.float32)
            sample.label_map = (image[..., 0] > 0).astype(np.uint8)
            sample.label_map_names = ("road", "car")
        return sample


class Darker:
    """A stand-in for weather that checks what it is handed and halves the picture."""

    def __init__(self, seen: list | None = None) -> None:
        self.seen = seen if seen is not None else []
        self.parameter = None

    def draw(self, seed: int) -> Darker:
        drawn = Darker(self.seen)
        drawn.parameter = seed
        return drawn

    def __call__(self, image, *, seed, depth=None, label_map=None, class_names=None):
        self.seen.append((seed, depth, label_map))
        return image // 2

    def to_manifest(self, seed: int) -> dict:
        return {"type": "Darker", "params": {"parameter": self.parameter}, "seed": seed}


def test_an_item_depends_on_seed_and_number_alone():
    def build(seed):
        return PairedDataset([Marked(), Marked(7)], 32, Darker(), seed, 50)

    a, b = build(3), build(3)
    for n in (49, 0, 17):  # in another order
        b[n]
    for n in (0, 17, 49):
        x, y = a[n], b[n]
        assert torch.equal(x["clean"], y["clean"]) and torch.equal(x["degraded"], y["degraded"])
        assert torch.equal(x["boxes"], y["boxes"]) and x["weather"] == y["weather"]
    assert any(not torch.equal(a[n]["clean"], build(4)[n]["clean"]) for n in range(5))
    with pytest.raises(IndexError):
        a[50]


def test_shapes_types_and_identity_share():
    data = PairedDataset(Marked(), 32, Darker(), 0, 300, identity_probability=0.2)
    items = [data[n] for n in range(300)]
    for item in items[:20]:
        assert item["degraded"].shape == item["clean"].shape == (3, 32, 32)
        assert item["degraded"].dtype == item["clean"].dtype == torch.uint8
        assert item["boxes"].shape == (len(item["labels"]), 4) and item["labels"].dtype == torch.int64
    same = [item for item in items if item["weather"]["type"] == "Identity"]
    assert 35 <= len(same) <= 90  # 60 expected, standard deviation 7
    assert all(torch.equal(item["clean"], item["degraded"]) for item in same)
    others = [item for item in items if item["weather"]["type"] == "Darker"]
    assert all(torch.equal(item["clean"] // 2, item["degraded"]) for item in others)
    assert len({item["weather"]["params"]["parameter"] for item in others}) == len(others)
    clean_only = PairedDataset(Marked(), 32, None, 0, 3)[1]
    assert torch.equal(clean_only["clean"], clean_only["degraded"])


def test_boxes_lie_on_what_they_mark():
    data = PairedDataset(Marked(20), 48, None, 1, 200, (0.6, 1.6))
    found = 0
    for n in range(200):
        item = data[n]
        white = (item["clean"][0] > 127).numpy()
        for box in item["boxes"].numpy():
            found += 1
            ys, xs = np.nonzero(white)
            np.testing.assert_allclose(box, [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=1.01)
    assert found > 100


def test_crops_hold_boxes_as_often_as_asked():
    def share(probability):
        data = PairedDataset(Marked(20, (200, 300)), 40, None, 1, 200, (1, 1), box_probability=probability)
        return np.mean([len(data[n]["boxes"]) > 0 for n in range(200)])

    assert share(1.0) == 1.0
    assert share(0.0) < 0.3
    assert share(0.0) + 0.25 < share(0.7) < 0.95


def test_depth_and_label_map_go_along():
    seen: list = []
    data = PairedDataset(Marked(9, planes=True), 32, Darker(seen), 0, 30, (0.7, 1.4), identity_probability=0)
    for n in range(30):
        item = data[n]
        _, depth, label_map = seen[-1]
        white = item["clean"][0].numpy()
        assert depth.shape == label_map.shape == (32, 32)
        for sure, metres, label in ((white == 255, 7.0, 1), (white == 0, 50.0, 0)):  # not its blurred border
            assert (depth[sure] == metres).mean() > 0.9 if sure.any() else True
            assert (label_map[depth == metres] == label).all()


def test_crop_sample_known_numbers():
    image = np.arange(100, dtype=np.uint8).reshape(10, 10)[..., None].repeat(3, 2)
    boxes = np.array([[2, 2, 8, 6], [0, 0, 3, 3], [7, 7, 10, 10]], np.float32)
    sample = Sample(image, boxes, np.array([0, 1, 2]), depth=image[..., 0].astype(np.float32))
    crop = crop_sample(sample, (2, 2, 4), 8)  # scale 2; shows columns and rows 2..5
    np.testing.assert_array_equal(crop.boxes, [[0, 0, 8, 8]])  # keeps 16 of 24; the second keeps 1 of 9
    np.testing.assert_array_equal(crop.labels, [0])
    np.testing.assert_array_equal(crop.depth[::2, ::2], image[2:6, 2:6, 0])
    whole = crop_sample(sample, (0, 0, 10), 10, flip=True)
    np.testing.assert_array_equal(whole.image, image[:, ::-1])
    np.testing.assert_array_equal(whole.depth, image[:, ::-1, 0])
    np.testing.assert_array_equal(whole.boxes, [[2, 2, 8, 6]])  # the other two have sides below 4 pixels
    big = crop_sample(sample, (0, 0, 10), 20, flip=True)
    np.testing.assert_array_equal(big.boxes, [[4, 4, 16, 12], [14, 0, 20, 6], [0, 14, 6, 20]])


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 90), width=st.integers(1, 90), size=st.integers(8, 64),
    low=st.floats(0.05, 4), more=st.floats(1, 4), n=st.integers(0, 9),
)  # fmt: skip
def test_any_size_gives_full_crops(height, width, size, low, more, n):
    class Any:
        classes = ("thing",)

        def __len__(self):
            return 1

        def __getitem__(self, index):
            boxes = np.array([[0, 0, width, height]], np.float32)
            return Sample(np.full((height, width, 3), 200, np.uint8), boxes, np.zeros(1, np.int64))

    item = PairedDataset(Any(), size, None, 0, 10, (low, low * more))[n]
    assert item["clean"].shape == (3, size, size)
    assert (item["clean"] == 200).all()  # no border was put on
    boxes = item["boxes"]
    assert (boxes >= 0).all() and (boxes <= size).all() and (boxes[:, 2:] - boxes[:, :2] >= 4).all()


def test_weights_choose_sources():
    data = PairedDataset([Marked(3), Marked(3, labelled=False)], 32, None, 0, 200, weights=(1, 3))
    share = np.mean([data[n]["labelled"] for n in range(200)])
    assert 0.14 < share < 0.36
    never = PairedDataset([Marked(3), Marked(3, labelled=False)], 32, None, 0, 50, weights=(1, 0))
    assert all(never[n]["labelled"] for n in range(50))
    unlabelled = PairedDataset(Marked(3, labelled=False), 32, None, 0, 5)[0]
    assert unlabelled["labelled"] is False and len(unlabelled["boxes"]) == 0


def test_long_side_scales_the_picture_first():
    data = PairedDataset(Marked(4, (90, 120)), 32, None, 0, 20, (1, 1), long_side=240, box_probability=1)
    boxes = torch.cat([data[n]["boxes"] for n in range(20)])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.max() > 31  # 30 pixels became 60, more than the crop
    assert (sides.max(0).values - 32).abs().max() < 1.01


def test_collate():
    data = PairedDataset([Marked(), Marked(labelled=False)], 32, Darker(), 0, 8)
    batch = collate([data[n] for n in range(8)])
    assert batch["degraded"].shape == batch["clean"].shape == (8, 3, 32, 32)
    assert batch["labelled"].dtype == torch.bool and batch["labelled"].shape == (8,)
    assert len(batch["boxes"]) == len(batch["labels"]) == len(batch["weather"]) == 8


def test_workers_give_the_same_batches():
    data = PairedDataset(Marked(), 32, Darker(), 5, 8)
    loaders = [torch.utils.data.DataLoader(data, 4, num_workers=k, collate_fn=collate) for k in (0, 2)]
    for a, b in zip(*loaders, strict=True):
        assert torch.equal(a["degraded"], b["degraded"]) and a["weather"] == b["weather"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(size=4), "at least 8"),
        (dict(length=0), "at least 1"),
        (dict(resize=(2, 1)), "low <= high"),
        (dict(resize=(0, 1)), "low <= high"),
        (dict(identity_probability=1.5), "identity_probability"),
        (dict(weights=(1, 2)), "weights"),
        (dict(weights=(0,)), "weights"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        PairedDataset(Marked(), **arguments)


def test_empty_sources_and_bad_effects_are_refused():
    with pytest.raises(ValueError, match="must hold pictures"):
        PairedDataset([])
    with pytest.raises(ValueError, match="must hold pictures"):
        PairedDataset([Marked(0)])

    class Wrong(Darker):
        def draw(self, seed):
            return self

        def __call__(self, image, **_):
            return image[:-1]

    with pytest.raises(ValueError, match=r"\(31, 32, 3\)"):
        PairedDataset(Marked(), 32, Wrong(), identity_probability=0)[0]


@pytest.mark.parametrize("name", ["haze", "rain", "mixed"])
def test_weather_replays_from_its_manifest(name):
    from unirestore.degradations import WeatherMixture, from_manifest

    data = PairedDataset(Marked(), 48, WeatherMixture(name), 0, 6)
    differs = 0
    for n in range(6):
        item = data[n]
        effect, seed = from_manifest(item["weather"])
        clean = item["clean"].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(effect(clean, seed=seed), item["degraded"].permute(1, 2, 0).numpy())
        differs += not torch.equal(item["clean"], item["degraded"])
    assert differs >= 4


@pytest.mark.parametrize("resize", [(1.0, 1.0), (0.6, 3.0)])
def test_batches_hold_the_depth_of_the_crop_in_its_own_metres(resize):
    """The near thing is white: at whatever scale and side, white is 7 m and black 50 m, never between or rescaled."""
    pairs = PairedDataset([Marked(planes=True)], 32, None, 0, 12, resize, flip_probability=0.5, depth=True)
    batch = collate([pairs[n] for n in range(12)])
    assert batch["depth"].shape == (12, 32, 32) and batch["depth"].dtype == torch.float32
    white = batch["clean"][:, 0].float()
    sure = (white < 2) | (white > 253)  # the rim is mixed by the resize
    expected = torch.where(white > 128, 7.0, 50.0)
    assert set(batch["depth"].unique().tolist()) == {7.0, 50.0}
    assert torch.equal(batch["depth"][sure], expected[sure]) and sure.float().mean() > 0.8
    assert "depth" not in PairedDataset([Marked(planes=True)], 32)[0]
    with pytest.raises(ValueError, match=r"has no depth, which depth=True asks for; name depth in its set"):
        PairedDataset([Marked()], 32, depth=True)[0]


def test_depth_is_guessed_from_the_label_map():
    from unirestore.degradations.depth import from_label_map

    class Labelled(Marked):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            sample.depth = None
            return sample

    seen: list = []
    PairedDataset(Labelled(planes=True), 32, Darker(seen), 0, 3, identity_probability=0)[0]
    _, depth, label_map = seen[0]
    assert depth.shape == label_map.shape and depth.dtype == np.float32
    assert np.isfinite(depth).all() and depth.min() > 0
    assert depth.shape == from_label_map(label_map, ("road", "car"), 0).shape


def test_candidates_of_the_degraded_crop_come_along():
    from unirestore.classical import clahe, dark_channel_prior

    dataset = PairedDataset(Marked(2), size=64, degradation=Darker(), candidates=["clahe", "dcp"], seed=1)
    batch = collate([dataset[0], dataset[1]])
    assert batch["candidates"].shape == (2, 2, 3, 64, 64) and batch["candidates"].dtype == torch.uint8
    seen = batch["degraded"][1].permute(1, 2, 0).numpy()
    for slot, restore in enumerate((clahe, dark_channel_prior)):
        assert np.array_equal(batch["candidates"][1, slot].permute(1, 2, 0).numpy(), restore(seen))
    with pytest.raises(ValueError, match="unknown candidates"):
        PairedDataset(Marked(2), candidates=["sharpen"])
