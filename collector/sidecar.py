"""The sidecar: takes traces from the service on localhost and hands them to the gateway, through a queue on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from instrumentation.settings import Settings

_POD = "${env:POD_IP:-127.0.0.1}"  # probes and scrapes come from outside; telemetry only from the pod itself


def sidecar_config(settings: Settings) -> dict[str, object]:
    """The configuration as data, with the component names of OpenTelemetry Collector 0.154 and later.

    Metrics do not pass here: Prometheus scrapes the service itself.
    """
    collector = settings.collector
    return {
        "extensions": {
            "health_check": {"endpoint": f"{_POD}:13133"},
            "file_storage": {"directory": "/var/lib/otelcol/queue", "create_directory": True},
        },
        "receivers": {
            "otlp": {
                "protocols": {"grpc": {"endpoint": "127.0.0.1:4317"}, "http": {"endpoint": "127.0.0.1:4318"}},
            },
        },
        "processors": {
            "memory_limiter": {
                "check_interval": "1s",
                "limit_mib": collector.memory_limit_mib,
                "spike_limit_mib": collector.memory_limit_mib // 5,
            },
        },
        "exporters": {
            "otlp_http/gateway": {
                "endpoint": collector.gateway_endpoint,
                "timeout": "10s",
                "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},  # the queue's bound is the bound
                "sending_queue": {"enabled": True, "storage": "file_storage", "queue_size": collector.queue_size},
            },
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "telemetry": {
                "metrics": {
                    "level": "normal",
                    "readers": [{"pull": {"exporter": {"prometheus": {"host": _POD, "port": 8888}}}}],
                },
            },
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter"],  # first, so that nothing is taken that cannot be held
                    "exporters": ["otlp_http/gateway"],
                },
            },
        },
    }


def to_sidecar_config(settings: Settings) -> str:
    """The text of the sidecar's configuration file."""
    text = yaml.safe_dump(sidecar_config(settings), sort_keys=False)
    return f"# Written by `sidelight build` from sidelight.yaml; change that file, not this one.\n{text}"
