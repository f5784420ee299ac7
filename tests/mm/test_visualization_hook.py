from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("mmdet")

from mmdet.models.test_time_augs import DetTTAModel
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import HOOKS
from mmengine.structures import InstanceData

from unirestore.mm import RestoredVisualizationHook, restored_photo


def prediction(path, shape):
    sample = DetDataSample(metainfo={"img_path": str(path), "ori_shape": shape})
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[8.0, 8.0, 40.0, 40.0]]), scores=torch.tensor([0.9]), labels=torch.tensor([2])
    )
    return sample


@pytest.fixture
def visualizer(monkeypatch):
    """Records what would be drawn."""
    drawn = []

    def add_datasample(name, image, **keys):
        drawn.append((name, image.copy(), keys))
        if keys["out_file"]:
            cv2.imwrite(keys["out_file"], image[..., ::-1])

    recorder = SimpleNamespace(add_datasample=add_datasample, drawn=drawn, _vis_backends={})
    monkeypatch.setattr(
        "mmdet.engine.hooks.visualization_hook.Visualizer",
        SimpleNamespace(get_current_instance=lambda: recorder),
    )
    return recorder


def test_boxes_are_drawn_on_the_restored_photo_at_its_own_size(
    restoring_nano, gain_restorer, make_batch, visualizer, tmp_path
):
    batch = make_batch(sizes=((48, 64), (64, 40)))
    model = restoring_nano(restorer=gain_restorer((0.5, 0.5, 0.5))).eval()
    runner = SimpleNamespace(model=model, work_dir=str(tmp_path), timestamp="now", iter=0)
    hook = RestoredVisualizationHook(draw=True, test_out_dir="drawn")
    outputs = [prediction(tmp_path / "a.png", (96, 128)), prediction(tmp_path / "b.png", (128, 80))]
    hook.after_test_iter(runner, 0, batch, outputs)
    hook.after_test_iter(runner, 1, batch, outputs)
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["a.png", "b.png"]
    assert (tmp_path / "now/drawn/a.png").is_file()  # one folder, not one inside the other
    assert [image.shape for _, image, _ in visualizer.drawn[:2]] == [(96, 128, 3), (128, 80, 3)]
    expected = np.round(batch["inputs"][0][[2, 1, 0], :48].permute(1, 2, 0).numpy() / np.float32(2)).astype(
        np.uint8
    )
    expected = cv2.resize(expected, (128, 96), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(visualizer.drawn[0][1], expected)


def test_compare_puts_the_degraded_photo_beside_it(
    restoring_nano, gain_restorer, make_batch, visualizer, tmp_path
):
    model = restoring_nano(restorer=gain_restorer((0.0, 0.0, 0.0))).eval()
    runner = SimpleNamespace(model=model, work_dir=str(tmp_path), timestamp="now", iter=0)
    hook = HOOKS.build(
        {"type": "RestoredVisualizationHook", "draw": True, "test_out_dir": "drawn", "compare": True}
    )
    hook.after_test_iter(
        runner, 0, make_batch(sizes=((48, 64),)), [prediction(tmp_path / "a.png", (96, 128))]
    )
    pair = cv2.imread(str(tmp_path / "now/drawn/a.png"))
    assert pair.shape == (96, 256, 3) and pair[:, :128].mean() > 100 and pair[:, 128:].max() == 0


def test_validation_draws_every_nth_batch_and_off_means_off(
    restoring_nano, gain_restorer, make_batch, visualizer, tmp_path
):
    runner = SimpleNamespace(model=restoring_nano(restorer=gain_restorer()).eval(), iter=0)
    batch, outputs = make_batch(), [prediction(tmp_path / "a.png", (96, 128))]
    hook = RestoredVisualizationHook(draw=True, interval=2)
    for index in range(4):
        hook.after_val_iter(runner, index, batch, outputs)
    assert [keys["step"] for _, _, keys in visualizer.drawn] == [0, 2]
    silent = RestoredVisualizationHook(draw=False)
    silent.after_val_iter(runner, 0, batch, outputs)
    silent.after_test_iter(runner, 0, batch, outputs)
    assert len(visualizer.drawn) == 2


def test_of_the_views_of_test_time_augmentation_the_unflipped_is_drawn(
    restoring_nano, gain_restorer, make_batch
):
    inner = restoring_nano(restorer=gain_restorer()).eval()
    model = DetTTAModel(module=inner, tta_cfg=ConfigDict(nms={"type": "nms"}, max_per_img=9))
    flipped, plain = make_batch(sizes=((48, 64),)), make_batch(sizes=((48, 64),))
    flipped["inputs"][0] = flipped["inputs"][0].flip(-1)
    flipped["data_samples"][0].set_metainfo({"flip": True, "flip_direction": "horizontal"})
    plain["data_samples"][0].set_metainfo({"flip": False})
    batch = {key: [flipped[key], plain[key]] for key in plain}
    restored, degraded = restored_photo(model, batch, 0, (48, 64))
    expected = plain["inputs"][0][[2, 1, 0], :48].permute(1, 2, 0).numpy()
    assert np.array_equal(restored, expected) and np.array_equal(degraded, expected)


def test_a_model_that_does_not_restore_is_refused(make_batch):
    model = SimpleNamespace(data_preprocessor=torch.nn.Identity())
    with pytest.raises(TypeError, match="restores nothing"):
        restored_photo(model, make_batch(), 0, (48, 64))
