"""A higher severity is a worse picture: every registered effect, on real photos."""

from itertools import pairwise

import numpy as np
import pytest

from unirestore.degradations import CORRUPTIONS, REGISTRY, SEVERITIES, load_recipe
from unirestore.degradations.mixture import ROADS

OURS = {name: kind for name, kind in REGISTRY.items() if kind.__module__.startswith("unirestore.")}
MADE_OF_EFFECTS = {"AtScale", "AtShortSide", "Compose", "Identity", "RandomChoice"}  # no scale of their own
SCALED = sorted(set(OURS) - MADE_OF_EFFECTS)
AS_PUBLISHED = {"FrostC", "GlassBlurC", "SaturateC"}  # benchmark corruptions whose scales are not in order

AT_PRESETS = {
    name for name in SCALED if OURS[name] in CORRUPTIONS.values()
}  # nothing is drawn beside the severity


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


def test_only_three_published_scales_are_not_in_order():
    assert set(OURS) >= MADE_OF_EFFECTS
    assert {name for name in SCALED if not getattr(OURS[name], "monotone", True)} == AS_PUBLISHED


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(set(SCALED) - AS_PUBLISHED))
def test_severity_lowers_psnr_step_by_step(name, kodak):
    means = [
        np.mean([psnr(OURS[name](severity=s)(photo, seed=n), photo) for n, photo in enumerate(kodak)])
        for s in SEVERITIES
    ]
    margin = 0.0 if name in AT_PRESETS else 0.3  # dB; SnowC 2 and 3 all but tie
    assert all(milder > worse + margin for milder, worse in pairwise(means)), means


@pytest.mark.shared
@pytest.mark.parametrize("name", [*sorted(set(SCALED) - AT_PRESETS), *ROADS, "nine"])
def test_severity_of_a_draw_lowers_psnr_step_by_step(name, kodak):
    """What `--severity` does: parameters jitter about the preset, the mean of twelve draws still goes down."""

    def mean(severity):
        recipe = load_recipe(name, severity=severity)
        drawn = [(photo, recipe.draw(seed)) for seed, photo in enumerate([*kodak, *kodak])]
        assert len({str(effect) for _, effect in drawn}) > 2, "nothing was drawn"
        return np.mean([psnr(effect(photo, seed=seed), photo) for seed, (photo, effect) in enumerate(drawn)])

    means = [mean(severity) for severity in SEVERITIES]
    assert all(milder > worse + 0.3 for milder, worse in pairwise(means)), means


@pytest.mark.parametrize("name", sorted(AT_PRESETS))
@pytest.mark.parametrize("severity", SEVERITIES)
def test_corruptions_are_drawn_at_their_published_parameters(name, severity):
    """So what the first test finds of their order holds for `--severity` too."""
    assert {load_recipe(name, severity=severity).draw(seed) for seed in range(5)} == {
        OURS[name](severity=severity)
    }
