"""The sidecar sends the service's traces, and its metrics if they are pushed, to the gateway through a queue on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector import common
from collector.manifest import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings import Settings

SERVICE = "127.0.0.1:${env:SIDELIGHT_SERVICE_PORT:-8000}"


def sidecar_config(settings: Settings, attributes: Mapping[str, str] | None = None) -> dict[str, object]:
    """The configuration as data, with the component names of ``collector.version``.

    Args:
        settings: The settings. If ``collector.metrics`` is ``scrape``, the sidecar handles no metrics: Prometheus scrapes
            the service itself. Otherwise it scrapes the service, and takes what short processes push.
        attributes: Resource attributes in addition to those of the settings.
    """
    http, grpc = "${env:SIDELIGHT_OTLP_HTTP_PORT:-4318}", "${env:SIDELIGHT_OTLP_GRPC_PORT:-4317}"
    gateway = f"{named('otlp_http', settings.collector.version)}/gateway"
    resource = {**settings.collector.resource_attributes, **(attributes or {})}
    pushes = settings.collector.metrics != "scrape"
    processors = ["memory_limiter", *(["resource"] if resource else []), "redaction"]
    config: dict[str, object] = {
        "extensions": common.extensions(),
        "receivers": {
            "otlp": {
                # Reachable only from within the pod.
                "protocols": {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{http}"}},
            },
            **({"prometheus": {"config": _scraping(settings)}} if pushes else {}),
        },
        "processors": {
            "memory_limiter": common.memory_limiter(settings),
            **({"resource": common.resource(resource)} if resource else {}),
            "redaction": common.redaction(),
        },
        "exporters": {gateway: common.exporter(settings, settings.collector.gateway_endpoint)},
    }
    pipelines = {"traces": {"receivers": ["otlp"], "processors": processors, "exporters": [gateway]}}
    if pushes:
        receivers = ["prometheus", "otlp"]  # otlp: of processes that end before they are scraped
        pipelines["metrics"] = {"receivers": receivers, "processors": processors, "exporters": [gateway]}
    return {**config, "service": common.service(pipelines)}


def to_sidecar_config(settings: Settings) -> str:
    """The text of the sidecar's configuration file."""
    return common.to_config(sidecar_config(settings))


def _scraping(settings: Settings) -> dict[str, object]:
    """A Prometheus scrape configuration for one target, with the job and instance that the rules expect."""
    metrics, metrics_port = settings.metrics, settings.metrics.port
    target = f"127.0.0.1:{metrics_port}" if metrics_port else SERVICE
    job: dict[str, object] = {
        "job_name": f"${{env:OTEL_SERVICE_NAME:-{settings.service.name}}}",
        "scrape_interval": str(metrics.scrape_interval),
        "metrics_path": metrics.path or "/metrics",
        "static_configs": [{"targets": [target], "labels": {"instance": "${env:POD_NAME:-localhost}"}}],
    }
    if metrics.token_file:
        job["authorization"] = {"credentials_file": str(metrics.token_file)}
    return {"scrape_configs": [job]}
