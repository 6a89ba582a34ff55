"""Generates configurations of the OpenTelemetry Collector, and the manifest to build it, from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.balancer import balancer_config, to_balancer_config
from collector.gateway import gateway_config, to_gateway_config
from collector.manifest import to_manifest
from collector.sidecar import sidecar_config, to_sidecar_config

if TYPE_CHECKING:
    from instrumentation.settings import Settings

__all__ = ["generated"]


def generated(settings: Settings) -> dict[str, str]:
    """File name to text, for all files of this package."""
    balancer = to_balancer_config(settings)
    configs = [sidecar_config(settings), gateway_config(settings), balancer_config(settings) or {}]
    return {
        "builder.yaml": to_manifest(configs=configs),
        "gateway.yaml": to_gateway_config(settings),
        "sidecar.yaml": to_sidecar_config(settings),
        **({"balancer.yaml": balancer} if balancer else {}),
    }
