"""From settings to the configuration of OpenTelemetry Collectors, and to the manifest that they are built by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.gateway import to_gateway_config
from collector.manifest import to_manifest
from collector.sidecar import to_sidecar_config

if TYPE_CHECKING:
    from instrumentation.settings import Settings

__all__ = ["generated"]


def generated(settings: Settings) -> dict[str, str]:
    """File name to text, of all that this package writes."""
    return {
        "builder.yaml": to_manifest(),
        "gateway.yaml": to_gateway_config(settings),
        "sidecar.yaml": to_sidecar_config(settings),
    }
