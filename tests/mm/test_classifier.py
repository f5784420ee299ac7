"""The frozen classifier: its own loss, a gradient for the picture, weights that fit; and that it can be trained."""

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("mmdet")

from mmengine.registry import MODELS

from unirestore.mm import ClassifierStage, FrozenClassifier
from unirestore.mm.classifier import build_classifier


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return FrozenClassifier("shufflenet_v2_x0_5", None, ("a", "b", "c"), input_size=64)


def test_loss_features_and_gradient(classifier):
    images = torch.rand(2, 3, 50, 70, requires_grad=True)
    losses, (features,) = classifier.loss_and_features(images, torch.tensor([0, 2]))
    logits = classifier(images)
    expected = nn.functional.cross_entropy(logits, torch.tensor([0, 2]))
    torch.testing.assert_close(losses["loss_ce"], expected)
    assert features.ndim == 4 and features.shape[:1] == (2,) and features.shape[-1] > 1
    torch.testing.assert_close(classifier.features(images)[0], features)
    losses["loss_ce"].backward()
    assert images.grad.abs().sum() > 0 and not any(p.requires_grad for p in classifier.parameters())
    assert not classifier.train().network.training
    with pytest.raises(ValueError, match="no category"):
        classifier.loss_and_features(images, torch.tensor([0, -1]))


def test_predict_gives_probabilities(classifier):
    photos = [np.full((30, 40, 3), 200, np.uint8), np.zeros((9, 9, 3), np.uint8)]
    answers = classifier.predict(photos)
    assert all(answer.shape == (3,) and answer.sum() == pytest.approx(1, abs=1e-5) for answer in answers)
    with pytest.raises(ValueError, match="uint8"):
        classifier.predict([np.zeros((4, 4))])


def test_names_modules_and_what_does_not_fit(tmp_path):
    own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert FrozenClassifier(own, None, ("a", "b"), input_size=16).network is own
    with pytest.raises(ValueError, match="there are 3 classes"):
        FrozenClassifier(own, None, ("a", "b", "c"), input_size=16)
    with pytest.raises(ValueError, match="torchvision has no model 'resnet19'"):
        build_classifier("resnet19", 2)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        FrozenClassifier(own, tmp_path / "none.pth", ("a", "b"), input_size=16)
    torch.save(own.state_dict(), tmp_path / "own.pth")
    with pytest.raises(ValueError, match="does not fit"):
        FrozenClassifier("shufflenet_v2_x0_5", tmp_path / "own.pth", ("a", "b"), input_size=64)


def test_a_stage_learns_and_its_weights_load_again(tmp_path):
    from types import SimpleNamespace

    from unirestore.mm import ExportClassifier

    torch.manual_seed(0)
    stage = MODELS.build(
        dict(
            type="ClassifierStage", classifier="shufflenet_v2_x0_5", classes=["dark", "light"], input_size=32,
            jitter=False,
        )
    ).train()  # fmt: skip
    assert isinstance(stage, ClassifierStage)
    batch = dict(
        degraded=torch.cat([torch.full((4, 3, 32, 32), v, dtype=torch.uint8) for v in (20, 230)]),
        category=torch.tensor([0] * 4 + [1] * 4),
        index=torch.arange(8),
    )
    optimiser = torch.optim.Adam(stage.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss = stage(**batch)["loss_ce"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2
    runner = SimpleNamespace(
        rank=0, model=stage, work_dir=str(tmp_path), logger=SimpleNamespace(info=lambda text: None)
    )
    ExportClassifier().after_train(runner)
    again = FrozenClassifier(
        "shufflenet_v2_x0_5", tmp_path / "classifier.safetensors", ("dark", "light"), input_size=32
    )
    images = batch["degraded"].float() / 255
    with torch.no_grad():
        mine = stage.eval().network(stage.prepare(images))
        torch.testing.assert_close(again(images), mine, rtol=2e-2, atol=2e-2)
