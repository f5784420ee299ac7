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
    "perception": dict(type="PerceptionStage"),
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
ADAPTED = {"tfa", "prompts", "fusion", "detail"}


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


@pytest.mark.parametrize("name", ["restoration", "adaptation", "adaptation, teacher-forced", "prompts only"])
def test_every_part_that_trains_gets_a_gradient(name, stirred_folder, detector, make_stage, make_batch):
    stage = make_stage(build(name, stirred_folder, detector))
    total, _ = stage.parse_losses(stage(**make_batch(2)))
    total.backward()
    silent = {
        key
        for key, value in stage.named_parameters()
        if value.requires_grad and (value.grad is None or not value.grad.abs().sum() > 0)
    }
    # without the perception term no loss reads the prompt of `ir`
    unread = {"restorer.prompts.ir"} if name == "prompts only" else set()
    assert silent == unread
    frozen = [
        key for key, value in stage.named_parameters() if not value.requires_grad and value.grad is not None
    ]
    assert not frozen


def test_perception_teaches_the_prompts_in_turn(stirred_folder, make_stage, make_batch):
    stage = make_stage(dict(type="PerceptionStage", edge_weight=0.5, restorer=stirred_folder))
    batch, taught = make_batch(1), {}
    for first in range(12):
        batch["index"] = torch.tensor([first])
        stage.zero_grad()
        losses = stage(**batch)
        assert set(losses) == {"loss_pixel", "loss_edge"}
        sum(losses.values()).backward()
        read = [task for task in stage.restorer.tasks if stage.restorer.prompts[task].grad is not None]
        assert len(read) == 1
        taught[read[0]] = float(losses["loss_edge"].detach())
    assert set(taught) == set(stage.restorer.tasks)  # twelve draws of two miss one with odds of 1 in 2048
    weightless = make_stage(dict(type="PerceptionStage", edge_weight=0.0, restorer=stirred_folder))
    assert float(weightless(**batch)["loss_edge"].detach()) == 0 < taught[read[0]]


def test_the_prompt_of_the_task_learns_from_the_detector_alone(
    stirred_folder, detector, make_stage, make_batch
):
    settings = dict(
        perception_weight=0.0, feature_weight=0.0, downstream=dict(detector), restorer=stirred_folder
    )
    stage = make_stage(dict(type="AdaptationStage", **settings))
    losses = stage(**make_batch(2))
    assert losses and all(name.startswith("loss_det_") for name in losses)
    sum(losses.values()).backward()
    assert stage.restorer.prompts["det"].grad.abs().max() > 0
    assert stage.restorer.prompts["ir"].grad is None
    assert all(value.grad is None for value in stage.downstream.parameters())


def test_the_starts_decode_different_latents(stirred_folder, detector, make_stage, make_batch):
    batch, found = make_batch(2), {}
    for start in ("degraded", "clean"):
        stage = make_stage(
            dict(STAGES["adaptation"], start=start, restorer=stirred_folder, downstream=dict(detector))
        )
        found[start] = float(stage(**batch)["loss_ir"].detach())
    assert found["degraded"] != found["clean"]
    stage = make_stage(dict(STAGES["restoration"], start="degraded", restorer=stirred_folder))
    other = make_stage(dict(STAGES["restoration"], start="clean", restorer=stirred_folder))
    assert stage(**batch)["loss_skip0"] == other(**batch)["loss_skip0"]
    assert stage(**batch)["loss_latent"] != other(**batch)["loss_latent"]


def test_teacher_forced_latents_are_those_of_the_clean_picture(
    stirred_folder, detector, make_stage, make_batch
):
    """With start="degraded" the clean picture has no say in the latent, with "clean" it has."""
    batch = make_batch(1)
    images = {key: batch[key].float() / 255 for key in ("degraded", "clean")}
    latents = {}
    for start in ("degraded", "clean"):
        stage = make_stage(
            dict(STAGES["adaptation"], start=start, restorer=stirred_folder, downstream=dict(detector))
        )
        with torch.no_grad():
            seen = stage.restorer.encode(images["degraded"]).latent
            latents[start] = [
                stage._latent(seen, clean, batch["index"]) for clean in (images["clean"], 0 * images["clean"])
            ]
    assert torch.equal(*latents["degraded"])
    assert not torch.allclose(*latents["clean"])


