"""The HTTP service around one predictor."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from numpy.typing import NDArray
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from starlette.concurrency import run_in_threadpool

import glocert
from glocert.errors import InvalidSpec
from glocert.gloro.artifacts.prediction import Prediction, Predictor
from glocert_predict.bodies import parse, read_body
from glocert_predict.problems import Problem, answer


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may cost.

    Attributes:
        body_bytes: of its body.
        rows: inputs in it.
    """

    body_bytes: int = 64 * 2**20
    rows: int = 4096


class _Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows = Counter(
            "glocert_predict_rows", "Inputs that were answered.", ["answer"], registry=self.registry
        )
        self.seconds = Histogram(
            "glocert_predict_seconds", "Wall time of the forward passes of a request.", registry=self.registry
        )

    def count(self, answers: list[Prediction], seconds: float) -> None:
        """Note one request."""
        certified = sum(answer.certified for answer in answers)
        self.rows.labels("class").inc(certified)
        self.rows.labels("bottom").inc(len(answers) - certified)
        self.seconds.observe(seconds)


def create_app(predictor: Predictor, limits: Limits | None = None) -> FastAPI:
    """Return the service.

    Args:
        predictor: of a verified file.
        limits: what a request may cost.
    """
    app = FastAPI(title="GloCert prediction", version=glocert.__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(Problem, answer)
    _add_prediction(app, predictor, limits or Limits(), _Metrics())
    return app


def _add_prediction(app: FastAPI, predictor: Predictor, limits: Limits, metrics: _Metrics) -> None:
    @app.post("/v1/predict")
    async def predict(request: Request) -> dict[str, Any]:
        """Answer a batch: JSON ``{"inputs": [...]}`` or an ``.npy`` file."""
        data = await read_body(request, limits.body_bytes)
        media_type = request.headers.get("content-type", "")
        began = time.monotonic()
        answers = await run_in_threadpool(lambda: _answers(predictor, parse(data, media_type), limits))
        metrics.count(answers, time.monotonic() - began)
        return {"epsilon": predictor.epsilon, "rows": [answer.to_json() for answer in answers]}

    @app.get("/v1/artifact")
    def artifact() -> dict[str, Any]:
        """Return the manifest of the file that is served."""
        return predictor.manifest

    @app.get("/healthz")
    def health() -> dict[str, Any]:
        """Answer while the service runs."""
        return {"status": "ok", "sha256": predictor.file["sha256"], "epsilon": predictor.epsilon}

    @app.get("/metrics")
    def measurements() -> Response:
        """Return counters in the Prometheus format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _answers(predictor: Predictor, array: NDArray[np.generic], limits: Limits) -> list[Prediction]:
    try:
        items = predictor.items(array)
    except InvalidSpec as refusal:
        raise Problem(422, refusal.code, refusal.detail) from None
    if not 1 <= len(items) <= limits.rows:
        raise Problem(422, "invalid-body", f"Send between 1 and {limits.rows} inputs, not {len(items)}.")
    return list(predictor.predict(items))
