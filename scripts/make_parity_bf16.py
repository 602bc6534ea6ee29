#!/usr/bin/env python3
"""Write tests/golden/parity/bf16.json: how far PyTorch's own bf16 (torch.autocast on the CPU) is from float64 on the
networks, weights and inputs of the parity tests. tests/golden/test_parity_bf16.c holds ours to twice of it: what rounding
to 8 bits costs a network is a property of the network, and PyTorch's is what users accept. Each figure is the worst of
four equivalent runs (plain, channels_last, samples reversed, input moved by half a unit of bf16), because one run is luck.
Gradients: relative L2 error of each parameter, by its place in the state dict, three digits. Usage: make_parity_bf16.py
[MODEL...]
"""
import copy
import json
import pathlib
import sys

import torch

import parity_models as pm

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "parity" / "bf16.json"


def variants():
    x, y = pm.batch()
    yield x, y, torch.contiguous_format
    yield x.to(memory_format=torch.channels_last), y, torch.channels_last
    yield x.flip(0).contiguous(), y.flip(0), torch.contiguous_format
    torch.manual_seed(1)
    yield x * (1 + (torch.rand_like(x) - 0.5) * 2**-8), y, torch.contiguous_format


def loss_of(model, x, y):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(x)
    return torch.nn.functional.cross_entropy(logits.float(), y)


def sgd_losses(model, x, y, layout):
    """as pm.sgd_losses, under autocast"""
    m = copy.deepcopy(model).float().train().to(memory_format=layout)
    optimizer, losses = torch.optim.SGD(m.parameters(), lr=pm.LR, momentum=pm.MOMENTUM), []
    for _ in range(pm.STEPS):
        optimizer.zero_grad()
        loss = loss_of(m, x, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def measure(name):
    model = pm.build(name)
    order = list(model.state_dict().keys())
    golden = json.loads((OUT.parent / f"{name}.json").read_text())
    x, _ = pm.batch()
    with torch.no_grad():
        want = model.double().eval()(x.double())
    model.float()
    _, _, exact = pm.gradients(model, torch.float64)
    total = sum(float(g.norm()) ** 2 for g in exact.values()) ** 0.5
    eval_error, whole, curve, errors = 0.0, 0.0, 0.0, {k: 0.0 for k in exact}
    for i, (x, y, layout) in enumerate(variants()):
        m = copy.deepcopy(model).to(memory_format=layout)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            logits = m.eval()(x).double()
        reference = want.flip(0) if i == 2 else want
        eval_error = max(eval_error, float((logits - reference).abs().max() / want.abs().max()))
        loss_of(m.train(), x, y).backward()
        square = 0.0
        for k, p in m.named_parameters():
            off = float((p.grad.double() - exact[k]).norm())
            square += off * off
            errors[k] = max(errors[k], off / max(float(exact[k].norm()), 1e-30))
        whole = max(whole, square**0.5 / total)
        losses = sgd_losses(model, x, y, layout)
        curve = max(curve, max(abs(a - b) / b for a, b in zip(losses, golden["sgd_losses"])))
    return {"torch": torch.__version__, "eval_error": float(f"{eval_error:.3g}"),
            "gradient_error": float(f"{whole:.3g}"), "loss_error": float(f"{curve:.3g}"),
            "tensors": {str(order.index(k)): float(f"{v:.3g}") for k, v in errors.items()}}


def main():
    data = json.loads(OUT.read_text()) if OUT.exists() else {}
    for name in sys.argv[1:] or pm.MODELS:
        data[name] = measure(name)
        OUT.write_text(json.dumps(data, separators=(",", ":")) + "\n")
        print({k: v for k, v in data[name].items() if k != "tensors"}, name, flush=True)


if __name__ == "__main__":
    main()
