"""``python -m glocert_predict ARTIFACT``: verify an artifact and serve it."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from glocert.errors import GlocertError
from glocert.gloro.artifacts.prediction import Predictor
from glocert_predict.service import Limits, create_app


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; 4 where the artifact is refused."""
    given = _parser().parse_args(arguments)
    try:
        predictor = Predictor(given.artifact, epsilon=given.epsilon, threads=given.threads)
    except GlocertError as refusal:
        sys.stderr.write(f"{refusal.title}: {refusal.detail}\n")
        return 4
    app = create_app(predictor, Limits(given.max_body_bytes, given.max_rows))
    with socket.create_server((given.host, given.port)) as server:
        host, port = server.getsockname()[:2]
        sys.stdout.write(f"ready http://{host}:{port}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[server])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="glocert predict-serve", description=__doc__)
    parser.add_argument("artifact", type=Path, help="ONNX file beside its manifest, or their folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8322, help="port to listen on; 0 picks a free one")
    parser.add_argument("--epsilon", type=float, help="radius to certify; that of the file by default")
    parser.add_argument("--threads", type=int, default=1, help="of one forward pass")
    parser.add_argument("--max-body-bytes", type=int, default=Limits().body_bytes, help="of one request")
    parser.add_argument("--max-rows", type=int, default=Limits().rows, help="inputs of one request")
    return parser


if __name__ == "__main__":
    sys.exit(main())
