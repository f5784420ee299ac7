import copy
import io

import pytest
import torch

pytest.importorskip("mmdet")

from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import get_state_dict, load_state_dict

from unirestore.mm import RestorerGuest, build_restorer


def restorer_keys(state):
    return [name for name in state if "restorer" in name]


def size_in_bytes(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.tell()


@pytest.mark.parametrize("collect", [get_state_dict, lambda model: model.state_dict()])
def test_checkpoint_has_the_size_of_the_detector_alone(restoring_nano, gain_restorer, collect):
    plain = restoring_nano(restorer=None)
    guest = gain_restorer()
    guest.big = torch.nn.Parameter(torch.zeros(1_000_000))
    with_guest = collect(restoring_nano(restorer=guest))
    assert restorer_keys(with_guest) == [] and list(with_guest) == list(collect(plain))
    assert size_in_bytes(with_guest) < size_in_bytes(collect(plain)) + 2_000
    assert not [name for name in with_guest._metadata if "restorer" in name]


def test_a_trained_restorer_is_saved_and_loaded(restoring_nano, gain_restorer):
    model = restoring_nano(restorer=gain_restorer((0.5, 0.6, 0.7)), train_restorer=True)
    state = get_state_dict(model)
    assert restorer_keys(state)
    other = restoring_nano(restorer=gain_restorer(), train_restorer=True)
    other.load_state_dict(state)
    assert other.data_preprocessor.restorer.network.gain.tolist() == pytest.approx([0.5, 0.6, 0.7])
    frozen = restoring_nano(restorer=gain_restorer())  # a frozen one takes what a checkpoint does hold
    frozen.load_state_dict(state)
    assert frozen.data_preprocessor.restorer.network.gain.tolist() == pytest.approx([0.5, 0.6, 0.7])


def test_plain_detector_checkpoint_loads_strictly_and_leaves_the_restorer(restoring_nano, gain_restorer):
    state = restoring_nano(restorer=None).state_dict()
    model = restoring_nano(restorer=gain_restorer((0.5, 0.6, 0.7)))
    model.load_state_dict(state, strict=True)
    load_state_dict(model, state, strict=True)
    assert model.data_preprocessor.restorer.network.gain.tolist() == pytest.approx([0.5, 0.6, 0.7])
    state.popitem()
    with pytest.raises(RuntimeError, match=r"[Mm]issing"):  # detector keys are still asked for
        model.load_state_dict(state, strict=True)


def test_ema_shares_a_frozen_restorer_and_never_moves_it(restoring_nano, gain_restorer):
    model = restoring_nano(restorer=gain_restorer((0.5, 0.6, 0.7)))
    averaged = ExponentialMovingAverage(model, momentum=0.3, update_buffers=True)
    assert averaged.module.data_preprocessor.restorer is model.data_preprocessor.restorer
    assert averaged.module.bbox_head is not model.bbox_head
    for _ in range(3):
        averaged.update_parameters(model)
    assert model.data_preprocessor.restorer.network.gain.tolist() == pytest.approx([0.5, 0.6, 0.7])
    assert restorer_keys(averaged.state_dict()) == []


def test_mmdet_ema_averages_a_trained_restorer(restoring_nano, gain_restorer):
    from mmdet.models.layers import ExpMomentumEMA

    model = restoring_nano(restorer=gain_restorer(), train_restorer=True)
    averaged = ExpMomentumEMA(model, momentum=0.5)
    copied = averaged.module.data_preprocessor.restorer
    assert copied is not model.data_preprocessor.restorer and copied.trainable
    assert model.data_preprocessor.restorer.network.gain.requires_grad
    averaged.update_parameters(model)
    with torch.no_grad():
        model.data_preprocessor.restorer.network.gain.add_(1.0)
    averaged.update_parameters(model)
    assert 1.0 < float(copied.network.gain[0].detach()) <= 2.0
    assert float(model.data_preprocessor.restorer.network.gain[0].detach()) == 2.0


def test_train_does_not_reach_a_frozen_restorer(restoring_nano, gain_restorer):
    model = restoring_nano(restorer=gain_restorer())
    model.train()
    assert model.bbox_head.training
    assert not any(part.training for part in model.data_preprocessor.restorer.modules())
    joint = restoring_nano(restorer=gain_restorer(), train_restorer=True)
    joint.train()
    assert joint.data_preprocessor.restorer.network.dropout.training
    joint.eval()
    assert not joint.data_preprocessor.restorer.network.dropout.training


@pytest.mark.parametrize("train_restorer", [False, True])
def test_weight_init_does_not_reach_the_restorer(restoring_nano, gain_restorer, train_restorer, monkeypatch):
    def initialised():
        model = restoring_nano(restorer=gain_restorer(), train_restorer=train_restorer)
        model.init_cfg = {"type": "Constant", "layer": "Conv2d", "val": 3.0}
        model.init_weights()
        return model.data_preprocessor.restorer.network.mix.weight[..., 0, 0].detach()

    assert torch.equal(initialised(), torch.eye(3))
    monkeypatch.setattr(RestorerGuest, "apply", torch.nn.Module.apply)
    assert torch.equal(initialised(), torch.full((3, 3), 3.0))  # what happens without the guard


def test_apply_of_the_host_stops_at_the_guest(restoring_nano, gain_restorer):
    model = restoring_nano(restorer=gain_restorer())
    seen = []
    model.apply(lambda part: seen.append(part))
    assert model.backbone in seen and model.data_preprocessor.restorer.network not in seen


def test_no_gradient_for_a_frozen_restorer_and_to_moves_it(gain_restorer):
    guest = RestorerGuest(gain_restorer())
    assert not guest(torch.rand(1, 3, 4, 4), "det").requires_grad
    assert guest.to(torch.float64).network.gain.dtype == torch.float64
    assert guest(torch.rand(1, 3, 4, 4), "det").dtype == torch.float32


def test_autocast_does_not_change_the_picture(gain_restorer):
    guest = RestorerGuest(gain_restorer((0.31, 0.77, 0.93)))
    images = torch.rand(1, 3, 16, 16)
    plain = guest(images, "det")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(guest(images, "det"), plain)
        assert guest.network.last_seen.dtype == torch.float32
        assert guest(images.bfloat16(), "det").dtype == torch.float32


def test_a_restorer_that_changes_the_size_or_diverges_is_refused(gain_restorer):
    guest = RestorerGuest(torch.nn.Identity())
    guest.network.forward = lambda images, task: images[..., 1:]
    with pytest.raises(ValueError, match="size must stay"):
        guest(torch.rand(1, 3, 8, 8), "det")
    with pytest.raises(FloatingPointError, match="8 x 4"):
        RestorerGuest(gain_restorer((float("nan"), 1, 1)))(torch.rand(1, 3, 4, 8), "det")


def test_deepcopy_of_a_frozen_guest_is_itself(gain_restorer):
    guest = RestorerGuest(gain_restorer())
    assert copy.deepcopy(guest) is guest


def test_build_restorer_names_what_is_wrong(tmp_path):
    module = torch.nn.Identity()
    assert build_restorer(module) is module
    with pytest.raises(FileNotFoundError, match="absent"):
        build_restorer(str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="preset"):
        build_restorer({"size": 3})
    with pytest.raises(TypeError, match="int"):
        build_restorer(3)


def test_build_restorer_from_preset_and_folder(tmp_path):
    from unirestore import UniRestore

    network = build_restorer({"preset": "tiny"})
    assert isinstance(network, UniRestore)
    network.save_pretrained(tmp_path / "restorer")
    again = build_restorer(tmp_path / "restorer")
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
