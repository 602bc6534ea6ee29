"""The reference side of the parity tests: models, weights and inputs by a formula that tests/golden/formula.h shares.

Used by make_parity_golden.py (writes tests/golden/parity/*.json) and check_parity_live.py (element by element against a
PyTorch that is installed). Needs torch, torchvision; efficientnet_lite0 also needs efficientnet-lite-pytorch.
"""
import numpy as np
import torch

SEED = 20240229
N, SIDE, BLOCK, CLASSES, STEPS, LR, MOMENTUM = 4, 224, 32, 10, 10, 2e-4, 0.9
PROJECTIONS = 32
MODELS = ["resnet18", "resnet50", "efficientnet_b0", "efficientnet_lite0"]
LAST_NORM = {"resnet18": "bn2.weight", "resnet50": "bn3.weight", "efficientnet_b0": "none", "efficientnet_lite0": "_bn2.weight"}
INPUT_STREAM, SIGN_STREAM = 1_000_000, 2_000_000
LABELS = [1, 4, 7, 2]


def uniform(stream, count):
    """float32 in [0, 1) with 24 bits: splitmix64's finaliser of a linear function of (seed, stream, index)."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x += np.uint64(stream) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(SEED) * np.uint64(0x94D049BB133111EB)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def value(model, name, shape, index, is_norm):
    """One tensor of the state dict; `index` is its place in it. Batch norms shift by about 1, two standard deviations, and
    the last one of a residual block starts small: a random network with half of its ReLU inputs negative is so
    ill-conditioned that PyTorch's own float32 gradient is 2 % (ResNet-50) to 9 % (EfficientNet-Lite) off."""
    u = uniform(index, int(np.prod(shape)))
    one = np.float32(1)
    if name.endswith("running_var"):
        v = np.float32(0.5) + u
    elif name.endswith("running_mean") or name.endswith("bias"):
        v = np.float32(0.2) * (u - np.float32(0.5))
        if is_norm and name.endswith("bias"):
            v += np.float32(1)
    elif len(shape) == 1:
        v = np.float32(0.25) + np.float32(0.5) * u
        if name.endswith(LAST_NORM[model]):
            v *= np.float32(0.125)
    else:
        v = (np.float32(2) * u - one) * np.float32(np.sqrt(6.0 / np.prod(shape[1:])))
    return torch.from_numpy(v.reshape(shape))


def build(name):
    """The PyTorch model with dropout and stochastic depth off."""
    if name.startswith("efficientnet_lite"):
        from efficientnet_lite_pytorch import EfficientNet

        model = EfficientNet.from_name(name.replace("_", "-"), num_classes=CLASSES)
        model._global_params = model._global_params._replace(drop_connect_rate=0.0)
        model._dropout.p = 0.0
    else:
        import torchvision

        options = {"stochastic_depth_prob": 0.0, "dropout": 0.0} if name.startswith("efficientnet") else {}
        model = torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **options)
    state = model.state_dict()
    for index, (key, t) in enumerate(state.items()):
        if not key.endswith("num_batches_tracked"):
            is_norm = key.rsplit(".", 1)[0] + ".running_var" in state
            state[key] = value(name, key, tuple(t.shape), index, is_norm)
    model.load_state_dict(state)
    return model


def batch():
    """Images of random 32-pixel blocks in [-2, 2] plus noise in [-0.5, 0.5]: samples that differ, as real ones do."""
    blocks = uniform(INPUT_STREAM, N * (SIDE // BLOCK) ** 2 * 3).reshape(N, SIDE // BLOCK, SIDE // BLOCK, 3)
    x = blocks.repeat(BLOCK, 1).repeat(BLOCK, 2) * np.float32(4) - np.float32(2)
    x = x + (uniform(INPUT_STREAM + 1, N * SIDE * SIDE * 3).reshape(N, SIDE, SIDE, 3) - np.float32(0.5))
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))), torch.tensor(LABELS)


def gradients(model, dtype):
    """Training-mode loss and gradient of every parameter, and the logits."""
    import copy

    m = copy.deepcopy(model).to(dtype).train()
    x, y = batch()
    logits = m(x.to(dtype))
    loss = torch.nn.functional.cross_entropy(logits, y)
    loss.backward()
    return loss.item(), logits.detach(), {k: p.grad.detach() for k, p in m.named_parameters()}


def torch_f32_errors(model, exact):
    """Relative L2 error of PyTorch's own float32 gradients, per parameter: the worst of nine equivalent runs (plain,
    channels_last, oneDNN off, samples reversed, five with the input moved by half a unit in the last place). One run is a
    matter of luck: a single ReLU input that rounding takes across zero moves a whole layer's gradient by some 1e-3."""
    import copy

    worst = {k: 0.0 for k in exact}
    for variant in ("plain", "channels_last", "no_onednn", "reversed", 1, 2, 3, 4, 5):
        m = copy.deepcopy(model).float().train()
        x, y = batch()
        if variant == "channels_last":
            m, x = m.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        if isinstance(variant, int):
            torch.manual_seed(variant)
            x = x * (1 + (torch.rand_like(x) - 0.5) * 2**-23)
        if variant == "reversed":
            x, y = x.flip(0).contiguous(), y.flip(0)
        with torch.backends.mkldnn.flags(enabled=variant != "no_onednn"):
            torch.nn.functional.cross_entropy(m(x), y).backward()
        for k, p in m.named_parameters():
            norm = float(exact[k].norm())
            if norm > 0:
                worst[k] = max(worst[k], float((p.grad.double() - exact[k]).norm()) / norm)
    return worst


def sgd_losses(model, dtype):
    import copy

    m = copy.deepcopy(model).to(dtype).train()
    optimizer = torch.optim.SGD(m.parameters(), lr=LR, momentum=MOMENTUM)
    x, y = batch()
    x, losses = x.to(dtype), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(m(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
