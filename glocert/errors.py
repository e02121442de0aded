"""Every error that GloCert raises on purpose, as one tree.

::

    GlocertError
    ├── InvalidSpec              the request contradicts itself
    ├── ModelRejected            the uploaded network cannot be taken
    │   ├── UnreadableModel          not a file of the format that it claims to be
    │   ├── UnsupportedOperators     nodes that no method admits, all of them listed
    │   ├── InvalidGraph             cycles, dangling names, shapes that do not fit
    │   ├── NonFiniteWeights         NaN or infinity among the weights
    │   ├── UnsupportedInput         not exactly one float input of known shape
    │   ├── UnsupportedOutput        not one tensor of at least two class scores
    │   ├── ModelTooLarge            a limit of the settings is exceeded
    │   └── ImportMismatch           the imported graph computes something else than the upload
    ├── DatasetRejected          the uploaded data cannot be taken
    │   ├── UnreadableDataset        not a file of a known format
    │   ├── InvalidImages            dtype, rank, size or values of the inputs
    │   ├── InvalidLabels            dtype, number or range of the labels
    │   └── DatasetTooLarge          a limit of the settings is exceeded
    ├── NoDirection              a generator has no mutation of the kind that was looked for
    ├── UnverifiedArtifact       a wrapped file or its manifest was changed, or claims what is not proved
    ├── TrainingDiverged         a loss is no number any more
    ├── InspectionFailed         the locked-down child died: time, memory or a refused system call
    ├── SandboxUnavailable       a layer of the lock-down that the policy requires is missing
    ├── UnfaithfulArithmetic     a library multiplies with fewer bits than bounds allow for
    ├── DeadlineExceeded         the budget of the whole job is used up
    └── WorkerLost               the unit killed or lost its worker too often

A ``code`` is stable: clients may branch on it. The HTTP status belongs to ``app.problems``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Offence:
    """One thing that is wrong, and where.

    Attributes:
        where: name of the node, tensor, row or JSON pointer at fault.
        detail: what is wrong there, one sentence.
        operator: ``domain::Type`` of the node, where a node is at fault.
        way_out: what the user can do about it, one sentence, or empty.
    """

    where: str
    detail: str
    operator: str = ""
    way_out: str = ""


class GlocertError(Exception):
    """Base of all deliberate errors; ``str(error)`` is the sentence for the user."""

    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, offences: Sequence[Offence] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.offences = tuple(offences)

    def to_problem(self) -> dict[str, Any]:
        """Return the members of an RFC 9457 problem that do not depend on HTTP."""
        problem: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "detail": self.detail,
        }
        if self.offences:
            problem["errors"] = [
                {key: value for key, value in asdict(offence).items() if value} for offence in self.offences
            ]
        return problem


class InvalidSpec(GlocertError):
    """The request contradicts itself or the model and data that it names."""

    code = "invalid-spec"
    title = "The request cannot be certified as it stands"


class ModelRejected(GlocertError):
    """The uploaded network cannot be taken."""

    code = "model-rejected"
    title = "The model was rejected"


class UnreadableModel(ModelRejected):
    """The bytes are not a readable file of the claimed or any known format."""

    code = "unreadable-model"
    title = "The model file cannot be read"


class UnsupportedOperators(ModelRejected):
    """At least one node is outside what the methods admit; ``offences`` names every one."""

    code = "unsupported-operators"
    title = "The model uses unsupported operators"


class InvalidGraph(ModelRejected):
    """The graph is not a well-formed feed-forward network."""

    code = "invalid-graph"
    title = "The model's graph is not valid"


class NonFiniteWeights(ModelRejected):
    """A weight is NaN or infinite."""

    code = "non-finite-weights"
    title = "The model's weights contain NaN or infinity"


class UnsupportedInput(ModelRejected):
    """The network does not take exactly one float tensor of known shape."""

    code = "unsupported-input"
    title = "The model's input is not supported"


class UnsupportedOutput(ModelRejected):
    """The network does not return exactly one tensor of at least two scores."""

    code = "unsupported-output"
    title = "The model's output is not supported"


class ModelTooLarge(ModelRejected):
    """A limit on nodes, weights or activations is exceeded."""

    code = "model-too-large"
    title = "The model exceeds a limit"


class ImportMismatch(ModelRejected):
    """The imported graph and the upload disagree on random inputs."""

    code = "import-mismatch"
    title = "The imported graph does not compute what the upload computes"


class NoDirection(GlocertError):
    """The generator has no mutation of the kind that was looked for."""

    code = "no-direction"
    title = "The generator has no such direction"


class UnverifiedArtifact(GlocertError):
    """A wrapped file or its manifest was changed, or claims what is not proved."""

    code = "unverified-artifact"
    title = "The wrapped network cannot be verified"


class DatasetRejected(GlocertError):
    """The uploaded data set cannot be taken."""

    code = "dataset-rejected"
    title = "The data set was rejected"


class UnreadableDataset(DatasetRejected):
    """The bytes are not a readable file of a known format."""

    code = "unreadable-dataset"
    title = "The data file cannot be read"


class InvalidImages(DatasetRejected):
    """The inputs have a dtype, rank, size or value that cannot be used."""

    code = "invalid-images"
    title = "The inputs of the data set are not valid"


class InvalidLabels(DatasetRejected):
    """The labels have a dtype, length or value that cannot be used."""

    code = "invalid-labels"
    title = "The labels of the data set are not valid"


class DatasetTooLarge(DatasetRejected):
    """A limit on rows or bytes is exceeded."""

    code = "dataset-too-large"
    title = "The data set exceeds a limit"


class TrainingDiverged(GlocertError):
    """A loss is NaN or infinite: no epoch after it would learn anything."""

    code = "training-diverged"
    title = "The training diverged"


class InspectionFailed(GlocertError):
    """The locked-down child that reads uploads was stopped before it could answer."""

    code = "inspection-failed"
    title = "The upload could not be inspected within its limits"


class SandboxUnavailable(GlocertError):
    """A lock-down layer that the policy requires is not available on this machine."""

    code = "sandbox-unavailable"
    title = "The sandbox that uploads need is not available here"


class UnfaithfulArithmetic(GlocertError):
    """Libraries multiply otherwise than bounds assume: with fewer bits, or not as sums of products."""

    code = "unfaithful-arithmetic"
    title = "This machine's libraries are set to multiply inexactly"


class DeadlineExceeded(GlocertError):
    """The job's own budget of seconds is used up."""

    code = "deadline-exceeded"
    title = "The job ran out of its budget"


class WorkerLost(GlocertError):
    """A unit of work lost its worker or its child too often."""

    code = "worker-lost"
    title = "The work was lost too often"
