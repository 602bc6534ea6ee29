#!/usr/bin/env python3
"""Write the small image files of tests/data/images and expected_images.h beside them: what the header says, and the
SHA-256 of the pixels that Pillow or tifffile decode (see `pixels_of` for which). Needs Pillow, NumPy and tifffile with
imagecodecs; the tests need only the files.

usage: make_image_samples.py [DIR]     (default: tests/data/images of this checkout)
"""
import hashlib
import io
import pathlib
import struct
import sys

import numpy as np
import tifffile
from PIL import Image, ImageOps

W, H = 37, 23
EXIF_ORIENTATION = 0x0112


def scene(n, seed=0, deep=False):
    """(H,W,n) waves with noise, 8 bits or 16."""
    rng = np.random.default_rng(n + seed)
    y, x = np.mgrid[0:H, 0:W]
    planes = [np.clip(128 + 100 * np.sin(x / (3.0 + c)) * np.cos(y / (4.0 + c)) + rng.normal(0, 8, (H, W)), 0, 255)
              for c in range(n)]
    return (np.dstack(planes) * 257).astype(np.uint16) if deep else np.dstack(planes).astype(np.uint8)


def saved(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def tiff(array, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, array, metadata=None, software=False, **options)
    return out.getvalue()


def oriented(orientation):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return exif


def rle8(indexes, palette):
    """A bottom-up RLE8 BMP; runs where two neighbours are equal, literals elsewhere."""
    body = b""
    for row in indexes[::-1]:
        x = 0
        while x < len(row):
            n = 1
            while x + n < len(row) and n < 255 and row[x + n] == row[x]:
                n += 1
            if n == 1 and x + 3 <= len(row):
                body += bytes((0, 3)) + bytes(row[x:x + 3]) + b"\0"
                x += 3
            else:
                body += bytes((n, row[x]))
                x += n
        body += b"\0\0"
    body += b"\0\1"
    colours = b"".join(bytes((b, g, r, 0)) for r, g, b in palette)
    offset = 54 + len(colours)
    header = struct.pack("<IiiHHIIiiII", 40, indexes.shape[1], indexes.shape[0], 1, 8, 1, len(body), 0, 0,
                         len(palette), 0)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + header + colours + body


def plain_ppm(array, maxval):
    """Without a line break at the end and with two digits in the last sample, so that most prefixes are cut."""
    return f"P3 # a comment\n{array.shape[1]} {array.shape[0]}\n{maxval}\n".encode() + b" ".join(b"%d" % v for v in array.ravel())


def files():
    rgb, gray = Image.fromarray(scene(3)), Image.fromarray(scene(1)[:, :, 0])
    cmyk, rgba = Image.fromarray(scene(4), "CMYK"), Image.fromarray(scene(4), "RGBA")
    gray16, rgb16 = scene(1, deep=True)[:, :, 0], scene(3, deep=True)
    jpeg, png = dict(format="JPEG"), dict(format="PNG")
    yield "gray.jpg", saved(gray, quality=90, **jpeg)
    yield "colour420.jpg", saved(rgb, quality=80, subsampling=2, **jpeg)
    yield "colour444.jpg", saved(rgb, quality=95, subsampling=0, **jpeg)
    yield "progressive.jpg", saved(rgb, quality=75, progressive=True, **jpeg)
    yield "cmyk.jpg", saved(cmyk, quality=90, **jpeg)
    for i in (3, 6):
        yield f"orientation{i}.jpg", saved(rgb, quality=80, exif=oriented(i), **jpeg)
    yield "gray.png", saved(gray, **png)
    yield "rgb.png", saved(rgb, **png)
    yield "rgba.png", saved(rgba, **png)
    yield "palette.png", saved(rgb.quantize(11), transparency=2, **png)
    yield "bilevel.png", saved(gray.convert("1"), **png)
    yield "gray16.png", saved(Image.fromarray(gray16), **png)
    yield "gray.tif", tiff(scene(1)[:, :, 0], compression="lzw", predictor=True)
    yield "gray16.tif", tiff(gray16, compression="deflate", byteorder=">", extratags=[(274, 3, 1, 8, True)])
    yield "rgb.tif", tiff(scene(3), rowsperstrip=5)
    yield "rgb16_tiles.tif", tiff(rgb16, tile=(16, 16), compression="deflate", predictor=True, bigtiff=True)
    yield "planar.tif", tiff(np.moveaxis(scene(3), 2, 0), planarconfig="separate", compression="packbits",
                             photometric="rgb")
    yield "jpeg.tif", saved(rgb, format="TIFF", compression="jpeg", quality=90)
    yield "palette.tif", saved(rgb.quantize(13), format="TIFF", compression="tiff_lzw")
    yield "miniswhite.tif", tiff(scene(1)[:, :, 0], photometric="miniswhite")
    yield "bilevel.tif", saved(gray.convert("1"), format="TIFF")
    pages = io.BytesIO()
    with tifffile.TiffWriter(pages) as writer:
        for seed in range(3):
            writer.write(scene(1, seed)[:, :, 0], metadata=None, software=False)
    yield "pages.tif", pages.getvalue()
    yield "gray.pgm", saved(gray, format="PPM")
    yield "bits.pbm", saved(gray.convert("1"), format="PPM")
    yield "odd.ppm", plain_ppm(np.clip(scene(3)[:7, :11] // 5 + 10, 0, 60), 61)
    yield "deep.pgm", f"P5\n{W} {H}\n4095\n".encode() + (gray16 >> 4).astype(">u2").tobytes()
    yield "gray.bmp", saved(gray, format="BMP")
    yield "rgb.bmp", saved(rgb, format="BMP")
    small = rgb.quantize(9)
    palette = np.array(small.getpalette()[:27]).reshape(-1, 3).tolist()
    yield "rle8.bmp", rle8(np.asarray(small), palette)
    yield "lossy.webp", saved(rgb, format="WEBP", quality=80)
    yield "lossless.webp", saved(rgba, format="WEBP", lossless=True)


def pixels_of(name, data):
    """Pillow's pixels, upright; NumPy or tifffile where Pillow cuts 16 bits."""
    if name == "deep.pgm":
        raw = np.frombuffer(data[-2 * W * H:], ">u2").reshape(H, W)
        return np.rint(raw / 4095 * 65535).astype(np.uint16)
    if name == "gray16.tif":
        return np.rot90(tifffile.imread(io.BytesIO(data)), 1)
    if name == "rgb16_tiles.tif":
        return tifffile.imread(io.BytesIO(data))
    opened = Image.open(io.BytesIO(data))
    if name == "gray16.png":
        return np.asarray(opened).astype(np.uint16)
    opened = ImageOps.exif_transpose(opened)
    return np.asarray(opened.convert("L" if opened.mode in ("L", "1") else "RGB"))


def main():
    here = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "tests/data/images"
    rows = []
    for name, data in files():
        (folder / name).write_bytes(data)
        pixels = np.ascontiguousarray(pixels_of(name, data))
        height, width = pixels.shape[:2]
        digest = hashlib.sha256(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()).hexdigest()
        deep = "true" if pixels.dtype.itemsize == 2 else "false"
        rows.append(f'    {{"{name}", {width}, {height}, {1 if pixels.ndim == 2 else 3}, {deep},\n     "{digest}"}},')
    (folder / "expected_images.h").write_text(
        "/* Written by scripts/make_image_samples.py with Pillow and tifffile. File, width, height, channels, 16 bits?,\n"
        " * SHA-256 of the pixels (16 bits: little endian). */\n"
        "/* clang-format off */\n"
        "static const struct {\n    const char *name;\n    int width, height, channels;\n    bool deep;\n"
        "    const char *sha256;\n"
        "} expected_images[] = {\n" + "\n".join(rows) + "\n};\n/* clang-format on */\n")


if __name__ == "__main__":
    main()
