"""Photos in, photos out: kinds of photo, options against the network's own calls, number types, words for failures."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import unirestore
from unirestore import RestorationPipeline, UniRestore, tiling
from unirestore.color_fix import adain
from unirestore.data.deep_files import png_file

SMALL = dict(
    block_out_channels=(8, 8, 8, 8),
    cfrm_depths=(0, 0, 1),
    candidates=("clahe",),
    candidate_weights=(0.5, 0.5),
    working_scale=1,
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = UniRestore.build("tiny", **SMALL)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.05 * torch.randn_like(value)
    return model.eval()


@pytest.fixture(scope="module")
def pipe(model):
    return RestorationPipeline(model)


@pytest.fixture
def image():
    noise = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    return Image.fromarray(noise).resize((45, 37))


def plain(model, image, task="ir", **options):
    """What the network itself gives, `(3, H, W)` in [0, 1]."""
    planes = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        return model(planes, task, **options)[0].clamp(0, 1)


def test_every_kind_of_photo_comes_back_as_its_kind(pipe, model, image, tmp_path):
    wanted = plain(model, image)
    eight = (wanted * 255).round().byte().permute(1, 2, 0).numpy()
    image.save(tmp_path / "a.png")
    array = np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1) / 255
    results = pipe(
        [image, array, tmp_path / "a.png", str(tmp_path / "a.png"), tensor, tensor[None], array / 255.0]
    )
    pillow, uint8, from_path, from_name, planes, batch, floating = results
    for found in (pillow, from_path, from_name):
        assert isinstance(found, Image.Image) and found.mode == "RGB"
        assert np.abs(np.asarray(found).astype(int) - eight).max() <= 1
    assert uint8.dtype == np.uint8 and np.abs(uint8.astype(int) - eight).max() <= 1
    assert planes.shape == wanted.shape and torch.allclose(planes, wanted, atol=1e-5)
    assert batch.shape == (1, *wanted.shape) and torch.equal(batch[0], planes)
    assert floating.dtype == np.float64 and np.allclose(floating, wanted.permute(1, 2, 0), atol=1e-5)


def test_task_strength_and_color_fix(pipe, model, image):
    photo = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1) / 255
    restored = pipe(photo, "det")
    assert torch.allclose(restored, plain(model, image, "det"), atol=1e-5)
    assert torch.allclose(pipe(photo, "det", strength=0.0), photo, atol=1e-6)
    half = pipe(photo, "det", strength=0.5)
    with torch.no_grad():
        raw = model(photo[None], "det")
    assert torch.allclose(half, (0.5 * photo + 0.5 * raw[0]).clamp(0, 1), atol=1e-5)
    fixed = pipe(photo, "det", color_fix="adain")
    assert torch.allclose(fixed, adain(raw, photo[None])[0].clamp(0, 1), atol=1e-4)


def test_seed_draws_the_noise_and_zero_is_the_fixed_one(model, image):
    pipe = RestorationPipeline(model)
    photo = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1) / 255
    drawn = pipe(photo, seed=5)
    assert torch.equal(drawn, pipe(photo, seed=5)) and not torch.equal(drawn, pipe(photo))
    with torch.no_grad():
        wanted = model(photo[None], "ir", generator=torch.Generator().manual_seed(5))[0]
    assert torch.allclose(drawn, wanted.clamp(0, 1), atol=1e-5)
    with torch.no_grad():
        wanted = model(photo[None], "ir", num_inference_steps=3)[0]
    assert torch.allclose(pipe(photo, steps=3), wanted.clamp(0, 1), atol=1e-5)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "I;16", "1"])
def test_pillow_images_keep_their_kind(pipe, image, mode):
    given = (
        Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 257)
        if mode == "I;16"
        else image.convert(mode)
    )
    found = pipe(given)
    assert found.size == given.size
    assert found.mode == {"P": "RGB", "CMYK": "RGB", "1": "L"}.get(mode, mode)
    if mode in ("LA", "RGBA"):
        assert np.array_equal(np.asarray(found)[..., -1], np.asarray(given)[..., -1])


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bits_are_rounded_on_pillow_images(pipe, channels, tmp_path):
    values = np.full((8, 8, channels), 100 * 257 + 200, np.uint16)  # nearer to 101
    (tmp_path / "a.png").write_bytes(png_file(values))
    found = np.asarray(pipe(tmp_path / "a.png", strength=0.0))
    assert found.shape == values.shape and (found == 101).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 70), (64, 64), (33, 9)])
def test_any_size(pipe, size):
    assert pipe(Image.new("RGB", size, (90, 120, 150))).size == size


def test_tiles_are_used_as_asked(pipe, image, monkeypatch):
    seen = []
    whole = tiling.restore_tiled

    def noted(model, images, task, **options):
        seen.append(options["tile"])
        return whole(model, images, task, **options)

    monkeypatch.setattr(tiling, "restore_tiled", noted)
    monkeypatch.setattr(tiling, "choose_tile", lambda model, height, width: 64 if width > 100 else None)
    large = image.resize((150, 90))
    tiled = np.asarray(pipe(large)).astype(int)
    pipe(image)
    pipe(large, tile=96)
    pipe(large, tile=None)
    assert seen == [64, 96]
    assert np.abs(tiled - np.asarray(pipe(large, tile=None))).mean() < 8


def test_files_in_and_out(pipe, model, image, tmp_path):
    image.save(tmp_path / "a.png")
    pipe.restore_file(tmp_path / "a.png", tmp_path / "new" / "b.png", task="det")
    with Image.open(tmp_path / "new" / "b.png") as written:
        wanted = (plain(model, image, "det") * 255).round().permute(1, 2, 0).numpy()
        assert np.abs(np.asarray(written).astype(int) - wanted).max() <= 1
    stream = io.BytesIO()
    pipe.restore_file((tmp_path / "a.png").read_bytes(), stream, format="JPEG")
    assert Image.open(stream).format == "JPEG"


@pytest.mark.parametrize(
    "options, match",
    [
        (dict(task="seg"), "unknown task 'seg'; this restorer has ir, det"),
        (dict(strength=1.5), r"strength must lie in \[0, 1\]"),
        (dict(tile=0), "tile must be"),
        (dict(tile="big"), "tile must be"),
        (dict(color_fix="sepia"), "color_fix must be"),
        (dict(steps=5), "steps must be 1 to 4"),
        (dict(seed=-1), "seed must be"),
    ],
)
def test_options_that_cannot_be(pipe, image, options, match):
    with pytest.raises(ValueError, match=match):
        pipe(image, **options)


@pytest.mark.parametrize(
    "photo, error, match",
    [
        (np.zeros((4, 4), np.uint8), ValueError, r"\(H, W, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r"\(H, W, 3\)"),
        (np.zeros((4, 4, 3), np.int32), TypeError, "uint8"),
        (np.full((4, 4, 3), 200.0), ValueError, r"\[0, 1\]"),
        (np.full((4, 4, 3), np.nan), ValueError, "non-finite"),
        (torch.zeros(1, 4, 8, 8), ValueError, r"\(B, 3, H, W\)"),
        ("none.png", FileNotFoundError, "none.png"),
        (7, TypeError, "int"),
    ],
)
def test_photos_that_cannot_be(pipe, photo, error, match):
    with pytest.raises(error, match=match):
        pipe(photo)


@pytest.mark.parametrize(
    "part, stage",
    [
        ("vae.encoder.conv_in", "encode"),
        ("vae.quant_conv", "encode"),
        ("prior.unet.conv_in", "denoise"),
        ("vae.decoder.conv_in", "decode"),
        ("fusion.conv_out", "decode"),
    ],
)
def test_values_that_are_not_finite_name_the_stage(image, part, stage):
    broken = UniRestore.build("tiny", **SMALL)
    with torch.no_grad():
        broken.get_submodule(part).bias.fill_(float("nan"))
    pipe, large = RestorationPipeline(broken), image.resize((150, 90))
    for photo, tile in ((image, "auto"), (image, 96), (large, 64)):  # whole, one tile, several tiles
        with pytest.raises(FloatingPointError, match=rf'^{stage}: .*dtype="float32"'):
            pipe(photo, tile=tile)


def test_memory_that_runs_out_names_the_option(pipe, image, monkeypatch):
    def full(*args, **kwargs):
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"
        )

    monkeypatch.setattr(pipe._model, "encode", full)
    with pytest.raises(MemoryError, match=r"45 x 37 .*--tile 256"):
        pipe(image, tile=None)
    monkeypatch.setattr(pipe._model, "encode", lambda *args, **kwargs: [][0])
    with pytest.raises(IndexError):  # other faults stay what they are
        pipe(image, tile=None)


def test_number_types(model, image, tmp_path):
    model.save_pretrained(tmp_path)
    wanted = np.asarray(RestorationPipeline.from_pretrained(tmp_path)(image)).astype(int)
    half = RestorationPipeline.from_pretrained(tmp_path, dtype="float16")
    assert half.model.prior.unet.conv_in.weight.dtype == torch.float16
    assert half.model.vae.encoder.conv_in.weight.dtype == torch.float32
    brain = RestorationPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert brain.model.dtype == torch.bfloat16
    for pipe, tolerance in ((half, 2), (brain, 12)):
        assert np.abs(np.asarray(pipe(image)).astype(int) - wanted).mean() < tolerance
        assert np.abs(np.asarray(pipe(image.resize((150, 90)), tile=64)).astype(int)).mean() > 1  # tiles too
    with pytest.raises(ValueError, match="dtype must be"):
        RestorationPipeline.from_pretrained(tmp_path, dtype="int8")


def test_the_given_network_is_left_as_it_is(model, image):
    before = [type(module) for module in model.modules()]
    pipe = RestorationPipeline(model)
    pipe(image)
    assert [type(module) for module in model.modules()] == before and pipe.model is model
    assert pipe.tasks == ("ir", "det") and pipe.device == torch.device("cpu")


def test_it_is_public():
    assert "RestorationPipeline" in unirestore.__all__


def test_photos_below_the_gate_are_left_alone(image, tmp_path):
    model = UniRestore.build("tiny", **SMALL, gate_channels=4)
    with torch.no_grad():
        model.gate.out.weight.zero_()
        model.gate.out.bias.zero_()  # one half for every photo
    pipe, file = RestorationPipeline(model), tmp_path / "photo.jpg"
    image.save(file, quality=60)
    whole, passed = pipe(image, gate=0.4), pipe(image, gate=0.6)
    assert np.array_equal(whole, pipe(image)) and not np.array_equal(whole, image)
    assert np.array_equal(passed, image)
    pipe.restore_file(file, tmp_path / "same.jpg", gate=0.6)
    pipe.restore_file(file, tmp_path / "other.png", gate=0.6)
    pipe.restore_file(file, tmp_path / "restored.jpg", gate=0.4)
    assert (tmp_path / "same.jpg").read_bytes() == file.read_bytes()
    assert np.array_equal(Image.open(tmp_path / "other.png"), Image.open(file))
    assert not np.array_equal(Image.open(tmp_path / "restored.jpg"), Image.open(file))
    stream = io.BytesIO()
    pipe.restore_file(file.read_bytes(), stream, gate=0.6)
    assert stream.getvalue() == file.read_bytes()
    with pytest.raises(ValueError, match="gate must lie"):
        pipe(image, gate=2)


def test_a_gate_that_is_not_there_is_told(pipe, image):
    with pytest.raises(ValueError, match="no gate"):
        pipe(image, gate=0.5)


def test_number_type_of_one_call(pipe, model, image, tmp_path):
    before = {name: value.data_ptr() for name, value in model.named_parameters()}
    model.save_pretrained(tmp_path)
    for dtype in ("bfloat16", "float16"):
        wanted = RestorationPipeline.from_pretrained(tmp_path, dtype=dtype)(image, "det", seed=3)
        assert np.array_equal(pipe(image, "det", seed=3, dtype=dtype), wanted)
    assert np.array_equal(pipe(image, dtype=torch.float32), pipe(image))
    assert {name: value.data_ptr() for name, value in model.named_parameters()} == before
    with pytest.raises(ValueError, match="dtype must be"):
        pipe(image, dtype="int8")


def test_a_pipeline_in_another_number_type_shares_what_stays(pipe):
    assert pipe.to_dtype("float32") is pipe
    half = pipe.to_dtype("float16")
    assert half.model.vae.encoder.conv_in.weight is pipe.model.vae.encoder.conv_in.weight
    assert half.model.prior.unet.conv_in.weight.dtype == torch.float16
    assert half.to_dtype("float16") is half and half.to_dtype("bfloat16").model.dtype == torch.bfloat16
