"""The restorer as a backbone: the same features as the network gives, whatever the data preprocessor did before."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("mmdet")

from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData
from safetensors.torch import load_file

from unirestore.mm.backbone import UniRestoreBackbone
from unirestore.models import UniRestore

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return UniRestore.build("tiny").eval()


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (50, 37)])
def test_features_are_the_network_s_own(network, size):
    images = torch.rand(2, 3, *size)
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    normalised = (255 * images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    wanted = network(images, "det", output="features")
    backbone = UniRestoreBackbone(restorer=network, fold=False, mean=mean, std=std, bgr=False)
    for x, y in zip(backbone(normalised), reversed(wanted), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-3)
    (folded,) = UniRestoreBackbone(restorer=network)(255 * images.flip(1))
    coarse, middle, fine = wanted
    assert folded.shape == (2, 16 * 32 + 4 * 64 + 64, *coarse.shape[-2:])
    torch.testing.assert_close(folded[:, :64], coarse, rtol=1e-3, atol=1e-3)
    # channel 4 c + 2 i + j of a fold by two is pixel (i, j) of channel c
    torch.testing.assert_close(folded[:, 64 + 4 * 5 + 2, 0, 0], middle[:, 5, 1, 0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(folded[:, 320 + 16 * 3 + 6, 1, 2], fine[:, 3, 5, 10], rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_pyramid_halves_from_stride_8_and_starts_from_the_folded_map(network):
    torch.manual_seed(1)
    backbone = UniRestoreBackbone(restorer=network, pyramid=(8, 12, 16), blocks=1).eval()
    images = 255 * torch.rand(2, 3, 50, 70)
    shapes = [tuple(x.shape) for x in backbone(images)]
    assert shapes == [(2, 8, 7, 9), (2, 12, 4, 5), (2, 16, 2, 3)]
    (folded,) = UniRestoreBackbone(restorer=network)(images)
    torch.testing.assert_close(backbone.levels[0](folded), backbone(images)[0])
    kept = {name.split(".")[0] for name in backbone.state_dict()}
    assert kept == {"levels"}  # what learns, and not the frozen guest


def test_bad_normalisation_or_pyramid_is_told(network):
    for bad in (dict(mean=(0.0,)), dict(std=(1.0, 0.0, 1.0))):
        with pytest.raises(ValueError, match="three numbers"):
            UniRestoreBackbone(restorer=network, **bad)
    for bad in (
        dict(pyramid=()),
        dict(pyramid=(8, 0)),
        dict(pyramid=(8,), fold=False),
        dict(pyramid=(8,), blocks=-1),
    ):
        with pytest.raises(ValueError, match="pyramid needs"):
            UniRestoreBackbone(restorer=network, **bad)


@pytest.mark.parametrize("train_restorer", [False, True])
def test_a_detector_trains_on_it_and_saves_the_restorer_only_where_it_learns(train_restorer, network):
    model = Config.fromfile(REPOSITORY / "configs" / "_base_" / "scenes_features_model.py").model
    model.backbone.update(restorer=UniRestore.build("tiny").eval(), train_restorer=train_restorer)
    with DefaultScope.overwrite_default_scope("mmdet"):
        detector = MODELS.build(model)
    weights = load_file(REPOSITORY / "unirestore" / "weights" / "scenes-detector" / "detector.safetensors")
    kept = {name for name, value in detector.state_dict().items() if name.startswith(("neck.", "bbox_head."))}
    assert kept == {name for name in weights if not name.startswith("backbone.")}  # they can start from these
    assert all(weights[name].shape == detector.state_dict()[name].shape for name in kept)
    detector.train()
    sample = DetDataSample(metainfo=dict(img_shape=(64, 64), batch_input_shape=(64, 64), scale_factor=(1, 1)))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[8.0, 8.0, 40.0, 40.0]]), labels=torch.tensor([2])
    )
    losses = detector.loss(255 * torch.rand(1, 3, 64, 64), [sample])
    sum(value.sum() for value in losses.values()).backward()
    assert any(name.startswith("backbone.restorer.") for name in detector.state_dict()) == train_restorer
    assert all(p.grad is not None for p in detector.backbone.levels.parameters())
    learns = [p.grad is not None for p in detector.backbone.restorer.network.tfa.parameters()]
    assert any(learns) == train_restorer
