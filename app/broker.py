"""The broker is a doorbell: a message says that a subject may have units to claim, and nothing else.

Every message may be lost, doubled or late without harm: the database decides who does what.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import structlog
from celery import Celery
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.settings import Settings

log = structlog.get_logger(__name__)

HIGHEST_PRIORITY = 9
KEY_PREFIX = "glocert:"
_PENDING = "doorbells"
_IN_MEMORY = {"polling_interval": 0.02}
"""seconds between two looks into the queues of this process; every message waits for one of them"""


class Task(StrEnum):
    """What a message may ask for; the argument is the id of the subject."""

    INSPECT = "glocert.inspect"
    CERTIFY = "glocert.certify"


QUEUES = {Task.INSPECT: "inspection", Task.CERTIFY: "certification"}


class Doorbells(Celery):  # type: ignore[misc]
    """The Celery application with the settings that it was made from."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("glocert", broker=settings.broker_url, set_as_current=False)
        self.settings = settings
        self.conf.update(_configuration(settings))

    def ring(self, task: Task, subject: str, priority: int) -> bool:
        """Send one message; a broker that is down costs a log line, the reaper rings again later."""
        try:
            self.send_task(task.value, args=[subject], priority=HIGHEST_PRIORITY - priority, retry=False)
        except (OperationalError, OSError) as error:
            log.warning("doorbell.lost", task=task.value, subject=subject, error=str(error))
            return False
        return True


def make_celery(settings: Settings) -> Doorbells:
    """Return the application that API and workers ring with; tasks are added by ``workers.celery``."""
    return Doorbells(settings)


def doorbells_of(session: Session) -> Doorbells:
    """Return the application that the session carries.

    Raises:
        RuntimeError: the session was made without one.
    """
    celery = session.info.get("celery")
    if not isinstance(celery, Doorbells):
        raise RuntimeError("this session was made without a broker: it cannot queue work")
    return celery


def ring_after_commit(session: Session, task: Task, subject: str, priority: int, times: int = 1) -> None:
    """Ring once the transaction is committed, and not at all when it is rolled back."""
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        event.listen(session, "after_commit", _ring_pending)
        event.listen(session, "after_rollback", _forget_pending)
    session.info[_PENDING].extend([(task, subject, priority)] * times)


def _ring_pending(session: Session) -> None:
    if session.in_nested_transaction():
        return  # a savepoint was released: the transaction itself may still fail
    pending, session.info[_PENDING] = session.info[_PENDING], []
    celery = doorbells_of(session) if pending else None
    for task, subject, priority in pending:
        if celery is None or not celery.ring(task, subject, priority):
            return  # the broker is down: one wait for it is enough


def _forget_pending(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info[_PENDING] = []


def _configuration(settings: Settings) -> dict[str, Any]:
    redis = settings.broker_url.startswith("redis")
    return {
        # ids only, JSON only, no results in the broker
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "result_backend": None,
        "task_queues": [Queue(name) for name in QUEUES.values()],  # type: ignore[no-untyped-call]
        "task_default_queue": QUEUES[Task.CERTIFY],
        "task_create_missing_queues": False,
        "task_routes": {task.value: {"queue": queue} for task, queue in QUEUES.items()},
        # late acknowledgement as belt and braces: the claim in the database decides
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure_or_timeout": True,
        "worker_prefetch_multiplier": 1,
        # the thread pool enforces no limits: that is the supervisor's work
        "task_time_limit": None,
        "task_soft_time_limit": None,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": 0,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_send_task_events": False,
        "event_queue_expires": 60,
        "broker_transport_options": _redis_options(settings) if redis else _IN_MEMORY,
        **({"worker_disable_prefetch": True} if redis else {}),
    }


def _redis_options(settings: Settings) -> dict[str, Any]:
    return {
        "visibility_timeout": settings.slice_s + settings.max_job_s + 3600.0,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "queue_order_strategy": "priority",
        "priority_steps": [0, 3, 6, 9],  # 0 is served first
        "sep": ":",
        "socket_keepalive": True,
        "health_check_interval": 15,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "global_keyprefix": KEY_PREFIX,
        # a request that rings while the broker is down must not wait for it
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.2,
    }
