"""The gateway receives the traces of all sidecars, samples them and sends them to the trace backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector import common
from collector.manifest import named

if TYPE_CHECKING:
    from instrumentation.settings import Settings

DECIDES_AFTER = "10s"  # after the first span of a trace; for longer requests, the spans received until then decide
MOST_TRACES = 50_000  # waiting for the sampling decision


def gateway_config(settings: Settings) -> dict[str, object]:
    """The configuration as data.

    A trace is kept if a span failed, if it took longer than the warning threshold of p95 latency, or by random sampling.
    A single gateway sees whole traces. With several gateways, all spans of a trace must reach the same one.
    """
    collector = settings.collector
    traces, metrics = f"{named('otlp_http', collector.version)}/backend", _metrics(settings)
    pipelines = {
        "traces": {"receivers": ["otlp"], "processors": ["memory_limiter", "tail_sampling"], "exporters": [traces]},
        **(
            {"metrics": {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": [*metrics]}}
            if metrics
            else {}
        ),
    }
    http, grpc = "${env:SIDELIGHT_OTLP_HTTP_PORT:-4318}", "${env:SIDELIGHT_OTLP_GRPC_PORT:-4317}"
    return {
        "extensions": common.extensions(),
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": f"{common.POD}:{grpc}"},
                    "http": {"endpoint": f"{common.POD}:{http}"},
                },
            },
        },
        "processors": {
            "memory_limiter": common.memory_limiter(settings),
            "tail_sampling": {
                "decision_wait": f"${{env:SIDELIGHT_DECISION_WAIT:-{DECIDES_AFTER}}}",
                "num_traces": MOST_TRACES,
                "policies": [
                    {"name": "failed", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
                    {"name": "slow", "type": "latency", "latency": {"threshold_ms": _slow_milliseconds(settings)}},
                    {
                        "name": "some",
                        "type": "probabilistic",
                        "probabilistic": {"sampling_percentage": collector.kept_ratio * 100},
                    },
                ],
            },
        },
        "exporters": {traces: common.exporter(settings, collector.traces_endpoint), **metrics},
        "service": common.service(pipelines),
    }


def to_gateway_config(settings: Settings) -> str:
    """The text of the gateway's configuration file."""
    return common.to_config(gateway_config(settings))


def _metrics(settings: Settings) -> dict[str, object]:
    """The metrics exporter; none if Prometheus scrapes the services."""
    mode, version, url = settings.collector.metrics, settings.collector.version, settings.collector.metrics_url
    if mode == "otlp":
        return {f"{named('otlp_http', version)}/metrics": common.exporter(settings, url)}
    if mode == "remote_write":
        # This exporter only has a queue in memory, so waiting data is lost with the process.
        return {
            named("prometheus_remote_write", version): {
                "endpoint": url,
                "add_metric_suffixes": False,  # the names come from Prometheus' own format
                "retry_on_failure": {"enabled": True, "initial_interval": "1s", "max_elapsed_time": "10m"},
            }
        }
    return {}


def _slow_milliseconds(settings: Settings) -> int:
    return round(settings.thresholds.latency_p95_seconds.warning * 1000)
