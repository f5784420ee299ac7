"""Checkpoints: their content, exact resuming, and what a kill, a full disk or a foreign file does."""

from __future__ import annotations

import errno
import os
import pickle
import random
import signal
import stat
from pathlib import Path

import pytest
import torch

from unirestore.training import find_checkpoint, read_checkpoint, read_training_checkpoint
from unirestore.training.checkpoints import AtomicLocalBackend

RESTORATION = dict(type="RestorationStage", start="degraded")


def same_state(first, second) -> bool:
    """Bit-equality of nested dictionaries and lists of tensors and numbers."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same_state(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same_state, first, second))
    return first == second


def test_a_checkpoint_holds_what_learns_and_its_optimizer(stirred_folder, run_stage, tmp_path):
    runner = run_stage(dict(RESTORATION, restorer=stirred_folder), tmp_path, steps=2)
    content = read_training_checkpoint(tmp_path / "iter_2.pth")
    learning = {name for name, value in runner.model.named_parameters() if value.requires_grad}
    assert set(content["state_dict"]) == learning
    assert all(name.split(".")[1] in ("cfrm", "prior") for name in learning)
    assert not any(name.startswith("restorer.prior.unet") for name in learning)
    assert len(content["optimizer"]["state"]) == len(learning)
    assert content["meta"]["iter"] == 2


def test_no_buffer_is_lost_with_the_frozen_parts(stirred_folder, make_stage):
    """A checkpoint keeps parameters by name; a persistent buffer in a part that learns would be forgotten."""
    stage = make_stage(dict(type="PriorStage", restorer=stirred_folder))
    assert set(torch.nn.Module.state_dict(stage.restorer)) == dict(stage.restorer.named_parameters()).keys()


def test_loading_names_no_missing_keys_and_leaves_the_rest(
    stirred_folder, run_stage, make_stage, values, tmp_path
):
    from mmengine.runner.checkpoint import load_checkpoint

    trained = run_stage(dict(RESTORATION, restorer=stirred_folder), tmp_path, steps=1).model
    fresh = make_stage(dict(RESTORATION, restorer=stirred_folder))
    load_checkpoint(fresh, str(tmp_path / "iter_1.pth"), strict=True)  # raises for a missing or unknown key
    assert same_state(values(fresh), values(trained))
    result = fresh.load_state_dict(trained.state_dict())
    assert not result.missing_keys and not result.unexpected_keys


def test_a_checkpoint_of_another_stage_is_reported(stirred_folder, run_stage, make_stage, tmp_path):
    from mmengine.runner.checkpoint import load_checkpoint

    run_stage(dict(type="PriorStage", restorer=stirred_folder), tmp_path, steps=1)
    with pytest.raises(RuntimeError, match="missing keys"):
        load_checkpoint(
            make_stage(dict(RESTORATION, restorer=stirred_folder)), str(tmp_path / "iter_1.pth"), strict=True
        )


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stage", ["restoration", "adaptation"])
def test_resuming_continues_bit_exactly(
    stage, workers, stirred_folder, detector_with_weights, run_stage, values, tmp_path
):
    """Six steps in one go, and the last three of them again from the checkpoint that the third step left."""
    model = dict(RESTORATION, restorer=stirred_folder)
    if stage == "adaptation":
        model = dict(type="AdaptationStage", restorer=stirred_folder, downstream=detector_with_weights)
    keys = {"train_dataloader.num_workers": workers, "train_dataloader.persistent_workers": bool(workers)}
    whole = run_stage(model, tmp_path / "whole", steps=6, save_every=3, **keys)
    third = tmp_path / "whole" / "iter_3.pth"
    resumed = run_stage(model, tmp_path / "parts", steps=6, resume=True, load_from=str(third), **keys)
    assert same_state(values(whole.model), values(resumed.model))
    contents = [read_training_checkpoint(tmp_path / name / "iter_6.pth") for name in ("whole", "parts")]
    for key in ("state_dict", "optimizer", "param_schedulers"):
        assert same_state(contents[0][key], contents[1][key]), key
    losses = [runner.message_hub.get_scalar("train/loss").data[0].tolist() for runner in (whole, resumed)]
    assert losses[0] == losses[1] and len(losses[0]) == 6


def test_resuming_a_finished_run_only_exports_again(stirred_folder, run_stage, values, tmp_path):
    model = dict(type="PriorStage", restorer=stirred_folder)
    first = run_stage(model, tmp_path, steps=2)
    again = run_stage(model, tmp_path, steps=2, resume=True, load_from=str(tmp_path / "iter_2.pth"))
    assert same_state(values(first.model), values(again.model))


# ------------------------------------------------------------------------------------------- atomic writing


def test_a_file_is_old_or_new_and_nothing_is_left_beside_it(tmp_path):
    backend, path = AtomicLocalBackend(), tmp_path / "runs" / "iter_1.pth"
    backend.put(b"old", path)
    left = path.with_name(".iter_1.pth.0123abcd.partial")
    left.write_bytes(b"of a killed run")
    other = path.with_name(".iter_1.pth.mine")
    other.write_bytes(b"not ours")
    backend.put(b"new", path)
    assert path.read_bytes() == b"new"
    assert sorted(os.listdir(path.parent)) == [".iter_1.pth.mine", "iter_1.pth"]


def test_a_file_can_be_read_by_whoever_the_umask_lets(tmp_path):
    old = os.umask(0o022)
    try:
        AtomicLocalBackend().put(b"weights", tmp_path / "iter_1.pth")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "iter_1.pth").stat().st_mode) == 0o644


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_is_named(failing, tmp_path, monkeypatch):
    path = tmp_path / "iter_1.pth"
    AtomicLocalBackend().put(b"old", path)

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match=r"iter_1\.pth \(No space left on device\); free some space") as caught:
        AtomicLocalBackend().put(b"new", path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["iter_1.pth"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"could not save .*file/iter_1\.pth"):
        AtomicLocalBackend().put(b"new", tmp_path / "file" / "iter_1.pth")


# --------------------------------------------------------------------------------- finding what still loads


class Bomb:
    """Runs code when a pickle of it is opened carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def whole(step: int = 1) -> dict:
    """A training checkpoint in its smallest form."""
    weights = {"restorer.w": torch.arange(3.0) + step}
    return {"state_dict": weights, "optimizer": {}, "meta": {"iter": step, "epoch": 0}, "message_hub": {}}


