"""COCO folders: boxes against pycocotools, class mapping, what lies beside the pictures, clear errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from unirestore.data import CocoFolder
from unirestore.data.images import write_depth


@pytest.fixture
def folder(tmp_path):
    """Two pictures of 40 x 30; one has a crowd, an unknown class, an empty box and one that is cut."""
    (tmp_path / "images" / "sub").mkdir(parents=True)
    for name in ("one.png", "sub/two.png"):
        Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(tmp_path / "images" / name)
    content = dict(
        images=[
            dict(id=7, file_name="one.png", width=40, height=30),
            dict(id=9, file_name="sub/two.png", width=40, height=30),
        ],
        categories=[
            dict(id=1, name="person"),
            dict(id=3, name="car"),
            dict(id=5, name="motorbike"),
            dict(id=8, name="cat"),
        ],
        annotations=[
            dict(id=1, image_id=7, category_id=3, bbox=[5, 6, 10, 8], iscrowd=0),
            dict(id=2, image_id=7, category_id=8, bbox=[1, 1, 9, 9], iscrowd=0),
            dict(id=3, image_id=7, category_id=1, bbox=[30, 20, 50, 50], iscrowd=0),
            dict(id=4, image_id=7, category_id=1, bbox=[0, 0, 20, 20], iscrowd=1),
            dict(id=5, image_id=7, category_id=3, bbox=[3, 3, 0, 5], iscrowd=0),
            dict(id=6, image_id=7, category_id=5, bbox=[2, 2, 6, 6]),
        ],
    )
    (tmp_path / "ann.json").write_text(json.dumps(content))
    return tmp_path


def test_boxes_and_labels(folder):
    source = CocoFolder(folder / "images", folder / "ann.json", label_names=dict(motorbike="motorcycle"))
    sample = source[0]
    np.testing.assert_array_equal(sample.boxes, [[5, 6, 15, 14], [30, 20, 40, 30], [2, 2, 8, 8]])
    assert [source.classes[label] for label in sample.labels] == ["car", "person", "motorcycle"]
    np.testing.assert_array_equal(sample.crowd_boxes, [[0, 0, 20, 20]])
    assert (sample.boxes.dtype, sample.labels.dtype) == (np.float32, np.int64)
    assert (sample.name, sample.image_id, sample.labelled) == ("one.png", 7, True)
    assert source[1].boxes.shape == (0, 4)
    assert (len(source), len(CocoFolder(folder / "images", folder / "ann.json", limit=1))) == (2, 1)


def test_a_class_can_be_left_out(folder):
    source = CocoFolder(folder / "images", folder / "ann.json", label_names=dict(person=None))
    assert source[0].labels.tolist() == [source.classes.index("car")]


def test_unlabelled_gives_no_boxes(folder):
    assert len(CocoFolder(folder / "images", folder / "ann.json", labelled=False)[0].boxes) == 0
    plain = CocoFolder(folder / "images")
    assert [plain.name(i) for i in range(2)] == ["one.png", "sub/two.png"]
    assert plain[0].labelled is False
    listed = CocoFolder([folder / "images" / "one.png"])
    assert len(listed) == 1 and listed[0].image.shape == (30, 40, 3)


def test_depth_and_label_maps_beside(folder):
    for name in ("depth", "maps"):
        (folder / name / "sub").mkdir(parents=True)
    for stem in ("one", "sub/two"):
        write_depth(folder / "depth" / f"{stem}.png", np.full((30, 40), 12.5))
        Image.fromarray(np.full((30, 40), 2, np.uint8)).save(folder / "maps" / f"{stem}.png")
    known = dict(depth=folder / "depth", label_maps=folder / "maps", label_map_names=("a", "b", "c"))
    sample = CocoFolder(folder / "images", folder / "ann.json", **known)[1]
    assert (sample.depth == 12.5).all() and (sample.label_map == 2).all()
    assert sample.label_map_names == ("a", "b", "c")
    with pytest.raises(ValueError, match="label_map_names"):
        CocoFolder(folder / "images", label_maps=folder / "maps")
    write_depth(folder / "depth" / "one.png", np.full((3, 4), 12.5))
    with pytest.raises(ValueError, match=r"\(30, 40\).*\(3, 4\)"):
        CocoFolder(folder / "images", **known)[0]
    (folder / "maps" / "one.png").unlink()
    (folder / "depth" / "one.png").unlink()
    with pytest.raises(FileNotFoundError, match="one"):
        CocoFolder(folder / "images", **known)[0]


def test_errors_say_what_is_wrong(folder, tmp_path):
    images, ann = folder / "images", folder / "ann.json"
    with pytest.raises(ValueError, match=r"person, car, motorbike, cat.*label_names"):
        CocoFolder(images, ann, classes=("zebra",))
    with pytest.raises(FileNotFoundError, match="no such folder of images"):
        CocoFolder(tmp_path / "nowhere", ann)
    with pytest.raises(FileNotFoundError, match="no such annotation file"):
        CocoFolder(images, tmp_path / "no.json")
    with pytest.raises(ValueError, match="not a list"):
        CocoFolder([images / "one.png"], ann)
    with pytest.raises(IndexError, match="2 of 2"):
        CocoFolder(images, ann)[2]
    (tmp_path / "bad.json").write_text('{"images": [')
    with pytest.raises(ValueError, match=r"bad\.json.*not a COCO json"):
        CocoFolder(images, tmp_path / "bad.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match="not a COCO json"):
        CocoFolder(images, tmp_path / "list.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures"):
        CocoFolder(tmp_path / "empty")
    (images / "one.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 pictures are missing.*one\.png"):
        CocoFolder(images, ann)


def test_a_stray_annotation_is_reported(folder):
    content = json.loads((folder / "ann.json").read_text())
    content["annotations"].append(dict(id=99, image_id=1234, category_id=1, bbox=[0, 0, 5, 5]))
    (folder / "ann.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"annotation 99.*1234"):
        CocoFolder(folder / "images", folder / "ann.json")


@pytest.mark.shared
def test_real_photos_agree_with_pycocotools(shared):
    coco_module = pytest.importorskip("pycocotools.coco")
    root = shared / "data" / "dawn"
    if not root.is_dir():
        pytest.skip(f"no DAWN at {root}")
    source = CocoFolder(root, root / "annotations" / "fog.json")
    reference = coco_module.COCO(str(root / "annotations" / "fog.json"))
    assert len(source) == len(reference.getImgIds())
    for index in (0, 40, 149):
        sample = source[index]
        found = reference.loadAnns(reference.getAnnIds(imgIds=sample.image_id))
        expected = np.array([a["bbox"] for a in found], np.float32)
        expected[:, 2:] += expected[:, :2]
        height, width = sample.image.shape[:2]
        np.testing.assert_allclose(sample.boxes, expected.clip(0, [width, height] * 2), atol=1e-3)
        assert (width, height) == tuple(reference.imgs[sample.image_id][k] for k in ("width", "height"))
