"""The gate learns which pictures have weather in them, the whole restorer frozen.

    L = binary cross-entropy(gate(degraded), there is weather in the item's manifest)
        + real_weight * binary cross-entropy(gate(real), yes)

Pictures without weather should come from the same cameras as those with it (`WeatherMixture(..., clean=...)`), or the
gate learns to see noise. Real photos of bad weather may stand beside them (`PairsBesideReal`).
Ours; Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from unirestore.data.paired import PAIR

from .routing import route, weather_types
from .stage import TrainingStage


@MODELS.register_module()
class GateStage(TrainingStage):
    """Trains the gate of a restorer, for example `restorer=dict(weights="tiny", gate_channels=32)`.

    Args:
        families: weather types or mixtures that count as degraded; `Pair` are degraded photos that have a clean twin.
        real_weight: of the second term, where batches hold `real`.

    Raises ValueError for an unknown family, and as `TrainingStage` where the restorer has no gate.
    """

    def __init__(
        self,
        *,
        trains: Sequence[str] = ("gate",),
        families: Sequence[str] = ("any", PAIR),
        real_weight: float = 0.25,
        **stage: Any,
    ) -> None:
        super().__init__(trains=trains, **stage)
        self.real_weight = real_weight
        self.types = weather_types(families)

    def losses(
        self, degraded: Tensor, weather: list[dict[str, Any]], real: Tensor | None = None, **batch: Any
    ) -> dict[str, Tensor]:
        """See the header, `real` `(B, 3, S, S)` RGB in [0, 1]; also two shares that are no losses: of right answers on
        the made pictures, and of real photos that are found."""
        count = len(degraded)
        if real is not None:  # one batch, whose statistics the norms see
            degraded = torch.cat([degraded, real])
        logits, of_real = self.restorer.gate_logits(degraded).split([count, len(degraded) - count])
        found = [place is not None for place in route(weather, [self.types])]
        wanted = torch.tensor(found, dtype=logits.dtype, device=logits.device)
        right = ((logits > 0) == (wanted > 0)).float().mean()
        losses = {"loss_gate": F.binary_cross_entropy_with_logits(logits, wanted), "accuracy": right.detach()}
        if real is not None:
            losses["loss_real"] = self.real_weight * F.softplus(-of_real).mean()
            losses["found"] = (of_real > 0).float().mean().detach()
        return losses
