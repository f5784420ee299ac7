"""VOC folders: pixel counting from 1, difficult objects, splits, class names, clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from unirestore.data import VocFolder

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations").mkdir()
    objects = {
        "b": [("motorbike", 0, 1, 1, 10, 8), ("person", 1, 3, 4, 6, 9), ("dog", 0, 1, 1, 4, 4)],
        "a": [("car", 0, 5, 6, 20, 12)],
    }
    for stem, found in objects.items():
        Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(tmp_path / "JPEGImages" / f"{stem}.png")
        text = "".join(OBJECT.format(*row) for row in found)
        (tmp_path / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{text}</annotation>")
    return tmp_path


def test_boxes_and_labels(folder):
    names = dict(motorbike="motorcycle")
    source = VocFolder(folder / "JPEGImages", folder / "Annotations", label_names=names)
    assert [source.name(i) for i in range(2)] == ["a.png", "b.png"]
    np.testing.assert_array_equal(source[0].boxes, [[4, 5, 20, 12]])
    sample = source[1]
    np.testing.assert_array_equal(sample.boxes, [[0, 0, 10, 8]])
    assert [source.classes[label] for label in sample.labels] == ["motorcycle"]
    np.testing.assert_array_equal(sample.crowd_boxes, [[2, 3, 6, 9]])


def test_split_and_limit(folder):
    (folder / "test.txt").write_text("b\n\na 1\n")
    known = dict(images=folder / "JPEGImages", annotations=folder / "Annotations")
    assert [r.path for r in VocFolder(**known, split=folder / "test.txt").records] == ["b.png", "a.png"]
    assert len(VocFolder(**known, limit=1)) == 1
    with pytest.raises(FileNotFoundError, match="no such list"):
        VocFolder(**known, split=folder / "no.txt")
    (folder / "test.txt").write_text("c\n")
    with pytest.raises(FileNotFoundError, match=r"c\.xml"):
        VocFolder(**known, split=folder / "test.txt")


def test_errors_say_what_is_wrong(folder, tmp_path):
    with pytest.raises(ValueError, match=r"car, dog, motorbike, person.*zebra"):
        VocFolder(folder / "JPEGImages", folder / "Annotations", classes=("zebra",))
    with pytest.raises(FileNotFoundError, match="VOC annotations"):
        VocFolder(folder / "JPEGImages", tmp_path / "no")
    with pytest.raises(FileNotFoundError, match="images"):
        VocFolder(folder / "no", folder / "Annotations")
    (folder / "Annotations" / "a.xml").write_text(
        "<annotation><object><name>car</name></object></annotation>"
    )
    with pytest.raises(ValueError, match=r"a\.xml.*not a Pascal VOC"):
        VocFolder(folder / "JPEGImages", folder / "Annotations")
    (folder / "Annotations" / "a.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match=r"a\.xml"):
        VocFolder(folder / "JPEGImages", folder / "Annotations")
