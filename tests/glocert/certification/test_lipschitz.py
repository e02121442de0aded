"""Lipschitz certification of real files: rows, radii in raw units, one analysis for every unit."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from glocert.certification.case import Case, Subject, load
from glocert.certification.lipschitz import run
from glocert.certification.lipschitz_analysis import Analysis, analyse
from glocert.errors import InvalidSpec, UnsupportedOperators
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run as execute
from glocert.lipschitz.search import UnsoundBound, steepest_pair
from glocert.report_curve import curve
from glocert.report_lipschitz import summarise
from glocert.spec import Verdict
from glocert.spec_lipschitz import (
    Affinity,
    Distance,
    Execution,
    LipschitzMethod,
    LipschitzRow,
    LipschitzSpec,
    TopK,
    epsilon_key,
)
from tests.glocert.certification.conftest import MakeCase

EPSILONS = (0.05, 0.2, 1.0)
COUNT = 60
FEW = 15


@pytest.fixture(scope="module")
def subject(digits: dict[str, Case]) -> Subject:
    return load(digits["onnx"], range(COUNT))


@pytest.fixture(scope="module")
def analysis(subject: Subject) -> Analysis:
    return analyse(subject, range(COUNT))


def rows(subject: Subject, analysis: Analysis, count: int = COUNT, **wanted: object) -> list[LipschitzRow]:
    spec = LipschitzSpec(EPSILONS, **wanted)  # type: ignore[arg-type]
    return list(run(subject, spec, range(count), analysis))


@pytest.fixture(scope="module")
def plain(subject: Subject, analysis: Analysis) -> list[LipschitzRow]:
    return rows(subject, analysis)


@pytest.fixture(scope="module")
def portfolio(subject: Subject, analysis: Analysis) -> list[LipschitzRow]:
    return rows(subject, analysis, FEW, method=LipschitzMethod.PORTFOLIO)


def radii(found: Sequence[LipschitzRow]) -> np.ndarray:
    return np.array([row.radius for row in found])


def test_rows_say_what_the_api_promises(plain: list[LipschitzRow]) -> None:
    assert [row.index for row in plain] == list(range(COUNT))
    assert sum(bool(row.correct) for row in plain) > 0.9 * COUNT
    for row in plain:
        assert row.certified == {epsilon_key(e): row.radius > e for e in EPSILONS}
        assert row.robust == {key: holds and row.correct for key, holds in row.certified.items()}
        assert (row.verdict is Verdict.SKIPPED) == (row.reason == "misclassified") == (not row.correct)
        json.dumps(row.to_json(), allow_nan=False)
    assert radii(plain).max() > 0.02


def test_predictions_are_those_of_the_network(subject: Subject, plain: list[LipschitzRow]) -> None:
    images = torch.from_numpy(np.stack([subject.item(index) for index in range(COUNT)]))
    assert execute(subject.network, images).argmax(1).tolist() == [row.predicted for row in plain]


@pytest.mark.parametrize("method", ["plain", "portfolio"])
def test_no_gradient_step_within_a_radius_changes_a_label(
    request: pytest.FixtureRequest, subject: Subject, method: str
) -> None:
    found: list[LipschitzRow] = request.getfixturevalue(method)
    x = torch.from_numpy(np.stack([subject.item(row.index) for row in found])).double()
    label = torch.tensor([row.predicted for row in found])
    radius = torch.from_numpy(radii(found)).reshape(-1, *[1] * (x.dim() - 1))
    y = x + radius * torch.randn(x.shape, dtype=torch.float64) / x[0].numel()
    for _ in range(40):
        y.requires_grad_()
        scores = execute(subject.network, y)
        rival = scores.scatter(1, label[:, None], -torch.inf).amax(1) - scores.gather(1, label[:, None])[:, 0]
        assert bool((rival < 0).all())
        (slope,) = torch.autograd.grad(rival.sum(), y)
        length = slope.flatten(1).norm(dim=1).clamp_min(1e-300).reshape(radius.shape)
        step = y.detach() + radius * slope / length - x
        y = x + step * (radius / step.flatten(1).norm(dim=1).reshape(radius.shape)).clamp_max(1.0)


def test_w5_a_portfolio_is_never_worse_than_its_members(
    subject: Subject, analysis: Analysis, plain: list[LipschitzRow], portfolio: list[LipschitzRow]
) -> None:
    local = rows(subject, analysis, method=LipschitzMethod.LOCAL)
    assert bool((radii(local) >= radii(plain)).all())
    assert bool((radii(portfolio) >= radii(local)[:FEW]).all())
    assert float(np.median(radii(portfolio) / radii(local)[:FEW])) > 1.5
    assert {row.method for row in plain} == {"global"}
    assert "backward" in {row.method for row in portfolio} <= {"global", "local", "backward"}
    for row in portfolio:
        proven = list(row.members.values())
        assert list(row.members) == ["global", "local", "backward"]
        assert proven == sorted(proven)
        assert row.radius == row.members[row.method] == proven[-1]


def test_w6_one_class_and_groups_of_one_are_the_plain_question(
    subject: Subject, analysis: Analysis, plain: list[LipschitzRow]
) -> None:
    top = rows(subject, analysis, relaxation=TopK(1))
    single = rows(subject, analysis, relaxation=Affinity(tuple((label,) for label in range(10))))
    for found in (top, single):
        assert bool((radii(found) == radii(plain)).all())
        assert [row.robust for row in found] == [row.robust for row in plain]
    three = rows(subject, analysis, relaxation=TopK(3))
    nearly = radii(plain) * (1 - 1e-12)  # other inputs are run together with them
    assert bool((radii(three) >= nearly).all())
    assert bool((radii(three) > radii(plain)).any())
    for relaxed, least in zip(three, nearly, strict=True):
        assert relaxed.plain is not None
        assert relaxed.radius >= relaxed.plain >= least
    for row in three:
        assert all(bool(row.guaranteed[key]) == row.certified[key] for key in row.certified)


def test_w4_accuracy_is_at_least_robust_accuracy(plain: list[LipschitzRow]) -> None:
    found = summarise(plain, LipschitzSpec(EPSILONS))
    vra = [found["vra"][epsilon_key(e)] for e in EPSILONS]
    assert found["clean_accuracy"] >= vra[0] >= vra[1] >= vra[2]
    drawn = curve(plain)
    assert vra == [drawn.at(e) for e in EPSILONS]


def test_real_numbers_promise_a_little_more_than_floats(
    subject: Subject, analysis: Analysis, plain: list[LipschitzRow]
) -> None:
    real = rows(subject, analysis, arithmetic=Execution.REAL)
    assert bool((radii(real) >= radii(plain)).all())
    assert float(np.median(radii(real) / np.maximum(radii(plain), 1e-12))) < 1.2


def test_inputs_that_rounding_decides_about_are_looked_at_closely(make_case: MakeCase) -> None:
    """Scores that are nearly the same: what covers all inputs leaves nothing of some leads."""
    rng, builder = np.random.default_rng(0), GraphBuilder.start("x", (64,), Limits())
    name = "x"
    for place in range(4):
        weight, _ = np.linalg.qr(rng.normal(size=(64, 64)))
        name = builder.add(
            Node(f"dense{place}", "Gemm", (name, builder.parameter(weight.astype(np.float32), "w")), "d")
        )
        name = builder.add(Node(f"relu{place}", "Relu", (name,), "r"))
    rows_ = rng.normal(size=(1, 64)) + 5e-2 * rng.normal(size=(3, 64))
    head = builder.parameter(rows_.astype(np.float32), "w")
    graph = builder.finish(builder.add(Node("head", "Gemm", (name, head), "y")))
    case = load(make_case(graph, rng.random((30, 64), np.float32), None), range(30))
    found = analyse(case, range(30))
    radius = torch.from_numpy(radii(list(run(case, LipschitzSpec((0.01, 0.5)), range(30), found))))
    images = torch.from_numpy(np.stack([case.item(index) for index in range(30)]))
    scores = execute(case.network, images).double()
    top = scores.topk(2).values
    lead, cheap = top[:, 0] - top[:, 1], found.ledger.slack(images.double().norm(dim=1), 2.0**-24)
    assert int(((lead < cheap) & (radius > 0)).sum()) >= 5


def test_other_norms_follow_from_the_ball_that_fits(
    subject: Subject, analysis: Analysis, plain: list[LipschitzRow]
) -> None:
    real = radii(rows(subject, analysis, arithmetic=Execution.REAL))
    flat = radii(rows(subject, analysis, arithmetic=Execution.REAL, norm=Distance.LINF))
    side = math.sqrt(subject.item(0).size)
    assert bool((flat * side <= real).all())
    assert np.allclose(flat * side, real, rtol=1e-12, atol=0)
    assert bool((radii(rows(subject, analysis, norm=Distance.L1)) == radii(plain)).all())


def test_an_analysis_survives_its_bytes(
    subject: Subject, analysis: Analysis, plain: list[LipschitzRow]
) -> None:
    read = Analysis.from_bytes(analysis.to_bytes(), subject.network.digest())
    assert read.report() == analysis.report()
    assert torch.equal(read.bound.pairs, analysis.bound.pairs)
    assert [row.radius for row in rows(subject, read)] == [row.radius for row in plain]
    json.dumps(read.report(), allow_nan=False)


def test_an_analysis_of_another_network_is_not_read(subject: Subject, analysis: Analysis) -> None:
    with pytest.raises(ValueError, match="not the analysis"):
        Analysis.from_bytes(analysis.to_bytes(), "0" * 64)
    other = Analysis("0" * 64, (), analysis.bound, analysis.ledger, analysis.steepest, 0.0)
    with pytest.raises(InvalidSpec, match="another network"):
        next(run(subject, LipschitzSpec((0.1,)), [0], other))


def test_the_report_tells_every_part_with_method_and_tightness(analysis: Analysis) -> None:
    report = analysis.report()
    assert report["pairs"]["min"] <= report["pairs"]["median"] <= report["pairs"]["max"]
    assert 0 < report["seen"]["tightness"] <= 1
    for part in report["parts"]:
        assert part["upper"] > 0
        assert part["method"]
        assert part["tightness"] is None or part["tightness"] >= 1 - 1e-9


def test_a_bound_that_is_too_small_is_an_alarm(subject: Subject, analysis: Analysis) -> None:
    points = torch.from_numpy(np.stack([subject.item(index) for index in range(8)])).double()
    wrong = analysis.bound.pairs * (0.5 * analysis.steepest.ratio)
    with pytest.raises(UnsoundBound):
        steepest_pair(subject.network, wrong, points)


def linear(weight: np.ndarray) -> Graph:
    builder = GraphBuilder.start("x", (weight.shape[1],), Limits())
    name = builder.parameter(weight, "w")
    return builder.finish(builder.add(Node("dense", "Gemm", ("x", name), "y", {}, "Gemm")))


def test_radii_are_in_units_of_the_raw_input(make_case: MakeCase) -> None:
    """Two inputs, divided by 0.5 and 0.25: the boundary lies where it lies in front of the division."""
    graph = linear(np.array([[1.0, 0.0], [0.0, 1.0]]))
    items = np.array([[[[0.75]], [[0.25]]]], np.float32).reshape(1, 2)
    case = make_case(graph, items, [0], std=(0.5, 0.25))
    subject = load(case, [0])
    (row,) = run(subject, LipschitzSpec((0.1,), arithmetic=Execution.REAL), [0], analyse(subject, [0]))
    truth = (0.75 / 0.5 - 0.25 / 0.25) / math.hypot(2.0, 4.0)
    assert truth * (1 - 1e-9) <= row.radius <= truth


def test_inputs_outside_the_domain_are_skipped_and_ties_are_undecided(make_case: MakeCase) -> None:
    graph = linear(np.array([[1.0, 0.0], [0.0, 1.0]]))
    case = make_case(graph, np.array([[2.0, 0.0], [0.5, 0.5]], np.float32), None)
    subject = load(case, [0, 1])
    outside, tie = run(subject, LipschitzSpec((0.0,)), [0, 1], analyse(subject, [0, 1]))
    assert (outside.verdict, outside.reason, outside.method) == (Verdict.SKIPPED, "outside-domain", "")
    assert (tie.verdict, tie.reason, tie.radius) == (Verdict.UNDECIDED, "tie", 0.0)
    assert tie.correct is None


def test_a_final_softmax_changes_no_label_and_is_taken_off(make_case: MakeCase) -> None:
    builder = GraphBuilder.start("x", (2,), Limits())
    name = builder.parameter(np.array([[3.0, 0.0], [0.0, 3.0]]), "w")
    dense = builder.add(Node("dense", "Gemm", ("x", name), "d", {}, "Gemm"))
    graph = builder.finish(builder.add(Node("soft", "Softmax", (dense,), "s", {"axis": 0}, "Softmax")))
    subject = load(make_case(graph, np.array([[1.0, 0.0]], np.float32), [0]), [0])
    analysis = analyse(subject, [0])
    assert analysis.report()["stripped"] == ["soft"]
    (row,) = run(subject, LipschitzSpec((0.1,), arithmetic=Execution.REAL), [0], analysis)
    assert 0.7071 < row.radius <= 2**-0.5


def test_requests_that_do_not_fit_are_refused(subject: Subject, analysis: Analysis) -> None:
    for relaxation in (TopK(0), TopK(10), Affinity(()), Affinity(((3, 10),))):
        with pytest.raises(InvalidSpec):
            rows(subject, analysis, relaxation=relaxation)


def test_a_network_without_a_bound_is_refused_by_node(make_case: MakeCase) -> None:
    builder = GraphBuilder.start("x", (2,), Limits())
    graph = builder.finish(builder.add(Node("square", "Mul", ("x", "x"), "y", {}, "Mul")))
    subject = load(make_case(graph, np.zeros((1, 2), np.float32), None), [0])
    with pytest.raises(UnsupportedOperators) as refusal:
        analyse(subject, [0])
    assert [offence.where for offence in refusal.value.offences] == ["square"]
