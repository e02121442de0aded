"""Commands of units that train generators."""

from __future__ import annotations

from app.jobs.generators import DatasetTarget, GeneratorTraining
from models import Dataset
from workers.conversation import Message
from workers.gloro_briefs import At, begun


def generator(at: At) -> Message | None:
    """Return the command that trains, from the last checkpoint where there is one."""
    body, dataset, target = GeneratorTraining.model_validate(at.job.spec), at.dataset, None
    if dataset is None or dataset.inputs_sha256 is None:
        return None
    if isinstance(body.target, DatasetTarget):
        other = at.session.get(Dataset, at.job.validation_dataset_id)
        if other is None or other.inputs_sha256 is None:
            return None
        target = str(at.store.path(other.inputs_sha256))
    told = begun(at)
    return {
        "do": at.lease.kind.value,
        "inputs": str(at.store.path(dataset.inputs_sha256)),
        "targets": target,
        "recipe": body.recipe(),
        "share": body.validation_share,
        "known": {"dataset_id": dataset.id, "sha256": dataset.sha256},
        "epochs": body.total_epochs,
        "told": told,
        "out": str(at.out),
    }
