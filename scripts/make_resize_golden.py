#!/usr/bin/env python3
"""Write tests/data/resize/{resize,deep,preprocess,augment,randaugment,normalize}.txt: SHA-256 of what Pillow and
torchvision make of generated images. Needs numpy, pillow, torch, torchvision; users and the C tests need none of them.

Usage: scripts/make_resize_golden.py [OUT]

The images come from a formula that tests/pattern_image.h repeats in C, so that only hashes are committed. Equal hashes
mean equal bytes, that is, a maximum difference of 0. Columns: see the header line of each file.
"""
import hashlib
import os
import sys

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision.transforms import functional as F

FILTERS = {name: Image.Resampling[name.upper()]
           for name in ("bilinear", "bicubic", "nearest", "box", "hamming", "lanczos")}
TV_FILTERS = {"bilinear": F.InterpolationMode.BILINEAR, "bicubic": F.InterpolationMode.BICUBIC}
# width, height: odd, tiny, long, wide, larger and smaller than the results
SIZES = [(1, 1), (2, 3), (7, 5), (17, 31), (33, 16), (64, 64), (97, 61), (127, 255), (181, 224), (224, 224),
         (225, 223), (231, 199), (255, 257), (301, 173), (333, 334), (400, 299), (511, 513), (640, 127), (123, 777),
         (1023, 769), (1201, 1), (3, 900)]
TARGETS = [(224, 224), (256, 256), (97, 131), (1, 1), (224, 97), (301, 400)]


def pattern(width, height, channels, seed):
    """The generated image (tests/pattern_image.h): noise for even seeds, a gradient with noise for odd ones."""
    y, x, c = np.meshgrid(np.arange(height, dtype=np.uint32), np.arange(width, dtype=np.uint32),
                          np.arange(channels, dtype=np.uint32), indexing="ij")
    h = (x * np.uint32(2654435761) ^ y * np.uint32(2246822519) ^ (c + np.uint32(1)) * np.uint32(3266489917)
         ^ np.uint32(seed * 668265263 % 2**32))
    h ^= h >> np.uint32(15)
    h *= np.uint32(2246822519)
    h ^= h >> np.uint32(13)
    noise = h >> np.uint32(24)
    if seed % 2:
        smooth = (x * np.uint32(3) + y * np.uint32(2) + c * np.uint32(40) + np.uint32(seed)) & np.uint32(255)
        noise = (smooth * np.uint32(3) + noise) // np.uint32(4)
    out = noise.astype(np.uint8)
    return Image.fromarray(out[:, :, 0] if channels == 1 else out)


def deep_pattern(width, height, seed):
    """The same in 16 bits and gray (Pillow's mode I;16), as pattern_image_deep() of the C tests."""
    y, x = np.meshgrid(np.arange(height, dtype=np.uint32), np.arange(width, dtype=np.uint32), indexing="ij")
    h = (x * np.uint32(2654435761) ^ y * np.uint32(2246822519) ^ np.uint32(3266489917)
         ^ np.uint32(seed * 668265263 % 2**32))
    h ^= h >> np.uint32(15)
    h *= np.uint32(2246822519)
    h ^= h >> np.uint32(13)
    noise = h >> np.uint32(16)
    if seed % 2:
        smooth = (x * np.uint32(811) + y * np.uint32(523) + np.uint32(seed * 257)) & np.uint32(65535)
        noise = (smooth * np.uint32(3) + noise) // np.uint32(4)
    return Image.fromarray(noise.astype(np.uint16))


def sha(image):
    return hashlib.sha256(np.asarray(image).tobytes()).hexdigest()


def boxes_of(seed, w, h):
    boxes = [(0, 0, w, h)]
    if seed % 3 == 0 and min(w, h) > 4:
        boxes += [(1, 2, w - 2, h - 1), (0.25, 1.5, w - 0.75, h - 0.5), (0, 0, w - 1, h)]
    return boxes


def resize_lines():
    yield "# seed width height channels filter to_width to_height left top right bottom sha256"
    for seed, (w, h) in enumerate(SIZES):
        for channels in (1, 3):
            for name, value in FILTERS.items():
                image = pattern(w, h, channels, seed)
                to = TARGETS[(seed + channels) % len(TARGETS)]
                for box in boxes_of(seed, w, h):
                    out = image.resize(to, value, box=box)
                    yield f"{seed} {w} {h} {channels} {name} {to[0]} {to[1]} " + \
                        " ".join(f"{v:g}" for v in box) + f" {sha(out)}"


def deep_lines():
    yield "# seed width height filter to_width to_height left top right bottom sha256 (uint16, little endian)"
    for seed, (w, h) in enumerate(SIZES):
        for name, value in FILTERS.items():
            image = deep_pattern(w, h, seed)
            to = TARGETS[(seed + 1) % len(TARGETS)]
            for box in boxes_of(seed, w, h):
                out = image.resize(to, value, box=box)
                yield f"{seed} {w} {h} {name} {to[0]} {to[1]} " + " ".join(f"{v:g}" for v in box) + f" {sha(out)}"


