"""The leaf configs for Cityscapes-like sets: the layout of the archives, train ids, advice where a set is missing."""

import cv2
import numpy as np
import pytest

pytest.importorskip("mmseg")

from mmengine.config import Config

from unirestore.data import load_eval_set
from unirestore.evaluation import SegmentationTask
from unirestore.mm.measure import build_condition
from unirestore.training import build_pairs

LEAVES = ("configs/tfa_seg_foggy_cityscapes.py", "configs/tfa_seg_acdc.py")
CLASSES = tuple(Config.fromfile("configs/_base_/cityscapes_classes.py").cityscapes_classes)
IDS = {3: 255, 7: 0, 9: 255, 23: 10, 26: 13}  # labelIds -> trainIds, as cityscapesScripts has them


def write(folder, name, end, label_end, label_folder):
    label_map = np.repeat(np.repeat(np.array([[23, 23, 3], [26, 7, 9]], np.uint8), 40, 0), 40, 1)
    for path, content in ((folder, np.dstack([label_map * 5] * 3)), (label_folder, label_map)):
        path.mkdir(parents=True, exist_ok=True)
        ending = end if path == folder else label_end
        cv2.imwrite(str(path / f"{name}{ending}.png"), content)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """`UNIRESTORE_DATA` with one photo in each place."""
    monkeypatch.setenv("UNIRESTORE_DATA", str(tmp_path))
    root = tmp_path / "cityscapes"
    for split in ("train", "val"):
        labels = root / "gtFine" / split / "ulm"
        write(root / "leftImg8bit" / split / "ulm", "ulm_0", "_leftImg8bit", "_gtFine_labelIds", labels)
        for beta in ("0.005", "0.01", "0.02"):
            end = f"_leftImg8bit_foggy_beta_{beta}"
            write(root / "leftImg8bit_foggy" / split / "ulm", "ulm_0", end, "_gtFine_labelIds", labels)
    for weather in ("fog", "night", "rain", "snow"):
        photos, labels = (tmp_path / "acdc" / kind / weather / "val" / "GP01" for kind in ("rgb_anon", "gt"))
        write(photos, "GP01_frame_1", "_rgb_anon", "_gt_labelIds", labels)
    return tmp_path


@pytest.mark.parametrize("leaf", LEAVES)
def test_photos_are_measured_in_train_ids(data, leaf):
    config = Config.fromfile(leaf)
    assert tuple(config.measure.segmentor.classes) == CLASSES and config.model.task == "seg"
    task = SegmentationTask(CLASSES)
    for entry in config.measure.conditions.to_dict().values():
        condition = build_condition(**entry, classes=CLASSES)
        assert len(condition.photos) == 1  # one density of fog, not all three
        record = condition.photos[0]
        found = task.label_map(record)
        for label_id, train_id in IDS.items():
            assert set(found[record.label_map == label_id]) == {train_id}


def test_training_crops_are_in_train_ids_and_get_weather(data):
    options = Config.fromfile(LEAVES[0]).train_dataloader.dataset.to_dict()
    options.pop("type")
    pairs = build_pairs(**{**options, "size": 64, "long_side": None, "identity_probability": 0.0})
    item = pairs[0]
    assert set(item["label_map"].unique().tolist()) <= {0, 10, 13, 255}
    assert item["weather"]["type"] != "Identity" and not item["degraded"].equal(item["clean"])


@pytest.mark.parametrize("name", ["foggy_cityscapes_seg_0.02", "acdc_fog"])
def test_a_set_of_another_layout_is_refused_with_advice(tmp_path, monkeypatch, name):
    monkeypatch.setenv("UNIRESTORE_DATA", str(tmp_path))
    for folder in ("leftImg8bit_foggy/val", "gtFine/val"):
        (tmp_path / "cityscapes" / folder).mkdir(parents=True)
    for folder in ("rgb_anon/fog/val", "gt/fog/val"):
        (tmp_path / "acdc" / folder).mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"no picture there matches .*register at http.*Lay them out"):
        load_eval_set(name)
