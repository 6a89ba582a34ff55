"""target_info: a series whose labels hold service, version and environment, and which reveals deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation.catalog import TARGET_INFO

if TYPE_CHECKING:
    from instrumentation.settings import Service
    from instrumentation.store import Store


def announce(store: Store, service: Service) -> None:
    """Set the target_info series of a service to 1."""
    store.pin(TARGET_INFO, (service.name, service.version, service.environment), 1.0)
