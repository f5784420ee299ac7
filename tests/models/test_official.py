"""The authors' files at a small size: stages and base model in, our network out, and back; and what is refused."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from unirestore.models import PRESETS, UniRestore
from unirestore.models.base_model import embed_empty_text, find_base_model
from unirestore.models.convert import to_authors
from unirestore.models.loading import build_restorer
from unirestore.models.official import STAGES, save_official, to_official
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


@pytest.mark.parametrize("file_format", ["ckpt", "safetensors"])
def test_there_and_back(file_format, model, base, tmp_path):
    paths = save_official(model, tmp_path / "theirs", file_format)
    assert [path.name for path in paths] == [f"stage1.{file_format}", f"stage2.{file_format}"]
    for path, stage in zip(paths, STAGES, strict=True):
        written = (
            torch.load(path, weights_only=True)["state_dict"] if file_format == "ckpt" else load_file(path)
        )
        wanted = to_official(model)[stage]
        assert set(written) == set(wanted)
        assert all(torch.equal(written[key], wanted[key]) for key in wanted)
    official = dict(
        stage1=paths[0], stage2=paths[1], base_model=base, null_text=model.prior.null_text, **SIZE
    )
    found = build_restorer(dict(official=official))
    assert same(found, model)
    assert not len(build_restorer(dict(official=official, cfrm=False)).cfrm)
    found.save_pretrained(tmp_path / "ours")
    assert same(UniRestore.from_pretrained(tmp_path / "ours"), model)
    with pytest.raises(ValueError, match="ckpt, safetensors, got 'pkl'"):
        save_official(model, tmp_path, "pkl")


def test_the_key_lists_of_the_paper_make_both_stages(shared):
    """Every key of the authors' network at full size, split as their stages save it; shapes only, no memory."""
    manifest = shared / "parity" / "manifest.json"
    if not manifest.is_file():
        pytest.skip(f"no list of the authors' keys at {manifest}")
    prefixes = {
        "stage1": ("model.ae.vae.encoder.fr_blocks.", "model.controller.", "model.base_model.csc_editors."),
        "stage2": ("model.ae.vae.decoder.task_editors.", "model.ae.vae.decoder.task_prompts."),
    }
    shapes = json.loads(manifest.read_text())
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    found = UniRestore.from_official(state)
    assert {value.device.type for value in found.state_dict().values()} == {"meta"}
    assert set(found.tasks) == {"ir", "cls", "seg", "det"}
    for stage, theirs in to_official(found).items():
        wanted = {key: tuple(shape) for key, shape in shapes.items() if key.startswith(prefixes[stage])}
        assert {key: tuple(value.shape) for key, value in theirs.items()} == wanted
    rest = {key: value for key, value in state.items() if not key.startswith(prefixes["stage1"])}
    with pytest.raises(
        ValueError, match=rf"{len(state) - len(rest)} missing: model\.ae\.vae\.encoder\.fr_blocks"
    ):
        UniRestore.from_official(rest)


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
    assert same(UniRestore.from_official(*stages, **{**options, "dtype": "bfloat16"}), found)
    for wrong in ("int8", "thing", 3):
        with pytest.raises(ValueError, match="floating-point type"):
            UniRestore.from_official(*stages, **{**options, "dtype": wrong})


def test_all_that_does_not_fit_is_in_one_message(model, base, stages):
    """By file, in the names that the file has."""
    state = dict(to_official(model)["stage1"])
    state.pop("model.controller.conv_in.bias")
    state["model.controller.conv_in.weight"] = torch.zeros(2, 2)
    state["optimizer.step"] = torch.zeros(1)
    state["model.controller.surplus"] = torch.zeros(1)
    torch.save({"state_dict": state}, stages[0])
    second = dict(to_official(model)["stage2"])
    second.pop("model.ae.vae.decoder.task_editors.2.out_gate.0.bias")
    torch.save(second, stages[1])
    with pytest.raises(ValueError) as caught:
        UniRestore.from_official(*stages, base_model=base, null_text=model.prior.null_text, **SIZE)
    _, first_line, second_line = str(caught.value).splitlines()
    for told in (
        f"{stages[0]}: ",
        "2 unknown: optimizer.step, model.controller.surplus",
        "1 missing: model.controller.conv_in.bias",
        "1 of another shape: model.controller.conv_in.weight (2, 2) instead of (8, 4, 3, 3)",
    ):
        assert told in first_line
    assert second_line.strip() == (
        f"{stages[1]}: 1 missing: model.ae.vae.decoder.task_editors.2.out_gate.0.bias"
    )