def test_the_newest_that_loads_is_found_by_its_number(tmp_path):
    for step in (9, 10, 2):
        torch.save(whole(step), tmp_path / f"iter_{step}.pth")
    torch.save(whole(), tmp_path / "iter_latest.pth")
    torch.save(whole(), tmp_path / "epoch_99.pth")
    assert find_checkpoint(tmp_path) == tmp_path / "iter_10.pth"
    assert find_checkpoint(tmp_path / "absent") is None


def test_epochs_count_where_there_are_no_iterations(tmp_path):
    torch.save(whole(), tmp_path / "epoch_3.pth")
    torch.save(whole(), tmp_path / "epoch_12.pth")
    assert find_checkpoint(tmp_path) == tmp_path / "epoch_12.pth"


def test_torn_foreign_and_dangerous_files_are_passed_over(tmp_path):
    torch.save(whole(1), tmp_path / "iter_1.pth")
    content = (tmp_path / "iter_1.pth").read_bytes()
    for step, size in ((2, 0), (3, 1), (4, len(content) // 2), (5, len(content) - 1)):
        (tmp_path / f"iter_{step}.pth").write_bytes(content[:size])
    torch.save(
        {"restorer.w": torch.zeros(1)}, tmp_path / "iter_6.pth"
    )  # weights, but nothing to continue from
    torch.save([1, 2], tmp_path / "iter_7.pth")
    bomb = tmp_path / "exploded"
    torch.save(whole(8) | {"hooks": Bomb(bomb)}, tmp_path / "iter_8.pth")
    (tmp_path / "iter_9.pth").write_bytes(pickle.dumps(Bomb(bomb)))
    (tmp_path / "iter_10.pth").mkdir()
    assert find_checkpoint(tmp_path) == tmp_path / "iter_1.pth"
    assert not bomb.exists()
    for step in range(2, 6):
        with pytest.raises(ValueError, match=f"iter_{step}.pth is cut short, damaged"):
            read_checkpoint(tmp_path / f"iter_{step}.pth")


def test_mmengine_never_falls_back_to_running_code(tmp_path):
    """Its own loader opens a refused file again without `weights_only`; ours is in its place."""
    from mmengine.runner import CheckpointLoader
    from mmengine.runner.checkpoint import _safe_torch_load

    bomb, path = tmp_path / "exploded", tmp_path / "iter_1.pth"
    torch.save(whole() | {"hooks": Bomb(bomb)}, path)
    with pytest.raises(ValueError, match=r"iter_1\.pth"):
        CheckpointLoader.load_checkpoint(str(path), map_location="cpu")
    assert not bomb.exists()
    _safe_torch_load(str(path), map_location="cpu")
    assert bomb.exists(), "mmengine has mended its loader: the replacement in safe_loading.py can go"


def test_getattr_of_a_file_reaches_the_log_statistics_only(tmp_path):
    class Reach:
        def __reduce__(self):
            return getattr, (torch.Tensor, "numpy")

    torch.save(whole() | {"hooks": Reach()}, tmp_path / "iter_1.pth")
    with pytest.raises(ValueError, match="asks for 'numpy'"):
        read_checkpoint(tmp_path / "iter_1.pth")


def test_log_history_and_numpy_values_are_read(tmp_path):
    import numpy as np
    from mmengine.logging import HistoryBuffer

    history = HistoryBuffer([1.0, 3.0], [1, 1])
    content = whole() | {"message_hub": {"log": history, "kept": [np.float32(2), np.float64(3), np.int64(4)]}}
    torch.save(content, tmp_path / "iter_1.pth")
    hub = read_training_checkpoint(tmp_path / "iter_1.pth")["message_hub"]
    assert hub["log"].mean() == 2.0 and hub["kept"] == [2.0, 3.0, 4]


def test_official_detector_checkpoints_open(shared):
    content = read_checkpoint(shared / "weights" / "yolox_nano_coco.pth")
    assert len(content["state_dict"]) > 100
    with pytest.raises(ValueError, match=r"no training checkpoint.*load_from"):
        read_training_checkpoint(shared / "weights" / "yolox_nano_coco.pth")


# ------------------------------------------------------------------------------------------------ kill -9


def save_without_end(folder: Path, step: int, tell) -> None:
    """Saves through mmengine, over three names in turn, and tells the step of each file that is there."""
    from mmengine.runner.checkpoint import save_checkpoint

    while True:
        step += 1
        content = whole(step) | {"state_dict": {"restorer.w": torch.full((500_000,), float(step))}}
        save_checkpoint(content, f"{folder}/iter_{step % 3}.pth", backend_args={"backend": "atomic"})
        tell.send(step)


def test_a_kill_at_any_moment_leaves_a_checkpoint_that_loads(tmp_path, killed):
    rng = random.Random(0)
    for kill in range(8):
        told = killed(save_without_end, tmp_path, kill * 1000, after=rng.uniform(0.0, 0.1))
        steps = []
        for path in tmp_path.glob("iter_*.pth"):
            content = read_training_checkpoint(path)  # every single one is whole
            weights = content["state_dict"]["restorer.w"]
            assert torch.equal(weights, torch.full_like(weights, float(content["meta"]["iter"])))
            steps.append(content["meta"]["iter"])
        assert max(steps) >= told[-1]  # what was reported as saved is there
        assert find_checkpoint(tmp_path) is not None


def save_beyond_the_limit(path: Path, tell) -> None:
    """The kernel refuses to write on after 64 KiB."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    try:
        AtomicLocalBackend().put(b"n" * 10**6, path)
    except OSError as error:
        tell.send(str(error))


def test_a_file_beyond_the_limit_of_the_system_leaves_the_old_one(tmp_path, killed):
    path = tmp_path / "iter_1.pth"
    AtomicLocalBackend().put(b"old", path)
    (message,) = killed(save_beyond_the_limit, path, after=0.0)
    assert "could not save" in message and "iter_1.pth" in message and "File too large" in message
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["iter_1.pth"]
