"""The student's losses against their definitions, who is asked for what, and exact resuming."""

from __future__ import annotations

import pytest
import torch

from unirestore.training import read_training_checkpoint
from unirestore.training.contrast import info_nce, patch_embedding, pooled
from unirestore.training.teachers import CallableTeacher

FOG = dict(type="Haze", params={}, seed=0)
RAIN = dict(type="Compose", params=dict(effects=[dict(type="Rain", params={})]), seed=0)
CLEAR = dict(type="Identity", params={}, seed=0)
OFF = dict(
    clean_weight=0.0, teacher_weight=0.0, feature_weight=0.0, contrast_weight=0.0, image_contrast_weight=0.0
)


class Paler(torch.nn.Module):
    """A teacher that notes how many pictures it is asked about."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain, self.asked = gain, []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(images))
        return self.gain * images


@pytest.fixture
def fog() -> Paler:
    return Paler(0.5)


@pytest.fixture
def rain() -> Paler:
    return Paler(0.25)


@pytest.fixture
def teachers(fog, rain) -> list[dict]:
    return [
        dict(name="fog", family=["road_fog"], teacher=CallableTeacher(fog), licence="ours"),
        dict(name="rain", family=["road_rain"], teacher=CallableTeacher(rain), licence="ours"),
    ]


@pytest.fixture
def distil(stirred_folder, make_stage, teachers):
    """Builds a stage with all weights 0 but the given ones."""

    def build(**settings):
        return make_stage(
            dict(type="DistillationStage", restorer=stirred_folder, teachers=teachers) | OFF | settings
        )

    return build


@pytest.fixture
def batch(make_batch) -> dict:
    """Three crops: one said to be fog, one rain, one clear."""
    items = make_batch(3)
    items["degraded"][2] = items["clean"][2]
    items["weather"] = [FOG, RAIN, CLEAR]
    return items


def pixels(batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
    return batch["degraded"].float() / 255, batch["clean"].float() / 255


def drawn_for(stage, batch: dict, task: str) -> dict:
    """The batch with the first indices whose draw is this task."""
    places = (
        n
        for n in range(100)
        if stage.tasks[int(stage.choose(range(len(stage.tasks)), torch.tensor([n])))] == task
    )
    return batch | dict(index=torch.tensor([next(places)] * 3))


def student(stage, batch: dict, task: str) -> torch.Tensor:
    with torch.no_grad():
        return stage.restorer(pixels(batch)[0], task)


def test_each_item_is_taught_by_the_teacher_of_its_weather(distil, batch, fog, rain):
    stage = distil(teacher_weight=2.0, edge_weight=0.0, tasks=["det"])
    fog.asked, rain.asked = [], []
    losses = stage(**batch)
    assert fog.asked == [1] and rain.asked == [1]
    degraded, _ = pixels(batch)
    picture = student(stage, batch, "det")
    distance = (picture[0] - 0.5 * degraded[0]).abs().mean() + (picture[1] - 0.25 * degraded[1]).abs().mean()
    assert float(losses["loss_teacher"].detach()) == pytest.approx(2.0 * float(distance) / 3, rel=1e-4)
    assert float(losses["taught"]) == pytest.approx(2 / 3)
    assert set(losses) == {"loss_teacher", "taught"}


def test_without_weather_nobody_is_asked_and_the_clean_photo_teaches(distil, batch, fog, rain):
    stage = distil(clean_weight=1.0, teacher_weight=1.0, edge_weight=0.0)
    fog.asked, rain.asked = [], []
    batch["weather"] = [CLEAR] * 3
    losses = stage(**batch)
    assert fog.asked == rain.asked == [] and float(losses["loss_teacher"].detach()) == 0
    task = stage.tasks[int(stage.choose(range(len(stage.tasks)), batch["index"][:1]))]
    wanted = (student(stage, batch, task) - pixels(batch)[1]).abs().mean()
    assert float(losses["loss_clean"].detach()) == pytest.approx(float(wanted), rel=1e-4)


def test_weights_go_by_the_task_of_the_batch(distil, batch):
    stage = distil(clean_weight=dict(det=0.25, ir=1.0), teacher_weight=dict(det=1.0, ir=0.0))
    plain = distil(clean_weight=1.0)
    for task, factor in dict(det=0.25, ir=1.0).items():
        drawn = drawn_for(stage, batch, task)
        losses, reference = stage(**drawn), plain(**drawn)
        assert float((losses["loss_clean"] / reference["loss_clean"]).detach()) == pytest.approx(
            factor, rel=1e-4
        )
        assert ("loss_teacher" in losses) == (task == "det")


def test_projected_features_start_as_the_teachers_own(stirred_folder, make_stage, batch):
    """A student that is its own teacher has no feature loss at the start: the adapters begin as the identity."""
    own = [
        dict(family=["road"], teacher=dict(type="RestorerTeacher", restorer=stirred_folder), licence="ours")
    ]
    stage = make_stage(
        dict(type="DistillationStage", restorer=stirred_folder, teachers=own) | OFF | dict(feature_weight=1.0)
    )
    losses = stage(**batch)
    assert float(losses["loss_feature"].detach()) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for layer in stage.adapters["0"]:
            layer.weight.mul_(0.5)
    # half of what is wanted, for two of three items
    assert float(stage(**batch)["loss_feature"].detach()) == pytest.approx(0.5 * 2 / 3, rel=1e-4)


def test_pyramids_of_two_working_scales_meet_on_the_coarser_grid(micro, stirred_folder, make_stage, batch):
    teachers = [
        dict(family=["road"], teacher=dict(type="RestorerTeacher", restorer=stirred_folder), licence="x")
    ]
    for scale in (1, 4):
        stage = make_stage(
            dict(
                type="DistillationStage",
                restorer=dict(micro, working_scale=scale, prior="none"),
                teachers=teachers,
            )
            | OFF
            | dict(feature_weight=1.0)
        )
        loss = stage(**batch)["loss_feature"]
        loss.backward()
        assert float(loss.detach()) > 0
        assert all(layer.weight.grad.abs().sum() > 0 for layer in stage.adapters["0"])


@pytest.mark.parametrize("centred", [True, False])
def test_the_image_contrast_against_its_definition(centred, distil, batch):
    stage = distil(image_contrast_weight=3.0, queue=2, tasks=["det"], temperature=0.2, centred=centred)
    degraded, clean = pixels(batch)
    losses = stage(**batch)
    anchor = patch_embedding(student(stage, batch, "det"))
    wanted = torch.stack([0.5 * degraded[0], 0.25 * degraded[1], clean[2]])
    e_clean, e_wanted, e_degraded = (patch_embedding(images) for images in (clean, wanted, degraded))
    kept = e_degraded[:2].clone()  # the queue keeps them as they are
    middle = (e_clean.mean(0) + e_degraded.mean(0)) / 2 if centred else 0
    anchor, e_clean, e_wanted, e_degraded = (x - middle for x in (anchor, e_clean, e_wanted, e_degraded))
    negatives = [
        [e_degraded[0], e_degraded[1], e_clean[1], e_clean[2]],
        [e_degraded[0], e_degraded[1], e_clean[0], e_clean[2]],
        [e_degraded[0], e_degraded[1], e_clean[0], e_clean[1]],
    ]  # the clear item is no negative of its own, nor of others twice
    terms = []
    for row in range(3):
        positives = [e_clean[row]] if row == 2 else [e_clean[row], e_wanted[row]]
        terms.append(
            info_nce(anchor[row][None], torch.stack(positives)[None], torch.stack(negatives[row])[None], 0.2)
        )
    expected = 3.0 * float(sum(terms)) / 3
    assert float(losses["loss_contrast_image"].detach()) == pytest.approx(expected, rel=1e-4)
    assert torch.allclose(stage.image_queue.entries, kept)
    assert float(stage(**batch)["loss_contrast_image"].detach()) > expected  # two more to keep away from


def test_the_feature_contrast_goes_over_the_levels_that_are_asked_for(distil, batch, detector):
    stage = distil(contrast_weight=1.0, network=dict(detector), levels=[0, 2], tasks=["det"], queue=4)
    found = stage.network.features(torch.zeros(1, 3, 64, 64))
    assert [queue.entries.shape for queue in stage.queues] == [(4, 2 * found[k].shape[1]) for k in (0, 2)]
    losses = stage(**batch)
    losses["loss_contrast"].backward()
    assert stage.restorer.prompts["det"].grad.abs().sum() > 0
    assert all(value.grad is None for value in stage.network.parameters())
    degraded, _ = pixels(batch)
    with torch.no_grad():
        seen = pooled([stage.network.features(degraded)[2]])
    assert torch.allclose(stage.queues[1].entries[:2], seen[:2], atol=1e-5)
    assert stage.queues[1].valid.tolist() == [True, True, False, False]
    with pytest.raises(ValueError, match=r"network's 3 levels, got \[3\]"):
        distil(contrast_weight=1.0, network=dict(detector), levels=[3])


def test_the_gap_is_above_zero_for_the_clean_photo_and_below_for_the_degraded(distil, batch):
    stage = distil(image_contrast_weight=1.0)
    degraded, clean = map(patch_embedding, pixels(batch))
    taught, worse = torch.zeros(3, dtype=torch.bool), torch.tensor([True, True, False])
    gaps, losses = [], []
    for anchor in (clean, degraded):
        loss, gap = stage._contrast(
            anchor, clean, clean, degraded, taught, worse, stage.image_queue, stage.image_centre
        )
        gaps.append(float(gap))
        losses.append(float(loss))
    assert gaps[0] > 0.1 and gaps[1] == pytest.approx(-gaps[0], rel=1e-4)
    assert losses[0] < losses[1]


def test_without_a_detector_the_students_first_encoder_embeds(distil, batch):
    stage = distil(contrast_weight=1.0)
    before = [level.clone() for level in stage.network.features(pixels(batch)[1])]
    with torch.no_grad():
        for value in stage.restorer.parameters():
            value.mul_(1.5)
    for old, new in zip(before, stage.network.features(pixels(batch)[1]), strict=True):
        assert torch.equal(old, new)
    assert not any("network" in name for name in stage.state_dict())
    stage(**batch)["loss_contrast"].backward()
    assert stage.restorer.vae.encoder.conv_in.weight.grad.abs().sum() > 0


def test_match_is_zero_where_the_student_is_what_it_should_be(distil, batch, detector, fog, rain):
    stage = distil(match_weight=1.0, network=dict(detector), tasks=["det"])
    assert float(stage(**batch)["loss_match"].detach()) > 0
    picture = student(stage, batch, "det")
    everything = torch.ones(3, dtype=torch.bool)
    losses = stage._network_losses(
        "det", picture, picture, picture.clone(), picture, everything, everything, {}
    )
    assert float(losses["loss_match"]) == pytest.approx(0, abs=1e-6)


def test_the_detectors_own_loss_counts_in_its_task_alone(distil, batch, detector):
    stage = distil(task_weight=0.5, term_weights=dict(loss_bbox=2.0), network=dict(detector))
    twice = distil(task_weight=1.0, term_weights=dict(loss_bbox=2.0), network=stage.network)
    assert set(stage(**drawn_for(stage, batch, "ir"))) == {"taught"}
    drawn = drawn_for(stage, batch, "det")
    losses = stage(**drawn)
    assert set(losses) == {"taught", "loss_det_cls", "loss_det_bbox", "loss_det_obj"}
    assert float((twice(**drawn)["loss_det_obj"] / losses["loss_det_obj"]).detach()) == pytest.approx(
        2.0, rel=1e-4
    )
    drawn["labelled"] = torch.tensor([True, True, False])
    with pytest.raises(ValueError, match="1 of 3 pictures"):
        stage(**drawn)


def test_the_student_learns_as_a_whole(stirred_folder, make_stage, batch, teachers):
    stage = make_stage(
        dict(type="DistillationStage", restorer=stirred_folder, teachers=teachers, tasks=["det"])
    )
    total, _ = stage.parse_losses(stage(**batch))
    total.backward()
    silent = {name for name, value in stage.named_parameters() if value.requires_grad and value.grad is None}
    assert silent == {"restorer.prompts.ir"}
    assert stage.restorer.vae.encoder.conv_in.weight.grad.abs().sum() > 0
    assert not any(name.startswith("restorer.prior") for name in stage.learning)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_resuming_continues_bit_exactly(
    workers, stirred_folder, detector_with_weights, run_stage, values, tmp_path
):
    """Four steps in one go and the last two again: student, adapters, queues and optimiser are equal."""
    own = dict(type="RestorerTeacher", restorer=stirred_folder)
    model = dict(
        type="DistillationStage",
        restorer=stirred_folder,
        teachers=[
            dict(family=["haze"], teacher=own, licence="x"),
            dict(family=["rain"], teacher=own, licence="x"),
        ],
        network=detector_with_weights,
        match_weight=0.1,
        queue=5,
    )
    keys = {"train_dataloader.num_workers": workers, "train_dataloader.persistent_workers": bool(workers)}
    whole = run_stage(model, tmp_path / "whole", steps=4, save_every=2, **keys)
    second = tmp_path / "whole" / "iter_2.pth"
    resumed = run_stage(model, tmp_path / "parts", steps=4, resume=True, load_from=str(second), **keys)
    one, two = (runner.model.state_dict() for runner in (whole, resumed))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    assert any(name.startswith("adapters.") for name in one) and any(
        name.startswith("queues.") for name in one
    )
    assert int(one["image_queue.filled"]) == 5
    contents = [read_training_checkpoint(tmp_path / name / "iter_4.pth") for name in ("whole", "parts")]
    moments = [content["optimizer"]["state"] for content in contents]
    for number, state in moments[0].items():
        assert all(
            torch.equal(torch.as_tensor(state[k]), torch.as_tensor(moments[1][number][k])) for k in state
        )
    losses = [runner.message_hub.get_scalar("train/loss").data[0].tolist() for runner in (whole, resumed)]
    assert losses[0] == losses[1] and len(losses[0]) == 4


def test_only_the_restorer_is_exported(stirred_folder, run_stage, teachers, tmp_path):
    from unirestore.models import UniRestore

    dcp = dict(family=["haze", "rain"], teacher=dict(type="ClassicalTeacher", name="dcp"), licence="x")
    runner = run_stage(
        dict(type="DistillationStage", restorer=stirred_folder, teachers=[dcp]), tmp_path, steps=1
    )
    saved = UniRestore.from_pretrained(tmp_path / "restorer").state_dict()
    own = runner.model.restorer.state_dict()
    assert saved.keys() == own.keys() and all(torch.equal(saved[name], own[name]) for name in own)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(), "one of them above"),
        (dict(clean_weight=-1.0), "at least 0"),
        (dict(clean_weight=dict(det=1.0)), "clean_weight has no weight for ir"),
        (dict(clean_weight=1.0, tasks=["seg"]), r"ir, det; got \('seg',\)"),
        (dict(clean_weight=1.0, tasks=[]), "some of the student's"),
        (dict(task_weight=1.0), "needs a network with a loss"),
        (dict(image_contrast_weight=1.0, temperature=0.0), "temperature must be above 0"),
    ],
)
def test_a_wrong_setting_is_refused(settings, message, distil):
    with pytest.raises(ValueError, match=message):
        distil(**settings)


def test_more_levels_than_the_student_has_are_refused(distil):
    def many(images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return images, [images] * 4

    entry = dict(name="many", family=["haze"], teacher=CallableTeacher(many), licence="ours")
    with pytest.raises(ValueError, match="teacher many has 4 feature levels; give at most 3"):
        distil(feature_weight=1.0, teachers=[entry])


def test_the_config_opens_with_its_command_and_uses_the_teachers_that_come_along(repository):
    from mmengine.config import Config

    config = Config.fromfile(str(repository / "configs" / "uniremoval_distill.py"))
    assert config.model.type == "DistillationStage" and config.model.restorer.preset == "tiny-fast"
    assert all((repository / path).is_file() for path in config.model.teachers)
    assert config.param_scheduler[0].total_steps == config.train_cfg.max_iters
