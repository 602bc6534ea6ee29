#!/usr/bin/env python3
"""Write the sample weights files of tests/data/weights/ with PyTorch and safetensors.

Needs torch and safetensors; users never need it. Every value follows from value(k, i) below, which
tests/unit/weights_samples.h repeats in C, so the tests compare every element without a second file.
Run:  python scripts/make_weights_samples.py      (rewrites the folder; zip serialization ids are seeded)
"""
import collections
import io
import os
import pickle
import struct
import tarfile
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


class Global:
    """Pickled as a bare module.name: the tensor classes of 2017 are not pickled any more by this torch."""

    def __init__(self, module, name):
        self.line = b"c" + module.encode() + b"\n" + name.encode() + b"\n"


class OldPickler(pickle._Pickler):
    """The pickler of torch 0.1.1: tensors are numbers as text, classes are globals."""

    def __init__(self, file, number_of=lambda thing: None):
        super().__init__(file, protocol=2)
        self.number_of = number_of

    def persistent_id(self, thing):
        number = self.number_of(thing) if isinstance(thing, torch.Tensor) else None
        return None if number is None else str(number)

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(obj.line)
        else:
            super().save(obj, save_persistent_id)


CLASSES = {torch.float32: "Float", torch.float64: "Double", torch.float16: "Half", torch.int64: "Long",
           torch.int32: "Int", torch.int16: "Short", torch.int8: "Char", torch.uint8: "Byte"}


def tar(name, thing, tensors, window=None):
    """The container of torch 0.1.1, as its serialization.py wrote it; checked by loading it with this torch.

    `tensors`: everything in `thing`, in order. `window`: index of one whose storage becomes a view of a longer one.
    """
    address = 94210000000000  # numbers are addresses: larger than 32 bits
    roots, numbers, layouts, views = {}, {}, [], []
    for i, t in enumerate(tensors):
        raw = t.untyped_storage()
        numbers[id(t)] = address + 1000000 + 96 * i
        at, offset = roots.setdefault(raw.data_ptr(), (address + 64 * i, raw, t.dtype))[0], t.storage_offset()
        if i == window:
            views.append((address + 2000000, at, offset, t.numel()))
            at, offset = views[0][0], 0
        layouts.append((numbers[id(t)], at, t, offset))

    def dump(thing, stream):
        OldPickler(stream, lambda t: numbers.get(id(t))).dump(thing)

    members = {k: io.BytesIO() for k in ("sys_info", "pickle", "tensors", "storages")}
    dump({"protocol_version": 1000, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}},
         members["sys_info"])
    dump(thing, members["pickle"])
    dump(len(layouts), members["tensors"])
    for number, at, t, offset in layouts:
        dump((number, at, Global("torch", CLASSES[t.dtype] + "Tensor")), members["tensors"])
        members["tensors"].write(struct.pack("<ii", t.dim(), 7))  # the 7 is what lay behind an int written as a long
        members["tensors"].write(struct.pack("<%dq" % (2 * t.dim() + 1), *t.shape, *t.stride(), offset))
    dump(len(roots), members["storages"])
    for at, raw, dtype in roots.values():
        dump((at, "cpu", Global("torch", CLASSES[dtype] + "Storage")), members["storages"])
        members["storages"].write(struct.pack("<q", len(raw) // dtype.itemsize) + bytes(raw.tolist()))
    dump(views, members["storages"])
    path = os.path.join(OUT, "tar_" + name + ".pth")
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for member, stream in members.items():
            info = tarfile.TarInfo(member)
            info.size, info.mtime = stream.tell(), 1489000000.25  # a time that is no integer makes a pax header
            stream.seek(0)
            archive.addfile(info, stream)
    check_tar(path, thing)


def check_tar(path, wanted):
    """What torch itself reads from it: each tensor's type, shape and values."""
    found = torch.load(path, weights_only=False)
    found, wanted = found.get("model", found), wanted.get("model", wanted)
    assert list(found) == list(wanted), path
    for key, t in wanted.items():
        assert found[key].dtype == t.dtype and found[key].shape == t.shape and torch.equal(found[key], t), (path, key)


def tars():
    """Types that 2017 had. One storage is a view, and one is shared by two tensors."""
    every = state()
    old = collections.OrderedDict((k, t) for k, t in every.items() if t.dtype in CLASSES and t.numel() > 0)
    tensors = list(old.values())
    tar("plain", old, tensors, list(old).index("view"))
    tar("nested", {"epoch": 3, "arch": "x", "best": 0.5, "big": 2**40, "model": old}, tensors)


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
    tars()
    save_file({TENSORS[k][0]: tensor(k).contiguous() for k in range(len(TENSORS))},
              os.path.join(OUT, "plain.safetensors"), metadata={"format": "pt", "made by": "a \"test\" \u00e9"})
    os.chmod(os.path.join(OUT, "plain.safetensors"), 0o644)


if __name__ == "__main__":
    main()
