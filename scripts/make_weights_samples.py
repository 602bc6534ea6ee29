#!/usr/bin/env python3
"""Write the sample weights files of tests/data/weights/ with PyTorch and safetensors.

Needs torch and safetensors; users never need it. Every value follows from value(k, i) below, which
tests/unit/weights_samples.h repeats in C, so the tests compare every element without a second file.
Run:  python scripts/make_weights_samples.py      (rewrites the folder; zip serialization ids are seeded)
"""
import collections
import io
import os
import zipfile

import torch
from safetensors.torch import save_file

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "data", "weights")

# name, dtype, shape; the position is k
TENSORS = [
    ("f32", torch.float32, (2, 3)),
    ("f64", torch.float64, (5,)),
    ("f16", torch.float16, (4,)),
    ("bf16", torch.bfloat16, (3, 2)),
    ("i64", torch.int64, ()),
    ("i32", torch.int32, (3,)),
    ("i16", torch.int16, (2, 2)),
    ("i8", torch.int8, (4,)),
    ("u8", torch.uint8, (4,)),
    ("bool", torch.bool, (5,)),
    ("view", torch.float32, (4,)),
    ("transposed", torch.float32, (3, 4)),
    ("empty", torch.float32, (0, 3)),
    ("expanded", torch.float32, (3, 4)),
    ("strided", torch.float32, (4,)),
    ("scalar", torch.float32, ()),
]


def value(k, i, dtype):
    if dtype == torch.bool:
        return (i + k) % 2 == 1
    v = (i * 7 + k * 3) % 23
    if dtype == torch.uint8:
        return v
    return (v - 11) * 0.5 if dtype.is_floating_point else v - 11


def dense(k, dtype, shape):
    n = 1
    for side in shape:
        n *= side
    return torch.tensor([value(k, i, dtype) for i in range(n)], dtype=dtype).reshape(shape)


def tensor(k):
    name, dtype, shape = TENSORS[k]
    t = dense(k, dtype, shape)
    if name == "view":
        base = torch.zeros(10)
        base[2:6] = t
        return base[2:6]
    if name == "transposed":
        return t.t().contiguous().t()
    if name == "expanded":  # every row holds one value: element i has value(k, i // 4)
        return dense(k, dtype, (3, 1)).expand(3, 4)
    if name == "strided":
        base = torch.zeros(10)
        base[::3] = t
        return base[::3]
    return t


def state(prefix=""):
    return collections.OrderedDict((prefix + TENSORS[k][0], tensor(k)) for k in range(len(TENSORS)))


def both(name, thing):
    torch.save(thing, os.path.join(OUT, "zip_" + name + ".pth"))
    torch.save(thing, os.path.join(OUT, "legacy_" + name + ".pth"), _use_new_zipfile_serialization=False)


def deflated(name, thing):
    """The same archive, unpacked and zipped again by another program: compressed, no descriptors."""
    stream = io.BytesIO()
    torch.save(thing, stream)
    with zipfile.ZipFile(stream) as source, \
            zipfile.ZipFile(os.path.join(OUT, name), "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            target.writestr(zipfile.ZipInfo(item.filename), source.read(item),
                            compress_type=zipfile.ZIP_DEFLATED)


def small_model():
    """Weights, and SGD and Adam states beside them, all from the formula."""
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(2, 2))
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(dense(k, torch.float32, tuple(p.shape)))
    optimizers = [torch.optim.SGD(net.parameters(), 0.1, momentum=0.9), torch.optim.Adam(net.parameters())]
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    saved = net.state_dict()
    saved = collections.OrderedDict((k, v.clone()) for k, v in saved.items())
    saved._metadata = net.state_dict()._metadata
    for o in optimizers:
        o.step()
    return saved, optimizers


def main():
    os.makedirs(OUT, exist_ok=True)
    torch.manual_seed(0)
    both("plain", state())
    both("nested", {"epoch": 3, "state_dict": state(), "best": 0.5, "arch": "x", "classes": ["a", "b"],
                    "time": -12345678901, "size": torch.Size([1, 2]), "device": torch.device("cpu"),
                    "dtype": torch.float16, "raw": b"\x00\xff", "none": None, "pair": (1, [2.5, True])})
    both("module", state("module."))
    both("parameter", collections.OrderedDict((TENSORS[k][0], torch.nn.Parameter(tensor(k))) for k in (0, 1)))
    both("two", {"model": state(), "ema": state()})
    both("list", [torch.zeros(2)])
    saved, optimizers = small_model()
    both("model", saved)
    both("training", {"model": saved, "sgd": optimizers[0].state_dict(), "adam": optimizers[1].state_dict(),
                      "epoch": 7})
    deflated("zip_deflated.pth", state())
    save_file({TENSORS[k][0]: tensor(k).contiguous() for k in range(len(TENSORS))},
              os.path.join(OUT, "plain.safetensors"), metadata={"format": "pt", "made by": "a \"test\" \u00e9"})
    os.chmod(os.path.join(OUT, "plain.safetensors"), 0o644)


if __name__ == "__main__":
    main()
