"""The gateway: takes the traces of all sidecars, keeps the telling ones, and hands them to where traces live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector import common
from collector.manifest import named

if TYPE_CHECKING:
    from instrumentation.settings import Settings

DECIDES_AFTER = "10s"  # from the first span of a trace on; longer requests are judged by what came until then
MOST_TRACES = 50_000  # that wait for their decision


def gateway_config(settings: Settings) -> dict[str, object]:
    """The configuration as data.

    A trace is kept where it failed, where it took longer than the warning for p95, or by chance. One gateway sees whole
    traces; several need the same trace id to come to the same one.
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
    """The one exporter of metrics; none where Prometheus scrapes."""
    mode, version, url = settings.collector.metrics, settings.collector.version, settings.collector.metrics_url
    if mode == "otlp":
        return {f"{named('otlp_http', version)}/metrics": common.exporter(settings, url)}
    if mode == "remote_write":
        # Its queue is in memory: it has none on disk, so what waits is lost with the process.
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
