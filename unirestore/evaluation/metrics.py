"""The named figures of a detection set, for the set itself and for any resample of its photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unirestore.evaluation.detection import IOU_THRESHOLDS, Matches, Prediction, Truth, match


@dataclass(frozen=True, kw_only=True)
class DetectionScore:
    """One arm on one set: matched with labels and without.

    Args:
        names: class names in the order of the labels.
        matches: per class.
        agnostic: all boxes as one class.
    """

    names: tuple[str, ...]
    matches: Matches
    agnostic: Matches

    @classmethod
    def from_predictions(
        cls, predictions: Sequence[Prediction], truths: Sequence[Truth], names: Sequence[str]
    ) -> DetectionScore:
        """Match one arm's `predictions` to `truths`, photo by photo in the same order."""
        count = len(names)
        return cls(
            names=tuple(names),
            matches=match(predictions, truths, num_classes=count),
            agnostic=match(predictions, truths, num_classes=count, class_agnostic=True),
        )

    @property
    def images(self) -> int:
        """Number of photos."""
        return self.matches.images

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """All figures at once, in percent.

        Args:
            weights: `(B, I)` how often each photo counts; None: each once (B = 1).

        Returns:
            name -> `(B,)`: `mAP` (mean over classes and IoU 0.50:0.95), `AP50`, `AP75`, `iwAP` (class APs
            weighted by their number of boxes), `agnostic` (one class), and `AP/<class>` for each class. A
            class without boxes is nan and left out of the means.
        """
        table = self.matches.average_precision(weights)  # (B, C, T)
        by_class = table.mean(axis=2)  # (B, C)
        boxes = self.matches.positives(weights)  # (B, C)
        at = {round(float(value), 2): index for index, value in enumerate(IOU_THRESHOLDS)}
        result = {
            "mAP": mean_present(by_class),
            "AP50": mean_present(table[..., at[0.5]]),
            "AP75": mean_present(table[..., at[0.75]]),
            "iwAP": ratio(np.nansum(by_class * boxes, axis=1), boxes.sum(axis=1)),
            "agnostic": self.agnostic.average_precision(weights)[:, 0].mean(axis=1),
        }
        result |= {f"AP/{name}": by_class[:, index] for index, name in enumerate(self.names)}
        return {name: 100 * value for name, value in result.items()}

    def per_photo(self) -> np.ndarray:
        """`(I,)` instance-weighted AP of each photo alone, in percent; nan for a photo without boxes."""
        one_each = np.eye(self.matches.images)
        by_class = self.matches.average_precision(one_each).mean(axis=2)
        boxes = self.matches.positives(one_each)
        return 100 * ratio(np.nansum(by_class * boxes, axis=1), boxes.sum(axis=1))


def mean_present(values: np.ndarray) -> np.ndarray:
    """`(B, C)` -> `(B,)` mean over the classes that are not nan; nan where all are."""
    present = ~np.isnan(values)
    return ratio(np.nansum(values, axis=1), present.sum(axis=1))


def ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """`upper / lower`, nan where `lower` is 0."""
    return np.divide(upper, lower, out=np.full(np.shape(upper), np.nan), where=lower > 0)
