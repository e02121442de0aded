"""What a job is called in tables, bars and test names: from its request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glocert_client.mutation import describe_mutation


def describe_request(request: Mapping[str, Any]) -> str:
    """Return a short name of what a job was asked for."""
    match request.get("kind", "segment-certification"):
        case "lipschitz-certification":
            return _within(request)
        case "gloro-wrap":
            return f"wrap epsilon={request['epsilon']:g}"
        case "gloro-prediction":
            epsilons = request["epsilons"]
            radii = "that of the file" if epsilons is None else ",".join(f"{one:g}" for one in epsilons)
            return f"predict epsilon={radii}"
        case "gloro-training":
            begun = request["from_model_id"] or request["architecture"]
            return f"train {begun} epsilon={request['epsilon']:g}"
        case "generator-training":
            return _generator(request)
        case "direction-mining":
            return _mining(request)
        case "segment-certification":
            return describe_mutation(request["mutation"])
        case kind:
            return str(kind)


def _generator(request: Mapping[str, Any]) -> str:
    target = request.get("target") or {}
    mutation = target.get("mutation")
    style = f" {describe_mutation(mutation)}" if mutation else " of images" if target else ""
    return f"generator {request['family']}{style}"


def _mining(request: Mapping[str, Any]) -> str:
    mutation = request.get("mutation")
    about = f" {describe_mutation(mutation)}" if mutation else ""
    return f"{request['mode']} directions{about}"


def _within(request: Mapping[str, Any]) -> str:
    epsilons = ",".join(f"{epsilon:g}" for epsilon in request["epsilons"])
    relaxation = request.get("relaxation") or {}
    relaxed = "".join(f" {name}={value}" for name, value in relaxation.items())
    return f"{request['norm']}<={epsilons} {request['method']}{relaxed}"
