"""Which teacher answers for an item: by the types of weather in the item's manifest.

Ours; Uni-Removal (arXiv 2307.05075) has a teacher per degradation, and how mixed batches reach them is not known to
us. A manifest names effects, not the mixture that drew them, so a family given as a mixture means the weather in its
draws: `road_fog` and `haze` are both `Haze`, `road_rain` is `Rain`. Pairs of one's own are a type of their own, `Pair`.
Licence: Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unirestore.data.paired import PAIR
from unirestore.degradations import REGISTRY
from unirestore.degradations.in_air import InAir
from unirestore.degradations.mixture import MIXTURES, WEATHER


def weather_types(family: Sequence[str]) -> frozenset[str]:
    """Types of weather (class names, as in a manifest) of a family of types and mixtures.

    Raises ValueError for an empty family or an unknown name, listing the mixtures.
    """
    if isinstance(family, str) or not family:
        raise ValueError(f"family must be a list of weather types or mixtures, got {family!r}")
    types: set[str] = set()
    for name in family:
        if name in MIXTURES:
            types = types.union(*(_drawn_types(kind) for kind in MIXTURES[name]))
        elif name in REGISTRY or name == PAIR:
            types.add(name)
        else:
            raise ValueError(
                f"unknown family {name!r}; give a registered degradation such as Haze, {PAIR} or a mixture: "
                f"{', '.join(sorted(MIXTURES))}"
            )
    return frozenset(types)


def manifest_types(entry: Mapping[str, Any]) -> list[str]:
    """Types in a manifest, outermost first, the effects of a group in their order."""
    inner = [kind for effect in entry.get("params", {}).get("effects", ()) for kind in manifest_types(effect)]
    return [entry["type"], *inner]


def route(weather: Sequence[Mapping[str, Any]], families: Sequence[frozenset[str]]) -> list[int | None]:
    """For each item's manifest the place of its family: that of the first type in it that any family holds.

    None where no family answers for it, as for clean pictures (`Identity`).
    """
    place = {kind: number for number, types in enumerate(families) for kind in types}
    return [next((place[kind] for kind in manifest_types(entry) if kind in place), None) for entry in weather]


def _drawn_types(kind: str) -> set[str]:
    """The weather in draws of one part of a mixture, without the lamps and tones that come with it."""
    types = set(manifest_types(WEATHER[kind].sample(np.random.default_rng(0)).to_manifest(0)))
    return {name for name in types if issubclass(REGISTRY[name], InAir)} or types - {"Compose"}
