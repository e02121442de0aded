"""Certification through a generator: the one network, the residual, and exact arithmetic as the judge."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from glocert import engine
from glocert.errors import InvalidSpec
from glocert.generators.anchor import Anchor
from glocert.graph.compose import composed
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.generated import imaging, picturing
from glocert.paths.latent import Move, latent_path
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.paths.rounded import Rounded
from glocert.paths.segment import Segment
from glocert.segments.curve import trace
from glocert.spec import Arithmetic, Preprocessing, Verdict
from tests.glocert.segments.networks import Draft, mlp
from tests.glocert.segments.rational import exact_curve, exactly

IMAGE = (1, 2, 3)
PLAIN = Preprocessing()
SEEDS = range(8)


class Scene:
    """A random generator, classifier, input, code and direction."""

    def __init__(self, seed: int, scale: float = 1.0, preprocessing: Preprocessing = PLAIN) -> None:
        rng = np.random.default_rng(seed)
        draft, network = Draft(3), mlp(rng, 6, 7, 3)
        hidden = draft.relu(draft.gemm("x", self._weights(rng, 8, 3), self._weights(rng, 8)))
        hidden = draft.relu(draft.gemm(hidden, self._weights(rng, 8, 8), self._weights(rng, 8)))
        made = draft.gemm(hidden, scale * self._weights(rng, 6, 8), self._weights(rng, 6) + np.float32(0.5))
        self.picture = picturing(draft.graph(made), IMAGE, preprocessing)
        self.network = prepend_preprocessing(network, IMAGE, PLAIN)
        self.code, vector = rng.standard_normal(3), rng.standard_normal(3)
        self.image = rng.uniform(size=IMAGE).astype(np.float32)
        self.move = Move(vector / np.linalg.norm(vector), 0.0, 2.0)

    @staticmethod
    def _weights(rng, *shape):
        return (rng.standard_normal(shape) * 0.4).astype(np.float32)

    def anchored(self) -> tuple[Graph, Segment]:
        """The one network and the stored path that starts at the image."""
        front, _ = imaging(self.picture, residual=True)
        rest = Anchor(self.picture).residual(self.code, self.image)
        return composed(front, self.network, "images"), latent_path(self.code, [self.move], [rest])

    def exact(self) -> Segment:
        """The same path, of fractions: nothing is rounded."""
        start = exactly(self.code)
        made = exact_curve(self.picture, Segment(start, start, start * 0)).scores[0]
        rest = exactly(self.image.astype(np.float64).ravel()) - made
        ends = [
            np.concatenate([start + Fraction(s) * exactly(self.move.vector), rest])
            for s in (self.move.start, self.move.stop)
        ]
        return Segment(ends[0], ends[1], ends[0] * 0)


@pytest.mark.parametrize("scale", [1.0, 1e6])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_exact_path_is_within_the_radius_of_the_stored_one(seed, scale):
    scene = Scene(seed, scale)
    graph, stored = scene.anchored()
    exact = scene.exact()
    for ours, truth in ((stored.start, exact.start), (stored.stop, exact.stop)):
        off = np.abs(exactly(ours) - truth)
        assert (off <= exactly(stored.radius)).all()
    curve, truth = trace(graph, stored), exact_curve(graph, exact)
    t = np.sort(np.random.default_rng(seed).uniform(size=50))
    expected = truth.at([Fraction(share) for share in t.tolist()])
    assert (np.abs(exactly(curve.at(t)) - expected) <= exactly(curve.radius + 1e-14 * scale)).all()
    assert (curve.radius < 1e-9 * scale).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_anchored_path_starts_at_the_input_exactly(seed):
    scene = Scene(seed, 1e3)
    front, _ = imaging(scene.picture, residual=True)
    start = exact_curve(front, scene.exact()).scores[0]
    assert (start == exactly(scene.image.astype(np.float64).ravel())).all()
    graph, stored = scene.anchored()
    plain = run(scene.network, torch.from_numpy(scene.image[None]).double())[0].numpy()
    assert trace(graph, stored).scores[0] == pytest.approx(plain, abs=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_images_never_leave_the_domain(seed):
    scene = Scene(seed, 3.0)
    clamped = prepend_preprocessing(
        Graph("x", "x", (), {}, {"x": IMAGE}), IMAGE, Preprocessing(lower=0.25, upper=0.75)
    )
    front, _ = imaging(scene.picture, residual=True)
    curve = trace(composed(front, clamped, "images"), scene.anchored()[1])
    assert curve.scores.min() >= 0.25 - 1e-12
    assert curve.scores.max() <= 0.75 + 1e-12
    assert {0.25, 0.75} & set(curve.scores.ravel().round(9).tolist())


@pytest.mark.parametrize("seed", SEEDS)
def test_through_both_networks_is_through_the_one(seed):
    """A12: piece by piece through the generator, then each piece through the network."""
    scene = Scene(seed)
    front, layout = imaging(scene.picture, residual=False)
    assert layout.size == 3
    path = latent_path(scene.code, [scene.move])
    whole = trace(composed(front, scene.network, "images"), path)
    images = trace(scene.picture, path)
    t, scores = [], []
    for k in range(images.pieces):
        ends = [images.scores[k + at].reshape(IMAGE) for at in (0, 1)]
        part = trace(scene.network, Segment(ends[0], ends[1], np.zeros(IMAGE)))
        t += (images.t[k] + part.t * (images.t[k + 1] - images.t[k])).tolist()
        scores += part.scores.tolist()
    assert whole.at(np.array(t)) == pytest.approx(np.array(scores), abs=1e-9)
    assert whole.pieces <= len(t)


@pytest.mark.parametrize("arithmetic", list(Arithmetic))
@pytest.mark.parametrize("seed", SEEDS)
def test_samples_never_contradict_an_answer(seed, arithmetic):
    scene = Scene(seed)
    graph, stored = scene.anchored()
    t = np.linspace(0.0, 1.0, 2001)
    dtype = torch.float64 if arithmetic is Arithmetic.REAL else torch.float32
    codes = torch.from_numpy(np.stack([stored.at([share]) for share in t])).to(dtype)
    scores = run(graph, codes).double().numpy()
    label = int(scores[0].argmax())
    holds = scores.argmax(1) == label
    report = engine.certify(engine.prepare(graph, arithmetic=arithmetic), stored, label, partition=True)
    assert report.verdict is not Verdict.UNDECIDED or arithmetic is Arithmetic.FLOAT32
    if report.verdict is Verdict.CERTIFIED:
        assert holds.all()
    if report.verdict is Verdict.FALSIFIED:
        assert not holds.all()
    assert report.robust_mass.lower - 1e-3 <= holds.mean() <= report.robust_mass.upper + 1e-3
    assert holds[t <= report.certified_to].all()


def test_the_identity_is_no_generator_at_all():
    """A42: brightness as a latent path of the identity is the same curve, and one piece before the clamp."""
    rng = np.random.default_rng(5)
    network = prepend_preprocessing(mlp(rng, 6, 9, 3), IMAGE, PLAIN)
    image = rng.uniform(size=6)
    front, _ = imaging(picturing(Graph("x", "x", (), {}, {"x": (6,)}), IMAGE, PLAIN), residual=False)
    path = latent_path(image, [Move(np.ones(6), 0.0, 0.7)])
    assert trace(front, path).pieces == 1
    through = trace(composed(front, network, "images"), path)
    direct = trace(network, Segment(image.reshape(IMAGE), image.reshape(IMAGE) + 0.7, np.zeros(IMAGE)))
    assert through.t == pytest.approx(direct.t, abs=1e-12)
    assert through.scores == pytest.approx(direct.scores, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_directions_at_once_contain_every_point_of_their_plane(seed):
    scene = Scene(seed)
    rng = np.random.default_rng(seed)
    other = Move(rng.standard_normal(3), -0.5, 1.5)
    front, _ = imaging(scene.picture, residual=True)
    rest = Anchor(scene.picture).residual(scene.code, scene.image)
    path = latent_path(scene.code, [scene.move, other], [rest])
    loaded = path.loaded(torch.device("cpu"))
    middle, half = (
        torch.tensor([[0.4, 0.7]], dtype=torch.float64),
        torch.full((1, 2), 0.2, dtype=torch.float64),
    )
    found = loaded.enclose(middle, half)
    for u in rng.uniform(-1, 1, (20, 2)):
        t = middle[0].numpy() + 0.2 * u
        code = scene.code + 2 * t[0] * scene.move.vector + (-0.5 + 2 * t[1]) * other.vector
        truth = np.concatenate([code, rest.value.ravel()])
        line = (found.lines[0] + found.lines[1] * u[0] + found.lines[2] * u[1])[0].numpy()
        assert (np.abs(line - truth) <= found.error[0].numpy() + 1e-14).all()
    assert path.at([0.0, 0.0])[3:] == pytest.approx(rest.value.ravel())
    assert front.input_shape == path.shape


def test_a_reference_stays_behind_every_image():
    scene = Scene(0)
    reference = np.random.default_rng(1).uniform(size=IMAGE)
    front, layout = imaging(scene.picture, residual=True, reference=IMAGE)
    assert (layout.latent, layout.residual, layout.reference) == (3, 6, 6)
    assert front.output_shape == (2, 2, 3)
    rest = Anchor(scene.picture).residual(scene.code, scene.image)
    path = latent_path(scene.code, [scene.move], [rest, Rounded.exact(reference)])
    curve = trace(front, path)
    assert (curve.scores[:, 6:] == reference.ravel()).all()
    assert curve.scores[0, :6] == pytest.approx(scene.image.ravel(), abs=1e-12)


def test_a_smooth_generator_is_anchored_too():
    draft = Draft(2)
    made = draft.same("Tanh", draft.gemm("x", np.array([[0.5, 1.0], [2.0, -1.0]], np.float32)))
    picture = picturing(draft.graph(made), (2,), Preprocessing(mean=(0.5,), std=(0.5,)))
    code = np.array([0.3, -0.2])
    found = Anchor(picture).image(code)
    truth = 0.5 + 0.5 * np.tanh(np.array([[0.5, 1.0], [2.0, -1.0]]) @ code)
    assert (np.abs(found.value - truth) <= found.radius + 1e-15).all()
    assert found.radius.max() < 1e-12


@pytest.mark.parametrize(
    ("made", "wanted", "layout", "fits"),
    [
        ((6,), IMAGE, "NCHW", True), (IMAGE, IMAGE, "NCHW", True), ((2, 3), IMAGE, "NCHW", True),
        ((2, 3, 1), IMAGE, "NHWC", True), ((3, 2), IMAGE, "NCHW", False), ((5,), IMAGE, "NCHW", False),
        ((2, 3, 2), (2, 2, 3), "NHWC", True), ((2, 3, 2), (2, 2, 3), "NCHW", False),
        ((6,), (6,), "NCHW", True),
    ],
)  # fmt: skip
def test_what_is_an_image(made, wanted, layout, fits):
    graph = Graph("x", "x", (), {}, {"x": made})
    if fits:
        found = picturing(graph, wanted, replace(PLAIN, layout=layout))
        assert found.output_shape == wanted
        if layout == "NHWC":
            x = torch.arange(np.prod(made), dtype=torch.float64).reshape(1, *made)
            assert torch.equal(run(found, x)[0], x[0].permute(2, 0, 1).reshape(wanted))
    else:
        with pytest.raises(InvalidSpec, match="the generator makes images of shape"):
            picturing(graph, wanted, replace(PLAIN, layout=layout))


def test_what_a_generator_knows_is_brought_back_to_the_domain():
    graph = Graph("x", "x", (), {}, {"x": (2, 1, 2)})
    found = picturing(graph, (2, 1, 2), Preprocessing(mean=(0.5, 0.25), std=(0.5, 2.0)))
    x = torch.tensor([[[[-1.0, 1.0]], [[0.0, 1.0]]]], dtype=torch.float64)
    assert run(found, x)[0].tolist() == [[[0.0, 1.0]], [[0.25, 2.25]]]
    with pytest.raises(InvalidSpec, match="std has 3 values"):
        picturing(graph, (2, 1, 2), Preprocessing(std=(1.0, 1.0, 1.0)))


def test_paths_that_lead_nowhere_are_refused():
    with pytest.raises(InvalidSpec, match="a direction of 2 numbers, codes have 3"):
        latent_path(np.zeros(3), [Move(np.ones(2), 0.0, 1.0)])
    with pytest.raises(InvalidSpec, match="leaves the numbers"):
        latent_path(np.zeros(3), [Move(np.full(3, 1e200), 0.0, 1e200)])
