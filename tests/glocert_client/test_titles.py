from typing import Any

import pytest

from glocert_client.titles import describe_request


@pytest.mark.parametrize(
    ("request_", "title"),
    [
        ({"kind": "segment-certification", "mutation": {"type": "fog", "from": 0, "to": 0.5}}, "fog=0:0.5"),
        (
            {"kind": "lipschitz-certification", "epsilons": [0.1, 1.58], "norm": "l2", "method": "local",
             "relaxation": {"top_k": 3}},
            "l2<=0.1,1.58 local top_k=3",
        ),
        ({"kind": "gloro-wrap", "epsilon": 0.3}, "wrap epsilon=0.3"),
        ({"kind": "gloro-prediction", "epsilons": [0.1, 1.58]}, "predict epsilon=0.1,1.58"),
        ({"kind": "gloro-prediction", "epsilons": None}, "predict epsilon=that of the file"),
        (
            {"kind": "gloro-training", "epsilon": 0.3, "architecture": "2c2f", "from_model_id": None},
            "train 2c2f epsilon=0.3",
        ),
        (
            {"kind": "gloro-training", "epsilon": 0.3, "architecture": None, "from_model_id": "mdl_1"},
            "train mdl_1 epsilon=0.3",
        ),
        ({"kind": "direction-mining", "mode": "local", "mutation": None}, "local directions"),
        (
            {"kind": "direction-mining", "mode": "pair", "mutation": {"type": "fog", "from": 0, "to": 0.5}},
            "pair directions fog=0:0.5",
        ),
        ({"kind": "generator-training", "family": "gan", "target": None}, "generator gan"),
        (
            {
                "kind": "generator-training", "family": "style",
                "target": {"mutation": {"type": "rotation", "from": 0.0, "to": 30.0}},
            },
            "generator style rotation=0:30",
        ),
        (
            {"kind": "generator-training", "family": "style", "target": {"dataset_id": "dat_1"}},
            "generator style of images",
        ),
        ({"kind": "precheck"}, "precheck"),
    ],
)  # fmt: skip
def test_jobs_are_named_after_their_request(request_: dict[str, Any], title: str) -> None:
    assert describe_request(request_) == title
