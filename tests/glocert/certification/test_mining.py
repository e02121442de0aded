"""Directions of a generator that makes blobs, with an encoder that knows its codes."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glocert.certification.case import Source
from glocert.certification.mining import STAGES, run
from glocert.certification.mining_files import MiningCase
from glocert.certification.mining_spec import MiningSpec
from glocert.errors import InvalidSpec, NoDirection
from glocert.generators.directions.velocity import motion
from glocert.spec import Mutation, Preprocessing
from tests.glocert.generators.decoders import linear_graph

SIDE = 12
LATENT = 4
UNITS = 20.0
"""degrees of one latent unit, about"""


def blob() -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return 0.5 * np.exp(-((rows - 4.2) ** 2 / 9 + (columns - 6.7) ** 2 / 4))[None]


def weights() -> np.ndarray:
    """Columns: rotation, brightness, a patch in the corner, another patch on top of a little brightness."""
    import torch

    base = torch.from_numpy(blob())[None]
    turn = motion(Mutation("rotation", 0.0, 1.0)).velocity(base).numpy().reshape(-1)
    corner, other = np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), 1e-3)
    corner[9:, :3] = 0.2
    other[9:, 9:] = 0.1
    return np.stack([UNITS * turn, np.full(SIDE * SIDE, 0.02), corner.ravel(), other.ravel()], axis=1)


@dataclass(frozen=True)
class Files:
    folder: Path
    codes: np.ndarray
    case: MiningCase
    drawn: MiningCase


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("mining")
    matrix = weights()
    generator = linear_graph(matrix, (1, SIDE, SIDE), blob().reshape(-1))
    inverse = np.linalg.pinv(matrix)
    flat = linear_graph(inverse, None, -inverse @ blob().reshape(-1))
    (folder / "generator").write_bytes(generator.to_bytes())
    (folder / "encoder").write_bytes(flat.to_bytes())
    codes = 0.5 * np.random.default_rng(3).standard_normal((40, LATENT))
    images = (codes @ matrix.T + blob().reshape(-1)).reshape(-1, SIDE, SIDE).astype(np.float32)
    np.save(folder / "inputs.npy", images)
    np.save(folder / "labels.npy", (codes[:, 2] > 0).astype(np.int64))
    plain = Preprocessing(lower=-5.0, upper=5.0)
    source, encoder = Source(folder / "generator", plain), Source(folder / "encoder", plain)
    case = MiningCase(source, {}, encoder, folder / "inputs.npy", folder / "labels.npy")
    return Files(folder, codes, case, MiningCase(source, {}))


def mined(case: MiningCase, out: Path, items: int = 0, **members: Any) -> dict[str, Any]:
    """Run to the end and return what was found."""
    spec = MiningSpec.from_json(members)
    stages = run(case, spec, range(items), out, samples=8, block_bytes=2**22)
    seen = []
    while True:
        try:
            seen.append(next(stages))
        except StopIteration as end:
            assert seen == list(range(1, STAGES + 1))
            return end.value


CORNER = {"type": "rectangle", "top": 9, "left": 0, "height": 3, "width": 3}


def test_global_directions_are_named_and_drawn(files: Files, tmp_path: Path) -> None:
    found = mined(files.drawn, tmp_path, mode="global", count=4)
    assert found["codes"] == {"from": "prior", "count": 8}
    assert found["shared"]["energy_share"] == pytest.approx(1.0)
    vectors = np.array([one["vector"] for one in found["directions"]])
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-10)
    energies = np.linalg.svd(weights())[1] ** 2 / SIDE**2
    np.testing.assert_allclose([one["energy"] for one in found["directions"]], energies, rtol=1e-9)
    bright = next(one for one in found["directions"] if one["name"] == "brightness")
    assert bright["vector"][1] > 0.8  # in the sense of the mutation
    assert bright["scale"] == {"unit": "intensity", "per_latent": pytest.approx(0.02, rel=0.5)}
    assert bright["measures"]["alike"][0]["cosine"] > 0.7
    assert bright["extent"] == 2.0
    assert len(bright["measures"]["independency"]["coupling"]) == 4
    assert json.loads((tmp_path / "directions.json").read_text())["directions"] == found["directions"]
    for one in found["directions"]:
        picture = Image.open(io.BytesIO((tmp_path / one["preview"]).read_bytes()))
        assert picture.format == "PNG"
        assert picture.width > 5 * 7 * SIDE


def test_local_directions_stay_in_their_mask(files: Files, tmp_path: Path) -> None:
    found = mined(files.drawn, tmp_path, mode="local", mask=CORNER, count=1)
    (one,) = found["directions"]
    assert abs(one["vector"][2]) > 0.99
    for method in ("subspace", "ratio"):
        other = mined(
            files.drawn, tmp_path, mode="local", mask=CORNER, method=method, orthogonal_to=[one["vector"]]
        )
        assert all(abs(np.dot(each["vector"], one["vector"])) < 1e-9 for each in other["directions"])
    assert one["leakage"] < 1e-3
    assert max(one["measures"]["independency"]["leakage_along"]) < 1e-3


def test_a_pair_is_the_way_from_inputs_to_their_mutants(files: Files, tmp_path: Path) -> None:
    mutation = {"type": "brightness", "from": 0.0, "to": 0.04}
    found = mined(files.case, tmp_path, 20, mode="pair", mutation=mutation)
    (one,) = found["directions"]
    assert one["name"] == "brightness"
    assert abs(one["vector"][1]) > 0.999
    assert one["extent"] == pytest.approx(2.0, rel=1e-3)
    assert one["scale"] == {"unit": "intensity", "per_latent": pytest.approx(0.02, rel=1e-3)}
    assert found["shared"]["pairs"] == 20
    assert found["shared"]["cosine"] == pytest.approx(1.0, abs=1e-4)
    assert found["codes"]["psnr"] > 60
    assert "rests on 20 pairs" in found["warnings"][0]


@pytest.mark.parametrize("to", [0.03, -0.03])
def test_a_derivative_leads_to_the_far_end(files: Files, tmp_path: Path, to: float) -> None:
    mutation = {"type": "brightness", "from": 0.0, "to": to}
    found = mined(files.drawn, tmp_path, mode="derivative", mutation=mutation, seed=1)
    (one,) = found["directions"]
    assert (one["name"], found["warnings"]) == ("brightness", [])
    assert one["extent"] == pytest.approx(1.5, rel=1e-3)
    assert one["scale"] == {"unit": "intensity", "per_latent": pytest.approx(to / 1.5, rel=1e-3)}
    assert np.sign(one["vector"][1]) == np.sign(to)
    assert found["shared"]["explained"] == pytest.approx(1.0, abs=1e-4)


def test_what_a_mutation_is_not_has_not_its_name(files: Files, tmp_path: Path) -> None:
    mutation = {"type": "rotation", "from": 0.0, "to": 6.0}
    found = mined(files.drawn, tmp_path, mode="derivative", mutation=mutation, seed=1)
    (one,) = found["directions"]
    assert (one["name"], one["scale"]) == (None, None)
    assert 0 < found["shared"]["explained"] < 0.5
    assert "does not contain it" in found["warnings"][0]
    asked = mined(files.drawn, tmp_path, mode="derivative", mutation=mutation, seed=1, name="a turn")
    assert (asked["directions"][0]["name"], asked["directions"][0]["scale"]) == ("a turn", None)


def test_one_input_has_a_direction_of_its_own(files: Files, tmp_path: Path) -> None:
    mutation = {"type": "contrast", "from": 1.0, "to": 1.3}
    many = mined(files.case, tmp_path, 8, mode="derivative", mutation=mutation)
    one = mined(files.case, tmp_path, 1, mode="derivative", mutation=mutation)
    assert one["shared"]["explained"] == pytest.approx(one["shared"]["explained_apart"])
    assert one["shared"]["explained"] > many["shared"]["explained"]


def test_an_attribute_leads_from_one_label_to_the_other(files: Files, tmp_path: Path) -> None:
    for method in ("means", "separator"):
        members = {"groups": {"by": "label", "positive": [1]}, "method": method, "name": "corner"}
        found = mined(files.case, tmp_path, 40, mode="attribute", **members)
        (one,) = found["directions"]
        assert one["name"] == "corner"
        assert one["vector"][2] > 0.9
        assert found["shared"]["accuracy"] > 0.7
        assert (found["shared"]["positive"], found["shared"]["negative"]) == (
            int((files.codes[:, 2] > 0).sum()), int((files.codes[:, 2] <= 0).sum())
        )  # fmt: skip
    by_item = mined(
        files.case, tmp_path, 40, mode="attribute",
        groups={"by": "item", "positive": [0, 1, 2], "negative": [3, 4, 5]},
    )  # fmt: skip
    means = files.codes[:3].mean(0) - files.codes[3:6].mean(0)
    np.testing.assert_allclose(by_item["directions"][0]["vector"], means / np.linalg.norm(means), atol=1e-4)


def test_a_direction_can_be_confined_to_a_mask(files: Files, tmp_path: Path) -> None:
    members = {"groups": {"by": "item", "positive": [0, 1], "negative": [2, 3]}, "mask": CORNER}
    free = mined(files.case, tmp_path, 40, mode="attribute", groups=members["groups"])
    assert abs(free["directions"][0]["vector"][2]) < 0.99
    confined = mined(files.case, tmp_path, 40, mode="attribute", **members)
    assert 0.1 <= confined["shared"]["retention"] < 1.0
    both = np.dot(free["directions"][0]["vector"], confined["directions"][0]["vector"])
    assert both == pytest.approx(confined["shared"]["retention"], rel=1e-9)
    assert confined["directions"][0]["leakage"] < 0.01


def test_directions_keep_away_from_given_ones(files: Files, tmp_path: Path) -> None:
    given = [np.eye(LATENT)[0].tolist(), [0.0, 0.6, 0.8, 0.0]]
    found = mined(files.drawn, tmp_path, mode="global", count=4, orthogonal_to=given)
    vectors = np.array([one["vector"] for one in found["directions"]])
    assert len(vectors) == 2
    np.testing.assert_allclose(vectors @ np.array(given).T, 0.0, atol=1e-10)
    energies = [one["energy"] for one in found["directions"]]
    assert energies == sorted(energies, reverse=True)
    left = weights() @ (np.eye(LATENT) - np.array(given).T @ np.array(given))
    np.testing.assert_allclose(energies, np.linalg.svd(left)[1][:2] ** 2 / SIDE**2, rtol=1e-9)
    assert found["shared"]["energy_share"] < 1.0
    one = mined(
        files.drawn, tmp_path, mode="derivative", mutation={"type": "brightness", "from": 0.0, "to": 0.1},
        orthogonal_to=given,
    )  # fmt: skip
    np.testing.assert_allclose(np.array(given) @ one["directions"][0]["vector"], 0.0, atol=1e-10)
    assert one["shared"]["turned"] == pytest.approx(np.degrees(np.arcsin(0.6)), abs=0.1)
    with pytest.raises(NoDirection, match="whole latent space"):
        mined(files.drawn, tmp_path, mode="global", orthogonal_to=np.eye(LATENT).tolist())


def test_the_same_seed_finds_the_same(files: Files, tmp_path: Path) -> None:
    members = {"mode": "derivative", "mutation": {"type": "rotation", "from": 0.0, "to": 5.0}}
    once, again = (mined(files.drawn, tmp_path, seed=4, **members) for _ in range(2))
    assert once == again
    assert mined(files.drawn, tmp_path, seed=5, **members) != once


def test_codes_without_an_encoder_are_looked_for(files: Files, tmp_path: Path) -> None:
    case = MiningCase(files.case.generator, {}, None, files.case.inputs)
    found = mined(case, tmp_path, 3, mode="global", steps=150)
    assert found["codes"]["from"] == "items"
    assert found["codes"]["psnr"] > 25


def test_what_leaves_the_prior_is_told(files: Files, tmp_path: Path) -> None:
    case = MiningCase(files.case.generator, {"prior": "uniform"})
    found = mined(case, tmp_path, mode="global", count=1)
    assert found["prior"] == "uniform"
    assert found["directions"][0]["measures"]["prior"]["out_of_prior"]
    assert "leave the prior" in found["warnings"][-1]


def test_flat_data_has_directions_but_no_pictures(files: Files, tmp_path: Path) -> None:
    (tmp_path / "flat").write_bytes(linear_graph(weights()[:10]).to_bytes())
    case = MiningCase(Source(tmp_path / "flat", Preprocessing()), {})
    found = mined(case, tmp_path, mode="global", count=2)
    assert [one["preview"] for one in found["directions"]] == [None, None]
    assert found["files"] == ["directions.json"]
    shown = mined(MiningCase(case.generator, {"image": [1, 5, 2]}), tmp_path, mode="global", count=2)
    assert (shown["image"], shown["files"][1:]) == ([1, 5, 2], ["direction-0.png", "direction-1.png"])
    with pytest.raises(InvalidSpec, match="needs images"):
        mined(case, tmp_path, mode="local", mask=CORNER)


def test_an_encoder_of_another_length_is_refused(files: Files, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(linear_graph(np.ones((2, SIDE * SIDE))).to_bytes())
    case = MiningCase(
        files.case.generator, {}, Source(tmp_path / "short", Preprocessing()), files.case.inputs
    )
    with pytest.raises(InvalidSpec, match="returns 2 numbers, the generator takes 4"):
        mined(case, tmp_path, 3, mode="global")