def test_many_keys_are_counted_and_the_first_told(model, stages):
    state = {f"other.{index}": torch.zeros(1) for index in range(20)}
    with pytest.raises(ValueError, match=r"20 unknown: other\.0, .*other\.5 \.\.\."):
        UniRestore.from_official({**to_authors(model.state_dict()), **state}, **SIZE)
    shapes = {**to_authors(model.state_dict()), "model.ae.vae.decoder.task_prompts.seg": torch.zeros(16)}
    with pytest.raises(ValueError, match=r"task_prompts\.seg \(16,\) instead of \(1, 16\)"):
        UniRestore.from_official(shapes, **SIZE)


def test_what_is_missing_says_where_it_comes_from(base, stages):
    with pytest.raises(ValueError, match="VAE and UNet come from base_model"):
        UniRestore.from_official(*stages, **SIZE)
    with pytest.raises(FileNotFoundError, match=r"text_encoder/.*null_text=FILE"):
        UniRestore.from_official(*stages, base_model=base, **SIZE)
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        UniRestore.from_official(*stages, base_model="nowhere", **SIZE)
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        UniRestore.from_official("none.ckpt", base_model=base, **SIZE)


@pytest.fixture
def altered_base(base, tmp_path):
    """A copy of the base model, some settings of one of its configs changed."""

    def copy(part, **changes):
        folder = tmp_path / "other"
        shutil.copytree(base, folder, dirs_exist_ok=True)
        file = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
        file.parent.mkdir(exist_ok=True)
        settings = json.loads(file.read_text()) if file.is_file() else {}
        file.write_text(json.dumps({**settings, **changes}))
        return folder

    return copy


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("unet", {"cross_attention_dim": 768}, "cross_attention_dim is 768, this network has 12"),
        ("unet", {"attention_head_dim": 8}, r"attention_head_dim is \[8, 8\], this network has \[2, 2\]"),
        ("unet", {"norm_num_groups": 2}, "norm_num_groups is 2, this network has 4"),
        ("vae", {"scaling_factor": 0.13025}, "scaling_factor is 0.13025, this network has 0.18215"),
        ("vae", {"block_out_channels": [8, 8]}, r"block_out_channels is \[8, 8\]"),
        ("scheduler", {"prediction_type": "v_prediction"}, "prediction_type is v_prediction"),
    ],
)
def test_another_base_model_is_named(part, change, told, altered_base, stages, model):
    """Also by what no shape tells: groups, heads, the scale of latents, what the UNet predicts."""
    text = model.prior.null_text
    with pytest.raises(ValueError, match=told):
        UniRestore.from_official(*stages, base_model=altered_base(part, **change), null_text=text, **SIZE)


def test_one_number_of_heads_for_all_levels(altered_base, stages, model):
    other = altered_base("unet", attention_head_dim=2)
    assert same(
        UniRestore.from_official(*stages, base_model=other, null_text=model.prior.null_text, **SIZE), model
    )


def test_a_damaged_or_absent_part_of_the_base_model_is_named(altered_base, stages, model):
    options = dict(base_model=altered_base("vae"), null_text=model.prior.null_text, **SIZE)
    weights = options["base_model"] / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"unet/diffusion_pytorch_model.safetensors is cut short"):
        UniRestore.from_official(*stages, **options)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"unet holds no diffusion_pytorch_model.safetensors"):
        UniRestore.from_official(*stages, **options)
    (options["base_model"] / "unet" / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"unet/config.json is damaged"):
        UniRestore.from_official(*stages, **options)
    shutil.rmtree(options["base_model"] / "unet")
    with pytest.raises(FileNotFoundError, match=r"no .*unet/config.json"):
        UniRestore.from_official(*stages, **options)


