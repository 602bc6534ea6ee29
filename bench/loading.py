#!/usr/bin/env python3
"""Images per second decoded and preprocessed: engraft's loader beside torchvision's ImageFolder, transforms and
DataLoader, in the same run, in turns, two threads and two worker processes.

usage: loading.py BENCH_IMAGES [--engraft PROGRAM] [--images 96] [--rounds 5] [--epochs 2] [--json FILE]
BENCH_IMAGES is the program built from bench/bench_images.c. The images are JPEGs of 1,500 x 1,200, quality 90: phantoms
of `engraft phantom` when --engraft names the program, else drawn here; once gray, once the same saved as colour (as many
public sets have them), once in true colours. Both sides resize the shorter side to 256 (bicubic), crop 224 and
normalise. A round is one start of each side; the first epoch of a start does not count. Printed: median images per
second and the median of the rounds' ratios, exact and fast (libjpeg's DCT scaling).
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

TORCH = """
import sys, time
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision.transforms import InterpolationMode
torch.set_num_threads(1)
chain = transforms.Compose([transforms.Resize(256, interpolation=InterpolationMode.BICUBIC), transforms.CenterCrop(224),
                            transforms.ToTensor(),
                            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
loader = DataLoader(datasets.ImageFolder(sys.argv[1], chain), batch_size=32, shuffle=True, num_workers=2,
                    persistent_workers=True)
for epoch in range(int(sys.argv[2]) + 1):
    begin = time.perf_counter()
    for images, labels in loader:
        pass
    if epoch:
        print("%.6f" % (time.perf_counter() - begin))
"""
WIDTH, HEIGHT = 1500, 1200


def drawn(seed):
    """Like a radiograph in what a decoder sees: smooth shades, soft ribs, fine noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    lungs = sum(np.exp(-(((x - cx) / 260) ** 2 + ((y - 580) / 400) ** 2)) for cx in (450, 1050))
    ribs = np.sin((y + 0.25 * np.abs(x - 750)) / 28 + rng.uniform(0, 6)) * lungs
    image = 150 - 90 * lungs + 22 * ribs + rng.normal(0, 4, (HEIGHT, WIDTH))
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def gray_images(n, engraft, folder):
    """Gray originals as (name of the class, Pillow image)."""
    if engraft:
        subprocess.run([engraft, "phantom", str(folder), "--images", str(n), "--size", f"{WIDTH}x{HEIGHT}",
                        "--image-format", "png", "--quiet"], check=True)
        files = sorted(folder.rglob("*.png"))
        return [(file.parent.name, Image.open(file).convert("L")) for file in files][:n]
    return [("ab"[i % 2], drawn(i)) for i in range(n)]


def write_sets(root, n, engraft):
    tint = np.array([[1.0, 0.85, 0.8]], np.float32)
    for i, (label, image) in enumerate(gray_images(n, engraft, root / "originals")):
        values = np.asarray(image, np.float32)[:, :, None]
        shade = np.linspace(0, 40, WIDTH, dtype=np.float32)[None, :, None] * np.array([1, -1, 0.5], np.float32)
        colour = Image.fromarray(np.clip(values * tint + shade, 0, 255).astype(np.uint8))
        for name, picture in (("gray", image), ("gray as colour", image.convert("RGB")), ("colour", colour)):
            folder = root / name / label
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{i:04}.jpg", quality=90)


def seconds_of(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(line) for line in out.split()]


def compare(program, folder, n, rounds, epochs):
    sides = {"torchvision": [sys.executable, "-c", TORCH, folder, str(epochs)],
             "exact": [program, folder, str(epochs), "2", "exact"],
             "fast": [program, folder, str(epochs), "2", "fast"]}
    times = {side: [] for side in sides}
    for _ in range(rounds):
        for side, command in sides.items():
            times[side].append(min(seconds_of(command)))
    row = {side: round(n / statistics.median(values), 1) for side, values in times.items()}
    for side in ("exact", "fast"):
        row[side + "_ratio"] = round(statistics.median(t / e for t, e in zip(times["torchvision"], times[side])), 2)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--engraft")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--json")
    a = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        write_sets(root, a.images, a.engraft)
        print("| JPEG of 1,500 x 1,200 | torchvision, images/s | engraft exact | ratio | engraft fast | ratio |")
        print("|---|---|---|---|---|---|")
        for kind in ("gray", "gray as colour", "colour"):
            row = compare(a.program, str(root / kind), a.images, a.rounds, a.epochs)
            result[kind] = row
            print(f"| {kind} | {row['torchvision']} | {row['exact']} | {row['exact_ratio']} x | {row['fast']} | "
                  f"{row['fast_ratio']} x |", flush=True)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
