"""What goes into a photo file comes out of it: channels, depth, tags, profile, orientation; and what is refused."""

import io
import signal
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from unirestore.data import exif, photo_files
from unirestore.data.photo_files import format_of, read_photo, write_photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)


def tags(orientation: int | None = None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    if orientation is not None:
        exif[0x0112] = orientation
    return exif


def again(photo, suffix: str, folder):
    """Written and read once more."""
    path = folder / f"again{suffix}"
    write_photo(photo, path)
    return read_photo(path), path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_lossless_types_give_the_same_pixels(colours, suffix, mode, tmp_path):
    image = Image.fromarray(colours).convert(mode)
    image.save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.grey == (mode == "L") and photo.depth == 8 and photo.alpha is None
    assert np.array_equal(photo.colours(), np.asarray(image))
    copy, path = again(photo, suffix, tmp_path)
    assert np.array_equal(copy.colours(), np.asarray(image))
    with Image.open(path) as written:
        assert written.mode == mode


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_is_carried_through(colours, mode, suffix, tmp_path):
    image = Image.fromarray(colours).convert(mode)
    image.putalpha(Image.fromarray(colours[..., 0]))
    image.save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert np.array_equal(photo.alpha, colours[..., 0])
    changed = photo.with_pixels(1 - photo.pixels)
    copy, _ = again(changed, suffix, tmp_path)
    assert np.array_equal(copy.alpha, colours[..., 0]) and copy.grey == (mode == "LA")
    assert np.abs(copy.pixels - (1 - photo.pixels)).max() < 1e-6


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sixteen_bit_png_keeps_every_level_profile_and_tags(channels, orientation, tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (9, 14, channels), np.uint16)
    photo = photo_files._of_channels(
        values, 16, name="a", format="PNG", icc=SRGB, exif=bytes(tags(orientation).tobytes())
    )
    path = tmp_path / "deep.png"
    write_photo(photo, path)
    with Image.open(path) as image:  # Pillow reads the chunks that we wrote
        assert image.info["icc_profile"] == SRGB and image.getexif()[0x0110] == "a camera"
    copy = read_photo(path)
    assert copy.depth == 16
    assert copy.grey == (channels < 3)
    wanted = values[..., :1].repeat(3, 2) if channels < 3 else values[..., :3]
    if orientation == 6:
        wanted = np.rot90(wanted, -1)
    assert np.array_equal(np.rint(copy.pixels * 65535), wanted)
    if channels in (2, 4):
        turned = np.rot90(values[..., -1], -1) if orientation == 6 else values[..., -1]
        assert np.array_equal(copy.alpha, turned)


def test_sixteen_bit_png_of_another_writer(tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (9, 14, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1])
    assert np.array_equal(np.rint(read_photo(tmp_path / "a.png").pixels * 65535), values)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sixteen_bit_tiff_keeps_every_level(channels, orientation, tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (9, 14, channels), np.uint16)
    photo = photo_files._of_channels(values, 16, name="a", format="TIFF", icc=SRGB, exif=tags().tobytes())
    write_photo(photo, tmp_path / "a.tif")
    foreign = cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(foreign, values[..., [2, 1, 0, 3][:channels]])
    with Image.open(tmp_path / "a.tif") as image:
        assert image.info["icc_profile"] == SRGB and image.getexif()[0x0110] == "a camera"
    order = values if channels == 3 else values[..., [2, 1, 0, 3]]
    if channels == 3:
        order = values[..., ::-1]
    cv2.imwrite(str(tmp_path / "b.tif"), order)  # of another writer, here turned by its tag
    stored = bytearray((tmp_path / "b.tif").read_bytes())
    if orientation == 6:
        place = stored.rindex(struct.pack("<H", 278))  # rows per strip, of one strip, becomes the orientation
        stored[place : place + 12] = struct.pack("<HHIHH", 274, 3, 1, 6, 0)
        (tmp_path / "b.tif").write_bytes(stored)
    copy = read_photo(tmp_path / "b.tif")
    wanted = np.rot90(values, -1) if orientation == 6 else values
    assert copy.depth == 16 and np.array_equal(np.rint(copy.pixels * 65535), wanted[..., :3])
    if channels == 4:
        assert np.array_equal(copy.alpha, wanted[..., 3])


def test_sixteen_bit_grey_with_alpha_becomes_colour_in_a_tiff(tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (5, 6, 2), np.uint16)
    copy, _ = again(photo_files._of_channels(values, 16, name="a", format="PNG"), ".tif", tmp_path)
    assert np.array_equal(np.rint(copy.pixels * 65535), values[..., :1].repeat(3, 2))
    assert np.array_equal(copy.alpha, values[..., 1]) and copy.depth == 16


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_tiff_of_a_camera(colours, compression, tmp_path):
    """Tables of EXIF and GPS, turned, compressed: Pillow itself cannot write that."""
    image = Image.fromarray(colours)
    image.save(
        tmp_path / "a.tif", compression=compression, tiffinfo={271: "a maker", 305: "a program", 274: 6}
    )
    known = Image.Exif()
    known.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    known.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    known[0x8769] = known[0x8825] = 0
    photo = read_photo(tmp_path / "a.tif")
    assert photo.pixels.shape == (17, 13, 3)
    assert exif.tables(photo.exif) == {271: "a maker", 305: "a program"}  # no sizes, no strips
    photo = photo_files.replace(photo, exif=known.tobytes().removeprefix(b"Exif\0\0"))
    for suffix in (".tif", ".jpg"):
        _, path = again(photo, suffix, tmp_path)
        with Image.open(path) as written:
            assert written.size == (13, 17)
            found = written.getexif()
            assert found.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
            assert tuple(map(float, found.get_ifd(0x8825)[2])) == (1, 2, 3)
            assert np.abs(np.asarray(written).astype(int) - photo.colours()).max() <= (suffix == ".jpg") * 40
        photo = read_photo(path)


def makers_tags(order: str) -> bytes:
    """EXIF bytes with a turn, a maker's note outside of any table and a preview, as cameras write them."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    table = struct.pack(f"{order}H", 2)
    table += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 8, 0)
    table += struct.pack(f"{order}HHII", 0x010F, 2, 8, 8 + 2 + 24 + 4)
    return head + table + struct.pack(f"{order}I", 999) + b"a maker\0" + b"a note at a place of its own"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_tags_are_the_same_bytes_but_for_orientation_and_preview(colours, order, suffix, tmp_path):
    given = makers_tags(order)
    Image.fromarray(colours).save(tmp_path / f"a{suffix}", exif=b"Exif\0\0" + given)
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.pixels.shape == (17, 13, 3)
    _, path = again(photo, suffix, tmp_path)
    with Image.open(path) as written:
        found = written.info["exif"].removeprefix(b"Exif\0\0")
        assert written.getexif()[0x0112] == 1 and written.size == (13, 17)
    changed = [index for index in range(len(given)) if given[index] != found[index]]
    assert len(found) == len(given) and set(changed) <= {18, 19, *range(34, 38)}


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_tags_that_cannot_be_read_are_left_out(colours, garbage, tmp_path):
    Image.fromarray(colours).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + garbage)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.exif is None and photo.pixels.shape == (13, 17, 3)


def test_tags_that_imagemagick_wrote_as_text(colours, tmp_path):
    from PIL.PngImagePlugin import PngInfo

    given, text = makers_tags(">"), PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(given):8}\n{given.hex()}\n")
    Image.fromarray(colours).save(tmp_path / "a.png", pnginfo=text)
    photo = read_photo(tmp_path / "a.png")
    assert photo.pixels.shape == (17, 13, 3) and exif.tables(photo.exif)[0x010F] == "a maker"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", "deep.png"])
def test_xmp_and_dots_per_inch_survive(colours, suffix, tmp_path):
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" dc:rights="me"/></x:xmpmeta>'
    wanted = packet.replace(b'"6"', b'"1"')
    photo = photo_files._of_channels(
        colours.astype(np.uint16) * 257 if suffix == "deep.png" else colours,
        16 if suffix == "deep.png" else 8,
        name="a",
        format="PNG",
        xmp=packet,
        dpi=(300.0, 300.0),
    )
    copy, path = again(photo, suffix, tmp_path)
    assert copy.xmp == wanted
    if suffix != ".webp":
        assert copy.dpi == pytest.approx((300, 300), abs=0.1)
    assert again(copy, path.suffix, tmp_path)[0].xmp == wanted


def test_sixteen_bit_grey_tiff(tmp_path):
    values = np.random.default_rng(1).integers(0, 65536, (9, 14), np.uint16)
    cv2.imwrite(str(tmp_path / "a.tif"), values)
    photo = read_photo(tmp_path / "a.tif")
    copy, _ = again(photo, ".tif", tmp_path)
    assert photo.depth == copy.depth == 16 and np.array_equal(np.rint(copy.pixels[..., 0] * 65535), values)


def test_sixteen_bits_are_rounded_where_the_type_holds_eight(tmp_path):
    values = np.full((8, 8, 3), 257 * 100 + 120, np.uint16)
    photo = photo_files._of_channels(values, 16, name="a", format="PNG")
    copy, _ = again(photo, ".bmp", tmp_path)
    assert copy.depth == 8 and (copy.colours() == 100).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(colours, orientation, tmp_path):
    image = Image.fromarray(colours)
    image.save(tmp_path / "a.png", exif=tags(orientation))
    with Image.open(tmp_path / "a.png") as opened:
        wanted = np.asarray(ImageOps.exif_transpose(opened))
    photo = read_photo(tmp_path / "a.png")
    assert np.array_equal(photo.colours(), wanted)
    assert np.array_equal(photo_files._turned(colours, orientation), wanted)
    copy, path = again(photo, ".png", tmp_path)
    assert np.array_equal(copy.colours(), wanted)
    with Image.open(path) as written:
        assert written.getexif().get(0x0112, 1) == 1 and written.getexif()[0x0110] == "a camera"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_tags_and_profile_survive(colours, suffix, tmp_path):
    Image.fromarray(colours).save(tmp_path / f"a{suffix}", exif=tags(), icc_profile=SRGB)
    _, path = again(read_photo(tmp_path / f"a{suffix}"), suffix, tmp_path)
    with Image.open(path) as written:
        assert written.info["icc_profile"] == SRGB and written.getexif()[0x0110] == "a camera"


def test_palette_bits_and_cmyk(colours, tmp_path):
    image = Image.fromarray(colours)
    palette = image.quantize(16)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_photo(tmp_path / "p.png").colours(), np.asarray(palette.convert("RGB")))
    palette.save(tmp_path / "t.png", transparency=3)
    seen = read_photo(tmp_path / "t.png")
    assert set(np.unique(seen.alpha)) == {0, 255}
    image.convert("1").save(tmp_path / "b.png")
    bits = read_photo(tmp_path / "b.png")
    assert bits.grey and set(np.unique(bits.pixels)) == {0.0, 1.0}
    image.convert("CMYK").save(tmp_path / "c.jpg", quality=100, icc_profile=b"no profile")
    cmyk = read_photo(tmp_path / "c.jpg")
    assert not cmyk.grey and cmyk.icc is None and np.abs(cmyk.colours().astype(int) - colours).mean() < 20


def test_phone_jpeg_with_a_preview_is_a_jpeg(colours, tmp_path):
    image = Image.fromarray(colours)
    image.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[image])
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.format == "MPO"
    assert read_photo(tmp_path / "a.jpg").format == "JPEG"


def test_one_pixel_and_bytes_and_a_stream(tmp_path):
    Image.new("RGB", (1, 1), (10, 20, 30)).save(tmp_path / "a.png")
    photo = read_photo((tmp_path / "a.png").read_bytes(), "from memory")
    assert photo.name == "from memory" and photo.pixels.shape == (1, 1, 3)
    file = io.BytesIO()
    write_photo(photo, file)
    assert read_photo(file.getvalue()).colours().tolist() == [[[10, 20, 30]]]


def test_what_cannot_be_read_names_the_file(colours, tmp_path, monkeypatch):
    image = Image.fromarray(colours)
    image.save(tmp_path / "whole.jpg")
    image.save(
        tmp_path / "two.webp", save_all=True, append_images=[Image.fromarray(255 - colours)], lossless=True
    )
    image.convert("LAB").save(tmp_path / "lab.tif")
    Image.fromarray(colours[..., 0].astype(np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-200])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    for name, match in [
        ("two.webp", "2 pictures"),
        ("lab.tif", "save it as RGB"),
        ("float.tif", "floating-point"),
        ("cut.jpg", "is the file whole"),
        ("empty.png", "damaged"),
        ("text.jpg", "damaged"),
    ]:
        with pytest.raises(ValueError, match=match) as caught:
            read_photo(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read_photo(tmp_path / "none.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(ValueError, match="MAX_IMAGE_PIXELS"):
        read_photo(tmp_path / "whole.jpg")


def test_heic_without_the_plug_in_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(ValueError, match="pip install pillow-heif"):
        read_photo(tmp_path / "a.heic")


def test_what_cannot_be_written(colours, tmp_path):
    image = Image.fromarray(colours)
    image.putalpha(128)
    image.save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    with pytest.raises(ValueError, match="no alpha"):
        write_photo(photo, tmp_path / "b.jpg")
    with pytest.raises(ValueError, match="must end in"):
        write_photo(photo, tmp_path / "b.xyz")
    with pytest.raises(ValueError, match="pixels must be"):
        photo.with_pixels(photo.pixels[:2])
    wide = photo_files.Photo(pixels=np.zeros((1, 70_000, 3), np.float32), name="wide.png", format="PNG")
    with pytest.raises(ValueError, match=r"cannot hold wide\.png"):
        write_photo(wide, tmp_path / "b.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]
    assert format_of("A.JPG") == "JPEG"


def test_a_full_disk_leaves_what_was_there(colours, tmp_path, monkeypatch):
    Image.fromarray(colours).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photo_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_photo(photo, tmp_path / "a.png")
    assert caught.value.filename == str(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_killed_process_leaves_what_was_there(colours, tmp_path):
    Image.fromarray(colours).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    code = f"""
import os, signal
from unirestore.data import photo_files
photo_files.os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
photo = photo_files.read_photo({str(tmp_path / "a.png")!r})
photo_files.write_photo(photo.with_pixels(1 - photo.pixels), photo.name)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a.png").read_bytes() == before
    write_photo(read_photo(tmp_path / "a.png"), tmp_path / "a.png")  # what is left does not stand in the way
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused_in_words(colours, kind, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    file = io.BytesIO()
    words = {} if kind == "BMP" else dict(exif=tags(6), icc_profile=SRGB)
    Image.fromarray(colours).save(file, kind, **words)
    whole, random = file.getvalue(), np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in random.integers(0, len(damaged), random.integers(1, 9)):
            damaged[place] = random.integers(0, 256)
        if random.random() < 0.3:
            damaged = damaged[: random.integers(1, len(damaged))]
        try:
            photo = read_photo(bytes(damaged), "damaged")
        except ValueError as error:
            assert str(error).startswith("damaged: ")
        else:
            assert photo.pixels.ndim == 3 and np.isfinite(photo.pixels).all()
