#!/usr/bin/env python3
"""Write the small image files beside this script and expected_images.h: their size and the SHA-256 of the pixels that
Pillow decodes (convert("RGB"), gray as one channel). Needs Pillow and NumPy; tests need only the files."""
import hashlib
import pathlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
W, H = 37, 23


def scene(n):
    rng = np.random.default_rng(n)
    y, x = np.mgrid[0:H, 0:W]
    planes = [np.clip(128 + 100 * np.sin(x / (3.0 + c)) * np.cos(y / (4.0 + c)) + rng.normal(0, 8, (H, W)), 0, 255)
              for c in range(n)]
    return np.dstack(planes).astype(np.uint8)


rgb = Image.fromarray(scene(3))
gray = Image.fromarray(scene(1)[:, :, 0])
cmyk = Image.fromarray(scene(4), "CMYK")
wide = Image.fromarray((np.asarray(gray).astype(np.uint16) << 8) | 0x7F)
files = {
    "gray.jpg": (gray, dict(quality=90)),
    "colour420.jpg": (rgb, dict(quality=80, subsampling=2)),
    "colour444.jpg": (rgb, dict(quality=95, subsampling=0)),
    "progressive.jpg": (rgb, dict(quality=75, progressive=True)),
    "cmyk.jpg": (cmyk, dict(quality=90)),
    "gray.png": (gray, {}),
    "rgb.png": (rgb, {}),
    "rgba.png": (Image.fromarray(scene(4), "RGBA"), {}),
    "palette.png": (rgb.quantize(11), dict(transparency=2)),
    "bilevel.png": (gray.convert("1"), {}),
    "gray16.png": (wide, {}),
}
rows = []
for name, (image, options) in files.items():
    image.save(HERE / name, **options)
    opened = Image.open(HERE / name)
    if opened.mode.startswith("I"):
        pixels = (np.asarray(opened).astype(np.uint32) >> 8).astype(np.uint8)  # our rule for 16 bit
    else:
        pixels = np.asarray(opened.convert("L" if opened.mode in ("L", "1") else "RGB"))
    channels = 1 if pixels.ndim == 2 else 3
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    rows.append(f'    {{"{name}", {W}, {H}, {channels}, "{digest}"}},')
(HERE / "expected_images.h").write_text(
    "/* Written by make_images.py with Pillow. File, width, height, channels, SHA-256 of the pixels. */\n"
    "/* clang-format off */\n"
    "static const struct {\n    const char *name;\n    int width, height, channels;\n    const char *sha256;\n"
    "} expected_images[] = {\n" + "\n".join(rows) + "\n};\n/* clang-format on */\n")
