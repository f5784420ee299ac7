"""The restoring preprocessor in front of mmseg: what a segmentor has that a detector has not."""

import copy

import pytest
import torch

pytest.importorskip("mmseg")

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.structures import SegDataSample

from unirestore.mm import RestorationSegDataPreprocessor
from unirestore.mm.frozen import build_network

CLASSES = 11
KEYS = {
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "bgr_to_rgb": True,
    "size": (80, 96),
    "pad_val": 7,
}


@pytest.fixture
def make_seg_batch():
    """A batch as mmseg's loader gives it: pictures of given sizes without padding, and their label maps."""

    def make(sizes=((48, 64), (48, 64)), seed=0):
        generator = torch.Generator().manual_seed(seed)
        inputs, samples = [], []
        for height, width in sizes:
            inputs.append(torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator))
            meta = dict(img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0))
            sample = SegDataSample(metainfo=meta)
            labels = torch.randint(0, CLASSES, (1, height, width), generator=generator)
            sample.gt_sem_seg = PixelData(data=labels)
            samples.append(sample)
        return {"inputs": inputs, "data_samples": samples}

    return make


@pytest.fixture(scope="module")
def segmentor_config():
    return Config.fromfile("configs/_base_/camvid_segmentor_model.py").model


@pytest.fixture
def restoring_segmentor(segmentor_config):
    """Builds the CamVid segmentor with a restoring preprocessor; `test_cfg` and keywords of the preprocessor."""

    def build(test_cfg=None, **keys):
        model = copy.deepcopy(segmentor_config)
        model.data_preprocessor.update(type="RestorationSegDataPreprocessor", **keys)
        model.test_cfg = ConfigDict(test_cfg or dict(mode="whole"))
        return build_network(model, "mmseg")

    return build


def counted(restorer):
    """Shapes of the pictures that the restorer is shown, call by call."""
    shapes = []
    restorer.register_forward_hook(lambda module, args, output: shapes.append(tuple(args[0].shape)))
    return shapes


def test_registered_in_the_root_registry():
    assert MODELS.get("RestorationSegDataPreprocessor") is RestorationSegDataPreprocessor
    from mmseg.registry import MODELS as SEGMENTATION_MODELS

    assert SEGMENTATION_MODELS.get("RestorationSegDataPreprocessor") is RestorationSegDataPreprocessor


@pytest.mark.parametrize("keys", [KEYS, {"rgb_to_bgr": True, "size_divisor": 32}])
@pytest.mark.parametrize("training", [False, True])
def test_an_identity_restorer_gives_what_mmseg_gives(make_seg_batch, gain_restorer, keys, training):
    batch = make_seg_batch()
    expected = SegDataPreProcessor(**keys)(copy.deepcopy(batch), training)
    got = RestorationSegDataPreprocessor(restorer=gain_restorer(), **keys)(batch, training)
    torch.testing.assert_close(got["inputs"], expected["inputs"], rtol=0, atol=1e-4)
    for sample, reference in zip(got["data_samples"], expected["data_samples"], strict=True):
        assert sample.metainfo == reference.metainfo
        assert torch.equal(sample.gt_sem_seg.data, reference.gt_sem_seg.data)


def test_padding_is_never_restored_and_is_255_in_the_label_map(make_seg_batch, gain_restorer):
    """Pictures of two sizes are padded to one by mmseg, behind the restorer."""
    restorer = gain_restorer((0.5, 0.5, 0.5))
    shapes = counted(restorer)
    batch = make_seg_batch(sizes=((48, 64), (40, 56)))
    before = [image.float() for image in batch["inputs"]]
    labels = [sample.gt_sem_seg.data.clone() for sample in batch["data_samples"]]
    preprocessor = RestorationSegDataPreprocessor(restorer=restorer, size=(80, 96), pad_val=200)
    out = preprocessor(batch, True)
    assert shapes == [(1, 3, 48, 64), (1, 3, 40, 56)] and out["inputs"].shape == (2, 3, 80, 96)
    for image, picture, sample, label in zip(out["inputs"], before, out["data_samples"], labels, strict=True):
        height, width = picture.shape[-2:]
        torch.testing.assert_close(image[:, :height, :width], picture / 2, rtol=0, atol=1e-4)
        assert bool((image[:, height:] == 200).all()) and bool((image[:, :, width:] == 200).all())
        seg = sample.gt_sem_seg.data
        assert torch.equal(seg[:, :height, :width], label)
        assert bool((seg[:, height:] == 255).all()) and bool((seg[:, :, width:] == 255).all())


