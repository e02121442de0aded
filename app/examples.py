"""Answers as the documentation shows them, by the name of their schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.jobs.schemas import EXAMPLE

MODEL, DATASET = "mdl_019361f4a1c20123456789abcdef0123", "dat_019361f4a1c20123456789abcdef0123"
JOB, KEY = "job_019361f4b0070123456789abcdef0123", "key_019361f4a1c20123456789abcdef0123"
DIRECTION = "dir_019361f4b0070123456789abcdef0123"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
HERE = f"/v1/jobs/{JOB}"

network: dict[str, Any] = {
    "id": MODEL, "name": "digits", "filename": "digits.onnx", "role": "classifier", "status": "ready",
    "format": "onnx", "sha256": DIGEST, "size_bytes": 41022, "input_shape": None, "classes": None,
    "output": None, "threshold": None, "decision": "max", "reference": None,
    "preprocessing": {
        "scale": True, "mean": [0.1307], "std": [0.3081], "layout": "NCHW", "domain": [0.0, 1.0],
    },
    "graph_sha256": DIGEST, "opset": 17, "producer": "pytorch 2.13.0",
    "operators": {"Conv": 2, "Flatten": 1, "Gemm": 2, "Relu": 3},
    "canonical_operators": {"Conv": 2, "Flatten": 1, "Gemm": 2, "Relu": 3},
    "parameters": 10218, "nonlinear_units": 1604, "nonlinear_units_by_operator": {"Relu": 1604},
    "input": {"name": "image", "shape": [1, 8, 8], "dtype": "float32"},
    "outputs": [{"name": "scores", "shape": [10], "used": True}], "family": "exact", "piecewise_linear": True,
    "methods": {"segment": {"admitted": "exact", "nodes": []}}, "notes": [],
    "comparison": {"runtime": "onnxruntime 1.31.1", "samples": 16, "max_abs_difference": 4.8e-7},
    "rejection": None, "created_at": "2026-11-20T23:40:00.000000Z",
    "links": {"self": f"/v1/models/{MODEL}", "file": f"/v1/models/{MODEL}/file"},
}  # fmt: skip
dataset: dict[str, Any] = {
    "id": DATASET, "name": "held-back", "filename": "held-back.npz", "status": "ready", "sha256": DIGEST,
    "size_bytes": 4508, "items": 60, "inputs_sha256": DIGEST, "labels_sha256": DIGEST,
    "inspection": {
        "items": 60, "shape": [8, 8], "dtype": "uint8", "labels": {"count": 60, "min": 0, "max": 9},
    },
    "rejection": None, "created_at": "2026-11-20T23:40:00.000000Z",
    "links": {"self": f"/v1/datasets/{DATASET}"},
}  # fmt: skip
request: dict[str, Any] = {
    **EXAMPLE, "inputs": {"limit": 60, "indices": None}, "arithmetic": "real", "gap": 0.001,
    "property": {"type": "label"},
    "budget": {"seconds_per_input": 30.0, "seconds": 3600.0}, "partition": False,
}  # fmt: skip
job: dict[str, Any] = {
    "id": JOB, "kind": "segment-certification", "status": "succeeded",
    "model_id": MODEL, "dataset_id": DATASET,
    "request": request, "tags": {"commit": "abc"}, "priority": 3, "cancel_requested": False,
    "progress": {"done": 60, "total": 60, "unit": "inputs", "rate": None, "eta_s": None},
    "clean_accuracy": 0.97, "warnings": [],
    "summary": {
        "inputs": 60, "certified": 41, "falsified": 16, "undecided": 1, "skipped": 2, "clean_accuracy": 0.97,
        "certified_rate": 0.6833333333333333,
        "robust_mass": {"lower": 0.902, "upper": 0.903, "law": "uniform"},
        "seconds": 12.1, "arithmetic": "real",
    },
    "error": None, "certificate": {"href": f"{HERE}/certificate", "sha256": DIGEST},
    "created_at": "2026-11-20T23:41:00.000000Z", "started_at": "2026-11-20T23:41:00.100000Z",
    "finished_at": "2026-11-20T23:41:07.300000Z",
    "links": {"self": HERE} | {
        name: f"{HERE}/{name}" for name in ("events", "cancel", "results", "artifacts", "certificate")
    },
}  # fmt: skip
row: dict[str, Any] = {
    "index": 0, "label": 7, "predicted": 7, "verdict": "falsified", "seconds": 0.12,
    "robust_mass": {"lower": 0.744, "upper": 0.744, "law": "uniform"},
    "certified_to": {"t": 0.744, "value": 0.1488, "unit": "intensity"},
    "min_margin": {"value": -3.1, "t": 0.99}, "error_radius": 2.1e-12, "pieces": 1419,
    "family": "exact",
    "counterexample": {
        "t": 0.81, "value": 0.162, "predicted": 2, "image": f"{HERE}/results/0/counterexample.png",
        "confirmed_in": ["torch", "onnxruntime"],
    },
    "files": {"counterexample.png": f"{HERE}/results/0/counterexample.png"},
}  # fmt: skip
guess: dict[str, Any] = {
    "name": "MNIST",
    "preprocessing": {
        "scale": True, "mean": [0.1307], "std": [0.3081], "layout": "NCHW", "domain": [0.0, 1.0],
    },
    "current": False, "leads": True, "items": 200, "right": 199, "accuracy": 0.995,
    "interval": {"lower": 0.972, "upper": 0.999}, "loss": 0.105, "information": 2.77, "label_entropy": 3.28,
    "labels": None, "mean_margin": 4.02, "not_finite": 0,
}  # fmt: skip
precheck: dict[str, Any] = {
    "model_id": MODEL, "role": "classifier", "family": "exact",
    "methods": {"segment": {"admitted": "exact", "nodes": []}}, "parameters": 10218, "nonlinear_units": 1604,
    "nonlinear_units_by_operator": {"Relu": 1604}, "input": network["input"], "outputs": network["outputs"],
    "preprocessing": network["preprocessing"], "notes": [], "dataset_id": DATASET,
    "job": {"id": JOB, "status": "succeeded", "href": HERE},
    "summary": {
        "model": {"family": "exact", "parameters": 10218, "outputs": 10},
        "fit": {"items": 1000, "item_shape": [28, 28], "layouts": ["NCHW", "NHWC"], "problems": []},
        "labels": {"labelled": True, "problems": []}, "guesses": [guess],
        "recommended": {"name": guess["name"], "preprocessing": guess["preprocessing"]}, "rearranged": [],
        "outputs": None,
        "warnings": ["77.0% right with the model's own settings, 99.5% with MNIST: upload the model with the "
                     "recommended preprocessing."],
        "estimate": {
            "mutation": {"type": "brightness", "from": 0.0, "to": 0.1}, "measured": 3,
            "seconds_per_input": {"least": 0.012, "median": 0.013, "most": 0.019}, "inputs": 1000,
            "workers": 2, "seconds": 6.3, "at_least": False, "note": "An estimate from 3 of 1000 inputs…",
        },
    },
}  # fmt: skip
artifact: dict[str, Any] = {
    "index": 0, "name": "counterexample.png", "media_type": "image/png", "size_bytes": 1213, "sha256": DIGEST,
    "href": f"{HERE}/results/0/counterexample.png",
}  # fmt: skip
key: dict[str, Any] = {
    "id": KEY, "owner": "team", "name": "ci", "prefix": "glc_8hQz1xTw", "scopes": ["jobs:read", "jobs:write"],
    "created_at": "2026-11-20T23:40:00.000000Z", "expires_at": None, "last_used_at": None, "revoked_at": None,
}  # fmt: skip

direction: dict[str, Any] = {
    "id": DIRECTION, "generator_id": MODEL, "job_id": JOB, "position": 0, "mode": "derivative",
    "name": "rotation", "vector": [0.6, -0.8], "extent": 1.4,
    "scale": {"unit": "degrees", "per_latent": 10.7},
    "energy": 0.0031, "leakage": None, "mask": None,
    "measures": {
        "identified": True,
        "alike": [{"name": "rotation", "cosine": 0.94, "per_latent": 10.9, "unit": "degrees"}],
        "prior": {"out_of_prior": False, "share_inside": 1.0, "leaves_at": None},
        "independency": {"coupling": [1.0], "coupling_along": 0.0, "gram": [1.0]},
    },
    "preview_sha256": DIGEST, "created_at": "2026-11-20T23:41:07.300000Z",
    "links": {
        "self": f"/v1/directions/{DIRECTION}", "preview": f"/v1/directions/{DIRECTION}/preview.png",
    },
}  # fmt: skip

CERTIFICATE: Mapping[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "digits.onnx", "digest": {"sha256": DIGEST}}],
    "predicateType": "urn:glocert:certificate:segment:v1",
    "predicate": {"property": {"kind": "stability", "margin": 0.0}, "results": [], "claims_not_made": []},
}
BY_SCHEMA: Mapping[str, Any] = {
    "NetworkRead": network,
    "NetworkPage": {"items": [network], "next": None},
    "DatasetRead": dataset,
    "DatasetPage": {"items": [dataset], "next": None},
    "DirectionRead": direction,
    "DirectionPage": {"items": [direction], "next": None},
    "JobRead": job,
    "JobPage": {"items": [job], "next": None},
    "PrecheckRead": precheck,
    "ResultRead": row,
    "ResultPage": {"items": [row], "next": None},
    "ArtifactPage": {"items": [artifact], "next": None},
    "KeyCreate": {"name": "ci", "scopes": ["jobs:read", "jobs:write"], "owner": "team"},
    "KeyRead": key,
    "KeyCreated": key | {"key": "glc_8hQz1xTw…"},
    "KeyPage": {"items": [key], "next": None},
    "Capabilities": {
        "version": "0.1.0", "authentication": "keys", "kinds": ["segment-certification", "precheck"],
        "analyses": ["complete", "quantitative", "incomplete"], "arithmetics": ["real", "float32"],
        "properties": ["label", "band", "top_k"], "laws": ["uniform", "beta"],
        "mutations": {"brightness": "intensity", "fog": "density"}, "model_formats": ["onnx", "pt2"],
        "roles": ["classifier", "regressor", "generator", "encoder"],
        "dataset_formats": ["npz", "npy", "zip", "csv"], "sandbox": "require",
        "operators": ["Add", "Conv", "Gemm", "Relu"], "scopes": ["jobs:read", "jobs:write", "admin"],
        "limits": {"max_model_bytes": 536870912.0, "max_inputs": 10000.0},
    },
    "Health": {"status": "ok"},
    "Readiness": {
        "ready": True, "checks": {"database": True, "schema": True, "storage": True}, "workers": 1,
    },
    "ProblemPage": {
        "type": "/problems/in-use", "code": "in-use", "title": "A job that has not finished needs this",
        "status": 409, "description": "A queued or running job needs it.",
        "way_out": "Wait for the jobs that are named, or cancel them.",
    },
}  # fmt: skip
