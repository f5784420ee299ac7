"""What goes into a photo file comes out of it: channels, depth, tags, profile, orientation; and what is refused."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from unirestore.data import photo_files
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
    cv2.imwrite(str(tmp_path / "deep.tif"), colours.astype(np.uint16) * 257)
    Image.fromarray(colours[..., 0].astype(np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-200])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    for name, match in [
        ("two.webp", "2 pictures"),
        ("deep.tif", "PNG"),
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

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_photo(photo, tmp_path / "a.png")
    assert caught.value.filename == str(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
