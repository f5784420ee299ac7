"""Depth models of transformers: tiny ones with random weights, saved and loaded as real ones are."""

import sys

import numpy as np
import pytest
from PIL import Image

from unirestore.cli import main
from unirestore.data import read_depth
from unirestore.degradations import Haze
from unirestore.degradations.depth import FAR
from unirestore.degradations.depth_model import DepthModel, metres_of_inverse


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Depth Anything with 8 channels, relative and metric, a GLPN, and a model that is none, on disk."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra `depth`)")
    import torch

    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=28,
        patch_size=14,
        out_features=["stage1", "stage2"],
        reshape_hidden_states=False,
    )
    for name in ("relative", "metric"):
        config = transformers.DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=8,
            patch_size=14,
            reassemble_factors=[1, 0.5],
            neck_hidden_sizes=[8, 8],
            fusion_hidden_size=8,
            head_hidden_size=4,
            depth_estimation_type=name,
            max_depth=80,
        )
        transformers.DepthAnythingForDepthEstimation(config).save_pretrained(root / name)
        transformers.DPTImageProcessor(
            size={"height": 28, "width": 28}, ensure_multiple_of=14, keep_aspect_ratio=True
        ).save_pretrained(root / name)
    config = transformers.GLPNConfig(
        num_encoder_blocks=4,
        depths=[1] * 4,
        hidden_sizes=[8] * 4,
        num_attention_heads=[1] * 4,
        decoder_hidden_size=8,
    )
    transformers.GLPNForDepthEstimation(config).save_pretrained(root / "glpn")
    transformers.GLPNImageProcessor().save_pretrained(root / "glpn")
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=32
    )
    transformers.ViTModel(config).save_pretrained(root / "vit")
    return root


def photo(height=45, width=70):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "kind"), [("relative", "inverse"), ("metric", "metric"), ("glpn", "metric")]
)
def test_a_saved_model_gives_metres_at_the_size_of_the_photo(folder, name, kind):
    model = DepthModel(folder / name)
    assert model.kind == kind and name in repr(model)
    depth = model(photo())
    assert depth.shape == (45, 70) and depth.dtype == np.float32
    assert depth.min() > 0 and depth.max() <= FAR and np.isfinite(depth).all()
    assert np.array_equal(depth, DepthModel(folder / name)(photo())), "loaded weights, not fresh ones"
    assert Haze(severity=4)(photo(), seed=1, depth=depth).shape == (45, 70, 3)
    as_float = model(photo().astype(np.float32) / 255)
    assert np.allclose(as_float, depth, rtol=1e-4)


def test_metric_models_are_taken_at_their_word_and_relative_ones_are_laid_out(folder):
    model = DepthModel(folder / "metric")
    raw = model.raw(photo())
    assert np.array_equal(model(photo()), np.clip(raw, 0.1, FAR))
    inverse = DepthModel(folder / "relative", near=2.0, far=50.0)
    raw, depth = inverse.raw(photo()), inverse(photo())
    assert np.array_equal(depth, metres_of_inverse(raw, 2.0, 50.0))
    order = np.argsort(raw, axis=None)
    assert (np.diff(depth.ravel()[order]) <= 1e-4).all(), "a larger inverse depth is nearer"


def test_inverse_depth_is_laid_between_near_and_far():
    metres = np.geomspace(4.0, 200.0, 2000).reshape(40, 50).astype(np.float32)
    found = metres_of_inverse(7.0 / metres + 0.4, 4.0, 200.0)  # any factor and offset
    assert np.abs(found / metres - 1)[2:-2].max() < 0.12
    assert np.array_equal(metres_of_inverse(np.ones((3, 3), np.float32), 2.0, 9.0), np.full((3, 3), 9.0))


def test_the_command_writes_what_degrade_reads(folder, tmp_path, capsys):
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    Image.fromarray(photo()).save(tmp_path / "photos" / "a.png")
    Image.fromarray(photo(20, 30)).save(tmp_path / "photos" / "sub" / "b.jpg")
    command = ["depth", str(tmp_path / "photos"), str(tmp_path / "depth"), "--quiet", "--model"]
    assert main([*command, str(folder / "relative"), "--far", "90"]) == 0
    assert "2 photos" in capsys.readouterr().out
    written = read_depth(tmp_path / "depth" / "a.png")
    assert np.abs(written - DepthModel(folder / "relative", far=90.0)(photo())).max() < 0.006
    assert read_depth(tmp_path / "depth" / "sub" / "b.png").shape == (20, 30)
    degrade = ["degrade", str(tmp_path / "photos"), str(tmp_path / "out"), "--quiet", "--workers", "1"]
    assert main([*degrade, "--recipe", "Haze:3", "--depth", str(tmp_path / "depth")]) == 0
    assert '"depth": "sub/b.png"' in (tmp_path / "out" / "manifest.jsonl").read_text()
    assert main([*command, str(folder / "vit")]) == 2
    assert "not a depth model" in capsys.readouterr().err


def test_what_cannot_be_loaded_is_told(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder with a depth model"):
        DepthModel(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no model that transformers can load"):
        DepthModel(tmp_path / "empty")
    with pytest.raises(ValueError, match="0 < near < far, got 9"):
        DepthModel(folder / "relative", near=9, far=3)
    with pytest.raises(ValueError, match="kind must be one of"):
        DepthModel(folder / "relative", kind="metres")


def test_without_transformers_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'unirestore\[depth\]'"):
        DepthModel("some/model")
