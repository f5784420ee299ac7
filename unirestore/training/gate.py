"""The gate learns which pictures have weather in them, the whole restorer frozen.

    L = binary cross-entropy(gate(degraded), there is weather in the item's manifest)

Pictures without weather should come from the same cameras as those with it (`WeatherMixture(..., clean=...)`), or the
gate learns to see noise. Ours; Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from .routing import route, weather_types
from .stage import TrainingStage


@MODELS.register_module()
class GateStage(TrainingStage):
    """Trains the gate of a restorer, for example `restorer=dict(weights="tiny", gate_channels=32)`.

    Args:
        families: weather types or mixtures that count as degraded.

    Raises ValueError for an unknown family, and as `TrainingStage` where the restorer has no gate.
    """

    def __init__(
        self, *, trains: Sequence[str] = ("gate",), families: Sequence[str] = ("any",), **stage: Any
    ) -> None:
        super().__init__(trains=trains, **stage)
        self.types = weather_types(families)

    def losses(self, degraded: Tensor, weather: list[dict[str, Any]], **batch: Any) -> dict[str, Tensor]:
        """See the header; also the share of right answers, which is no loss."""
        logits = self.restorer.gate_logits(degraded)
        found = [place is not None for place in route(weather, [self.types])]
        wanted = torch.tensor(found, dtype=logits.dtype, device=logits.device)
        right = ((logits > 0) == (wanted > 0)).float().mean()
        return {"loss_gate": F.binary_cross_entropy_with_logits(logits, wanted), "accuracy": right.detach()}
