"""The calibration stage: what it trains, what each term does, collapse checks, and exact resuming."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from unirestore.models import UniRestore
from unirestore.models.unirestore import PARAMETER_GROUPS
from unirestore.training import build_pairs_beside_real, read_training_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SMALL = dict(type="CalibrationStage", clean_prototypes=2, degraded_prototypes=2, fit_items=6)
HOOKS = [dict(type="ExportRestorer"), dict(type="FitPrototypes")]


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> str:
    """Four grey, flat photos."""
    folder = tmp_path_factory.mktemp("real")
    rng = np.random.default_rng(0)
    for index in range(4):
        noise = rng.normal(0, 6, (80, 96, 1)) + rng.normal(0, 2, (80, 96, 3))
        cv2.imwrite(str(folder / f"{index}.png"), np.clip(170 + 10 * index + noise, 0, 255).astype(np.uint8))
    return str(folder)


@pytest.fixture(scope="module")
def items(scenes, real):
    return build_pairs_beside_real(
        real=real, sources=[dict(set=scenes)], size=64, length=100, identity_probability=0.5
    )


@pytest.fixture(scope="module")
def batch(items):
    """Four items, of which some have weather and some have none."""
    from unirestore.data import collate

    made = collate([items[n] for n in range(4)])
    weather = (made["clean"] != made["degraded"]).flatten(1).any(1)
    assert 0 < int(weather.sum()) < 4
    return made


@pytest.fixture
def ready(stirred_folder, make_stage, items):
    """Builds a fitted stage."""

    def build(**settings):
        stage = make_stage(dict(SMALL, restorer=stirred_folder, **settings))
        stage.fit(items)
        return stage

    return build


def only(name: str, weight: float = 1.0) -> dict[str, float]:
    """Settings with every term switched off but one."""
    names = (
        "cluster",
        "statistics",
        "adversarial",
        "content",
        "colour",
        "identity",
        "paired",
        "match",
        "task",
        "self",
    )
    return {f"{each}_weight": weight if each == name else 0.0 for each in names}


def keys(scenes, real) -> dict:
    return {
        "train_dataloader.dataset": dict(
            type="PairsBesideReal",
            real=real,
            sources=[dict(set=scenes)],
            size=64,
            length=1000,
            identity_probability=0.5,
        ),
        "custom_hooks": HOOKS,
    }


def test_only_what_trains_changes_and_the_rest_is_not_saved(
    stirred_folder, scenes, real, run_stage, values, tmp_path
):
    before = values(UniRestore.from_pretrained(stirred_folder))
    runner = run_stage(
        dict(SMALL, restorer=stirred_folder, statistics_weight=0.1), tmp_path, steps=2, **keys(scenes, real)
    )
    after = values(runner.model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    groups = {
        group for group, prefix in PARAMETER_GROUPS.items() for name in changed if name.startswith(prefix)
    }
    there = {group for group in PARAMETER_GROUPS if runner.model.restorer.parameter_group(group)}
    assert groups == there & {"cfrm", "tfa", "prompts", "fusion", "detail"} >= {"cfrm", "tfa", "prompts"}
    history = runner.message_hub.log_scalars
    for name in ("loss_cluster", "loss_statistics", "loss_adversarial", "loss_discriminator", "loss_content"):
        assert np.isfinite(history[f"train/{name}"].data[0]).all(), name
    for name in ("loss_colour", "loss_identity", "loss_paired", "d_real", "d_fake", "r1", "usage", "spread"):
        assert np.isfinite(history[f"train/{name}"].data[0]).all(), name
    exported = UniRestore.from_pretrained(tmp_path / "restorer")
    assert set(values(exported)) == set(before)
    saved = read_training_checkpoint(tmp_path / "iter_2.pth")["state_dict"]
    assert "clean.centres" in saved and any(name.startswith("discriminator.") for name in saved)
    assert not any(name.startswith(("restorer.vae", "restorer.prior")) for name in saved)


def test_resuming_continues_bit_exactly(stirred_folder, scenes, real, run_stage, values, tmp_path):
    """Prototypes, discriminator, its power iteration and the optimizer all come back."""
    model = dict(SMALL, restorer=stirred_folder, statistics_weight=0.1)
    whole = run_stage(model, tmp_path / "whole", steps=4, save_every=2, **keys(scenes, real))
    third = tmp_path / "whole" / "iter_2.pth"
    resumed = run_stage(
        model, tmp_path / "parts", steps=4, resume=True, load_from=str(third), **keys(scenes, real)
    )
    first, second = whole.model.state_dict(), resumed.model.state_dict()
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    losses = [runner.message_hub.get_scalar("train/loss").data[0].tolist() for runner in (whole, resumed)]
    assert losses[0] == losses[1] and len(losses[0]) == 4


def test_at_the_start_nothing_differs_from_the_start(ready, batch):
    losses = ready()(**batch)
    assert float(losses["loss_content"].detach()) == float(losses["loss_colour"].detach()) == 0
    assert float(losses["loss_cluster"].detach()) > 0


@pytest.mark.parametrize("name", ["cluster", "statistics", "adversarial", "identity", "paired"])
def test_each_term_stands_alone_scales_and_reaches_the_restorer(name, ready, batch):
    found = []
    for weight in (1.0, 3.0):
        torch.manual_seed(0)
        stage = ready(**only(name, weight))
        losses = {key: value for key, value in stage(**batch).items() if key.startswith("loss")}
        assert set(losses) - {"loss_discriminator"} == {f"loss_{name}"}
        losses[f"loss_{name}"].backward()
        assert any(
            value.grad is not None and value.grad.abs().sum() > 0 for value in stage.restorer.parameters()
        )
        found.append(float(losses[f"loss_{name}"].detach()))
    assert found[1] == pytest.approx(3 * found[0], rel=1e-4)


@pytest.mark.parametrize("name", ["cluster", "statistics"])
def test_a_term_alone_falls_when_it_is_trained(name, ready, batch):
    """Thirty steps on one batch: outputs come nearer to the clean side."""
    stage = ready(**only(name), tasks=["det"])
    optimizer = torch.optim.Adam([value for value in stage.parameters() if value.requires_grad], 3e-3)
    curve = []
    for _ in range(30):
        loss = stage(**batch)[f"loss_{name}"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(float(loss.detach()))
    assert min(curve[-5:]) < 0.9 * curve[0]


def test_what_keeps_content_notices_a_change(ready, batch):
    stage = ready(cluster_weight=0.0, adversarial_weight=0.0)
    with torch.no_grad():
        for parameter in stage.restorer.parameter_group("fusion").values():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
        losses = stage(**batch)
    assert float(losses["loss_content"]) > 0 and float(losses["loss_colour"]) > 0


def test_pairs_without_weather_are_the_identity_and_count_as_clean(ready, batch):
    stage = ready()
    plain = dict(batch, degraded=batch["clean"])
    before = stage.degraded.centres.clone()
    losses = stage(**plain)
    assert float(losses["loss_paired"].detach()) == 0 < float(losses["loss_identity"].detach())
    real_only = stage.degraded.centres.clone()
    stage.degraded.centres.copy_(before)
    stage.degraded.update(stage.embed(batch["real"].float() / 255))
    torch.testing.assert_close(stage.degraded.centres, real_only)
    assert not torch.equal(before, real_only)
    all_weather = dict(batch, degraded=255 - batch["clean"])
    assert float(stage(**all_weather)["loss_identity"].detach()) == 0


def test_fitting_parts_clean_from_degraded_and_happens_once(ready, items, stirred_folder, make_stage, batch):
    stage = ready()
    clean = stage.embed(torch.stack([items[n]["clean"] for n in range(6)]).float() / 255)
    real = stage.embed(torch.stack([items[n]["real"] for n in range(6)]).float() / 255)
    centres = torch.cat([stage.clean.centres, stage.degraded.centres])
    likeness = torch.nn.functional.cosine_similarity(
        torch.cat([clean, real])[:, None], centres[None], dim=2
    ).argmax(1)
    assert (likeness[:6] < 2).all() and (likeness[6:] >= 2).all()
    torch.testing.assert_close(stage.clean_mean, clean.mean(0))
    raw = make_stage(dict(SMALL, restorer=stirred_folder))
    with pytest.raises(ValueError, match="FitPrototypes"):
        raw(**batch)


def test_collapse_shows(ready, batch):
    """One picture four times over: the spread of the outputs is nought, and all fall to one prototype."""
    stage = ready(momentum=0.0)
    same = dict(batch, real=batch["real"][:1].expand(4, -1, -1, -1))
    assert float(stage(**same)["usage"]) < 1e-5
    first = stage(**batch)
    assert 0 < float(first["spread"]) < 100
    with torch.no_grad():
        alike = stage.embed(batch["real"][:1].expand(4, -1, -1, -1).float() / 255)
    assert float(alike.std(0, unbiased=False).mean()) < 1e-4


def test_both_tasks_have_their_turn(ready, batch):
    stage = ready(**only("cluster"))
    taught = set()
    for first in range(12):
        stage.zero_grad()
        losses = stage(**dict(batch, index=torch.full((4,), first)))
        losses["loss_cluster"].backward()
        taught |= {task for task in stage.restorer.tasks if stage.restorer.prompts[task].grad is not None}
    assert taught == set(stage.restorer.tasks)


def test_what_is_exported_may_lie_between_the_start_and_the_end(ready, values):
    stage = ready(start_share=0.25)
    before = {name: value.clone() for name, value in values(stage.restorer).items()}
    with torch.no_grad():
        for parameter in stage.restorer.parameter_group("tfa").values():
            parameter += 1
    stage.finish(None)
    for name, value in values(stage.restorer).items():
        moved = 0.75 if name in stage.restorer.parameter_group("tfa") else 0.0
        torch.testing.assert_close(value, before[name] + moved)
    plain = ready()
    with torch.no_grad():
        next(iter(plain.restorer.parameter_group("tfa").values())).add_(1)
    kept = {name: value.clone() for name, value in values(plain.restorer).items()}
    plain.finish(None)
    assert all(torch.equal(value, kept[name]) for name, value in values(plain.restorer).items())


def test_a_detector_may_embed(detector, ready, batch):
    stage = ready(network=dict(detector))
    assert stage.clean.centres.shape[1] == 2 * 3 * 16
    sum(value for key, value in stage(**batch).items() if key.startswith("loss")).backward()
    assert not any("network" in name for name, _ in stage.named_parameters())
    assert all(value.grad is None for value in stage.network.parameters())


@pytest.mark.parametrize("name", ["match", "task", "self"])
def test_terms_of_a_detector_stand_alone_in_batches_of_its_task(name, detector_with_weights, ready, batch):
    boxes = [torch.tensor([[8.0, 8.0, 40.0, 40.0]])] * 4
    labels = [torch.tensor([2])] * 4
    truth = dict(
        real_boxes=boxes, real_labels=labels, boxes=boxes, labels=labels, labelled=torch.ones(4).bool()
    )
    sums = []
    for weight in (1.0, 3.0):
        stage = ready(network=dict(detector_with_weights), tasks=["det"], **only(name, weight))
        losses = {key: value for key, value in stage(**{**batch, **truth}).items() if key.startswith("loss")}
        start = {"match": "loss_match", "task": "loss_det_", "self": "loss_det_real_"}[name]
        assert losses and all(key.startswith(start) for key in losses)
        assert name != "task" or not any("real" in key for key in losses)
        sums.append(sum(losses.values()))
        sums[-1].backward()
        learnt = [value.grad.abs().sum() for value in stage.restorer.parameters() if value.grad is not None]
        assert learnt and sum(learnt) > 0
        assert all(value.grad is None for value in stage.network.parameters())
    assert float(sums[1].detach()) == pytest.approx(3 * float(sums[0].detach()), rel=1e-4)
    other = ready(network=dict(detector_with_weights), **only(name), network_task="ir", tasks=["ir", "det"])
    shown = []
    for first in range(8):
        losses = other(**{**batch, **truth, "index": torch.full((4,), first)})
        shown.append(any(key.startswith("loss") for key in losses))
    assert any(shown) and not all(shown)


def test_terms_that_need_boxes_say_so(detector, ready, batch):
    stage = ready(network=dict(detector), tasks=["det"], self_weight=1.0)
    with pytest.raises(ValueError, match=r"pseudo_label\.py --restorer .*real_boxes"):
        stage(**batch)
    stage = ready(network=dict(detector), tasks=["det"], task_weight=1.0)
    with pytest.raises(ValueError, match=r"4 of 4 pictures have no annotations"):
        stage(**dict(batch, labelled=torch.zeros(4, dtype=torch.bool)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(self_weight=1.0), r"self_weight=1\.0 need a network"),
        (dict(tasks=["seg"]), "which has ir, det"),
        (dict(tasks="det"), "give a list of tasks"),
        (dict(positives=3), r"1\.\.2 .* got 3"),
        (dict(fit_items=1), "fit_items=1"),
        (dict(start_share=1.0), r"start_share must lie in \[0, 1\), got 1\.0"),
        (dict(cluster_weight=-1.0), "weights must be at least 0"),
        (only("none"), "one of them above"),
    ],
)
def test_a_wrong_setting_is_refused(settings, message, micro, make_stage):
    with pytest.raises(ValueError, match=message):
        make_stage(dict(SMALL, **settings), micro)


def test_the_short_keys_of_the_config_reach_what_they_name(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("train_tool", ROOT / "tools/train.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name in ("uniremoval_calibrate", "uniremoval_calibrate_yolox"):
        options = ["real_photos=FOLDER", "real_names=a.txt,b.txt", "restorer=PATH", "train_cfg.max_iters=7"]
        if name.endswith("yolox"):
            options.append("detector=D.pth")
        args = tool.parse_args([str(ROOT / f"configs/{name}.py"), "--cfg-options", *options])
        config = tool.build_config(args)
        assert config.train_dataloader.dataset.real == "FOLDER"
        assert config.train_dataloader.dataset.real_names == ["a.txt", "b.txt"]
        assert config.model.restorer == "PATH" and config.train_cfg.max_iters == 7
        assert "shortcuts" not in config and "real_photos" not in config
        if name.endswith("yolox"):
            assert config.model.network.checkpoint == "D.pth"
    untouched = tool.spell_out({"a.b": 1, "c": 2}, {"c": ["d.e", "f"]})
    assert untouched == {"a.b": 1, "d.e": 2, "f": 2}
