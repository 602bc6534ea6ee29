#!/usr/bin/env python3
"""Preprocessed images of engraft against torchvision's transforms of each weights' preset. Run by hand; needs torch,
torchvision and NumPy (without them it says so and ends with 0).

usage: preprocess_parity.py BUILD_DIR [IMAGE_DIR] [--images 50]

First the presets themselves: for every weights of torchvision's classification zoo, what engraft takes for this model
and the file's hash is compared with weights.transforms(). Then pixels: images of IMAGE_DIR (JPEG, spread over the
folder; left out without one) and generated ones of odd sizes, saved as PNG (gray, colour, gray saved as colour), through
the presets of the weights in PIXELS. Expected: 0 at uint8 after resize and crop, at most 1e-6 after normalisation.
GoogLeNet and Inception normalise once more in their forward pass (transform_input); engraft folds both into one, so the
comparison is behind it.
Prints the tables of docs/figures.md; exits 1 on a larger difference. The last table is what --decode fast costs: the
preprocessed pixels of phantoms of 1,500 x 1,200 (`engraft phantom`, JPEG) when libjpeg reduces them first, to 1, 2
(what engraft does) and 4 times the side that the resize asks for.
"""
import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
    from PIL import Image
    from torchvision.transforms import functional as F
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)

PIXELS = [("resnet50", "IMAGENET1K_V1"), ("resnet50", "IMAGENET1K_V2"), ("efficientnet_b0", "IMAGENET1K_V1"),
          ("efficientnet_b3", "IMAGENET1K_V1"), ("efficientnet_v2_s", "IMAGENET1K_V1"),
          ("inception_v3", "IMAGENET1K_V1")]
RENORMALISED = {"googlenet", "inception_v3"}
# the feature extractor of SSD has no classifier
NOT_OURS = {"vgg16 IMAGENET1K_FEATURES"}
FILTERS = {"bilinear": 0, "bicubic": 1}
LIBRARIES = ("jpeg png z zip tiff webp jansson crypto curl dnnl protobuf-c gomp m").split()


class EgImage(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int), ("height", ctypes.c_int), ("channels", ctypes.c_int),
                ("pixels", ctypes.POINTER(ctypes.c_uint8)), ("deep", ctypes.c_bool)]


class EgImageOptions(ctypes.Structure):
    _fields_ = [("max_file_bytes", ctypes.c_size_t), ("max_pixels", ctypes.c_size_t), ("min_side", ctypes.c_int)]


class EgPreprocess(ctypes.Structure):
    _fields_ = [("fit", ctypes.c_int), ("resize", ctypes.c_int), ("crop", ctypes.c_int), ("interp", ctypes.c_int),
                ("mean", ctypes.c_float * 3), ("std", ctypes.c_float * 3)]


class EgError(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("offset", ctypes.c_int64), ("text", ctypes.c_char * 640)]


def load_library(build, folder):
    """The rooms as one shared library; of the libraries those that this build uses."""
    rooms = [f"{build}/{name}" for name in ("libroom_study.a", "libroom_data.a", "libroom_net.a", "libroom_compute.a",
                                            "libroom_stats.a", "libroom_fetch.a", "libroom_codec.a", "libroom_base.a",
                                            "libonnx_messages.a") if pathlib.Path(build, name).exists()]
    path = folder + "/engraft.so"
    link = ["cc", "-shared", "-o", path, "-Wl,--whole-archive", *rooms, "-Wl,--no-whole-archive"]
    found = [name for name in LIBRARIES
             if subprocess.run(["cc", "-shared", "-o", folder + "/x.so", f"-l{name}"], capture_output=True).returncode == 0]
    subprocess.run(link + [f"-l{name}" for name in found], check=True)
    lib = ctypes.CDLL(path)
    lib.eg_arch_find.restype = ctypes.c_void_p
    return lib


def check(status, error):
    if status != 0:
        sys.exit(error.text.decode())


def preset_of(lib, model, digits):
    """What engraft takes for the weights whose SHA-256 begins with these digits."""
    p, error = EgPreprocess(), EgError()
    arch = lib.eg_arch_find(model.encode())
    if not arch:
        return None
    check(lib.eg_study_preset_of(ctypes.byref(p), ctypes.c_void_p(arch), digits.ljust(64, "0").encode(), b"weights",
                                 ctypes.c_int64(0), ctypes.byref(error)), error)
    return p


def all_weights():
    for model in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(model):
            yield model, weights, weights.url.rsplit("-", 1)[1][:8]


def compare_presets(lib):
    n, bad, absent = 0, 0, []
    for model, weights, digits in all_weights():
        if f"{model} {weights.name}" in NOT_OURS:
            continue
        p, t = preset_of(lib, model, digits), weights.transforms()
        if p is None:
            absent.append(model)
            continue
        n += 1
        ours = (p.fit, p.resize, p.crop, p.interp, list(p.mean), list(p.std))
        norm = ([0.5] * 3, [0.5] * 3) if model in RENORMALISED else (t.mean, t.std)
        theirs = (0, t.resize_size[0], t.crop_size[0], FILTERS[t.interpolation.value],
                  *([float(np.float32(v)) for v in values] for values in norm))
        if ours != theirs:
            print(f"{model} {weights.name}: {ours}, torchvision {theirs}")
            bad += 1
    print(f"{n} presets compared with torchvision {torchvision.__version__}, {bad} differ; "
          f"not in the zoo: {', '.join(sorted(set(absent))) or 'none'}\n")
    return bad


