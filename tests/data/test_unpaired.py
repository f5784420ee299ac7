"""Real photos beside pairs: deterministic, without their boxes, and clear where something is missing."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from unirestore.data import BesideReal, PairedDataset, PhotoFolder, collate, open_real


@pytest.fixture
def real(tmp_path):
    """A folder with three photos of one colour each, one of them in a sub-folder."""
    for index, name in enumerate(("a.png", "b.png", "night/c.png")):
        path = tmp_path / "real" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((40 + 10 * index, 60, 3), 60 * (index + 1), np.uint8))
    return tmp_path / "real"


@pytest.fixture
def pairs(tmp_path):
    folder = tmp_path / "clean"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), np.roll(noise, index, 0))
    return PairedDataset(PhotoFolder(folder), size=32, seed=3, length=30)


def test_a_real_crop_stands_beside_each_unchanged_pair(real, pairs):
    items = BesideReal(pairs, open_real(real))
    assert len(items) == 30
    for n in range(30):
        item, pair = items[n], pairs[n]
        assert all(torch.equal(item[key], pair[key]) for key in ("clean", "degraded", "boxes"))
        level = {"a.png": 60, "b.png": 120, "c.png": 180}[item["real_name"].rsplit("/")[-1]]
        assert item["real"].shape == (3, 32, 32) and bool((item["real"] == level).all())
    assert len({items[n]["real_name"] for n in range(30)}) == 3


def test_an_item_depends_on_its_number_and_the_seed_alone(real, pairs):
    first, again = (BesideReal(pairs, open_real(real)) for _ in range(2))
    names = [first[n]["real_name"] for n in range(30)]
    assert [again[n]["real_name"] for n in reversed(range(30))] == names[::-1]
    other = BesideReal(PairedDataset(pairs.sources, size=32, seed=4, length=30), open_real(real))
    assert [other[n]["real_name"] for n in range(30)] != names


def test_real_crops_are_not_drawn_in_step_with_the_clean_ones(pairs):
    """The same photos on both sides: with one seed for both, every item would hold one crop twice."""
    items = BesideReal(pairs, PhotoFolder(pairs.sources[0].root))
    equal = sum(torch.equal(items[n]["real"], items[n]["clean"]) for n in range(30))
    assert equal < 3


def test_a_batch_stacks_them(real, pairs):
    items = BesideReal(pairs, open_real(real))
    batch = collate([items[n] for n in range(3)])
    assert batch["real"].shape == (3, 3, 32, 32) and batch["real"].dtype == torch.uint8
    assert "real" not in collate([pairs[0]])


def test_names_choose_photos(real, tmp_path):
    lists = [tmp_path / "one.txt", tmp_path / "two.txt"]
    lists[0].write_text("night/c.png\n\n")
    lists[1].write_text("a.png\nnight/c.png\n")
    assert [open_real(real, lists[0]).path(0)] == [real / "night/c.png"]
    both = open_real([real], [str(file) for file in lists])
    assert [both.path(i) for i in range(len(both))] == [real / "night/c.png", real / "a.png"]
    assert not both.labelled and len(both[0].boxes) == 0


def found(file, **by_name):
    """Writes boxes as tools/pseudo_label.py does: name of a photo, without its suffix -> its boxes, all `bus`."""
    images = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate(by_name)]
    boxes = [
        {"id": 10 * n + k, "image_id": n, "category_id": 2, "bbox": box}
        for n, its in enumerate(by_name.values())
        for k, box in enumerate(its)
    ]
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}]
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return file


def test_boxes_that_a_detector_found_come_along(real, pairs, tmp_path):
    boxes = found(tmp_path / "boxes.json", a=[[10, 8, 20, 12]], b=[], **{"night/c": [[10, 8, 20, 12]]})
    items = BesideReal(pairs, open_real(real, boxes=boxes))
    batch = collate([items[n] for n in range(30)])
    counts = dict.fromkeys(("a.png", "b.png", "c.png"), 0)
    for name, its_boxes, labels in zip(batch["real_name"], batch["real_boxes"], batch["real_labels"]):
        counts[name.rsplit("/")[-1]] += len(its_boxes)
        assert len(its_boxes) == len(labels) and bool((labels == 1).all())
    assert counts["a.png"] and counts["c.png"] and not counts["b.png"]
    assert "real_boxes" not in collate([BesideReal(pairs, open_real(real))[0]])


def test_boxes_must_be_there_and_cover_the_photos(real, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pseudo_label\.py --restorer"):
        open_real(real, boxes=tmp_path / "absent.json")
    some = found(tmp_path / "some.json", a=[])
    with pytest.raises(ValueError, match=r"some\.json: 2 of 3 photos are not in it, first b\.png"):
        open_real(real, boxes=some)
    (tmp_path / "one.txt").write_text("a.png\n")
    assert open_real(real, tmp_path / "one.txt", some).labelled


def test_boxes_of_a_named_set_are_never_read(monkeypatch, real):
    """A catalog entry with annotations gives photos that nobody labelled."""
    from unirestore.data import unpaired
    from unirestore.data.sample import Sample

    class Labelled(PhotoFolder):
        def __getitem__(self, index: int) -> Sample:
            raise AssertionError("the labelled folder was read")

    monkeypatch.setattr(unpaired, "eval_sets", lambda: {"street": {}})
    monkeypatch.setattr(unpaired, "load_eval_set", lambda name: Labelled(real, labelled=True))
    photos = open_real("street")
    assert len(photos) == 3 and not photos[0].labelled


def test_what_is_missing_is_named(real, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no folder of photos and no named set.*dawn_fog"):
        open_real("nowhere")
    with pytest.raises(FileNotFoundError, match=r"fold\.txt: no such list"):
        open_real(real, tmp_path / "fold.txt")
    (tmp_path / "fold.txt").write_text("a.png\nz.png\n")
    with pytest.raises(ValueError, match=r"1 of its 2 photos are not there, first z\.png.*like a\.png"):
        open_real(real, tmp_path / "fold.txt")
    (tmp_path / "fold.txt").write_text("\n")
    with pytest.raises(ValueError, match="0 of its 0 photos"):
        open_real(real, tmp_path / "fold.txt")
    with pytest.raises(ValueError, match="3 of 6 photos share their name"):
        open_real([real, real], tmp_path / "fold.txt")
