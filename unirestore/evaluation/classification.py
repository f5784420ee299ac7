"""Top-1 and its company from the probabilities of each picture, so that a bootstrap re-weights pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unirestore.evaluation.detection import photo_weights
from unirestore.evaluation.metrics import mean_present, ratio


@dataclass(frozen=True, kw_only=True)
class ClassificationScore:
    """One arm on one set.

    Args:
        names: class names in the order of the indices.
        probabilities: `(I, C)`.
        truth: `(I,)` integer class indices.
    """

    names: tuple[str, ...]
    probabilities: np.ndarray
    truth: np.ndarray

    @property
    def images(self) -> int:
        """Number of pictures."""
        return len(self.truth)

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """All figures at once, in percent.

        Args:
            weights: `(B, I)` how often each picture counts; None: each once (B = 1).

        Returns:
            name -> `(B,)`: `top1`, `top5` (from six classes up), `mean-class` (mean over classes of the share of right
            answers), and `top1/<class>`. A class without pictures is nan and left out of the mean.
        """
        weights = photo_weights(weights, self.images)
        of_class = np.eye(len(self.names))[self.truth]  # (I, C)
        right = self._among(1)
        by_class = ratio(weights @ (right[:, None] * of_class), weights @ of_class)  # (B, C)
        total = weights.sum(axis=1)
        result = {"top1": ratio(weights @ right, total)}
        if len(self.names) > 5:
            result["top5"] = ratio(weights @ self._among(5), total)
        result["mean-class"] = mean_present(by_class)
        result |= {f"top1/{name}": by_class[:, index] for index, name in enumerate(self.names)}
        return {name: 100 * value for name, value in result.items()}

    def per_photo(self) -> np.ndarray:
        """`(I,)` probability of the true class, in percent."""
        return 100 * self.probabilities[np.arange(self.images), self.truth]

    def _among(self, count: int) -> np.ndarray:
        """`(I,)` 1 where the true class is among the `count` likeliest; ties go against it."""
        own = self.probabilities[np.arange(self.images), self.truth]
        return ((self.probabilities >= own[:, None]).sum(axis=1) <= count).astype(np.float64)


def check_probabilities(answer: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """`(C,)` float64. Raises ValueError for another shape, or for what is not finite."""
    answer = np.asarray(answer, np.float64)
    if answer.shape != (len(names),) or not np.isfinite(answer).all():
        raise ValueError(f"an answer must be {len(names)} finite probabilities, got shape {answer.shape}")
    return answer
