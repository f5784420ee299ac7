"""Codecs: JPEG as the plain effect writes it, presets of every codec at hand, clear words for those that lack."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from unirestore.degradations import SEVERITIES, Compression, JpegCompression, compression, load_recipe
from unirestore.degradations.compression import CODECS, STILL, VIDEO, available_codecs, coded


def photo(height=64, width=80, seed=0):
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.random((height, width, 3)), (0, 0), 3)
    image = (image - image.min()) / np.ptp(image) * 200 + 20
    image[20:40, 30:50] = (200, 40, 30)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2)))


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_plain_jpeg_is_jpeg_compression(quality):
    image = photo()
    assert np.array_equal(
        Compression(quality=quality)(image, seed=0), JpegCompression(quality=quality)(image, seed=0)
    )


def test_every_codec_has_presets_and_availability_is_told():
    assert set(Compression.QUALITIES) == set(CODECS)
    assert {"jpeg", "webp"} <= set(available_codecs()) <= set(CODECS)
    assert Compression(codec="webp", severity=1).quality == 80
    assert Compression().quality == Compression(severity=3).quality == 40


@pytest.mark.parametrize("codec", CODECS)
def test_each_codec_loses_more_step_by_step(codec):
    if codec not in available_codecs():
        pytest.skip(f"codec {codec} is not installed here")
    photos = [photo(seed=seed) for seed in range(3)]
    means = [
        np.mean([psnr(p, Compression(codec=codec, severity=s)(p, seed=0)) for p in photos])
        for s in SEVERITIES
    ]
    assert all(a > b for a, b in pairwise(means)), means
    assert 24 < means[0] < 50, "a photo of the right orientation and colours came back"
    for size in ((1, 1), (17, 3), (33, 47)):
        out = coded(photo(64, 80)[: size[0], : size[1]], codec, 50)
        assert out.shape == (*size, 3) and out.dtype == np.uint8


def test_missing_codecs_are_named_with_the_remedy(monkeypatch):
    image = photo()
    monkeypatch.setattr(compression.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(compression, "_missing", compression._missing.__wrapped__)
    with pytest.raises(RuntimeError, match=r"codec 'h264' is not available: PyAV .*pip install av"):
        Compression(codec="h264")(image, seed=0)
    assert not set(VIDEO) & set(available_codecs())
    monkeypatch.setattr(compression.cv2, "haveImageWriter", lambda name: False)
    monkeypatch.setattr(compression, "_pillow_avif", lambda: False)
    with pytest.raises(RuntimeError, match=r"'avif' is not available: .*pillow>=11.3"):
        Compression(codec="avif")(image, seed=0)
    with pytest.raises(RuntimeError, match=r"'webp' is not available: this OpenCV"):
        Compression(codec="webp")(image, seed=0)
    assert available_codecs() == ()


def test_avif_by_pillow_where_opencv_has_none(monkeypatch):
    if not compression._pillow_avif():
        pytest.skip("this Pillow writes no AVIF")
    monkeypatch.setattr(compression, "_missing", lambda codec: "")
    monkeypatch.setattr(compression.cv2, "haveImageWriter", lambda name: False)
    image = photo()
    assert psnr(image, coded(image, "avif", 90)) > psnr(image, coded(image, "avif", 10)) > 20


def test_video_encoders_that_lack_are_named(monkeypatch):
    pytest.importorskip("av")
    monkeypatch.setattr(compression, "_encoder", lambda codec: None)
    assert "libx264" in compression._missing.__wrapped__("h264")


def test_full_colour_jpeg_keeps_more_colour():
    image = photo()
    image[:, ::2] = (255, 0, 0)
    image[:, 1::2] = (0, 90, 255)
    full, half = (Compression(quality=90, chroma=c)(image, seed=0) for c in ("444", "420"))
    assert psnr(image, full) > psnr(image, half) + 10


def test_generations_and_shrinking_lose_more():
    image = photo()
    once = psnr(image, Compression(quality=40)(image, seed=3))
    assert psnr(image, Compression(quality=40, passes=4)(image, seed=3)) < once - 0.2
    assert psnr(image, Compression(quality=40, scale=0.4)(image, seed=3)) < once - 0.5
    # a grid that did not move would lose next to nothing the second time
    still = coded(coded(image, "jpeg", 40), "jpeg", 40)
    assert psnr(image, still) > once - 0.2


def drawn(count=300, **how):
    return [Compression.sample(np.random.default_rng(seed), **how) for seed in range(count)]


def test_sample_draws_every_installed_codec(monkeypatch):
    assert {effect.codec for effect in drawn()} == set(available_codecs())
    assert {effect.codec for effect in drawn(codecs=STILL)} == set(STILL)
    monkeypatch.setattr(compression, "_missing", lambda codec: "")
    everywhere = drawn()
    assert {effect.codec for effect in everywhere} == set(CODECS)
    assert {effect.codec for effect in drawn(severity=2)} == set(CODECS)
    # another installation draws the same wherever it has the codec, and elsewhere only another codec
    monkeypatch.setattr(
        compression, "_missing", lambda codec: "" if codec in ("jpeg", "webp", "h264") else "no"
    )
    for here, there in zip(everywhere, drawn(), strict=True):
        if here.codec in ("jpeg", "webp", "h264"):
            assert here == there
        else:
            assert there.codec in ("jpeg", "webp")
            assert (there.scale, there.passes, there.chroma) == (here.scale, here.passes, here.chroma)


def test_codecs_that_are_none_or_unknown_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"codecs must be of .*got \('hevc',\)"):
        Compression.sample(rng, codecs=("hevc",))
    with pytest.raises(ValueError, match="codecs must be of"):
        Compression.sample(rng, codecs=())


def test_a_recipe_chooses_the_codecs(monkeypatch):
    monkeypatch.setattr(compression, "_missing", lambda codec: "")
    for name in ("nine", "everything", "Compression"):
        effects = [load_recipe(name).draw(seed) for seed in range(600)]
        parts = [part for effect in effects for part in getattr(effect, "effects", (effect,))]
        assert {part.codec for part in parts if isinstance(part, Compression)} == set(CODECS), name
    recipe = load_recipe({"effect": "Compression", "params": {"codecs": ["avif", "h264"]}})
    assert {recipe.draw(seed).codec for seed in range(40)} == {"avif", "h264"}
    again = load_recipe({"effect": "Compression", "severity": 5, "params": {"codecs": ["avif"], "passes": 2}})
    for effect in map(again.draw, range(10)):
        assert (effect.codec, effect.passes) == ("avif", 2) and abs(effect.quality - 12) <= 3
        assert "codecs" not in effect.parameters() and effect.parameters()["codec"] == "avif"
    assert (
        load_recipe({"effect": "Compression", "severity": 5, "params": {"codec": "avif"}}).draw(0).quality
        == 12
    )
    with pytest.raises(ValueError, match=r"no parameter \['codec_list'\]; it has .*codecs"):
        load_recipe({"effect": "Compression", "params": {"codec_list": ["avif"]}})
    with pytest.raises(ValueError, match="codecs must be of"):
        load_recipe({"effect": "Compression", "params": {"codecs": ["hevc"]}}).draw(0)
