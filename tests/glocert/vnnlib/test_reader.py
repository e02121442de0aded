from __future__ import annotations

import gzip
import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.errors import InvalidSpec
from glocert.vnnlib import read_property

HEAD = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-fun Y_0 () Real)(declare-const Y_1 Real)"
BOX = "(assert (and (>= X_0 -1) (<= X_0 1) (<= 0 X_1 2)))"


def read(assertions: str):
    return read_property(f"{HEAD}{BOX}{assertions}".encode())


def test_numbers_are_exact():
    region = read("(assert (<= Y_0 0.1))(assert (<= X_0 1e-3))").regions[0]
    assert region.upper == (Fraction(1, 1000), Fraction(2))
    assert region.unsafe.inequalities[0].constant == -Fraction(1, 10)


def test_boxes_of_alternatives_are_regions():
    found = read("(assert (or (and (<= X_0 0) (>= Y_0 1)) (>= Y_1 1) (and (<= X_0 0) (>= Y_1 3))))").regions
    assert {region.upper[0]: len(region.unsafe.groups) for region in found} == {
        Fraction(0): 2,
        Fraction(1): 1,
    }


def test_conditions_that_exclude_each_other_leave_no_region():
    assert read("(assert (>= X_0 3))(assert (<= Y_0 0))").regions == ()
    assert read("(assert (< 1 0))").regions == ()


def test_a_strict_bound_of_an_input_stays_an_inequality():
    (region,) = read("(assert (< X_0 1))").regions
    assert region.upper[0] == 1
    assert not region.unsafe.holds([Fraction(1), Fraction(0)], [Fraction(0)] * 2)
    assert region.unsafe.holds([Fraction(0), Fraction(0)], [Fraction(0)] * 2)


def test_a_property_of_inputs_alone_is_always_broken():
    (region,) = read("").regions
    assert region.unsafe.holds([Fraction(0)] * 2, [Fraction(0)] * 2)


names = st.sampled_from(["Y_0", "Y_1", "X_0", "X_1"])
terms = st.recursive(
    st.one_of(names, st.integers(-3, 3).map(str), st.sampled_from(["0.5", "-1e-1", "+2."])),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("+-"), inner, inner), st.tuples(st.just("-"), inner),
        st.tuples(st.just("*"), st.sampled_from(["2", "-0.5"]), inner),
        st.tuples(st.just("/"), inner, st.sampled_from(["2", "-4"])),
    ),
    max_leaves=5,
)  # fmt: skip
formulas = st.recursive(
    st.tuples(st.sampled_from(["<=", ">=", "<", ">", "="]), terms, terms),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=4,
)


def written(tree) -> str:
    return tree if isinstance(tree, str) else f"({' '.join(map(written, tree))})"


def value(tree, at):
    """Evaluate as SMT-LIB means it, over rational numbers."""
    if isinstance(tree, str):
        return at[tree] if tree in at else Fraction(tree)
    head, *rest = tree
    parts = [value(item, at) for item in rest]
    if head == "not":
        return not parts[0]
    if head in ("and", "or"):
        return all(parts) if head == "and" else any(parts)
    if head == "-":
        return parts[0] - parts[1] if len(parts) > 1 else -parts[0]
    left, right = parts
    return {
        "+": lambda: left + right, "*": lambda: left * right, "/": lambda: left / right,
        "<=": lambda: left <= right, ">=": lambda: left >= right, "<": lambda: left < right,
        ">": lambda: left > right, "=": lambda: left == right,
    }[head]()  # fmt: skip


@given(formula=formulas, strangers=st.lists(st.fractions(-1, 1, max_denominator=4), min_size=4, max_size=4))
def test_the_normal_form_means_the_formula(formula, strangers):
    found = read(f"(assert {written(formula)})")
    whole = [Fraction(n, 2) for n in (-2, 0, 1, 2)]
    points = [strangers, *itertools.islice(itertools.product(whole, repeat=4), 0, 256, 5)]
    for x0, x1, y0, y1 in points:
        x = [x0, abs(x1)]
        truth = value(formula, {"X_0": x[0], "X_1": x[1], "Y_0": y0, "Y_1": y1})
        inside = [
            region.unsafe.holds(x, [y0, y1])
            and all(a <= v <= b for a, v, b in zip(region.lower, x, region.upper, strict=True))
            for region in found.regions
        ]
        assert any(inside) == truth


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("(assert (<= (* Y_0 Y_1) 0))", "not linear"),
        ("(assert (<= (/ 1 Y_0) 0))", "numbers but zero"),
        ("(assert (<= (/ Y_0 0) 0))", "numbers but zero"),
        ("(assert (<= Y_2 0))", "column 5: 'Y_2' is not declared|'Y_2' is not declared"),
        ("(assert (<= Y_0 nan))", "neither a number nor a variable"),
        ("(assert (<= Y_0 1e99999999))", "neither a number nor a variable"),
        ("(assert (<= Y_0 __import__))", "neither a number nor a variable"),
        ("(assert Y_0)", "a formula was expected"),
        ("(assert (xor (<= Y_0 0) (<= Y_1 0)))", "a formula starts with"),
        ("(assert (<= Y_0))", "a formula starts with"),
        ("(assert)", "a command is one of"),
        ("(declare-const Z_0 Real)", "variables are"),
        ("(declare-const X_0 Real)", "declared twice"),
        ("(declare-const X_3 Real)", "declares X_3 but no X_2"),
        ("(declare-const X_2 Real)", "X_2 has no lower bound"),
        ("(declare-const X_2 Int)", "a declaration is"),
        (f"(assert (<= Y_0 (* {'1e999 ' * 90})))", "too many digits"),
        ("(assert (and " + "(or (<= Y_0 0) (<= Y_1 0))" * 40 + "))", "OR of ANDs"),
    ],
)
def test_hostile_and_wrong_texts_are_refused_in_words(text, sentence):
    with pytest.raises(InvalidSpec, match=sentence):
        read(text)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "declares no X_0"),
        (b"\xff\xfe(", "not UTF-8"),
        (b"\x1f\x8b broken", "not a readable gzip"),
        (gzip.compress(b"(assert (<= X_0 1))", mtime=0)[:-6], "breaks off"),
        (gzip.compress(b" " * (2**26 + 1), mtime=0), "longer than"),
    ],
)
def test_files_that_are_no_texts_are_refused(data, sentence):
    with pytest.raises(InvalidSpec, match=sentence):
        read_property(data)


def test_gzipped_files_are_read():
    text = f"{HEAD}{BOX}".encode()
    assert read_property(gzip.compress(text)) == read_property(text)
