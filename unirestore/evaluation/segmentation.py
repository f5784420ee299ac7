"""Mean intersection over union from one confusion matrix per photo, so that a bootstrap re-weights photos.

Protocol: mmseg's `IoUMetric`: pixels of all photos are pooled, IoU of a class = true positives / (true + predicted -
true positives), pixels labelled 255 are left out, mIoU is the mean over the classes that occur in truth or answer.
What differs: the matrices are kept photo by photo, and every figure takes a weight per photo. A weight of n equals n
copies of the photo, so the interval is that of the mIoU of the set and not of a mean of the photos' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unirestore.data.label_maps import IGNORED
from unirestore.evaluation.detection import photo_weights
from unirestore.evaluation.metrics import mean_present, ratio


def confusion(answer: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """How often a pixel of one class was called another.

    Args:
        answer: `(H, W)` integer class indices in 0 .. count - 1.
        truth: `(H, W)` integer class indices, 255 where nothing counts.
        count: number of classes.

    Returns:
        `(count, count)` int64, rows are the truth.

    Raises:
        ValueError: shapes differ, or an index is out of range.
    """
    answer, truth = np.asarray(answer), np.asarray(truth)
    if answer.shape != truth.shape or answer.ndim != 2:
        raise ValueError(
            f"answer is {answer.shape}, truth is {truth.shape}; both must be (H, W) of the photo"
        )
    known = truth != IGNORED
    answer, truth = answer[known].astype(np.int64), truth[known].astype(np.int64)
    for name, labels in (("answer", answer), ("truth", truth)):
        if len(labels) and not 0 <= labels.min() <= labels.max() < count:
            raise ValueError(
                f"the {name} holds classes {labels.min()}..{labels.max()}; there are {count}, from 0, and "
                f"{IGNORED} for pixels that do not count"
            )
    return np.bincount(truth * count + answer, minlength=count * count).reshape(count, count)


@dataclass(frozen=True, kw_only=True)
class SegmentationScore:
    """One arm on one set.

    Args:
        names: class names in the order of the indices.
        matrices: `(I, C, C)`, one confusion matrix per photo.
    """

    names: tuple[str, ...]
    matrices: np.ndarray

    @property
    def images(self) -> int:
        """Number of photos."""
        return len(self.matrices)

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """All figures at once, in percent.

        Args:
            weights: `(B, I)` how often each photo counts; None: each once (B = 1).

        Returns:
            name -> `(B,)`: `mIoU`, `mAcc` (mean recall of the classes), `aAcc` (share of right pixels), and
            `IoU/<class>`. A class that neither truth nor answer holds is nan and left out of the means.
        """
        weights = photo_weights(weights, self.images)
        count = len(self.names)
        pooled = (weights @ self.matrices.reshape(self.images, -1)).reshape(-1, count, count)  # (B, C, C)
        return {name: 100 * value for name, value in _figures(pooled, self.names).items()}

    def per_photo(self) -> np.ndarray:
        """`(I,)` mIoU of each photo alone, in percent; nan where no pixel counts."""
        return 100 * _figures(self.matrices.astype(np.float64), self.names)["mIoU"]


def _figures(matrices: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Figures of `(B, C, C)` matrices, as shares."""
    right = matrices.diagonal(axis1=1, axis2=2)  # (B, C)
    true, answered = matrices.sum(axis=2), matrices.sum(axis=1)
    iou, recall = ratio(right, true + answered - right), ratio(right, true)
    result = {
        "mIoU": mean_present(iou),
        "mAcc": mean_present(recall),
        "aAcc": ratio(right.sum(axis=1), true.sum(axis=1)),
    }
    return result | {f"IoU/{name}": iou[:, index] for index, name in enumerate(names)}
