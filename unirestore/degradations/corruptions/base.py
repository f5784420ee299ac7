"""What the 19 benchmark corruptions share: severity 1 to 5 at published parameters, and how a severity is drawn.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR
2019, arXiv:1903.12261, define them on photos of 224 x 224 pixels; Michaelis et al., "Benchmarking Robustness in
Object Detection", arXiv:1907.07484, extend them to photos of any size, which is the version followed here. All
code is ours. What differs from those papers is said in the class that differs.

Lengths are in pixels of the photo as it is given, as published: a blur of 10 pixels is strong on a photo of 224
and weak on one of 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
    """Base of the benchmark corruptions; every free choice (angle, crop, noise) comes from the seed of the call.

    A subclass may have `apply_bytes`, the same on 8-bit photos without a detour over float: several times faster
    for the cheap ones, at most one grey level from `apply`.
    """

    name: ClassVar[str] = ""  # as the benchmark calls it
    monotone: ClassVar[bool] = True  # False: the published severities do not always lower PSNR step by step
    non_negative: ClassVar[tuple[str, ...]] = ()  # parameters that must be >= 0
    shares: ClassVar[tuple[str, ...]] = ()  # parameters that must lie in [0, 1]

    def check(self) -> None:
        for field in self.non_negative:
            require(getattr(self, field) >= 0, f"{field} must be >= 0, got {getattr(self, field)}")
        for field in self.shares:
            require(0 <= getattr(self, field) <= 1, f"{field} must lie in [0, 1], got {getattr(self, field)}")

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Corrupt (H, W, 3) uint8 RGB, same type back, `image` untouched; None leaves it to `apply`."""
        return None

    def __call__(
        self,
        image: Any,
        *,
        seed: int,
        depth: np.ndarray | None = None,
        label_map: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Any:
        """As `Degradation.__call__`; depth and labels change nothing here, their sizes are checked all the same."""
        rest = {"depth": depth, "label_map": label_map, "class_names": class_names}
        eight = _colour_bytes(image)
        out = None if eight is None else self.apply_bytes(eight, self._generator(seed))
        if out is None:
            return super().__call__(image, seed=seed, **rest)
        for name in ("depth", "label_map"):
            shape = eight.shape[:2] if rest[name] is None else np.shape(rest[name])
            require(shape == eight.shape[:2], f"{name} is {shape}, the photo is {eight.shape[:2]}; resize it")
        if isinstance(image, np.ndarray):
            return out.reshape(image.shape)
        tensor = image.new_empty(image.shape, device="cpu")
        tensor.numpy()[...] = out.transpose(2, 0, 1)
        return tensor.to(image.device)

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> Corruption:
        """The published parameters of `severity`; without one, of a severity drawn with `SEVERITY_SHARES`."""
        return cls(severity=draw_severity(rng) if severity is None else severity)


def _colour_bytes(image: Any) -> np.ndarray | None:
    """(H, W, 3) uint8 for an 8-bit colour array of that shape or a tensor of (3, H, W); else None."""
    if getattr(image, "ndim", 0) != 3 or min(image.shape) < 1:
        return None
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(image) if image.dtype == np.uint8 and image.shape[2] == 3 else None
    if hasattr(image, "detach") and str(image.dtype) == "torch.uint8" and image.shape[0] == 3:
        return np.ascontiguousarray(image.detach().cpu().numpy().transpose(1, 2, 0))
    return None
