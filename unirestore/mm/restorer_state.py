"""A restorer as a well-behaved guest inside somebody else's model.

A restorer in front of a detector becomes a part of it, and everything that walks over the detector's parts
walks over the restorer too: checkpoints, EMA copies, ``train()``, weight initialisation, autocast. A frozen
guest must come through all of them untouched and leave no trace in the host's files. Source: written for this
project against mmengine 0.10 and torch's own module protocol; nothing is patched. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unirestore.models.loading import build_restorer as build_core_restorer

__all__ = ["RestorerGuest", "build_restorer"]


class RestorerGuest(nn.Module):
    """Holds a restorer and runs it in the restorer's own precision.

    Frozen (``trainable=False``): always in eval mode, no gradients for its weights, absent from every state
    dict, not missed when a checkpoint lacks it, shared (not copied) by ``copy.deepcopy`` and so by EMA.
    Trainable: an ordinary submodule, saved, copied and trained with its host.

    In both cases ``apply`` does not go inside, so that a host's weight initialisation cannot reach it.

    Args:
        network: called as ``network(images, task=task)`` with ``(B, 3, H, W)`` RGB in [0, 1], returns the
            same.
        trainable: train the restorer together with its host.
    """

    def __init__(self, network: nn.Module, *, trainable: bool = False) -> None:
        super().__init__()
        self.network = network
        self.trainable = trainable
        if not trainable:
            network.requires_grad_(False)
        self.train(trainable)
        # mmengine collects a state dict by hand and ignores an overridden state_dict(); it does call the
        # hooks
        self.register_state_dict_post_hook(_drop_frozen_keys)

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the restorer's weights; float32 where it has none."""
        for parameter in self.network.parameters():
            if parameter.is_floating_point():
                return parameter.dtype
        return torch.float32

    def forward(self, images: Tensor, task: str, **options: Any) -> Tensor:
        """Restore ``images`` for ``task``.

        Autocast is switched off: mmengine autocasts while training but not while testing, and a restorer must
        give the same picture in both.

        Args:
            images: ``(B, 3, H, W)`` RGB in [0, 1], any floating type.
            task: prompt name, for example ``"det"``.
            options: further keywords of the restorer, for example ``gate=0.5``.

        Returns:
            float32 ``(B, 3, H, W)`` RGB, clamped to [0, 1].

        Raises:
            ValueError: the restorer changed the size.
            FloatingPointError: the restorer returned NaN or infinity.
        """
        with (
            torch.set_grad_enabled(torch.is_grad_enabled() and self.trainable),
            torch.autocast(images.device.type, enabled=False),
        ):
            restored = self.network(images.to(self.dtype), task=task, **options).float()
        if restored.shape != images.shape:
            raise ValueError(
                f"the restorer turned {tuple(images.shape)} into {tuple(restored.shape)}; in front of a "
                "detector the size must stay, since boxes and masks are not rescaled"
            )
        if not bool(torch.isfinite(restored).all()):
            raise FloatingPointError(
                f"the restorer returned NaN or infinity for an image of {images.shape[-1]} x "
                f"{images.shape[-2]} in {self.dtype}; load it in float32 or bfloat16"
            )
        return restored.clamp(0.0, 1.0)

    def features(self, images: Tensor, task: str) -> list[Tensor]:
        """The decoder's features for ``task``, float32, coarsest first, of ``(B, 3, H, W)`` RGB in [0, 1]; autocast
        and gradients as for pictures."""
        with (
            torch.set_grad_enabled(torch.is_grad_enabled() and self.trainable),
            torch.autocast(images.device.type, enabled=False),
        ):
            pyramid = self.network(images.to(self.dtype), task=task, output="features")
        return [x.float() for x in pyramid]

    def train(self, mode: bool = True) -> RestorerGuest:
        """Follows the host only when trainable."""
        return super().train(mode and self.trainable)

    def apply(self, fn: Callable[[nn.Module], None]) -> RestorerGuest:
        """Stops here: ``init_weights`` of a host runs through ``apply`` and would overwrite the restorer."""
        fn(self)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> RestorerGuest:
        """A frozen guest is shared: an averaged model needs no second copy of weights that never change."""
        if not self.trainable:
            memo[id(self)] = self
            return self
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(deepcopy(self.__dict__, memo))
        return copied

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Stand in with our own weights for those that a checkpoint lacks, so that none counts as missing.

        Called by torch and by mmengine before the children are loaded from the same ``state_dict``. A
        checkpoint that does hold restorer weights (of a joint training) is loaded.
        """
        if not self.trainable:
            for name, value in self.network.state_dict().items():
                state_dict.setdefault(f"{prefix}network.{name}", value)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _drop_frozen_keys(guest: nn.Module, state: dict[str, Tensor], prefix: str, local_metadata: Any) -> None:
    """State-dict hook: a frozen guest leaves neither tensors nor version notes in its host's checkpoint."""
    if guest.trainable:
        return
    for name in [name for name in state if name.startswith(prefix)]:
        del state[name]
    notes = getattr(state, "_metadata", {})
    for name in [name for name in notes if name == prefix[:-1] or name.startswith(prefix)]:
        del notes[name]


def build_restorer(restorer: str | Path | Mapping[str, Any] | nn.Module) -> nn.Module:
    """What ``unirestore.models.loading.build_restorer`` takes, and a mapping with ``type`` for mmengine's registry.

    Raises as that function does.
    """
    if isinstance(restorer, Mapping) and "type" in restorer:
        from mmengine.registry import MODELS

        return MODELS.build(dict(restorer))
    return build_core_restorer(restorer)
