"""Sigmoid focal loss, called as ``mmcv.ops`` calls its compiled operator.

Source: Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv:1708.02002), equation 5, one sigmoid
per class. Ours, Apache-2.0. With ``p = sigmoid(x)``, the loss of one logit is

    -alpha (1 - p)^gamma log p              where the class is the target,
    -(1 - alpha) p^gamma log(1 - p)         elsewhere.

What differs from the compiled operator: the logarithms are computed from the logit, so that they stay exact
where ``p`` rounds to 0 or 1; and a background row (target = number of classes) has weight 1, where the
compiled one reads past the end of ``weight``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _terms(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``p``, ``log p``, ``log(1 - p)`` and the mask of the target class, all ``(N, C)``."""
    logits = input if input.dtype == torch.float64 else input.float()
    classes = torch.arange(input.size(1), device=input.device)
    positive = target[:, None] == classes  # (N, C)
    return logits.sigmoid(), F.logsigmoid(logits), F.logsigmoid(-logits), positive


def _weighted(values: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Multiply every row by the weight of its target class; ``weight`` is ``(C,)``, or empty for none."""
    if weight.numel() == 0:
        return values
    per_class = torch.cat([weight.to(values.dtype), values.new_ones(1)])  # the last one is the background
    return values * per_class[target][:, None]


@torch.no_grad()
def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``output (N, C)`` with the loss of every logit.

    Args:
        input: ``(N, C)`` logits.
        target: ``(N,)`` long in 0..C; C is the background.
        weight: ``(C,)``, or empty.
        output: ``(N, C)``.
        gamma: exponent that makes easy examples count less.
        alpha: weight of the positive class, in [0, 1].
    """
    p, log_p, log_q, positive = _terms(input, target)
    loss = torch.where(positive, -alpha * (1 - p) ** gamma * log_p, -(1 - alpha) * p**gamma * log_q)
    output.copy_(_weighted(loss, target, weight))


@torch.no_grad()
def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``grad_input (N, C)`` with the derivative of :func:`sigmoid_focal_loss_forward` by each logit."""
    p, log_p, log_q, positive = _terms(input, target)
    q = 1 - p
    slope_positive = -alpha * q**gamma * (q - gamma * p * log_p)
    slope_negative = -(1 - alpha) * p**gamma * (gamma * q * log_q - p)
    grad_input.copy_(_weighted(torch.where(positive, slope_positive, slope_negative), target, weight))
