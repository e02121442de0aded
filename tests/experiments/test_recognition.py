"""The parts of the study of faces: people and their habits, pairs, directions, and what is certified."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from experiments.study import classifiers, comparing
from experiments.study.attributes import ATTRIBUTES, Attribute, Sample, mined, quality
from experiments.study.generators import Generator
from experiments.study.habits import RELATIVES, Known
from experiments.study.verification import Anchors, Pairs, certified, paired
from glocert.generators.training.chain import Chain, Shaped
from glocert.graph.ir import Graph
from glocert.graph.run import run
from tests.experiments.test_study import as_graph

SHAPE = (3, 32, 32)
LOCAL = [attribute for attribute in ATTRIBUTES if attribute.local]


def test_people_keep_their_habits_and_relatives_are_alike():
    random = np.random.default_rng(0)
    known = Known.drawn(200, random)
    who = np.repeat(np.arange(200), 20)
    look = known.looks(who, random)
    assert 0.85 < np.mean(np.abs(look.hair - known.hair[who]) <= 0.05) < 0.97
    assert 0.85 < np.mean(look.glasses == known.glasses[who]) < 0.95
    families = known.hair.reshape(-1, RELATIVES)
    assert families.std(1).mean() < 0.6 * known.hair.std()


def test_partners_are_another_look_and_another_person_often_a_relative():
    people, looks = 50, 4
    person, look = torch.arange(200) // looks, torch.arange(200) % looks
    draw = torch.Generator().manual_seed(0)
    (same, other), (somebody, _) = comparing.partners(person, look, people, looks, draw)
    assert (same == person).all()
    assert (other != look).all()
    assert (somebody != person).all()
    related = (somebody // RELATIVES == person // RELATIVES).double().mean()
    assert 0.4 < related < 0.75


def test_the_logit_beside_a_zero_decides_as_its_sigmoid():
    torch.manual_seed(0)
    body = classifiers.comparing().eval()
    pairs = torch.rand(50, 6, 32, 32)
    body[-1].bias.data -= body(pairs).mean()
    with torch.no_grad():
        same = torch.sigmoid(body(pairs)).flatten() > 0.5
        answers = comparing.Scores(body).eval()(pairs).argmax(1)
    assert 0 < same.sum() < 50
    assert (answers == comparing.SAME).equal(same)


@pytest.mark.parametrize("attribute", LOCAL, ids=lambda one: one.name)
def test_the_mask_of_a_local_attribute_holds_its_change_and_not_the_face(attribute):
    random = np.random.default_rng(0)
    mask = Sample.drawn(attribute, 64, random).mask()
    change = Sample.drawn(attribute, 32, random).change.square()
    assert change[:, torch.from_numpy(mask.copy())].sum() > 0.97 * change.sum() > 0
    assert mask.mean() < 0.5


def test_paths_go_to_the_farther_end():
    assert Attribute("eyes", 0.0, 1.0).far(np.array([0.9, 0.2])).tolist() == [0.0, 1.0]
    anchors = Anchors.drawn(5, np.random.default_rng(0))
    changed = (anchors.mutated(LOCAL[1]) - anchors.images).abs().flatten(1).amax(1)
    assert (changed > 0.1).all()


def test_the_painters_change_is_found_where_the_generator_has_it():
    random = np.random.default_rng(0)
    attribute = LOCAL[0]
    seen, others = Sample.drawn(attribute, 64, random), Sample.drawn(attribute, 16, random)
    wanted = seen.change.mean(0).flatten().double()
    generator = linear(torch.stack([wanted, *seen.middle[:5].flatten(1).double()]))
    found = mined(generator, attribute, seen)
    first = torch.eye(6)[0]
    for name in ("pairs", "matched"):
        way = found.ways[name]
        assert abs(torch.from_numpy(way.vector).float() @ first) > 0.95
        stop = generator.codes(others.low) + way.extent * torch.from_numpy(way.vector)
        measured = quality(generator, others, stop, seen.mask())
        assert measured["explained"] > 0.6
        assert measured["leakage"] < 0.05


def test_the_bounds_of_a_row_hold_what_sampling_finds():
    torch.manual_seed(0)
    anchors = Anchors.drawn(5, np.random.default_rng(1))
    generator = linear(torch.randn(6, 3072, dtype=torch.float64))
    body = classifiers.comparing().eval()
    pairs = paired(anchors)
    with torch.no_grad():
        body[-1].bias -= body(pairs.images).mean()
        truth = comparing.Scores(body).eval()(pairs.images).argmax(1)
    network = as_graph(comparing.Scores(body).eval(), (6, 32, 32))
    start = generator.codes(anchors.images)
    stop = start + 5 * torch.randn_like(start)
    found = certified(generator, network, Pairs(pairs.images, truth), start, stop, None)
    share = sampled(generator, network, Pairs(pairs.images, truth), start, stop)
    assert found["right"] == 1.0
    assert found["lower"] < 0.99
    assert found["lower"] - 1e-2 <= share <= found["upper"] + 1e-2
    assert found["largest_gap"] <= 1e-3


def sampled(
    generator: Generator, network: Graph, pairs: Pairs, start: torch.Tensor, stop: torch.Tensor
) -> float:
    """Return the mean share of 201 points of every path that have the right answer."""
    shares = []
    for at, truth in enumerate(pairs.truth.tolist()):
        ends = start[at % len(start)], stop[at % len(start)]
        t = torch.linspace(0, 1, 201, dtype=torch.float64)[:, None]
        made = generator.images(ends[0] + t * (ends[1] - ends[0]))
        mutated = (pairs.images[at, :3].double() + made - made[:1]).clamp(0, 1)
        behind = pairs.images[at, 3:].double().expand_as(mutated)
        shares.append((run(network, torch.cat([mutated, behind], 1)).argmax(1) == truth).double().mean())
    return float(torch.stack(shares).mean())


def linear(directions: torch.Tensor) -> Generator:
    """A generator of grey and so many directions of the image, and the encoder that undoes it."""
    basis = torch.linalg.qr(directions.T)[0].float()
    basis = basis * torch.sign((basis.T @ directions.T.float()).diagonal())
    paint, read = nn.Linear(*basis.T.shape), nn.Linear(*basis.shape)
    with torch.no_grad():
        paint.weight.copy_(basis), read.weight.copy_(basis.T)
        paint.bias.fill_(0.5), read.bias.copy_(-0.5 * basis.sum(0))
    size = len(directions)
    return Generator(
        Chain((size,), [paint, Shaped(*SHAPE)]).graph(), Chain(SHAPE, [Shaped(3072), read]).graph(), []
    )
