"""Sizes of the presets, and saving and loading with every fault we could think of."""

import json

import pytest
import torch

from unirestore.models import PRESETS, WEIGHTS, UniRestore, presets


def count(model, *groups):
    return sum(p.numel() for group in groups for p in model.parameter_group(group).values())


def test_sd_turbo_has_the_published_sizes():
    with torch.device("meta"):
        model = UniRestore.build("sd_turbo")
    assert count(model, "vae") == 83_653_863
    assert count(model, "cfrm") == 25_960_624
    assert count(model, "controller") == 52_494_080
    assert count(model, "sc_tuner") == 22_147_200
    assert count(model, "tfa") == 21_030_656
    assert count(model, "prompts") == 4 * 512
    assert model.fusion is None and model.size_multiple == 64


def test_tiny_stays_tiny():
    model = UniRestore.build("tiny")
    assert sum(p.numel() for p in model.parameters()) < 3_000_000
    assert {"ir", "det"} <= set(model.tasks)


def test_building_does_not_touch_the_preset_and_knows_its_names():
    before = json.dumps(PRESETS)
    UniRestore.build("tiny", prior_config={"channels": (8,)}, prior="none", tasks=("ir",))
    assert json.dumps(PRESETS) == before
    with pytest.raises(ValueError, match="unknown preset 'huge'; known: sd_turbo, tiny"):
        UniRestore.build("huge")
    with pytest.raises(TypeError):
        UniRestore.build("tiny", colour="blue")


@pytest.fixture
def saved(make_micro, tmp_path):
    model = make_micro(candidates=("dcp",))
    model.add_task("cls", copy_from="ir")
    model.save_pretrained(tmp_path)
    return model, tmp_path


def test_what_was_saved_comes_back(saved):
    model, folder = saved
    assert {file.name for file in folder.iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    loaded = UniRestore.from_pretrained(folder)
    assert loaded.tasks == ("ir", "det", "cls") and not loaded.training
    state = loaded.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    images = torch.rand(1, 3, 19, 30)
    with torch.no_grad():
        assert torch.equal(loaded(images, "cls"), model(images, "cls"))


def test_scaling_factor_set_after_training_is_saved(saved):
    model, folder = saved
    model.register_to_config(scaling_factor=0.5)
    model.save_pretrained(folder)
    assert UniRestore.from_pretrained(folder).config.scaling_factor == 0.5


@pytest.mark.parametrize("keep", [0, 5, 5_000])
def test_weights_cut_short_are_named(saved, keep):
    file = saved[1] / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"diffusion_pytorch_model.safetensors is cut short or damaged"):
        UniRestore.from_pretrained(saved[1])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"tasks": ["ir", "det"]}, r"unexpected keys.*prompts.cls"),
        ({"tasks": ["ir", "det", "cls", "seg"]}, r"missing keys.*prompts.seg"),
        ({"cfrm_groups": 8}, "do not belong together"),
    ],
)
def test_weights_of_another_config_are_refused(saved, change, match):
    file = saved[1] / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=match):
        UniRestore.from_pretrained(saved[1])


def test_broken_or_missing_places_are_named(saved, tmp_path):
    (saved[1] / "config.json").write_text("{")
    with pytest.raises(OSError, match="config"):
        UniRestore.from_pretrained(saved[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no config.json"):
        UniRestore.from_pretrained(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no folder, no known weights"):
        UniRestore.from_pretrained("nonesuch")


def test_packaged_weights_load_by_name(saved, monkeypatch):
    row = presets.Weights("tiny", "none", "Apache-2.0", "", 0, "a test")
    monkeypatch.setitem(WEIGHTS, "shipped", row)
    monkeypatch.setattr(presets, "WEIGHTS_FOLDER", saved[1].parent)
    with pytest.raises(FileNotFoundError, match="'shipped' should be in"):
        UniRestore.from_pretrained("shipped")
    saved[1].rename(saved[1].parent / "shipped")
    try:
        assert UniRestore.from_pretrained("shipped").tasks == ("ir", "det", "cls")
    finally:
        (saved[1].parent / "shipped").rename(saved[1])


def test_hub_ids_pass_through():
    assert presets.find_weights("owner/model") == "owner/model"
    for wrong in ("/absent/folder", "./absent", "a/b/c", "owner/"):
        with pytest.raises(FileNotFoundError):
            presets.find_weights(wrong)


def test_every_row_of_the_weights_table_is_what_it_says():
    """Checks each shipped file against its row."""
    import hashlib

    for name, row in WEIGHTS.items():
        (file,) = (presets.WEIGHTS_FOLDER / name).glob("*.safetensors")
        assert row.preset in PRESETS
        assert file.stat().st_size == row.bytes
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row.sha256
