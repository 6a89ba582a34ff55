"""Section ``metrics``: the metrics page."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from instrumentation.settings.duration import Duration
from instrumentation.settings.faults import Allowed, fault
from instrumentation.settings.types import Count, FilePath, PrometheusDuration, Seconds, Section, Text, UrlPath


class Metrics(Section):
    """The metrics page, and its limits."""

    path: UrlPath | None = "/metrics"
    host: Text = "0.0.0.0"  # noqa: S104 - Prometheus runs on another machine; used only with a port
    port: Annotated[int | None, Field(ge=1, le=65535), Allowed(text="give a port from 1 to 65535, or null")] = None
    token_file: FilePath | None = None
    series_limit: Count = 2000
    exemplars: Annotated[bool | None, Allowed(text="give true, false, or null")] = None  # null: if tracing is on
    scrape_interval: PrometheusDuration = Duration("15s")
    read_timeout_seconds: Annotated[  # for all queues and disks together, which are read at the same time
        Seconds, Field(le=5), Allowed(text="give seconds above 0 and at most 5, since Prometheus gives up after 10")
    ] = 1.0

    @model_validator(mode="after")
    def _port_has_a_path(self) -> Self:
        if self.port is not None and self.path is None:
            raise fault("give a path too, such as /metrics, or leave the port out", key="port")
        return self
