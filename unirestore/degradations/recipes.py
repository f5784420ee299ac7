"""Recipes: a small JSON language for random degradations, from one effect to a second-order chain.

    recipe = load_recipe({"chain": [{"one_of": [{"effect": "Haze"}, {"effect": "Rain"}], "weights": [2, 1]},
                                    {"effect": "JpegCompression", "probability": 0.5}]})
    effect = recipe.draw(seed=7)            # concrete: a Compose of effects with plain numbers in it
    degraded = effect(photo, seed=7)

A recipe is what may happen, a draw is what did happen; only draws are stored in manifests, so a manifest can
be replayed after the recipe has changed. The nodes:

    {"effect": "Haze", "severity": 3, "params": {...}}   one effect; severity n, [low, high] or none (all);
                                                         drawn by its `sample`, then `params` are put in;
                                                         further arguments of `sample` may be among them
                                                         (`codecs` of Compression)
    {"chain": [...]}                                     one after another
    {"one_of": [...], "weights": [...]}                  one of several (`weights` may be left out)
    {"at_scale": number, "chain": [...]}                 a chain at another size, see `AtScale`
    {"mixture": "mixed"}                                 a `WeatherMixture`; further keys are its arguments
    {"recipe": "web"}                                    a recipe of `RECIPES`

Each node takes "probability" (1). A number of `params` or `at_scale` is a number or is drawn:
{"uniform": [a, b]}, {"log_uniform": [a, b]}, {"integer": [a, b]} (both ends), {"choice": [...]},
{"choice": [...], "weights": [...]}.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from .at_scale import AtScale
from .base import REGISTRY, SEVERITIES, Degradation, require
from .compose import Compose, Identity
from .mixture import MIXTURES, WeatherMixture
from .noise_fields import generator

RECIPES: dict[str, Mapping[str, Any] | Callable[[], Mapping[str, Any]]] = {}
"""Name -> recipe, or what makes it; filled by `recipe_book.py`, open to more."""
SAMPLERS: dict[str, Callable[[int | None], Any]] = {}
"""Name -> function of a severity that gives something with `draw(seed)`, where nodes do not suffice."""

NODES = ("effect", "at_scale", "chain", "one_of", "mixture", "recipe")
_KEYS = {
    "effect": {"effect", "severity", "params", "probability"},
    "chain": {"chain", "probability"},
    "one_of": {"one_of", "weights", "probability"},
    "at_scale": {"at_scale", "chain", "down", "up", "probability"},
    "mixture": {"mixture", "severity", "clean", "camera", "probability"},
    "recipe": {"recipe", "probability"},
}
_DRAWS = ("uniform", "log_uniform", "integer", "choice")


class Recipe:
    """A checked recipe that draws degradations; a `WeatherMixture` can stand wherever one is expected.

    Args:
        spec: a node, see the module header.
        severity: severity of the effects whose node has none, 1 to 5; None leaves them free.
        name: what manifests and data cards call it.

    Raises:
        ValueError that names the node at fault.
    """

    def __init__(self, spec: Mapping[str, Any], *, severity: int | None = None, name: str = "") -> None:
        require(
            severity is None or severity in SEVERITIES, f"severity must be 1..5 or None, got {severity!r}"
        )
        _check(spec, "recipe")
        require(
            severity is None or _takes_severity(spec),
            f"severity={severity} changes nothing in {name or json.dumps(spec, sort_keys=True)!r:.80}: its effects "
            "have their severities or ranges already; leave it out",
        )
        self.spec, self.severity = spec, severity
        self.name = name or json.dumps(spec, sort_keys=True)

    def __repr__(self) -> str:
        return f"Recipe({self.name!r}, severity={self.severity})"

    def draw(self, seed: int) -> Degradation:
        """The degradation of `seed`, every parameter concrete; the same seed gives equal parameters."""
        return self._draw(self.spec, generator(seed, 0x52))

    def _draw(self, node: Mapping[str, Any], rng: np.random.Generator) -> Degradation:
        kind = _kind(node)
        # one stream for each node, so that a change inside one leaves its siblings as they were
        rng = generator(int(rng.integers(0, 2**63)))
        if rng.random() >= float(node.get("probability", 1.0)):
            return Identity()
        if kind == "effect":
            return self._effect(node, rng)
        if kind == "chain":
            return _compose([self._draw(child, rng) for child in node["chain"]])
        if kind == "at_scale":
            scale = float(np.clip(_number(node["at_scale"], rng), 0.02, 8.0))
            down, up = (str(_number(node.get(key, default), rng)) for key, default in _FILTERS)
            effects = tuple(_flat([self._draw(child, rng) for child in node["chain"]])) or (Identity(),)
            return AtScale(scale=scale, down=down, up=up, effects=effects)
        if kind == "one_of":
            weights = node.get("weights")
            shares = None if weights is None else np.asarray(weights, float) / sum(weights)
            return self._draw(node["one_of"][int(rng.choice(len(node["one_of"]), p=shares))], rng)
        if kind == "mixture":
            rest = {k: v for k, v in node.items() if k not in ("mixture", "probability")}
            rest.setdefault("severity", self.severity)
            return WeatherMixture(node["mixture"], **rest).draw(int(rng.integers(0, 2**63)))
        return self._draw(named(node["recipe"]), rng)

    def _effect(self, node: Mapping[str, Any], rng: np.random.Generator) -> Degradation:
        cls = REGISTRY[node["effect"]]
        severity = node.get("severity", self.severity)
        if isinstance(severity, (list, tuple)):
            severity = int(rng.integers(severity[0], severity[1] + 1))
        fixed = {name: _number(value, rng) for name, value in node.get("params", {}).items()}
        told = {name: fixed.pop(name) for name in _arguments(cls) if name in fixed}
        try:
            return self._built(cls, severity, fixed, told, rng)
        except TypeError as error:
            raise ValueError(f"{node['effect']}: params {fixed} do not fit ({error})") from error

    @staticmethod
    def _built(
        cls: type[Degradation],
        severity: int | None,
        fixed: dict[str, Any],
        told: dict[str, Any],
        rng: np.random.Generator,
    ) -> Degradation:
        if fixed and not told and set(cls.presets) <= set(fixed):  # no preset is left to a severity
            return cls(severity=severity if hasattr(cls, "QUALITIES") else None, **fixed)
        if hasattr(cls, "sample"):
            return dataclasses.replace(cls.sample(rng, severity, **told), **fixed)
        if cls.presets and severity is None:
            severity = int(rng.integers(1, 6))
        return cls(severity=severity if cls.presets else None, **fixed)


_FILTERS = (("down", "area"), ("up", "bicubic"))


def load_recipe(
    what: str | Path | Mapping[str, Any] | Degradation | Recipe, *, severity: int | None = None
) -> Any:
    """A recipe from whatever names one; the result has `draw(seed)`.

    Args:
        what: a name of `RECIPES`, `SAMPLERS` or `MIXTURES`, the name of an effect (`"Haze"`, or `"Haze:4"` with its
            severity), a `.json` file, a node, a `Degradation` (always the same one), or a recipe (returned).
        severity: 1 to 5 for effects that name none; None draws over the whole range.

    Raises:
        ValueError that lists the known names; FileNotFoundError for a missing file.
    """
    if isinstance(what, Degradation):
        require(severity is None, f"severity={severity} cannot be put on {what}: its parameters are set")
        return FixedRecipe(what)
    if isinstance(what, Mapping):
        return Recipe(what, severity=severity)
    if hasattr(what, "draw"):
        require(severity is None, f"severity={severity} cannot be put on {what!r}, which is made already")
        return what
    name = str(what)
    if name.endswith(".json"):
        if not Path(name).is_file():
            raise FileNotFoundError(f"no recipe file at {name}")
        try:
            spec = json.loads(Path(name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{name}: not JSON ({error})") from error
        return Recipe(spec, severity=severity, name=Path(name).stem)
    if name in RECIPES:
        return Recipe(named(name), severity=severity, name=name)
    if name in SAMPLERS:
        return SAMPLERS[name](severity)
    if name in MIXTURES:
        return WeatherMixture(name, severity=severity)  # with the very draws of training
    kind, _, level = name.partition(":")
    if kind in REGISTRY:
        require(level in ("", *map(str, SEVERITIES)), f"{name!r}: the severity after ':' must be one of 1..5")
        require(
            not level or severity is None,
            f"{name!r} has its severity after the ':', and severity={severity} is given too; leave one of them out",
        )
        return Recipe({"effect": kind}, severity=int(level) if level else severity, name=name)
    raise ValueError(
        f"no recipe {name!r}; recipes: {', '.join(sorted([*RECIPES, *SAMPLERS]))}; "
        f"mixtures: {', '.join(sorted(MIXTURES))}; "
        f"effects: {', '.join(sorted(REGISTRY))}; or the path of a .json file"
    )


def named(name: str) -> Mapping[str, Any]:
    """The node of a name of `RECIPES`."""
    spec = RECIPES[name]
    return spec() if callable(spec) else spec


class FixedRecipe:
    """Draws the same degradation for every seed (what is random inside it still follows the seed)."""

    def __init__(self, effect: Degradation) -> None:
        self.effect, self.name = effect, type(effect).__name__

    def __repr__(self) -> str:
        return f"FixedRecipe({self.effect!r})"

    def draw(self, seed: int) -> Degradation:
        """The degradation it was made with."""
        return self.effect


def _names(cls: type[Degradation]) -> list[str]:
    return [field.name for field in dataclasses.fields(cls) if field.name != "severity"]


def _arguments(cls: type[Degradation]) -> list[str]:
    """What `cls.sample` takes beside the generator and the severity and is no field."""
    taken = inspect.signature(cls.sample).parameters if hasattr(cls, "sample") else ()
    return [name for name in taken if name not in ("rng", "severity", *_names(cls))]


def _flat(effects: list[Degradation]) -> list[Degradation]:
    return [effect for effect in effects if not isinstance(effect, Identity)]


def _compose(effects: list[Degradation]) -> Degradation:
    kept = _flat(effects)
    if len(kept) < 2:
        return kept[0] if kept else Identity()
    return Compose(effects=tuple(kept))


def _kind(node: Mapping[str, Any]) -> str:
    return next(kind for kind in NODES if kind in node)


def _number(value: Any, rng: np.random.Generator) -> Any:
    """`value`, or a draw from what it describes."""
    if not isinstance(value, Mapping):
        return value
    (kind,) = [key for key in _DRAWS if key in value]
    if kind == "choice":
        weights = value.get("weights")
        shares = None if weights is None else np.asarray(weights, float) / sum(weights)
        return value["choice"][int(rng.choice(len(value["choice"]), p=shares))]
    low, high = value[kind]
    if kind == "integer":
        return int(rng.integers(low, high + 1))
    if kind == "uniform":
        return float(rng.uniform(low, high))
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _check(node: Any, where: str) -> None:
    """Raise ValueError unless `node` is a recipe; `where` is its place in the whole."""
    require(isinstance(node, Mapping), f"{where}: a node is a mapping with one of {NODES}, got {node!r}")
    kinds = [kind for kind in NODES if kind in node]
    if kinds == ["at_scale", "chain"]:
        kinds = ["at_scale"]
    require(
        len(kinds) == 1, f"{where}: a node has exactly one of {NODES}, this one has {sorted(map(str, node))}"
    )
    kind = kinds[0]
    unknown = sorted(map(str, set(node) - _KEYS[kind]))
    require(not unknown, f"{where}: unknown keys {unknown} beside {kind!r}; known: {sorted(_KEYS[kind])}")
    share = node.get("probability", 1.0)
    require(
        isinstance(share, (int, float)) and 0 <= share <= 1,
        f"{where}: probability must lie in [0, 1], got {share!r}",
    )
    if kind == "effect":
        name = node["effect"]
        require(_known(name, REGISTRY), f"{where}: unknown effect {name!r}; known: {sorted(REGISTRY)}")
        ends = node.get("severity")
        ends = ends if isinstance(ends, (list, tuple)) else [ends, ends]
        require(
            len(ends) == 2
            and (list(ends) == [None, None] or (_reals(ends, whole=True) and _ordered_severities(ends))),
            f"{where}: severity must be 1..5 or [low, high], got {node.get('severity')!r}",
        )
        params = node.get("params", {})
        require(isinstance(params, Mapping), f"{where}: params must be a mapping, got {params!r}")
        known = [*_names(REGISTRY[name]), *_arguments(REGISTRY[name])]
        unknown = sorted(map(str, set(params) - set(known)))
        require(not unknown, f"{where}: {name} has no parameter {unknown}; it has {known}")
        for key, value in params.items():
            require(
                _finite(value), f"{where}.{key}: infinity and NaN have no place in a manifest, got {value!r}"
            )
            _check_number(value, f"{where}.{key}")
    elif kind == "mixture":
        require(
            _known(node["mixture"], MIXTURES),
            f"{where}: unknown mixture {node['mixture']!r}; known: {sorted(MIXTURES)}",
        )
        try:
            WeatherMixture(
                node["mixture"], **{k: v for k, v in node.items() if k not in (kind, "probability")}
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error
    elif kind == "recipe":
        name = node["recipe"]
        require(_known(name, RECIPES), f"{where}: unknown recipe {name!r}; known: {sorted(RECIPES)}")
    else:
        if kind == "at_scale":
            for key in ("at_scale", "down", "up"):
                value, kind_of = node.get(key), (Real if key == "at_scale" else str)
                require(
                    isinstance(value, (Mapping, kind_of)) or (key != "at_scale" and key not in node),
                    f"{where}.{key}: must be a {'number' if kind_of is Real else 'name'} or drawn, got {value!r}",
                )
                _check_number(value, f"{where}.{key}")
        children = node["chain" if kind == "at_scale" else kind]
        require(isinstance(children, (list, tuple)) and len(children) > 0, f"{where}: {kind} is empty")
        for index, child in enumerate(children):
            _check(child, f"{where}.{kind}[{index}]")
        if kind == "one_of" and node.get("weights") is not None:
            _check_weights(node["weights"], len(children), where)


def _takes_severity(node: Mapping[str, Any]) -> bool:
    """Whether something in a checked node is drawn by the severity of the recipe."""
    kind = _kind(node)
    if kind == "effect":
        cls, fixed = REGISTRY[node["effect"]], set(node.get("params", {}))
        scaled = bool(cls.presets) or hasattr(cls, "sample")
        return "severity" not in node and scaled and not (fixed and set(cls.presets) <= fixed)
    if kind == "mixture":
        return "severity" not in node
    if kind == "recipe":
        return _takes_severity(named(node["recipe"]))
    return any(map(_takes_severity, node["one_of" if kind == "one_of" else "chain"]))


def _check_number(value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        return
    kinds = [key for key in _DRAWS if key in value]
    require(len(kinds) == 1, f"{where}: a drawn number has exactly one of {_DRAWS}, got {dict(value)}")
    ends = value[kinds[0]]
    if kinds[0] == "choice":
        require(isinstance(ends, (list, tuple)), f"{where}: choice must be a list, got {ends!r}")
        require(len(ends) > 0, f"{where}: choice is empty")
        if value.get("weights") is not None:
            _check_weights(value["weights"], len(ends), where)
        return
    require(
        _reals(ends, whole=kinds[0] == "integer")
        and len(ends) == 2
        and ends[0] <= ends[1]
        and (kinds[0] != "log_uniform" or ends[0] > 0),
        f"{where}: {kinds[0]} needs [low, high] in order (log_uniform above 0), got {ends}",
    )


def _check_weights(weights: Any, count: int, where: str) -> None:
    require(
        _reals(weights) and len(weights) == count and min(weights) >= 0 and sum(weights) > 0,
        f"{where}: {count} choices need as many weights >= 0, not all 0, got {weights}",
    )


def _finite(value: Any) -> bool:
    """Whether no number in it, at any depth, is infinite or NaN."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_finite, value))
    return not isinstance(value, Real) or math.isfinite(value)


def _known(name: Any, names: Mapping[str, Any]) -> bool:
    return isinstance(name, str) and name in names


def _reals(values: Any, *, whole: bool = False) -> bool:
    """Whether it is a list of finite numbers (`whole`: of integers)."""
    kind = Integral if whole else Real
    return isinstance(values, (list, tuple, np.ndarray)) and all(
        isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value) for value in values
    )


def _ordered_severities(ends: Any) -> bool:
    return all(end in SEVERITIES for end in ends) and ends[0] <= ends[1]
