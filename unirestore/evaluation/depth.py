"""The usual figures of monocular depth, photo by photo, so that a bootstrap re-weights photos.

Protocol: Eigen, Puhrsch and Fergus, NeurIPS 2014, as in mmseg's `DepthMetric`: pixels whose true distance is unknown,
0, or `max_depth` and more (the sky) are left out, each figure is taken over the pixels of a photo, then the mean over
photos. An estimator that is wrong by a factor pays for it, except in the figure `aligned`, where each photo's answer
is multiplied by the one factor that makes its median right (Zhou et al., CVPR 2017): one picture does not tell a long
lens from a near place. What differs: answers are clipped to (0, max_depth], and delta1 is also given by how far away a
pixel is, since haze takes far ones first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unirestore.evaluation.detection import photo_weights
from unirestore.evaluation.metrics import ratio

NEAREST = 1e-3
"""Metres below which no distance counts."""
FIGURES = ("delta1", "aligned", "AbsRel", "RMSE")
BANDS = (1 / 8, 1 / 4, 1 / 2, 1)
"""Far ends of the bands of distance, as shares of the farthest."""


def band_names(max_depth: float) -> tuple[str, ...]:
    """Names of the bands: `0-10 m`, `10-20 m`, `20-40 m`, `40-80 m` for 80 metres."""
    ends = [0.0, *(share * max_depth for share in BANDS)]
    return tuple(f"{near:g}-{far:g} m" for near, far in pairwise(ends))


def bands_of(truth: np.ndarray, max_depth: float) -> np.ndarray:
    """The band of each pixel of `(H, W)` metres, `len(BANDS)` where the distance does not count."""
    band = np.searchsorted(np.array(BANDS) * max_depth, truth, side="right")
    return np.where(truth > NEAREST, band, len(BANDS))


def depth_figures(answer: np.ndarray, truth: np.ndarray, max_depth: float) -> np.ndarray:
    """The figures of one photo.

    Args:
        answer: `(H, W)` metres.
        truth: `(H, W)` metres; 0, `max_depth` and more where it does not count.
        max_depth: metres.

    Returns:
        `(4 + len(BANDS),)` float64: delta1 (share of pixels whose ratio to the truth, or the truth's to them, is below
        1.25), the same aligned, and AbsRel in percent, RMSE in metres, then delta1 of each band; nan where no pixel
        counts.

    Raises:
        ValueError: shapes differ, or an answer is not finite.
    """
    answer, truth = np.asarray(answer, np.float64), np.asarray(truth, np.float64)
    if answer.shape != truth.shape or answer.ndim != 2:
        raise ValueError(
            f"answer is {answer.shape}, truth is {truth.shape}; both must be (H, W) of the photo"
        )
    if not np.isfinite(answer).all():
        raise ValueError(f"{np.sum(~np.isfinite(answer))} of {answer.size} distances are not finite")
    band = bands_of(truth, max_depth)
    counts = band < len(BANDS)
    band, truth = band[counts], truth[counts]
    answer = answer[counts].clip(NEAREST, max_depth)
    if not len(truth):
        return np.full(len(FIGURES) + len(BANDS), np.nan)
    scaled = (answer * np.median(truth) / np.median(answer)).clip(NEAREST, max_depth)
    right, error = _within(answer, truth), answer - truth
    pixels = np.bincount(band, minlength=len(BANDS))
    own = [
        100 * right.mean(),
        100 * _within(scaled, truth).mean(),
        100 * (np.abs(error) / truth).mean(),
        np.sqrt((error**2).mean()),
    ]
    return np.concatenate([own, 100 * ratio(np.bincount(band, right, minlength=len(BANDS)), pixels)])


def _within(answer: np.ndarray, truth: np.ndarray, factor: float = 1.25) -> np.ndarray:
    """`(N,)` bool, whether neither is `factor` times the other or more."""
    return np.maximum(answer / truth, truth / answer) < factor


@dataclass(frozen=True, kw_only=True)
class DepthScore:
    """One arm on one set.

    Args:
        names: names of the bands.
        values: `(I, 4 + len(names))`, `depth_figures` of each photo.
    """

    names: Sequence[str]
    values: np.ndarray

    @property
    def images(self) -> int:
        """Number of photos."""
        return len(self.values)

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """All figures at once.

        Args:
            weights: `(B, I)` how often each photo counts; None: each once (B = 1).

        Returns:
            name -> `(B,)` mean over photos: `delta1`, `aligned`, `AbsRel` in percent, `RMSE` in metres, and
            `delta1/<band>` over the photos that have such pixels. Of AbsRel and RMSE less is better.
        """
        weights = photo_weights(weights, self.images)
        present = ~np.isnan(self.values)
        means = ratio(weights @ np.where(present, self.values, 0), weights @ present.astype(np.float64))
        keys = (*FIGURES, *(f"delta1/{name}" for name in self.names))
        return dict(zip(keys, means.T, strict=True))

    def per_photo(self) -> np.ndarray:
        """`(I,)` delta1 of each photo alone, in percent; nan where no pixel counts."""
        return self.values[:, 0]
