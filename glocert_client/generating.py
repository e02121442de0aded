"""The command that trains a generator and its encoder."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from glocert_client import run
from glocert_client.client import Client
from glocert_client.connection import LOCAL
from glocert_client.console import answering
from glocert_client.making import conclude
from glocert_client.mutation import UnreadableMutation, parse_mutation
from glocert_client.options import (
    AsJson,
    DataOrId,
    Deadline,
    Detach,
    Epochs,
    Key,
    Others,
    OutFolder,
    Seed,
    Server,
    Tags,
    read_members,
    read_settings,
)

Family = Annotated[str, typer.Option(metavar="autoencoder|gan|style", help="Of generators.")]
Architecture = Annotated[
    str, typer.Option(metavar="conv|fc|dcgan|residual", help="By default what the family has.")
]
Augment = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=RANGE", help="Vary the images, such as rotation=30 or blur=[0,2]; repeatable."
    ),
]
Target = Annotated[
    str,
    typer.Option(metavar="MUTATION|DATA", help="Of a style: rotation=30, or data that look as they shall."),
]
LatentDim = Annotated[int | None, typer.Option(min=1, help="Numbers of a code.")]


def train_generator(
    data: DataOrId,
    out: OutFolder,
    family: Family = "autoencoder",
    architecture: Architecture = "",
    target: Target = "",
    augment: Augment = None,
    latent_dim: LatentDim = None,
    epochs: Epochs = None,
    seed: Seed = None,
    others: Others = None,
    deadline: Deadline = None,
    tag: Tags = None,
    as_json: AsJson = False,
    detach: Detach = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Train a generator that is continuous, and an encoder for it; save both with their card."""
    members = read_settings(
        others, deadline, tag, architecture=architecture or None, latent_dim=latent_dim, epochs=epochs,
        seed=seed, augment=read_members(augment or []) or None,
    )  # fmt: skip
    with answering(as_json), Client(server, key) as client:
        job = client.train_generator(
            run.find_dataset(client, data), family=family, target=_target(client, target), **members
        )
        if detach:
            run.show_started([job], as_json=as_json)
            return
        raise typer.Exit(conclude(job, out, None, as_json=as_json))


def _target(client: Client, text: str) -> Any:
    """Return what a style is: a mutation where the text reads as one, else data."""
    if not text:
        return None
    try:
        return parse_mutation(text)
    except UnreadableMutation:
        return run.find_dataset(client, text)
