"""Celery workers: supervisor, child processes, lock-down."""
