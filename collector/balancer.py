"""The balancer sends all spans of a trace to the same gateway, because gateways sample whole traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector import common

if TYPE_CHECKING:
    from instrumentation.settings import Settings


def balancer_config(settings: Settings, gateways: str | None = None) -> dict[str, object] | None:
    """The configuration as data; None if there is only one gateway.

    The balancer stores nothing: a span that a gateway refuses waits in the sidecar's queue.

    Args:
        settings: The settings.
        gateways: The name that resolves to every gateway; by default ``collector.gateways``.
    """
    gateways = gateways or settings.collector.gateways
    if gateways is None:
        return None
    http, grpc = "${env:SIDELIGHT_OTLP_HTTP_PORT:-4318}", "${env:SIDELIGHT_OTLP_GRPC_PORT:-4317}"
    pushes = settings.collector.metrics != "scrape"
    kinds = {"traces": "traceID", **({"metrics": "resource"} if pushes else {})}
    return {
        "extensions": {"health_check": common.extensions()["health_check"]},
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": f"{common.POD}:{grpc}"},
                    "http": {"endpoint": f"{common.POD}:{http}"},
                },
            },
        },
        "processors": {"memory_limiter": common.memory_limiter(settings)},
        "exporters": {f"loadbalancing/{kind}": _balanced(gateways, key) for kind, key in kinds.items()},
        "service": common.service(
            {
                kind: {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": [f"loadbalancing/{kind}"]}
                for kind in kinds
            },
            extensions=("health_check",),
        ),
    }


def to_balancer_config(settings: Settings, gateways: str | None = None) -> str | None:
    """The text of the balancer's configuration file; None if there is no balancer."""
    config = balancer_config(settings, gateways)
    return common.to_config(config) if config else None


def _balanced(gateways: str, key: str) -> dict[str, object]:
    port = "${env:SIDELIGHT_GATEWAYS_PORT:-4317}"
    return {
        "routing_key": key,
        "protocol": {"otlp": {"timeout": "10s", "tls": {"insecure": True}}},
        "resolver": {"dns": {"hostname": gateways, "port": port, "interval": "5s"}},
    }
