"""What this release takes, in one document."""

from __future__ import annotations

from typing import Any

from app.capabilities.operators import OPERATORS
from app.jobs.schemas import KINDS
from app.keys.service import SCOPES
from app.settings import Settings
from glocert import __version__
from glocert.spec import MUTATION_UNITS, PROPERTIES, Analysis, Arithmetic
from glocert.spec_law import LAWS

LIMITS = (
    "max_model_bytes", "max_dataset_bytes", "max_body_bytes", "max_models", "max_datasets", "max_active_jobs",
    "max_inputs", "max_epochs", "max_batch", "max_latent", "max_code", "max_codes", "max_directions",
    "max_nodes", "max_parameters", "max_tensor", "max_activation",
    "max_dataset_items", "max_dataset_unpacked_bytes", "max_page", "max_wait_s", "max_job_s",
)  # fmt: skip


def describe(settings: Settings, *, open_mode: bool) -> dict[str, Any]:
    """Return the capabilities."""
    return {
        "version": __version__,
        "authentication": "open" if open_mode else "keys",
        "kinds": list(KINDS),
        "analyses": [analysis.value for analysis in Analysis],
        "arithmetics": [arithmetic.value for arithmetic in Arithmetic],
        "mutations": dict(MUTATION_UNITS),
        "properties": list(PROPERTIES),
        "laws": list(LAWS),
        "model_formats": ["onnx", "torchscript", "pt2"],
        "roles": ["classifier", "regressor", "generator", "encoder"],
        "dataset_formats": ["npz", "npy", "zip", "csv"],
        "operators": list(OPERATORS),
        "sandbox": settings.sandbox,
        "scopes": list(SCOPES),
        "limits": {name: float(getattr(settings, name)) for name in LIMITS},
    }
