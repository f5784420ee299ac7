"""What a stage leaves behind: a restorer folder for the next one."""

from __future__ import annotations

import errno
import os
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from unirestore.models import UniRestore
from unirestore.training import checkpoints, save_restorer


def test_the_folder_holds_the_whole_trained_restorer(stirred_folder, run_stage, values, tmp_path):
    runner = run_stage(dict(type="RestorationStage", restorer=stirred_folder), tmp_path, steps=1)
    loaded = UniRestore.from_pretrained(tmp_path / "restorer")
    trained = values(runner.model)
    assert trained.keys() == values(loaded).keys()
    assert all(torch.equal(value, trained[name]) for name, value in values(loaded).items())
    assert not loaded.training
    images = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(images, task="det"), runner.model.restorer.eval()(images, task="det"))
    assert sorted(os.listdir(tmp_path / "restorer")) == ["config.json", "diffusion_pytorch_model.safetensors"]


def test_the_next_stage_starts_from_it(micro, run_stage, values, tmp_path):
    first = run_stage(dict(type="AutoencoderStage", restorer=dict(micro)), tmp_path / "vae", steps=1)
    second = run_stage(
        dict(type="PriorStage", restorer=str(tmp_path / "vae" / "restorer")), tmp_path / "prior", steps=1
    )
    before, after = values(first.model), values(second.model)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("vae."))
    scale = first.model.restorer.config.scaling_factor
    assert second.model.restorer.config.scaling_factor == scale != 1.0


def test_the_scale_gives_latents_unit_variance(micro, run_stage, make_batch, tmp_path):
    run_stage(dict(type="AutoencoderStage", restorer=dict(micro)), tmp_path, steps=1)
    restorer = UniRestore.from_pretrained(tmp_path / "restorer")
    with torch.no_grad():
        latent = restorer.encode(make_batch(32)["clean"].float() / 255, repair=False).latent
    assert float(latent.std()) == pytest.approx(
        1.0, abs=0.1
    )  # the stage measured on other crops of the six scenes


@pytest.mark.slow
def test_the_scale_does_not_depend_on_worker_processes(micro, run_stage, tmp_path):
    scales = []
    for workers in (0, 1):
        keys = {"train_dataloader.num_workers": workers, "train_dataloader.persistent_workers": bool(workers)}
        model = dict(type="AutoencoderStage", restorer=dict(micro))
        scales.append(
            run_stage(model, tmp_path / str(workers), steps=1, **keys).model.restorer.config.scaling_factor
        )
    assert scales[0] == scales[1] != 1.0


def test_a_vae_that_learnt_nothing_keeps_its_scale(micro, make_stage, make_batch):
    stage = make_stage(dict(type="AutoencoderStage", restorer=dict(micro, scaling_factor=0.5)))
    for value in stage.restorer.vae.quant_conv.parameters():
        torch.nn.init.zeros_(value)
    stage.finish(SimpleNamespace(dataset=[dict(clean=make_batch(1)["clean"][0])]))
    assert stage.restorer.config.scaling_factor == 0.5


def small(value: float) -> UniRestore:
    model = UniRestore.build(
        "tiny",
        block_out_channels=(8, 8, 8, 8),
        prior="none",
        cfrm=False,
        candidates=("clahe",),
        candidate_weights=(0.5, 0.5),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def first_value(folder: Path) -> float:
    return float(next(UniRestore.from_pretrained(folder).parameters()).detach().flatten()[0])


@pytest.mark.parametrize("exchange", [True, False])
def test_saving_replaces_the_whole_folder(exchange, tmp_path, monkeypatch):
    if not exchange:
        monkeypatch.setattr(checkpoints, "_exchange", lambda first, second: False)
    folder = tmp_path / "run" / "restorer"
    save_restorer(small(1.0), folder)
    (folder / "of the old one").write_text("")
    save_restorer(small(2.0), folder)
    assert first_value(folder) == 2.0
    assert sorted(os.listdir(folder)) == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert os.listdir(folder.parent) == ["restorer"]


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the exchange in one step is Linux' renameat2"
)
def test_two_folders_trade_places(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    assert checkpoints._exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "file").read_text() == "b" and (tmp_path / "b" / "file").read_text() == "a"
    assert not checkpoints._exchange(tmp_path / "a", tmp_path / "absent")


def test_a_full_disk_leaves_the_old_restorer_and_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "restorer"
    save_restorer(small(1.0), folder)

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not save .*restorer \(No space left on device\)") as caught:
        save_restorer(small(2.0), folder)
    assert caught.value.errno == errno.ENOSPC
    assert first_value(folder) == 1.0 and os.listdir(tmp_path) == ["restorer"]


def save_without_end(folder: Path, value: int, tell) -> None:
    """Saves restorers whose parameters all have one value, which rises; tells it when the folder is there."""
    model = small(0.0)
    while True:
        value += 1
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(value)
        save_restorer(model, folder)
        tell.send(value)


def test_a_kill_at_any_moment_leaves_a_whole_restorer(tmp_path, killed):
    rng, folder = random.Random(1), tmp_path / "restorer"
    for kill in range(6):
        told = killed(save_without_end, folder, kill * 1000, after=rng.uniform(0.0, 0.1))
        restorer = UniRestore.from_pretrained(folder)
        found = {float(value) for parameter in restorer.parameters() for value in parameter.detach().unique()}
        assert len(found) == 1 and found.pop() in (told[-1], told[-1] + 1)
    save_restorer(small(0.0), folder)
    assert os.listdir(tmp_path) == ["restorer"]  # what the kills left beside it is gone
