"""What every collector has, whatever its place: its health, its queue on disk, its own metrics, its limits and its masks."""

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
    """Health, and the folder of the queues."""
    return {
        "health_check": {"endpoint": f"{POD}:{HEALTH_PORT}"},
        "file_storage": {"directory": QUEUE_FOLDER, "create_directory": True},
    }


def memory_limiter(settings: Settings) -> dict[str, object]:
    """First in every pipeline, so that nothing is taken that cannot be held."""
    limit = settings.collector.memory_limit_mib
    return {"check_interval": "1s", "limit_mib": limit * 4 // 5, "spike_limit_mib": limit // 5}


def redaction() -> dict[str, object]:
    """The masks of Python's redaction, for what other languages and libraries send.

    Numbers with a checksum are left out: RE2 cannot check them, and trace ids are long numbers too.
    """
    return {
        "allow_all_keys": True,
        "blocked_key_patterns": [SECRET_KEY],
        "blocked_values": [_escaped(pattern.regex) for table in (PATTERNS, TOKENS) for pattern in table],
        "summary": "silent",
    }


def exporter(settings: Settings, endpoint: str) -> dict[str, object]:
    """Sends in batches, again and again, out of a bounded queue on disk."""
    return {
        "endpoint": endpoint,
        "timeout": "10s",
        "retry_on_failure": {
            "enabled": True,
            "initial_interval": "${env:SIDELIGHT_RETRY_INTERVAL:-5s}",
            "max_elapsed_time": "0s",  # the queue's bound is the bound
        },
        "sending_queue": {
            "enabled": True,
            "storage": "file_storage",
            "queue_size": settings.collector.queue_size,
            "batch": {"flush_timeout": "1s", "min_size": 512, "max_size": 2048, "sizer": "items"},
        },
    }


def resource(attributes: Mapping[str, str]) -> dict[str, object]:
    """Attributes of every span and metric; what the service says of itself stays."""
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
    """A regular expression as it stands in a collector's configuration, where ``$`` begins a variable."""
    return regex.replace("$", "$$")
