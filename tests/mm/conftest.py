"""Parts that the tests of the seam share: a small real detector, restorers whose effect is known exactly."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

pytest.importorskip("mmdet")
pytest.importorskip("mmcv")

import unirestore.mm  # noqa: F401

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")


class Gain(nn.Module):
    """A restorer with one weight per channel: known output, known gradient."""

    def __init__(self, gain: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.mix = nn.Conv2d(3, 3, 1, bias=False)  # a layer that a weight initialisation would hit
        with torch.no_grad():
            self.mix.weight.copy_(torch.eye(3)[:, :, None, None])
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: torch.Tensor, task: str = "ir") -> torch.Tensor:
        self.last_seen = images.detach()
        return self.dropout(self.mix(images)) * self.gain[:, None, None]


@pytest.fixture
def gain_restorer():
    return Gain


@pytest.fixture(scope="session")
def nano_model() -> dict:
    """Model part of mmdet's YOLOX-nano with six classes."""
    from mmengine.hub import get_config

    model = get_config("mmdet::yolox/yolox_nano_8xb8-300e_coco.py").model.to_dict()
    model["bbox_head"]["num_classes"] = len(CLASSES)
    model["data_preprocessor"].pop("batch_augments")
    return model


@pytest.fixture
def restoring_nano(nano_model):
    """Builds YOLOX-nano with a restoring preprocessor; keywords are those of the preprocessor."""
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict
    from mmengine.registry import DefaultScope

    def build(**keys):
        model = ConfigDict(copy.deepcopy(nano_model))
        model["data_preprocessor"].update(type="RestorationDetDataPreprocessor", **keys)
        with DefaultScope.overwrite_default_scope("mmdet"):
            return MODELS.build(model)

    return build


@pytest.fixture
def make_batch():
    """Builds a batch as mmdet's loader gives it: random pictures of given sizes on grey 114 canvases."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    def make(sizes=((48, 64), (64, 40)), canvas=64, seed=0):
        generator = torch.Generator().manual_seed(seed)
        inputs, samples = [], []
        for height, width in sizes:
            image = torch.full((3, canvas, canvas), 114, dtype=torch.uint8)
            image[:, :height, :width] = torch.randint(
                0, 256, (3, height, width), dtype=torch.uint8, generator=generator
            )
            inputs.append(image)
            meta = {
                "img_shape": (canvas, canvas),
                "ori_shape": (height * 2, width * 2),
                "scale_factor": (0.5, 0.5),
            }
            sample = DetDataSample(metainfo=meta)
            sample.gt_instances = InstanceData(
                bboxes=torch.tensor([[4.0, 4.0, width - 4.0, height - 4.0]]), labels=torch.tensor([2])
            )
            samples.append(sample)
        return {"inputs": inputs, "data_samples": samples}

    return make
