#!/usr/bin/env python3
"""engraft beside what a user would run instead, one table: `make bench-peers` (PYTHON= a Python with torch, torchvision
and onnxruntime; ROWS=, DATA= choose rows and images).

    peers.py [--engraft PROGRAM] [--bench-net PROGRAM] [--rows ROW,ROW] [--data FOLDER] [--rounds 5] [--list]

Each row is measured in turns, one side after the other in every round, so that a busy machine hits both; medians count.
The peer is tried in every configuration that a row names (those far behind after warming up are left out, and listed),
and its best one counts. Rows measured now replace the same rows in bench/results/peers.json; the table beside it,
peers.md, is drawn from that file. A row that engraft cannot do yet has no ratio and does not count as passed.
The peers themselves: peer_torch.py. This process imports none of them.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from peer_torch import BATCH, SIDE, image_files, threads

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results")
EPOCHS = 25        # of the frozen study
FAR_BEHIND = 1.5   # times the best configuration's seconds after warming up: not measured further

F32 = [("f32", False), ("f32", True)]
BF16 = [("bf16", False), ("bf16", True)]
BF16_PREDICT = BF16 + [("bf16w", False)]


def step_row(row, title, model, mode, dtype, peers, floor, goal, onnx=False):
    return dict(row=row, title=title, kind="steps", model=model, mode=mode, dtype=dtype, peers=peers, onnx=onnx,
                floor=floor, goal=goal, better="higher", unit="img/s")


ROWS = [
    step_row("resnet50-train-f32", "ResNet-50 fine-tuning step, f32", "resnet50", "train", "f32", F32, 1.2, 1.4),
    step_row("resnet50-train-bf16", "ResNet-50 fine-tuning step, bf16", "resnet50", "train", "bf16", BF16, 1.15, 1.35),
    step_row("efficientnet_b0-train-f32", "EfficientNet-B0 fine-tuning step, f32", "efficientnet_b0", "train", "f32",
             F32 + BF16, 1.7, 2.5),
    step_row("efficientnet_b0-train-bf16", "EfficientNet-B0 fine-tuning step, bf16", "efficientnet_b0", "train", "bf16",
             F32 + BF16, 2.0, 3.5),
    step_row("resnet50-predict-f32", "ResNet-50 prediction, f32", "resnet50", "predict", "f32", [], 0.97, 1.02, True),
    step_row("resnet50-predict-bf16", "ResNet-50 prediction, bf16", "resnet50", "predict", "bf16", BF16_PREDICT, 1.1, 1.2),
    step_row("efficientnet_b0-predict-f32", "EfficientNet-B0 prediction, f32", "efficientnet_b0", "predict", "f32", [],
             1.1, 1.5, True),
    step_row("efficientnet_b0-predict-bf16", "EfficientNet-B0 prediction, bf16", "efficientnet_b0", "predict", "bf16",
             BF16_PREDICT, 1.4, 2.0),
    dict(row="frozen-study", title=f"frozen study: {EPOCHS} epochs of the head, decode included (EfficientNet-B0)",
         kind="frozen", model="efficientnet_b0", floor=20, goal=40, better="higher", unit="s"),
    dict(row="cold-start", title="cold start: one JPEG to probabilities (EfficientNet-B0)", kind="cold",
         model="efficientnet_b0", floor=30, goal=60, better="higher", unit="s"),
    dict(row="peak-memory", title="peak memory of a ResNet-50 fine-tuning step, batch 16, f32", kind="memory",
         model="resnet50", floor=0.6, goal=0.45, better="lower", unit="MB"),
    dict(row="epoch-data", title="training epoch with decode and augmentation, against the bare step (EfficientNet-B0)",
         kind="epoch", model="efficientnet_b0", floor=1.05, goal=1.02, better="lower", unit="ms/img"),
]


class Missing(Exception):
    """engraft cannot do the row yet; the text says what is missing."""


class Failed(Exception):
    """The row could not be measured; the text says why."""


# ---- the two sides ----

def engraft_steps(program, model, mode, repeats, dtype=()):
    """bench_net's answer: seconds of each repeat (one more warms up), peak_bytes."""
    out = subprocess.run([program, model, mode, str(BATCH), str(repeats), *dtype], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def dtype_words(program, dtype):
    """How bench_net is told the number format; None: it does not know this one."""
    if dtype == "f32":
        return []
    for words in (["--dtype", dtype], [dtype]):
        if subprocess.run([program, "small_cnn", "predict", "1", "1", *words], capture_output=True).returncode == 0:
            return words
    return None


def say(text):
    print(f"  {time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


class Peer:
    """A worker process of peer_torch.py holding one configuration."""

    def __init__(self, name=""):
        self.name, self.samples = name, []
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "peer_torch.py"), "worker"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def run(self, n):
        return self.ask(do="run", n=n)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def configuration_name(dtype, compiled):
    return {"f32": "f32", "bf16": "bf16 autocast", "bf16w": "bf16 weights"}[dtype] + (
        ", torch.compile" if compiled else ", eager") + ", channels_last"


def open_peers(requests, warm_up):
    """Workers of all configurations (name, request) that work and are not far behind; and what became of the others."""
    peers, left_out = [], []
    for name, request in requests:
        peer = Peer(name)
        say(f"warming up: {name}")
        try:
            peer.ask(**request)
            peer.run(1)
            peer.warm = min(peer.run(warm_up)["seconds"])
            peers.append(peer)
        except Failed as e:
            left_out.append({"configuration": name, "error": str(e)})
            peer.close()
    best = min((p.warm for p in peers), default=0)
    for peer in [p for p in peers if p.warm > FAR_BEHIND * best]:
        left_out.append({"configuration": peer.name, "warm_up_seconds": peer.warm})
        peers.remove(peer)
        peer.close()
    if not peers:
        raise Failed("no configuration of the peer works: " + "; ".join(x.get("error", "") for x in left_out))
    return peers, left_out


def drop(peers, best):
    """Close all but the best; what they took to warm up."""
    others = [p for p in peers if p is not best]
    for peer in others:
        peer.close()
    return [{"configuration": p.name, "warm_up_seconds": p.warm} for p in others]


def best_of(peers):
    return min(peers, key=lambda p: statistics.median(p.samples))


# ---- the kinds of rows: each returns ours, peer, ratio, peer_configuration, and what else is worth keeping ----

def measure_steps(row, a):
    words = dtype_words(a.bench_net, row["dtype"])
    if words is None:
        raise Missing(f"engraft has no {row['dtype']} yet")
    requests = [(configuration_name(d, c), dict(do="steps", model=row["model"], mode=row["mode"], dtype=d, compiled=c))
                for d, c in row["peers"]]
    if row["onnx"]:
        path = os.path.join(a.work, row["model"] + ".onnx")
        requests.append(("ONNX Runtime, f32, all graph optimisations", dict(do="onnx", model=row["model"], path=path)))
    peers, left_out = open_peers(requests, 2)
    mine, per_round = [], 2 if row["mode"] == "train" else 4
    for i in range(a.rounds):
        say(f"round {i + 1} of {a.rounds}")
        mine += engraft_steps(a.bench_net, row["model"], row["mode"], per_round, words)["seconds"]
        for peer in peers:
            peer.samples += peer.run(per_round)["seconds"]
    best = best_of(peers)
    ours, theirs = BATCH / statistics.median(mine), BATCH / statistics.median(best.samples)
    tried = [{"configuration": p.name, "value": BATCH / statistics.median(p.samples)} for p in peers] + left_out
    for peer in peers:
        peer.close()
    return dict(ours=ours, peer=theirs, ratio=ours / theirs, peer_configuration=best.name, tried=tried, samples=len(mine),
                ours_best=BATCH / min(mine), peer_best=BATCH / min(best.samples))


def weights_of(model, a):
    """A weights file of the model, made once: random values, torchvision's names."""
    path = os.path.join(a.work, model + ".pth")
    if not os.path.exists(path):
        peer = Peer()
        peer.ask(do="weights", model=model, path=path)
        peer.close()
    return path


def engraft_train(a, model, mode, data, out, *options):
    """Seconds of an `engraft train`, from start of the process to its end."""
    command = [a.engraft, "train", data, "--model", model, "--mode", mode, "--weights", weights_of(model, a), "--out", out,
               "--batch-size", str(BATCH), "--overwrite", "-q", "--no-feature-cache", *options]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed("engraft train: " + done.stderr.strip())
    return time.perf_counter() - start


def measure_frozen(row, a):
    # both sides see the training images only: a test folder would be scored once by us and never by the peer
    tree = os.path.join(a.work, "train-only")
    if not os.path.exists(tree):
        os.mkdir(tree)
        shutil.copytree(os.path.join(a.data, "train"), os.path.join(tree, "train"))
    folder = os.path.join(tree, "train")
    # the best way through the trunk by the prediction step; then the best way to feed it by one epoch; that one is
    # measured in turns with us
    types = {configuration_name(d, c): (d, c) for d, c in F32 + BF16}
    peers, left_out = open_peers([(name, dict(do="steps", model=row["model"], mode="predict", dtype=d, compiled=c))
                                  for name, (d, c) in types.items()], 5)
    best = min(peers, key=lambda p: p.warm)
    left_out += drop(peers, best)
    best.close()
    dtype, compiled = types[best.name]
    peers, more = open_peers([(f"{best.name}, DataLoader with {w} workers",
                               dict(do="epochs", model=row["model"], folder=folder, dtype=dtype, compiled=compiled, workers=w))
                              for w in (0, 1)], 1)
    best = min(peers, key=lambda p: p.warm)
    left_out += more + drop(peers, best)
    out = os.path.join(a.work, "frozen")
    mine = []
    for i in range(a.rounds):
        say(f"round {i + 1} of {a.rounds}")
        mine.append(engraft_train(a, row["model"], "frozen", tree, out, "--head", "recipe", "--epochs", str(EPOCHS),
                                  "--augment", "none"))
        best.samples += best.run(1)["seconds"]
    best.close()
    ours, theirs = statistics.median(mine), EPOCHS * statistics.median(best.samples)
    return dict(ours=ours, peer=theirs, ratio=theirs / ours, peer_configuration=best.name, tried=left_out,
                samples=len(mine), images=len(image_files(folder)),
                note=f"ours: the whole `engraft train --mode frozen --head recipe`, start of the process to its end, with "
                     f"validation and checkpoints; peer: {EPOCHS} times the median epoch, start-up not counted")


def measure_cold(row, a):
    run, image = os.path.join(a.work, "cold"), sorted(image_files(a.data))[0]
    small = os.path.join(a.work, "small")
    for folder in ("NORMAL", "PNEUMONIA"):  # any run will do: 8 images a class
        os.makedirs(os.path.join(small, "train", folder), exist_ok=True)
        files = sorted(f for f in image_files(a.data) if os.sep + folder + os.sep in f)[:8]
        if not files:
            raise Failed(f"--data {a.data}: no folder {folder}")
        for f in files:
            shutil.copy(f, os.path.join(small, "train", folder))
    engraft_train(a, row["model"], "frozen", small, run, "--epochs", "1", "--patients", "none")
    weights = weights_of(row["model"], a)
    sides = {"ours": [a.engraft, "predict", run, image, "--json", "-q"],
             "peer": [sys.executable, os.path.join(HERE, "peer_torch.py"), "predict", weights, image]}
    seconds = {side: [] for side in sides}
    for i in range(a.rounds + 1):  # the first one reads the disk
        for side, command in sides.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if i > 0:
                seconds[side].append(time.perf_counter() - start)
    ours, theirs = (statistics.median(seconds[side]) for side in ("ours", "peer"))
    return dict(ours=ours, peer=theirs, ratio=theirs / ours, samples=a.rounds,
                peer_configuration="script: import torch, torchvision, load state dict, one image; f32, eager")


def measure_memory(row, a):
    mine, theirs = [], []
    for i in range(a.rounds):
        say(f"round {i + 1} of {a.rounds}")
        mine.append(engraft_steps(a.bench_net, row["model"], "train", 2)["peak_bytes"] / 1e6)
        peer = Peer()
        peer.ask(do="steps", model=row["model"], mode="train", dtype="f32", compiled=False)
        theirs.append(peer.run(3)["peak_bytes"] / 1e6)
        peer.close()
    ours, peer = statistics.median(mine), statistics.median(theirs)
    return dict(ours=ours, peer=peer, ratio=ours / peer, samples=len(mine), peer_configuration=configuration_name("f32", False),
                note="both: peak resident size (VmHWM) of a process that does three steps and nothing else")


def measure_epoch(row, a):
    out, bare, epoch = os.path.join(a.work, "epoch"), [], []
    for i in range(a.rounds):
        say(f"round {i + 1} of {a.rounds}")
        bare.append(statistics.median(engraft_steps(a.bench_net, row["model"], "train", 5)["seconds"]) * 1e3 / BATCH)
        engraft_train(a, row["model"], "finetune", a.data, out, "--epochs", "2", "--opt", "sgd", "--sched", "constant",
                      "--lr", "0.001", "--warmup-epochs", "0", "--augment", "light", "--dtype", "f32")
        with open(os.path.join(out, "history.jsonl")) as f:
            last = f.read().splitlines()[-1]  # the first epoch also reads the disk
        epoch.append(1e3 / json.loads(last)["images_per_second"])
    ours, peer = statistics.median(epoch), statistics.median(bare)
    return dict(ours=ours, peer=peer, ratio=ours / peer, samples=len(epoch), images=len(image_files(os.path.join(a.data, "train"))),
                peer_configuration="engraft's own training step on numbers already in memory (bench_net)")


MEASURE = {"steps": measure_steps, "frozen": measure_frozen, "cold": measure_cold, "memory": measure_memory,
           "epoch": measure_epoch}


# ---- the result ----

def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def peer_version(row, versions):
    if row["kind"] == "epoch":
        return "engraft"
    if row.get("onnx"):
        return f"ONNX Runtime {versions['onnxruntime']}"
    return f"PyTorch {versions['torch']}, torchvision {versions['torchvision']}"


def judge(row, ratio):
    """Does the ratio reach floor and goal?"""
    return [ratio is not None and (ratio >= limit if row["better"] == "higher" else ratio <= limit)
            for limit in (row["floor"], row["goal"])]


def measure(row, a, versions):
    """The row's entry of the list; figures null and `note` set where it could not be measured."""
    start = os.getloadavg()[0]
    say(row["title"])
    entry = {k: row[k] for k in ("row", "title", "unit", "better", "floor", "goal")}
    entry.update(ours=None, peer=None, ratio=None, peer_version=peer_version(row, versions), peer_configuration=None)
    try:
        entry.update(MEASURE[row["kind"]](row, a))
    except Missing as e:
        entry["note"] = f"not there yet: {e}"
    except (Failed, subprocess.CalledProcessError) as e:
        entry["note"] = f"failed: {e}"
    entry["floor_passed"], entry["goal_reached"] = judge(row, entry["ratio"])
    entry.update(cpu=cpu_name(), threads=threads(), batch=BATCH, img_size=SIDE, load_before=start,
                 date=time.strftime("%Y-%m-%d"))
    return entry


def figure(value):
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(entries):
    lines = ["| work | unit | engraft | peer | ratio | floor | goal | | peer and its best configuration |",
             "|---|---|---|---|---|---|---|---|---|"]
    for e in entries:
        sign = "<= " if e["better"] == "lower" else ""
        word = "goal" if e["goal_reached"] else "floor" if e["floor_passed"] else "missed" if e["ratio"] else e["note"].split(":")[0]
        what = f"{e['peer_version']}: {e['peer_configuration']}" if e["peer_configuration"] else e.get("note", "")
        lines.append(f"| {e['title']} | {e['unit']} | {figure(e['ours'])} | {figure(e['peer'])} | {figure(e['ratio'])} | "
                     f"{sign}{e['floor']} | {sign}{e['goal']} | {word} | {what} |")
    return "\n".join(lines)


def page(entries):
    passed, goals = (sum(e[k] for e in entries) for k in ("floor_passed", "goal_reached"))
    dates = sorted({e["date"] for e in entries})
    machine = sorted({f"{e['cpu']}, {e['threads']} threads" for e in entries})
    return (f"# engraft beside its peers\n\n`make bench-peers`, {' and '.join([dates[0], dates[-1]][:len(dates)])}, "
            f"{'; '.join(machine)}; batch {BATCH}, {SIDE} pixels; medians of rounds in turns.\n"
            f"Floors passed: {passed} of {len(entries)}; goals reached: {goals}. A row that was not measured counts as not passed.\n\n"
            + table(entries) + "\n\nRatios of speed and of time say how many times faster engraft is; those marked <= are engraft's "
            "figure over the other one. The numbers behind every row: peers.json.\n")


def store(entries, folder):
    os.makedirs(folder, exist_ok=True)
    path, order = os.path.join(folder, "peers.json"), [r["row"] for r in ROWS]
    known = {}
    if os.path.exists(path):
        with open(path) as f:
            known = {e["row"]: e for e in json.load(f)}
    known.update({e["row"]: e for e in entries})
    whole = [known[row] for row in order if row in known]
    for name, text in (("peers.json", json.dumps(whole, indent=1) + "\n"), ("peers.md", page(whole))):
        with open(os.path.join(folder, name + ".new"), "w") as f:
            f.write(text)
        os.replace(os.path.join(folder, name + ".new"), os.path.join(folder, name))
    return whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engraft", default=os.path.join(HERE, "../build/release/engraft"))
    parser.add_argument("--bench-net", default=os.path.join(HERE, "../build/release/bench_net"))
    parser.add_argument("--rows", help="only these, separated by commas (--list shows all)")
    parser.add_argument("--data", default=os.path.join(HERE, "../samples/chest_xray"), help="class folders below train/ (and test/)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side; medians of at least 5 are what the table is for")
    parser.add_argument("--out", default=RESULTS, help="folder of peers.json and peers.md")
    parser.add_argument("--list", action="store_true")
    a = parser.parse_args()
    if a.list:
        print("\n".join(f"{r['row']:30} {r['title']}" for r in ROWS))
        return
    wanted = a.rows.split(",") if a.rows else [r["row"] for r in ROWS]
    unknown = [w for w in wanted if w not in [r["row"] for r in ROWS]]
    if unknown:
        sys.exit(f"peers.py: no row {', '.join(unknown)} - --list shows all")
    a.engraft, a.bench_net, a.data = (os.path.abspath(p) for p in (a.engraft, a.bench_net, a.data))
    peer = Peer()
    versions = peer.ask(do="versions")
    peer.close()
    with tempfile.TemporaryDirectory(prefix="engraft-bench-") as a.work:
        for row in [r for r in ROWS if r["row"] in wanted]:
            entry = measure(row, a, versions)
            whole = store([entry], a.out)  # a broken run keeps what it has
            print(f"{entry['row']:30} ours {figure(entry['ours']):>7}  peer {figure(entry['peer']):>7} {entry['unit']:6} "
                  f"ratio {figure(entry['ratio']):>6}  {entry.get('note', '') if entry['ratio'] is None else entry['peer_configuration']}",
                  flush=True)
    print("\n" + page(whole))
    sys.exit(any(e.get("note", "").startswith("failed") for e in whole if e["row"] in wanted))


if __name__ == "__main__":
    main()
