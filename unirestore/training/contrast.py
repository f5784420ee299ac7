"""What both stages of Uni-Removal contrast with: embeddings, the InfoNCE loss, and a queue of negatives.

    L = -mean_p log( exp(a.p / t) / (exp(a.p / t) + sum_n exp(a.n / t)) ),   all vectors of length one

Uni-Removal (arXiv 2307.05075) names contrastive losses in feature and in image space; its layers, temperature,
positives and negatives are not known to us. What stands here is ours: InfoNCE (van den Oord et al., arXiv
1807.03748) with several positives averaged outside the logarithm (Khosla et al., arXiv 2004.11362, eq. 2, but
without the other positives in the denominator, so that teacher and clean photo do not compete), and a queue as in
MoCo (He et al., CVPR 2020). Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 8
"""Side of the blocks, in pixels, that `patch_embedding` takes its means and deviations over."""
_TINY = 1e-6


def info_nce(
    anchor: Tensor,
    positives: Tensor,
    negatives: Tensor,
    temperature: float = 0.1,
    valid: Tensor | None = None,
    valid_positives: Tensor | None = None,
) -> Tensor:
    """The contrastive loss of the header; cosine similarity, several positives averaged in log space.

    Args:
        anchor: `(B, D)`; gradients flow into all three.
        positives: `(B, P, D)`, P at least 1.
        negatives: `(B, N, D)`; with N = 0, or all masked, an item's loss is 0.
        temperature: above 0; smaller looks harder at the nearest negatives.
        valid: `(B, N)` bool, the negatives that count; None: all.
        valid_positives: `(B, P)` bool, the positives that count; an item without any is left out of the mean.

    Returns:
        a scalar, the mean over the items; 0 where no item has a positive.

    Raises:
        ValueError: shapes disagree, or the temperature is not above 0.
    """
    batch, width = anchor.shape
    for name, group in (("positives", positives), ("negatives", negatives)):
        if group.ndim != 3 or group.shape[0] != batch or group.shape[2] != width:
            raise ValueError(
                f"{name} must be ({batch}, any, {width}) for this anchor, got {tuple(group.shape)}"
            )
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    for name, mask, group in (("valid", valid, negatives), ("valid_positives", valid_positives, positives)):
        if mask is not None and mask.shape != group.shape[:2]:
            raise ValueError(f"{name} must be {tuple(group.shape[:2])}, got {tuple(mask.shape)}")
    a = F.normalize(anchor, dim=-1, eps=_TINY)[:, :, None]  # (B, D, 1)
    near = (F.normalize(positives, dim=-1, eps=_TINY) @ a)[..., 0] / temperature  # (B, P)
    far = (F.normalize(negatives, dim=-1, eps=_TINY) @ a)[..., 0] / temperature  # (B, N)
    if valid is not None:
        far = far.masked_fill(~valid, float("-inf"))
    # log(1 + sum exp(far - near)) without the infinities that a mask over all negatives would bring
    rivals = torch.cat([near[:, :, None], far[:, None].expand(-1, near.shape[1], -1)], dim=2)  # (B, P, 1 + N)
    terms = rivals.logsumexp(2) - near  # (B, P)
    if valid_positives is None:
        return terms.mean()
    counts = valid_positives.sum(1)
    items = (terms * valid_positives).sum(1) / counts.clamp_min(1)
    return items.sum() / (counts > 0).sum().clamp_min(1)


class FeatureQueue(nn.Module):
    """The last `size` embeddings that were pushed, first in, first out; part of the state dict.

    Deterministic: it holds what was pushed, in that order, and draws nothing.

    Args:
        size: embeddings kept; 0 keeps none.
        width: length D of each.

    Raises:
        ValueError: a size below 0 or a width below 1.
    """

    entries: Tensor
    filled: Tensor
    place: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        if size < 0 or width < 1:
            raise ValueError(f"a queue needs size >= 0 and width >= 1, got size={size}, width={width}")
        self.register_buffer("entries", torch.zeros(size, width))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @property
    def valid(self) -> Tensor:
        """`(size,)` bool: the entries that hold something already."""
        return torch.arange(len(self.entries), device=self.entries.device) < self.filled

    @torch.no_grad()
    def push(self, embeddings: Tensor) -> None:
        """Take in `(B, D)`, detached; the oldest make room, and of more than `size` the last stay."""
        if embeddings.ndim != 2 or embeddings.shape[1] != self.entries.shape[1]:
            raise ValueError(
                f"the queue takes (any, {self.entries.shape[1]}) embeddings, got {tuple(embeddings.shape)}"
            )
        size = len(self.entries)
        if not size or not len(embeddings):
            return
        embeddings = embeddings[-size:].to(self.entries)
        places = (self.place + torch.arange(len(embeddings), device=self.entries.device)) % size
        self.entries[places] = embeddings
        self.place.copy_((self.place + len(embeddings)) % size)
        self.filled.copy_((self.filled + len(embeddings)).clamp_max(size))


class Centre(nn.Module):
    """The running mean of embeddings, part of the state dict: what they have in common says nothing in a cosine.

    Embeddings of photos lie in a narrow cone: a clean photo, its foggy twin and another photo are nearly parallel.
    Less their mean they spread, and a temperature of 0.1 can tell them apart.

    Args:
        width: length D of the embeddings.
        momentum: share of the mean that stays at each step; as in Adam, the first steps are not drawn to 0.

    Raises:
        ValueError: a momentum outside [0, 1).
    """

    total: Tensor
    weight: Tensor

    def __init__(self, width: int, momentum: float = 0.98) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), got {momentum}")
        self.momentum = momentum
        self.register_buffer("total", torch.zeros(width))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def follow(self, embeddings: Tensor) -> Tensor:
        """Takes in `(B, D)` and gives the mean `(D,)` with them."""
        self.total.lerp_(embeddings.mean(0).to(self.total), 1 - self.momentum)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.momentum)
        return self.total / self.weight


def pooled(features: Sequence[Tensor]) -> Tensor:
    """Levels `(B, C, H, W)` -> one embedding `(B, 2 * sum of C)` of each picture.

    Mean and standard deviation of each channel over the picture, all levels side by side, layer-normalised (mean 0
    and variance 1 over the embedding), so that no level of large numbers speaks alone. Raises ValueError for no
    level.
    """
    if not len(features):
        raise ValueError("pooled needs one level of features at least, got none")
    parts = []
    for level in features:
        level = level.flatten(2).float()  # (B, C, H * W)
        variance = level.var(2, unbiased=False)
        parts += [level.mean(2), (variance + _TINY).sqrt()]  # the root has no slope at 0
    joined = torch.cat(parts, dim=1)
    return F.layer_norm(joined, joined.shape[1:])


def patch_embedding(images: Tensor, grid: int = 16) -> Tensor:
    """Pictures `(B, 3, H, W)` RGB in [0, 1] -> `(B, 4 * grid * grid)`: what they look like from afar (ours).

    Four maps, the means over blocks of 8 x 8 pixels of luminance and of two colour differences and the standard
    deviation of luminance inside each block (local contrast), averaged to `grid` x `grid` cells. Luminance counts
    from mid-grey; each map is weighted so that all four speak about alike in street photos. Raises ValueError where
    a side is below 8 pixels.
    """
    if min(images.shape[-2:]) < BLOCK:
        raise ValueError(
            f"pictures must be at least {BLOCK} x {BLOCK} pixels, got {tuple(images.shape[-2:])}"
        )
    red, green, blue = images.float().unbind(1)  # (B, H, W) each
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    maps = torch.stack([luminance, blue - luminance, red - luminance, luminance.square()], dim=1)
    means = F.avg_pool2d(maps, BLOCK)  # (B, 4, H / 8, W / 8)
    level, bluish, reddish, power = means.unbind(1)
    contrast = ((power - level.square()).clamp_min(0) + _TINY).sqrt()
    seen = torch.stack([level - 0.5, 2 * bluish, 2 * reddish, 4 * contrast], dim=1)
    return F.adaptive_avg_pool2d(seen, grid).flatten(1)


class EncoderFeatures(nn.Module):
    """The embedding without a detector: latent and plain skips of a restorer's frozen encoder."""

    def __init__(self, restorer: nn.Module) -> None:
        super().__init__()
        self.restorer = restorer

    def features(self, images: Tensor) -> list[Tensor]:
        """`(B, 3, H, W)` RGB in about [0, 1] -> three skips and the latent, differentiable in `images`."""
        seen = self.restorer.encode(images.clamp(-0.5, 1.5), repair=False)  # what the encoder accepts
        return [*seen.skips, seen.latent]
