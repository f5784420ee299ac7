"""The training sampler of UniRestore (arXiv:2501.13134): one of 15 corruptions or none, at a random resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..at_scale import AtScale
from ..base import Degradation, Scene, require
from ..compose import Group, Identity
from ..noise_fields import generator
from .base import SEVERITY_SHARES, draw_severity

SHORT_SIDE = (128, 511)  # range of the short side, both ends included


@dataclass(frozen=True, kw_only=True)
class AtShortSide(Group):
    """Runs `effects` on the photo resized to a given short side, and brings the result back to its size.

    Formula: y = resize(effects(resize(x, short side = short_side)), size of x); averaging when it gets smaller,
    bicubic when it gets larger. Corruptions whose lengths are in pixels so hit harder on small sides.
    Source: UniRestore, arXiv:2501.13134 (its training sampler). `AtScale` with a size in place of a factor.

    Args:
        effects: run one after another at that size.
        short_side: of the photo while `effects` run, in pixels, >= 1; at most 8 and at least 0.02 of the photo's.
    """

    short_side: int = 256

    def check(self) -> None:
        super().check()
        require(
            isinstance(self.short_side, int) and self.short_side >= 1,
            f"short_side must be a whole number of pixels >= 1, got {self.short_side!r}",
        )

    def _scaled(self, shape: tuple[int, int]) -> AtScale:
        scale = min(max(self.short_side / min(shape), 0.02), 8.0)
        down, up = ("area", "bicubic") if scale <= 1 else ("bicubic", "area")
        return AtScale(effects=self.effects, scale=scale, down=down, up=up)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return self._scaled(scene.shape).apply(image, rng, scene)

    def sampling_map(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
        return self._scaled(shape).sampling_map(shape, rng)


class CorruptionMixture:
    """Draws as UniRestore trains: 15 corruptions and "clean", all 16 alike, at a random short side.

    A draw is a concrete `AtShortSide`, so one manifest line replays it. "clean" draws lose resolution all the
    same, as in the paper's pipeline, which resizes before it chooses.

    Args:
        names: of the corruptions to draw from, keys of `CORRUPTIONS` or "clean"; None: the 15 and "clean".
        severity: 1 to 5 fixes it; None draws with `severity_shares`.
        severity_shares: relative frequencies of severity 1 to 5.
        short_side: smallest and largest short side, both included; None leaves the photo at its size.

    Raises:
        ValueError for unknown names, shares that are not five numbers >= 0, an empty or reversed range.
    """

    def __init__(
        self,
        names: tuple[str, ...] | None = None,
        *,
        severity: int | None = None,
        severity_shares: tuple[float, ...] = SEVERITY_SHARES,
        short_side: tuple[int, int] | None = SHORT_SIDE,
    ) -> None:
        from . import CORRUPTIONS, SUBSETS

        names = tuple(names) if names is not None else (*SUBSETS["common"], "clean")
        unknown = sorted(set(names) - {*CORRUPTIONS, "clean"})
        require(not unknown, f"unknown corruptions {unknown}; known: {sorted(CORRUPTIONS)} and 'clean'")
        require(len(names) > 0, "names is empty; pass None for the 15 common corruptions and 'clean'")
        require(severity in (None, 1, 2, 3, 4, 5), f"severity must be 1..5 or None, got {severity!r}")
        require(
            len(severity_shares) == 5 and min(severity_shares) >= 0 and sum(severity_shares) > 0,
            f"severity_shares must be five numbers >= 0, not all zero, got {severity_shares}",
        )
        require(
            short_side is None or 1 <= short_side[0] <= short_side[1],
            f"short_side must be (smallest, largest) with 1 <= smallest <= largest, got {short_side}",
        )
        self.names, self.severity = names, severity
        self.severity_shares, self.short_side = tuple(severity_shares), short_side

    def __repr__(self) -> str:
        return f"CorruptionMixture({len(self.names)} names, severity={self.severity}, short_side={self.short_side})"

    def draw(self, seed: int) -> Degradation:
        """The degradation of `seed`: the same seed gives equal parameters."""
        from . import CORRUPTIONS

        rng = generator(seed, 0xC0)
        name = self.names[int(rng.integers(len(self.names)))]
        severity = self.severity or draw_severity(rng, self.severity_shares)
        effect = Identity() if name == "clean" else CORRUPTIONS[name](severity=severity)
        if self.short_side is None:
            return effect
        low, high = self.short_side
        return AtShortSide(effects=(effect,), short_side=int(rng.integers(low, high + 1)))