def test_other_forms_of_the_base_model(altered_base, stages, model):
    """In several files, as a pickle, in half precision, with the names that old autoencoders have."""
    folder = altered_base("vae")
    options = dict(base_model=folder, null_text=model.prior.null_text, **SIZE)
    whole = folder / "unet" / "diffusion_pytorch_model.safetensors"
    whole.unlink()
    model.prior.unet.save_pretrained(folder / "unet", max_shard_size="20KB")
    assert not whole.exists() and whole.with_name(f"{whole.name}.index.json").is_file()
    whole = folder / "vae" / "diffusion_pytorch_model.safetensors"
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for key, value in load_file(whole).items():
        for today, before in names.items():
            key = key.replace(f".{today}.", f".{before}.")
        old[key] = value
    assert "encoder.mid_block.attentions.0.proj_attn.bias" in old
    whole.unlink()
    torch.save(old, folder / "vae" / "diffusion_pytorch_model.bin")
    assert same(UniRestore.from_official(*stages, **options), model)
    (folder / "vae" / "diffusion_pytorch_model.bin").unlink()
    half = {key: value.half() for key, value in model.vae.state_dict().items()}
    save_file(half, folder / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    found = UniRestore.from_official(*stages, **options)
    assert torch.equal(found.vae.quant_conv.weight, model.vae.quant_conv.weight.half().float())


def test_hub_ids_and_names_of_base_models_are_fetched(base, monkeypatch):
    import huggingface_hub

    asked = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **options: asked.append(name) or str(base)
    )
    assert find_base_model("sd_turbo") == find_base_model("owner/copy") == base
    assert asked[0].count("/") == 1 and asked[1] == "owner/copy"
    with pytest.raises(FileNotFoundError, match=r"known base model \(sd_turbo\)"):
        find_base_model("sd-turbo")


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
    torch.save({"a": torch.ones(3)}, "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(read_state("old.pth")["a"], torch.ones(3))
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
    found = UniRestore.from_official(to_authors(model.state_dict()), null_text=2 * text, **SIZE)
    assert torch.equal(found.prior.null_text, 2 * text)  # what is given counts before what a file holds
    save_file({"a": text, "b": text.clone()}, tmp_path / "two.safetensors")
    with pytest.raises(ValueError, match="must hold one tensor, the text condition, and holds 2"):
        UniRestore.from_official(*stages, base_model=base, null_text=tmp_path / "two.safetensors", **SIZE)
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


@pytest.fixture
def command(repository):
    spec = importlib.util.spec_from_file_location(
        "convert_official", repository / "tools/convert_official.py"
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool.main


def test_the_command_goes_there_and_back(command, model, base, stages, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(PRESETS, "small", {**PRESETS["sd_turbo"], **SIZE})
    text = tmp_path / "null.safetensors"
    save_file({"null": model.prior.null_text.clone()}, text)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    words = [ours, "--stage1", stages[0], "--stage2", stages[1], "--base-model", base, "--null-text", text]
    command([str(word) for word in [*words, "--preset", "small"]])
    assert "tasks ir, seg" in capsys.readouterr().out
    assert same(UniRestore.from_pretrained(ours), model)
    for file_format in ("ckpt", "safetensors"):
        command([str(theirs), "--to-official", str(ours), "--format", file_format])
        state = read_state(theirs / f"stage2.{file_format}")
        assert torch.equal(state["model.ae.vae.decoder.task_prompts.seg"], model.prompts["seg"])
    with pytest.raises(SystemExit):
        command([str(tmp_path / "out")])
    assert "--to-official" in capsys.readouterr().err


MEMORY = """
import sys, torch
from unirestore.evaluation.cost import high_water
from unirestore.models import UniRestore
import unirestore.models.official
before = high_water(forget=True)
dtype = torch.bfloat16
if "official" in sys.argv[1]:
    model = UniRestore.from_official(sys.argv[2], preset="sd_turbo", dtype=dtype, **eval(sys.argv[3]))
else:
    model = UniRestore.from_pretrained(sys.argv[2], torch_dtype=dtype)
weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
assert {value.dtype for value in model.state_dict().values()} == {dtype}
print((high_water() - before) * 2**20 / weights, weights / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["official.safetensors", "official.ckpt", "pretrained"])
def test_loading_takes_little_more_than_the_weights(way, tmp_path):
    size = {**SIZE, "block_out_channels": (64, 128, 256, 512), "norm_num_groups": 16, "layers_per_block": 2}
    with torch.device("meta"):
        large = UniRestore.build("sd_turbo", **size)
    large.to_empty(device="cpu")
    source = tmp_path / way
    if way == "official.ckpt":
        torch.save({"state_dict": to_authors(large.state_dict())}, source)
    elif way == "official.safetensors":
        save_file(to_authors(large.state_dict()), source)
    else:
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
