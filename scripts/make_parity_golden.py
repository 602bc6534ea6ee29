#!/usr/bin/env python3
"""Write tests/golden/parity/<model>.json from PyTorch: evaluation logits, training loss, gradients in float64 as norm and
random projections (signs by the shared formula), the losses of ten SGD steps. Usage: make_parity_golden.py [MODEL...]"""
import json
import pathlib
import sys

import numpy as np
import torch

import parity_models as pm


def projections(g, index):
    flat = g.double().numpy().ravel()
    out = []
    for j in range(pm.PROJECTIONS):
        signs = np.where(pm.uniform(pm.SIGN_STREAM + index * pm.PROJECTIONS + j, flat.size) < 0.5, -1.0, 1.0)
        out.append(float(signs @ flat))
    return out


def golden(name):
    model = pm.build(name)
    x, _ = pm.batch()
    with torch.no_grad():
        logits = model.double().eval()(x.double())
        own = model.float().eval()(x)
    loss, train_logits, exact = pm.gradients(model, torch.float64)
    errors = pm.torch_f32_errors(model, exact)
    order = list(model.state_dict().keys())
    tensors = []
    for key, g in exact.items():
        norm = float(g.norm())
        index = order.index(key)
        tensors.append({"index": index, "name": key, "norm": norm, "torch_f32_error": errors[key],
                        "projections": projections(g, index)})
    return {"model": name, "torch": torch.__version__, "classes": pm.CLASSES, "labels": pm.LABELS,
            "eval_logits": logits.flatten().tolist(),
            "torch_f32_eval_error": float((own.double() - logits).abs().max() / logits.abs().max()),
            "train_loss": loss, "train_logits": train_logits.flatten().tolist(), "gradients": tensors,
            "lr": pm.LR, "momentum": pm.MOMENTUM, "sgd_losses": pm.sgd_losses(model, torch.float64),
            "sgd_losses_torch_f32": pm.sgd_losses(model, torch.float32)}


def main():
    out = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "parity"
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or pm.MODELS:
        data = golden(name)
        (out / f"{name}.json").write_text(json.dumps(data, indent=0) + "\n")
        worst = max(t["torch_f32_error"] for t in data["gradients"] if t["norm"] > 1e-9)
        print(f"{name}: loss {data['train_loss']:.6f}, worst float32 gradient error of torch {worst:.2e}, "
              f"losses {data['sgd_losses'][0]:.4f} .. {data['sgd_losses'][-1]:.4f} "
              f"(f32 {data['sgd_losses_torch_f32'][-1]:.4f})")


if __name__ == "__main__":
    main()
