import copy

import numpy as np
import pytest
import torch

pytest.importorskip("mmdet")

from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmengine.config import ConfigDict
from mmengine.registry import MODELS

from unirestore.mm import RestorationDetDataPreprocessor

KEYS = {
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "bgr_to_rgb": True,
    "pad_size_divisor": 32,
    "pad_value": 7,
}


def test_registered_in_the_root_registry():
    assert MODELS.get("RestorationDetDataPreprocessor") is RestorationDetDataPreprocessor
    from mmdet.registry import MODELS as DETECTION_MODELS

    assert DETECTION_MODELS.get("RestorationDetDataPreprocessor") is RestorationDetDataPreprocessor


@pytest.mark.parametrize("keys", [{}, KEYS, {"rgb_to_bgr": True}])
@pytest.mark.parametrize("training", [False, True])
def test_an_identity_restorer_gives_what_mmdet_gives(make_batch, gain_restorer, keys, training):
    batch = make_batch(canvas=80)
    expected = DetDataPreprocessor(**keys)(copy.deepcopy(batch), training)
    got = RestorationDetDataPreprocessor(restorer=gain_restorer(), **keys)(batch, training)
    torch.testing.assert_close(got["inputs"], expected["inputs"], rtol=0, atol=1e-4)
    for sample, reference in zip(got["data_samples"], expected["data_samples"], strict=True):
        assert sample.metainfo == reference.metainfo
        assert torch.equal(sample.gt_instances.bboxes, reference.gt_instances.bboxes)


def test_mean_and_std_are_still_read(gain_restorer):
    preprocessor = RestorationDetDataPreprocessor(restorer=gain_restorer(), **KEYS)
    assert preprocessor.mean.flatten().tolist() == pytest.approx(KEYS["mean"])
    assert preprocessor.std.flatten().tolist() == pytest.approx(KEYS["std"])
    assert (preprocessor.pad_size_divisor, preprocessor.pad_value) == (32, 7)


def test_padding_is_neither_shown_to_the_restorer_nor_changed(make_batch, gain_restorer):
    restorer = gain_restorer((0.5, 0.5, 0.5))
    batch = make_batch(sizes=((48, 64),))
    before = batch["inputs"][0].float()
    after = RestorationDetDataPreprocessor(restorer=restorer)(batch)["inputs"][0]
    assert restorer.last_seen.shape[-2:] == (48, 64)
    torch.testing.assert_close(after[:, :48], before[:, :48] / 2, rtol=0, atol=1e-4)
    assert torch.equal(after[:, 48:], torch.full((3, 16, 64), 114.0))


