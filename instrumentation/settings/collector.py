"""Section ``collector``: the OpenTelemetry Collector sidecar and gateway."""

from typing import Annotated, Literal

from pydantic import Field

from instrumentation.settings.faults import Allowed
from instrumentation.settings.types import AttributeName, CollectorVersion, Count, Section, Share, Text, WebAddress


class Collector(Section):
    """The OpenTelemetry Collectors: the sidecar beside each instance, and the gateway."""

    gateway_endpoint: WebAddress = "http://sidelight-gateway.monitoring:4318"
    traces_endpoint: WebAddress = "http://tempo:4318"  # where the gateway sends what it keeps
    kept_ratio: Share = 0.1  # of the other traces; failed and slow ones are all kept
    memory_limit_mib: Count = 128  # of the container; the collector refuses data once it uses four fifths
    queue_size: Count = 1000  # requests of the service, on disk
    gateways: Text | None = None  # a DNS name that resolves to all gateways; several gateways need a balancer
    metrics: Annotated[
        Literal["scrape", "otlp", "remote_write"], Allowed(text="give scrape, otlp or remote_write; never two at once")
    ] = "scrape"  # Prometheus scrapes the services, or the collectors push
    metrics_endpoint: WebAddress | None = None  # where the gateway pushes metrics; by default to Prometheus
    resource_attributes: Annotated[
        dict[AttributeName, Text], Allowed(text='give attributes with texts, such as {k8s.cluster.name: "north"}')
    ] = Field(default={})  # added to every span and metric unless the service sets them
    version: CollectorVersion = "0.159.0"  # the configuration uses the component names of this version; 0.138 or later

    @property
    def metrics_url(self) -> str:
        """Where metrics are pushed, in the modes that push."""
        path = {"otlp": "/api/v1/otlp", "remote_write": "/api/v1/write"}.get(self.metrics, "")
        return self.metrics_endpoint or f"http://prometheus:9090{path}"