RANDAUGMENT = {  # magnitudes: typical ones and both ends
    "Identity": (0,), "ShearX": (0.3, -0.13), "ShearY": (-0.3, 0.21), "TranslateX": (0.45, -0.1),
    "TranslateY": (-0.45, 0.1), "Rotate": (30, -7.5), "Brightness": (0.9, -0.9, 0.4), "Color": (0.9, -0.9, -0.3),
    "Contrast": (0.9, -0.9, -0.2), "Sharpness": (0.9, -0.9, 0.5), "Posterize": (4, 7, 8), "Solarize": (0, 127.5, 255),
    "AutoContrast": (0,), "Equalize": (0,)}


def apply_op(image, name, by):
    """What torchvision.transforms.RandAugment does; shifts are given here as shares of the side."""
    from torchvision.transforms import autoaugment
    if name.startswith("Translate"):
        by = by * image.size[0]
    return autoaugment._apply_op(image, name, by, F.InterpolationMode.NEAREST, None)


def randaugment_lines():
    yield "# seed side channels operation magnitude sha256"
    for seed, side in enumerate((1, 2, 7, 32, 97, 224)):
        for channels in (1, 3):
            image = pattern(side, side, channels, seed)
            # half of the values only, so that AutoContrast has something to do
            image = image.point([40 + v // 2 for v in range(256)] * channels)
            for name, magnitudes in RANDAUGMENT.items():
                for by in magnitudes:
                    yield f"{seed} {side} {channels} {name} {by!r} {sha(apply_op(image, name, by))}"


def preprocess_lines():
    yield "# seed width height channels fit filter resize crop sha256 (of the RGB result)"
    presets = [("bilinear", 256, 224), ("bilinear", 232, 224), ("bicubic", 256, 224), ("bicubic", 280, 240),
               ("bilinear", 65, 96)]  # the last: smaller than the crop, padded with 0
    for seed, (w, h) in enumerate(SIZES):
        for channels in (1, 3):
            image = pattern(w, h, channels, seed).convert("RGB")
            for name, resize, crop in presets:
                if max(w, h) / min(w, h) < 400:  # torchvision would make a picture of gigabytes of the others
                    out = F.center_crop(F.resize(image, [resize], TV_FILTERS[name]), [crop, crop])
                    yield f"{seed} {w} {h} {channels} crop {name} {resize} {crop} {sha(out)}"
            name = "bicubic" if seed % 2 else "bilinear"
            out = F.resize(image, [224, 224], TV_FILTERS[name])
            yield f"{seed} {w} {h} {channels} squash {name} 256 224 {sha(out)}"


def augment_lines():
    yield "# seed width height channels crop left top crop_width crop_height flip brightness contrast contrast_first sha256"
    rng = np.random.default_rng(1)
    for seed, (w, h) in enumerate(SIZES):
        for channels in (1, 3):
            image = pattern(w, h, channels, seed).convert("RGB")
            cw, ch = int(rng.integers(1, w + 1)), int(rng.integers(1, h + 1))
            left, top = int(rng.integers(0, w - cw + 1)), int(rng.integers(0, h - ch + 1))
            flip, first = int(rng.integers(0, 2)), int(rng.integers(0, 2))
            brightness, contrast = rng.uniform(0.5, 1.5, 2)
            if seed == 5:
                brightness, contrast = 0.0, 1.0
            if seed == 6:
                brightness, contrast = 1.0, 0.0
            out = F.resized_crop(image, top, left, ch, cw, [160, 160], TV_FILTERS["bilinear"])
            out = F.hflip(out) if flip else out
            steps = [F.adjust_brightness, brightness], [F.adjust_contrast, contrast]
            for adjust, factor in (reversed(steps) if first else steps):
                out = adjust(out, factor)
            yield f"{seed} {w} {h} {channels} 160 {left} {top} {cw} {ch} {flip} {brightness!r} {contrast!r} " \
                  f"{first} {sha(out)}".replace("np.float64(", "").replace(")", "")


def normalize_line():
    """ToTensor + Normalize of the 256 values in each channel, as little-endian float32 bytes."""
    column = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    tensor = F.normalize(F.to_tensor(column), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    values = tensor.permute(1, 2, 0).contiguous().numpy().astype("<f4")
    return "# SHA-256 of (256, 1, 3) float32: every pixel value, ImageNet's mean and std\n" + \
        hashlib.sha256(values.tobytes()).hexdigest()


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "tests", "data", "resize")
    os.makedirs(out, exist_ok=True)
    note = f"# Pillow {PIL.__version__}, torchvision {torchvision.__version__}; written by scripts/make_resize_golden.py"
    for name, lines in (("resize", resize_lines()), ("deep", deep_lines()), ("preprocess", preprocess_lines()),
                        ("augment", augment_lines()), ("randaugment", randaugment_lines()),
                        ("normalize", [normalize_line()])):
        with open(os.path.join(out, name + ".txt"), "w", encoding="ascii") as file:
            for line in (note, *lines):
                file.write(line + "\n")


if __name__ == "__main__":
    main()
