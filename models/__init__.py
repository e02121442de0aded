"""SQLAlchemy rows, shared by the API and the workers. In code a neural network is a ``network``."""

from models.access import ApiKey, Worker
from models.base import Base, new_id, now
from models.dataset import Dataset
from models.direction import Direction
from models.job import (
    Artifact,
    Job,
    JobNetwork,
    JobStatus,
    LipschitzBound,
    PartialResult,
    Result,
    TrainingEpoch,
)
from models.network import Network, UploadStatus
from models.unit import Unit, UnitKind, UnitStatus

__all__ = [
    "ApiKey",
    "Artifact",
    "Base",
    "Dataset",
    "Direction",
    "Job",
    "JobNetwork",
    "JobStatus",
    "LipschitzBound",
    "Network",
    "PartialResult",
    "Result",
    "TrainingEpoch",
    "Unit",
    "UnitKind",
    "UnitStatus",
    "UploadStatus",
    "Worker",
    "new_id",
    "now",
]
