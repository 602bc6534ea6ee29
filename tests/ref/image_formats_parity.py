#!/usr/bin/env python3
"""Every image format x bit depth x colour against Pillow, tifffile and NumPy, pixel by pixel. Needs Pillow,
NumPy, tifffile and imagecodecs; exits 77 without them.

usage: image_formats_parity.py BUILD_DIR [docs/image_formats.md]

Generates the files in four sizes, decodes each with the library of BUILD_DIR and with the reference, and prints one line
a kind; with a second argument the table is also written there. Exits 1 when a pixel differs. The reference of a file is
Pillow, or the samples it was made from (lossless kinds that Pillow does not read or cuts to 8 bits).
"""
import io
import struct
import sys
import tempfile
import zlib

try:
    import imagecodecs  # noqa: F401  tifffile's compressions
    import numpy as np
    import tifffile
    from PIL import Image, ImageOps, features
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

from pillow_parity import decode, encoded, load_library, scene

SIZES = ((1, 1), (7, 5), (33, 17), (64, 48))


# ---- references ----

def pillow(data, mode=None):
    """Upright, gray as one channel, alpha dropped."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)
    return np.asarray(image.convert(mode or ("L" if image.mode in ("L", "1", "LA") else "RGB")))


def pages(data):
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        pixels = page.asarray()
        return np.moveaxis(pixels, 0, 2) if page.planarconfig == 2 and pixels.ndim == 3 else pixels


def deep(width, height, n, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 65536, (height, width, n), dtype=np.uint16)


def array(mode, width, height, seed):
    return np.asarray(scene(mode, width, height, seed))


# ---- PNG and BMP and TIFF by hand, what no library here writes ----

def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def packed(samples, bits):
    """(H, n) samples to rows of bytes, the first in the high bits; 16 bits big endian."""
    if bits == 16:
        return [row.astype(">u2").tobytes() for row in samples]
    bit = ((samples[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(len(samples), -1).astype(np.uint8)
    return [row.tobytes() for row in np.packbits(bit, axis=1)]


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(samples, bits, colour, interlaced, palette=None):
    """`samples` (H,W,n) as they are in the file."""
    height, width, n = samples.shape
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [samples]
    body = b"".join(b"\0" + row for part in passes if part.size
                    for row in packed(part.reshape(part.shape[0], -1), bits))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced))
    if palette is not None:
        out += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    return out + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def bmp(rows, width, height, bits, compression=0, palette=None, masks=b"", top_down=False, os2=False):
    """`rows`: bytes of each row from above (without padding), or one bytes object of run lengths."""
    if isinstance(rows, list):
        body = b"".join(r + b"\0" * (-len(r) % 4) for r in (rows if top_down else rows[::-1]))
    else:
        body = rows
    colours = b"" if palette is None else b"".join(
        bytes((b, g, r)) + (b"" if os2 else b"\0") for r, g, b in palette)
    if os2:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", 40, width, -height if top_down else height, 1, bits, compression,
                             len(body), 0, 0, 0 if palette is None else len(palette), 0)
    before = 14 + len(header) + len(masks) + len(colours)
    return b"BM" + struct.pack("<IHHI", before + len(body), 0, 0, before) + header + masks + colours + body


def rle(indexes, four):
    """Runs, literals and an end mark a row."""
    out = b""
    for row in indexes[::-1]:
        x = 0
        while x < len(row):
            n = 1
            while x + n < len(row) and n < 255 and row[x + n] == row[x]:
                n += 1
            literal = min(len(row) - x, 5)
            if n < 3 and literal >= 3:
                part = list(row[x:x + literal])
                if four:
                    part += [0] * (literal % 2)
                    part = [a << 4 | b for a, b in zip(part[::2], part[1::2])]
                out += bytes((0, literal)) + bytes(int(v) for v in part) + b"\0" * (len(part) % 2)
                x += literal
            else:
                value = int(row[x])
                out += bytes((n, value << 4 | value if four else value))
                x += n
        out += b"\0\0"
    return out + b"\0\1"


def tiff_by_hand(samples, bits, photometric, palette=None):
    """Uncompressed, one strip, gray or palette of 1 to 8 bits."""
    height, width = samples.shape
    body = b"".join(packed(samples, bits))
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, photometric),
            (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, height), (279, 4, 1, len(body))]
    maps = b""
    if palette is not None:
        maps = (palette.T.astype(np.uint16) * 257).astype("<u2").tobytes()
        tags.append((320, 3, 3 << bits, 8 + len(body)))
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags) + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(body) + len(maps)) + body + maps + directory


def tiff(pixels, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, **options)
    return out.getvalue()


# ---- the matrix: (format, kind, data, expected pixels, reference, min_side) ----

def jpegs(w, h):
    for mode, name in (("L", "gray"), ("RGB", "RGB"), ("CMYK", "CMYK (Adobe)")):
        for progressive in (False, True):
            for quality in (30, 75, 95):
                for sub in (0, 1, 2) if mode == "RGB" else (0,):
                    data = encoded(scene(mode, w, h, 3), format="JPEG", quality=quality, progressive=progressive,
                                   subsampling=sub)
                    chroma = (" 4:4:4", " 4:2:2", " 4:2:0")[sub] if mode == "RGB" else ""
                    yield "JPEG", f"8 bit {name}{chroma}{', progressive' if progressive else ''}", data, pillow(data)
    for kind, options in (("restart marks", dict(restart_marker_blocks=2)), ("stored as RGB", dict(keep_rgb=True)),
                          ("optimised tables", dict(optimize=True))):
        data = encoded(scene("RGB", w, h, 4), format="JPEG", **options)
        yield "JPEG", f"8 bit RGB, {kind}", data, pillow(data)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for mode in ("L", "RGB"):
            data = encoded(scene(mode, w, h, 5), format="JPEG", exif=exif)
            yield "JPEG", "8 bit gray and RGB, EXIF orientation 1 to 8", data, pillow(data)


def reduced_jpegs(w, h):
    """`--decode fast`: the same reduction in Pillow is draft()."""
    w, h = w * 8 + 3, h * 8 + 1
    for mode, name, sub in (("L", "gray", 0), ("RGB", "RGB 4:4:4", 0), ("RGB", "RGB 4:2:0", 2)):
        data = encoded(scene(mode, w, h, 3), format="JPEG", quality=85, subsampling=sub)
        for scale in (2, 4, 8):
            image = Image.open(io.BytesIO(data))
            image.draft(mode, (w // scale, h // scale))
            expected = np.asarray(image)
            yield "JPEG", f"8 bit {name}, DCT scaling 1/{scale}", data, expected, "Pillow draft()", min(expected.shape[:2])


def pngs(w, h):
    rng = np.random.default_rng(w)
    for interlaced in (0, 1):
        tag = ", interlaced" if interlaced else ""
        for bits in (1, 2, 4, 8):
            gray = rng.integers(0, 1 << bits, (h, w, 1), dtype=np.uint16)
            data = png(gray, bits, 0, interlaced)
            yield "PNG", f"{bits} bit gray{tag}", data, pillow(data, "L")
            palette = rng.integers(0, 256, (1 << bits, 3))
            data = png(gray, bits, 3, interlaced, palette)
            yield "PNG", f"{bits} bit palette{tag}", data, pillow(data)
        for n, colour, name in ((3, 2, "RGB"), (2, 4, "gray with alpha"), (4, 6, "RGB with alpha")):
            samples = rng.integers(0, 256, (h, w, n), dtype=np.uint16)
            data = png(samples, 8, colour, interlaced)
            yield "PNG", f"8 bit {name}{tag}", data, pillow(data)
        for n, colour, name in ((1, 0, "gray"), (3, 2, "RGB"), (2, 4, "gray with alpha"), (4, 6, "RGB with alpha")):
            samples = deep(w, h, n, n)
            expected = samples[:, :, :3] if n > 2 else samples[:, :, 0]
            yield "PNG", f"16 bit {name}{tag}", png(samples, 16, colour, interlaced), expected, "NumPy"


def tiffs(w, h):
    gray, rgb = array("L", w, h, 1), array("RGB", w, h, 2)
    gray16, rgb16 = deep(w, h, 1, 3)[:, :, 0], deep(w, h, 3, 4)
    for name, a in (("8 bit gray", gray), ("8 bit RGB", rgb), ("16 bit gray", gray16), ("16 bit RGB", rgb16)):
        is_deep = a.dtype == np.uint16
        def case(kind, data, by_tifffile=is_deep):
            expected, reference = (pages(data), "tifffile") if by_tifffile else (pillow(data), "Pillow")
            yield "TIFF", f"{name}, {kind}", data, expected, reference

        for compression in (None, "lzw", "deflate", "packbits"):
            for predictor in (False, True) if compression in ("lzw", "deflate") else (False,):
                kind = (compression or "uncompressed") + (", predictor" if predictor else "")
                options = dict(compression=compression, predictor=predictor or None)
                yield from case(kind, tiff(a, **options))
                yield from case(kind, tiff(a, rowsperstrip=3, **options))
                yield from case(f"tiles, {kind}", tiff(a, tile=(16, 32), **options))
        yield from case("big endian", tiff(a, byteorder=">", compression="deflate"))
        yield from case("BigTIFF", tiff(a, bigtiff=True))
        data = tiff(a, bigtiff=True, byteorder=">", tile=(16, 16))
        yield from case("BigTIFF, big endian", data, True)  # Pillow does not know it
        if a.ndim == 3:
            planes = np.moveaxis(a, 2, 0)
            for tile in (None, (16, 16)):
                data = tiff(planes, planarconfig="separate", photometric="rgb", tile=tile, compression="lzw")
                yield "TIFF", f"{name}, planes apart", data, a, "NumPy"
        many = io.BytesIO()
        with tifffile.TiffWriter(many) as writer:
            for i in range(3):
                writer.write(np.roll(a, i, 0), metadata=None)
        yield from case("first of 3 pages", many.getvalue())
    for orientation in range(1, 9):
        data = tiff(rgb, extratags=[(274, 3, 1, orientation, True)])
        yield "TIFF", "8 bit RGB, orientation 1 to 8", data, pillow(data)
    for mode in ("L", "RGB"):
        for quality in (50, 90):
            data = encoded(scene(mode, w, h, 6), format="TIFF", compression="jpeg", quality=quality)
            yield "TIFF", f"8 bit {'gray' if mode == 'L' else 'YCbCr'}, JPEG", data, pillow(data)
    yield from odd_tiffs(w, h)


def odd_tiffs(w, h):
    rng = np.random.default_rng(h)
    gray, gray16 = array("L", w, h, 1), deep(w, h, 1, 3)[:, :, 0]
    for bits in (1, 2, 4, 8):
        samples = rng.integers(0, 1 << bits, (h, w))
        for photometric, name in ((0, "gray, white is 0"), (1, "gray")):
            data = tiff_by_hand(samples, bits, photometric)
            yield "TIFF", f"{bits} bit {name}", data, pillow(data)
        data = tiff_by_hand(samples, bits, 3, rng.integers(0, 256, (1 << bits, 3)))
        yield "TIFF", f"{bits} bit palette", data, pillow(data)
    for compression in ("tiff_lzw", "packbits"):
        data = encoded(scene("L", w, h, 1).convert("1"), format="TIFF", compression=compression)
        yield "TIFF", "1 bit gray, " + compression.replace("tiff_", ""), data, pillow(data)
    data = tiff(gray16, photometric="miniswhite")
    yield "TIFF", "16 bit gray, white is 0", data, 65535 - gray16, "NumPy"
    data = tiff(array("RGBA", w, h, 7), extrasamples=["unassalpha"], photometric="rgb")
    yield "TIFF", "8 bit RGB with alpha", data, pillow(data)
    data = tiff(array("RGBA", w, h, 7), extrasamples=["assocalpha"], photometric="rgb")
    yield "TIFF", "8 bit RGB with premultiplied alpha", data, pillow(data)
    samples = deep(w, h, 4, 8)
    data = tiff(samples, extrasamples=["unassalpha"], photometric="rgb")
    yield "TIFF", "16 bit RGB with alpha", data, samples[:, :, :3], "tifffile"


def pnms(w, h):
    rng = np.random.default_rng(w + h)
    bits = rng.integers(0, 2, (h, w))
    text = f"P1\n# comment\n{w} {h}\n" + "\n".join(" ".join(map(str, row)) for row in bits) + "\n"
    yield "PNM", "1 bit, plain (P1)", text.encode(), pillow(text.encode())
    data = f"P4 {w} {h}\n".encode() + b"".join(packed(bits, 1))
    yield "PNM", "1 bit, binary (P4)", data, pillow(data)
    for maxval in (1, 10, 100, 255, 256, 1000, 4095, 65535):
        for n, plain_kind, raw_kind in ((1, 2, 5), (3, 3, 6)):
            samples = rng.integers(0, maxval + 1, (h, w, n))
            plain = f"P{plain_kind} {w} {h} {maxval}\n" + " ".join(map(str, samples.ravel())) + "\n"
            raw = f"P{raw_kind} {w} {h} {maxval}\n".encode() + samples.astype(">u2" if maxval > 255 else "u1").tobytes()
            wide = maxval > 255
            name = f"{'9 to 16' if wide else 'up to 8'} bit {'gray' if n == 1 else 'RGB'}"
            stretched = np.rint(samples / maxval * (65535 if wide else 255)).astype(np.uint16 if wide else np.uint8)
            for kind, data in ((f"plain (P{plain_kind})", plain.encode()), (f"binary (P{raw_kind})", raw)):
                if wide and n == 3:
                    yield "PNM", f"{name}, {kind}", data, stretched, "NumPy"
                else:
                    yield "PNM", f"{name}, {kind}", data, pillow(data)


def bmps(w, h):
    rng = np.random.default_rng(w * h)
    for mode, name in (("1", "1 bit black and white"), ("L", "8 bit gray"), ("P", "8 bit palette"), ("RGB", "24 bit RGB"),
                       ("RGBA", "32 bit RGB with alpha (masks)")):
        image = scene("RGBA" if mode == "RGBA" else "RGB", w, h, 3)
        image = image.quantize(200) if mode == "P" else image.convert(mode)
        data = encoded(image, format="BMP")
        yield "BMP", name, data, pillow(data)
    rgb = array("RGB", w, h, 4)
    bgr = [row.tobytes() for row in rgb[:, :, ::-1]]
    for kind, data in (("24 bit RGB, top-down", bmp(bgr, w, h, 24, top_down=True)),
                       ("24 bit RGB, OS/2", bmp(bgr, w, h, 24, os2=True))):
        yield "BMP", kind, data, pillow(data)
    for bits in (1, 4, 8):
        palette = rng.integers(0, 256, (1 << bits, 3)).tolist()
        indexes = rng.integers(0, 1 << bits, (h, w))
        for os2 in (False, True):
            data = bmp(packed(indexes, bits), w, h, bits, palette=palette, os2=os2)
            yield "BMP", f"{bits} bit palette{', OS/2' if os2 else ''}", data, pillow(data)
        if bits > 1:
            indexes = np.sort(indexes, axis=1)
            data = bmp(rle(indexes, bits == 4), w, h, bits, 2 if bits == 4 else 1, palette=palette)
            yield "BMP", f"RLE{bits}", data, pillow(data)
    words = [rng.integers(0, 65536, w).astype("<u2").tobytes() for _ in range(h)]
    for kind, compression, masks in (("5-5-5", 0, b""), ("5-5-5 (masks)", 3, struct.pack("<III", 0x7C00, 0x3E0, 0x1F)),
                                     ("5-6-5 (masks)", 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F))):
        data = bmp(words, w, h, 16, compression, masks=masks)
        yield "BMP", f"16 bit {kind}", data, pillow(data)
    quads = [rng.integers(0, 256, 4 * w).astype(np.uint8).tobytes() for _ in range(h)]
    data = bmp(quads, w, h, 32)
    yield "BMP", "32 bit RGB", data, pillow(data)
    data = bmp(quads, w, h, 32, 3, masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00))
    yield "BMP", "32 bit RGB (other masks)", data, pillow(data)


def webps(w, h):
    for quality in (10, 75, 100):
        for mode in ("RGB", "RGBA"):
            data = encoded(scene(mode, w, h, 5), format="WEBP", quality=quality)
            yield "WebP", f"8 bit RGB{' with alpha' if mode == 'RGBA' else ''}, lossy", data, pillow(data)
    for mode in ("L", "RGB", "RGBA"):
        data = encoded(scene(mode, w, h, 6), format="WEBP", lossless=True, exact=True)
        yield "WebP", f"8 bit RGB{' with alpha' if mode == 'RGBA' else ''}, lossless", data, pillow(data)


NOTES = """
Differing pixels are counted over all files of a row, in {n} files of {sizes} pixels. Made by
`tests/ref/image_formats_parity.py` with Pillow {pillow} (libjpeg-turbo {jpeg}, libtiff {tiff}, libwebp {webp}) and
tifffile {tifffile}; engraft uses the system's libraries, so the rows also say that both versions agree.

