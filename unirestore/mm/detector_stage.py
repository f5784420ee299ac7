"""Trains a detector on clean pictures: the frozen judge of the default run. Any mmdet detector, any set of pairs.

The restoration stages need a detector that was trained on clean data. For the procedural scenes there is none to
download, so this trains one from the same pairs, with the same loop and checkpoints as every other stage.
Licence: Apache-2.0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS as DETECTORS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.registry import HOOKS, MODELS, DefaultScope
from mmengine.structures import InstanceData
from safetensors.torch import save_file
from torch import Tensor, nn

from .checkpoints import load_weights
from .downstream import read_config

__all__ = ["DetectorStage", "ExportDetector"]


@MODELS.register_module()
class DetectorStage(BaseModel):
    """An mmdet detector that learns from the `degraded` half of `unirestore.data.paired` batches.

    A good judge has seen all sorts of cameras but no weather: give it pairs with `weather=dict(name="mixed",
    clean=1.0)`, which are noisy and compressed, and let `jitter` vary contrast, brightness and colour.

    Args:
        detector: mmdet config, as for `FrozenDetector`; its own preprocessor and loss are used.
        classes: names that the batches' labels index; the head must have as many.
        start_from: checkpoint to start from; tensors of other shapes (a head with other classes) are left as
            initialised.
        jitter: vary contrast (0.35 to 1.25), saturation (0.3 to 1.3) and brightness (+-0.2) of every picture.
        seed: of the jitter; item `index` always gets the same.

    Raises:
        ValueError: the head has another number of classes.
    """

    def __init__(
        self,
        *,
        detector: str | Path,
        classes: Sequence[str],
        start_from: str | Path | None = None,
        jitter: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.jitter, self.seed = jitter, seed
        register_all_modules(init_default_scope=False)
        config = read_config(detector)
        with DefaultScope.overwrite_default_scope("mmdet"):
            self.detector: nn.Module = DETECTORS.build(config.model)
            self.detector.init_weights()
        self.classes = tuple(classes)
        heads = config.model.get("bbox_head", {}).get("num_classes", len(self.classes))
        if heads != len(self.classes):
            raise ValueError(f"the detector's head has {heads} classes, but {len(self.classes)} are given")
        if start_from is not None:
            weights, _ = load_weights(start_from)
            own = self.detector.state_dict()
            fitting = {
                name: value
                for name, value in weights.items()
                if name in own and own[name].shape == value.shape
            }
            self.detector.load_state_dict(fitting, strict=False)
            print_log(f"{len(fitting)} of {len(own)} tensors start from {start_from}", "current")

    def forward(
        self,
        degraded: Tensor,
        boxes: list[Tensor],
        labels: list[Tensor],
        index: Tensor,
        mode: str = "loss",
        **batch: Any,
    ) -> dict[str, Any]:
        """The detector's own losses on `degraded` `(B, 3, S, S)` uint8 RGB with `boxes` xyxy and `labels`."""
        pictures = degraded.float()
        if self.jitter:
            pictures = torch.stack(
                [
                    jittered(x, self.seed * 1_000_003 + n)
                    for x, n in zip(pictures, index.tolist(), strict=True)
                ]
            )
        samples = []
        for found, names in zip(boxes, labels, strict=True):
            shape = tuple(pictures.shape[-2:])
            sample = DetDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0)))
            sample.gt_instances = InstanceData(bboxes=found.float(), labels=names)
            samples.append(sample)
        inputs = list(pictures.flip(1))  # BGR 0-255, as mmdet loads it
        ready = self.detector.data_preprocessor({"inputs": inputs, "data_samples": samples}, True)
        return self.detector.loss(ready["inputs"].contiguous(), ready["data_samples"])


def jittered(picture: Tensor, seed: int) -> Tensor:
    """`(3, S, S)` RGB 0-255 with contrast, saturation and brightness drawn from `seed`, clamped."""
    low, high = torch.tensor([0.35, 0.3, -0.2]), torch.tensor([1.25, 1.3, 0.2])
    draw = torch.rand(3, generator=torch.Generator().manual_seed(seed))
    contrast, saturation, brightness = (low + draw * (high - low)).tolist()
    grey = picture.mean(0, keepdim=True)
    picture = grey + saturation * (picture - grey)
    mean = picture.mean()
    return (mean + contrast * (picture - mean) + 255 * brightness).clamp(0, 255)


@HOOKS.register_module()
class ExportDetector(Hook):
    """After the last step: `work_dir/detector.safetensors`, in half precision, with the class names in its header."""

    priority = "LOW"

    def after_train(self, runner) -> None:
        """Saves on the first rank."""
        if runner.rank:
            return
        stage = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state = {
            name: (value.half() if value.is_floating_point() else value).contiguous()
            for name, value in stage.detector.state_dict().items()
        }
        path = Path(runner.work_dir) / "detector.safetensors"
        if not all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
            raise ValueError(f"{path}: weights are not finite; lower the learning rate")
        fresh = path.with_suffix(".partial")
        save_file(state, fresh, metadata={"classes": json.dumps(stage.classes)})
        fresh.replace(path)
        runner.logger.info(f"detector saved to {path}")
