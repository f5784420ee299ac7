"""What training a detector and training a segmentor on clean pictures share: build, vary, learn, save.

The restoration stages need a frozen network that was trained on clean data. A good judge has seen all sorts of cameras
but no weather: give it pairs with `weather=dict(name="mixed", clean=1.0)`, which are noisy and compressed, and let
`jitter` vary contrast, brightness and colour. Licence: Apache-2.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseModel, is_model_wrapper
from safetensors.torch import save_file
from torch import Tensor, nn

from .checkpoints import load_weights
from .frozen import build_network, read_config

__all__ = ["DownstreamStage", "ExportNetwork", "jittered"]

JITTER = {"contrast": (0.35, 1.25), "saturation": (0.3, 1.3), "brightness": (-0.2, 0.2)}


class DownstreamStage(BaseModel):
    """A network that learns from the `degraded` half of `unirestore.data.paired` batches with its own loss.

    Subclasses say `scope` (the mm package) and turn a batch's annotations into data samples.

    Args:
        config: mm config of the network; its own preprocessor and loss are used.
        classes: names that the batches' annotations index; the head must have as many.
        start_from: checkpoint to start from; tensors of other names or shapes (a head with other classes) are left
            as initialised.
        jitter: vary every picture; True for `JITTER`, or ranges for some of its keys: factors for contrast and
            saturation, a shift in [-1, 1] for brightness.
        seed: of the jitter; item `index` always gets the same.
        norm_eval: batch norms keep their statistics, as mmdet's backbones have it: for a trained network and small
            batches, whose own statistics can be far from those that it learned with.

    Raises:
        ValueError: the head has another number of classes, or `jitter` names something else.
    """

    scope: ClassVar[str]

    def __init__(
        self,
        config: str | Path,
        *,
        classes: Sequence[str],
        start_from: str | Path | None = None,
        jitter: bool | Mapping[str, tuple[float, float]] = True,
        seed: int = 0,
        norm_eval: bool = False,
    ) -> None:
        super().__init__()
        self.norm_eval = norm_eval
        ranges = {} if isinstance(jitter, bool) else dict(jitter)
        if unknown := sorted(ranges.keys() - JITTER.keys()):
            raise ValueError(f"jitter has {', '.join(unknown)}; known are {', '.join(JITTER)}")
        self.jitter, self.seed = {**JITTER, **ranges} if jitter else None, seed
        self.classes = tuple(classes)
        model = read_config(config).model
        self.network: nn.Module = build_network(model, self.scope)
        self.network.init_weights()
        count = self.head_classes()
        if count != len(self.classes):
            raise ValueError(f"the network's head has {count} classes, but {len(self.classes)} are given")
        if start_from is not None:
            weights, _ = load_weights(start_from)
            own = self.network.state_dict()
            fitting = {
                name: value
                for name, value in weights.items()
                if name in own and own[name].shape == value.shape
            }
            self.network.load_state_dict(fitting, strict=False)
            print_log(f"{len(fitting)} of {len(own)} tensors start from {start_from}", "current")

    def train(self, mode: bool = True) -> DownstreamStage:
        """Batch norms stay in eval mode where `norm_eval` says so."""
        super().train(mode)
        if self.norm_eval:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def head_classes(self) -> int:
        """How many classes the head has."""
        raise NotImplementedError

    def samples(self, pictures: Tensor, **batch: Any) -> list[Any]:
        """The mm package's data samples of a batch; `pictures` `(B, 3, S, S)`."""
        raise NotImplementedError

    def forward(self, degraded: Tensor, index: Tensor, mode: str = "loss", **batch: Any) -> dict[str, Any]:
        """The network's own losses on `degraded` `(B, 3, S, S)` uint8 RGB with the annotations of the batch."""
        pictures = degraded.float()
        if self.jitter:
            pictures = jittered_batch(pictures, index, self.seed, self.jitter)
        inputs = list(pictures.flip(1))  # BGR 0-255, as mmdet and mmseg load it
        samples = self.samples(pictures, **batch)
        ready = self.network.data_preprocessor({"inputs": inputs, "data_samples": samples}, True)
        return self.network.loss(ready["inputs"].contiguous(), ready["data_samples"])


def jittered_batch(
    pictures: Tensor, index: Tensor, seed: int, ranges: Mapping[str, tuple[float, float]]
) -> Tensor:
    """`(B, 3, S, S)`, each `jittered` by its own draw: that of `seed` and of its place in `index` `(B,)`."""
    places = zip(pictures, index.tolist(), strict=True)
    return torch.stack([jittered(x, seed * 1_000_003 + n, **ranges) for x, n in places])


def jittered(
    picture: Tensor,
    seed: int,
    *,
    contrast: tuple[float, float] = JITTER["contrast"],
    saturation: tuple[float, float] = JITTER["saturation"],
    brightness: tuple[float, float] = JITTER["brightness"],
) -> Tensor:
    """`(3, S, S)` RGB 0-255 with contrast, saturation and brightness drawn from `seed`, clamped."""
    low, high = torch.tensor([contrast, saturation, brightness]).unbind(1)
    draw = torch.rand(3, generator=torch.Generator().manual_seed(seed))
    factor, colour, shift = (low + draw * (high - low)).tolist()
    grey = picture.mean(0, keepdim=True)
    picture = grey + colour * (picture - grey)
    mean = picture.mean()
    return (mean + factor * (picture - mean) + 255 * shift).clamp(0, 255)


class ExportNetwork(Hook):
    """After the last step: `work_dir/file`, in half precision, with the class names in its header.

    A tensor that half precision cannot hold, such as the variance of a first layer that sees 0 to 255, stays as it is.
    """

    priority = "LOW"
    file: ClassVar[str]

    def after_train(self, runner) -> None:
        """Saves on the first rank."""
        if runner.rank:
            return
        stage = runner.model.module if is_model_wrapper(runner.model) else runner.model
        path = Path(runner.work_dir) / self.file
        state = stage.network.state_dict()
        if not all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
            raise ValueError(f"{path}: weights are not finite; lower the learning rate")
        state = {name: _halved(value).contiguous() for name, value in state.items()}
        fresh = path.with_suffix(".partial")
        save_file(state, fresh, metadata={"classes": json.dumps(stage.classes)})
        fresh.replace(path)
        runner.logger.info(f"weights saved to {path}")


def _halved(value: Tensor) -> Tensor:
    """In half precision, where that holds every number of it."""
    halved = value.half() if value.is_floating_point() else value
    return halved if torch.isfinite(halved).all() else value
