"""Prechecks of a model (``/v1/models/{id}/precheck``): the jobs behind them are like any others."""
