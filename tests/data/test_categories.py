"""A folder a class, and boxes cut out: categories, names and planes are right; what is missing is named."""

import numpy as np
import pytest
from PIL import Image

from unirestore.data import CategoryFolder, ObjectCrops, PairedDataset, collate, load_eval_set


@pytest.fixture
def root(tmp_path):
    for name, count in (("bus", 3), ("car", 1)):
        (tmp_path / name / "deep").mkdir(parents=True)
        for k in range(count):
            Image.new("RGB", (20 + k, 30), (k, 0, 0)).save(tmp_path / name / "deep" / f"{k}.png")
    (tmp_path / "car" / "notes.txt").write_text("no picture")
    return tmp_path


def test_folders_are_classes_and_a_limit_takes_of_each(root):
    folder = CategoryFolder(root)
    assert folder.classes == ("bus", "car") and len(folder) == 4
    assert [folder[k].category for k in range(4)] == [0, 1, 0, 0]
    assert folder[1].name == "car/deep/0.png" and folder[2].image.shape == (30, 21, 3)
    assert [CategoryFolder(root, limit=2)[k].category for k in range(2)] == [0, 1]
    assert CategoryFolder(root, classes=["car", "bus"])[0].category == 0
    entry = dict(images=root.name, data_root=str(root.parent), format="categories")
    assert len(load_eval_set(entry, limit=3)) == 3


def test_what_is_missing_is_named(root):
    with pytest.raises(FileNotFoundError, match="no folder for tram; there are bus, car"):
        CategoryFolder(root, classes=["tram"])
    with pytest.raises(FileNotFoundError, match="no such folder"):
        CategoryFolder(root / "nowhere")
    (root / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no pictures in empty"):
        CategoryFolder(root, classes=["empty"])


def test_boxes_become_square_pictures_with_their_label(tmp_path):
    scenes = load_eval_set("scenes_val", tmp_path, limit=3)
    crops = ObjectCrops(scenes, smallest=16, margin=0.0)
    large = [
        (photo, number)
        for photo in range(3)
        for number, box in enumerate(scenes[photo].boxes)
        if min(box[2] - box[0], box[3] - box[1]) >= 16
    ]
    assert len(crops) == len(large) > 0 and crops.classes == scenes.classes
    for k, (photo, number) in enumerate(large):
        whole, crop = scenes[photo], crops[k]
        x1, y1, x2, y2 = whole.boxes[number]
        side = min(round(max(x2 - x1, y2 - y1)), 256)
        assert abs(crop.image.shape[0] - side) <= 1 and crop.depth.shape == crop.image.shape[:2]
        assert crop.category == whole.labels[number] and crop.name == f"{whole.name}#{number}"
        centre = whole.image[int((y1 + y2) / 2), int((x1 + x2) / 2)]
        assert (crop.image == centre).all(axis=2).any()
    with pytest.raises(ValueError, match="none of the boxes"):
        ObjectCrops(scenes, smallest=500)
    with pytest.raises(ValueError, match="margin"):
        ObjectCrops(scenes, margin=-1)
    assert len(load_eval_set("scenes_objects_val", tmp_path, limit=2)) == 2


def test_pairs_carry_the_category(root):
    pairs = PairedDataset(CategoryFolder(root), size=16, long_side=16, resize=(1.0, 1.0), seed=3)
    batch = collate([pairs[n] for n in range(4)])
    assert batch["category"].tolist() == [int(name.startswith("car")) for name in batch["name"]]
    assert np.all(batch["degraded"].shape == (4, 3, 16, 16))
