"""Certification jobs (``/v1/jobs``)."""
