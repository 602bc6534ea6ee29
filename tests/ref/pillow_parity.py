#!/usr/bin/env python3
"""Compare the decoders of engraft with Pillow, pixel by pixel. Run by hand; needs Pillow and NumPy.

usage: pillow_parity.py BUILD_DIR [IMAGE_DIR...]

Generates JPEG and PNG files of every kind (gray, colour, progressive, subsampled, CMYK, palette, 16 bit, interlaced)
and takes every image of the given folders; prints the largest difference and exits 1 when it is not 0. Pillow's
wheels bundle their own libjpeg-turbo: both versions must agree.
"""
import ctypes
import ctypes.util
import io
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, features


class EgImage(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int), ("height", ctypes.c_int), ("channels", ctypes.c_int),
                ("pixels", ctypes.POINTER(ctypes.c_uint8)), ("deep", ctypes.c_bool)]


class EgImageOptions(ctypes.Structure):
    _fields_ = [("max_file_bytes", ctypes.c_size_t), ("max_pixels", ctypes.c_size_t), ("min_side", ctypes.c_int)]


class EgError(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("offset", ctypes.c_int64), ("text", ctypes.c_char * 640)]


def load_library(build, folder):
    """The static rooms as one shared library."""
    path = folder + "/codec.so"
    webp = ["-lwebp"] if ctypes.util.find_library("webp") else []  # optional in the build, too
    subprocess.run(["cc", "-shared", "-o", path, "-Wl,--whole-archive", f"{build}/libroom_codec.a",
                    f"{build}/libroom_base.a", "-Wl,--no-whole-archive", "-ljpeg", "-lpng", "-ltiff", *webp, "-lz",
                    "-ljansson", "-lcrypto", "-lgomp", "-lm"], check=True)
    return ctypes.CDLL(path)


def decode(lib, data, min_side=0):
    """Pixels (8 or 16 bits) and "", or None and the error."""
    image, error = EgImage(), EgError()
    options = EgImageOptions(256 << 20, 89478485, min_side)
    status = lib.eg_image_decode(ctypes.byref(image), data, ctypes.c_size_t(len(data)), ctypes.byref(options),
                                 ctypes.byref(error))
    if status != 0:
        return None, error.text.decode()
    shape = (image.height, image.width) + ((3,) if image.channels == 3 else ())
    pixels = image.pixels
    if image.deep:
        pixels = ctypes.cast(pixels, ctypes.POINTER(ctypes.c_uint16))
    pixels = np.ctypeslib.as_array(pixels, (int(np.prod(shape)),)).reshape(shape).copy()
    lib.eg_image_free(ctypes.byref(image))
    return pixels, ""


def scene(mode, width, height, seed):
    """Smooth gradients with noise and edges, so that rounding and chroma upsampling show."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for c in range(4):
        plane = 128 + 90 * np.sin(x / (3.0 + c) + c) * np.cos(y / (5.0 - c)) + rng.normal(0, 12, (height, width))
        plane[(x // 7 + y // 5) % 4 == c] = 255 * (c & 1)
        planes.append(np.clip(plane, 0, 255).astype(np.uint8))
    n = {"L": 1, "RGB": 3, "CMYK": 4, "RGBA": 4, "LA": 2}[mode]
    return Image.fromarray(planes[0] if n == 1 else np.dstack(planes[:n]), mode)


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def generated():
    for width, height in ((1, 1), (7, 5), (8, 8), (33, 17), (64, 48), (129, 95)):
        size = f"{width}x{height}"
        for quality in (30, 75, 95):
            for progressive in (False, True):
                tag = f"{size} q{quality}{' progressive' if progressive else ''}"
                jpeg = dict(format="JPEG", quality=quality, progressive=progressive)
                yield f"jpeg gray {tag}", encoded(scene("L", width, height, 1), **jpeg)
                yield f"jpeg cmyk {tag}", encoded(scene("CMYK", width, height, 2), **jpeg)
                for sub in (0, 1, 2):
                    yield f"jpeg rgb sub{sub} {tag}", encoded(scene("RGB", width, height, 3), subsampling=sub, **jpeg)
        rgb = scene("RGB", width, height, 4)
        gray = scene("L", width, height, 5)
        yield f"jpeg restart {size}", encoded(rgb, format="JPEG", restart_marker_blocks=2)
        yield f"jpeg keep_rgb {size}", encoded(rgb, format="JPEG", keep_rgb=True)
        png = dict(format="PNG")
        for name, image in (("rgb", rgb), ("gray", gray), ("rgba", scene("RGBA", width, height, 6)),
                            ("la", scene("LA", width, height, 7)), ("bilevel", gray.convert("1")),
                            ("palette", rgb.quantize(200)), ("palette16", rgb.quantize(13)),
                            ("palette4", rgb.quantize(4)), ("palette2", rgb.quantize(2))):
            yield f"png {name} {size}", encoded(image, **png)
        yield f"png palette trns {size}", encoded(rgb.quantize(50), transparency=3, **png)
        yield f"png rgb trns {size}", encoded(rgb, transparency=(1, 2, 3), **png)
        wide = (np.asarray(gray).astype(np.uint16) << 8) | (np.asarray(scene("L", width, height, 8)))
        yield f"png gray16 {size}", encoded(Image.fromarray(wide), **png)


def reference(data, name):
    image = Image.open(io.BytesIO(data))
    if image.mode.startswith("I;16") or image.mode == "I":
        return np.asarray(image).astype(np.uint16)
    return np.asarray(image.convert("L" if image.mode in ("L", "1", "LA") else "RGB"))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        lib = load_library(sys.argv[1], folder)
        print("Pillow's libjpeg-turbo", features.version("libjpeg_turbo"))
        cases = list(generated())
        for directory in sys.argv[2:]:
            for path in sorted(pathlib.Path(directory).rglob("*")):
                if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
                    cases.append((str(path), path))
        n, bad, worst = 0, 0, 0
        for name, data in cases:
            data = data if isinstance(data, bytes) else data.read_bytes()
            pixels, error = decode(lib, data)
            expected = reference(data, name)
            n += 1
            if pixels is None or pixels.shape != expected.shape:
                print(f"{name}: {error or (pixels.shape, expected.shape)}")
                bad += 1
                continue
            difference = int(np.abs(pixels.astype(int) - expected).max())
            worst = max(worst, difference)
            if difference:
                print(f"{name}: largest difference {difference}, {int((pixels != expected).sum())} values")
                bad += 1
        print(f"{n} images, {bad} differ, largest difference {worst}")
        sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
