"""Inputs through a generator, from their code to the row: verdicts, gates, measures, resumption."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from glocert.certification.case import Case, LatentCase, Source
from glocert.certification.journal import Journal
from glocert.certification.precheck import Wanted, finished, precheck
from glocert.certification.unit import run
from glocert.errors import InvalidSpec
from glocert.graph.export import to_onnx
from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.spec import Analysis, Arithmetic, Band, Mutation, Preprocessing, SegmentSpec, TopK, Verdict
from tests.glocert.segments.networks import Draft

IMAGE, COUNT = (1, 3, 4), 12
EASY = {"psnr": 5.0, "keep_label": False}


def generator() -> Graph:
    """Two bars whose heights are the code, each with a kink."""
    rng = np.random.default_rng(0)
    draft = Draft(2)
    hidden = draft.relu(draft.gemm("x", rng.standard_normal((9, 2)).astype(np.float32), np.full(9, 0.3)))
    weight = (rng.standard_normal((COUNT, 9)) * 0.25).astype(np.float32)
    return draft.graph(draft.gemm(hidden, weight, np.full(COUNT, 0.5, np.float32)))


def network() -> Graph:
    rng = np.random.default_rng(1)
    draft = Draft(*IMAGE)
    hidden = draft.relu(
        draft.gemm(draft.flat("x"), rng.standard_normal((10, COUNT)).astype(np.float32), np.zeros(10))
    )
    return draft.graph(draft.gemm(hidden, rng.standard_normal((3, 10)).astype(np.float32)))


def images(count: int, noise: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(2)
    codes = torch.from_numpy(rng.standard_normal((count, 2)))
    made = execute(generator(), codes).numpy() + noise * rng.standard_normal((count, COUNT))
    return made.clip(0, 1).reshape(count, *IMAGE).astype(np.float32)


@pytest.fixture
def case(make_case, tmp_path) -> Case:
    (tmp_path / "generator").write_bytes(generator().to_bytes())
    found = make_case(network(), images(8), None)
    return replace(found, latent=LatentCase(Source(tmp_path / "generator", Preprocessing())))


def mutation(**options: object) -> Mutation:
    encoding = {"steps": 60, "samples": 32}
    members = {"direction": [0.6, 0.8], "extent": 1.5, "gates": EASY, "encoding": encoding}
    return Mutation.from_json({"type": "latent", "from": 0.0, **members, **options})


def sampled(item: np.ndarray, report, anchor: str, t: np.ndarray) -> np.ndarray:
    """Images along the path, made without anything of the path's own code."""
    code = np.array(report.latent["code"])
    codes = torch.from_numpy(code + 1.5 * t[:, None] * np.array([0.6, 0.8]))
    made = execute(generator(), codes).reshape(-1, *IMAGE).numpy()
    if anchor == "residual":
        made = made + (item - execute(generator(), torch.from_numpy(code[None])).reshape(IMAGE).numpy())
    return made.clip(0, 1)


@pytest.mark.parametrize("anchor", ["residual", "generated"])
@pytest.mark.parametrize("arithmetic", list(Arithmetic))
def test_rows_agree_with_dense_samples(case, tmp_path, anchor, arithmetic):
    data, seen = images(8), set()
    spec = SegmentSpec(mutation(anchor=anchor), arithmetic=arithmetic)
    t = np.linspace(0.0, 1.0, 2001)
    for report in run(case, spec, range(8), tmp_path):
        seen.add(report.verdict)
        path = sampled(data[report.index], report, anchor, t)
        holds = execute(network(), torch.from_numpy(path)).argmax(1).numpy() == report.label
        mass = report.segment.robust_mass
        assert mass.lower - 2e-3 <= holds.mean() <= mass.upper + 2e-3
        assert holds[t <= report.segment.certified_to].all()
        assert (report.verdict is Verdict.CERTIFIED) <= holds.all()
        if anchor == "residual":
            assert path[0] == pytest.approx(data[report.index], abs=1e-12)
    assert {Verdict.CERTIFIED, Verdict.FALSIFIED} <= seen


def test_counterexamples_are_images_of_a_plain_forward_pass(case, tmp_path):
    sessions = [
        onnxruntime.InferenceSession(to_onnx(graph), providers=["CPUExecutionProvider"])
        for graph in (generator(), network())
    ]

    def through(session, x):
        return session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)})[0]

    found = [one for one in run(case, SegmentSpec(mutation()), range(8), tmp_path) if one.counterexample]
    assert found
    for report in found:
        code = np.array(report.latent["code"])
        here, there = (
            through(sessions[0], (code + s * np.array([0.6, 0.8]))[None])
            for s in (0.0, report.counterexample.value)
        )
        image = (there - here).reshape(IMAGE) + images(8)[report.index]
        scores = through(sessions[1], image.clip(0, 1)[None])
        assert scores.argmax() == report.counterexample.predicted != report.label
        assert report.files == ("counterexample.png", "path.png")
        assert (tmp_path / str(report.index) / "path.png").exists()


