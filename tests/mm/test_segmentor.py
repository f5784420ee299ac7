"""A frozen mmseg segmentor, the stage that trains one, and `configs/tfa_seg.py` on a CamVid of a few frames."""

import json

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("mmseg")

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from mmengine.runner import Runner
from safetensors import safe_open

import unirestore.training  # noqa: F401
from unirestore.mm import FrozenSegmentor, SegmentorStage, measure_from_config, read_config
from unirestore.mm.pixels import seg_samples

MODEL = "configs/_base_/camvid_segmentor_model.py"
CAMVID = tuple(Config.fromfile("configs/_base_/camvid_classes.py").camvid_classes)
SOME = ("car", "road", "sky")  # another order, and fewer


def images(count=2, height=64, width=96, seed=0):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def label_maps(count=2, height=64, width=96, classes=3):
    labels = torch.randint(0, classes, (count, height, width), generator=torch.Generator().manual_seed(1))
    labels[:, :5] = 255
    return labels


@pytest.fixture(scope="module")
@torch.no_grad()
def weights(tmp_path_factory):
    """The CamVid segmentor with random but spread-out statistics, so that it answers with several classes."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "segmentor.pth"
    plain = FrozenSegmentor(MODEL, None, CAMVID, fuse=False)
    for norm in (part for part in plain.modules() if isinstance(part, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(std=0.1)
        norm.running_var.uniform_(0.5, 2.0)
    head = plain.segmentor.decode_head.conv_seg
    head.weight.normal_(std=1.0)
    head.bias.sub_(
        plain.segmentor.decode_head(plain.segmentor.extract_feat(255 * images())).mean(dim=(0, 2, 3))
    )
    torch.save({"state_dict": plain.segmentor.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def segmentor(weights):
    return FrozenSegmentor(MODEL, weights, SOME, segmentor_classes=CAMVID)


@pytest.fixture(scope="module")
def camvid(tmp_path_factory):
    """`UNIRESTORE_DATA` with a CamVid of six frames of 96 x 72, in its own folders."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for folder in (split, f"{split}annot"):
            (root / "camvid" / folder).mkdir(parents=True)
        for number in range(2):
            label_map = np.full((72, 96), 3, np.uint8)  # road
            label_map[:30] = 0  # sky
            label_map[20:60, :30] = 1  # building
            label_map[40:60, 50:80] = 8  # car
            label_map[60:64, 10:20] = 11  # void
            grey = np.array([220, 120, 90, 60, 140, 80, 200, 100, 170, 30, 40, 0], np.uint8)[label_map]
            noisy = np.clip(grey[..., None] + rng.normal(0, 6, (72, 96, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / "camvid" / split / f"{number}.png"), noisy)
            cv2.imwrite(str(root / "camvid" / f"{split}annot" / f"{number}.png"), label_map)
    return root


def test_fusing_changes_outputs_by_rounding_only(segmentor, weights):
    plain = FrozenSegmentor(MODEL, weights, SOME, segmentor_classes=CAMVID, fuse=False)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in segmentor.modules())
    for got, expected in zip(segmentor.features(images()), plain.features(images()), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=3e-4)


def test_loss_equals_that_of_mmseg_with_its_own_preprocessor(weights):
    """Reference: mmseg samples with labels in the segmentor's own indices through mmseg's preprocessor and `loss`."""
    ours = FrozenSegmentor(MODEL, weights, SOME, segmentor_classes=CAMVID, fuse=False)
    theirs = torch.full((256,), 255)
    theirs[: len(SOME)] = torch.tensor([CAMVID.index(name) for name in SOME])
    samples = seg_samples((64, 96), theirs[label_maps()])
    bgr = [image[[2, 1, 0]] * 255 for image in images()]
    data = ours.segmentor.data_preprocessor({"inputs": bgr, "data_samples": samples}, True)
    expected = ours.segmentor.loss(data["inputs"], data["data_samples"])
    passes = []
    handle = ours.segmentor.backbone.register_forward_hook(lambda *args: passes.append(1))
    losses, features = ours.loss_and_features(images(), label_maps())
    handle.remove()
    assert set(losses) == {"decode.loss_ce"} and len(passes) == 1
    torch.testing.assert_close(losses["decode.loss_ce"], expected["decode.loss_ce"], rtol=1e-5, atol=1e-5)
    for got, alone in zip(features, ours.features(images()), strict=True):
        assert torch.equal(got, alone)


