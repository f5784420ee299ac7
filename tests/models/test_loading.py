"""From what a config can hold to a restorer."""

import pytest
import torch

from unirestore.models import UniRestore
from unirestore.models.loading import build_restorer

SMALL = dict(block_out_channels=(8, 8, 8, 8), candidates=("clahe",), candidate_weights=(0.5, 0.5))


def test_a_module_is_used_as_it_is():
    module = torch.nn.Identity()
    assert build_restorer(module) is module


def test_a_preset_is_built_untrained_with_overrides():
    model = build_restorer(dict(preset="tiny", **SMALL))
    assert isinstance(model, UniRestore) and model.config.candidates == ("clahe",)


def test_a_folder_is_loaded_and_parts_can_be_taken_away(tmp_path):
    full = UniRestore.build("tiny", **SMALL).eval()
    with torch.no_grad():
        for parameter in full.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    full.save_pretrained(tmp_path / "restorer")
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        for source in (tmp_path / "restorer", str(tmp_path / "restorer")):
            assert torch.equal(build_restorer(source)(images), full(images))
        reduced = build_restorer(dict(weights=tmp_path / "restorer", cfrm=False, prior="none"))
        assert not reduced.training and not len(reduced.cfrm)
        assert reduced.parameter_group("prior") == {} and reduced.config.prior == "none"
        assert torch.equal(reduced.vae.quant_conv.weight, full.vae.quant_conv.weight)
        assert not torch.allclose(reduced(images), full(images))


def test_overrides_may_not_ask_for_weights_that_are_not_there(tmp_path):
    UniRestore.build("tiny", **SMALL, cfrm=False).save_pretrained(tmp_path / "restorer")
    with pytest.raises(ValueError, match=r"tensors that its weights lack, first cfrm\."):
        build_restorer(dict(weights=tmp_path / "restorer", cfrm=True))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (dict(size="tiny"), ValueError, r"keys \['size'\]; give dict\(preset="),
        (dict(preset="huge"), ValueError, "huge"),
        ("absent", FileNotFoundError, "absent"),
        (3, TypeError, "int"),
    ],
)
def test_what_is_none_of_these_is_named(source, error, message):
    with pytest.raises(error, match=message):
        build_restorer(source)
