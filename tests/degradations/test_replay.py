"""What a manifest's line says and what is said when a picture cannot be made, or made again."""

from __future__ import annotations

import numpy as np
import pytest

from unirestore.degradations import Haze, LensDrops, Rain, load_recipe
from unirestore.degradations.replay import degrade_photo

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.mark.parametrize("kind", [LensDrops, Rain])
@pytest.mark.parametrize("drops", [12.5, -1, True, "many"])
def test_drops_are_a_whole_number(kind, drops):
    with pytest.raises(ValueError, match=f"drops must be an integer >= 0, got {drops!r}"):
        kind(drops=drops)


def test_a_parameter_that_does_not_fit_is_told_with_photo_and_effect():
    recipe = load_recipe({"effect": "LensDrops", "params": {"drops": {"uniform": [10, 20]}}})
    with pytest.raises(ValueError, match=r"sub/a\.png: .*drops must be an integer >= 0, got 1"):
        degrade_photo(PHOTO, recipe, name="sub/a.png", seed=1)


def test_a_fault_in_an_effect_is_told_with_photo_and_effect(monkeypatch):
    def faulty(*_):
        raise TypeError("'float' object cannot be interpreted as an integer")

    monkeypatch.setattr(Haze, "apply", faulty)
    with pytest.raises(ValueError, match=r"a\.png: Haze: 'float' object cannot be") as told:
        degrade_photo(PHOTO, load_recipe("Haze:2"), name="a.png", seed=1)
    assert isinstance(told.value.__cause__, TypeError)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("Haze:2", "'Haze:2' has its severity after the ':'"),
        ("web", "severity=4 changes nothing in 'web'"),
        ("second_order", "severity=4 changes nothing in 'second_order'"),
        ("everything", "severity=4 changes nothing in 'everything'"),
        ({"effect": "Haze", "severity": 2}, "severity=4 changes nothing"),
        ("Identity", "severity=4 changes nothing in 'Identity'"),
    ],
)
def test_a_severity_that_would_change_nothing_is_refused(what, words):
    load_recipe(what)
    with pytest.raises(ValueError, match=words):
        load_recipe(what, severity=4)


@pytest.mark.parametrize(
    "what", ["Haze", "nine", {"chain": [{"effect": "Haze", "severity": 2}, {"effect": "Rain"}]}]
)
def test_a_severity_that_changes_something_is_taken(what):
    drawn = {str(load_recipe(what, severity=level).draw(seed)) for level in (1, 5) for seed in range(3)}
    assert len(drawn) > 3
