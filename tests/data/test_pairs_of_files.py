"""Pairs of one's own: a folder of clean photos and one of their degraded twins."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from unirestore.data import ObjectCrops, PairedDataset, PhotoFolder, load_eval_set, named_photos
from unirestore.training import build_pairs


def write(path, level: int, shape=(60, 80)) -> None:
    """A picture with a gradient, so that crops and flips can be told apart, `level` darker."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    picture = np.stack([2 * columns, 3 * rows, np.full(shape, 200)], -1) - level
    cv2.imwrite(str(path), picture.clip(0, 255).astype(np.uint8)[..., ::-1])


@pytest.fixture
def folders(tmp_path):
    """Three clean pictures; two have two degraded twins each, one has none."""
    for name in ("1", "1_2", "3"):
        write(tmp_path / "clean" / f"{name}.png", 0)
    for name, level in (("1_a", 20), ("1", 10), ("1_2_a", 30), ("1_2_b", 40)):
        write(tmp_path / "bad" / f"{name}.png", level)
    return tmp_path / "clean", tmp_path / "bad"


def partners(folder: PhotoFolder) -> dict[str, str]:
    return {folder.name(i): folder.path(i).name for i in range(len(folder))}


def test_each_degraded_photo_finds_the_picture_with_the_longest_fitting_name(folders):
    clean, bad = folders
    pairs = PhotoFolder(clean, degraded=bad)
    assert partners(pairs) == {
        "1.png": "1.png", "1_a.png": "1.png", "1_2_a.png": "1_2.png", "1_2_b.png": "1_2.png",
    }  # fmt: skip
    levels = {pairs[i].name: int(pairs[i].image[0, 0, 2]) - int(pairs[i].degraded[0, 0, 2]) for i in range(4)}
    assert levels == {"1.png": 10, "1_a.png": 20, "1_2_a.png": 30, "1_2_b.png": 40}


def test_sub_folders_and_suffixes(tmp_path):
    for town in ("a", "b"):
        write(tmp_path / "clean" / town / "x_GT.png", 0)
        write(tmp_path / "bad" / town / "x_hazy_1.png", 10)
    write(tmp_path / "clean" / "c" / "y_GT.png", 0)
    write(tmp_path / "bad" / "y_hazy.png", 10)
    pairs = PhotoFolder(tmp_path / "clean", degraded=tmp_path / "bad", degraded_suffix=("_GT", "_hazy"))
    assert {pairs.name(i): str(pairs.path(i).relative_to(tmp_path / "clean")) for i in range(3)} == {
        "a/x_hazy_1.png": "a/x_GT.png",
        "b/x_hazy_1.png": "b/x_GT.png",
        "y_hazy.png": "c/y_GT.png",  # by its name alone
    }
    write(tmp_path / "bad" / "x_hazy.png", 10)  # two pictures are called x
    with pytest.warns(UserWarning, match=r"1 of 4 photos belong to no picture .* x_hazy\.png"):
        assert (
            len(PhotoFolder(tmp_path / "clean", degraded=tmp_path / "bad", degraded_suffix=("_GT", "_hazy")))
            == 3
        )


def test_a_name_that_two_pictures_share_is_not_taken_for_a_shorter_one(tmp_path):
    for name in ("a/1_2", "b/1_2", "1"):
        write(tmp_path / "clean" / f"{name}.png", 0)
    for name in ("1_2", "1_3", "a/1_2"):
        write(tmp_path / "bad" / f"{name}.png", 10)
    with pytest.warns(UserWarning, match=r"1 of 3 photos belong to no picture .* 1_2\.png"):
        pairs = PhotoFolder(tmp_path / "clean", degraded=tmp_path / "bad")
    assert {pairs.name(i): pairs.path(i).relative_to(tmp_path / "clean").as_posix() for i in range(len(pairs))} == {
        "1_3.png": "1.png", "a/1_2.png": "a/1_2.png",
    }  # fmt: skip


