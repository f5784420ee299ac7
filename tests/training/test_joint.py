"""Joint training: one restorer, a task a batch, every task's prompt learns from its own network alone."""

import pytest
import torch

pytest.importorskip("mmdet")

import unirestore.training  # noqa: F401


@pytest.fixture(scope="module")
def tasks(detector):
    return dict(
        det=dict(downstream=dict(detector), perception_weight=0.0),
        night=dict(
            downstream=None, copy_from="ir", task_weight=0.0, feature_weight=0.0, fidelity_weight=1.0,
            perception_weight=0.0,
        ),
    )  # fmt: skip


def test_a_run_trains_both_prompts_and_logs_each_task(tasks, scenes, stirred_folder, stage_config, tmp_path):
    from mmengine.runner import Runner

    model = dict(type="JointStage", restorer=stirred_folder, tasks=tasks)
    config = stage_config(model, tmp_path, steps=4)
    config.train_dataloader.dataset = dict(
        type="JointPairs",
        tasks=dict(det=dict(), night=dict(weather="rain")),
        batch_size=2,
        sources=[dict(set=scenes)],
        size=64,
        length=100,
    )
    config.custom_hooks = [*config.custom_hooks, dict(type="TaskGradientNorms")]
    runner = Runner.from_cfg(config)
    before = {task: value.detach().clone() for task, value in runner.model.restorer.prompts.items()}
    assert set(before) == {"ir", "det", "night"} and not any(
        "_stages" in n for n in runner.model.state_dict()
    )
    runner.train()
    changed = {
        task for task, value in runner.model.restorer.prompts.items() if not torch.equal(value, before[task])
    }
    assert changed == {"det", "night"}
    logged = runner.message_hub.log_scalars
    for task, wanted in (("det", "loss_det_bbox"), ("night", "loss_night_fidelity")):
        assert len(logged[f"train/{wanted}"].data[0]) == 2
        assert len(logged[f"train/grad_norm_{task}"].data[0]) == 2


def test_batches_that_cannot_be_are_told(tasks, stirred_folder, make_stage, make_batch):
    stage = make_stage(dict(type="JointStage", restorer=stirred_folder, tasks=tasks))
    with pytest.raises(ValueError, match="got det, night"):
        stage(**make_batch(2), task=["det", "night"])
    with pytest.raises(ValueError, match="got fog"):
        stage(**make_batch(2), task=["fog", "fog"])
    with pytest.raises(ValueError, match="tasks is empty"):
        make_stage(dict(type="JointStage", restorer=stirred_folder, tasks={}))


def test_turns_of_zero_leave_a_task_and_its_pictures_out(scenes):
    from mmengine.registry import DATASETS

    tasks = dict(det=dict(), seg=dict(sources=["no such set"]), night=dict(weather="rain"))
    options = dict(type="JointPairs", batch_size=1, sources=[dict(set=scenes)], size=64, length=6)
    pairs = DATASETS.build(dict(**options, tasks=tasks, turns=dict(det=2, seg=0)))
    assert [pairs[n]["task"] for n in range(3)] == ["det", "night", "det"]
    with pytest.raises(KeyError, match="no such set"):
        DATASETS.build(dict(**options, tasks=tasks))
    with pytest.raises(ValueError, match="each task needs pictures"):
        DATASETS.build(dict(**options, tasks=tasks, turns=dict(det=0, seg=0, night=0)))
