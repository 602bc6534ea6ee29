#!/usr/bin/env python3
"""Is a run in bf16 as good as one in f32? Both are trained with the same seeds and compared image by image.

    check_dtype.py ENGRAFT DATA WEIGHTS [--model efficientnet_lite0] [--modes frozen,finetune] [--epochs 5] [--seeds 0,1]
                   [--out FOLDER] [--json FILE]

ENGRAFT is the program, DATA a tree of class folders with two classes, WEIGHTS the pretrained file of the model. Each mode
and seed is trained in f32 and in bf16 into FOLDER (default build/check_dtype); runs that are complete there are kept, so the
script can be stopped and called again. For validation and test it prints accuracy and AUC of both with their intervals
(summary.json), and bf16 minus f32 on the same images (predictions-*.csv): accuracy by Newcombe's paired interval (1998, method
10) and McNemar's exact test, AUC by the paired DeLong interval (1988). All intervals are of 95 % and about the images only:
two fine-tunings also differ because training drifts apart, as with another seed. With several --seeds the mean difference of
each mode and split and its range over the seeds follow. Python's own library only.
Exit 0: every interval of a difference contains 0; 1: one does not; 2: a run failed or was not computed in its format.
"""
import argparse
import bisect
import csv
import json
import math
import pathlib
import subprocess
import sys

Z = 1.959963984540054  # of 95 %
TYPES = ("f32", "bf16")


class Failed(Exception):
    pass


# ---- runs ----

