#!/usr/bin/env python3
"""Small .npz files in MedMNIST's layout for tests/cli/cases/data_npz: made-up pictures, nothing of the real sets.

  rgb.npz         four classes, RGB, deflated, with train, val and test (each class is bright in a corner of its own)
  gray.npz        two classes, gray, stored, images and labels without splits, int64 labels
  multilabel.npz  labels (n, 14) as ChestMNIST has them, which engraft refuses

usage: scripts/make_medmnist_samples.py [FOLDER]     needs numpy; the committed files are in tests/data/medmnist
"""
import os
import sys

import numpy as np

rng = np.random.default_rng(3)


def pictures(labels, channels, side):
    shape = (len(labels), side, side, channels) if channels > 1 else (len(labels), side, side)
    out = rng.integers(0, 60, shape).astype(np.uint8)
    half = side // 2
    for i, label in enumerate(labels):
        row, column = divmod(int(label) % 4, 2)
        out[i, row * half : (row + 1) * half, column * half : (column + 1) * half] += 150
    return out


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/data/medmnist"
    os.makedirs(folder, exist_ok=True)
    arrays = {}
    for split, n in ("train", 24), ("val", 8), ("test", 8):
        labels = np.arange(n) % 4
        arrays[f"{split}_images"] = pictures(labels, 3, 12)
        arrays[f"{split}_labels"] = labels.astype(np.uint8)[:, None]
    np.savez_compressed(os.path.join(folder, "rgb.npz"), **arrays)
    labels = np.arange(30) % 2
    np.savez(os.path.join(folder, "gray.npz"), images=pictures(labels, 1, 8), labels=labels.astype(np.int64))
    labels = rng.integers(0, 2, (4, 14)).astype(np.uint8)
    images = pictures(np.arange(4) % 2, 1, 12)
    np.savez_compressed(os.path.join(folder, "multilabel.npz"), train_images=images, train_labels=labels,
                        test_images=images, test_labels=labels)


if __name__ == "__main__":
    main()
