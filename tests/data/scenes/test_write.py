"""Written scenes: what is read back is what was rendered; a folder is whole or absent; it is cached."""

from __future__ import annotations

import json

import numpy as np
import pytest

from unirestore.data import SCENE_CLASSES, SCENE_LABELS, CocoFolder, render_scene, write_scenes
from unirestore.data.scenes import write


def test_what_is_read_is_what_was_rendered(tmp_path):
    folder = write_scenes(tmp_path / "set", 3, seed=20, size=64)
    known = dict(depth=folder / "depth", label_maps=folder / "labels", label_map_names=SCENE_LABELS)
    source = CocoFolder(folder / "images", folder / "annotations.json", **known)
    assert len(source) == 3
    for i in range(3):
        scene, sample = render_scene(20 + i, 64), source[i]
        np.testing.assert_array_equal(sample.image, scene.image)
        np.testing.assert_allclose(sample.boxes, scene.boxes, atol=1e-4)
        np.testing.assert_array_equal(sample.labels, scene.labels)
        np.testing.assert_array_equal(sample.label_map, scene.label_map)
        np.testing.assert_allclose(sample.depth, scene.depth, atol=0.0051)


def test_pycocotools_reads_it(tmp_path):
    coco_module = pytest.importorskip("pycocotools.coco")
    folder = write_scenes(tmp_path / "set", 2, size=64, suffix=".jpg")
    coco = coco_module.COCO(str(folder / "annotations.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(SCENE_CLASSES)
    assert sorted(p.name for p in (folder / "images").iterdir()) == ["000000.jpg", "000001.jpg"]
    total = sum(len(render_scene(i, 64).boxes) for i in range(2))
    assert len(coco.getAnnIds()) == total > 0


def test_it_is_made_once_and_again_when_asked_for_something_else(tmp_path):
    folder = write_scenes(tmp_path / "set", 2, size=64)
    stamp = (folder / "annotations.json").stat().st_mtime_ns
    write_scenes(folder, 2, size=64)
    write_scenes(folder, 1, size=64, at_least=True)
    assert (folder / "annotations.json").stat().st_mtime_ns == stamp
    write_scenes(folder, 1, size=64)
    assert len(json.loads((folder / "annotations.json").read_text())["images"]) == 1
    write_scenes(folder, 1, seed=5, size=64)
    assert json.loads((folder / "annotations.json").read_text())["info"]["seed"] == 5
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    calls = []

    def failing(seed, size):
        calls.append(seed)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return render_scene(seed, size)

    monkeypatch.setattr(write, "render_scene", failing)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "set", 5, size=64)
    assert list(tmp_path.iterdir()) == []
    old = write_scenes(tmp_path / "set", 1, size=64)  # a good one stays when its successor fails
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        write_scenes(old, 5, size=64)
    assert len(json.loads((old / "annotations.json").read_text())["images"]) == 1


def test_somebody_elses_folder_is_not_touched(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="something else"):
        write_scenes(tmp_path / "set", 1, size=64)
    assert (tmp_path / "set" / "photo.jpg").read_bytes() == b"mine"
    (tmp_path / "empty").mkdir()
    assert (write_scenes(tmp_path / "empty", 1, size=64) / "annotations.json").is_file()


def test_arguments_are_checked(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        write_scenes(tmp_path / "set", 0)
    with pytest.raises(ValueError, match=r"\.bmp"):
        write_scenes(tmp_path / "set", 1, suffix=".bmp")


def test_processes_write_the_same_files(tmp_path):
    alone = write_scenes(tmp_path / "alone", 3, seed=4, size=64)
    together = write_scenes(tmp_path / "together", 3, seed=4, size=64, workers=2)
    files = sorted(path.relative_to(alone) for path in alone.rglob("*") if path.is_file())
    assert len(files) == 10
    assert all((alone / name).read_bytes() == (together / name).read_bytes() for name in files)
    with pytest.raises(ValueError, match="workers"):
        write_scenes(tmp_path / "bad", 1, workers=-1)
