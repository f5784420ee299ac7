"""Degradations made of degradations: one after another, one of several, none.

Children of a `Compose` run on float pixels without rounding between them; each has its own random stream,
derived from the parent's, so inserting randomness into one child does not change its siblings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Degradation, Scene, build, require
from .geometry import chain
from .noise_fields import generator


@dataclass(frozen=True, kw_only=True)
class Identity(Degradation):
    """Leaves the photo as it is."""

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return image


@dataclass(frozen=True, kw_only=True)
class Group(Degradation):
    """Shared part of effects with children: they must be degradations and there must be at least one."""

    effects: tuple[Degradation, ...] = ()

    @property
    def moves_pixels(self) -> bool:
        """Whether one of `effects` displaces content."""
        return any(effect.moves_pixels for effect in self.effects)

    def check(self) -> None:
        require(
            len(self.effects) > 0, f"{type(self).__name__} needs at least one effect; use Identity() for none"
        )
        for effect in self.effects:
            require(isinstance(effect, Degradation), f"effects must be Degradation objects, got {effect!r}")
        require(
            self.severity is None, f"{type(self).__name__} has no severity of its own; set it on its effects"
        )

    @classmethod
    def from_parameters(cls, params: dict[str, Any]) -> Degradation:
        return super().from_parameters({**params, "effects": tuple(build(e) for e in params["effects"])})


@dataclass(frozen=True, kw_only=True)
class Compose(Group):
    """Runs `effects` in order, first to last, e.g. `effects=(Haze(severity=3), SensorNoise(severity=1))`."""

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        seeds = rng.integers(0, 2**63, size=len(self.effects))
        for effect, seed in zip(self.effects, seeds, strict=True):
            image = np.clip(effect.apply(image, generator(int(seed)), scene), 0, 1)
            if effect.moves_pixels:  # what comes next meets the depth and the labels where they are now
                scene = scene.warped(effect.sampling_map(scene.shape, generator(int(seed))))
        return image

    def sampling_map(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
        seeds = rng.integers(0, 2**63, size=len(self.effects))
        fields = [
            effect.sampling_map(shape, generator(int(seed)))
            for effect, seed in zip(self.effects, seeds, strict=True)
        ]
        return chain(fields)


@dataclass(frozen=True, kw_only=True)
class RandomChoice(Group):
    """Runs one of `effects`, drawn by the seed with the given relative `weights` (None: all alike)."""

    weights: tuple[float, ...] | None = None

    def check(self) -> None:
        super().check()
        if self.weights is not None:
            require(
                len(self.weights) == len(self.effects),
                f"{len(self.weights)} weights for {len(self.effects)} effects; give one weight to each",
            )
            require(
                min(self.weights) >= 0 and sum(self.weights) > 0,
                f"weights must be >= 0 and not all zero, got {self.weights}",
            )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        effect, stream = self._chosen(rng)
        return effect.apply(image, stream, scene)

    def sampling_map(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
        effect, stream = self._chosen(rng)
        return effect.sampling_map(shape, stream)

    def _chosen(self, rng: np.random.Generator) -> tuple[Degradation, np.random.Generator]:
        shares = None if self.weights is None else np.asarray(self.weights, float) / sum(self.weights)
        chosen = int(rng.choice(len(self.effects), p=shares))
        return self.effects[chosen], generator(int(rng.integers(0, 2**63)))
