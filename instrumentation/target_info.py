"""target_info: a series whose labels hold service, version and environment, and which reveals deployments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from instrumentation.catalog import TARGET_INFO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings import Service
    from instrumentation.store import Store


def announce(store: Store, service: Service) -> None:
    """Set the target_info series of a service to 1."""
    more = as_labels(service.attributes, reserved=frozenset(TARGET_INFO.labels))
    values = (service.name, service.version, service.environment, *more.values())
    store.pin(TARGET_INFO.extended(*more), values, 1.0)


def as_labels(attributes: Mapping[str, str], *, reserved: frozenset[str]) -> dict[str, str]:
    """Attributes with names that are valid for labels, without empty values and reserved names.

    If two attributes get the same name, their values are joined (OpenTelemetry specification, "Prometheus and OpenMetrics
    Compatibility").

    >>> as_labels({"team": "a", "k8s.pod": "b", "k8s_pod": "c", "job": ""}, reserved=frozenset())
    {'k8s_pod': 'b;c', 'team': 'a'}
    """
    labels: dict[str, str] = {}
    for name, value in sorted(attributes.items()):
        label = re.sub(r"^(?=\d)|[^a-zA-Z0-9_]+", "_", name)
        if value and label not in reserved and not label.startswith("__"):
            labels[label] = f"{labels[label]};{value}" if label in labels else value
    return labels
