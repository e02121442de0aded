"""Directions of mutations with a formula, what they are called, and how far they go."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec, NoDirection
from glocert.generators.decoder import Decoder
from glocert.generators.directions.extent import fitted, segment_points, stay
from glocert.generators.directions.formula import matched
from glocert.generators.directions.naming import likenesses, name_of, same_sense
from glocert.generators.directions.velocity import Motion, known, motion
from glocert.generators.prior import Prior
from glocert.spec import Mutation
from tests.glocert.generators.decoders import linear, orthogonal_columns

SIDE = 12
SHAPE = (1, SIDE, SIDE)


def picture() -> np.ndarray:
    """A smooth blob off the centre: every motion changes it in a way of its own."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.exp(-((rows - 4.2) ** 2 / 9 + (columns - 6.7) ** 2 / 4))[None]


def turning(motion: Motion, *others: np.ndarray) -> Decoder:
    """A generator that makes the picture at z = 0 and mutates it along the first axis, two units per unit."""
    base = torch.from_numpy(picture())[None]
    columns = [2.0 * motion.velocity(base).numpy().reshape(-1), *others]
    return linear(np.stack(columns, axis=1), SHAPE, picture().reshape(-1))


def rotation() -> Motion:
    return motion(Mutation("rotation", 0.0, 30.0))


@pytest.mark.parametrize(
    "name", ["rotation", "shear", "scaling", "brightness", "contrast", "translation x", "blur"]
)
def test_the_direction_of_a_mutation_that_the_generator_makes_is_found(name: str) -> None:
    of = next(one for one in known(SHAPE) if one.name == name)
    rng = np.random.default_rng(0)
    decoder = turning(of, *orthogonal_columns(rng, SIDE * SIDE, 3).T)
    found = matched(decoder, torch.zeros(1, 4, dtype=torch.float64), of)
    assert float(found.vector[0]) == pytest.approx(1.0, abs=1e-3)
    assert found.explained == pytest.approx(1.0, abs=1e-4)
    assert found.cosine == pytest.approx(1.0, abs=1e-4)
    assert found.per_latent == pytest.approx(2.0, rel=1e-3)
    assert found.warnings == ()


def test_velocities_are_differences_of_the_true_mutation() -> None:
    image = torch.from_numpy(picture())[None]
    brighter = motion(Mutation("brightness", 0.0, 0.2)).velocity(image)
    np.testing.assert_allclose(brighter.numpy(), np.ones((1, *SHAPE)), rtol=1e-5)
    moved = motion(Mutation("translation", 0.0, 5.0, {"x": 3.0, "y": 4.0}))
    assert moved.name == "translation (3, 4)"
    along = [
        motion(Mutation("translation", 0.0, 1.0, {"x": x, "y": 1 - x})).velocity(image) for x in (1.0, 0.0)
    ]
    np.testing.assert_allclose(
        moved.velocity(image).numpy(), (0.6 * along[0] + 0.8 * along[1]).numpy(), atol=0.02
    )  # bilinear: to first order in the step only
    np.testing.assert_allclose(moved.to(image, 0.0).numpy(), image.to(torch.float32).numpy(), atol=0)


def test_what_a_generator_does_not_contain_is_told() -> None:
    rng = np.random.default_rng(1)
    codes, noise = torch.zeros(1, 3, dtype=torch.float64), rng.standard_normal((SIDE * SIDE, 3))
    with pytest.raises(NoDirection, match="does not contain it"):
        matched(linear(0.1 * noise, SHAPE, picture().reshape(-1)), codes, rotation())
    base = torch.from_numpy(picture())[None]
    turn = rotation().velocity(base).numpy().reshape(-1, 1)
    little = turn / np.linalg.norm(turn) + 1.5 * orthogonal_columns(rng, SIDE * SIDE, 1)
    found = matched(linear(little, SHAPE, picture().reshape(-1)), codes[:, :1], rotation())
    assert 0.1 < found.explained < 0.5
    assert "does not contain it" in found.warnings[0]


def test_what_goes_another_way_at_every_code_is_told() -> None:
    """The image is |z|: what is brighter on one side is darker on the other."""
    from tests.glocert.segments.networks import Draft

    draft = Draft(1)
    both = draft.relu(draft.gemm("x", np.array([[1.0], [-1.0]])))
    out = draft.gemm(both, np.ones((4, 2)))
    decoder = Decoder(draft.graph(draft.reshape(out, 1, 2, 2)))
    codes = torch.tensor([[1.0], [-1.0], [1.5]], dtype=torch.float64)
    found = matched(decoder, codes, motion(Mutation("brightness", 0.0, 1.0)))
    assert found.explained == pytest.approx(1 / 9, rel=1e-3)
    assert found.explained_apart == pytest.approx(1.0, abs=1e-4)
    assert "another way at every code" in found.warnings[0]