def test_loss_is_differentiable_in_the_images_and_in_nothing_else(segmentor):
    batch = images().requires_grad_()
    before = {name: value.clone() for name, value in segmentor.state_dict().items()}
    losses, features = segmentor.train().loss_and_features(batch, label_maps().to(torch.uint8))
    (sum(losses.values()) + features[0].square().mean()).backward()
    assert float(batch.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in segmentor.parameters())
    assert not any(part.training for part in segmentor.modules())
    assert all(torch.equal(value, before[name]) for name, value in segmentor.state_dict().items())


def test_pixels_of_255_and_padding_teach_nothing(weights):
    """An mmseg config that pads when testing pads images alone; the label map follows with 255."""
    config = read_config(MODEL)
    config.model.data_preprocessor.test_cfg = dict(size_divisor=64)
    padded = FrozenSegmentor(config, weights, SOME, segmentor_classes=CAMVID)
    loss = padded.loss_and_features(images(), label_maps())[0]["decode.loss_ce"]
    assert torch.isfinite(loss) and padded.features(images())[0].shape[-2:] == (16, 32)
    silent = torch.full((2, 64, 96), 255)
    batch = images().requires_grad_()
    nothing = padded.loss_and_features(batch, silent)[0]["decode.loss_ce"]
    assert not torch.isfinite(nothing) or float(nothing.detach()) == 0


@pytest.mark.parametrize("mode", ["whole", "slide"])
def test_predictions_are_mmsegs_in_our_classes(weights, mode):
    """Reference: mmseg's `test_step`; the best of our three classes, whatever else it knows."""
    config = read_config(MODEL)
    config.model.test_cfg = ConfigDict(mode=mode, crop_size=(48, 48), stride=(32, 32))
    segmentor = FrozenSegmentor(config, weights, SOME, segmentor_classes=CAMVID)
    picture = (images(1, 50, 90)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    bgr = torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)
    with torch.no_grad():
        sample = segmentor.segmentor.test_step(
            {"inputs": [bgr], "data_samples": seg_samples((50, 90), [None])}
        )[0]
    expected = sample.seg_logits.data[[CAMVID.index(name) for name in SOME]].argmax(0).numpy()
    found = segmentor.predict([picture, picture[:40]])
    assert found[0].dtype == np.uint8 and [x.shape for x in found] == [(50, 90), (40, 90)]
    assert np.array_equal(found[0], expected) and len(np.unique(found[0])) > 1


def test_wrong_input_is_refused_with_the_numbers(segmentor, weights):
    with pytest.raises(ValueError, match=r"label_map is \(2, 64, 95\) for images \(2, 3, 64, 96\)"):
        segmentor.loss_and_features(images(), label_maps(width=95))
    with pytest.raises(ValueError, match="holds 7, but there are 3 classes: car, road, sky"):
        segmentor.loss_and_features(images(), torch.full((2, 64, 96), 7))
    with pytest.raises(ValueError, match="float32"):
        segmentor.predict([np.zeros((90, 90, 3), np.float32)])
    with pytest.raises(ValueError, match="the segmentor takes"):
        segmentor.features(torch.rand(3, 32, 32))
    with pytest.raises(ValueError, match="the segmentor does not know rickshaw"):
        FrozenSegmentor(MODEL, weights, ("car", "rickshaw"), segmentor_classes=CAMVID)
    with pytest.raises(ValueError, match="11 classes and neither"):
        FrozenSegmentor(MODEL, weights, SOME)
    with pytest.raises(ValueError, match="2 class names were given"):
        FrozenSegmentor(MODEL, weights, SOME, segmentor_classes=("car", "road"))
    with pytest.raises(FileNotFoundError, match="no config at absent"):
        FrozenSegmentor("absent.py", None, CAMVID)


def test_cityscapes_names_are_known():
    config = read_config("mmseg::fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024")
    segmentor = FrozenSegmentor(config, None, ("car", "person"))
    assert segmentor.own_classes[:2] == ("road", "sidewalk") and len(segmentor.own_classes) == 19
    losses, features = segmentor.loss_and_features(images(), label_maps(classes=2))
    assert {"decode.loss_ce", "aux_0.loss_ce", "aux_1.loss_ce"} == set(losses) and len(features) == 3


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
            "log_level": "WARNING",
        }
    )
    return config


