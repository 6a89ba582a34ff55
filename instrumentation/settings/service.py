"""Section ``service``: name, version and environment."""

from __future__ import annotations

from instrumentation.settings.types import Section, Text


class Service(Section):
    """Which service this is; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over the file."""

    name: Text = "unnamed-service"
    version: Text = "0"
    environment: Text = "development"
