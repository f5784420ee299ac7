"""A frozen mmseg depth estimator, the stage that trains one, and `configs/tfa_depth.py` on a few small scenes."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("mmseg")

from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from safetensors.torch import load_file

import unirestore.training  # noqa: F401
from unirestore.data import render_scene, write_scenes
from unirestore.degradations import Haze
from unirestore.evaluation.depth import depth_figures
from unirestore.mm import (
    DepthEstimatorStage,
    ExportDepthEstimator,
    FrozenDepthEstimator,
    measure_from_config,
    read_config,
)
from unirestore.mm.depth import known_depth
from unirestore.mm.frozen import build_network
from unirestore.mm.pixels import seg_samples

MODEL = "configs/_base_/scenes_depth_model.py"
FAR = 1000.0


def images(count=2, height=64, width=96, seed=0):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def depths(count=2, height=64, width=96):
    metres = 3 + 70 * torch.rand(count, height, width, generator=torch.Generator().manual_seed(1))
    metres[:, :9] = FAR
    metres[:, 20, :7] = 0
    return metres


@pytest.fixture(scope="module")
@torch.no_grad()
def weights(tmp_path_factory):
    """The scenes' estimator with random but spread-out statistics, so that it says many distances."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "depth_estimator.pth"
    plain = FrozenDepthEstimator(MODEL, None, fuse=False)
    for norm in (part for part in plain.modules() if isinstance(part, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(std=0.1)
        norm.running_var.uniform_(0.5, 2.0)
    head = plain.network.decode_head.conv_seg
    head.weight.normal_(std=1.0)
    said = plain.network.decode_head(plain.network.extract_feat(255 * images()))
    head.bias.sub_((said / 80).clamp(1e-4, 1 - 1e-4).logit().mean())
    torch.save({"state_dict": plain.network.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def estimator(weights):
    return FrozenDepthEstimator(MODEL, weights)


@pytest.fixture(scope="module")
def micro_folder(tmp_path_factory):
    """A saved very small restorer with the tasks `ir` and `det`."""
    from unirestore import UniRestore

    folder = tmp_path_factory.mktemp("weights") / "restorer"
    small = dict(block_out_channels=(8, 8, 8, 8), candidates=("clahe",), candidate_weights=(0.5, 0.5))
    UniRestore.build("tiny", **small).save_pretrained(folder)
    return str(folder)


def test_fusing_changes_outputs_by_rounding_only(estimator, weights):
    plain = FrozenDepthEstimator(MODEL, weights, fuse=False)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in estimator.modules())
    for got, expected in zip(estimator.features(images()), plain.features(images()), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=3e-4)


def test_loss_equals_that_of_mmseg_with_its_own_preprocessor(weights):
    """Reference: mmseg samples with 0 where nothing is known, through mmseg's preprocessor and `loss`."""
    ours = FrozenDepthEstimator(MODEL, weights, fuse=False)
    metres = depths()
    samples = seg_samples((64, 96), torch.where(metres >= 80, 0.0, metres), "gt_depth_map")
    bgr = [image[[2, 1, 0]] * 255 for image in images()]
    data = ours.network.data_preprocessor({"inputs": bgr, "data_samples": samples}, True)
    expected = ours.network.loss(data["inputs"], data["data_samples"])
    losses, features = ours.loss_and_features(images(), metres)
    assert set(losses) == {"decode.loss_silog"} == set(expected)
    torch.testing.assert_close(
        losses["decode.loss_silog"], expected["decode.loss_silog"], rtol=1e-5, atol=1e-5
    )
    for got, alone in zip(features, ours.features(images()), strict=True):
        assert torch.equal(got, alone)


def test_loss_is_differentiable_in_the_images_and_in_nothing_else(estimator):
    batch = images().requires_grad_()
    losses, features = estimator.train().loss_and_features(batch, depths())
    (sum(losses.values()) + features[0].square().mean()).backward()
    assert float(batch.grad.abs().sum()) > 0 and bool(torch.isfinite(batch.grad).all())
    assert all(parameter.grad is None for parameter in estimator.parameters())
    assert not any(part.training for part in estimator.modules())


def test_the_sky_and_padding_teach_nothing(estimator, weights):
    """Whatever is said of the sky, or of what a config pads, the loss is the same."""
    metres = depths()
    loss = estimator.loss_and_features(images(), metres)[0]["decode.loss_silog"]
    metres[metres >= 80] = 80.0
    assert torch.equal(estimator.loss_and_features(images(), metres)[0]["decode.loss_silog"], loss)
    nearer = torch.where(metres >= 80, 79.0, metres)
    assert not torch.equal(estimator.loss_and_features(images(), nearer)[0]["decode.loss_silog"], loss)

    config = read_config(MODEL)
    config.model.data_preprocessor.test_cfg = dict(size_divisor=64)
    padding = FrozenDepthEstimator(config, weights)
    assert padding.features(images())[0].shape[-2:] == (16, 32)
    seen = []
    handle = padding.network.decode_head.loss_decode.register_forward_hook(
        lambda m, args, out: seen.append(args)
    )
    padding.loss_and_features(images(), metres)
    handle.remove()
    said, truth = seen[0]
    assert said.shape == truth.shape == (2, 1, 64, 128)
    assert float(truth[..., 96:].abs().max()) == 0 and torch.equal(
        truth[:, 0, :, :96], known_depth(metres, 80)
    )


def test_predictions_are_mmsegs_metres(estimator):
    picture = (images(1, 64, 96)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    bgr = torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)
    with torch.no_grad():
        sample = estimator.network.test_step(
            {"inputs": [bgr], "data_samples": seg_samples((64, 96), [None])}
        )[0]
    found = estimator.predict([picture, picture[:40]])
    assert found[0].dtype == np.float32 and [x.shape for x in found] == [(64, 96), (40, 96)]
    np.testing.assert_allclose(found[0], sample.pred_depth_map.data[0].numpy(), rtol=1e-4)
    assert 0 < found[0].min() < found[0].max() - 5 and found[0].max() <= 80


def test_mmsegs_own_depth_head_fits():
    """`VPDDepthHead` at a small size, padded to its coarsest stride."""
    config = read_config(MODEL)
    config.model.data_preprocessor.test_cfg = dict(size_divisor=32)
    config.model.decode_head = dict(
        type="VPDDepthHead", max_depth=10.0, in_channels=[32, 64, 128, 256], embed_dim=2, feature_dim=16,
        num_deconv_layers=2, num_deconv_filters=(8, 8),
    )  # fmt: skip
    other = FrozenDepthEstimator(config, None)
    (found,) = other.predict([np.zeros((50, 70, 3), np.uint8)])
    assert other.max_depth == 10 and found.shape == (50, 70) and 0 < found.max() <= 10
    assert torch.isfinite(other.loss_and_features(images(), depths() / 8)[0]["decode.loss_silog"])


def test_wrong_input_is_refused_with_the_numbers(estimator):
    with pytest.raises(ValueError, match=r"depth is \(2, 64, 95\) for images \(2, 3, 64, 96\)"):
        estimator.loss_and_features(images(), depths(width=95))
    silent = depths()
    silent[1] = FAR
    with pytest.raises(ValueError, match="1 of 2 pictures have no pixel nearer than 80 m"):
        estimator.loss_and_features(images(), silent)
    with pytest.raises(ValueError, match="float32"):
        estimator.predict([np.zeros((90, 90, 3), np.float32)])
    with pytest.raises(ValueError, match="the depth estimator takes"):
        estimator.features(torch.rand(3, 32, 32))
    with pytest.raises(ValueError, match="no decode head with `max_depth`"):
        FrozenDepthEstimator(read_config_of_one_class(), None)
    config = read_config(MODEL)
    config.model.decode_head.max_depth = 0.0
    with pytest.raises(ValueError, match=r"farthest distance in metres, got 0\.0"):
        FrozenDepthEstimator(config, None)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """`UNIRESTORE_DATA` with four scenes of 64 pixels in each of the sets."""
    root = tmp_path_factory.mktemp("data")
    for number, name in enumerate(("train", "val", "test")):
        write_scenes(root / "scenes" / name, count=4, seed=1000 * number, size=64)
    return root


def small(config: Config, work_dir, steps: int) -> Config:
    config.work_dir = str(work_dir)
    config.merge_from_dict(
        {
            "train_cfg.max_iters": steps,
            "param_scheduler.0.total_steps": 20,
            "train_dataloader.batch_size": 2,
            "train_dataloader.num_workers": 0,
            "train_dataloader.persistent_workers": False,
            "train_dataloader.dataset.size": 64,
            "train_dataloader.dataset.sources": [dict(set=FEW)],
            "log_level": "WARNING",
        }
    )
    return config


FEW = dict(
    images="train/images", annotations="train/annotations.json", depth="train/depth", data_root="data/scenes"
)


@pytest.mark.parametrize("name", ["tfa_depth", "tfa_depth_prompt"])
def test_from_clean_scenes_to_the_report(name, scenes, micro_folder, tmp_path, monkeypatch):
    """Trains an estimator, adapts a restorer to it and measures, with the committed configs made short."""
    from unirestore import UniRestore

    monkeypatch.setenv("UNIRESTORE_DATA", str(scenes))
    Runner.from_cfg(small(Config.fromfile("configs/scenes_depth.py"), tmp_path / "judge", 2)).train()
    saved = tmp_path / "judge" / "depth_estimator.safetensors"
    assert saved.stat().st_size < 1_200_000

    config = small(Config.fromfile(f"configs/{name}.py"), tmp_path / "depth", 2)
    config.model.restorer = micro_folder
    config.model.downstream.checkpoint = config.measure.depth_estimator.checkpoint = str(saved)
    measure = config.pop("measure").to_dict()
    runner = Runner.from_cfg(config)
    runner.train()
    losses = {key for key in runner.message_hub.log_scalars if "loss" in key}
    assert {"train/loss_depth_decode.silog", "train/loss_feature"} <= losses
    assert ("train/loss_ir" in losses) == (name == "tfa_depth")
    before = UniRestore.from_pretrained(micro_folder)
    restorer = UniRestore.from_pretrained(tmp_path / "depth" / "restorer")
    assert not torch.equal(restorer.prompts["depth"], restorer.prompts["det"])
    same = all(torch.equal(value, restorer.state_dict()[key]) for key, value in before.state_dict().items())
    assert same == (name == "tfa_depth_prompt")

    for condition in measure["conditions"].values():
        condition["set"] = {key: value.replace("train", "test") for key, value in FEW.items()}
    report = measure_from_config(dict(measure, size=64, resamples=20), tmp_path / "depth")
    assert list(report.conditions) == ["haze", "rain", "clean"]
    assert list(report.conditions["haze"].arms) == ["clean", "none", "dcp", "chain", "ir", "depth"]
    stored = json.loads((tmp_path / "depth" / "report.json").read_text())
    assert stored["protocol"]["depth estimator"] == "scenes_depth_model" and stored["task"] == "depth"
    assert stored["conditions"]["haze"]["arms"]["none"]["psnr"] < 40  # haze was put on, by the true depth
    assert "photos on which the depth estimator" in (tmp_path / "depth" / "report.html").read_text().lower()


def test_what_the_stages_refuse(weights, micro_folder, tmp_path):
    with pytest.raises(ValueError, match="no decode head with `max_depth`"):
        DepthEstimatorStage(depth_estimator=read_config_of_one_class())
    downstream = dict(type="FrozenDepthEstimator", config=MODEL, checkpoint=str(weights))
    stage = MODELS.build(
        dict(
            type="AdaptationStage",
            restorer=micro_folder,
            task="depth",
            copy_from="det",
            downstream=downstream,
        )
    )
    batch = dict(degraded=images() * 255, clean=images() * 255, index=torch.arange(2))
    with pytest.raises(ValueError, match=r"learns from depth.*depth with depth=True"):
        stage(**batch)
    both = dict(
        segmentor=dict(config=1),
        depth_estimator=dict(config=1),
        conditions=dict(clean=dict(set="camvid_val")),
    )
    with pytest.raises(ValueError, match="segmentor and depth_estimator; give each a measurement of its own"):
        measure_from_config(both, tmp_path)


def read_config_of_one_class() -> Config:
    """A segmentor with one class, which is no depth estimator."""
    config = read_config("configs/_base_/camvid_segmentor_model.py")
    config.model.decode_head.update(num_classes=1, out_channels=1, loss_decode=dict(type="CrossEntropyLoss"))
    return config


def test_the_shipped_judge_sees_scenes_and_suffers_from_haze():
    """On eight scenes that it never learned: better than one distance for everything, and worse in haze."""
    judge = FrozenDepthEstimator(MODEL, "unirestore/weights/scenes-depth/depth_estimator.safetensors")
    scenes = [render_scene(1_000_000 + number) for number in range(8)]
    haze = Haze(severity=4)
    photos = dict(
        clean=[scene.image for scene in scenes],
        haze=[haze(scene.image, seed=0, depth=scene.depth) for scene in scenes],
    )

    def aligned(answers):
        pairs = zip(answers, scenes, strict=True)
        return np.mean([depth_figures(answer, scene.depth, judge.max_depth)[1] for answer, scene in pairs])

    clean, hazy = aligned(judge.predict(photos["clean"])), aligned(judge.predict(photos["haze"]))
    assert clean > 65 > aligned([np.full_like(scene.depth, 20) for scene in scenes]) + 20
    assert hazy < clean - 5


def test_what_half_precision_cannot_hold_is_saved_whole(tmp_path):
    """A first layer that sees 0 to 255 may have a variance beyond 65504; what is truly broken is refused."""
    stage = DepthEstimatorStage(depth_estimator=MODEL)
    runner = SimpleNamespace(rank=0, model=stage, work_dir=tmp_path, logger=logging.getLogger())
    variance = stage.network.backbone.stem.conv.bn.running_var
    variance[3] = 79151.4
    ExportDepthEstimator().after_train(runner)
    saved = load_file(tmp_path / "depth_estimator.safetensors")
    assert torch.equal(saved["backbone.stem.conv.bn.running_var"], variance)
    assert saved["backbone.stem.conv.conv.weight"].dtype == torch.float16
    FrozenDepthEstimator(MODEL, tmp_path / "depth_estimator.safetensors")
    variance[3] = torch.inf
    with pytest.raises(ValueError, match="weights are not finite"):
        ExportDepthEstimator().after_train(runner)


def test_an_mmseg_estimator_reads_restored_pictures(gain_restorer):
    """The preprocessor for segmentors serves it too: dark pictures in, and what the estimator would say of them."""
    picture = {"inputs": [(255 * images(1)[0]).byte()], "data_samples": seg_samples((64, 96), [None])}
    config = read_config(MODEL).model
    plain = build_network(config, "mmseg").eval()
    config.data_preprocessor.update(
        type="RestorationSegDataPreprocessor", restorer=gain_restorer((0.5, 0.5, 0.5)), task="depth"
    )
    restoring = build_network(config, "mmseg").eval()
    restoring.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        found = restoring.test_step(picture)[0].pred_depth_map.data
        halved = dict(picture, inputs=[picture["inputs"][0].float() / 2])
        torch.testing.assert_close(found, plain.test_step(halved)[0].pred_depth_map.data)
        assert not torch.allclose(found, plain.test_step(picture)[0].pred_depth_map.data)
    samples = seg_samples((64, 96), known_depth(depths(1), 80), "gt_depth_map")
    ready = restoring.train().data_preprocessor(dict(picture, data_samples=samples), True)
    assert torch.isfinite(restoring.loss(**ready)["decode.loss_silog"])
