"""Section ``service``: name, version, environment and other attributes."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from instrumentation.settings.faults import Allowed, fault
from instrumentation.settings.types import ResourceAttribute, Section, Text

RESOURCE_KEYS = {
    "service.name": "name",
    "service.version": "version",
    "deployment.environment.name": "environment",
    "deployment.environment": "environment",  # the name before semantic conventions 1.27
}
"""Resource attribute to the key of this section that holds it."""


UNNAMED = "unnamed-service"


class Service(Section):
    """The service's name and attributes. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override single values of the file."""

    name: Text = UNNAMED
    version: Text = "0"
    environment: Text = "development"
    attributes: Annotated[
        dict[ResourceAttribute, Text], Allowed(text='give attributes with texts, such as {team: "payments"}')
    ] = Field(default={})  # added as labels of target_info, attributes of spans and keys of log lines

    @model_validator(mode="after")
    def _each_fact_once(self) -> Self:
        for key in RESOURCE_KEYS.keys() & self.attributes.keys():
            raise fault(f"give service.{RESOURCE_KEYS[key]}", key=f"attributes.{key}")
        return self
