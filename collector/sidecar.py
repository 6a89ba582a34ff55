"""The sidecar: takes traces from the service on localhost and hands them to the gateway, through a queue on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector import parts

if TYPE_CHECKING:
    from instrumentation.settings import Settings


def sidecar_config(settings: Settings) -> dict[str, object]:
    """The configuration as data, with the component names of OpenTelemetry Collector 0.154 and later.

    Metrics do not pass here: Prometheus scrapes the service itself.
    """
    http, grpc = "${env:SIDELIGHT_OTLP_HTTP_PORT:-4318}", "${env:SIDELIGHT_OTLP_GRPC_PORT:-4317}"
    return {
        "extensions": parts.extensions(),
        "receivers": {
            "otlp": {
                # Of the pod itself alone.
                "protocols": {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{http}"}},
            },
        },
        "processors": {"memory_limiter": parts.memory_limiter(settings), "redaction": parts.redaction()},
        "exporters": {"otlp_http/gateway": parts.exporter(settings, settings.collector.gateway_endpoint)},
        "service": parts.service(("memory_limiter", "redaction"), "otlp_http/gateway"),
    }


def to_sidecar_config(settings: Settings) -> str:
    """The text of the sidecar's configuration file."""
    return parts.to_config(sidecar_config(settings))
