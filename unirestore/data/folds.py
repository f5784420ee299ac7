"""Two folds of one set of photos, between which no near-duplicates lie.

Frames of one video, or two crops of one photo, in different folds would let what was fitted on one be measured on
itself. Photos are compared by their edges at thumbnail size, without the slow differences of light that all foggy
photos share, mirrored and shifted by up to two thumbnail pixels too; those alike, and those alike to them, stay
together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

THUMBNAIL = 32
"""Side of a thumbnail in pixels."""
SHIFT = 2
"""Largest shift between near-duplicates, in pixels of the thumbnail."""
ALIKE = 0.48
"""Correlation of two thumbnails' edges from which they count as near-duplicates. In DAWN's fog and rain, looked at,
every pair from 0.52 up is one (mirrored, cropped, the next frame), and none up to 0.44."""


def read_names(file: str | Path) -> list[str]:
    """A text file with the name of a photo a line -> the names. Raises FileNotFoundError that names the file."""
    if not Path(file).is_file():
        raise FileNotFoundError(f"{file}: no such list of photos; one name a line")
    return [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]


def thumbnail(image: np.ndarray) -> np.ndarray:
    """`(H, W, 3)` RGB uint8 -> `(32, 32)` float32: luminance without its blur, divided by its local contrast."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    edges = grey - cv2.GaussianBlur(grey, (0, 0), 2.0)
    contrast = np.sqrt(cv2.GaussianBlur(edges * edges, (0, 0), 4.0))
    return edges / (contrast + 1.0)


def likeness(first: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Highest correlation of a thumbnail `(32, 32)` with each of `(N, 32, 32)` over shifts and mirroring; `(N,)`."""
    inner = slice(SHIFT, THUMBNAIL - SHIFT)
    best = np.full(len(others), -1.0, np.float32)
    centre = _unit(others[:, inner, inner].reshape(len(others), -1))  # (N, 28 * 28)
    for seen in (first, first[:, ::-1]):
        for y in range(2 * SHIFT + 1):
            for x in range(2 * SHIFT + 1):
                side = THUMBNAIL - 2 * SHIFT
                shifted = _unit(seen[y : y + side, x : x + side].reshape(1, -1))
                best = np.maximum(best, centre @ shifted[0])
    return best


def near_duplicates(thumbnails: np.ndarray, alike: float = ALIKE) -> list[list[int]]:
    """Groups of indices of `(N, 32, 32)` thumbnails that belong together; most have one member.

    Raises ValueError where `alike` is outside (0, 1].
    """
    if not 0 < alike <= 1:
        raise ValueError(f"alike must lie in (0, 1], got {alike}")
    owner = list(range(len(thumbnails)))

    def root(index: int) -> int:
        while owner[index] != index:
            index = owner[index]
        return index

    for index in range(len(thumbnails) - 1):
        close = likeness(thumbnails[index], thumbnails[index + 1 :])
        for other in index + 1 + np.flatnonzero(close >= alike):
            first, second = sorted((root(index), root(int(other))))
            owner[second] = first
    groups: dict[int, list[int]] = {}
    for index in range(len(thumbnails)):
        groups.setdefault(root(index), []).append(index)
    return list(groups.values())


def two_folds(
    groups: Sequence[Sequence[int]], kinds: Sequence[str], seed: int = 0
) -> tuple[list[int], list[int]]:
    """Deals whole groups to two folds, so that each holds about half of the photos of each kind.

    Args:
        groups: indices that stay together, as from `near_duplicates`.
        kinds: of each index, for example the set that it is from.
        seed: of the order in which groups of one size are dealt; larger ones come first.

    Returns:
        the indices of both folds, sorted.

    Raises:
        ValueError: there are fewer than two groups.
    """
    if len(groups) < 2:
        raise ValueError(f"two folds need two groups of photos at least, got {len(groups)}")
    folds: tuple[list[int], list[int]] = ([], [])
    held: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    order = np.random.default_rng(seed).permutation(len(groups))
    for g in sorted(order, key=lambda g: -len(groups[g])):  # stable: the drawn order stays among equals
        crowding = [sum(held[fold][kinds[index]] for index in groups[g]) for fold in (0, 1)]
        fold = int(crowding[1] < crowding[0])
        folds[fold].extend(groups[g])
        held[fold].update(kinds[index] for index in groups[g])
    return sorted(folds[0]), sorted(folds[1])


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