Where the reference is not Pillow, this is why:
- 16 bits: Pillow cuts 16-bit colour (PNG, TIFF, PPM) to the high byte; here it keeps its depth until normalisation.
- 16-bit TIFF in which 0 is white: Pillow and tifffile hand the stored values on; here they are inverted, as with 8 bits.
- Planes apart and interlaced 16-bit files are compared with the samples they were made from.

What is narrower than Pillow, on purpose, with an error that says so: animated WebP; TIFF with floating-point, signed or
32-bit samples, CMYK, YCbCr without JPEG, fax and old-JPEG compression; PAM and float PNM. EXIF orientation is applied in JPEG and TIFF; one
that only XMP tells, or that a PNG or WebP carries, is not. A truncated file, a palette index behind the palette and a bad check sum are errors.
"""


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rows, n, bad = {}, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        lib = load_library(sys.argv[1], folder)
        for w, h in SIZES:
            for make in (jpegs, reduced_jpegs, pngs, tiffs, pnms, bmps, webps):
                for form, kind, data, expected, *more in make(w, h):
                    reference = more[0] if more else "Pillow"
                    min_side = more[1] if len(more) > 1 else 0
                    pixels, error = decode(lib, data, min_side)
                    if "this build has no WebP" in error:
                        continue
                    n += 1
                    row = rows.setdefault((form, kind), [0, 0, reference])
                    row[0] += 1
                    if pixels is None or pixels.shape != expected.shape or pixels.dtype != expected.dtype:
                        print(f"{form} {kind} {w}x{h}: {error or (pixels.shape, pixels.dtype, expected.shape, expected.dtype)}")
                        row[1] += w * h
                        bad += 1
                        continue
                    differs = pixels != expected
                    if differs.any():
                        count = int(differs.reshape(*pixels.shape[:2], -1).any(axis=2).sum())
                        worst = int(np.abs(pixels.astype(int) - expected).max())
                        print(f"{form} {kind} {w}x{h}: {count} pixels, by up to {worst}")
                        row[1] += count
                        bad += 1
    table = ["| format | kind | files | reference | differing pixels |", "|---|---|---:|---|---:|"]
    table += [f"| {form} | {kind} | {files} | {reference} | {count} |"
              for (form, kind), (files, count, reference) in rows.items()]
    print("\n".join(table))
    print(f"{n} files, {bad} differ")
    if len(sys.argv) == 3 and not bad:
        notes = NOTES.format(n=n, sizes=", ".join(f"{w} x {h}" for w, h in SIZES), pillow=Image.__version__,
                             jpeg=features.version("libjpeg_turbo"), tiff=features.version("libtiff"),
                             webp=features.version("webp"), tifffile=tifffile.__version__)
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            file.write("# Image formats: what is read, and how it compares\n" + notes + "\n" + "\n".join(table) + "\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
