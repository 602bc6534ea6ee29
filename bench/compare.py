#!/usr/bin/env python3
"""engraft beside PyTorch in the same run: images per second of a training step (SGD with momentum) and of prediction.

Usage: bench/compare.py BENCH_NET [--models resnet50,efficientnet_b0] [--repeats 5] [--rounds 2] [--json FILE]
The two take turns (one round each, `rounds` times) so that a busy machine hits both; the figure is the median of all
repeats. PyTorch: eager, float32, channels_last, batch 16, 224 pixels, as many threads as the process may use.
"""
import argparse
import json
import platform
import statistics
import subprocess
import time

import torch

from peer_torch import BATCH, step_function, threads, timed


def ours(program, model, mode, repeats):
    out = subprocess.run([program, model, mode, str(BATCH), str(repeats)], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def peer(model, mode, repeats):
    step = step_function(model, mode)
    step()
    return timed(step, repeats)


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--models", default="resnet50,efficientnet_b0")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json")
    a = parser.parse_args()
    torch.set_num_threads(threads())
    rows = []
    for model in a.models.split(","):
        for mode in ("train", "predict"):
            mine, theirs, peak = [], [], 0
            for _ in range(a.rounds):
                r = ours(a.program, model, mode, a.repeats)
                mine += r["seconds"]
                peak = max(peak, r["peak_bytes"])
                theirs += peer(model, mode, a.repeats)
            m, t = BATCH / statistics.median(mine), BATCH / statistics.median(theirs)
            rows.append({"row": f"{model} {mode} f32", "ours": m, "peer": t, "ratio": m / t, "ours_peak_bytes": peak,
                         "ours_best": BATCH / min(mine), "peer_best": BATCH / min(theirs)})
            print(f"{rows[-1]['row']:32} engraft {m:7.2f} img/s   PyTorch {t:7.2f} img/s   ratio {m / t:5.2f}   "
                  f"(best of each: {rows[-1]['ours_best']:.2f} / {rows[-1]['peer_best']:.2f})", flush=True)
    if a.json:
        about = {"peer": f"PyTorch {torch.__version__}, eager, float32, channels_last", "cpu": cpu_name(),
                 "threads": torch.get_num_threads(), "batch": BATCH, "repeats": a.repeats * a.rounds, "rows": rows}
        with open(a.json, "w") as f:
            json.dump(about, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
