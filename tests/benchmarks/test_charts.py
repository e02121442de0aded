"""Pictures are well-formed and show every series, whatever the numbers."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.charts import Axis, bars, lines

NUMBERS = st.floats(1e-6, 1e9)
SVG = "{http://www.w3.org/2000/svg}"


@given(
    series=st.dictionaries(
        st.text("ab<&", min_size=1, max_size=3),
        st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5),
        min_size=1,
        max_size=4,
    ),
    logarithmic=st.booleans(),
)
def test_every_point_of_a_chart_is_inside_the_picture(series, logarithmic):
    x, y = Axis("a < b", logarithmic), Axis("y & z", logarithmic)
    picture = ElementTree.fromstring(lines("t", x, y, series))
    circles = picture.findall(f"{SVG}circle")
    assert len(circles) == sum(map(len, series.values())) + len(series)
    for circle in circles:
        assert 0 <= float(circle.attrib["cx"]) <= 640
        assert 0 <= float(circle.attrib["cy"]) <= 380


def test_numbers_that_a_logarithmic_axis_cannot_show_are_left_out():
    axis = Axis("x", logarithmic=True)
    picture = lines("t", axis, axis, {"one": [(0.0, 1.0), (1.0, 0.0), (2.0, 3.0)], "none": [(0.0, 0.0)]})
    assert len(ElementTree.fromstring(picture).findall(f"{SVG}circle")) == 2


@given(values=st.dictionaries(st.text("ab", min_size=1, max_size=3), st.floats(0.01, 100), min_size=1))
def test_bars_begin_at_one(values):
    picture = ElementTree.fromstring(bars("t", values, {"equal": 1.0, "bar": 3.0}))
    assert len(picture.findall(f"{SVG}rect")) == len(values) + 1
