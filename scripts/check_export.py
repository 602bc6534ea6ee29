#!/usr/bin/env python3
"""What `engraft export` writes, read by the programs it is meant for.

    check_export.py [--all] [--models A,B@SIDE,...] ENGRAFT ZOO_DUMP

ENGRAFT is the program, ZOO_DUMP the target zoo_dump (tests/golden/dump_network.c: our own logits). Without --models: the
smallest model of each family that `engraft models --json` lists and PyTorch has here, and some at another image size;
--all: every model. Weights are random (seeded, as check_zoo.py makes them), saved with torch.save, and exported:
 pth          torch.load(weights_only=True), load_state_dict(strict=True) into a new torchvision model, every bit the same
 safetensors  the safetensors package gives the same tensors
 onnx         folded and kept batch norms: onnx.checker with full_check, one opset >= 17, input (N,3,S,S), onnxruntime's logits
              for batches of 1 and 3 within 1e-4 of the largest logit of PyTorch's and of ours, number of BatchNormalization
              nodes, the same bytes when written again; with the preprocessing inside: the same from 8-bit pixels
EfficientNet-Lite is exported under our names (torchvision has none): its tensors are compared by value.
Exit 0: all held; 1: something is off; 77: torch, onnx, onnxruntime or safetensors is missing here (skipped).
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import onnx
    import onnxruntime
    import torch
    import torchvision
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    import check_zoo as zoo
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

LOGITS = 1e-4
EXTRA = ("alexnet@200", "swin_t@200", "googlenet@160")  # overlapping adaptive cells, padded windows, odd sides


def need(ok, text):
    if not ok:
        raise zoo.Failed(text)


def apart(got, want):
    return float((torch.as_tensor(got).double() - want.double()).abs().max() / want.double().abs().max())


class Case:
    """One model with random weights in a folder of its own."""

    def __init__(self, args, name, side, folder):
        self.args, self.name, self.folder = args, name, pathlib.Path(folder)
        self.lite = name in zoo.LITE_SIDE
        self.model = zoo.quiet(zoo.build_lite(name) if self.lite else zoo.build_torchvision(name))
        self.own_side = zoo.side_of(name)
        self.side = side or self.own_side
        self.x = zoo.images(3, self.side)
        zoo.randomise(self.model, self.x)
        self.weights = self.folder / "weights.pth"
        torch.save(self.model.state_dict(), self.weights)
        with torch.no_grad():
            self.want = self.model(self.x)
        self.ours, self.names = self.dump()

    def dump(self):
        """Our logits, and {our name of a tensor: its name in the file}."""
        source, out = self.folder / "dump_in.safetensors", self.folder / "dump_out.safetensors"
        save_file({"x": self.x.permute(0, 2, 3, 1).contiguous(), "labels": torch.zeros(3, dtype=torch.int32),
                   "classes": torch.tensor([1000], dtype=torch.int32)}, source)
        r = subprocess.run([self.args.zoo_dump, self.name, self.weights, source, out], text=True, capture_output=True)
        need(r.returncode == 0, f"zoo_dump: {r.stderr.strip()}")
        return load_file(out)["logits"], dict(line.split() for line in r.stdout.splitlines())

    def export(self, file, *options):
        path = self.folder / file
        size = [] if self.side == self.own_side else ["--img-size", str(self.side)]
        r = subprocess.run([self.args.engraft, "export", self.weights, "--model", self.name, "--out", path, "--json", *size,
                            *options], text=True, capture_output=True)
        need(r.returncode == 0, f"export {file}: {r.stderr.strip()}")
        said = json.loads(r.stdout)
        need(said["bytes"] == path.stat().st_size and said["n_classes"] == 1000, f"export {file} says {said}")
        return path

    # ---- weights files ----

    def check_weights(self):
        state = torch.load(self.export("out.pth"), map_location="cpu", weights_only=True)
        source = self.model.state_dict()
        need(list(state) == list(self.names), "pth: other names or another order")
        for own, theirs in self.names.items():
            same = state[own].dtype == source[theirs].dtype and state[own].shape == source[theirs].shape
            need(same and torch.equal(state[own], source[theirs]), f"pth: {own} is not {theirs}")
        if not self.lite:
            zoo.build_torchvision(self.name).load_state_dict(state, strict=True)
        path = self.export("out.safetensors")
        again = load_file(path)
        need(set(again) == set(state), "safetensors: other names")
        need(all(torch.equal(again[k], state[k]) for k in state), "safetensors: other values")
        with safe_open(path, "pt") as f:
            need(f.metadata()["model"] == self.name, "safetensors: metadata")

    # ---- ONNX ----

    def session(self, path, shape, dtype):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        need(len(model.opset_import) == 1 and model.opset_import[0].version >= 17, "onnx: opset")
        props = {p.key: p.value for p in model.metadata_props}
        preset = json.loads(props["preprocessing"])
        need(props["model"] == self.name and preset["crop"] == self.side, f"onnx: metadata {props}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (put,), (get,) = session.get_inputs(), session.get_outputs()
        need((put.name, put.shape, put.type) == ("input", ["N", *shape], f"tensor({dtype})"), f"onnx: input {put}")
        need((get.name, get.shape) == ("logits", ["N", 1000]), f"onnx: output {get}")
        return model, session, preset

    def run(self, session, x, want):
        worst = 0.0
        for n in (1, 3):
            logits = session.run(None, {"input": x[:n]})[0]
            need(logits.shape == (n, 1000), f"onnx: logits of shape {logits.shape}")
            for other in want:
                worst = max(worst, apart(logits, other[:n]))
        need(worst <= LOGITS, f"onnx: logits {worst:.1e} apart")
        return worst

    def check_onnx(self, *options):
        path = self.export("out.onnx", *options)
        model, session, _ = self.session(path, (3, self.side, self.side), "float")
        norms = sum(zoo.is_norm(m) for k, m in self.model.named_modules() if not k.startswith(("aux", "AuxLogits")))
        kept = sum(n.op_type == "BatchNormalization" for n in model.graph.node)
        if "--keep-bn" in options:
            need(kept == norms, f"onnx: {kept} batch norms, expected {norms}")
        else:
            need(kept < norms or norms == 0, f"onnx: {kept} of {norms} batch norms were not folded")
        need(not any(n.op_type == "Softmax" for n in model.graph.node[-3:]), "onnx: ends in a softmax")
        worst = self.run(session, self.x.numpy(), (self.want, self.ours))
        first = path.read_bytes()
        need(self.export("out.onnx", *options, "--overwrite").read_bytes() == first, "onnx: other bytes when written again")
        path.unlink()
        return worst, kept

    def check_pixels(self):
        """The preprocessing inside: 8-bit pixels as PIL and NumPy have them. The images are like those that the running
        statistics come from: on mere noise a random EfficientNet is so ill-conditioned that PyTorch itself is 1e-2 off."""
        path = self.export("pixels.onnx", "--with-preprocessing")
        _, session, preset = self.session(path, (self.side, self.side, 3), "uint8")
        pixels = ((self.x + 2.5) / 5 * 255).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        x = (x - torch.tensor(preset["mean"]).view(3, 1, 1)) / torch.tensor(preset["std"]).view(3, 1, 1)
        with torch.no_grad():
            return self.run(session, pixels, (self.model(x),))


def check(args, spec):
    name, _, side = spec.partition("@")
    torch.manual_seed(zoo.SEED)
    with tempfile.TemporaryDirectory() as folder:
        try:
            case = Case(args, name, int(side or 0), folder)
            case.check_weights()
            folded, left = case.check_onnx()
            kept, norms = case.check_onnx("--keep-bn")
            pixels = case.check_pixels()
        except (zoo.Failed, RuntimeError, ValueError, KeyError, onnx.checker.ValidationError) as e:
            print(f"{spec}: OFF: {e}", flush=True)
            return False
    print(f"{spec}: pth, safetensors equal; onnx logits {folded:.1e} folded ({left} of {norms} batch norms left), "
          f"{kept:.1e} kept, {pixels:.1e} from pixels", flush=True)
    return True


def choose(args):
    listed = json.loads(subprocess.run([args.engraft, "models", "--json"], text=True, check=True, stdout=subprocess.PIPE).stdout)
    there = set(torchvision.models.list_models(module=torchvision.models)) | set(zoo.LITE_SIDE)
    listed = sorted((m for m in listed if m["name"] in there), key=lambda m: m["parameters"])
    names = {m["name"] for m in listed}
    if args.models:
        return [m for m in args.models.split(",") if m]
    if args.all:
        return [m["name"] for m in listed]
    first = {}
    for m in listed:
        first.setdefault(m["family"], m["name"])
    return list(first.values()) + [e for e in EXTRA if e.partition("@")[0] in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engraft")
    parser.add_argument("zoo_dump")
    parser.add_argument("--models")
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    results = {spec: check(args, spec) for spec in choose(args)}
    off = [spec for spec, ok in results.items() if not ok]
    print(f"{len(results) - len(off)} of {len(results)} held" + (f"; OFF: {', '.join(off)}" if off else ""))
    return 1 if off or not results else 0


if __name__ == "__main__":
    sys.exit(main())
