import importlib.util
import json
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("mmdet")

from mmengine.config import Config

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")


@pytest.fixture
def tool(repository):
    spec = importlib.util.spec_from_file_location("tools_test", repository / "tools/test.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def workplace(tmp_path, restoring_nano):
    """Two photos, a config of a few lines on mmdet's own, a checkpoint."""
    rng = np.random.default_rng(0)
    annotations = []
    for index in (1, 2):
        cv2.imwrite(str(tmp_path / f"{index}.png"), rng.integers(0, 256, (80, 128, 3), dtype=np.uint8))
        annotations.append(
            {
                "id": index,
                "image_id": index,
                "category_id": 3,
                "bbox": [9, 9, 60, 40],
                "area": 2400,
                "iscrowd": 0,
            }
        )
    coco = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 80, "width": 128} for i in (1, 2)],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(coco))
    torch.save({"state_dict": restoring_nano(restorer=None).state_dict()}, tmp_path / "nano.pth")
    (tmp_path / "config.py").write_text(f"""
_base_ = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
custom_imports = dict(imports=["unirestore.mm"])
model = dict(
    data_preprocessor=dict(type="RestorationDetDataPreprocessor", restorer=dict(preset="tiny"), task="det"),
    bbox_head=dict(num_classes=6))
steps = [
    dict(type="LoadImageFromFile"),
    dict(type="Degrade", weather="haze"),
    dict(type="Resize", scale=(64, 64), keep_ratio=True),
    dict(type="Pad", pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
test_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(
        data_root={str(tmp_path)!r}, ann_file="annotations.json", data_prefix=dict(img=""), pipeline=steps,
        metainfo=dict(classes={CLASSES})))
test_evaluator = dict(ann_file={str(tmp_path / "annotations.json")!r})
tta_pipeline = None
tta_model = None
""")
    return tmp_path


def options(tool, workplace, *flags):
    return tool.build_config(
        tool.parse_args([str(workplace / "config.py"), str(workplace / "nano.pth"), *flags])
    )


def test_flags_are_worked_into_the_config(tool, workplace):
    config = options(
        tool,
        workplace,
        "--work-dir",
        "w",
        "--show-dir",
        "drawn",
        "--cfg-options",
        "model.data_preprocessor.task=ir",
    )
    assert config.work_dir == "w" and config.load_from.endswith("nano.pth") and config.launcher == "none"
    assert config.model.data_preprocessor.task == "ir"
    hook = config.default_hooks.visualization
    assert (hook.type, hook.draw, hook.test_out_dir) == ("RestoredVisualizationHook", True, "drawn")
    plain = options(
        tool,
        workplace,
        "--show-dir",
        "drawn",
        "--cfg-options",
        "model.data_preprocessor.type=DetDataPreprocessor",
    )
    assert plain.default_hooks.visualization.type == "DetVisualizationHook"
    assert options(tool, workplace).work_dir.endswith("config")


def test_out_must_be_a_pickle(tool, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(["config.py", "weights.pth", "--out", "boxes.json"])
    assert ".pkl" in capsys.readouterr().err


def test_tta_flips_before_padding(tool, workplace):
    config = options(tool, workplace, "--tta")
    steps = config.test_dataloader.dataset.pipeline
    assert [step["type"] for step in steps] == ["LoadImageFromFile", "Degrade", "Resize", "TestTimeAug"]
    rows = [[step["type"] for step in row] for row in steps[-1]["transforms"]]
    assert rows == [["RandomFlip", "RandomFlip"], ["Pad"], ["LoadAnnotations"], ["PackDetInputs"]]
    assert config.model.type == "DetTTAModel" and config.model.module.type == "YOLOX"


def test_the_example_config_builds_a_restoring_detector(repository):
    from mmdet.registry import MODELS
    from mmengine.registry import DefaultScope

    from unirestore.mm import RestorationDetDataPreprocessor

    config = Config.fromfile(repository / "configs/yolox_tiny_restored.py")
    config.model.data_preprocessor.restorer = {"preset": "tiny"}
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(config.model)
    preprocessor = model.data_preprocessor
    assert isinstance(preprocessor, RestorationDetDataPreprocessor) and preprocessor.task == "det"
    assert (
        preprocessor.pad_size_divisor == 32 and preprocessor.batch_augments is not None
    )  # the base config's


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--show-dir", "drawn", "--out", "boxes.pkl"], ["--tta"]])
def test_the_tool_runs(repository, workplace, flags):
    flags = [str(workplace / flag) if flag.endswith(".pkl") else flag for flag in flags]
    done = subprocess.run(
        [sys.executable, str(repository / "tools/test.py"), "config.py", "nano.pth", "--work-dir", "work",
        *flags], cwd=workplace, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "bbox_mAP" in done.stdout + done.stderr
    if "--tta" not in flags:
        drawn = sorted((workplace / "work").rglob("drawn/*.png"))
        assert [path.name for path in drawn] == ["1.png", "2.png"]
        assert cv2.imread(str(drawn[0])).shape[0] == 80
        assert len(pickle.loads((workplace / "boxes.pkl").read_bytes())) == 2
