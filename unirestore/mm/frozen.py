"""What the frozen networks of mmdet and mmseg share: built from a config, loaded exactly, never trained.

UniRestore's second stage (section 3.4) trains through the loss of a frozen downstream network. What differs from
mmengine's inferencers: it is differentiable in the images and answers in the caller's class indices. Convolution and
batch norm are fused and mmcv's ``Swish`` becomes ``nn.SiLU`` (the same function), which changes outputs by rounding
only. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import mmdet.utils
import mmseg.utils
import numpy as np
import torch
from mmcv.cnn import fuse_conv_bn
from mmcv.cnn.bricks.swish import Swish
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from .checkpoints import load_weights
from .class_names import detector_class_names, head_class_count

__all__ = ["FrozenNetwork", "build_network", "check_picture", "load_exactly", "read_config"]


class FrozenNetwork(nn.Module):
    """An mm network in eval mode with frozen weights, differentiable in its input images.

    Subclasses say `scope` (the mm package) and, for training through them, `truth`: which entries of a batch of
    `unirestore.data.paired` their `loss_and_features(images, **truth)` takes.

    Args:
        config: an mm config: a path, ``package::folder/name`` of an installed package, or a ``Config``.
        checkpoint: ``.pth`` or ``.safetensors`` with the weights; ``None`` leaves random weights (for tests).
        classes: the caller's class names in the caller's order; labels in and out are indices into it.
        own_classes: the network's class names in its own order, where neither checkpoint nor config says them.
        fuse: fuse convolution and batch norm and use ``nn.SiLU``.

    Raises:
        FileNotFoundError: config or checkpoint is not there.
        ValueError: the weights do not fit the config, or a class of ``classes`` is unknown to the network.
    """

    scope: ClassVar[str]
    truth: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None,
        classes: Sequence[str],
        *,
        own_classes: Sequence[str] | None = None,
        fuse: bool = True,
    ) -> None:
        super().__init__()
        self.classes = tuple(classes)
        config = read_config(config)
        model_config = deepcopy(config.model)
        self._pipeline_is_rgb = bool((model_config.get("data_preprocessor") or {}).get("rgb_to_bgr", False))
        network = build_network(model_config, self.scope)
        meta: dict[str, Any] = {}
        if checkpoint is not None:
            weights, meta = load_weights(checkpoint)
            load_exactly(network, weights, checkpoint)
        self.own_classes = detector_class_names(
            head_class_count(network), given=own_classes, meta=meta, config=config, fallback=self.classes
        )
        unknown = [name for name in self.classes if name not in self.own_classes]
        if unknown:
            raise ValueError(
                f"the {self.kind} does not know {', '.join(unknown)}; it knows "
                f"{', '.join(self.own_classes)}. Use its names in `classes`"
            )
        ours_to_theirs = torch.tensor([self.own_classes.index(name) for name in self.classes])
        theirs_to_ours = torch.full((len(self.own_classes),), -1)
        theirs_to_ours[ours_to_theirs] = torch.arange(len(self.classes))
        self.register_buffer("_ours_to_theirs", ours_to_theirs, persistent=False)
        self.register_buffer("_theirs_to_ours", theirs_to_ours, persistent=False)
        if fuse:
            network = _with_silu(fuse_conv_bn(network.eval()))
        self.network = network.to(memory_format=torch.channels_last)
        self.requires_grad_(False)
        self.train(False)

    @property
    def kind(self) -> str:
        """What messages call it."""
        return "segmentor" if self.scope == "mmseg" else "detector"

    def train(self, mode: bool = True) -> FrozenNetwork:
        """Stays in eval mode whatever ``mode`` says: batch statistics must never follow restored pictures."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._ours_to_theirs.device

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the neck, or of the backbone where there is no neck.

        Args:
            images: ``(B, 3, H, W)`` RGB in [0, 1], any size; padded right and bottom to the network's divisor.

        Returns:
            one ``(B, C, H/s, W/s)`` tensor per stride ``s``, differentiable in ``images``.
        """
        inputs, _ = self._prepare(images, None)
        return tuple(self.network.extract_feat(inputs))

    def _loss_and_features(
        self, inputs: Tensor, samples: list[Any]
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """The network's own loss terms, and what `features` gives, from one pass of backbone and neck."""
        last = self.network.neck if self.network.with_neck else self.network.backbone
        seen: list[Any] = []
        handle = last.register_forward_hook(lambda module, args, output: seen.append(output))
        try:
            terms = self.network.loss(inputs, samples)
        finally:
            handle.remove()
        losses = {
            name: sum(term) if isinstance(term, (list, tuple)) else term
            for name, term in terms.items()
            if "loss" in name
        }
        return {name: term.mean() for name, term in losses.items()}, tuple(seen[0])

    def _prepare(self, images: Tensor, samples: list[Any] | None) -> tuple[Tensor, list[Any]]:
        """RGB in [0, 1] through the network's own preprocessor (its channel order, mean, std, divisor)."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"images are {tuple(images.shape)}; the {self.kind} takes (B, 3, H, W) RGB in [0, 1]"
            )
        loaded = images if self._pipeline_is_rgb else images.flip(1)  # as a pipeline loads it
        ready = self.network.data_preprocessor({"inputs": loaded * 255, "data_samples": samples}, False)
        return ready["inputs"].contiguous(memory_format=torch.channels_last), ready["data_samples"]


def build_network(model_config: Any, scope: str) -> nn.Module:
    """An mmdet or mmseg model from its config, on the CPU; synchronised batch norm becomes plain batch norm."""
    package = {"mmdet": mmdet, "mmseg": mmseg}[scope]
    for each in (mmdet, mmseg):  # a segmentor may have a backbone of mmdet's
        each.utils.register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope(scope):
        return revert_sync_batchnorm(package.registry.MODELS.build(model_config))


def read_config(config: str | Path | Config) -> Config:
    """An mmengine ``Config`` from a path, from ``package::folder/name``, or as it is."""
    if isinstance(config, Config):
        return config
    text = str(config)
    if "::" in text:
        return get_config(text if text.endswith(".py") else text + ".py")
    if not Path(text).is_file():
        raise FileNotFoundError(f"no config at {text}; give a path, mmdet::folder/name or mmseg::folder/name")
    return Config.fromfile(text)


def check_picture(image: np.ndarray) -> None:
    """Raises ValueError for what is not a uint8 ``(H, W, 3)`` picture."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"a picture is {image.dtype} {image.shape}; predict takes uint8 (H, W, 3) RGB")


def load_exactly(network: nn.Module, weights: dict[str, Tensor], source: str | Path) -> None:
    """Load weights and refuse a file that does not fit."""
    own = network.state_dict()
    wrong = [name for name in weights if name in own and own[name].shape != weights[name].shape]
    missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    surplus = [name for name in weights if name not in own and not name.startswith("data_preprocessor.")]
    if wrong or missing or surplus:
        first = (wrong + missing + surplus)[0]
        raise ValueError(
            f"{source} does not fit the config: {len(wrong)} tensors of another shape, {len(missing)} "
            f"missing, {len(surplus)} unknown (first: {first}). Give the config that the checkpoint was "
            "trained with"
        )
    network.load_state_dict(weights, strict=False)


def _with_silu(module: nn.Module) -> nn.Module:
    """Replace every mmcv ``Swish`` by ``nn.SiLU``: same function, one kernel instead of two."""
    for name, child in module.named_children():
        if isinstance(child, Swish):
            setattr(module, name, nn.SiLU())
        else:
            _with_silu(child)
    return module
