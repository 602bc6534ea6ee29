#!/usr/bin/env python3
"""Time to load a .pth, and the memory it takes: engraft's reader beside torch.load(mmap=False), in the same run.

usage: load_weights.py BENCH_LOAD [FILE.pth] [--rounds 7]
BENCH_LOAD is the program built from bench/bench_load.c. Without a file, a torchvision resnet50 with random weights is
saved into the temporary folder. The two sides take turns, each run is a fresh process that loads twice, and the second
load counts (file in the page cache, libraries loaded). engraft verifies the CRC32 of every record in it; torch.load
does the same. Prints medians, their ratio, and the peak memory (ru_maxrss) of a process that only loads.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

TORCH = """
import resource, sys, time
import torch
torch.set_num_threads(%d)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for i in range(2):
    t = time.perf_counter()
    state = torch.load(sys.argv[1], mmap=False, weights_only=True, map_location="cpu")
    print("%%.6f" %% (time.perf_counter() - t))
    del state
print("peak", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def run(command):
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    seconds = [float(line) for line in lines if line and not line.startswith("peak")]
    return seconds[-1], int([line for line in lines if line.startswith("peak")][0].split()[1])


def resnet50():
    import torch
    import torchvision
    path = os.path.join(tempfile.gettempdir(), "engraft_bench_resnet50.pth")
    if not os.path.exists(path):
        torch.manual_seed(0)
        torch.save(torchvision.models.resnet50(weights=None).state_dict(), path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("file", nargs="?")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    path = args.file or resnet50()
    size = os.path.getsize(path)
    sides = {"engraft": [args.program, path, "2"], "engraft_f32": [args.program, path, "2", "f32"],
             "torch": [sys.executable, "-c", TORCH % (os.cpu_count() or 1), path]}
    seconds = {side: [] for side in sides}
    for _ in range(args.rounds):
        for side, command in sides.items():
            seconds[side].append(run(command)[0])
    once = run([args.program, path, "1"])[1]
    median = {side: statistics.median(values) for side, values in seconds.items()}
    print(json.dumps({
        "file_bytes": size, "rounds": args.rounds, "median_ms": {k: round(1e3 * v, 2) for k, v in median.items()},
        "ratio": round(median["engraft"] / median["torch"], 3),
        "ratio_with_conversion": round(median["engraft_f32"] / median["torch"], 3),
        "peak_bytes_engraft": once, "peak_over_file": round(once / size, 3)}, indent=2))


if __name__ == "__main__":
    main()
