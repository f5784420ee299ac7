"""Prototypes: the middles of the clusters that embeddings fall into, followed with a moving average.

Ours. Uni-Removal (arXiv 2307.05075) names a cluster-grained contrast; how its clusters are made is not known to
us. Here: k-means at the start (Lloyd 1982, seeded as k-means++ by Arthur and Vassilvitskii 2007), later each
prototype moves towards the mean of the embeddings that are nearest to it, by cosine, as the loss compares them.
Licence: Apache-2.0.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Prototypes(nn.Module):
    """K cluster middles `(K, D)` as buffers, so that a checkpoint keeps them.

    Args:
        count: K.
        width: length D of an embedding.
        momentum: what stays of a prototype at each update.

    Raises:
        ValueError: a count or width below 1, or a momentum outside [0, 1].
    """

    centres: Tensor
    usage: Tensor

    def __init__(self, count: int, width: int, momentum: float = 0.98) -> None:
        super().__init__()
        if count < 1 or width < 1:
            raise ValueError(f"prototypes need count >= 1 and width >= 1, got count={count}, width={width}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must lie in [0, 1], got {momentum}")
        self.momentum = momentum
        self.register_buffer("centres", torch.zeros(count, width))
        self.register_buffer("usage", torch.full((count,), 1 / count))

    def __len__(self) -> int:
        return len(self.centres)

    @torch.no_grad()
    def fit(self, embeddings: Tensor, seed: int = 0) -> None:
        """Starts from the k-means of `(N, D)`. Raises ValueError where N is below K."""
        self.centres.copy_(k_means(embeddings, len(self), seed))
        self.usage.fill_(1 / len(self))

    @torch.no_grad()
    def update(self, embeddings: Tensor) -> None:
        """Moves each prototype towards the mean of those of `(N, D)` that are nearest to it; N may be 0."""
        if not len(embeddings):
            return
        embeddings = embeddings.to(self.centres)
        share = F.one_hot(self.nearest(embeddings, 1)[:, 0], len(self)).to(self.centres)  # (N, K)
        counts = share.sum(0)
        means = share.T @ embeddings / counts.clamp_min(1)[:, None]  # (K, D)
        moved = torch.lerp(means, self.centres, self.momentum)
        self.centres.copy_(torch.where(counts[:, None] > 0, moved, self.centres))

    @torch.no_grad()
    def count_use(self, embeddings: Tensor) -> None:
        """Notes which prototypes `(N, D)` are nearest to, in `usage` `(K,)`, a moving average of shares."""
        share = F.one_hot(self.nearest(embeddings.to(self.centres), 1)[:, 0], len(self)).float().mean(0)
        self.usage.lerp_(share.to(self.usage), 1 - self.momentum)

    def entropy(self) -> Tensor:
        """How evenly the prototypes are used, a scalar in [0, 1]; near 0: all outputs have become one."""
        if len(self) == 1:
            return torch.ones(())
        share = self.usage / self.usage.sum()
        return -(share * share.clamp_min(1e-12).log()).sum() / math.log(len(self))

    @torch.no_grad()
    def nearest(self, embeddings: Tensor, count: int) -> Tensor:
        """Indices `(N, count)` of the prototypes nearest to `(N, D)` by cosine, the nearest first."""
        likeness = F.normalize(embeddings, dim=1) @ F.normalize(self.centres, dim=1).T  # (N, K)
        return likeness.topk(count, dim=1).indices


@torch.no_grad()
def k_means(points: Tensor, count: int, seed: int = 0, rounds: int = 30) -> Tensor:
    """Middles `(count, D)` of the clusters of `points` `(N, D)`, by squared distance.

    A cluster that has lost all its points starts again from the point furthest from its middle. Deterministic by
    `seed`. Raises ValueError where there are fewer points than clusters.
    """
    if len(points) < count:
        raise ValueError(f"{count} clusters need {count} points at least, got {len(points)}")
    generator = torch.Generator().manual_seed(seed)
    points = points.detach().double().cpu()
    chosen = [int(torch.randint(len(points), (), generator=generator))]
    while len(chosen) < count:
        gap = torch.cdist(points, points[chosen]).amin(1).square()
        # all points equal: any will do
        weights = gap if float(gap.sum()) > 0 else torch.ones_like(gap)
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
    centres = points[chosen]
    for _ in range(rounds):
        gaps, owner = torch.cdist(points, centres).min(1)
        fresh = centres.clone()
        for k in range(count):
            own = owner == k
            fresh[k] = points[own].mean(0) if own.any() else points[gaps.argmax()]
        if torch.equal(fresh, centres):
            break
        centres = fresh
    return centres.float()
