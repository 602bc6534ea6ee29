#!/usr/bin/env python3
"""Does PyTorch read a .pth that engraft wrote, and is it equal to another .pth?

usage: check_torch_zip.py WRITTEN.pth REFERENCE.pth [TORCHVISION_MODEL]
Loads both with weights_only=True (where this torch has it), without and with mmap, and compares names, order, types,
shapes, strides and bits. With a model's name, load_state_dict(strict=True) of that torchvision model must take the first
file too. Ends with 0, 1 (a difference), or 77 (no torch here).
"""
import inspect
import sys
import zipfile

try:
    import torch
except ImportError:
    print("no torch in this Python: skipped")
    sys.exit(77)

LOAD = inspect.signature(torch.load).parameters


def load(path, **wanted):
    wanted["weights_only"] = True
    return torch.load(path, **{k: v for k, v in wanted.items() if k in LOAD})


def bits(t):
    return t.contiguous().reshape(-1).view(torch.uint8) if t.numel() else t.reshape(-1)


def main(path, reference, model=None):
    want = load(reference)
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None, "Python's zipfile finds a wrong checksum"
    for mmap in (False, True):
        got = load(path, mmap=mmap)
        assert type(got).__name__ == "OrderedDict", type(got)
        assert list(got) == list(want), "names or their order differ"
        for name, t in want.items():
            g = got[name]
            assert (g.dtype, g.shape, g.stride()) == (t.dtype, t.shape, t.contiguous().stride()), name
            assert torch.equal(bits(g), bits(t)), name
    if model:
        import torchvision
        print(getattr(torchvision.models, model)(weights=None).load_state_dict(load(path), strict=True))
    print("torch %s reads %s: %d tensors equal" % (torch.__version__, path, len(want)))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except AssertionError as e:
        sys.exit("%s: %s" % (sys.argv[1], e))
