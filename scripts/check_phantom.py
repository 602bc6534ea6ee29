#!/usr/bin/env python3
"""What a linear probe sees in phantoms, over seeds: nothing but opacities when clean, and each planted fault.

usage: check_phantom.py ENGRAFT [--seeds N] [--images N] [--size WxH] [--only CAUSE]

For every seed a clean phantom is made and measured by logistic regression on 32x32 thumbnails (scikit-learn; where
that is not there the script ends with 77, "skipped"):
  class      AUC on test of a probe trained on train: the signal's strength, wanted .80 to .97
  border     the same with only the outer 12 % of each side left: wanted near .5, since opacities lie in the lungs
  domain N/P AUC of telling train from test within one class, cross-validated with patients kept together: near .5
then each fault of `phantom --plant`, at the default strength, by the figure it must move. A row that fails its
bound ends the script with 1. The bounds are of means over the seeds.
"""
import argparse
import collections
import csv
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from PIL import Image
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

SIDE = 32
BORDER = round(0.12 * SIDE)


class Phantom:
    """The files of one phantom: rows of truth.csv, thumbnails, and figures of the full pictures."""

    def __init__(self, folder):
        with open(os.path.join(folder, "truth.csv"), newline="") as file:
            self.rows = list(csv.DictReader(file))
        thumbs, self.sharpness, self.grain, self.digests = [], [], [], []
        for row in self.rows:
            path = os.path.join(folder, row["file"])
            with open(path, "rb") as file:
                self.digests.append(hashlib.sha256(file.read()).hexdigest())
            image = Image.open(path)
            thumbs.append(np.asarray(image.resize((SIDE, SIDE), Image.BILINEAR), dtype=np.float64) / 255)
            full = np.asarray(image, dtype=np.float64)
            steps = np.diff(full, axis=1)
            self.sharpness.append(np.abs(steps).mean() / full.mean())
            # differences of differences across a pixel: what is left is mostly noise
            self.grain.append(np.median(np.abs(full[:, :-2] - 2 * full[:, 1:-1] + full[:, 2:])) / full.mean())
        self.thumbs = np.stack(thumbs)
        self.label = np.array([row["label"] == "PNEUMONIA" for row in self.rows], dtype=int)
        self.true = np.array([row["true_label"] == "PNEUMONIA" for row in self.rows], dtype=int)
        self.split = np.array([row["split"] for row in self.rows])
        self.patient = np.array([row["patient"] for row in self.rows])

    def of(self, split, label=None):
        mask = self.split == split
        return mask if label is None else mask & (self.label == label)


def probe():
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=500))


def flat(thumbs, border_only=False):
    if not border_only:
        return thumbs.reshape(len(thumbs), -1)
    mask = np.ones((SIDE, SIDE), dtype=bool)
    mask[BORDER:-BORDER, BORDER:-BORDER] = False
    return thumbs[:, mask]


def class_auc(p, border_only=False, to="test"):
    x = flat(p.thumbs, border_only)
    model = probe().fit(x[p.of("train")], p.label[p.of("train")])
    return roc_auc_score(p.label[p.of(to)], model.decision_function(x[p.of(to)]))


def grouped_auc(x, y, groups):
    """AUC of telling y apart, patients kept together, mean of five parts."""
    folds, parts = [], GroupKFold(5)
    for train, test in parts.split(x, y, groups):
        if len(set(y[train])) < 2 or len(set(y[test])) < 2:
            continue
        folds.append(roc_auc_score(y[test], probe().fit(x[train], y[train]).decision_function(x[test])))
    return statistics.mean(folds)


def domain_auc(p, label):
    mask = p.of("train", label) | p.of("test", label)
    return grouped_auc(flat(p.thumbs)[mask], (p.split[mask] == "test").astype(int), p.patient[mask])


def ratio(values, p):
    values = np.array(values)
    return values[p.of("test")].mean() / values[p.of("train")].mean()


def shared_patients(p):
    return len(set(p.patient[p.of("train")]) & set(p.patient[p.of("test")]))


def repeated_files(p):
    return sum(n - 1 for n in collections.Counter(p.digests).values())


def ill_share(p, split):
    return p.label[p.of(split)].mean()