def train(a, mode, seed, dtype):
    """The folder and the summary of a run, trained unless it is complete from earlier with the same options."""
    folder = pathlib.Path(a.out) / f"{a.model}-{mode}-e{a.epochs}-s{seed}-{dtype}"
    if not (folder / "summary.json").exists():
        print(f"training {folder.name}", file=sys.stderr, flush=True)
        done = subprocess.run([a.engraft, "train", a.data, "--model", a.model, "--mode", mode, "--weights", a.weights,
                               "--epochs", str(a.epochs), "--seed", str(seed), "--dtype", dtype, "--out", str(folder),
                               "--overwrite", "-q"], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{folder.name}: {done.stderr.strip()}")
    summary = json.loads((folder / "summary.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    if summary["dtype"] != dtype or config["settings"]["dtype"] != dtype:
        raise Failed(f"{folder.name}: was computed in {summary['dtype']}")
    return folder, summary, config


def scores(folder, split):
    """{file: (label, probability of the positive class)}; the columns are file, label, p_<class>, p_<positive class>."""
    with open(folder / f"predictions-{split}.csv", newline="") as f:
        rows = list(csv.reader(f))
    if len(rows[0]) != 4:
        raise Failed(f"{folder.name}: two classes expected, found {len(rows[0]) - 2}")
    positive = rows[0][3].removeprefix("p_")
    return {r[0]: (r[1] == positive, float(r[3]), float(r[3]) > float(r[2])) for r in rows[1:]}


# ---- statistics ----

def wilson(k, n):
    centre, spread = k + Z * Z / 2, Z * math.sqrt(k * (n - k) / n + Z * Z / 4)
    return (centre - spread) / (n + Z * Z), (centre + spread) / (n + Z * Z)


def paired_accuracy(a, b):
    """b minus a of two lists of right or wrong: difference, interval, McNemar's exact p."""
    n, both = len(a), sum(x and y for x, y in zip(a, b))
    only_a, only_b = sum(a) - both, sum(b) - both
    none = n - both - only_a - only_b
    pa, pb, (la, ua), (lb, ub) = sum(a) / n, sum(b) / n, wilson(sum(a), n), wilson(sum(b), n)
    cross = both * none - only_a * only_b
    if cross > 0:
        cross = max(cross - n / 2, 0)
    margins = math.sqrt(float(both + only_a) * (only_b + none) * (both + only_b) * (only_a + none))
    phi = cross / margins if margins else 0.0

    def add(d, e):
        return math.sqrt(max(d * d - 2 * phi * d * e + e * e, 0))

    d, m, k = pb - pa, only_a + only_b, min(only_a, only_b)
    p = min(1.0, 2 * sum(math.comb(m, i) for i in range(k + 1)) / 2 ** m)
    return d, (d - add(pb - lb, ua - pa), d + add(ub - pb, pa - la)), p


def placements(labels, values):
    """Of each positive the share of negatives below it, of each negative the share of positives above it; ties half."""
    pos = sorted(v for y, v in zip(labels, values) if y)
    neg = sorted(v for y, v in zip(labels, values) if not y)

    def share(v, others):
        return (bisect.bisect_left(others, v) + bisect.bisect_right(others, v)) / (2 * len(others))

    return ([share(v, neg) for y, v in zip(labels, values) if y],
            [1 - share(v, pos) for y, v in zip(labels, values) if not y])


def covariance(x, y):
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((p - mx) * (q - my) for p, q in zip(x, y)) / (len(x) - 1)


def mean_interval(positive, negative):
    """A mean over positives with DeLong's variance: also right for the difference of two sets of placements."""
    mean = sum(positive) / len(positive)
    spread = Z * math.sqrt(covariance(positive, positive) / len(positive) + covariance(negative, negative) / len(negative))
    return mean, (mean - spread, mean + spread)


def minus(x, y):
    return [p - q for p, q in zip(x, y)]


def compare(f32, bf16):
    """bf16 minus f32; the sides are what scores() gives."""
    files = sorted(f32)
    if files != sorted(bf16):
        raise Failed("the two runs were not scored on the same images")
    labels = [f32[f][0] for f in files]
    d, ci, p = paired_accuracy(*([run[f][2] == run[f][0] for f in files] for run in (f32, bf16)))
    (pos_a, neg_a), (pos_b, neg_b) = (placements(labels, [run[f][1] for f in files]) for run in (f32, bf16))
    auc_d, auc_ci = mean_interval(minus(pos_b, pos_a), minus(neg_b, neg_a))
    return dict(n=len(files), difference=d, ci=ci, p=p, auc_difference=auc_d, auc_ci=auc_ci,
                equal=ci[0] <= 0 <= ci[1] and auc_ci[0] <= 0 <= auc_ci[1])


# ---- the table ----

def percent(v, ci, sign=""):
    return f"{100 * v:{sign}.1f} [{100 * ci[0]:{sign}.1f}, {100 * ci[1]:{sign}.1f}]"


def real(v, ci, sign=""):
    return f"{v:{sign}.4f} [{ci[0]:{sign}.4f}, {ci[1]:{sign}.4f}]"


def show(row):
    a, b = row["f32"], row["bf16"]
    print(f"{row['mode']}, seed {row['seed']}, {row['split']} ({row['n']} images): "
          f"{'equal within the interval' if row['equal'] else 'DIFFERENT'}")
    print(f"  accuracy %  f32 {percent(a['accuracy'], a['accuracy_ci'])}  bf16 {percent(b['accuracy'], b['accuracy_ci'])}"
          f"  difference {percent(row['difference'], row['ci'], '+')}  p {row['p']:.3f}")
    print(f"  AUC         f32 {real(a['auc'], a['auc_ci'])}  bf16 {real(b['auc'], b['auc_ci'])}"
          f"  difference {real(row['auc_difference'], row['auc_ci'], '+')}")


def show_seeds(rows):
    for key in dict.fromkeys((r["mode"], r["split"]) for r in rows):
        same = [r for r in rows if (r["mode"], r["split"]) == key]
        for what, name, scale in (("difference", "accuracy, points", 100), ("auc_difference", "AUC", 1)):
            v = [scale * r[what] for r in same]
            print(f"{key[0]}, {key[1]}, {len(v)} seeds: {name}, bf16 minus f32: mean {sum(v) / len(v):+.4g}, "
                  f"from {min(v):+.4g} to {max(v):+.4g}")


def measure(a):
    rows = []
    for mode in a.modes.split(","):
        for seed in a.seeds.split(","):
            runs = [train(a, mode, seed, dtype) for dtype in TYPES]
            if len({(config["data"]["fingerprint"], config["settings"]["weights-sha256"]) for _, _, config in runs}) > 1:
                raise Failed(f"{runs[0][0].name}, {runs[1][0].name}: other data or weights - remove the older one")
            seconds = [(s["feature_seconds"] or 0) + s["train_seconds"] for _, s, _ in runs]
            for split in ("val", "test"):
                if (runs[0][0] / f"predictions-{split}.csv").exists():
                    rows.append(dict(mode=mode, seed=int(seed), split=split, seconds=dict(zip(TYPES, seconds)),
                                     **dict(zip(TYPES, (summary[split] for _, summary, _ in runs))),
                                     **compare(*(scores(folder, split) for folder, _, _ in runs))))
                    show(rows[-1])
            print(f"  training and features: f32 {seconds[0]:.1f} s, bf16 {seconds[1]:.1f} s\n", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engraft")
    parser.add_argument("data")
    parser.add_argument("weights")
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--modes", default="frozen,finetune")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--out", default="build/check_dtype")
    parser.add_argument("--json", help="also write every figure to this file")
    a = parser.parse_args()
    try:
        rows = measure(a)
    except Failed as e:
        print(f"check_dtype: {e}", file=sys.stderr)
        return 2
    for row in rows:
        for t in TYPES:  # the run's own figures, without its curves
            row[t] = {k: row[t][k] for k in ("accuracy", "accuracy_ci", "auc", "auc_ci", "loss", "n")}
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(dict(model=a.model, epochs=a.epochs, rows=rows), indent=1) + "\n")
    if "," in a.seeds:
        show_seeds(rows)
    different = [r for r in rows if not r["equal"]]
    print(f"{len(rows) - len(different)} of {len(rows)} comparisons equal within their intervals")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
