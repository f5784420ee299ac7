"""The authors' files at a small size: stages and base model in, our network out, and back; and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from unirestore.models import UniRestore
from unirestore.models.convert import to_authors
from unirestore.models.loading import build_restorer
from unirestore.models.official import STAGES, embed_empty_text, save_official, to_official
from unirestore.models.state_files import read_state

SIZE = dict(
    block_out_channels=(8, 16, 16, 16),
    layers_per_block=1,
    norm_num_groups=4,
    cfrm_depths=(1, 0, 1),
    cfrm_groups=4,
    prior_config=dict(
        channels=(8, 16),
        layers=1,
        groups=4,
        text_channels=12,
        text_tokens=7,
        heads=(2, 2),
        controller=dict(
            channels=(8, 16),
            attention=(True, False),
            mid_attention=True,
            heads=2,
            layers=1,
            groups=4,
            out_channels=8,
        ),
    ),
)


@pytest.fixture(scope="module")
def model():
    """What the authors would have trained."""
    torch.manual_seed(0)
    model = UniRestore.build("sd_turbo", tasks=("ir", "seg"), **SIZE)
    with torch.no_grad():
        for value in (*model.parameters(), model.prior.null_text):
            value += 0.1 * torch.randn_like(value)
    return model.eval()


@pytest.fixture(scope="module")
def base(model, tmp_path_factory):
    """The base model as diffusers itself saves it."""
    folder = tmp_path_factory.mktemp("base")
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
    )
    vae.load_state_dict(model.vae.state_dict())
    vae.save_pretrained(folder / "vae")
    model.prior.unet.save_pretrained(folder / "unet")
    assert isinstance(model.prior.unet, UNet2DConditionModel)
    return folder


@pytest.fixture
def stages(model, tmp_path):
    """Lightning checkpoints of both stages."""
    paths = []
    for stage, state in to_official(model).items():
        path = tmp_path / f"{stage}.ckpt"
        torch.save({"epoch": 3, "state_dict": state, "pytorch-lightning_version": "2.3.0"}, path)
        paths.append(path)
    return paths


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert list(a) == list(b)
    return all(torch.equal(a[name], b[name]) for name in a)


def test_stages_and_base_model_make_the_network(model, base, stages):
    found = UniRestore.from_official(*stages, base_model=base, null_text=model.prior.null_text, **SIZE)
    assert found.tasks == ("ir", "seg") and not found.training and same(found, model)
    images = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        assert torch.allclose(found(images, "seg"), model(images, "seg"), atol=1e-5)


def test_a_full_state_alone(model, tmp_path):
    state = to_authors(model.state_dict())
    assert same(UniRestore.from_official(state, **SIZE), model)
    save_file(state, tmp_path / "all.safetensors")
    assert same(UniRestore.from_official(tmp_path / "all.safetensors", **SIZE), model)


def test_there_and_back(model, base, tmp_path):
    paths = save_official(model, tmp_path / "theirs")
    assert [path.name for path in paths] == ["stage1.safetensors", "stage2.safetensors"]
    for path, stage in zip(paths, STAGES, strict=True):
        assert set(load_file(path)) == set(to_official(model)[stage])
    found = build_restorer(
        dict(
            official=dict(
                stage1=paths[0], stage2=paths[1], base_model=base, null_text=model.prior.null_text, **SIZE
            )
        )
    )
    assert same(found, model)
    found.save_pretrained(tmp_path / "ours")
    assert same(UniRestore.from_pretrained(tmp_path / "ours"), model)


def test_stage_one_alone_starts_stage_two(model, base, stages):
    torch.manual_seed(0)
    options = dict(base_model=base, null_text=model.prior.null_text, tasks=("ir", "det"), **SIZE)
    found = UniRestore.from_official(stages[0], **options)
    assert found.tasks == ("ir", "det") and not any(value.any() for value in found.prompts.values())
    assert all(
        torch.isfinite(value).all() and value.device.type == "cpu" for value in found.state_dict().values()
    )
    assert float(found.tfa[0].conv_out.weight.detach().std()) > 0
    assert torch.equal(found.cfrm[0][0].conv1.weight, model.cfrm[0][0].conv1.weight)


def test_number_type(model, base, stages):
    options = dict(base_model=base, null_text=model.prior.null_text, dtype=torch.bfloat16, **SIZE)
    found = UniRestore.from_official(*stages, **options)
    assert {value.dtype for value in found.state_dict().values()} == {torch.bfloat16}
    assert torch.equal(found.vae.encoder.conv_in.weight, model.vae.encoder.conv_in.weight.bfloat16())


def test_all_that_does_not_fit_is_in_one_message(model, base, stages):
    state = dict(to_official(model)["stage1"])
    state.pop("model.controller.conv_in.bias")
    state["model.controller.conv_in.weight"] = torch.zeros(2, 2)
    state["optimizer.step"] = torch.zeros(1)
    state["model.controller.surplus"] = torch.zeros(1)
    with pytest.raises(ValueError) as caught:
        UniRestore.from_official(state, stages[1], base_model=base, null_text=model.prior.null_text, **SIZE)
    told = str(caught.value)
    assert "2 unknown: optimizer.step, prior.controller.surplus" in told
    assert "1 missing: prior.controller.conv_in.bias" in told
    assert "1 of another shape: prior.controller.conv_in.weight (2, 2) instead of (8, 4, 3, 3)" in told


def test_what_is_missing_says_where_it_comes_from(base, stages):
    with pytest.raises(ValueError, match="VAE and UNet come from base_model"):
        UniRestore.from_official(*stages, **SIZE)
    with pytest.raises(FileNotFoundError, match=r"text_encoder/.*null_text=FILE"):
        UniRestore.from_official(*stages, base_model=base, **SIZE)
    with pytest.raises(FileNotFoundError, match="no folder and no hub id"):
        UniRestore.from_official(*stages, base_model="nowhere", **SIZE)
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        UniRestore.from_official("none.ckpt", base_model=base, **SIZE)


def test_another_base_model_is_named(base, stages, tmp_path, model):
    other = tmp_path / "other"
    for part in ("vae", "unet"):
        (other / part).mkdir(parents=True)
        config = json.loads((base / part / "config.json").read_text())
        if part == "unet":
            config["cross_attention_dim"] = 768
        (other / part / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"cross_attention_dim is 768, this network has 12"):
        UniRestore.from_official(*stages, base_model=other, null_text=model.prior.null_text, **SIZE)


class Code:
    """Runs when it is unpickled by a loader that lets it."""

    def __reduce__(self):
        return (os.system, ("touch RAN",))


def test_files_that_are_damaged_or_run_code(tmp_path, stages, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": Code()}}, "code.ckpt")
    with pytest.raises(ValueError, match=r"code\.ckpt .*nothing of it was run"):
        read_state("code.ckpt")
    assert not Path("RAN").exists()
    Path("cut.ckpt").write_bytes(stages[0].read_bytes()[:2000])
    save_file({"a": torch.zeros(1000)}, "whole.safetensors")
    Path("cut.safetensors").write_bytes(Path("whole.safetensors").read_bytes()[:1000])
    for name in ("cut.ckpt", "cut.safetensors"):
        with pytest.raises(ValueError, match="cut short"):
            read_state(name)
    torch.save([1, 2], "list.pt")
    with pytest.raises(ValueError, match="no state dict"):
        read_state("list.pt")


def test_networks_that_the_authors_do_not_have():
    with pytest.raises(ValueError, match="no fusion"):
        to_official(UniRestore.build("tiny"))


def test_text_condition_from_a_file(model, base, stages, tmp_path):
    text = model.prior.null_text.clone()
    save_file({"null": text}, tmp_path / "a.safetensors")
    torch.save(text, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        found = UniRestore.from_official(*stages, base_model=base, null_text=tmp_path / name, **SIZE)
        assert torch.equal(found.prior.null_text, text)
    torch.save(Code(), tmp_path / "code.pt")
    with pytest.raises(ValueError, match="nothing of it was run"):
        UniRestore.from_official(*stages, base_model=base, null_text=tmp_path / "code.pt", **SIZE)


def test_text_condition_of_the_base_model_is_computed_once(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers", reason="the text encoder is one of transformers")
    config = transformers.CLIPTextConfig(
        vocab_size=6, hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=7, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    encoder = transformers.CLIPTextModel(config).eval()
    encoder.save_pretrained(tmp_path / "base" / "text_encoder")
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "b": 3, "a</w>": 4, "b</w>": 5}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    tokenizer.save_pretrained(tmp_path / "base" / "tokenizer")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = embed_empty_text(tmp_path / "base", 7)
    with torch.no_grad():
        wanted = encoder(torch.tensor([[0, 1, 1, 1, 1, 1, 1]]))[0]
    assert torch.allclose(found, wanted, atol=1e-5)
    (kept,) = (tmp_path / "cache" / "unirestore").iterdir()
    monkeypatch.setattr(transformers, "CLIPTextModel", None)  # not asked for a second time
    assert torch.equal(embed_empty_text(tmp_path / "base", 7), found)
    kept.write_bytes(b"damaged")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert torch.allclose(embed_empty_text(tmp_path / "base", 7), found)


def test_the_command_goes_there_and_back(model, base, stages, tmp_path):
    tool = Path(__file__).resolve().parents[2] / "tools" / "convert_official.py"
    save_file({"null": model.prior.null_text.clone()}, tmp_path / "null.safetensors")
    folder = tmp_path / "ours"
    UniRestore.from_official(
        *stages, base_model=base, null_text=model.prior.null_text, **SIZE
    ).save_pretrained(folder)
    done = subprocess.run(
        [sys.executable, str(tool), str(tmp_path / "theirs"), "--to-official", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert torch.equal(
        load_file(tmp_path / "theirs" / "stage2.safetensors")["model.ae.vae.decoder.task_prompts.seg"],
        model.prompts["seg"],
    )
    wrong = subprocess.run([sys.executable, str(tool), "out"], capture_output=True, text=True, timeout=120)
    assert wrong.returncode == 2 and "--to-official" in wrong.stderr


MEMORY = """
import sys, torch
from unirestore.evaluation.cost import high_water
from unirestore.models import UniRestore
import unirestore.models.official
before = high_water(forget=True)
dtype = torch.bfloat16
if sys.argv[1] == "official":
    model = UniRestore.from_official(sys.argv[2], preset="sd_turbo", dtype=dtype, **eval(sys.argv[3]))
else:
    model = UniRestore.from_pretrained(sys.argv[2], torch_dtype=dtype)
weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
assert {value.dtype for value in model.state_dict().values()} == {dtype}
print((high_water() - before) * 2**20 / weights, weights / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["official", "pretrained"])
def test_loading_takes_little_more_than_the_weights(way, tmp_path):
    size = {**SIZE, "block_out_channels": (64, 128, 256, 512), "norm_num_groups": 16, "layers_per_block": 2}
    with torch.device("meta"):
        large = UniRestore.build("sd_turbo", **size)
    large.to_empty(device="cpu")
    if way == "official":
        source = tmp_path / "all.safetensors"
        save_file(to_authors(large.state_dict()), source)
    else:
        source = tmp_path / "folder"
        large.save_pretrained(source)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEMORY, way, str(source), repr(size)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ratio, mib = (float(word) for word in done.stdout.split())
    assert mib > 50 and ratio <= 1.2, f"{ratio:.2f} times the {mib:.0f} MiB of the weights"