def generated(folder, n):
    rng = np.random.default_rng(0)
    for i in range(n):
        width, height = (int(v) for v in rng.integers(17, 900, 2))
        y, x = np.mgrid[0:height, 0:width]
        gray = 128 + 90 * np.sin(x / (3 + i)) * np.cos(y / (5 + i)) + rng.normal(0, 25, (height, width))
        gray[(x // 17 + y // 11) % 5 == 0] = 255 * (i & 1)
        gray = np.clip(gray, 0, 255).astype(np.uint8)
        planes = {0: gray, 1: np.dstack([gray] * 3), 2: np.dstack([gray, gray[::-1], gray[:, ::-1]])}[i % 3]
        path = folder / f"{i:02}-{width}x{height}.png"
        Image.fromarray(np.ascontiguousarray(planes)).save(path)
        yield path


def ours(lib, path, p):
    image, error = EgImage(), EgError()
    u8 = np.empty((p.crop, p.crop, 3), np.uint8)
    f32 = np.empty((p.crop, p.crop, 3), np.float32)
    check(lib.eg_image_read(ctypes.byref(image), str(path).encode(), None, ctypes.byref(error)), error)
    for function, out in ((lib.eg_preprocess_u8, u8), (lib.eg_preprocess_float, f32)):
        check(function(ctypes.c_void_p(out.ctypes.data), ctypes.byref(image), ctypes.byref(p), ctypes.byref(error)),
              error)
    lib.eg_image_free(ctypes.byref(image))
    return u8, f32


def network_input(model, x):
    """torchvision's _transform_input, in its order of operations."""
    if model not in RENORMALISED:
        return x
    return torch.stack([x[c] * (std / 0.5) + (mean - 0.5) / 0.5
                        for c, (mean, std) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225)))])


def theirs(path, model, transforms):
    image = Image.open(path).convert("RGB")
    u8 = F.center_crop(F.resize(image, transforms.resize_size, interpolation=transforms.interpolation,
                                antialias=transforms.antialias), transforms.crop_size)
    return np.asarray(u8), network_input(model, transforms(image)).permute(1, 2, 0).numpy()


def compare_pixels(lib, sets):
    bad = 0
    print("| weights | resize, crop, filter | images | values | largest difference, uint8 | normalised |")
    print("|---|---|---|---|---|---|")
    for model, name in PIXELS:
        weights = torchvision.models.get_model_weights(model)[name]
        transforms = weights.transforms()
        p = preset_of(lib, model, weights.url.rsplit("-", 1)[1][:8])
        for what, paths in sets.items():
            worst8, worst = 0, 0.0
            for path in paths:
                (a8, a), (b8, b) = ours(lib, path, p), theirs(path, model, transforms)
                worst8 = max(worst8, int(np.abs(a8.astype(int) - b8).max()))
                worst = max(worst, float(np.abs(a - b).max()))
            bad += worst8 > 0 or worst > 1e-6
            print(f"| {model} {name} | {p.resize}, {p.crop}, {transforms.interpolation.value} | {len(paths)} {what} | "
                  f"{len(paths) * p.crop * p.crop * 3:,} | {worst8} | {worst:.1g} |", flush=True)
    return bad


def reduced(lib, path, p, min_side):
    """Preprocessed uint8, and the width that was decoded."""
    image, error, out = EgImage(), EgError(), np.empty((p.crop, p.crop, 3), np.uint8)
    options = EgImageOptions(1 << 28, 89478485, min_side)
    check(lib.eg_image_read(ctypes.byref(image), str(path).encode(), ctypes.byref(options), ctypes.byref(error)), error)
    width = image.width
    check(lib.eg_preprocess_u8(ctypes.c_void_p(out.ctypes.data), ctypes.byref(image), ctypes.byref(p),
                               ctypes.byref(error)), error)
    lib.eg_image_free(ctypes.byref(image))
    return out.astype(int), width


def compare_fast(lib, paths):
    print("\n| --decode fast | sides | images reduced | mean difference | 99.9 % within | largest |")
    print("|---|---|---|---|---|---|")
    for model in ("resnet50", "efficientnet_b0"):
        p = preset_of(lib, model, "")
        usual = lib.eg_preprocess_fast_side(ctypes.byref(p)) // 2
        for factor in (1, 2, 4):
            differences = []
            for path in paths:
                (exact, whole), (fast, width) = (reduced(lib, path, p, side) for side in (0, factor * usual))
                if width < whole:
                    differences.append(np.abs(exact - fast).ravel())
            if not differences:
                continue
            d = np.concatenate(differences)
            print(f"| {model} | {factor} x {usual} | {len(differences)} of {len(paths)} | {d.mean():.3f} | "
                  f"{np.quantile(d, 0.999):.0f} | {d.max()} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("images", nargs="?")
    parser.add_argument("--images", dest="n", type=int, default=50)
    a = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        lib = load_library(a.build, folder)
        sets = {}
        files = sorted(pathlib.Path(a.images).rglob("*.jp*g")) if a.images else []
        if files:
            sets["real"] = files[::max(1, len(files) // a.n)][:a.n]
        else:
            print("no real images: name a folder of JPEGs")
        sets["generated"] = list(generated(pathlib.Path(folder), a.n))
        bad = compare_presets(lib) + compare_pixels(lib, sets)
        large = folder + "/phantom"
        subprocess.run([a.build + "/engraft", "phantom", large, "--images", "40", "--size", "1500x1200",
                        "--image-format", "jpeg", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        compare_fast(lib, sorted(pathlib.Path(large).rglob("*.jp*g")))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
