#!/usr/bin/env python3
"""Print the rows of metadata of the zoo's C tables, so that nobody types numbers.

    make_zoo_table.py [MODEL...]      one EG_ZOO_ROW(...) a model (src/net/zoo_row.h), for src/net/arch_*.c
    make_zoo_table.py --regnet        the stages of every RegNet, for src/net/arch_regnet.c

Source: torchvision's weight metadata (`get_model_weights(name).DEFAULT`): file, accuracy, preprocessing, size of the file
(MiB with three digits there, so right to 525 bytes). SHA-256: the first eight digits stand in the file's name; the
whole one only where it was published (FULL). Needs torch and torchvision (made with 2.15.0, 0.29.2).
"""
import inspect
import re
import sys

import torchvision.models as zoo

BASE = "https://download.pytorch.org/models/"
FULL = {
    "f37072fd": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "11ad3fa6": "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    "7f5810bc": "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",
}
NORMALISATION = {
    (0.485, 0.456, 0.406, 0.229, 0.224, 0.225): "EG_ZOO_IMAGENET",
    (0.5, 0.5, 0.5, 0.5, 0.5, 0.5): "EG_ZOO_HALF",
}


def row(name):
    weights = zoo.get_model_weights(name).DEFAULT
    preset = weights.transforms()
    assert weights.url.startswith(BASE) and len(preset.crop_size) == len(preset.resize_size) == 1
    file = weights.url[len(BASE):]
    digits = re.search(r"-([0-9a-f]{8})[0-9a-f]*\.pth$", file).group(1)
    mean, std = tuple(preset.mean), tuple(preset.std)
    if "transform_input" in inspect.getsource(getattr(zoo, name)):
        # GoogLeNet and Inception undo the normalisation inside the network when the weights are the pretrained ones
        mean = std = (0.5, 0.5, 0.5)
    accuracy = weights.meta["_metrics"]["ImageNet-1K"]
    bicubic = preset.interpolation.value == "bicubic"
    size = round(weights.meta["_file_size"] * 2**20)
    return (f'EG_ZOO_ROW("{name}", "{weights.name}", "{file}", "{FULL.get(digits, digits)}", {size}, '
            f'{accuracy["acc@1"]:.3f}, {accuracy["acc@5"]:.3f}, {preset.crop_size[0]}, {preset.resize_size[0]}, '
            f'{"true" if bicubic else "false"}, {NORMALISATION[mean + std]})')


def regnet(name):
    """{blocks a stage}, {width a stage}, width of a group (at most that of the stage), squeeze-excite"""
    model = zoo.get_model(name, weights=None)
    stages = [list(stage) for stage in model.trunk_output]
    last = [stage[-1].f for stage in stages]
    widths = [f.c[0].out_channels for f in last]
    group = max(f.b[0].out_channels // f.b[0].groups for f in last)
    assert all(f.b[0].groups * min(group, w) == w for f, w in zip(last, widths)), name
    assert all(f.b[0].out_channels == w for f, w in zip(last, widths)), name
    return (f'{{{{{", ".join(str(len(s)) for s in stages)}}}, {{{", ".join(map(str, widths))}}}, {group}, '
            f'{"true" if hasattr(last[0], "se") else "false"}}}')


def main():
    names = zoo.list_models(module=zoo)
    if sys.argv[1:] == ["--regnet"]:
        for name in names:
            if name.startswith("regnet"):
                print(name, regnet(name))
        return
    for name in sys.argv[1:] or names:
        print(row(name))


if __name__ == "__main__":
    main()
