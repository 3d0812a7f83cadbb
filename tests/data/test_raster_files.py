"""PNG, JPEG and TIFF: values as Pillow has them, and files that keep depth and metadata."""

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from jxr.data import Radiograph, read_radiograph
from jxr.errors import UserError

EIGHT = np.random.default_rng(0).integers(0, 256, (60, 50)).astype(np.uint8)
SIXTEEN = np.random.default_rng(1).integers(0, 65_536, (60, 50)).astype(np.uint16)
SIXTEEN[0, :2] = 0, 65_535
GREY = Image.fromarray(EIGHT)
PROFILES = {kind: b"\0" * 16 + kind.encode() + b"\0" * 200 for kind in ("GRAY", "RGB ")}


def read(path: Path, image: Image.Image | np.ndarray, **options: Any) -> Radiograph:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(path, **options)
    return read_radiograph(path)


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def written(radiograph: Radiograph, pixels: np.ndarray | None = None) -> Image.Image:
    return opened(radiograph.encode(radiograph.pixels if pixels is None else pixels, "restored"))


def refused(path: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as error:
        read_radiograph(path)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("stored", [EIGHT, SIXTEEN], ids=["8bit", "16bit"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".TIF"])
def test_values_and_back(tmp_path, stored, suffix):
    radiograph = read(tmp_path / f"a{suffix}", stored)
    levels = 255 if stored.dtype == np.uint8 else 65_535
    assert (radiograph.levels, radiograph.suffix) == (levels, suffix.lower())
    assert radiograph.pitch_mm is None
    np.testing.assert_allclose(radiograph.pixels[..., 0], stored / levels, atol=1e-7)
    assert radiograph.display() is radiograph.pixels
    np.testing.assert_array_equal(np.asarray(written(radiograph)), stored)
    new = written(radiograph, 1.2 - 1.4 * radiograph.pixels)
    expected = np.rint(np.clip(1.2 - 1.4 * stored.astype(np.float64) / levels, 0, 1) * levels)
    np.testing.assert_allclose(np.asarray(new).astype(int), expected, atol=1 if levels > 255 else 0)
    assert np.asarray(new).dtype == stored.dtype


def test_jpeg_becomes_png(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    radiograph = read(
        tmp_path / "a.jpg",
        GREY,
        exif=exif,
        dpi=(300, 300),
        comment="a comment",
        icc_profile=PROFILES["GRAY"],
        xmp=b"<x:xmpmeta/>",
    )
    stored = np.asarray(opened((tmp_path / "a.jpg").read_bytes()))
    np.testing.assert_array_equal(radiograph.pixels[..., 0], stored / np.float32(255))
    new = written(radiograph)
    assert (new.format, new.mode, radiograph.suffix) == ("PNG", "L", ".png")
    np.testing.assert_array_equal(np.asarray(new), stored)  # not turned, though the tag says so
    assert dict(new.getexif()) == dict(exif)
    assert new.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert new.info["icc_profile"] == PROFILES["GRAY"]
    assert new.info["XML:com.adobe.xmp"] == "<x:xmpmeta/>"
    comments = [chunk for chunk in chunks(radiograph) if chunk.startswith(b"tEXtComment")]
    assert comments == [b"tEXtComment\0a comment", b"tEXtComment\0restored"]


def test_a_profile_of_colours_is_not_put_on_grey(tmp_path):
    radiograph = read(tmp_path / "a.jpg", GREY, icc_profile=PROFILES["RGB "])
    assert "icc_profile" not in written(radiograph).info
    radiograph = read(tmp_path / "b.jpg", GREY.convert("RGB"), icc_profile=PROFILES["RGB "])
    assert written(radiograph).info["icc_profile"] == PROFILES["RGB "]


def chunks(radiograph: Radiograph) -> list[bytes]:
    """Name and content of the chunks of the PNG file that is written, checksums checked."""
    content, place, found = radiograph.encode(radiograph.pixels, "restored"), 8, []
    while place < len(content):
        length = int.from_bytes(content[place : place + 4])
        body = content[place + 4 : place + 8 + length]
        assert zlib.crc32(body) == int.from_bytes(content[place + 8 + length :][:4])
        found.append(body)
        place += length + 12
    return found


def test_png_metadata(tmp_path):
    info = PngImagePlugin.PngInfo()
    kept = {
        b"gAMA": (45_455).to_bytes(4),
        b"cHRM": bytes(range(32)),
        b"sBIT": b"\7",
        b"teSt": b"private and safe to copy",
    }
    left = {b"tIME": bytes([7, 230, 1, 1, 0, 0, 0]), b"teST": b"private and unsafe"}
    for kind, body in (kept | left).items():
        info.add(kind, body)
    info.add_text("Comment", "a comment")
    info.add_itxt("Title", "Lunge é", "de", "Titel")
    info.add_text("Long", "x" * 1000, zip=True)
    exif = Image.Exif()
    exif[0x010F] = "maker"
    options = {"pnginfo": info, "dpi": (200, 100), "exif": exif, "icc_profile": PROFILES["GRAY"]}
    radiograph = read(tmp_path / "a.png", GREY, **options)
    source = opened((tmp_path / "a.png").read_bytes())
    new = written(radiograph)
    assert new.info == source.info | {"Comment": "restored"}  # the last of both, see below
    found = chunks(radiograph)
    assert found[0].startswith(b"IHDR")
    assert found[-1] == b"IEND"
    for kind, body in kept.items():
        assert found.count(kind + body) == 1
    assert not [chunk for chunk in found if chunk[:4] in left]
    assert found.count(b"tEXtComment\0a comment") == found.count(b"tEXtComment\0restored") == 1


def with_chunk(path: Path, kind: bytes, body: bytes, *, damaged: bool = False) -> None:
    """Puts a chunk behind the pixels."""
    content = path.read_bytes()
    check = (zlib.crc32(kind + body) + damaged) % 2**32
    chunk = len(body).to_bytes(4) + kind + body + check.to_bytes(4)
    path.write_bytes(content[:-12] + chunk + content[-12:])


def test_png_chunks_behind_the_pixels(tmp_path):
    GREY.save(tmp_path / "a.png")
    with_chunk(tmp_path / "a.png", b"tEXt", b"Last\0words")
    assert b"tEXtLast\0words" in chunks(read_radiograph(tmp_path / "a.png"))
    with_chunk(tmp_path / "a.png", b"teSt", b"damaged", damaged=True)
    assert b"teStdamaged" not in chunks(read_radiograph(tmp_path / "a.png"))


def tags(**more: Any) -> ImageFileDirectory_v2:
    found = ImageFileDirectory_v2()
    found[270], found[271], found[305], found[306] = (
        "chest\nAP",
        "m",
        "scanner",
        "2020:01:01 00:00:00",
    )
    found[282], found[283], found[296] = 200.0, 100.5, 3
    for tag, kind, value in (
        (65_000, 2, "private"),
        (65_001, 3, (1, 2, 3)),
        (65_002, 7, b"any\0thing"),
        (65_003, 12, (0.5, 2.5)),
        (34_675, 7, PROFILES["GRAY"]),
        (700, 1, b"<x:xmpmeta/>"),
    ):
        found[tag] = value
        found.tagtype[tag] = kind
    for name, value in more.items():
        found[int(name[1:])] = value
    return found


LAYOUT = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 305}


@pytest.mark.parametrize("stored", [EIGHT, SIXTEEN], ids=["8bit", "16bit"])
@pytest.mark.parametrize(
    "compression", ["raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"]
)
def test_tiff_tags_and_compression(tmp_path, stored, compression):
    radiograph = read(tmp_path / "a.tif", stored, tiffinfo=tags(), compression=compression)
    source, new = opened((tmp_path / "a.tif").read_bytes()), written(radiograph)
    assert new.info["compression"] == source.info["compression"]
    np.testing.assert_array_equal(np.asarray(new), stored)
    before, after = dict(source.tag_v2), dict(new.tag_v2)
    assert after.pop(305) == "scanner; restored"
    assert before.keys() - LAYOUT == after.keys() - LAYOUT
    for tag in before.keys() - LAYOUT:
        assert after[tag] == before[tag]
    again = read_radiograph_again(tmp_path, radiograph)
    assert written(again).tag_v2[305] == "scanner; restored; restored"


def read_radiograph_again(tmp_path: Path, radiograph: Radiograph) -> Radiograph:
    (tmp_path / "again.tif").write_bytes(radiograph.encode(radiograph.pixels, "restored"))
    return read_radiograph(tmp_path / "again.tif")


def test_a_tiff_without_tags_is_told_the_note(tmp_path):
    assert written(read(tmp_path / "a.tif", EIGHT)).tag_v2[305] == "restored"


def test_text_of_tiff_tags_keeps_its_letters(tmp_path):
    latin = ImageFileDirectory_v2()
    latin[315] = "Röntgen".encode("latin-1")
    assert written(read(tmp_path / "a.tif", EIGHT, tiffinfo=latin)).tag_v2[315] == "Röntgen"


def test_a_lossy_tiff_becomes_lossless(tmp_path):
    radiograph = read(tmp_path / "a.tif", EIGHT, compression="jpeg")
    new = written(radiograph)
    assert new.info["compression"] == "tiff_adobe_deflate"
    np.testing.assert_array_equal(
        np.asarray(new), np.asarray(opened((tmp_path / "a.tif").read_bytes()))
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_tiff(tmp_path, order):
    tifffile = pytest.importorskip("tifffile")  # scikit-image brings it
    tifffile.imwrite(tmp_path / "a.tif", SIXTEEN, byteorder=order, photometric="minisblack")
    assert (tmp_path / "a.tif").read_bytes()[:2] == {"<": b"II", ">": b"MM"}[order]
    radiograph = read_radiograph(tmp_path / "a.tif")
    np.testing.assert_allclose(radiograph.pixels[..., 0], SIXTEEN / 65_535, atol=1e-7)
    np.testing.assert_array_equal(np.asarray(written(radiograph)), SIXTEEN)


@pytest.mark.parametrize("stored", [EIGHT, SIXTEEN], ids=["8bit", "16bit"])
def test_white_as_zero_is_turned_round(tmp_path, stored):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    radiograph = read_radiograph(tmp_path / "a.tif")
    levels = np.iinfo(stored.dtype).max
    np.testing.assert_allclose(radiograph.pixels[..., 0], 1 - stored / levels, atol=1e-7)
    new = written(radiograph)
    assert new.tag_v2[262] == 1
    np.testing.assert_array_equal(np.asarray(new), levels - stored)


def test_tiles_and_predictor_of_tiff(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    for options in ({"tile": (32, 32)}, {"rowsperstrip": 7}):
        tifffile.imwrite(tmp_path / "a.tif", SIXTEEN, **options)
        np.testing.assert_array_equal(
            np.asarray(written(read_radiograph(tmp_path / "a.tif"))), SIXTEEN
        )
    radiograph = read(tmp_path / "b.tif", SIXTEEN, compression="tiff_lzw", tiffinfo={317: 2})
    assert written(radiograph).tag_v2[317] == 2
    np.testing.assert_array_equal(np.asarray(written(radiograph)), SIXTEEN)


def test_a_turned_tiff_is_turned(tmp_path):
    radiograph = read(tmp_path / "a.tif", EIGHT, tiffinfo={274: 6})
    np.testing.assert_array_equal(radiograph.pixels[..., 0], np.rot90(EIGHT, -1) / np.float32(255))
    new = written(radiograph)
    assert new.tag_v2.get(274, 1) == 1
    np.testing.assert_array_equal(np.asarray(new), np.rot90(EIGHT, -1))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("mode", ["LA", "RGB", "RGBA", "P", "1"])
def test_grey_in_other_clothes(tmp_path, mode, suffix):
    stored = np.where(EIGHT > 127, 255, 0).astype(np.uint8) if mode == "1" else EIGHT
    radiograph = read(tmp_path / f"a{suffix}", Image.fromarray(stored).convert(mode))
    np.testing.assert_array_equal(radiograph.pixels[..., 0], stored / np.float32(255))
    assert radiograph.levels == 255
    half = written(radiograph, radiograph.pixels / 2)
    assert half.mode == ("L" if mode in ("P", "1") else mode)
    values = np.rint(stored / np.float32(255) / 2 * np.float32(255)).astype(np.uint8)
    np.testing.assert_array_equal(
        np.asarray(half), np.asarray(Image.fromarray(values).convert(half.mode))
    )


def test_chunks_about_colours_do_not_go_from_a_palette_to_grey(tmp_path):
    palette = GREY.convert("P")
    radiograph = read(
        tmp_path / "a.png", palette, icc_profile=PROFILES["RGB "], transparency=b"\xff"
    )
    kinds = [chunk[:4] for chunk in chunks(radiograph)]
    assert kinds == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]


@pytest.mark.parametrize("stored", [EIGHT, SIXTEEN], ids=["8bit", "16bit"])
def test_a_transparent_level_that_no_pixel_has_is_forgotten(tmp_path, stored):
    stored = np.maximum(stored, 1)
    radiograph = read(tmp_path / "a.png", stored, transparency=0)
    new = written(radiograph, radiograph.pixels * 0)
    assert "transparency" not in new.info
    stored[3, 3] = 0
    Image.fromarray(stored).save(tmp_path / "a.png", transparency=0)
    refused(tmp_path / "a.png", "has transparent pixels; save it without transparency")


def colourful() -> Image.Image:
    return Image.merge("RGB", (GREY, GREY, Image.fromarray(255 - EIGHT)))


@pytest.mark.parametrize(
    ("name", "image", "options", "match"),
    [
        ("a.png", colourful(), {}, "a colour image; save it as greyscale"),
        ("a.jpg", colourful(), {}, "a colour image; save it as greyscale"),
        ("a.tif", colourful(), {}, "a colour image; save it as greyscale"),
        ("a.png", colourful().quantize(16), {}, "a colour image; save it as greyscale"),
        ("a.jpg", colourful().convert("CMYK"), {}, r"a colour image \(CMYK\); save it as grey"),
        ("a.tif", colourful().convert("CMYK"), {}, r"a colour image \(CMYK\); save it as grey"),
        ("a.tif", colourful().convert("LAB"), {}, r"a colour image \(LAB\); save it as grey"),
        ("a.png", Image.merge("LA", (GREY, GREY)), {}, "has transparent pixels; save it without"),
        ("a.tif", Image.merge("RGBA", (GREY,) * 4), {}, "has transparent pixels; save it without"),
        ("a.png", GREY.convert("P"), {"transparency": 7}, "has transparent pixels; save it"),
        (
            "a.tif",
            Image.fromarray(np.full((9, 9), np.nan, np.float32)),
            {},
            "floating-point pixels; save it with 8 or 16 bits",
        ),
        ("a.tif", Image.fromarray(EIGHT.astype(np.int32)), {}, "signed or 32-bit pixels; save it"),
        (
            "a.tif",
            GREY,
            {"save_all": True, "append_images": [GREY]},
            "holds several pictures; save each as a file of its own",
        ),
        (
            "a.png",
            GREY,
            {"save_all": True, "append_images": [Image.fromarray(255 - EIGHT)]},
            "holds several pictures; save each as a file of its own",
        ),
    ],
)
def test_other_images_are_refused(tmp_path, name, image, options, match):
    image.save(tmp_path / name, **options)
    refused(tmp_path / name, match)


def png(rows: list[bytes], depth: int, colour: int) -> bytes:
    """A PNG file of 50 pixels a row, of kinds that Pillow does not write."""
    header = (50).to_bytes(4) + len(rows).to_bytes(4) + bytes([depth, colour, 0, 0, 0])
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")):
        content += len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
    return content


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colour_or_alpha_of_16_bits_is_refused(tmp_path, channels):
    tifffile = pytest.importorskip("tifffile")
    values = np.repeat(SIXTEEN[..., None], channels, axis=-1)
    if channels > 2:
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
        refused(tmp_path / "a.tif", "16 bits with colour or alpha; save it as 16-bit greyscale")
    rows = [row.astype(">u2").tobytes() for row in values]
    (tmp_path / "a.png").write_bytes(png(rows, 16, {2: 4, 3: 2, 4: 6}[channels]))
    refused(tmp_path / "a.png", "16 bits with colour or alpha; save it as 16-bit greyscale")


def test_twelve_bits_are_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", SIXTEEN >> 4)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        place = file.pages[0].tags["BitsPerSample"].valueoffset
    content[place : place + 2] = (12).to_bytes(2, "little")
    (tmp_path / "a.tif").write_bytes(content)
    refused(tmp_path / "a.tif", "12 bits a pixel; save it with 8 or 16 bits")


def test_signed_bytes_are_refused(tmp_path):
    """Pillow takes them for unsigned: black would lie in the middle of the grey values."""
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.int8))
    refused(tmp_path / "a.tif", "signed or 32-bit pixels; save it with 8 or 16 bits, unsigned")


def test_few_bits_become_eight(tmp_path):
    values = EIGHT // 64
    rows = [np.packbits(values[i, :, None] >> [1, 0] & 1).tobytes() for i in range(60)]
    (tmp_path / "a.png").write_bytes(png(rows, 2, 0))
    radiograph = read_radiograph(tmp_path / "a.png")
    np.testing.assert_allclose(radiograph.pixels[..., 0], values / 3, atol=1e-7)
    assert (radiograph.levels, written(radiograph).mode) == (255, "L")
