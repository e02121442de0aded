"""Uploaded networks (``/v1/models``)."""