def kind_share(p, split):
    ill = [row for row in p.rows if row["split"] == split and row["opacity"] != "none"]
    return sum(row["opacity"] == "diffuse" for row in ill) / len(ill)


# name, figure, least and largest mean allowed
CLEAN = [
    ("class AUC", class_auc, 0.80, 0.97),
    ("border AUC", lambda p: class_auc(p, True), 0.42, 0.58),
    ("domain AUC NORMAL", lambda p: domain_auc(p, 0), 0.42, 0.58),
    ("domain AUC PNEUMONIA", lambda p: domain_auc(p, 1), 0.42, 0.58),
    ("brightness test/train", lambda p: ratio(p.thumbs.mean(axis=(1, 2)), p), 0.98, 1.02),
    ("sharpness test/train", lambda p: ratio(p.sharpness, p), 0.97, 1.03),
    ("grain test/train", lambda p: ratio(p.grain, p), 0.97, 1.03),
    ("shared patients", shared_patients, 0, 0),
    ("repeated files", repeated_files, 0, 0),
    ("flipped labels", lambda p: (p.label != p.true).sum(), 0, 0),
]
FAULTS = {
    "label_noise": ("flipped share of train", lambda p: (p.label != p.true)[p.of("train")].mean(), 0.19, 0.21),
    "imbalance": ("PNEUMONIA share of train", lambda p: ill_share(p, "train"), 0.82, 0.85),
    "prior_shift": ("PNEUMONIA share, test - train", lambda p: ill_share(p, "test") - ill_share(p, "train"), 0.19, 0.21),
    "framing_shift": ("domain AUC NORMAL", lambda p: domain_auc(p, 0), 0.85, 1),
    "patient_leak": ("shared patients", shared_patients, 5, 30),
    "duplicates": ("repeated files", repeated_files, 4, 8),
    "marker": ("border AUC on val", lambda p: class_auc(p, True, "val"), 0.75, 0.95),
    "exposure_drift": ("brightness test/train", lambda p: ratio(p.thumbs.mean(axis=(1, 2)), p), 0.7, 0.88),
    "blur_drift": ("sharpness test/train", lambda p: ratio(p.sharpness, p), 0, 0.8),
    "noise_drift": ("grain test/train", lambda p: ratio(p.grain, p), 1.5, 4),
    "few_images": ("train images", lambda p: p.of("train").sum(), 30, 60),
    "hard_signal": ("class AUC", class_auc, 0.45, 0.75),
    "subtype_shift": ("diffuse share, test - train", lambda p: kind_share(p, "test") - kind_share(p, "train"), 0.3, 0.8),
    "resolution": ("class AUC", class_auc, 0.45, 0.85),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engraft")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--size", default="224x224")
    parser.add_argument("--only", help="this cause, or 'clean'")
    args = parser.parse_args()
    bad = []

    def make(seed, folder, cause=None):
        command = [args.engraft, "phantom", folder, "--images", str(args.images), "--size", args.size,
                   "--seed", str(seed), "--overwrite", "--json"] + (["--plant", cause] if cause else [])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return Phantom(folder)

    def show(what, name, values, low, high):
        mean = statistics.mean(values)
        sound = low <= mean <= high
        if not sound:
            bad.append(f"{what}: {name}")
        print(f"{what:15} {name:30} {mean:7.3f} {min(values):7.3f} {max(values):7.3f}   {low:g} to {high:g}"
              f"{'' if sound else '   FAILED'}", flush=True)

    print(f"{'planted':15} {'figure':30} {'mean':>7} {'least':>7} {'most':>7}   wanted")
    with tempfile.TemporaryDirectory() as folder:
        if args.only in (None, "clean"):
            phantoms = [make(seed, folder + "/p") for seed in range(args.seeds)]
            for name, figure, low, high in CLEAN:
                show("-", name, [float(figure(p)) for p in phantoms], low, high)
        for cause, (name, figure, low, high) in FAULTS.items():
            if args.only not in (None, cause):
                continue
            show(cause, name, [float(figure(make(seed, folder + "/p", cause))) for seed in range(args.seeds)],
                 low, high)
    if bad:
        print("failed: " + ", ".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