def test_mutations_without_a_direction() -> None:
    flat = linear(np.zeros((SIDE * SIDE, 2)), SHAPE, picture().reshape(-1))
    codes = torch.zeros(1, 2, dtype=torch.float64)
    with pytest.raises(NoDirection, match="No step of the code"):
        matched(flat, codes, rotation())
    grey = linear(np.ones((SIDE * SIDE, 2)), SHAPE)
    with pytest.raises(NoDirection, match="do not change under contrast"):
        matched(linear(np.ones((4, 1)), (1, 2, 2), np.full(4, 0.5)), torch.zeros(1, 1, dtype=torch.float64),
                motion(Mutation("contrast", 1.0, 2.0)))  # fmt: skip
    with pytest.raises(NoDirection, match="do not change under translation"):
        matched(grey, codes, motion(Mutation("translation", 0.0, 1.0, {"x": 1.0, "y": 0.0})))
    with pytest.raises(InvalidSpec, match="no derivative"):
        motion(Mutation("chord", 0.0, 1.0, {"item": 1}))
    with pytest.raises(InvalidSpec, match="only images"):
        matched(linear(np.ones((4, 2)), None, np.ones(4)), codes, rotation())


def test_directions_are_named_after_the_mutation_that_they_make() -> None:
    rng = np.random.default_rng(2)
    decoder = turning(rotation(), 5 * rng.standard_normal(SIDE * SIDE))
    codes = torch.zeros(1, 2, dtype=torch.float64)
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    forth, back, other = likenesses(decoder, codes, rows, known(SHAPE))
    for alike, sign in ((forth, 1.0), (back, -1.0)):
        named = name_of(alike)
        assert named is not None
        assert (named.name, named.unit) == ("rotation", "degrees")
        assert named.cosine == pytest.approx(sign, abs=1e-4)
        assert named.per_latent == pytest.approx(2.0 * sign, rel=1e-3)
    assert name_of(other) is None
    assert torch.equal(same_sense(rows[1], name_of(back)), rows[0])
    assert torch.equal(same_sense(rows[0], name_of(forth)), rows[0])


def test_the_extent_is_where_the_image_fits_the_mutated_one() -> None:
    of = motion(Mutation("brightness", 0.0, 1.0))
    decoder = turning(of)
    codes = torch.zeros(1, 1, dtype=torch.float64)
    wanted = of.to(decoder.images(codes), 0.3)
    found = fitted(decoder, codes, torch.ones(1, dtype=torch.float64), wanted, 4.0)
    assert found.value == pytest.approx(0.15, rel=1e-5)
    assert found.unexplained < 1e-9
    assert not found.at_the_end
    short = fitted(decoder, codes, torch.ones(1, dtype=torch.float64), wanted, 0.1)
    assert short.at_the_end
    assert short.value == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("prior", "code", "extent", "leaves"),
    [
        ("uniform", [0.5, 0.0], 1.0, 0.5),
        ("uniform", [0.5, 0.9], 0.5, None),
        ("uniform", [0.0, 1.5], 1.0, 0.0),
        ("normal", [0.0, 0.0], 2 * (2**0.5 + 3), 0.5),
        ("normal", [0.0, 0.0], 4.0, None),
        ("normal", [-6.0, 0.0], 8.0, 0.0),
    ],
    ids=[
        "uniform-leaves",
        "uniform-stays",
        "uniform-outside",
        "normal-leaves",
        "normal-stays",
        "normal-outside",
    ],
)
def test_where_a_path_leaves_the_prior(
    prior: str, code: list[float], extent: float, leaves: float | None
) -> None:
    codes = torch.tensor([code], dtype=torch.float64)
    found = stay(Prior(prior), codes, torch.tensor([1.0, 0.0], dtype=torch.float64), extent)
    assert found.leaves_at == (None if leaves is None else pytest.approx(leaves))
    assert found.to_json()["out_of_prior"] == (leaves is not None)
    assert found.share_inside == float(leaves is None)


def test_points_of_a_segment_hold_both_ends() -> None:
    code, way = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    points = segment_points(code, way, 3.0, 4)
    assert points.tolist() == [[1.0, 2.0], [1.0, 3.0], [1.0, 4.0], [1.0, 5.0]]
