"""A frozen classifier, the downstream task `cls`, and how one is trained on clean pictures.

Any classifier of torchvision or timm through one small adapter. UniRestore's stage 2 (arXiv 2501.13134, section 3.4)
trains through the cross-entropy of a ResNet-50 at 224 px. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import HOOKS, MODELS
from torch import Tensor, nn

from .checkpoints import load_weights
from .downstream_stage import JITTER, ExportNetwork, jittered_batch
from .frozen import check_picture, load_exactly

__all__ = ["ClassifierStage", "ExportClassifier", "FrozenClassifier", "build_classifier"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def build_classifier(config: str | nn.Module, count: int) -> nn.Module:
    """An untrained classifier with `count` classes: a name of `torchvision.models`, `timm:NAME`, or a module as it is.

    Raises ValueError for a name that torchvision does not know, ImportError, naming the package, where timm is missing.
    """
    if isinstance(config, nn.Module):
        return config
    package, _, name = config.rpartition(":")
    if package == "timm":
        try:
            import timm
        except ImportError as error:
            raise ImportError(f"{config} comes from timm: pip install timm") from error
        return timm.create_model(name, pretrained=False, num_classes=count)
    from torchvision.models import get_model, list_models

    if config not in list_models():
        raise ValueError(f"torchvision has no model {config!r}; name another, or timm:NAME")
    return get_model(config, weights=None, num_classes=count)


class Preparation(nn.Module):
    """``(B, 3, H, W)`` RGB in [0, 1], any size -> what a classifier takes: square and normalised."""

    def __init__(self, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.size = (int(size), int(size))
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        resized = F.interpolate(images, size=self.size, mode="bilinear", align_corners=False, antialias=True)
        return (resized - self.mean) / self.std


def check_outputs(network: nn.Module, prepare: Preparation, classes: Sequence[str]) -> None:
    """Raises ValueError unless ``network``, in eval mode from here on, gives a logit for each of ``classes``."""
    with torch.no_grad():
        outputs = network.eval()(prepare(torch.zeros(1, 3, 8, 8, device=prepare.mean.device)))
    if outputs.shape != (1, len(classes)):
        raise ValueError(f"the classifier gives {tuple(outputs.shape)}; there are {len(classes)} classes")


@MODELS.register_module()
class FrozenClassifier(nn.Module):
    """A classifier in eval mode with frozen weights, differentiable in its input images.

    Args:
        config: see `build_classifier`.
        checkpoint: ``.pth`` or ``.safetensors`` with its weights; ``None`` leaves them as built.
        classes: class names in the order of its outputs.
        input_size: side in pixels that pictures are resized to.
        mean, std: of RGB in [0, 1], as the classifier was trained with.

    Raises:
        FileNotFoundError: the checkpoint is not there.
        ValueError: the weights do not fit, or the number of classes is wrong.
    """

    truth: ClassVar[tuple[str, ...]] = ("category",)
    kind = "classifier"

    def __init__(
        self,
        config: str | nn.Module,
        checkpoint: str | Path | None,
        classes: Sequence[str],
        *,
        input_size: int = 224,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.network = build_classifier(config, len(self.classes))
        if checkpoint is not None:
            load_exactly(self.network, load_weights(checkpoint)[0], checkpoint)
        self.prepare = Preparation(input_size, mean, std)
        check_outputs(self.network, self.prepare, self.classes)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> FrozenClassifier:
        """Stays in eval mode whatever ``mode`` says."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` RGB in [0, 1], any size -> logits ``(B, C)``."""
        return self.network(self.prepare(images))

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The last feature map ``(B, C, h, w)`` before pooling, differentiable in ``images``."""
        return self._logits_and_features(images)[1]

    def loss_and_features(
        self, images: Tensor, category: Tensor
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """Cross-entropy, and what `features` gives, of ``images`` with ``category`` `(B,)` indices into ``classes``.

        Raises ValueError for a picture whose category is not known.
        """
        if (category < 0).any():
            raise ValueError(
                "a picture has no category; take sets with format='categories' or objects=dict(...)"
            )
        logits, features = self._logits_and_features(images)
        return {"loss_ce": F.cross_entropy(logits, category.to(logits.device))}, features

    @torch.no_grad()
    def predict(self, photos: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Uint8 ``(H, W, 3)`` RGB photos -> probabilities ``(C,)`` of each."""
        answers = []
        for photo in photos:
            check_picture(photo)
            planes = torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1)))[None]
            answers.append(self(planes.to(self.prepare.mean.device) / 255)[0].softmax(0).cpu().numpy())
        return answers

    def _logits_and_features(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        seen: list[Tensor] = []

        def note(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and max(output.shape[-2:]) > 1:
                seen[:] = [output]

        handles = [module.register_forward_hook(note) for module in self.network.modules()]
        try:
            logits = self(images)
        finally:
            for handle in handles:
                handle.remove()
        return logits, tuple(seen)


@MODELS.register_module()
class ClassifierStage(BaseModel):
    """A classifier that learns from the ``degraded`` half of `unirestore.data.paired` batches with ``category``.

    Args:
        classifier: see `build_classifier`.
        classes: names that the categories index.
        input_size, mean, std: as for `FrozenClassifier`.
        jitter: vary contrast, saturation and brightness of every picture, as for a detector.
        seed: of the jitter; item ``index`` always gets the same.
    """

    def __init__(
        self,
        *,
        classifier: str | nn.Module,
        classes: Sequence[str],
        input_size: int = 224,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
        jitter: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.classes, self.jitter, self.seed = tuple(classes), jitter, seed
        self.network = build_classifier(classifier, len(self.classes)).requires_grad_(True)
        self.prepare = Preparation(input_size, mean, std)
        check_outputs(self.network, self.prepare, self.classes)

    def forward(
        self, degraded: Tensor, category: Tensor, index: Tensor, mode: str = "loss", **batch: Any
    ) -> dict[str, Tensor]:
        """Cross-entropy on ``degraded`` ``(B, 3, S, S)`` uint8 RGB; also the share of right answers."""
        pictures = degraded.float()
        if self.jitter:
            pictures = jittered_batch(pictures, index, self.seed, JITTER)
        logits = self.network(self.prepare(pictures / 255))
        right = (logits.argmax(1) == category).float().mean()
        return {"loss_ce": F.cross_entropy(logits, category), "accuracy": right.detach()}


@HOOKS.register_module()
class ExportClassifier(ExportNetwork):
    """After the last step: ``work_dir/classifier.safetensors``."""

    file: ClassVar[str] = "classifier.safetensors"
