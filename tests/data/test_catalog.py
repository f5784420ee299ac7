"""Named sets: the configs are sound, a missing set says where to get it, roots move with the environment."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from unirestore.data import SCENE_CLASSES, CocoFolder, eval_sets, load_eval_set
from unirestore.data.catalog import KEYS, resolve_root

NAMES = {
    "dawn_fog", "dawn_rain", "dawn_snow", "dawn_sand", "coco128_train", "coco128_val", "rtts",
    "foggy_cityscapes", "cityscapes_clean",
    "cityscapes_seg_train", "cityscapes_seg_val", "foggy_cityscapes_seg_0.005", "foggy_cityscapes_seg_0.01",
    "foggy_cityscapes_seg_0.02", "acdc_fog", "acdc_night", "acdc_rain", "acdc_snow",
    "camvid_train", "camvid_val", "camvid_test", "scenes_train", "scenes_val", "scenes_test",
}  # fmt: skip


def test_every_set_is_well_formed():
    sets = eval_sets()
    assert set(sets) >= NAMES
    for name, entry in sets.items():
        assert set(entry) <= set(KEYS), name
        assert "DATA_ROOT" in entry["hint"], name
        assert entry["data_root"].startswith("data/"), name
        assert entry["condition"] in {"clean", "fog", "rain", "snow", "sand", "night"}, name
    assert len(sets["coco128_val"]["classes"]) == 80
    assert sets["rtts"]["label_names"] == {"motorbike": "motorcycle"}


def test_seeds_of_the_scene_sets_do_not_meet():
    sets = eval_sets()
    makes = {name: entry["make"] for name, entry in sets.items() if "make" in entry}
    for part in ("train", "val", "test"):  # the same scenes, cut into their objects
        assert makes.pop(f"scenes_objects_{part}") == makes[f"scenes_{part}"]
    small, many = makes.pop("scenes_train"), makes["scenes_many"]
    assert small["seed"] == many["seed"] and small["count"] <= many["count"]  # the same set, and more of it
    spans = sorted((m["seed"], m["seed"] + m["count"]) for m in makes.values())
    assert len(spans) == 3
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("name", sorted(n for n in NAMES if not n.startswith("scenes")))
def test_a_missing_set_says_where_to_get_it(name, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIRESTORE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        load_eval_set(name)
    message = str(error.value)
    assert str(tmp_path) in message and "http" in message and "Lay" in message and "data_root" in message


def test_a_half_present_set_says_what_is_missing(tmp_path):
    (tmp_path / "val2017").mkdir()
    with pytest.raises(FileNotFoundError, match=r"instances_val2017\.json.*cocodataset\.org"):
        load_eval_set("coco128_val", tmp_path)


def test_scenes_are_made_once(tmp_path):
    first = load_eval_set("scenes_val", tmp_path, limit=2)
    assert (len(first), first.condition, first.set_name) == (2, "clean", "scenes_val")
    assert first[0].depth.shape == first[0].image.shape[:2]
    stamp = (tmp_path / "val" / "annotations.json").stat().st_mtime_ns
    assert len(load_eval_set("scenes_val", tmp_path, limit=1)) == 1
    assert (tmp_path / "val" / "annotations.json").stat().st_mtime_ns == stamp


def test_an_entry_as_dict(tmp_path):
    load_eval_set("scenes_val", tmp_path, limit=2)
    entry = dict(
        images="images", annotations="annotations.json", data_root=str(tmp_path / "val"), condition="fog"
    )
    folder = load_eval_set(entry)
    assert isinstance(folder, CocoFolder) and folder.condition == "fog" and folder.classes == SCENE_CLASSES
    assert len(load_eval_set(entry, limit=1)) == 1
    voc = dict(images="images", annotations="images", format="voc", data_root=str(tmp_path / "val"))
    with pytest.raises(ValueError, match="no pictures"):
        load_eval_set(voc)


def test_bad_entries(tmp_path):
    with pytest.raises(KeyError, match="dawn_fog"):
        load_eval_set("dawn")
    with pytest.raises(ValueError, match="imgaes"):
        load_eval_set(dict(imgaes="x"))
    with pytest.raises(ValueError, match="no 'images'"):
        load_eval_set(dict(annotations="x"))
    with pytest.raises(ValueError, match="yolo"):
        load_eval_set(dict(images="x", format="yolo"))


def test_root_moves_with_the_environment(monkeypatch):
    monkeypatch.delenv("UNIRESTORE_DATA", raising=False)
    assert resolve_root("data/dawn") == Path("data/dawn")
    monkeypatch.setenv("UNIRESTORE_DATA", "/far")
    assert resolve_root("data/dawn") == Path("/far/dawn")
    assert resolve_root("other/dawn") == Path("other/dawn")
    assert resolve_root("data/dawn", moved=False) == Path("data/dawn")


@pytest.mark.shared
def test_real_sets_open(shared, monkeypatch):
    monkeypatch.setenv("UNIRESTORE_DATA", str(shared / "data"))
    if not (shared / "data" / "camvid").is_dir():
        pytest.skip("no CamVid")
    camvid = load_eval_set("camvid_val", limit=3)
    sample = camvid[0]
    assert (sample.labelled, sample.label_map.max() <= 11, sample.label_map_names[8]) == (False, True, "car")
    rain = load_eval_set("dawn_rain")
    assert (len(rain), rain.condition) == (100, "rain")
    cars = sum((record.labels == SCENE_CLASSES.index("car")).sum() for record in rain.records)
    assert cars > 0.5 * sum(len(record.labels) for record in rain.records)
