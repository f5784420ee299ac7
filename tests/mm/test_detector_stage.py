"""The stage that trains the default run's detector: it starts, learns, varies its pictures by item, and is saved."""

import json

import pytest
import torch

pytest.importorskip("mmdet")

from mmengine.config import Config
from mmengine.runner import Runner
from safetensors import safe_open

import unirestore.mm
import unirestore.training  # noqa: F401
from unirestore.data import SCENE_CLASSES
from unirestore.mm.detector_stage import DetectorStage
from unirestore.mm.downstream import FrozenDetector
from unirestore.mm.downstream_stage import jittered

MODEL = "configs/_base_/scenes_detector_model.py"


def batch(index=(0, 1)):
    generator = torch.Generator().manual_seed(0)
    return dict(
        degraded=torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=generator),
        boxes=[torch.tensor([[8.0, 8.0, 40.0, 40.0]]), torch.zeros(0, 4)],
        labels=[torch.tensor([2]), torch.zeros(0, dtype=torch.long)],
        index=torch.tensor(index),
    )


def test_jitter_depends_on_the_seed_alone_and_stays_in_range():
    picture = torch.rand(3, 16, 16) * 255
    assert torch.equal(jittered(picture, 5), jittered(picture, 5))
    assert not torch.equal(jittered(picture, 5), jittered(picture, 6))
    assert all(jittered(picture, s).min() >= 0 and jittered(picture, s).max() <= 255 for s in range(20))


def test_losses_are_finite_and_follow_the_item():
    stage = DetectorStage(detector=MODEL, classes=SCENE_CLASSES)
    losses = stage(**batch())
    assert all(torch.isfinite(value).all() for value in losses.values())
    other = stage(**batch(index=(7, 9)))
    assert torch.equal(losses["loss_obj"], stage(**batch())["loss_obj"])
    assert not torch.equal(losses["loss_obj"], other["loss_obj"])


@pytest.mark.parametrize("kept", [True, False])
def test_batch_norms_keep_their_statistics_where_asked(kept):
    stage = DetectorStage(detector=MODEL, classes=SCENE_CLASSES, norm_eval=kept).train()
    before = {name: value.clone() for name, value in stage.named_buffers() if "running" in name}
    losses = stage(**batch())
    sum(value.sum() for value in losses.values()).backward()
    same = [torch.equal(value, before[name]) for name, value in stage.named_buffers() if name in before]
    assert len(same) > 50 and all(same) == kept
    assert stage.network.backbone.stem.conv.bn.weight.grad is not None  # scale and shift learn all the same


def test_a_head_with_other_classes_is_refused():
    with pytest.raises(ValueError, match="head has 6 classes, but 2 are given"):
        DetectorStage(detector=MODEL, classes=("car", "bus"))


def test_a_run_ends_with_a_detector_that_a_measurement_takes(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIRESTORE_DATA", str(tmp_path / "data"))
    config = Config.fromfile("configs/scenes_detector.py")
    config.work_dir = str(tmp_path / "run")
    config.merge_from_dict(
        {
            "train_cfg.max_iters": 10,
            "param_scheduler.0.total_steps": 10,
            "param_scheduler.0.pct_start": 0.3,
            "train_dataloader.batch_size": 2,
            "train_dataloader.num_workers": 0,
            "train_dataloader.persistent_workers": False,
            "train_dataloader.dataset.size": 64,
            "train_dataloader.dataset.sources": [dict(set="scenes_train", limit=4)],
        }
    )
    Runner.from_cfg(config).train()
    saved = tmp_path / "run" / "detector.safetensors"
    with safe_open(saved, "pt") as file:
        assert json.loads(file.metadata()["classes"]) == list(SCENE_CLASSES)
    detector = FrozenDetector(MODEL, saved, SCENE_CLASSES, input_size=64)
    again = DetectorStage(detector=MODEL, classes=SCENE_CLASSES, start_from=saved)
    name = "backbone.stem.conv.conv.weight"
    with safe_open(saved, "pt") as file:
        assert torch.equal(again.network.state_dict()[name], file.get_tensor(name).float())
    assert len(detector.predict([torch.zeros(64, 48, 3, dtype=torch.uint8).numpy()])) == 1
