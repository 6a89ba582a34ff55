"""Parts of every collector's configuration: health check, queue on disk, its own metrics, limits and masking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from instrumentation.redaction.patterns import PATTERNS, TOKENS
from instrumentation.redaction.sensitive_keys import SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from instrumentation.settings import Settings

POD = "${env:POD_IP:-127.0.0.1}"  # probes and scrapes come from outside
QUEUE_FOLDER = "${env:SIDELIGHT_QUEUE_DIR:-/var/lib/otelcol/queue}"
HEALTH_PORT = "${env:SIDELIGHT_HEALTH_PORT:-13133}"
METRICS_PORT = "${env:SIDELIGHT_METRICS_PORT:-8888}"


def extensions() -> dict[str, object]:
    """The health check, and the folder of the queues."""
    return {
        "health_check": {"endpoint": f"{POD}:{HEALTH_PORT}"},
        "file_storage": {"directory": QUEUE_FOLDER, "create_directory": True},
    }


def memory_limiter(settings: Settings) -> dict[str, object]:
    """The memory limiter. It comes first in every pipeline, so that no data is accepted that does not fit into memory."""
    limit = settings.collector.memory_limit_mib
    return {
        "check_interval": "1s",
        "limit_mib": f"${{env:SIDELIGHT_MEMORY_LIMIT_MIB:-{limit * 4 // 5}}}",
        "spike_limit_mib": f"${{env:SIDELIGHT_MEMORY_SPIKE_MIB:-{limit // 5}}}",
    }


def redaction() -> dict[str, object]:
    """The patterns of the Python redaction, for data from other languages and libraries.

    Numbers with a checksum are left out: RE2 cannot verify them, and trace ids are long numbers too.
    """
    return {
        "allow_all_keys": True,
        "blocked_key_patterns": [SECRET_KEY],
        "blocked_values": [_escaped(pattern.regex) for table in (PATTERNS, TOKENS) for pattern in table],
        "summary": "silent",
    }


def exporter(settings: Settings, endpoint: str) -> dict[str, object]:
    """An exporter that sends batches from a bounded queue on disk and retries until they are accepted."""
    return {
        "endpoint": endpoint,
        "timeout": "10s",
        "retry_on_failure": {
            "enabled": True,
            "initial_interval": "${env:SIDELIGHT_RETRY_INTERVAL:-5s}",
            "max_elapsed_time": "0s",  # retry without limit; the queue is bounded
        },
        "sending_queue": {
            "enabled": True,
            "storage": "file_storage",
            "queue_size": settings.collector.queue_size,
            "batch": {"flush_timeout": "1s", "min_size": 512, "max_size": 2048, "sizer": "items"},
        },
    }


def resource(attributes: Mapping[str, str]) -> dict[str, object]:
    """Attributes added to every span and metric. Attributes that the service sets are kept."""
    return {"attributes": [{"key": key, "value": value, "action": "insert"} for key, value in attributes.items()]}


def service(
    pipelines: Mapping[str, object], extensions: Iterable[str] = ("health_check", "file_storage")
) -> dict[str, object]:
    """The pipelines, and the collector's own metrics."""
    reader = {"pull": {"exporter": {"prometheus": {"host": POD, "port": METRICS_PORT}}}}
    return {
        "extensions": list(extensions),
        "telemetry": {"metrics": {"level": "normal", "readers": [reader]}},
        "pipelines": dict(pipelines),
    }


def to_config(config: dict[str, object]) -> str:
    """The text of a configuration."""
    text = yaml.safe_dump(config, sort_keys=False)
    return f"# Written by `sidelight build` from sidelight.yaml; change that file, not this one.\n{text}"


def _escaped(regex: str) -> str:
    """A regular expression for a collector's configuration, in which ``$`` begins a variable."""
    return regex.replace("$", "$$")
