"""Rates, quantiles and the exact curve of many rows; the verdict on usefulness; the picture."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from xml.etree import ElementTree

from glocert.report_curve import curve, svg
from glocert.report_lipschitz import quantile, summarise
from glocert.spec_lipschitz import LipschitzMethod, LipschitzRow, LipschitzSpec, epsilon_key

SPEC = LipschitzSpec((0.1, 0.5))


def row(radius: float, *, label: int | None = 1, predicted: int = 1, method: str = "global") -> LipschitzRow:
    certified = {epsilon_key(e): bool(method) and radius > e for e in SPEC.epsilons}
    right = label is None or predicted == label
    robust = {key: holds and right for key, holds in certified.items()}
    reason = "misclassified" if not right else ""
    return LipschitzRow(
        0, label, predicted, radius, certified, robust, method, 0.001, reason=reason, forward=0.001
    )


def many(seed: int) -> list[LipschitzRow]:
    chance = random.Random(seed)
    return [
        row(chance.choice([0.0, 0.1, math.inf, chance.random()]), predicted=chance.choice([1, 1, 1, 2]),
            method=chance.choice(["global", "global", "local", ""]))
        for _ in range(60)
    ]  # fmt: skip


def test_rates_count_what_they_say() -> None:
    rows = [row(0.3), row(0.7), row(0.7, predicted=2), row(0.0), row(0.0, method="")]
    found = summarise(rows, SPEC)
    assert found["inputs"] == 5
    assert found["clean_accuracy"] == 4 / 5
    assert found["vra"] == {"0.1": 2 / 5, "0.5": 1 / 5}
    assert found["rejection_rate"] == {"0.1": 2 / 5, "0.5": 3 / 5}
    assert found["certified_but_wrong"] == {"0.1": 1 / 5, "0.5": 1 / 5}
    assert found["skipped"] == 2
    assert found["average_certified_radius"] == (0.3 + 0.7) / 5
    assert math.isclose(found["milliseconds_per_input"], 1.0)
    json.dumps(found, allow_nan=False)


def test_w4_the_curve_is_the_exact_accuracy_at_every_radius_and_never_rises() -> None:
    for seed in range(20):
        rows = many(seed)
        drawn = curve(rows)
        assert list(drawn.shares) == sorted(drawn.shares, reverse=True)
        for epsilon in (0.0, 0.1, 0.25, *(each.radius for each in rows if math.isfinite(each.radius))):
            truth = sum(bool(each.correct and each.method and each.radius > epsilon) for each in rows)
            assert drawn.at(epsilon) == truth / len(rows)
        found = summarise(rows, SPEC)
        assert found["vra"] == {key: drawn.at(float(key)) for key in found["vra"]}
        assert found["clean_accuracy"] >= found["vra"]["0.1"] >= found["vra"]["0.5"]
        assert found["rejection_rate"]["0.1"] <= found["rejection_rate"]["0.5"]


def test_without_labels_there_is_no_accuracy() -> None:
    found = summarise([row(0.3, label=None)], SPEC)
    assert found["clean_accuracy"] is None
    assert found["vra"] is None
    assert found["rejection_rate"] == {"0.1": 0.0, "0.5": 1.0}


def test_no_rows_are_no_summary_of_anything() -> None:
    found = summarise([], SPEC)
    assert found["inputs"] == 0
    assert found["milliseconds_per_input"] is None
    assert curve([]).at(0.0) == 0.0


def test_quantiles_are_values_that_occur() -> None:
    assert [quantile([1.0, 2.0, 3.0, 4.0], q) for q in (0.25, 0.5, 0.51, 1.0)] == [1.0, 2.0, 3.0, 4.0]
    assert quantile([], 0.5) == 0.0


def test_a_median_below_a_tenth_of_the_smallest_epsilon_is_vacuous() -> None:
    useful = summarise([row(0.02), row(0.01), row(0.001)], SPEC)["usefulness"]
    assert useful["verdict"] == "useful"
    vacuous = summarise([row(0.0099)] * 3, SPEC)["usefulness"]
    assert vacuous["verdict"] == "vacuous"
    assert "portfolio" in vacuous["next_steps"][0]
    assert "gloro-training" in vacuous["next_steps"][1]
    assert vacuous["fine_tuning_seconds_per_1000_inputs"] > 0
    portfolio = LipschitzSpec((0.1, 0.5), method=LipschitzMethod.PORTFOLIO)
    (step,) = summarise([row(0.0)], portfolio)["usefulness"]["next_steps"]
    assert "gloro-training" in step


def tried(*proven: float) -> LipschitzRow:
    members = dict(zip(("global", "local", "backward"), proven, strict=False))
    return replace(row(proven[-1], method="backward"), members=members)


def test_members_say_what_each_method_added_and_what_the_global_bound_is_worth_alone() -> None:
    portfolio = LipschitzSpec((0.1, 0.5), method=LipschitzMethod.PORTFOLIO)
    found = summarise([tried(0.001, 0.2, 0.2), tried(0.002, 0.01, 0.6), tried(0.3, 0.3, 0.3)], portfolio)
    assert found["members"] == {
        "global": {"certified": {"0.1": 1, "0.5": 0}, "added": {"0.1": 1, "0.5": 0}, "median_radius": 0.002},
        "local": {"certified": {"0.1": 2, "0.5": 0}, "added": {"0.1": 1, "0.5": 0}, "median_radius": 0.2},
        "backward": {"certified": {"0.1": 3, "0.5": 1}, "added": {"0.1": 1, "0.5": 1}, "median_radius": 0.3},
    }
    assert found["usefulness"]["verdict"] == "useful"
    alone = found["usefulness"]["global"]
    assert alone["verdict"] == "vacuous"
    assert "gloro-training" in alone["next_steps"][0]
    assert alone["fine_tuning_seconds_per_1000_inputs"] > 0
    good = summarise([tried(0.2, 0.3, 0.4)], portfolio)["usefulness"]["global"]
    assert good == {"verdict": "useful", "median_radius": 0.2}
    assert "global" not in summarise([row(0.2)], SPEC)["usefulness"]


def test_the_picture_is_the_same_for_the_same_curve_and_is_well_formed() -> None:
    drawn = curve(many(3))
    picture = svg(drawn, (0.1, 0.5), "l2")
    assert picture == svg(drawn, (0.1, 0.5), "l2")
    root = ElementTree.fromstring(picture)
    (line,) = [node for node in root if node.get("stroke") == "#009e73"]
    assert line.get("d", "").count("L") == 2 * len(drawn.radii) + 1
    assert sum(node.tag.endswith("circle") for node in root) == 2
    ElementTree.fromstring(svg(curve([]), (0.0,), "linf"))
