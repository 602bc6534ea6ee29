#!/usr/bin/env python3
"""Write tests/data/net/optimizer_golden.h (ten steps of torch.optim.SGD, AdamW and RMSprop) and schedule_golden.h (learning
rates of torch's schedulers).

    python3 scripts/make_optimizer_golden.py

Needs torch and numpy (made with torch 2.15.0).
"""
import pathlib

import numpy as np
import torch

STEPS, MATRIX, VECTOR = 10, 37, 5
rng = np.random.default_rng(20240229)
WEIGHTS = rng.normal(0, 1, MATRIX + VECTOR).astype(np.float32)
GRADS = (rng.normal(0, 1, (STEPS, MATRIX + VECTOR)) * np.exp(rng.normal(0, 2, MATRIX + VECTOR))).astype(np.float32)


FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "net"
HEADER = "/* Made by scripts/make_optimizer_golden.py: do not edit. */\n/* clang-format off */"


def array(file, ctype, name, values):
    out, row = [], "   "
    for v in np.asarray(values).ravel():
        text = f" {float(v)!r}{'f' if ctype == 'float' else ''},"
        if len(row) + len(text) > 110:
            out.append(row)
            row = "   "
        row += text
    print(f"static const {ctype} {name}[] = {{\n" + "\n".join(out + [row]) + "\n};", file=file)


def run(make, scale):
    """Weights after each step; the decay is for the matrix only."""
    matrix = torch.nn.Parameter(torch.from_numpy(WEIGHTS[:MATRIX].copy()))
    vector = torch.nn.Parameter(torch.from_numpy(WEIGHTS[MATRIX:].copy()))
    opt = make(matrix, vector)
    out = []
    for g in GRADS * np.float32(scale):
        matrix.grad = torch.from_numpy(g[:MATRIX].copy())
        vector.grad = torch.from_numpy(g[MATRIX:].copy())
        opt.step()
        out.append(np.concatenate([matrix.detach().numpy(), vector.detach().numpy()]))
    return out


def sgd(momentum):
    def make(matrix, vector):
        return torch.optim.SGD([{"params": [matrix], "weight_decay": 0.01}, {"params": [vector]}], lr=0.05,
                               momentum=momentum)
    return make


def adamw(matrix, vector):
    return torch.optim.AdamW([{"params": [matrix], "weight_decay": 0.1}, {"params": [vector], "weight_decay": 0.0}],
                             lr=0.02)


def rmsprop(momentum):
    def make(matrix, vector):
        return torch.optim.RMSprop([{"params": [matrix], "weight_decay": 0.01}, {"params": [vector]}], lr=0.004,
                                   momentum=momentum)
    return make


# validation losses with ties, a change too small to count, and a rise
LOSSES = [1.0, 0.8, 0.79999, 0.81, 0.9, 0.7, 0.7, 0.7, 0.69995, 0.75, 0.71, 0.72, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]


def plateau(patience):
    """Learning rate after each of the losses."""
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.1, patience=patience, min_lr=0.0005)
    out = []
    for loss in LOSSES:
        sched.step(loss)
        out.append(opt.param_groups[0]["lr"])
    return out


def rates(make, steps):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    sched = make(opt)
    out = []
    for _ in range(steps):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        sched.step()
    return out


def optimizers(file):
    print(HEADER, file=file)
    print(f"enum {{ GOLDEN_STEPS = {STEPS}, GOLDEN_MATRIX = {MATRIX}, GOLDEN_VECTOR = {VECTOR} }};", file=file)
    array(file, "float", "golden_weights", WEIGHTS)
    array(file, "float", "golden_grads", GRADS)
    array(file, "float", "golden_sgd_momentum", run(sgd(0.9), 1))
    array(file, "float", "golden_sgd_plain", run(sgd(0), 0.25))
    array(file, "float", "golden_adamw", run(adamw, 1))
    array(file, "float", "golden_rmsprop_momentum", run(rmsprop(0.9), 1))
    array(file, "float", "golden_rmsprop_plain", run(rmsprop(0), 0.25))


def schedules(file):
    """6 epochs of 7 steps, 2 epochs of warm-up where there is any; onecycle over 43 steps, the last one left out."""
    lr = torch.optim.lr_scheduler
    print(HEADER, file=file)
    array(file, "double", "golden_step", rates(lambda o: lr.StepLR(o, 2 * 7, 0.1), 42))
    array(file, "double", "golden_cosine", rates(lambda o: lr.SequentialLR(
        o, [lr.LinearLR(o, 1 / 25, 1, 14), lr.CosineAnnealingLR(o, 28, 0.001)], [14]), 42))
    array(file, "double", "golden_onecycle", rates(lambda o: lr.OneCycleLR(o, 0.3, 43), 42))
    array(file, "double", "golden_onecycle_own", rates(lambda o: lr.OneCycleLR(o, 0.3, 43, pct_start=0.5), 42))
    array(file, "double", "golden_plateau_losses", LOSSES)
    array(file, "double", "golden_plateau", plateau(2))
    array(file, "double", "golden_plateau_at_once", plateau(0))


if __name__ == "__main__":
    with open(FOLDER / "optimizer_golden.h", "w") as out:
        optimizers(out)
    with open(FOLDER / "schedule_golden.h", "w") as out:
        schedules(out)