def test_rows_say_what_stands_for_the_input_and_how_it_moves(case, tmp_path):
    mask = {"type": "rectangle", "top": 0, "left": 0, "height": 3, "width": 2}
    scale = {"unit": "degrees", "per_latent": 10.0}
    spec = SegmentSpec(mutation(mask=mask, scale=scale, extent=20.0), partition=True)
    for report in run(case, spec, range(4), tmp_path):
        row = json.loads(json.dumps(report.to_json(), allow_nan=False))
        about = row["latent"]
        assert (about["anchor"], about["prior"], len(about["code"])) == ("residual", "normal", 2)
        assert about["psnr"] > 5
        assert about["label_kept"] in {True, False}
        assert about["continuity"]["exact"]
        assert about["continuity"]["jump_index"] >= 1
        assert 0 < about["independency"]["leakage"] < 1
        assert any("outside the mask" in warning for warning in about["warnings"])
        assert about["out_of_prior"]["unit"] == row["certified_to"]["unit"] == "degrees"
        assert 0 < about["out_of_prior"]["value"] < 200
        assert row["certified_to"]["value"] == pytest.approx(200 * row["certified_to"]["t"])


def test_inputs_that_the_generator_does_not_make_are_skipped_with_their_numbers(case, tmp_path):
    strict = mutation(gates={"psnr": 90.0})
    for report in run(case, SegmentSpec(strict), range(3), tmp_path):
        row = report.to_json()
        assert (row["verdict"], row["reason"]) == ("skipped", "not-representable")
        assert f"{row['latent']['psnr']:.1f} dB" in row["next_step"]
        assert "robust_mass" not in row


def test_codes_of_another_label_are_skipped_unless_that_is_wanted(case, tmp_path):
    raw = {"steps": 0, "samples": 1, "restarts": 1, "seed": 3}
    gates = {"psnr": -100.0}
    strict = list(run(case, SegmentSpec(mutation(encoding=raw, gates=gates)), range(8), tmp_path))
    lenient = mutation(encoding=raw, gates=gates | {"keep_label": False})
    loose = list(run(case, SegmentSpec(lenient), range(8), tmp_path))
    other = [one.index for one in strict if one.reason == "not-representable"]
    assert other
    assert [one.index for one in loose if not one.latent["label_kept"]] == other
    assert all(loose[index].segment.certified_to > 0 for index in other)  # the residual starts at the input


@pytest.mark.parametrize("analysis", list(Analysis))
def test_every_analysis_takes_such_paths(case, tmp_path, analysis):
    reports = list(run(case, SegmentSpec(mutation(), analysis), range(4), tmp_path))
    complete = list(run(case, SegmentSpec(mutation()), range(4), tmp_path))
    for one, other in zip(reports, complete, strict=True):
        assert one.segment.robust_mass.lower <= other.segment.robust_mass.upper + 1e-9
        if one.verdict is not Verdict.UNDECIDED:
            assert one.verdict is other.verdict


@pytest.mark.parametrize("asked", [Band(0.4), TopK(2)])
def test_other_properties_go_with_it(case, tmp_path, asked):
    spec = SegmentSpec(mutation(), property=asked)
    reports = list(run(case, spec, range(4), tmp_path))
    assert {one.verdict for one in reports} <= {Verdict.CERTIFIED, Verdict.FALSIFIED}
    assert all((one.latent["label_kept"] is None) == isinstance(asked, Band) for one in reports)
    if isinstance(asked, Band):  # about what the network says of the input itself
        truth = execute(network(), torch.from_numpy(images(8)[:4]).double()).numpy()
        assert np.array([one.centre for one in reports]) == pytest.approx(truth, abs=1e-12)


def test_two_directions_at_once(case, tmp_path):
    two = [mutation(direction=vector, extent=0.4).to_json() for vector in ([1.0, 0.0], [0.0, 1.0])]
    spec = SegmentSpec(Mutation.from_json({"type": "box", "mutations": two}), gap=0.01)
    data = images(8)
    for report in run(case, spec, range(3), tmp_path):
        assert [set(one) for one in report.latent["directions"]] == 2 * [
            {"out_of_prior", "continuity", "independency", "warnings"}
        ]
        code = np.array(report.latent["code"])
        grid = np.stack(np.meshgrid(*2 * [np.linspace(0, 0.4, 40)]), -1).reshape(-1, 2)
        made = execute(generator(), torch.from_numpy(np.concatenate([code[None], code + grid]))).numpy()
        path = (made[1:] - made[0]).reshape(-1, *IMAGE) + data[report.index]
        holds = execute(network(), torch.from_numpy(path.clip(0, 1))).argmax(1).numpy() == report.label
        mass = report.segment.robust_mass
        assert mass.lower - 0.05 <= holds.mean() <= mass.upper + 0.05
        assert (report.verdict is Verdict.CERTIFIED) <= holds.all()


def test_at_once_means_of_one_kind(case, tmp_path):
    two = [mutation(anchor=anchor).to_json() for anchor in ("residual", "generated")]
    with pytest.raises(InvalidSpec, match="share generator"):
        list(run(case, SegmentSpec(Mutation.from_json({"type": "box", "mutations": two})), [0], tmp_path))