def test_from_clean_frames_to_the_report(camvid, micro_folder, tmp_path, monkeypatch):
    """Trains a segmentor, adapts a restorer to it and measures, with the committed configs made short."""
    from unirestore import UniRestore

    monkeypatch.setenv("UNIRESTORE_DATA", str(camvid))
    Runner.from_cfg(small(Config.fromfile("configs/camvid_segmentor.py"), tmp_path / "judge", 3)).train()
    saved = tmp_path / "judge" / "segmentor.safetensors"
    with safe_open(saved, "pt") as file:
        assert json.loads(file.metadata()["classes"]) == list(CAMVID)
    assert saved.stat().st_size < 3_000_000

    config = small(Config.fromfile("configs/tfa_seg.py"), tmp_path / "seg", 2)
    config.model.restorer = micro_folder
    config.model.downstream.checkpoint = config.measure.segmentor.checkpoint = str(saved)
    measure = config.pop("measure").to_dict()
    runner = Runner.from_cfg(config)
    runner.train()
    losses = {name for name in runner.message_hub.log_scalars if "loss" in name}
    assert {"train/loss_seg_decode.ce", "train/loss_feature", "train/loss_ir"} <= losses
    restorer = UniRestore.from_pretrained(tmp_path / "seg" / "restorer")
    assert "seg" in restorer.tasks and not torch.equal(restorer.prompts["seg"], restorer.prompts["det"])

    report = measure_from_config(dict(measure, resamples=20), tmp_path / "seg")
    assert list(report.conditions) == ["haze", "rain", "clean"]
    assert list(report.conditions["haze"].arms) == [
        "clean", "none", "clahe", "dcp", "mix", "chain", "ir", "seg"
    ]  # fmt: skip
    stored = json.loads((tmp_path / "seg" / "report.json").read_text())
    assert stored["protocol"]["segmentor"] == "camvid_segmentor_model"
    assert "void" not in stored["conditions"]["rain"]["pixels"]
    assert (
        stored["conditions"]["haze"]["arms"]["none"]["psnr"] < 40
    )  # haze was put on, by the label map's depth
    assert "photos on which the segmentor" in (tmp_path / "seg" / "report.html").read_text().lower()


@pytest.fixture(scope="module")
def micro_folder(tmp_path_factory):
    """A saved very small restorer with the tasks `ir` and `det`."""
    from unirestore import UniRestore

    folder = tmp_path_factory.mktemp("weights") / "restorer"
    small = dict(block_out_channels=(8, 8, 8, 8), candidates=("clahe",), candidate_weights=(0.5, 0.5))
    UniRestore.build("tiny", **small).save_pretrained(folder)
    return str(folder)


def test_what_the_stages_refuse(camvid, weights, micro_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("UNIRESTORE_DATA", str(camvid))
    with pytest.raises(ValueError, match="head has 11 classes, but 2 are given"):
        SegmentorStage(segmentor=MODEL, classes=("car", "road"))
    with pytest.raises(ValueError, match="jitter has hue"):
        SegmentorStage(segmentor=MODEL, classes=CAMVID, jitter=dict(hue=(0, 1)))
    downstream = dict(type="FrozenSegmentor", config=MODEL, checkpoint=str(weights), classes=CAMVID)
    settings = dict(type="AdaptationStage", restorer=micro_folder, task="seg", downstream=downstream)
    with pytest.raises(ValueError, match=r"no task 'seg'.*copy_from="):
        MODELS.build(settings)
    stage = MODELS.build(dict(settings, copy_from="det"))
    batch = dict(degraded=images() * 255, clean=images() * 255, index=torch.arange(2))
    with pytest.raises(ValueError, match=r"learns from label_map.*label_map_classes"):
        stage(**batch)
    measure = dict(conditions=dict(clean=dict(set="camvid_val")))
    with pytest.raises(ValueError, match="measure has no detector"):
        measure_from_config(measure, tmp_path)
    with pytest.raises(ValueError, match="give each a measurement of its own"):
        measure_from_config(dict(measure, detector=dict(config=1), segmentor=dict(config=1)), tmp_path)
