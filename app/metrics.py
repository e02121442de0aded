"""Prometheus metrics: counters of this process, and gauges read from the database when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the service is, as the database says."""

    jobs: Mapping[str, int]
    units: Mapping[str, int]
    queue_age_s: float
    workers: int


class Metrics:
    """The registry of one application."""

    def __init__(self, load: Callable[[], Load]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_LoadCollector(load))
        self.upload_bytes = Counter(
            "glocert_upload_bytes", "Bytes of uploads that were stored.", ["kind"], registry=self._registry
        )

    def render(self) -> bytes:
        """Return the text format."""
        return generate_latest(self._registry)


class _LoadCollector(Collector):
    def __init__(self, load: Callable[[], Load]) -> None:
        self._load = load

    def describe(self) -> Iterator[Metric]:
        return iter(())  # the registry would otherwise collect once, before the database has a schema

    def collect(self) -> Iterator[Metric]:
        load = self._load()
        yield _by_status("glocert_jobs", "Jobs by status.", load.jobs)
        yield _by_status("glocert_units", "Units of work by status.", load.units)
        yield GaugeMetricFamily(
            "glocert_queue_age_seconds", "Age of the oldest queued unit.", load.queue_age_s
        )
        yield GaugeMetricFamily("glocert_workers", "Workers that reported lately.", load.workers)


def _by_status(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["status"])
    for status, count in sorted(counts.items()):
        family.add_metric([status], count)
    return family
