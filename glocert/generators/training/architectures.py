"""The networks of each family: affine and piecewise linear layers, so that they are certified exactly."""

from __future__ import annotations

import math

from torch import nn

from glocert.generators.training.chain import Chain, Crop, Shape, Shaped, Sum
from glocert.spec_generator import Recipe

SLOPE = 0.2
"""of a critic's LeakyReLU"""


def encoder(recipe: Recipe, shape: Shape) -> Chain:
    """Return an untrained network from images to codes; its last layer is linear.

    Args:
        recipe: ``architecture``, ``width``, ``latent_dim``.
        shape: (channels, height, width).
    """
    size, width, code = math.prod(shape), recipe.width, recipe.latent_dim
    if recipe.architecture == "fc":
        wide = [nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        return Chain(shape, [Shaped(size), *wide, nn.Linear(width, code)])
    layers: list[nn.Module] = []
    channels, sides = shape[0], shape[1:]
    for step in range(_halvings(recipe)):
        layers += [nn.Conv2d(channels, width << step, 4, 2, 1), nn.ReLU()]
        channels, sides = width << step, tuple(side // 2 for side in sides)
    flat = channels * math.prod(sides)
    return Chain(shape, [*layers, Shaped(flat), nn.Linear(flat, code)])


def decoder(recipe: Recipe, shape: Shape) -> Chain:
    """Return an untrained network from codes to images in [0, 1]; its first layer is linear.

    Transposed convolutions double the sides until they reach the image's, and the middle is kept. Of the
    architecture ``skip`` a linear map is added, an isometry to begin with: what convolutions learn are
    departures from a generator that is even everywhere.
    """
    size, width, code = math.prod(shape), recipe.width, recipe.latent_dim
    if recipe.architecture == "fc":
        wide = [nn.Linear(code, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        return Chain((code,), [*wide, nn.Linear(width, size), Shaped(*shape)], bounded=True)
    layers = _doubling(recipe, shape)
    if recipe.architecture == "skip":
        straight = [_isometry(code, size), Shaped(*shape)]
        return Chain((code,), [_isometry(code, code), Sum(layers, straight)], bounded=True)
    return Chain((code,), layers, bounded=True)


def _isometry(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer that keeps lengths, as far as there is room."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _doubling(recipe: Recipe, shape: Shape) -> list[nn.Module]:
    """Return layers from codes to images: transposed convolutions, and the middle of what they make."""
    width, code = recipe.width, recipe.latent_dim
    steps, normal = _halvings(recipe), recipe.architecture == "dcgan"
    sides = tuple(-(-side // (1 << steps)) for side in shape[1:])
    channels = width << (steps - 1)
    layers: list[nn.Module] = [nn.Linear(code, channels * math.prod(sides)), Shaped(channels, *sides)]
    for step in range(steps):
        layers += [*([nn.BatchNorm2d(channels)] if normal else []), nn.ReLU()]
        outputs = shape[0] if step == steps - 1 else channels // 2
        layers.append(nn.ConvTranspose2d(channels, outputs, 4, 2, 1))
        channels = outputs
    if tuple(side << steps for side in sides) != shape[1:]:
        layers.append(Crop(*shape[1:]))
    return layers


def critic(width: int, shape: Shape) -> Chain:
    """Return an untrained critic of images: no normalisation over the batch, as its penalty is per sample."""
    layers: list[nn.Module] = []
    channels, sides = shape[0], shape[1:]
    while min(sides) >= 8:
        outputs = width if not layers else 2 * channels
        layers += [nn.Conv2d(channels, outputs, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        channels, sides = outputs, tuple(side // 2 for side in sides)
    flat = channels * math.prod(sides)
    return Chain(shape, [*layers, Shaped(flat), nn.Linear(flat, 1)])


def painter(recipe: Recipe, shape: Shape) -> Chain:
    """Return the inner network of a style: from an image and a plane of its strength to a change of it."""
    width = recipe.width
    layers = [
        nn.Conv2d(shape[0] + 1, width, 5, 1, 2), nn.ReLU(), nn.Conv2d(width, width, 5, 1, 2), nn.ReLU(),
        nn.Conv2d(width, shape[0], 5, 1, 2),
    ]  # fmt: skip
    return Chain((shape[0] + 1, *shape[1:]), layers)


def _halvings(recipe: Recipe) -> int:
    return 3 if recipe.architecture == "dcgan" else 2


SMALLEST = 8
"""Side of an image below which nothing can be halved often enough."""


def fits(recipe: Recipe, shape: Shape) -> None:
    """Refuse images that the layers do not fit.

    Raises:
        ValueError: no image, or too small a one.
    """
    if len(shape) != 3:
        raise ValueError(f"generators make images, and items of shape {shape} are none")
    if recipe.architecture in {"conv", "skip", "dcgan"} and min(shape[1:]) < SMALLEST:
        raise ValueError(f"images of {shape[1]} x {shape[2]} are too small; sides begin at {SMALLEST}")