def test_the_first_of_a_pair_is_moved(make_case, tmp_path):
    rng = np.random.default_rng(4)
    draft = Draft(2, *IMAGE[1:])
    weights = rng.standard_normal((2, 2 * COUNT)).astype(np.float32)
    comparing = draft.graph(draft.gemm(draft.flat("x"), weights))
    pairs = np.concatenate([images(4), rng.uniform(size=(4, *IMAGE)).astype(np.float32)], 1)
    (tmp_path / "generator").write_bytes(generator().to_bytes())
    found = make_case(comparing, pairs, None)
    found = replace(found, latent=LatentCase(Source(tmp_path / "generator", Preprocessing())))
    t = np.linspace(0, 1, 1001)
    for report in run(found, SegmentSpec(mutation(), paired=True), range(4), tmp_path):
        front = sampled(pairs[report.index, :1], report, "residual", t)
        both = np.concatenate([front, np.repeat(pairs[report.index, None, 1:], len(t), 0)], 1)
        holds = execute(comparing, torch.from_numpy(both)).argmax(1).numpy() == report.label
        assert holds.mean() == pytest.approx(report.segment.robust_mass.lower, abs=2e-3)


def test_what_was_proven_is_taken_up_by_the_same_question_only(case, tmp_path):
    """The digest covers the generator: another one begins anew."""
    told: dict[int, object] = {}
    spec = SegmentSpec(mutation(), arithmetic=Arithmetic.FLOAT32)
    journal = Journal(tell=lambda index, state: told.update({index: state}), every_s=0.0)
    (first,) = run(case, spec, [0], tmp_path, journal=journal)
    assert told

    class Seen(Journal):
        pass

    def before(changed: Case) -> bool:
        kept: list[object] = []
        again = Seen(known=dict(told), tell=lambda _, state: kept.append(state), every_s=0.0)
        (report,) = run(changed, spec, [0], tmp_path, journal=again)
        same = [state for state in kept if state["question"] == told[0]["question"]]
        assert report.verdict in set(Verdict)
        return len(same) == len(kept)

    assert before(case)
    other = generator()
    parameters = dict(other.parameters)
    name = next(iter(parameters))
    parameters[name] = parameters[name] * np.float32(1.01)
    (tmp_path / "other").write_bytes(replace(other, parameters=parameters).to_bytes())
    changed = replace(case, latent=LatentCase(Source(tmp_path / "other", Preprocessing())))
    assert not before(changed)
    assert first.segment is not None


def test_an_encoder_of_the_wrong_size_is_refused(case, tmp_path):
    draft = Draft(*IMAGE)
    graph = draft.graph(draft.gemm(draft.flat("x"), np.zeros((3, COUNT), np.float32)))
    (tmp_path / "encoder").write_bytes(graph.to_bytes())
    latent = replace(case.latent, encoder=Source(tmp_path / "encoder", Preprocessing()))
    with pytest.raises(InvalidSpec, match="the encoder returns 3 numbers, the generator takes 2"):
        list(run(replace(case, latent=latent), SegmentSpec(mutation()), [0], tmp_path))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"direction": [1.0]}, "a direction of 1 numbers, codes have 2"),
        ({"mask": {"type": "rectangle", "top": 9, "left": 9, "height": 1, "width": 1}}, "has no pixel"),
    ],
)
def test_what_does_not_fit_is_refused(case, tmp_path, changed, said):
    with pytest.raises(InvalidSpec, match=said):
        list(run(case, SegmentSpec(mutation(**changed)), [0], tmp_path))


def test_a_latent_mutation_needs_a_generator(case, tmp_path):
    with pytest.raises(InvalidSpec, match="needs a generator"):
        list(run(replace(case, latent=None), SegmentSpec(mutation()), [0], tmp_path))


def test_requests_travel_as_json():
    one = mutation(scale={"unit": "degrees", "per_latent": 12.5}, **{"from": -0.5})
    again = Mutation.from_json(json.loads(json.dumps(one.to_json())))
    assert again == one
    assert (again.start, again.stop, again.unit) == (-0.5, 1.5, "degrees")
    assert (again.value_at(0.0), again.value_at(1.0)) == (-6.25, 18.75)
    assert again.value_within(0.1) <= again.value_at(0.1)


def test_a_precheck_certifies_a_few_inputs_through_the_generator(case, tmp_path):
    wanted = Wanted(range(8), mutation(), estimate_seconds=60.0)
    found = finished(precheck(case, wanted, tmp_path))["estimate"]
    assert (found["measured"], found["inputs"]) == (3, 8)
    assert found["mutation"]["type"] == "latent"
    assert found["seconds_per_input"]["least"] > 0
    closed = replace(wanted, mutation=mutation(gates={"psnr": 99.0, "keep_label": False}))
    assert finished(precheck(case, closed, tmp_path))["estimate"]["measured"] == 0
