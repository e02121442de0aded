"""Uploaded data sets (``/v1/datasets``)."""
