"""Each stage trains what it says and nothing else, by mmengine's Runner."""

from __future__ import annotations

import pytest
import torch

from unirestore.models.unirestore import PARAMETER_GROUPS

STAGES = {
    "vae": dict(type="AutoencoderStage"),
    "prior": dict(type="PriorStage"),
    "restoration": dict(type="RestorationStage", start="clean"),
    "restoration from the degraded latent": dict(type="RestorationStage", start="degraded"),
    "adaptation": dict(type="AdaptationStage", start="degraded"),
    "adaptation, teacher-forced": dict(type="AdaptationStage", start="clean"),
    "adaptation without the perception term": dict(type="AdaptationStage", perception_weight=0.0),
    "prompts only": dict(type="AdaptationStage", trains=["prompts"], perception_weight=0.0),
}
TRAINED = {
    "vae": {"vae"},
    "prior": {"prior"},
    "restoration": {"cfrm", "controller", "sc_tuner"},
    "restoration from the degraded latent": {"cfrm", "controller", "sc_tuner"},
    "prompts only": {"prompts"},
}
ADAPTED = {"tfa", "prompts", "fusion"}


def build(name: str, restorer, detector) -> dict:
    model = dict(STAGES[name], restorer=restorer)
    return dict(model, downstream=dict(detector)) if model["type"] == "AdaptationStage" else model


def group_of(name: str) -> str:
    return next(group for group, prefix in PARAMETER_GROUPS.items() if name.startswith(prefix))


@pytest.mark.parametrize("name", STAGES)
def test_only_what_trains_changes(name, stirred_folder, detector, run_stage, values, tmp_path):
    from unirestore.models import UniRestore

    before = values(UniRestore.from_pretrained(stirred_folder))
    runner = run_stage(build(name, stirred_folder, detector), tmp_path, steps=2)
    after = values(runner.model)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {group_of(key) for key in changed} == TRAINED.get(name, ADAPTED)
    history = runner.message_hub.log_scalars
    losses = {key: value.data[0] for key, value in history.items() if "loss" in key}
    assert "train/loss" in losses
    for key, curve in losses.items():
        assert len(curve) == 2, key
        assert torch.isfinite(torch.tensor(curve)).all(), key
