"""From settings to the configuration of an OpenTelemetry Collector: the sidecar beside each instance of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.sidecar import to_sidecar_config

if TYPE_CHECKING:
    from instrumentation.settings import Settings

__all__ = ["generated"]


def generated(settings: Settings) -> dict[str, str]:
    """File name to text, of all that this package writes."""
    return {"sidecar.yaml": to_sidecar_config(settings)}
