"""Paired bootstrap over photos: how sure a difference between two arms is.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile interval).
    Photos
are drawn with replacement; every arm is scored on the same draws, so that what is hard for all arms cancels
out. A draw is a vector of counts, one per photo, and average precision takes such weights directly
(`detection.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Score(Protocol):
    """One arm on one set: figures of the set and of any resample of its photos."""

    images: int

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """name -> `(B,)` for `(B, I)` weights of the photos; None: each photo once (B = 1)."""


@dataclass(frozen=True)
class Interval:
    """A figure of the set and the bounds that hold the stated share of its resamples."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def resample_counts(images: int, *, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Draw `resamples` times `images` photos with replacement -> `(resamples, images)` float64 counts."""
    if images < 1 or resamples < 1:
        raise ValueError(f"a bootstrap needs photos and resamples, got {images} and {resamples}")
    draws = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    return draws.astype(np.float64)


def interval(value: float, resampled: np.ndarray, level: float = 0.95) -> Interval:
    """Percentile interval of `(B,)` resampled figures around `value`; nan bounds when all are nan."""
    finite = resampled[np.isfinite(resampled)]
    if len(finite) == 0:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One arm against the reference: figure name -> value of the set, and intervals.

    Args:
        figures: the arm's own figures, with intervals.
        deltas: arm minus reference, paired.
        gap_closed: `(arm - reference) / (ceiling - reference)`, paired; empty without a ceiling. A share,
            not percent.
    """

    figures: dict[str, Interval]
    deltas: dict[str, Interval]
    gap_closed: dict[str, Interval]


def compare(
    scores: Mapping[str, Score],
    *,
    reference: str = "none",
    ceiling: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Comparison]:
    """Score all arms on the same resamples of the photos.

    Args:
        scores: arm -> its score, all on the same photos in the same order.
        reference: the arm that the others are compared to.
        ceiling: the arm of the undegraded photos, where known; gives the share of the gap that an arm closes.
        resamples: number of draws.
        seed: of the draws; equal seeds give equal intervals.
        level: share of the draws that an interval holds.

    Raises:
        ValueError: an arm is missing, or the arms saw different numbers of photos.
    """
    for needed in (reference, *([ceiling] if ceiling else [])):
        if needed not in scores:
            raise ValueError(f"arm {needed!r} is needed for the comparison, got {sorted(scores)}")
    sizes = {arm: score.images for arm, score in scores.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"a paired comparison needs the same photos in every arm, got {sizes}")
    counts = resample_counts(sizes[reference], resamples=resamples, seed=seed)
    whole = {arm: {k: float(v[0]) for k, v in score.figures().items()} for arm, score in scores.items()}
    drawn = {arm: score.figures(counts) for arm, score in scores.items()}

    result = {}
    for arm in scores:
        figures, deltas, gaps = {}, {}, {}
        for name, value in whole[arm].items():
            base, base_drawn = whole[reference][name], drawn[reference][name]
            figures[name] = interval(value, drawn[arm][name], level)
            deltas[name] = interval(value - base, drawn[arm][name] - base_drawn, level)
            if ceiling is not None:
                gap, gap_drawn = whole[ceiling][name] - base, drawn[ceiling][name] - base_drawn
                share = (value - base) / gap if gap > 0 else float("nan")
                with np.errstate(divide="ignore", invalid="ignore"):
                    shares = np.where(gap_drawn > 0, (drawn[arm][name] - base_drawn) / gap_drawn, np.nan)
                gaps[name] = interval(share, shares, level)
        result[arm] = Comparison(figures=figures, deltas=deltas, gap_closed=gaps)
    return result
