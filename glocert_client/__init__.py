"""Python SDK and command line of GloCert; imports nothing else of ours."""

from glocert_client.client import Client
from glocert_client.errors import (
    ClientError,
    JobFailed,
    ProblemError,
    ServiceError,
    ServiceUnreachable,
    UploadRejected,
    WaitTimeout,
)  # fmt: skip
from glocert_client.job import Job
from glocert_client.uploads import Dataset, Model, Preprocessing

__all__ = [
    "Client", "ClientError", "Dataset", "Job", "JobFailed", "Model", "Preprocessing", "ProblemError",
    "ServiceError", "ServiceUnreachable", "UploadRejected", "WaitTimeout",
]  # fmt: skip
