from __future__ import annotations

import pytest

from glocert.spec_generator import Continuity, Recipe
from glocert.spec_ranges import Ranges

STYLE = {"family": "style", "architecture": "residual"}
GAN = {"family": "gan", "architecture": "dcgan"}


def test_a_recipe_is_plain_data():
    recipe = Recipe(augment={"rotation": (-30.0, 30.0)}, continuity=Continuity(bound=2.0), seed=3)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_one_number_is_a_range_about_the_unchanged_image():
    found = Ranges.from_json({"rotation": 30, "contrast": 0.2, "fog": 0.5, "scaling": [0.75, 1.2]})
    assert found == {
        "rotation": (-30.0, 30.0), "contrast": (0.8, 1.2), "fog": (0.0, 0.5), "scaling": (0.75, 1.2),
    }  # fmt: skip
    assert Ranges(found).extents()["rotation"] == {"from": -30.0, "to": 30.0, "unit": "degrees"}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        pytest.param({"family": "vae"}, "family", id="family"),
        pytest.param({"architecture": "dcgan"}, "architecture", id="architecture"),
        pytest.param({"epochs": 0}, "epochs", id="epochs"),
        pytest.param({"rate": float("nan")}, "rate", id="rate"),
        pytest.param({"unheard": 1}, "unheard", id="unknown"),
        pytest.param({"continuity": {"bound": 1.0}}, "continuity.bound", id="bound"),
        pytest.param({"continuity": {"ramp": 2.0}}, "continuity.ramp", id="ramp"),
        pytest.param({"continuity": {"estimator": "guess"}}, "estimator", id="estimator"),
        pytest.param({"augment": {"vortex": 1}}, "vortex", id="mutation"),
        pytest.param({"augment": {"rotation": "wide"}}, "augment.rotation", id="no-range"),
        pytest.param({"augment": {"fog": [-0.1, 0.5]}}, "augment.fog", id="negative-fog"),
        pytest.param({"augment": {"scaling": [0.0, 2.0]}}, "augment.scaling", id="no-scale"),
        pytest.param({"augment": {"rotation": [30, -30]}}, "augment.rotation", id="order"),
        pytest.param({"augment": {"rotation": -30}}, "augment.rotation", id="negative"),
        pytest.param(GAN, "encoder_epochs", id="no-encoder"),
        pytest.param({**GAN, "encoder_epochs": 1, "patience": 2}, "patience", id="patience"),
        pytest.param({"prior": "uniform"}, "prior", id="prior"),
        pytest.param({"mutation": {"type": "rotation", "from": 0, "to": 9}}, "mutation", id="no-style"),
        pytest.param({**STYLE, "mutation": {"type": "chord", "item": 1}}, "mutation", id="chord"),
        pytest.param({**STYLE, "continuity": {"estimator": "spectral"}}, "estimator", id="spectral"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(members, words):
    with pytest.raises(ValueError, match=words):
        Recipe.from_json(members)
