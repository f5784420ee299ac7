"""Soft effects with their layers: what was put over a photo, how strongly, and where.

All four soft effects of UniSER (arXiv:2511.14183: haze, flare, shadow, reflection) are one formula in linear
light, with two layers of the size of the photo:

    composite = encode(clip(decode(clean) * transmission + light))

    haze         transmission = exp(-tau), light = scattered airlight
    flare        transmission = 1, light = what the lens adds
    shadow       transmission = share of the illumination left, light = 0
    reflection   transmission = what the glass lets through, light = what it mirrors

So an effect can be taken apart, weakened (`at_strength`) or put on another photo (`over`) without rendering it
again. UniSER's data set HALO stores the same for flares (flare = clean + separate effect layer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..base import Degradation, Scene, to_float_rgb
from ..light import to_linear, to_srgb
from ..portable import rounded


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What an effect renders; the product of `SoftEffect.render`.

    Args:
        transmission: (H, W, 3) float32 in [0, 1], or None where nothing is taken away.
        light: (H, W, 3) float32 linear light >= 0, may exceed 1; None where nothing is added.
        mask: (H, W) float32 in [0, 1]: how much of each pixel the effect occupies.
    """

    transmission: np.ndarray | None
    light: np.ndarray | None
    mask: np.ndarray

    def over(self, image: np.ndarray) -> np.ndarray:
        """The effect over `image`, (H, W, 3) float32 sRGB in [0, 1]."""
        linear = to_linear(image)
        if self.transmission is not None:
            linear *= self.transmission
        if self.light is not None:
            linear += self.light
        return to_srgb(linear)

    def at_strength(self, strength: float) -> Layers:
        """The same effect, weaker: 0 is none, 1 is as rendered. Absorption follows Beer-Lambert (power), added
        light and mask are scaled. Raises ValueError outside [0, 1].
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must lie in [0, 1], got {strength}")
        share = np.float32(strength)
        left, added = self.transmission, self.light
        return Layers(
            transmission=None if left is None else rounded(np.power, np.maximum(left, 1e-12), share),
            light=None if added is None else added * share,
            mask=self.mask * share,
        )


def opacity(light: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1]: a mask of added light, the root of its brightest channel (near its sRGB level)."""
    red, green, blue = cv2.split(light)
    brightest = np.minimum(np.maximum(np.maximum(red, green), blue), np.float32(1))
    return cv2.sqrt(brightest).reshape(brightest.shape)


@dataclass(frozen=True, kw_only=True)
class Layered:
    """A photo with a soft effect, taken apart.

    `clean`, `composite` and `effect` have the type, shape and dtype of the photo that was passed in; the rest are
    float32 arrays.

    Args:
        clean: the photo without the effect.
        composite: the photo with it; equals `effect(photo, seed=seed)` bit for bit.
        effect: the effect alone as a picture: the added light over black, or, where nothing is added (shadow), the
            transmission over white.
        mask: (H, W) float32 in [0, 1], soft.
        layers: the layers in linear light, to weaken the effect or put it over another photo.
    """

    clean: Any
    composite: Any
    effect: Any
    mask: np.ndarray
    layers: Layers

    def at_strength(self, strength: float) -> Any:
        """The composite of a weaker effect, in the type of the photo; 0 gives the clean photo to rounding."""
        pixels, restore = to_float_rgb(self.clean)
        return restore(self.layers.at_strength(strength).over(pixels))


@dataclass(frozen=True, kw_only=True)
class SoftEffect(Degradation):
    """Shared part of the effects with layers: a subclass implements `render`, and `apply` as its composite."""

    def render(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> Layers:
        """The layers for `image`, (H, W, 3) float32 sRGB in [0, 1]; the pixels need not be looked at."""
        raise NotImplementedError(f"{type(self).__name__} has no render()")

    def layers(
        self,
        image: Any,
        *,
        seed: int,
        depth: np.ndarray | None = None,
        label_map: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Layered:
        """Degrade one photo and return everything; arguments and errors as those of calling the effect."""
        tap = _Tap(self)
        composite = Degradation.__call__(
            tap, image, seed=seed, depth=depth, label_map=label_map, class_names=class_names
        )
        rendered = tap.rendered
        if rendered.light is not None:
            alone = to_srgb(rendered.light)
        elif rendered.transmission is not None:
            alone = to_srgb(rendered.transmission)
        else:
            alone = np.zeros((*rendered.mask.shape, 3), np.float32)
        _, restore = to_float_rgb(image)
        return Layered(
            clean=image, composite=composite, effect=restore(alone), mask=rendered.mask, layers=rendered
        )


class _Tap:
    """Stands in for an effect during one call and keeps what it rendered; effects themselves keep nothing."""

    rendered: Layers

    def __init__(self, effect: SoftEffect) -> None:
        self.effect = effect
        self._generator = effect._generator

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        self.rendered = self.effect.render(image, rng, scene)
        return self.rendered.over(image)

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> None:
        """None: layers are made of floats."""
        return None
