"""Section ``collector``: the OpenTelemetry Collector sidecar and gateway."""

from typing import Annotated, Literal

from pydantic import Field

from instrumentation.settings.faults import Allowed
from instrumentation.settings.types import AttributeName, CollectorVersion, Count, Section, Share, Text, WebAddress


class Collector(Section):
    """The OpenTelemetry Collectors: the sidecar beside each instance, and the gateway."""

    gateway_endpoint: WebAddress = "http://sidelight-gateway.monitoring:4318"
    traces_endpoint: WebAddress = "http://tempo:4318"  # where the gateway sends what it keeps
    kept_ratio: Share = 0.1  # of the traces that are neither failed nor slow; those are all kept
    memory_limit_mib: Count = 128  # of the container; the collector refuses what would take more than four fifths
    queue_size: Count = 1000  # requests of the service, on disk
    gateways: Text | None = None  # the name that resolves to every one of several gateways; they need a balancer
    metrics: Annotated[
        Literal["scrape", "otlp", "remote_write"], Allowed(text="give scrape, otlp or remote_write; never two at once")
    ] = "scrape"  # Prometheus scrapes the services, or the collectors push
    metrics_endpoint: WebAddress | None = None  # where the gateway pushes metrics; by default Prometheus' own
    resource_attributes: Annotated[
        dict[AttributeName, Text], Allowed(text='give attributes with texts, such as {k8s.cluster.name: "north"}')
    ] = Field(default={})  # on every span and metric, where the service has not set them
    version: CollectorVersion = "0.159.0"  # whose names of components are written; 0.138 and later

    @property
    def metrics_url(self) -> str:
        """Where metrics are pushed, in the modes that push."""
        path = {"otlp": "/api/v1/otlp", "remote_write": "/api/v1/write"}.get(self.metrics, "")
        return self.metrics_endpoint or f"http://prometheus:9090{path}"