def test_padding_of_the_pipeline_is_found_and_left_alone(make_seg_batch, gain_restorer):
    restorer = gain_restorer((0.5, 0.5, 0.5))
    batch = make_seg_batch(sizes=((64, 64),))
    batch["inputs"][0][:, 48:] = 0  # mmseg's Pad writes img_shape anew
    batch["data_samples"][0].set_metainfo(dict(ori_shape=(96, 128), scale_factor=(0.5, 0.5)))
    before = batch["inputs"][0].float()
    after = RestorationSegDataPreprocessor(restorer=restorer)(batch)["inputs"][0]
    assert restorer.last_seen.shape[-2:] == (48, 64)
    torch.testing.assert_close(after[:, :48], before[:, :48] / 2, rtol=0, atol=1e-4)
    assert not after[:, 48:].any()


@pytest.mark.parametrize(
    "test_cfg",
    [dict(mode="whole"), dict(mode="slide", crop_size=(32, 32), stride=(16, 16))],
    ids=["whole", "slide"],
)
def test_the_whole_picture_is_restored_once_however_it_is_looked_at(
    restoring_segmentor, make_seg_batch, gain_restorer, test_cfg
):
    restorer = gain_restorer((0.5, 0.6, 0.7))
    shapes = counted(restorer)
    restoring = restoring_segmentor(test_cfg, restorer=restorer).eval()
    plain = restoring_segmentor(test_cfg, restorer=None).eval()
    plain.load_state_dict(restoring.state_dict())
    batch = make_seg_batch(sizes=((48, 80),))
    gain = torch.tensor([0.7, 0.6, 0.5])[:, None, None]  # the pipeline loads BGR
    by_hand = {**batch, "inputs": [gain * image.float() for image in batch["inputs"]]}
    with torch.no_grad():
        got, expected = restoring.test_step(batch)[0], plain.test_step(by_hand)[0]
    assert shapes == [(1, 3, 48, 80)]
    assert got.pred_sem_seg.shape == (48, 80)
    torch.testing.assert_close(got.seg_logits.data, expected.seg_logits.data, rtol=1e-3, atol=1e-4)


def test_test_time_padding_comes_off_the_answer(restoring_segmentor, make_seg_batch, gain_restorer):
    model = restoring_segmentor(restorer=gain_restorer(), test_cfg=dict(mode="whole"))
    model.data_preprocessor.test_cfg = dict(size_divisor=64)
    with torch.no_grad():
        result = model.eval().test_step(make_seg_batch(sizes=((48, 80),)))[0]
    assert result.img_padding_size == (0, 48, 0, 16) and result.pred_sem_seg.shape == (48, 80)


def test_test_time_augmentation_restores_each_view(restoring_segmentor, make_seg_batch, gain_restorer):
    restorer = gain_restorer((0.5, 0.5, 0.5))
    shapes = counted(restorer)
    model = SegTTAModel(module=restoring_segmentor(restorer=restorer).eval())
    views = [make_seg_batch(sizes=(size,)) for size in ((48, 64), (48, 64), (72, 96))]
    views[1]["inputs"][0] = views[1]["inputs"][0].flip(-1)
    for view, flip in zip(views, (False, True, False), strict=True):
        meta = dict(ori_shape=(48, 64), img_path="a.png", flip=flip)
        view["data_samples"][0].set_metainfo({**meta, "flip_direction": "horizontal" if flip else None})
    with torch.no_grad():
        merged = model.test_step({key: [view[key] for view in views] for key in views[0]})
    assert shapes == [(1, 3, 48, 64)] * 2 + [(1, 3, 72, 96)]
    assert len(merged) == 1 and merged[0].pred_sem_seg.shape == (48, 64)


