"""Section ``tracing``: where traces are sent."""

from typing import Annotated, Literal

from instrumentation.settings.faults import Allowed
from instrumentation.settings.types import Count, Seconds, Section, Share, WebAddress


class Tracing(Section):
    """Traces, which are off without an endpoint."""

    endpoint: WebAddress | None = None  # such as http://localhost:4318, where the sidecar listens
    protocol: Annotated[Literal["http/protobuf", "grpc"], Allowed(text="give http/protobuf or grpc")] = "http/protobuf"
    sample_ratio: Share = 1.0  # of the traces that begin here; for others the caller decides
    queue_size: Count = 2048  # spans that wait; about 2 kB each
    timeout_seconds: Seconds = 5.0  # for one batch, including retries
    instrumentation: Annotated[Literal["sidelight", "contrib"], Allowed(text="give sidelight or contrib")] = (
        "sidelight"  # contrib: opentelemetry-instrumentation-fastapi creates the spans of requests
    )
