"""Five detector families on the supplied operators: each builds from mmdet's config, trains a step, predicts.

Widths are shrunk until a step takes a fraction of a second; no weights are loaded.
"""

from __future__ import annotations

import sys

import pytest
import torch

pytest.importorskip("mmdet")

import unirestore.mm  # noqa: F401

from mmdet.registry import MODELS  # isort: skip
from mmdet.structures import DetDataSample  # isort: skip
from mmdet.utils import register_all_modules  # isort: skip
from mmengine.config import Config  # isort: skip
from mmengine.model import revert_sync_batchnorm  # isort: skip
from mmengine.optim import OptimWrapper  # isort: skip
from mmengine.structures import InstanceData  # isort: skip
from torchvision.ops import box_iou  # isort: skip

CLASSES = 3
RESNET = dict(depth=18, base_channels=8, init_cfg=None, frozen_stages=-1, norm_cfg=dict(type="BN"))
RESNET_CHANNELS = [8, 16, 32, 64]
CSP_CHANNELS = [32, 64, 128]

# detector -> config of mmdet, what is changed in its `model`
DETECTORS = {
    "faster_rcnn": (
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        dict(
            backbone=RESNET,
            neck=dict(in_channels=RESNET_CHANNELS, out_channels=16),
            rpn_head=dict(in_channels=16, feat_channels=16),
            roi_head=dict(
                bbox_roi_extractor=dict(out_channels=16),
                bbox_head=dict(in_channels=16, fc_out_channels=32, num_classes=CLASSES),
            ),
            train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50)),
            test_cfg=dict(rpn=dict(nms_pre=100, max_per_img=50), rcnn=dict(score_thr=0.0)),
        ),
    ),
    "retinanet": (
        "retinanet/retinanet_r50_fpn_1x_coco.py",
        dict(
            backbone=RESNET,
            neck=dict(in_channels=RESNET_CHANNELS, out_channels=16),
            bbox_head=dict(in_channels=16, feat_channels=16, stacked_convs=1, num_classes=CLASSES),
            test_cfg=dict(nms_pre=100, score_thr=0.0),
        ),
    ),
    "fcos": (
        "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
        dict(
            backbone=RESNET,
            neck=dict(in_channels=RESNET_CHANNELS, out_channels=32),
            bbox_head=dict(in_channels=32, feat_channels=32, stacked_convs=1, num_classes=CLASSES),
            test_cfg=dict(nms_pre=100, score_thr=0.0),
        ),
    ),
    "yolox": (
        "yolox/yolox_tiny_8xb8-300e_coco.py",
        dict(
            backbone=dict(widen_factor=0.125),
            neck=dict(in_channels=CSP_CHANNELS, out_channels=32),
            bbox_head=dict(in_channels=32, feat_channels=32, num_classes=CLASSES),
            data_preprocessor=dict(batch_augments=None),
            test_cfg=dict(score_thr=0.0),
        ),
    ),
    "rtmdet": (
        "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        dict(
            backbone=dict(widen_factor=0.125, init_cfg=None),
            neck=dict(in_channels=CSP_CHANNELS, out_channels=32),
            bbox_head=dict(in_channels=32, feat_channels=32, num_classes=CLASSES),
            test_cfg=dict(nms_pre=100, score_thr=0.0),
        ),
    ),
}
NMS_THRESHOLD = {"faster_rcnn": 0.5, "retinanet": 0.5, "fcos": 0.5, "yolox": 0.65, "rtmdet": 0.65}


def build(name: str) -> torch.nn.Module:
    register_all_modules()
    path, changes = DETECTORS[name]
    config = Config.fromstring(f"_base_ = 'mmdet::{path}'", ".py")
    config.merge_from_dict(dict(model=changes))
    model = MODELS.build(config.model)
    model.init_weights()
    return revert_sync_batchnorm(model)


def batch() -> dict:
    """Two photos of different sizes with two boxes each, as a mmdet pipeline hands them over."""
    samples, inputs = [], []
    for height, width in ((96, 128), (128, 112)):
        inputs.append(torch.randint(0, 256, (3, height, width), dtype=torch.uint8))
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(height, width),
                ori_shape=(height, width),
                pad_shape=(height, width),
                scale_factor=(1.0, 1.0),
                img_id=len(samples),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[10.0, 12, 60, 70], [40, 30, 100, 90]]), labels=torch.tensor([0, 2])
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


# box outputs whose bias is raised, and to what: untrained, these detectors predict boxes too small to overlap
LARGE = {"multi_level_conv_reg": 2.0, "rtm_reg": 3.0, "head.conv_reg": 3.0}


def make_boxes_large(model: torch.nn.Module) -> None:
    for key, value in model.named_parameters():
        for output, size in LARGE.items():
            if output in key and key.endswith("bias"):
                torch.nn.init.constant_(value, size)


@pytest.fixture
def suppressed(monkeypatch) -> list[int]:
    """Number of boxes that each call of the operator ``nms`` dropped."""
    extension = sys.modules["mmcv._ext"]
    real, counts = extension.nms, []

    def counting(boxes, scores, *args, **kwargs):
        kept = real(boxes, scores, *args, **kwargs)
        counts.append(len(boxes) - len(kept))
        return kept

    monkeypatch.setattr(extension, "nms", counting)
    return counts


@pytest.mark.parametrize("name", DETECTORS)
def test_detector_trains_a_step_and_predicts(name, suppressed):
    model = build(name).train()
    before = {key: value.clone() for key, value in model.named_parameters()}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))

    logs = model.train_step(batch(), optimizer)

    assert "loss" in logs and all(value.isfinite().all() for value in logs.values())
    moved = [key for key, value in model.named_parameters() if not torch.equal(value, before[key])]
    assert all(value.isfinite().all() for value in model.parameters())
    for part in ("backbone", "neck", "head"):
        assert any(part in key for key in moved), f"nothing in {part} was trained"

    make_boxes_large(model)
    model.eval()
    data = batch()
    with torch.no_grad():
        results = model.test_step(data)
    assert len(results) == 2
    assert sum(suppressed) > 0, "no box was suppressed, so the test says nothing about NMS"
    for image, result in zip(data["inputs"], results):
        found = result.pred_instances
        assert len(found) > 0
        height, width = image.shape[1:]
        if name != "yolox":  # which does not clip
            assert found.bboxes.min() >= 0
            assert (found.bboxes <= torch.tensor([width, height, width, height])).all()
        assert (found.scores.diff() <= 0).all()
        for label in range(CLASSES):
            boxes = found.bboxes[found.labels == label]
            # clipping at the border comes after suppression
            inside = ((boxes[:, :2] > 0).all(1)) & ((boxes[:, 2:] < torch.tensor([width, height])).all(1))
            overlaps = box_iou(boxes[inside], boxes[inside]).fill_diagonal_(0)
            assert not (overlaps > NMS_THRESHOLD[name] + 1e-4).any()


def test_second_stage_of_faster_rcnn_teaches_the_backbone_through_roi_align():
    model = build("faster_rcnn").train()
    ready = model.data_preprocessor(batch(), True)
    features = model.extract_feat(ready["inputs"])
    proposals = [
        InstanceData(bboxes=torch.tensor([[12.0, 12, 58, 66], [0, 0, 20, 20]]), scores=torch.ones(2))
        for _ in range(2)
    ]
    losses = model.roi_head.loss(features, proposals, ready["data_samples"])
    losses["loss_cls"].backward()
    slope = model.backbone.conv1.weight.grad
    assert slope.isfinite().all() and slope.abs().sum() > 0