def test_a_training_step_leaves_the_restorer_frozen_and_unfitted(
    restoring_segmentor, make_seg_batch, gain_restorer
):
    from mmengine.optim import OptimWrapper

    restorer = gain_restorer((0.31, 0.77, 0.93))
    model = restoring_segmentor(restorer=restorer).train()
    assert model.training and not any(part.training for part in restorer.modules())
    before = {name: value.clone() for name, value in restorer.state_dict().items()}
    batch = make_seg_batch()
    batch["data_samples"][0].gt_sem_seg.data[:] = 255
    losses = model.train_step(batch, OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)))
    assert torch.isfinite(losses["loss"])
    assert all(torch.equal(value, before[name]) for name, value in restorer.state_dict().items())


def test_checkpoints_are_those_of_the_segmentor_alone(restoring_segmentor, gain_restorer):
    from mmengine.runner.checkpoint import get_state_dict

    model = restoring_segmentor(restorer=gain_restorer((0.5, 0.5, 0.5)))
    plain = restoring_segmentor(restorer=None)
    assert set(get_state_dict(model)) == set(get_state_dict(plain)) == set(plain.state_dict())
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert not missing and not unexpected
    assert model.data_preprocessor.restorer.network.gain.tolist() == [0.5, 0.5, 0.5]


def test_joint_training_gives_the_restorer_a_gradient(restoring_segmentor, make_seg_batch, gain_restorer):
    model = restoring_segmentor(restorer=gain_restorer((0.7, 0.7, 0.7)), train_restorer=True).train()
    data = model.data_preprocessor(make_seg_batch(), True)
    model.parse_losses(model._run_forward(data, mode="loss"))[0].backward()
    gradient = model.data_preprocessor.restorer.network.gain.grad
    assert gradient is not None and bool((gradient != 0).all())


def test_masks_are_drawn_on_the_restored_photo(
    restoring_segmentor, make_seg_batch, gain_restorer, tmp_path, monkeypatch
):
    from types import SimpleNamespace

    import cv2
    from mmengine.registry import HOOKS
    from mmseg.visualization import SegLocalVisualizer

    palette = [[20 * index, 0, 255] for index in range(CLASSES)]
    visualizer = SegLocalVisualizer(alpha=0.5)
    visualizer.dataset_meta = dict(classes=tuple("abcdefghijk"), palette=palette)
    monkeypatch.setattr(
        "mmseg.engine.hooks.visualization_hook.Visualizer",
        SimpleNamespace(get_current_instance=lambda: visualizer),
    )
    model = restoring_segmentor(restorer=gain_restorer((0.0, 0.0, 0.0))).eval()
    runner = SimpleNamespace(model=model, work_dir=str(tmp_path), timestamp="now", iter=0)
    batch = make_seg_batch(sizes=((48, 64),))
    with torch.no_grad():
        outputs = model.test_step(copy.deepcopy(batch))
    outputs[0].set_metainfo({"img_path": str(tmp_path / "a.png")})
    hook = HOOKS.build(
        dict(type="RestoredSegVisualizationHook", draw=True, test_out_dir="drawn", compare=True)
    )
    hook.after_test_iter(runner, 0, batch, outputs)
    drawn = cv2.imread(str(tmp_path / "now/drawn/a.png"))  # the degraded photo, then truth and answer
    assert drawn.shape == (48, 3 * 64, 3) and drawn[:, :64].mean() > 100
    assert drawn[:, 64:, 1].mean() < 20  # of a black photo only the masks are seen, and a few letters


def test_with_the_real_network_any_segmentor_predicts(restoring_segmentor, make_seg_batch):
    model = restoring_segmentor(restorer={"preset": "tiny"}, task="ir").eval()
    with torch.no_grad():
        results = model.test_step(make_seg_batch())
    assert [result.pred_sem_seg.shape for result in results] == [(48, 64)] * 2
    assert RestorationSegDataPreprocessor(restorer=None).task == "seg"
