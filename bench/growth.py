#!/usr/bin/env python3
"""How cost grows as the work grows: `make bench-growth` (ROWS=batch,side,threads,images; Python's own library only).

    growth.py [--engraft PROGRAM] [--data FOLDER] [--only batch,side,threads,images] [--repeats 3] [--out docs]

Time and memory of a step against batch, image side and threads (`engraft bench --json`), and of whole runs against the
number of images: the sample's images linked under new names until there are enough, through a small network, so that what
grows is the work on images. Writes growth.json, and growth.svg drawn from it; both axes are logarithmic, so that cost in
proportion to the work is a line of slope 1. Curves measured now replace the same ones in the file.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.abspath(__file__))
BATCHES, SIDES, THREADS = [1, 2, 4, 8, 16, 32, 64], [128, 160, 224, 320, 384, 512], [1, 2]
IMAGES = [500, 1500, 5000, 15000, 50000]
STEPS = [("resnet50", "train", "f32"), ("resnet50", "train", "bf16"), ("efficientnet_b0", "train", "f32"),
         ("efficientnet_b0", "predict", "f32"), ("efficientnet_b0", "predict", "bf16")]
COLOURS = ["#1b6ca8", "#d1495b", "#66a182", "#8d6a9f", "#edae49"]


def say(text):
    print(f"  {time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


# ---- measuring: each gives points {x, seconds, bytes} of one curve ----

def step(a, model, mode, dtype, batch=16, side=224, threads=0):
    done = subprocess.run([a.engraft, "bench", model, "--mode", mode, "--dtype", dtype, "--batch-size", str(batch), "--img-size",
                           str(side), "--threads", str(threads), "--repeats", str(a.repeats), "--json", "-q"],
                          check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    return {"seconds": answer["seconds"], "bytes": answer["arena_bytes"]}


def step_curves(a, name, values):
    for model, mode, dtype in STEPS:
        points = []
        for value in values:
            say(f"{model} {mode} {dtype}: {name} {value}")
            options = {name: value}
            if name == "side":
                options["batch"] = 4
            points.append({"x": value, **step(a, model, mode, dtype, **options)})
        yield {"kind": name, "curve": f"{model} {mode} {dtype}", "points": points}


def linked_images(source, folder, part, n):
    """n images in class folders of equal share below folder/part, links to the source's under new names."""
    for name in sorted(os.listdir(source)):
        files = sorted(os.path.join(source, name, f) for f in os.listdir(os.path.join(source, name)))
        os.makedirs(os.path.join(folder, part, name))
        for i in range(n // 2):
            os.link(files[i % len(files)], os.path.join(folder, part, name, f"person{i}_{os.path.basename(files[i % len(files)])}"))


def run(a, *words):
    """Seconds and peak resident bytes of a command."""
    start = time.perf_counter()
    process = subprocess.Popen([a.engraft, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"growth.py: engraft {' '.join(words)}: {error.decode().strip()}")
    return {"seconds": time.perf_counter() - start, "bytes": usage.ru_maxrss * 1024}


def image_curves(a):
    curves = {"train small_cnn, 64 px, one epoch": [], "train small_cnn, --max-memory 300M": [], "eval small_cnn, 64 px": []}
    # links must not leave the file system of their targets
    with tempfile.TemporaryDirectory(prefix=".growth-", dir=os.path.dirname(a.data)) as work:
        for n in IMAGES:
            say(f"{n} images")
            folder, tested, out = (os.path.join(work, f"{part}{n}") for part in ("train", "test", "run"))
            linked_images(os.path.join(a.data, "train"), folder, "train", n)
            linked_images(os.path.join(a.data, "train"), tested, "test", n)
            train = ["train", folder, "--model", "small_cnn", "--mode", "scratch", "--img-size", "64", "--epochs", "1",
                     "--patients", "none", "--out", out, "--dtype", "f32", "--no-feature-cache", "--overwrite", "-q"]
            seen = [run(a, *train), run(a, *train, "--max-memory", "300M"),
                    run(a, "eval", out, tested, "--no-feature-cache", "-q")]
            for curve, point in zip(curves, seen):
                curves[curve].append({"x": n, **point})
    return [{"kind": "images", "curve": k, "points": v} for k, v in curves.items()]


# ---- drawing ----

def ticks(low, high):
    """Powers of ten, with 2 and 5 between where there is room."""
    steps = (1, 2, 5) if high / low < 300 else (1,)
    found = [m * 10.0 ** e for e in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1) for m in steps]
    return [t for t in found if low * 0.999 <= t <= high * 1.001]


def label(v, unit):
    if unit == "B":
        for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if v >= size:
                return f"{v / size:g} {name}"
    if unit == "s" and v < 1:
        return f"{v * 1e3:g} ms"
    return f"{v:g}{' s' if unit == 's' else ''}"


def panel(x0, y0, w, h, title, curves, key, unit, xs):
    values = [p[key] for c in curves for p in c["points"]]
    low, high = min(values) / 1.3, max(values) * 1.3
    left, right = min(xs) / 1.1, max(xs) * 1.1
    px = lambda x: x0 + w * math.log(x / left) / math.log(right / left)
    py = lambda y: y0 + h - h * math.log(y / low) / math.log(high / low)
    out = [f'<text x="{x0}" y="{y0 - 10}" class="title">{escape(title)}</text>',
           f'<rect x="{x0}" y="{y0}" width="{w}" height="{h}" class="frame"/>']
    for t in ticks(low, high):
        out.append(f'<path d="M{x0} {py(t):.1f}h{w}" class="grid"/><text x="{x0 - 6}" y="{py(t) + 4:.1f}" class="y">{label(t, unit)}</text>')
    for x in xs:
        out.append(f'<text x="{px(x):.1f}" y="{y0 + h + 16}" class="x">{x:g}</text>')
    for i, c in enumerate(curves):
        line = " ".join(f"{px(p['x']):.1f},{py(p[key]):.1f}" for p in c["points"])
        colour = COLOURS[i % len(COLOURS)]
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{px(p["x"]):.1f}" cy="{py(p[key]):.1f}" r="3" fill="{colour}"/>' for p in c["points"]]
    return "\n".join(out)


NAMES = {"batch": "images a batch, 224 pixels", "side": "image side in pixels, batch 4", "threads": "threads, batch 16, 224 pixels",
         "images": "images"}
MEMORY = {"images": "peak of the process"}


def draw(curves):
    kinds = [k for k in NAMES if any(c["kind"] == k for c in curves)]
    w, h, parts = 380, 190, []
    for row, kind in enumerate(kinds):
        mine = [c for c in curves if c["kind"] == kind]
        xs = sorted({p["x"] for c in mine for p in c["points"]})
        y = 60 + row * 330
        parts.append(panel(80, y, w, h, f"time against {NAMES[kind]}", mine, "seconds", "s", xs))
        parts.append(panel(560, y, w, h, f"memory ({MEMORY.get(kind, 'arena of a step')}) against {NAMES[kind]}", mine, "bytes", "B", xs))
        for i, c in enumerate(mine):
            x, ly = 80 + (i % 3) * 300, y + h + 40 + (i // 3) * 20
            parts.append(f'<path d="M{x} {ly - 4}h22" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="3"/>'
                         f'<text x="{x + 28}" y="{ly}">{escape(c["curve"])}</text>')
    height = 60 + len(kinds) * 330
    style = ("text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.frame{fill:none;stroke:#888}.grid{stroke:#ddd}"
             ".x{text-anchor:middle}.y{text-anchor:end}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 {height}" width="980" height="{height}"><style>{style}</style>'
            f'<rect width="980" height="{height}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def slopes(curves):
    """Growth of each curve's upper half as a power of x: 1 is in proportion."""
    for c in curves:
        a, b = c["points"][(len(c["points"]) - 1) // 2], c["points"][-1]
        power = {k: math.log(b[k] / a[k]) / math.log(b["x"] / a["x"]) if b is not a else float("nan") for k in ("seconds", "bytes")}
        print(f"{c['kind']:8} {c['curve']:36} from {a['x']:>6} to {b['x']:>6}: time x^{power['seconds']:.2f}, memory x^{power['bytes']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engraft", default=os.path.join(HERE, "../build/release/engraft"))
    parser.add_argument("--data", default=os.path.join(HERE, "../samples/chest_xray"), help="class folders below train/")
    parser.add_argument("--only", default=",".join(NAMES), help="which curves, separated by commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", default=os.path.join(HERE, "../docs"), help="folder of growth.json and growth.svg")
    a = parser.parse_args()
    a.engraft, a.data = os.path.abspath(a.engraft), os.path.abspath(a.data)
    path = os.path.join(a.out, "growth.json")
    known = {}
    if os.path.exists(path):
        with open(path) as f:
            known = {(c["kind"], c["curve"]): c for c in json.load(f)}
    for kind in a.only.split(","):
        if kind not in NAMES:
            sys.exit(f"growth.py: no curves '{kind}' - there are {', '.join(NAMES)}")
        found = image_curves(a) if kind == "images" else step_curves(a, kind, {"batch": BATCHES, "side": SIDES, "threads": THREADS}[kind])
        for c in found:
            known[(c["kind"], c["curve"])] = c
            with open(path, "w") as f:
                json.dump(list(known.values()), f, indent=1)
                f.write("\n")
    with open(os.path.join(a.out, "growth.svg"), "w") as f:
        f.write(draw(list(known.values())))
    slopes(list(known.values()))


if __name__ == "__main__":
    main()
