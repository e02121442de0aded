"""The networks of a mutation through a generator, for the command of a unit."""

from __future__ import annotations

from typing import Any

from app.jobs import repository
from glocert.spec import Mutation, is_latent
from models import Network
from workers.gloro_briefs import At


def latent_sources(at: At) -> dict[str, list[Any]] | None:
    """Return graph and preprocessing of generator and encoder by role; ``None`` where none are needed.

    A network that is gone is missing.
    """
    asked = at.job.spec.get("mutation")
    if asked is None or not is_latent(Mutation.from_json(asked)):
        return None
    found = {}
    for role, network_id in repository.networks(at.session, at.job.id).items():
        network = at.session.get(Network, network_id)
        if network is not None and network.graph_sha256 is not None:
            found[role] = [str(at.store.path(network.graph_sha256)), network.preprocessing]
    return found