def test_weights_of_the_terms_multiply_them(stirred_folder, detector, make_stage, make_batch):
    batch = make_batch(2)
    from mmengine.registry import MODELS

    same = MODELS.build(detector)  # random weights: built once
    settings = dict(type="AdaptationStage", restorer=stirred_folder, downstream=same)
    plain = make_stage(dict(settings, task_weight=0.5, feature_weight=1.0, perception_weight=1.0))(**batch)
    scaled = make_stage(
        dict(
            settings,
            task_weight=1.0,
            term_weights=dict(loss_obj=3.0),
            feature_weight=4.0,
            perception_weight=5.0,
            fidelity_weight=2.0,
        )
    )(**batch)
    ratio = {name: float(scaled[name] / plain[name]) for name in plain if float(plain[name].detach())}
    assert ratio["loss_det_obj"] == pytest.approx(6.0, rel=1e-5)
    assert ratio["loss_det_cls"] == pytest.approx(2.0, rel=1e-5)
    assert ratio["loss_feature"] == pytest.approx(4.0, rel=1e-5)
    assert ratio["loss_ir"] == ratio["loss_ir_edge"] == pytest.approx(5.0, rel=1e-5)
    assert "loss_fidelity" in scaled and "loss_fidelity" not in plain


def test_the_distance_of_features_is_relative_to_what_is_wanted():
    """Zero for equal features, one for features that vanish, and a value counted by hand."""
    from unirestore.training.adaptation import feature_distance

    wanted = [torch.tensor([1.0, -3.0]), torch.tensor([2.0, 2.0])]
    assert feature_distance(wanted, wanted) == 0
    assert feature_distance([torch.zeros(2)] * 2, wanted) == 1
    assert feature_distance([torch.tensor([1.0, -1.0]), wanted[1]], wanted) == pytest.approx((1 / 2 + 0) / 2)


def test_noise_belongs_to_the_item_not_to_its_place_in_a_batch(micro, make_stage):
    stage = make_stage(dict(type="PriorStage", restorer=dict(micro), seed=3))
    latent = torch.zeros(3, 4, 8, 8)
    together = stage.noise_like(latent, torch.tensor([7, 8, 9]))
    assert torch.equal(stage.noise_like(latent[:1], torch.tensor([8]))[0], together[1])
    assert not torch.equal(together[0], together[1])
    assert abs(float(together.std()) - 1) < 0.1
    steps = stage.choose(range(1000), torch.arange(500))
    assert torch.equal(stage.choose(range(1000), torch.tensor([8])), steps[8:9])
    assert steps.min() < 50 and steps.max() > 950 and abs(float(steps.float().mean()) - 500) < 50
    other = make_stage(dict(type="PriorStage", restorer=dict(micro), seed=4))
    assert not torch.equal(other.noise_like(latent, torch.tensor([7, 8, 9])), together)


def test_losses_of_the_vae_against_their_definition(stirred_folder, make_stage, make_batch):
    stage = make_stage(dict(type="AutoencoderStage", restorer=stirred_folder, kl=0.5, edge=0.25))
    batch = make_batch(2)
    clean = batch["clean"].float() / 255
    losses = stage(**batch)
    with torch.no_grad():
        mean, log_variance = stage.restorer.posterior(clean)
        normal = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
        divergence = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean()
    assert float(losses["loss_kl"]) == pytest.approx(0.5 * float(divergence), rel=1e-4)
    from unirestore.training.autoencoder import edge_loss

    ramp = torch.arange(8.0).expand(1, 3, 8, 8) / 10
    assert float(edge_loss(ramp, torch.zeros_like(ramp))) == pytest.approx(
        0.1
    )  # rises by 0.1 a column, by none a row


