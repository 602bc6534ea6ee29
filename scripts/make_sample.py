#!/usr/bin/env python3
"""Choose the committed sample of real chest X-rays: samples/chest_xray/ (300 train + 150 test images).

Usage: scripts/make_sample.py SOURCE [OUT]        SOURCE holds {train,test}/{NORMAL,PNEUMONIA}/*.jpeg

The choice is a pure function of the file names, so anyone with the source gets the same files:
- Class shares are those of the original splits (train 74.3 % PNEUMONIA, test 62.5 %); inside a class the shares of
  the series (IM-, NORMAL2-IM-; bacteria, virus) are kept too, by largest remainders.
- Patients are whole: either every image a patient has in that split is taken, or none. Patients are visited in the
  order of the SHA-256 of their id; one whose images would overshoot the series' target is passed over.
- Files are copied byte for byte. Only the standard library is used.
"""
import hashlib
import os
import re
import shutil
import sys

SIZES = {"train": 300, "test": 150}
CLASSES = ("NORMAL", "PNEUMONIA")
# The kermany rule: personN is numbered separately in the bacteria and the virus series (doc: patients.c).
NORMAL = re.compile(r"^((?:NORMAL2-)?IM)-(\d+)-.*\.jpeg$")
PERSON = re.compile(r"^(person\d+)_(bacteria|virus)_.*\.jpeg$")


def patient_of(name):
    """(series, patient id) of a file name, or None for a file that is not an image of the set."""
    match = NORMAL.match(name)
    if match:
        series = "normal2" if match[1].startswith("NORMAL2") else "normal"
        return series, f"{series}/IM-{match[2]}"
    match = PERSON.match(name)
    if match:
        return match[2], f"{match[2]}/{match[1]}"
    return None


def apportion(total, weights):
    """Whole numbers that sum to `total`, proportional to `weights` (largest remainders; ties by name)."""
    all_weight = sum(weights.values())
    exact = {key: total * weight / all_weight for key, weight in weights.items()}
    share = {key: int(value) for key, value in exact.items()}
    rest = total - sum(share.values())
    for key in sorted(exact, key=lambda k: (share[k] - exact[k], k))[:rest]:
        share[key] += 1
    return share


def choose(patients, target, split):
    """Whole patients, in hash order, with exactly `target` images."""
    order = sorted(patients, key=lambda p: hashlib.sha256(f"{split}:{p}".encode()).hexdigest())
    chosen = []
    for patient in order:
        if len(chosen) + len(patients[patient]) <= target:
            chosen += patients[patient]
    if len(chosen) != target:
        sys.exit(f"{split}: whole patients give {len(chosen)} images, {target} wanted")
    return chosen


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    source = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) == 3 else os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "samples", "chest_xray")
    n_bytes = 0
    for split, size in SIZES.items():
        series = {}  # class -> series -> patient -> names
        for label in CLASSES:
            for name in sorted(os.listdir(os.path.join(source, split, label))):
                found = patient_of(name)
                if found:
                    group = series.setdefault(label, {}).setdefault(found[0], {})
                    group.setdefault(found[1], []).append(name)
        count = {c: {s: sum(map(len, p.values())) for s, p in series[c].items()} for c in CLASSES}
        per_class = apportion(size, {c: sum(count[c].values()) for c in CLASSES})
        for label in CLASSES:
            folder = os.path.join(out, split, label)
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            for name, target in apportion(per_class[label], count[label]).items():
                for file in choose(series[label][name], target, split):
                    copy = os.path.join(folder, file)
                    shutil.copyfile(os.path.join(source, split, label, file), copy)
                    os.chmod(copy, 0o644)
                    n_bytes += os.path.getsize(copy)
                print(f"{split}/{label}: {target} images of series {name}")
    print(f"{n_bytes} bytes")


if __name__ == "__main__":
    main()
