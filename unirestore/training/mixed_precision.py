"""Mixed precision that also runs on a CPU: bfloat16 autocast around the forward pass.

mmengine's `AmpOptimWrapper` asks for a GPU and scales the loss. bfloat16 has the range of float32, so that
no scaling is needed; weights, gradients and optimizer stay in float32. Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """`OptimWrapper` whose forward passes run under bfloat16 autocast, on any device; same arguments."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast on the device of `model`'s weights, and what `OptimWrapper` does in addition."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device_type=device, dtype=torch.bfloat16):
            yield
