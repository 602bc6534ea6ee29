#!/usr/bin/env python3
"""The other side of the benchmarks: what a user would run instead, with PyTorch or ONNX Runtime.

    peer_torch.py worker                   one JSON request a line in, one JSON answer a line out (bench/peers.py asks)
    peer_torch.py predict WEIGHTS IMAGE    one JPEG to class probabilities with EfficientNet-B0, as a script does it

Each configuration lives in a worker process of its own, so that its memory can be measured and no other one's threads
spin beside it. bench/compare.py imports `step_function` and `timed`. Batch 16, 224 pixels, every allowed processor.
"""
import json
import os
import sys
import time

BATCH, SIDE = 16, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def threads():
    return len(os.sched_getaffinity(0))


def timed(step, n):
    """Seconds of each of n calls."""
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds


def peak_bytes():
    """Peak resident size of this process. Not ru_maxrss: that one starts at the parent's."""
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def torch_network(model, compiled, bf16_weights=False):
    import torch
    import torchvision
    torch.set_num_threads(threads())
    net = torchvision.models.get_model(model, weights=None, num_classes=2).to(memory_format=torch.channels_last)
    if bf16_weights:
        net = net.to(torch.bfloat16)
    return torch.compile(net) if compiled else net


def step_function(model, mode, dtype="f32", compiled=False):
    """One step on random numbers. dtype: f32, bf16 (autocast), or bf16w (prediction: weights and input in bf16)."""
    import torch
    net = torch_network(model, compiled, dtype == "bf16w")
    x = torch.randn(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    y = torch.arange(BATCH) % 2
    if dtype == "bf16w":
        x = x.to(torch.bfloat16)
    cast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16")
    if mode == "predict":
        net.eval()

        def step():
            with torch.no_grad(), cast:
                net(x)
        return step
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)

    def step():
        optimizer.zero_grad()
        with cast:
            loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    return step


def onnx_function(path):
    import numpy
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    x = numpy.random.default_rng(0).standard_normal((BATCH, 3, SIDE, SIDE), dtype=numpy.float32)
    return lambda: session.run(None, {name: x})


def image_files(folder):
    return [os.path.join(where, f) for where, _, files in os.walk(folder) for f in files
            if f.lower().endswith((".jpeg", ".jpg", ".png"))]


def epoch_function(model, folder, dtype, compiled, workers):
    """One epoch of "train the last layer": decode every image, trunk in evaluation mode, a step of the head a batch."""
    import torch
    import torchvision
    from PIL import Image
    t = torchvision.transforms
    net = torch_network(model, False)
    net.eval()
    head = net.classifier if hasattr(net, "classifier") else net.fc
    width = [m for m in head.modules() if isinstance(m, torch.nn.Linear)][0].in_features
    setattr(net, "classifier" if hasattr(net, "classifier") else "fc", torch.nn.Identity())
    trunk = torch.compile(net) if compiled else net
    # images that already have the network's size are taken as they are, as engraft does
    fitting = all(Image.open(f).size == (SIDE, SIDE) for f in image_files(folder))
    resize = [] if fitting else [t.Resize(256, t.InterpolationMode.BICUBIC), t.CenterCrop(SIDE)]
    data = torchvision.datasets.ImageFolder(folder, t.Compose(resize + [t.ToTensor(), t.Normalize(MEAN, STD)]))
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=workers,
                                         persistent_workers=workers > 0)
    last = torch.nn.Linear(width, len(data.classes))
    optimizer = torch.optim.AdamW(last.parameters(), lr=1e-3)
    cast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16")

    def epoch():
        for x, y in loader:
            x = x.to(memory_format=torch.channels_last)
            with torch.no_grad(), cast:
                features = trunk(x)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(last(features.float()), y).backward()
            optimizer.step()
    return epoch


def save_weights(model, path):
    """A state dict as torchvision publishes it, with random values: time does not depend on them."""
    import torch
    import torchvision
    torch.manual_seed(0)
    torch.save(torchvision.models.get_model(model, weights=None).state_dict(), path)


def predict_image(weights, image):
    import torch
    import torchvision
    from PIL import Image
    t = torchvision.transforms
    net = torchvision.models.efficientnet_b0()
    net.load_state_dict(torch.load(weights, weights_only=True))
    net.eval()
    change = t.Compose([t.Resize(256, t.InterpolationMode.BICUBIC), t.CenterCrop(SIDE), t.ToTensor(), t.Normalize(MEAN, STD)])
    with torch.no_grad():
        p = net(change(Image.open(image).convert("RGB"))[None]).softmax(1)
    print(p[0].max().item())


def versions():
    found = {}
    for name in ("torch", "torchvision", "onnxruntime"):
        try:
            found[name] = __import__(name).__version__
        except ImportError:
            found[name] = None
    return found


def worker():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    run = None
    for line in sys.stdin:
        r = json.loads(line)
        answer = {}
        try:
            if r["do"] == "versions":
                answer = versions()
            elif r["do"] == "weights":
                save_weights(r["model"], r["path"])
            elif r["do"] == "steps":
                run = step_function(r["model"], r["mode"], r["dtype"], r["compiled"])
            elif r["do"] == "onnx":
                run = onnx_function(r["path"])
            elif r["do"] == "epochs":
                run = epoch_function(r["model"], r["folder"], r["dtype"], r["compiled"], r["workers"])
            elif r["do"] == "run":
                answer = {"seconds": timed(run, r["n"]), "peak_bytes": peak_bytes()}
        except Exception as e:  # a peer's trouble is an answer: the configuration is left out, and said so
            answer = {"error": f"{type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ''}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker()
    elif sys.argv[1:2] == ["predict"] and len(sys.argv) == 4:
        predict_image(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)
