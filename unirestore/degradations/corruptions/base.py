"""What the 19 benchmark corruptions share: severity 1 to 5 at published parameters, and how a severity is drawn.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019, arXiv:1903.12261, define them on photos of 224 x 224 pixels; Michaelis et al., "Benchmarking Robustness in
Object Detection", arXiv:1907.07484, extend them to photos of any size, which is the version followed here. All
code is ours. What differs from those papers is said in the class that differs.

Lengths are in pixels of the photo as it is given, as published: a blur of 10 pixels is strong on a photo of 224
and weak on one of 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..base import SEVERITIES, Degradation, require

# UniRestore (arXiv:2501.13134) trains with these shares of severity 1 to 5.
SEVERITY_SHARES = (0.05, 0.25, 0.40, 0.25, 0.05)


def draw_severity(rng: np.random.Generator, shares: tuple[float, ...] = SEVERITY_SHARES) -> int:
    """A severity 1 to 5 with probabilities in proportion to `shares`."""
    total = float(sum(shares))
    return SEVERITIES[int(rng.choice(len(SEVERITIES), p=[share / total for share in shares]))]


@dataclass(frozen=True, kw_only=True)
class Corruption(Degradation):
    """Base of the benchmark corruptions; every free choice (angle, crop, noise) comes from the seed of the call."""

    name: ClassVar[str] = ""  # as the benchmark calls it
    monotone: ClassVar[bool] = True  # False: the published severities do not always lower PSNR step by step
    non_negative: ClassVar[tuple[str, ...]] = ()  # parameters that must be >= 0
    shares: ClassVar[tuple[str, ...]] = ()  # parameters that must lie in [0, 1]

    def check(self) -> None:
        for field in self.non_negative:
            require(getattr(self, field) >= 0, f"{field} must be >= 0, got {getattr(self, field)}")
        for field in self.shares:
            require(0 <= getattr(self, field) <= 1, f"{field} must lie in [0, 1], got {getattr(self, field)}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Corruption:
        """The published parameters of `severity`; without one, of a severity drawn with `SEVERITY_SHARES`."""
        return cls(severity=draw_severity(rng) if severity is None else severity)