def test_the_restorer_sees_rgb(make_batch, gain_restorer):
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    image[0] = 255  # blue, since the pipeline loads BGR
    restorer = gain_restorer((1.0, 1.0, 0.5))
    out = RestorationDetDataPreprocessor(restorer=restorer)({"inputs": [image], "data_samples": None})
    assert restorer.last_seen[0, :, 0, 0].tolist() == [0.0, 0.0, 1.0]
    assert out["inputs"][0, :, 0, 0].tolist() == pytest.approx([127.5, 0.0, 0.0])
    rgb = RestorationDetDataPreprocessor(restorer=restorer, rgb_to_bgr=True)
    rgb({"inputs": [image], "data_samples": None})
    assert restorer.last_seen[0, :, 0, 0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("as_tensor", [False, True])
def test_sizes_and_annotations_stay(make_batch, gain_restorer, as_tensor):
    batch = make_batch()
    shapes = [image.shape for image in batch["inputs"]]
    if as_tensor:
        batch["inputs"] = torch.stack(batch["inputs"])
    out = RestorationDetDataPreprocessor(restorer=gain_restorer((0.9, 0.9, 0.9)))(batch)
    assert [image.shape for image in out["inputs"]] == shapes
    assert out["data_samples"][0].batch_input_shape == (64, 64)
    assert [image.dtype for image in batch["inputs"]] == [
        torch.uint8
    ] * 2  # the caller's images are not written


def test_rounding_to_eight_bits(make_batch, gain_restorer):
    keys = {"restorer": gain_restorer((0.37, 0.37, 0.37))}
    smooth = RestorationDetDataPreprocessor(**keys)(make_batch())["inputs"]
    rounded = RestorationDetDataPreprocessor(**keys, round_to_uint8=True)(make_batch())["inputs"]
    assert not torch.equal(smooth, smooth.round()) and torch.equal(rounded, smooth.round())


def test_values_are_clamped(make_batch, gain_restorer):
    out = RestorationDetDataPreprocessor(restorer=gain_restorer((9.0, 9.0, 9.0)))(make_batch())["inputs"]
    assert 254.9 < float(out.max()) <= 255.0


def test_wrong_keys_are_refused(gain_restorer):
    with pytest.raises(ValueError, match="no gradient"):
        RestorationDetDataPreprocessor(restorer=gain_restorer(), train_restorer=True, round_to_uint8=True)
    with pytest.raises(ValueError, match="restorer is None"):
        RestorationDetDataPreprocessor(restorer=None, train_restorer=True)
    with pytest.raises(TypeError, match="colour"):
        RestorationDetDataPreprocessor(restorer=gain_restorer(), colour="rgb")


def test_device_follows_the_model(restoring_nano, gain_restorer):
    """Semi-supervised wrappers ask the preprocessor for its device."""
    model = restoring_nano(restorer=gain_restorer())
    assert model.data_preprocessor.device == torch.device("cpu")
    model.to("meta")
    assert model.data_preprocessor.device == torch.device("meta")
    assert model.data_preprocessor.restorer.network.gain.device.type == "meta"


def test_picture_on_request_is_detached_uint8_without_padding_and_kept_nowhere(make_batch, gain_restorer):
    batch = make_batch(sizes=((48, 64),))
    preprocessor = RestorationDetDataPreprocessor(
        restorer=gain_restorer((0.5, 1.0, 1.0)), train_restorer=True
    ).eval()
    picture = preprocessor.picture(batch["inputs"][0], batch["data_samples"][0])
    assert picture.dtype == np.uint8 and picture.shape == (48, 64, 3)
    source = batch["inputs"][0][[2, 1, 0], :48].permute(1, 2, 0).numpy()
    assert np.array_equal(picture[..., 1:], source[..., 1:])
    assert np.array_equal(picture[..., 0], np.round(source[..., 0] / np.float32(2)).astype(np.uint8))
    raw = preprocessor.picture(batch["inputs"][0], batch["data_samples"][0], restore=False)
    assert np.array_equal(raw, source)
    out = preprocessor(batch)
    for sample in out["data_samples"]:
        assert not any(isinstance(value, (torch.Tensor, np.ndarray)) for value in sample.metainfo.values())


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_a_training_step_with_and_without_autocast_sees_the_same_picture(
    restoring_nano, gain_restorer, make_batch, precision
):
    restorer = gain_restorer((0.31, 0.77, 0.93))
    model = restoring_nano(restorer=restorer).train()
    wrapper = autocasting(torch.optim.SGD(model.bbox_head.parameters(), lr=0.01), precision)
    batch = make_batch()
    expected = model.data_preprocessor(copy.deepcopy(batch), True)["inputs"]
    seen = []
    handle = model.backbone.register_forward_pre_hook(
        lambda module, args: seen.append(args[0].detach().float())
    )
    losses = model.train_step(batch, wrapper)
    handle.remove()
    assert torch.isfinite(losses["loss"])
    assert torch.equal(seen[0], expected)


def autocasting(optimizer, precision):
    """mmengine's optimizer wrapper, autocasting as AmpOptimWrapper does (which wants a GPU)."""
    from contextlib import contextmanager

    from mmengine.optim import OptimWrapper

    class Autocasting(OptimWrapper):
        @contextmanager
        def optim_context(self, model):
            with (
                super().optim_context(model),
                torch.autocast("cpu", dtype=precision or torch.bfloat16, enabled=precision is not None),
            ):
                yield

    return Autocasting(optimizer)


def test_joint_training_gives_the_restorer_a_gradient(restoring_nano, gain_restorer, make_batch):
    model = restoring_nano(restorer=gain_restorer((0.7, 0.7, 0.7)), train_restorer=True).train()
    data = model.data_preprocessor(make_batch(), True)
    losses = model._run_forward(data, mode="loss")
    model.parse_losses(losses)[0].backward()
    gradient = model.data_preprocessor.restorer.network.gain.grad
    assert gradient is not None and bool((gradient != 0).all())


def test_a_call_without_samples_works_as_flop_counters_make_it(gain_restorer):
    data = {"inputs": [torch.rand(3, 30, 40) * 255], "data_samples": None}
    assert RestorationDetDataPreprocessor(restorer=gain_restorer())(data)["inputs"].shape == (1, 3, 30, 40)
    data = {"inputs": [torch.rand(3, 30, 40) * 255]}
    assert RestorationDetDataPreprocessor(restorer=gain_restorer())(data)["data_samples"] is None


def test_with_the_real_network_any_detector_predicts(restoring_nano, make_batch):
    model = restoring_nano(restorer={"preset": "tiny"}, task="ir", round_to_uint8=True).eval()
    with torch.no_grad():
        results = model.test_step(make_batch(sizes=((48, 64), (64, 40))))
    assert len(results) == 2 and all("pred_instances" in result for result in results)


def test_test_time_augmentation_restores_each_view(restoring_nano, gain_restorer, make_batch):
    from mmdet.models.test_time_augs import DetTTAModel

    restorer = gain_restorer((0.5, 0.5, 0.5))
    calls = []
    restorer.register_forward_hook(lambda module, args, output: calls.append(tuple(args[0].shape)))
    model = DetTTAModel(
        module=restoring_nano(restorer=restorer).eval(),
        tta_cfg=ConfigDict(nms={"type": "nms", "iou_threshold": 0.5}, max_per_img=10),
    )
    plain, flipped = make_batch(sizes=((48, 64),)), make_batch(sizes=((48, 64),))
    flipped["inputs"][0][:, :48] = flipped["inputs"][0][:, :48].flip(-1)
    for batch, flip in ((plain, False), (flipped, True)):
        batch["data_samples"][0].set_metainfo(
            {"flip": flip, "flip_direction": "horizontal" if flip else None}
        )
    views = {key: [plain[key], flipped[key]] for key in plain}
    with torch.no_grad():
        merged = model.test_step(views)
    assert len(merged) == 1 and calls == [(1, 3, 48, 64)] * 2


def test_pictures_below_the_gate_reach_the_detector_untouched(make_batch):
    from unirestore.models import UniRestore

    model = UniRestore.build("tiny-fast", gate_channels=4).eval()
    batch = make_batch(sizes=((32, 32), (32, 48)))
    with torch.no_grad():
        model.gate.out.weight.zero_()
        model.gate.out.bias.fill_(0.0)  # one half for everything
    before = [image.float() for image in batch["inputs"]]
    for gate, passes in ((0.4, False), (0.6, True), (None, False)):
        after = RestorationDetDataPreprocessor(restorer=model, gate=gate)(copy.deepcopy(batch))["inputs"]
        assert all(torch.equal(x, y) == passes for x, y in zip(after, before, strict=True))
    with pytest.raises(ValueError, match="no gate"):
        RestorationDetDataPreprocessor(restorer="tiny-fast", gate=0.5)(batch)