def test_without_a_prior_the_skips_still_learn(micro, detector, make_stage, make_batch):
    bare = dict(micro, prior="none")
    losses = make_stage(dict(type="RestorationStage", restorer=bare))(**make_batch(2))
    assert set(losses) == {"loss_skip0", "loss_skip1", "loss_skip2"}
    with pytest.raises(ValueError, match="start='clean'"):
        make_stage(dict(type="AdaptationStage", start="clean", restorer=bare, downstream=dict(detector)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (dict(type="PriorStage", trains=["weather"]), "weather"),
        (dict(type="PriorStage", trains="prior"), r"\['prior'\]"),
        (dict(type="PriorStage", trains=[]), "nothing would be trained"),
        (dict(type="RestorationStage", start="middle"), "clean, degraded"),
        (dict(type="RestorationStage", skip_weights=[1.0]), "3 numbers"),
        (dict(type="AdaptationStage", start="middle"), "clean, degraded"),
        (dict(type="AdaptationStage", task="seg"), "it has ir, det"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_would_be_right(model, message, micro, make_stage):
    with pytest.raises(ValueError, match=message):
        make_stage(
            dict(downstream=torch.nn.Identity(), **model) if "Adapt" in model["type"] else model, micro
        )


def test_ir_must_exist_to_be_kept_honest(micro, detector, make_stage):
    only_det = dict(micro, tasks=("det",))
    with pytest.raises(ValueError, match="perception_weight=0"):
        make_stage(dict(type="AdaptationStage", restorer=only_det, downstream=dict(detector)))
    make_stage(
        dict(type="AdaptationStage", restorer=only_det, downstream=dict(detector), perception_weight=0.0)
    )


def test_pictures_that_nobody_labelled_do_not_teach_that_nothing_is_there(
    micro, detector, make_stage, make_batch
):
    stage = make_stage(dict(type="AdaptationStage", restorer=micro, downstream=dict(detector)))
    batch = make_batch(2) | {"labelled": torch.tensor([True, False])}
    with pytest.raises(ValueError, match=r"1 of 2 pictures.*pseudo_label"):
        stage(**batch)
    stage.task_weight = 0.0
    stage(**batch)


def test_a_stage_without_any_loss_is_refused(micro, detector, make_stage):
    nothing = dict(task_weight=0.0, feature_weight=0.0, perception_weight=0.0)
    with pytest.raises(ValueError, match="every weight is 0"):
        make_stage(dict(type="AdaptationStage", restorer=micro, downstream=dict(detector), **nothing))


def test_without_a_task_the_downstream_network_is_not_asked(micro, make_stage, make_batch):
    """A warm-up by pixels alone: no detector pass; the task's picture may learn from pixels, too."""
    settings = dict(type="AdaptationStage", restorer=micro, downstream=None)
    warm_up = make_stage(dict(settings, task_weight=0.0, feature_weight=0.0, fidelity_weight=5.0))
    assert set(warm_up(**make_batch(2))) == {"loss_fidelity", "loss_ir", "loss_ir_edge"}


def test_an_unknown_term_is_named(micro, detector, make_stage, make_batch):
    settings = dict(type="AdaptationStage", restorer=micro, downstream=dict(detector))
    stage = make_stage(dict(settings, term_weights=dict(loss_box=2.0)))
    with pytest.raises(ValueError, match=r"loss_box; .* loss_bbox"):
        stage(**make_batch(2))


def test_stages_only_train(micro, make_stage, make_batch):
    stage = make_stage(dict(type="PriorStage", restorer=micro))
    with pytest.raises(ValueError, match="measure_gain"):
        stage(mode="predict", **make_batch(1))


def test_the_downstream_network_is_no_part_of_the_stage(micro, detector, make_stage):
    stage = make_stage(dict(type="AdaptationStage", restorer=micro, downstream=dict(detector)))
    assert not any("downstream" in name for name, _ in stage.named_parameters())
    stage.train()
    assert not stage.downstream.training
    assert stage.restorer.training


@pytest.mark.slow
def test_amp_runs_on_a_cpu(stirred_folder, detector, run_stage, values, tmp_path):
    """Under bfloat16 autocast every stage steps with finite losses; weights stay in float32."""
    for name in ("vae", "prior", "restoration", "adaptation", "adaptation, teacher-forced"):
        model = build(name, stirred_folder, detector)
        runner = run_stage(
            model,
            tmp_path / name.replace(", ", "-"),
            steps=2,
            **{"optim_wrapper.type": "Bfloat16OptimWrapper"},
        )
        for key, value in values(runner.model).items():
            assert value.dtype == torch.float32 and torch.isfinite(value).all(), (name, key)


def test_amp_computes_in_bfloat16(stirred_folder, make_stage, make_batch):
    from mmengine.optim import OptimWrapper

    from unirestore.training import Bfloat16OptimWrapper

    stage = make_stage(dict(type="RestorationStage", restorer=stirred_folder))
    seen = []
    stage.restorer.vae.encoder.register_forward_hook(
        lambda module, args, output: seen.append(output[0].dtype)
    )
    weights = [value for value in stage.parameters() if value.requires_grad]
    for wrapper in (OptimWrapper, Bfloat16OptimWrapper):
        with wrapper(torch.optim.SGD(weights, lr=0.1)).optim_context(stage):
            losses = stage(**make_batch(1))
    assert seen == [torch.float32] * 2 + [torch.bfloat16] * 2
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_perception_reaches_the_repair_of_the_skips_only_where_asked(stirred_folder, make_stage, make_batch):
    for trains in (["tfa", "fusion"], ["tfa", "fusion", "cfrm"]):
        stage = make_stage(dict(type="PerceptionStage", trains=trains, restorer=stirred_folder))
        sum(stage(**make_batch(1)).values()).backward()
        found = [value.grad is not None for value in stage.restorer.parameter_group("cfrm").values()]
        assert any(found) == ("cfrm" in trains)


@pytest.mark.parametrize("name", ["perception", "adaptation"])
def test_candidates_of_the_workers_give_the_same_losses(
    name, stirred_folder, detector, make_stage, make_batch
):
    stage, batch = make_stage(build(name, stirred_folder, detector)), make_batch(2)
    alone = {key: float(value) for key, value in stage(**batch).items()}
    stacked = stage.restorer.stack_candidates(batch["degraded"].float() / 255)
    batch["candidates"] = (stacked * 255).round().byte()
    assert {key: float(value) for key, value in stage(**batch).items()} == alone
    batch["candidates"] = 255 - batch["candidates"]
    assert {key: float(value) for key, value in stage(**batch).items()} != alone


def test_the_gate_learns_to_tell_weather(stirred_folder, make_stage, make_batch):
    stage = make_stage(dict(type="GateStage", restorer=dict(weights=stirred_folder, gate_channels=8)))
    assert {name.split(".")[1] for name in stage.learning} == {"gate"}
    batch = make_batch(4)
    batch["degraded"][:2] = batch["degraded"][:2] // 4 + 180  # pale
    clean, haze = dict(type="Identity", params={}), dict(type="Haze", params={})
    batch["weather"] = [haze, dict(type="Compose", params=dict(effects=[haze])), clean, clean]
    optimiser = torch.optim.Adam(stage.restorer.gate.parameters(), lr=0.05)
    first = None
    for _ in range(30):
        losses = stage(**{**batch, "degraded": batch["degraded"].clone()})
        first = float(losses["loss_gate"].detach()) if first is None else first
        optimiser.zero_grad()
        losses["loss_gate"].backward()
        optimiser.step()
    assert float(losses["loss_gate"].detach()) < first / 4 and float(losses["accuracy"]) == 1
    batch["weather"][0] = dict(type="Pair", params={})  # a degraded photo beside its clean twin
    assert float(stage(**{**batch, "degraded": batch["degraded"].clone()})["accuracy"]) == 1
    with pytest.raises(ValueError, match="nothing would be trained"):
        make_stage(dict(type="GateStage", restorer=stirred_folder))


def test_the_gate_learns_from_real_photos_too(stirred_folder, make_stage, make_batch):
    """White photos are bad weather only because they stand beside the made pictures; none of these has any."""
    stage = make_stage(
        dict(type="GateStage", restorer=dict(weights=stirred_folder, gate_channels=8), real_weight=1.0)
    )
    batch = make_batch(4)
    batch["degraded"] = batch["clean"]
    batch["weather"] = [dict(type="Identity", params={}, seed=0)] * 4
    real = torch.full_like(batch["clean"], 240)
    assert "loss_real" not in stage(**batch)
    optimiser = torch.optim.Adam(stage.restorer.gate.parameters(), lr=0.05)
    for _ in range(30):
        losses = stage(**batch, real=real)
        optimiser.zero_grad()
        (losses["loss_gate"] + losses["loss_real"]).backward()
        optimiser.step()
    assert float(losses["found"]) == float(losses["accuracy"]) == 1
    half = make_stage(
        dict(type="GateStage", restorer=dict(weights=stirred_folder, gate_channels=8), real_weight=0.5)
    )
    half.restorer.load_state_dict(stage.restorer.state_dict())
    halves = [float(each(**batch, real=real)["loss_real"].detach()) for each in (half, stage)]
    assert halves[0] == pytest.approx(halves[1] / 2, rel=0.2)


def test_a_new_task_leaves_the_others_bit_identical(stirred_folder, detector, run_stage, tmp_path):
    from unirestore.models import UniRestore

    before = UniRestore.from_pretrained(stirred_folder)
    model = dict(
        type="AdaptationStage",
        restorer=stirred_folder,
        task="night",
        copy_from="det",
        trains=["prompts.night"],
        perception_weight=0.0,
        downstream=dict(detector),
    )
    stage = run_stage(model, tmp_path / "run", steps=3).model
    assert stage.learning == {"restorer.prompts.night"}
    stage.restorer.save_pretrained(tmp_path / "restorer")
    after = UniRestore.from_pretrained(tmp_path / "restorer")
    assert after.tasks == (*before.tasks, "night")
    images = torch.rand(2, 3, 50, 37, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        for task in before.tasks:
            assert torch.equal(after(images, task), before(images, task))
            pyramids = [m(images, task, output="features") for m in (before, after)]
            assert all(torch.equal(x, y) for x, y in zip(*pyramids, strict=True))
        assert not torch.equal(after(images, "night"), after(images, "det"))
    with pytest.raises(ValueError, match="unknown task"):
        after.parameter_group("prompts.fog")
    with pytest.raises(ValueError, match="unknown parameter group"):
        after.parameter_group("tfa.night")
