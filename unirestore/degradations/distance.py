"""How far one set of photos is from another by their statistics (`statistics.py`), with intervals.

Two sets are compared by
  - `wasserstein`: the first Wasserstein distance of each statistic, divided by the standard deviation of the
    reference, averaged over the statistics: 0.1 means "off by a tenth of the real spread";
  - `frechet`: the Frechet distance of two Gaussians in the space of all statistics together (the formula of
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, arXiv:1706.08500, equation
    6), which also sees whether statistics go together as in the reference. Far more is estimated from as many
    photos (covariances), so it lies higher the fewer they are: compare sets of equal size, and read it
    beside the first one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .base import require

Rows = np.ndarray | slice


def wasserstein_each(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """First Wasserstein distance of every column, in standard deviations of `reference`.

    `reference` (N, K) and `other` (M, K); N and M may differ. The distance in one dimension is the area
    between the two empirical distribution functions, exactly (Vallender, Theory Prob. Appl. 18(4), 1974).

    Raises:
        ValueError for shapes that do not fit, values that are not finite, or a column without spread in
        `reference`: there is no unit to measure it in.
    """
    scale = _scale(reference, other)
    pooled = np.concatenate([reference, other])
    order = np.argsort(pooled, axis=0, kind="stable")
    weight = np.repeat([1 / len(reference), -1 / len(other)], [len(reference), len(other)])
    between = np.abs(np.cumsum(weight[order], axis=0)[:-1])  # (N + M - 1, K) difference of the two functions
    gaps = np.diff(np.take_along_axis(pooled, order, axis=0), axis=0)
    return (between * gaps).sum(axis=0) / scale


def wasserstein(reference: np.ndarray, other: np.ndarray) -> float:
    """Mean over the statistics of `wasserstein_each`."""
    return float(wasserstein_each(reference, other).mean())


def frechet(reference: np.ndarray, other: np.ndarray) -> float:
    """Frechet distance |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)) after scaling by `reference`, square root.

    Columns are divided by their deviation in `reference`; unit: such deviations. Raises as `wasserstein_each`.
    """
    scale = _scale(reference, other)
    a, b = reference / scale, other / scale
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    root = _root(cov_a)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    squared = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return float(np.sqrt(max(squared, 0.0)))


def interval(
    reference: np.ndarray, other: np.ndarray, *, seed: int = 0, resamples: int = 400
) -> tuple[float, float, float]:
    """`wasserstein` between the populations the photos come from: (estimate, low, high) of a 95 % interval.

    A distance of finite sets is biased upwards, and that of bootstrap resamples, which hold photos twice, is
    biased twice over: percentiles of them miss the truth altogether. So the resamples here are random halves
    of both sets without repetition (the delete-half jackknife, Shao and Wu, Annals of Statistics 17(3),
    1989; subsampling, Politis, Romano and Wolf, 1999). A half differs from the whole by as much as the whole
    does from the population: by spread, and by bias where that falls with the number of photos. The estimate
    is the distance minus the mean excess of the halves, the interval 1.96 standard deviations around it.

    Bias that falls with the square root instead (sets of one and the same kind) is only partly removed:
    near zero, estimate and interval lie too high.

    Raises:
        ValueError for fewer than 4 photos in a set, and as `wasserstein_each`.
    """
    return tuple(
        max(v, 0.0)
        for v in _around(
            lambda a, b: wasserstein(reference[a], other[b]), len(reference), len(other), seed, resamples
        )
    )


def paired_interval(
    reference: np.ndarray, ours: np.ndarray, theirs: np.ndarray, *, seed: int = 0, resamples: int = 400
) -> tuple[float, float, float]:
    """The same for `wasserstein(reference, ours) - wasserstein(reference, theirs)`; below zero: ours is closer.

    Row n of `ours` and of `theirs` (M, K) is the same clean photo. Each half takes the same photos of
    `reference` and the same clean photos for both, so what they share cancels.

    Raises:
        ValueError where `ours` and `theirs` differ in shape, and as `interval`.
    """
    shapes = (np.shape(ours), np.shape(theirs))
    require(shapes[0] == shapes[1], f"not pairs: {shapes[0]} statistics of ours, {shapes[1]} of theirs")

    def difference(rows: Rows, photos: Rows) -> float:
        return wasserstein(reference[rows], ours[photos]) - wasserstein(reference[rows], theirs[photos])

    return _around(difference, len(reference), len(ours), seed, resamples)


def _around(
    measure: Callable[[Rows, Rows], float], many: int, others: int, seed: int, resamples: int
) -> tuple[float, float, float]:
    require(min(many, others) >= 4, f"an interval needs 4 photos in each set, got {many} and {others}")
    rng = np.random.default_rng(seed)
    value = measure(slice(None), slice(None))
    halves = [
        measure(rng.permutation(many)[: many // 2], rng.permutation(others)[: others // 2])
        for _ in range(resamples)
    ]
    estimate, reach = float(2 * value - np.mean(halves)), float(1.96 * np.std(halves))
    return estimate, estimate - reach, estimate + reach


def _root(symmetric: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _scale(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(K,) standard deviations of `reference`, after the checks."""
    shapes = (np.shape(reference), np.shape(other))
    require(
        len(shapes[0]) == 2
        and len(shapes[1]) == 2
        and shapes[0][1] == shapes[1][1]
        and min(shapes[0][0], shapes[1][0]) >= 2,
        f"expected (N, K) and (M, K) statistics with N, M >= 2, got {shapes[0]} and {shapes[1]}",
    )
    require(
        bool(np.isfinite(reference).all() and np.isfinite(other).all()),
        "statistics must be finite; a photo of NaN?",
    )
    scale = np.std(reference, axis=0)
    flat = np.flatnonzero(scale <= 1e-9 * np.abs(reference).max(axis=0))
    require(not len(flat), f"columns {flat.tolist()} are the same in all of the reference: no unit")
    return scale