def test_what_does_not_fit_is_said(folders, tmp_path):
    clean, bad = folders
    write(tmp_path / "others" / "7.png", 0)
    with pytest.raises(FileNotFoundError, match=r"none of its 1 photos .* 7\.png; .*degraded_suffix"):
        PhotoFolder(clean, degraded=tmp_path / "others")
    with pytest.raises(FileNotFoundError, match="no such folder of degraded photos"):
        PhotoFolder(clean, degraded=tmp_path / "absent")
    write(bad / "3.png", 0, shape=(60, 70))
    pairs = PhotoFolder(clean, degraded=bad)
    with pytest.raises(
        ValueError, match=r"3\.png: the picture is \(60, 80\) but its degraded twin is \(60, 70\)"
    ):
        pairs[len(pairs) - 1]


def test_crops_are_cut_from_both_at_the_same_place_and_get_no_weather(folders):
    clean, bad = folders

    class Never:
        def draw(self, seed):
            raise AssertionError("own pairs get no weather")

    items = PairedDataset(
        PhotoFolder(clean, degraded=bad), size=32, length=24, degradation=Never(), identity_probability=0.25
    )
    same = 0
    for n in range(24):
        item = items[n]
        if torch.equal(item["clean"], item["degraded"]):
            same += 1
            assert item["weather"]["type"] == "Identity"
            continue
        assert item["weather"]["type"] == "Pair"
        away = (
            item["clean"][2].float() - item["degraded"][2].float()
        )  # blue is even: the twin is darker throughout
        assert float(away.min()) == float(away.max()) in (10, 20, 30, 40)
        gradients = [item[key][0].float().diff(dim=1).mean() for key in ("clean", "degraded")]
        assert gradients[0] * gradients[1] > 0  # mirrored both or neither
    assert 0 < same < 16


def test_what_the_builder_of_pairs_makes_is_read(folders):
    from unirestore.degradations.dataset_builder import PairBuilder

    clean, _ = folders
    out = clean.parent / "made"
    PairBuilder(source=clean, out=out, recipe="second_order", seed=7, copies=2).build(workers=1)
    entry = dict(data_root=str(out), images="clean", degraded="degraded")
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    wanted = {line["out"].removeprefix("degraded/"): line["clean"].removeprefix("clean/") for line in lines}
    assert partners(load_eval_set(entry)) == wanted and len(wanted) == 6
    items = build_pairs(sources=[dict(set=entry)], size=32, length=12, identity_probability=0.0)
    assert {items[n]["weather"]["type"] for n in range(12)} == {"Pair"}


def test_boxes_limit_and_objects_of_a_set_of_pairs(folders):
    clean, _ = folders
    images = [
        {"id": n, "file_name": f"{name}.png", "width": 80, "height": 60}
        for n, name in enumerate(("1", "1_2"))
    ]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [10, 10, 40, 30]} for n in range(2)]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "car"}]}
    (clean.parent / "boxes.json").write_text(json.dumps(content))
    entry = dict(
        data_root=str(clean.parent), images="clean", degraded="bad", annotations="boxes.json", classes=["car"]
    )
    pairs = load_eval_set(entry)
    assert len(pairs) == 4 and all(len(pairs[i].boxes) == 1 for i in range(4))
    assert partners(load_eval_set(entry, limit=1)) == {"1.png": "1.png"}
    one = {
        **content,
        "images": images[:1],
        "annotations": boxes[:1],
    }  # a split without 1_2: its twins are not of 1
    (clean.parent / "one.json").write_text(json.dumps(one))
    assert partners(load_eval_set({**entry, "annotations": "one.json"})) == {
        "1.png": "1.png",
        "1_a.png": "1.png",
    }
    build = dict(size=32, length=4, identity_probability=0.0)
    plain = {key: value for key, value in entry.items() if key != "annotations"}
    items = build_pairs(sources=[dict(set=plain, boxes=str(clean.parent / "one.json"))], **build)
    assert items[0]["labelled"] and items[0]["weather"]["type"] == "Pair"
    assert [name for name, _ in named_photos(clean)] == ["1.png", "1_2.png", "3.png"]
    objects = load_eval_set({**entry, "objects": dict(smallest=10)})
    assert isinstance(objects, ObjectCrops) and objects.degraded is not None
    assert objects[0].degraded.shape == objects[0].image.shape != (60, 80, 3)
    with pytest.raises(ValueError, match="categories has no degraded twins"):
        load_eval_set(dict(data_root=str(clean.parent), images="clean", degraded="bad", format="categories"))
