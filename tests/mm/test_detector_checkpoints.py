import pickle

import numpy as np
import pytest
import torch

pytest.importorskip("mmdet")

from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from unirestore.mm.checkpoints import load_weights

WEIGHTS = {"a.weight": torch.arange(4.0), "b.bias": torch.ones(2)}


class Malicious:
    ran = False

    def __reduce__(self):
        return (setattr, (Malicious, "ran", True))


def check(loaded):
    assert set(loaded) == set(WEIGHTS)
    for name, value in WEIGHTS.items():
        assert torch.equal(loaded[name], value)


def test_bare_and_nested_and_wrapped_state_dicts(tmp_path):
    torch.save(WEIGHTS, tmp_path / "bare.pth")
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in WEIGHTS.items()}, "meta": {"epoch": 3}},
        tmp_path / "run.pth",
    )
    save_file(WEIGHTS, tmp_path / "weights.safetensors")
    check(load_weights(tmp_path / "bare.pth")[0])
    weights, meta = load_weights(tmp_path / "run.pth")
    check(weights)
    assert meta == {"epoch": 3}
    check(load_weights(tmp_path / "weights.safetensors")[0])


def test_a_checkpoint_of_mmengines_runner_opens(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    content = {
        "state_dict": WEIGHTS,
        "meta": {"dataset_meta": {"classes": ("car",)}},
        "message_hub": {"log_scalars": {"loss": history}, "x": np.float64(3.0), "i": np.arange(3)},
    }
    torch.save(content, tmp_path / "epoch_1.pth")
    weights, meta = load_weights(tmp_path / "epoch_1.pth")
    check(weights)
    assert meta["dataset_meta"]["classes"] == ("car",)


def test_code_in_the_file_is_not_run(tmp_path):
    torch.save({"state_dict": WEIGHTS, "extra": Malicious()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="more than tensors"):
        load_weights(tmp_path / "evil.pth")
    assert not Malicious.ran


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_and_absent_files_say_so(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_weights(path)
    if suffix == ".pth":
        torch.save(WEIGHTS, path)
    else:
        save_file(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"damaged|not a readable"):
        load_weights(path)


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"meta": {}}, tmp_path / "empty.pth")
    with pytest.raises(ValueError, match="no tensors"):
        load_weights(tmp_path / "empty.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="a list"):
        load_weights(tmp_path / "list.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError):
        load_weights(tmp_path / "plain.pth")
