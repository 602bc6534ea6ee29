#!/usr/bin/env python3
"""Does `engraft data` find what `engraft phantom` plants, and nothing in a clean phantom?

    scripts/check_data_findings.py build/release/engraft [--seeds 10] [--images 400] [--work DIR] [--only CAUSE,...]

Prints the table of docs/figures.md: each cause, in how many seeds it was found, and by which findings. Exit code 1 when a
data fault is missed or a clean phantom has an error or a warning. Causes that are no faults of the data (a hard signal, a
signal that needs resolution) or that no picture of the set shows (which disease a class consists of) are listed, and
nothing is demanded of them. Needs Python 3 only."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

# cause -> findings of which one is enough; None: not demanded
WANTED = {
    "label_noise": ("label_noise", "mixed_patients"),
    "imbalance": ("imbalance",),
    "prior_shift": ("prior_shift",),
    "framing_shift": ("framing_shift", "drift"),
    "patient_leak": ("patient_leak",),
    "duplicates": ("duplicates_across_splits",),
    "marker": ("shortcut",),
    "exposure_drift": ("exposure_drift",),
    "blur_drift": ("sharpness_drift",),
    "noise_drift": ("noise_drift",),
    "few_images": ("few_images",),
    "hard_signal": None,
    "subtype_shift": None,
    "resolution": None,
}


def findings(engraft, folder, images, seed, cause):
    command = [engraft, "phantom", folder, "--images", str(images), "--seed", str(seed), "-q"]
    if cause:
        command += ["--plant", cause]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([engraft, "data", folder, "--json", "-q"], check=True, stdout=subprocess.PIPE)
    shutil.rmtree(folder)
    return [f["kind"] for f in json.loads(done.stdout)["findings"] if f["severity"] != "note"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engraft")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--work")
    parser.add_argument("--only", help="causes, separated by commas; clean is one")
    args = parser.parse_args()
    causes = ["clean"] + list(WANTED)
    if args.only:
        causes = [c for c in causes if c in args.only.split(",")]
    work = tempfile.mkdtemp(dir=args.work)
    failed = False
    print("| planted | found in | findings (seeds) |\n|---|---|---|")
    for cause in causes:
        hits, tally = 0, {}
        for seed in range(args.seeds):
            kinds = findings(args.engraft, os.path.join(work, "set"), args.images, seed, None if cause == "clean" else cause)
            for kind in set(kinds):
                tally[kind] = tally.get(kind, 0) + 1
            wanted = WANTED.get(cause)
            hits += bool(kinds) if cause == "clean" or not wanted else any(k in wanted for k in kinds)
        if cause == "clean":
            failed |= hits > 0
        elif WANTED[cause]:
            failed |= hits < args.seeds
        label = cause if cause == "clean" or WANTED[cause] else cause + " (not demanded)"
        text = ", ".join(f"{k} {n}" for k, n in sorted(tally.items(), key=lambda t: -t[1]))
        print(f"| {label} | {hits}/{args.seeds} | {text or '-'} |", flush=True)
    shutil.rmtree(work)
    return failed


if __name__ == "__main__":
    sys.exit(main())
