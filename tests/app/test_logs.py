from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import logging, structlog
from app import logs
logs.configure("INFO")
structlog.contextvars.bind_contextvars(request_id="r1")
structlog.get_logger().info("job.started", job_id="j")
logging.getLogger("uvicorn.error").info("from %s", "elsewhere")
structlog.get_logger().debug("quiet")
def crash(key):
    raise ValueError("broken")
try:
    crash("glc_" + "secret")
except ValueError as error:
    structlog.get_logger().error("request.crashed", exc_info=error)
"""


def test_lines_are_json_with_the_request_and_without_locals() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    own, foreign, crash = (json.loads(line) for line in run.stderr.splitlines())
    assert (own["event"], own["request_id"], own["job_id"], own["level"]) == (
        "job.started",
        "r1",
        "j",
        "info",
    )
    assert (foreign["event"], foreign["request_id"]) == ("from elsewhere", "r1")
    assert crash["exception"][0]["exc_value"] == "broken"
    assert "glc_secret" not in run.stderr
