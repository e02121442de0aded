"""Functions of PyTorch that importers must know, each with the shape of a sample that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

Function = Callable[[Tensor], Tensor]
Case = tuple[Function, tuple[int, ...]]

torch.manual_seed(5)
W = {
    "matrix": torch.randn(6, 6),
    "vector": torch.randn(6),
    "image": torch.randn(4, 1, 1),
    "order": torch.tensor([2, 0, 0, -1]),
    "mask": torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1]], dtype=torch.bool),
}
WIDE = {name: kept.double() if kept.is_floating_point() else kept for name, kept in W.items()}


def weight(name: str, like: Tensor) -> Tensor:
    """Return a weight in the type of the input."""
    return WIDE[name] if like.dtype == torch.float64 else W[name]


def attention(x: Tensor, **options: object) -> Tensor:
    q, k, v = (x * 2).unflatten(-1, (2, 3)).transpose(1, 2), x.unflatten(-1, (2, 3)).transpose(1, 2), x
    v = v.unflatten(-1, (2, 3)).transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, **options).transpose(1, 2).flatten(2)


ROW, SEQUENCE, IMAGE, VOLUME = (6,), (3, 6), (4, 5, 6), (2, 4, 5, 3)

POINTWISE: Mapping[str, Function] = {
    "abs": torch.abs,
    "celu": lambda x: F.celu(x, 0.7),
    "clamp": lambda x: x.clamp(-0.3, 0.4),
    "clamp_max": lambda x: x.clamp_max(0.5),
    "clamp_min": lambda x: torch.clamp_min(x, -0.25),
    "clamp_open": lambda x: x.clamp(max=0.5),
    "cos": torch.cos,
    "elu": lambda x: F.elu(x, 1.3),
    "erf": torch.erf,
    "exp": torch.exp,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 2.0),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
    "log": lambda x: torch.log(x * x + 1),
    "logsigmoid": lambda x: torch.log(torch.sigmoid(x)),
    "mish": F.mish,
    "neg": lambda x: -x,
    "pow": lambda x: x**3,
    "prelu_one": lambda x: F.prelu(x, torch.tensor([0.25], dtype=x.dtype)),
    "reciprocal": lambda x: 1 / (x.abs() + 1),
    "relu": torch.relu,
    "relu6": F.relu6,
    "rsqrt": lambda x: torch.rsqrt(x.square() + 0.5),
    "rsub": lambda x: 2 - x,
    "selu": F.selu,
    "silu": F.silu,
    "sin": torch.sin,
    "softplus": lambda x: F.softplus(x, beta=2.0),
    "softshrink": lambda x: F.softshrink(x, 0.2),
    "softsign": F.softsign,
    "sqrt": lambda x: (x.abs() + 0.1).sqrt(),
    "tanh": torch.tanh,
    "tanhshrink": F.tanhshrink,
    "threshold": lambda x: F.threshold(x, 0.25, 0.25),
}

ROWS: Mapping[str, Function] = {
    "addcmul": lambda x: torch.addcmul(x, x, weight("vector", x), value=0.5),
    "addmm": lambda x: torch.addmm(weight("vector", x), x, weight("matrix", x), alpha=2),
    "amax": lambda x: x.amax(1, keepdim=True),
    "amin": lambda x: x.amin(1, keepdim=True) + x,
    "chunk": lambda x: torch.cat(x.chunk(4, 1)[::-1], 1),
    "div": lambda x: x / (weight("vector", x).abs() + 1),
    "div_both": lambda x: x / (x.flip(1).abs() + 1),
    "dropout": lambda x: F.dropout(x, training=False),
    "glu": lambda x: F.glu(x, 1),
    "index": lambda x: x[:, weight("order", x)],
    "index_select": lambda x: x.index_select(1, torch.tensor([2, 0, 0, 5])),
    "log_softmax": lambda x: F.log_softmax(x, 1) * 2,
    "logsumexp": lambda x: torch.logsumexp(x, 1, keepdim=True),
    "matmul": lambda x: x @ weight("matrix", x),
    "max_dim": lambda x: x.max(1, keepdim=True).values + x,
    "maximum": lambda x: torch.maximum(x, weight("vector", x)),
    "mean": lambda x: x.mean(1, keepdim=True),
    "min_two": lambda x: torch.min(x, x.flip(1)),
    "minimum_number": lambda x: torch.minimum(x, torch.tensor(0.25, dtype=x.dtype)),
    "narrow": lambda x: x.narrow(1, 2, 3),
    "norm": lambda x: x / x.norm(dim=1, keepdim=True).clamp_min(1e-3),
    "norm_one": lambda x: torch.linalg.vector_norm(x, 1, dim=1, keepdim=True),
    "prelu": lambda x: F.prelu(x, weight("vector", x)),
    "product": lambda x: x * x.flip(1),
    "repeat": lambda x: x.repeat(1, 2),
    "repeat_interleave": lambda x: x.repeat_interleave(2, dim=1),
    "roll": lambda x: torch.roll(x, 2, 1),
    "slice": lambda x: x[:, 1:6:2],
    "slice_negative": lambda x: x[:, -4:-1],
    "softmax": lambda x: F.softmax(x, 1) @ weight("matrix", x),
    "split": lambda x: torch.cat([part * (n + 1) for n, part in enumerate(x.split([1, 3, 2], 1))], 1),
    "stack": lambda x: torch.stack([x, x * 2, -x], 1).flatten(1),
    "std": lambda x: x - x.std(1, keepdim=True),
    "sum": lambda x: x.sum(1, keepdim=True),
    "sum_of_some": lambda x: x.view(-1, 2, 3).sum(2),
    "tile": lambda x: x.tile(2),
    "unbind": lambda x: torch.stack([*x.unbind(1)][::-1], 1),
    "unflatten": lambda x: x.unflatten(1, (2, -1)).transpose(1, 2).reshape(x.shape[0], -1),
    "var": lambda x: x.var(1, keepdim=True, unbiased=False),
    "zeros": lambda x: torch.cat([x, torch.zeros(x.shape[0], 2, dtype=x.dtype)], 1),
}

SEQUENCES: Mapping[str, Function] = {
    "attention": attention,
    "attention_causal": lambda x: attention(x, is_causal=True),
    "attention_masked": lambda x: attention(x, attn_mask=weight("mask", x)),
    "attention_scaled": lambda x: attention(x, scale=0.3),
    "baddbmm": lambda x: torch.baddbmm(x, x, weight("matrix", x).expand(x.shape[0], 6, 6), alpha=0.5),
    "bmm": lambda x: torch.bmm(x, x.transpose(1, 2)),
    "class_token": lambda x: torch.cat([weight("vector", x).expand(x.shape[0], 1, -1), x], 1),
    "expand": lambda x: x[:, :1].expand(-1, 4, -1),
    "layer_norm": lambda x: F.layer_norm(x, (6,), weight("vector", x), None, 1e-3),
    "layer_norm_two": lambda x: F.layer_norm(x, (3, 6)),
    "linear": lambda x: F.linear(x, weight("matrix", x), weight("vector", x)),
    "matmul": lambda x: torch.softmax(x @ x.mT, -1) @ x,
    "mean_both": lambda x: x.mean((1, 2), keepdim=True),
    "movedim": lambda x: x.movedim(2, 1),
    "permute": lambda x: x.permute(0, 2, 1).contiguous(),
    "rms_norm": lambda x: F.rms_norm(x, (6,), weight("vector", x), 1e-3),
    "select": lambda x: x[:, -1] - x.select(2, 0).sum(1, keepdim=True),
    "softmax_middle": lambda x: torch.softmax(x, 1),
    "squeeze": lambda x: x[:, :1].squeeze(1).unsqueeze(-1),
}

IMAGES: Mapping[str, Function] = {
    "adaptive_avg": lambda x: F.adaptive_avg_pool2d(x, (5, 2)),
    "adaptive_avg_uneven": lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
    "adaptive_max": lambda x: F.adaptive_max_pool2d(x, (1, 3)),
    "avg_pool": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_pool_ceil": lambda x: F.avg_pool2d(x, 2, ceil_mode=True),
    "batch_norm": lambda x: F.batch_norm(x, weight("vector", x)[:4], weight("vector", x)[:4].abs() + 1),
    "broadcast": lambda x: x * weight("image", x),
    "channel_shuffle": lambda x: F.channel_shuffle(x, 2),
    "group_norm": lambda x: F.group_norm(x, 2, weight("vector", x)[:4]),
    "instance_norm": lambda x: F.instance_norm(x),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2),
    "interpolate_bilinear": lambda x: F.interpolate(x, (7, 4), mode="bilinear"),
    "interpolate_corners": lambda x: F.interpolate(x, (7, 8), mode="bilinear", align_corners=True),
    "interpolate_size": lambda x: F.interpolate(x, (8, 3)),
    "max_pool": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    "mean": lambda x: x.mean((2, 3)),
    "pad": lambda x: F.pad(x, (1, 0, 2, 1), value=0.5),
    "pad_reflect": lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect"),
    "pad_replicate": lambda x: F.pad(x, (1, 2, 0, 1), mode="replicate"),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x[:, :, 1:], 2),
    "prelu": lambda x: F.prelu(x, weight("vector", x)[:4]),
    "softmax": lambda x: torch.softmax(x, 1),
    "interpolate_half": lambda x: F.interpolate(x, scale_factor=1.5),
}


def cases() -> dict[str, Case]:
    """Return every function under a name of its own."""
    groups = {"row": (ROWS, ROW), "sequence": (SEQUENCES, SEQUENCE), "image": (IMAGES, IMAGE)}
    found: dict[str, Case] = {name: (function, ROW) for name, function in POINTWISE.items()}
    for prefix, (functions, shape) in groups.items():
        found |= {f"{prefix}-{name}": (function, shape) for name, function in functions.items()}
    return found


def layers() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Return layers with weights of their own."""
    torch.manual_seed(7)
    return {
        "AvgPool1d": (nn.AvgPool1d(2, 2, 1), SEQUENCE),
        "AvgPool3d": (nn.AvgPool3d(2, 1), VOLUME),
        "BatchNorm1d": (nn.BatchNorm1d(6), ROW),
        "Conv1d": (nn.Conv1d(3, 4, 3, 2, 1, 1), SEQUENCE),
        "Conv2d": (nn.Conv2d(4, 6, 3, (2, 1), 1, 2, 2), IMAGE),
        "Conv3d": (nn.Conv3d(2, 3, 2, 1, 1), VOLUME),
        "ConvTranspose1d": (nn.ConvTranspose1d(3, 2, 3, 2, 1, 1), SEQUENCE),
        "ConvTranspose2d": (nn.ConvTranspose2d(4, 2, 3, 2, 1, 1, 2), IMAGE),
        "GroupNorm": (nn.GroupNorm(2, 4), IMAGE),
        "InstanceNorm2d": (nn.InstanceNorm2d(4, affine=True), IMAGE),
        "LayerNorm": (nn.LayerNorm(6), SEQUENCE),
        "MaxPool1d": (nn.MaxPool1d(2, 1, 1), SEQUENCE),
        "MaxPool3d": (nn.MaxPool3d(2), VOLUME),
        "PReLU": (nn.PReLU(4), IMAGE),
        "Upsample": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    }
