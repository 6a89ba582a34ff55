"""OpenTelemetry's environment variables: which ones Sidelight supports, and what it logs about the others.

An empty value counts as not set. An invalid value is ignored and logged, and the service starts (OpenTelemetry
specification, "Environment Variable Specification").
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.settings.tracing import Tracing


_DEFAULT_ENDPOINTS = {"grpc": "http://localhost:4317", "http/protobuf": "http://localhost:4318/v1/traces"}
_MILLISECONDS_FROM = 1000.0  # the specification has milliseconds, OpenTelemetry for Python seconds
_ENDPOINT = {"grpc": r"(https?://)?[^\s/]+(/\S*)?", "http/protobuf": r"https?://[^\s/]+(/\S*)?"}


class Read(NamedTuple):
    """The settings for traces, after reading the environment.

    Attributes:
        tracing: The settings.
        set: The keys that the environment sets.
        problems: A sentence for each variable with an invalid value.
    """

    tracing: Tracing
    set: frozenset[str]
    problems: tuple[str, ...]


def read_tracing(tracing: Tracing, environ: Mapping[str, str]) -> Read:
    """Apply the environment to the settings for traces; it takes precedence over the file.

    Args:
        tracing: The settings of the file.
        environ: The environment.
    """
    reader = _Reader(environ)
    found: dict[str, Any] = {}
    protocol = reader.read(
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"), _protocol, "give grpc or http/protobuf"
    )
    if protocol is not None:
        found["protocol"] = protocol
    endpoint = reader.endpoint(protocol or tracing.protocol)
    if endpoint is not None:
        found["endpoint"] = endpoint
    seconds = reader.read(
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"), _seconds, "give seconds, or milliseconds"
    )
    if seconds is not None:
        found["timeout_seconds"] = seconds
    size = reader.read(("OTEL_BSP_MAX_QUEUE_SIZE",), _count, "give a whole number above 0")
    if size is not None:
        found["queue_size"] = size
    exporter = reader.given("OTEL_TRACES_EXPORTER").lower()
    if exporter == "none":
        found["endpoint"] = None
    elif exporter == "otlp" and not found.get("endpoint") and tracing.endpoint is None:
        found["endpoint"] = _DEFAULT_ENDPOINTS[protocol or tracing.protocol]
    elif exporter not in {"", "otlp"}:
        reader.ignore("OTEL_TRACES_EXPORTER", exporter, "give otlp or none")
    if found.get("endpoint") and tracing.endpoint is None and find_spec("opentelemetry.sdk") is None:
        del found["endpoint"]
        reader.problems.append(f"{reader.where} is set, but no traces are sent: install sidelight[tracing]")
    return Read(tracing.model_copy(update=found), frozenset(found), tuple(reader.problems))


def read_attributes(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The resource attributes of the environment, and the parts of the variable that are not attributes."""
    found: dict[str, str] = {}
    invalid: list[str] = []
    for pair in filter(str.strip, environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            found.setdefault(unquote(key.strip()), unquote(value.strip()))
        else:
            invalid.append(pair)
    return found, invalid


class _Reader:
    """Reads variables and collects a sentence for each invalid value."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []
        self.where = "OTEL_TRACES_EXPORTER"

    def given(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def read(self, names: tuple[str, ...], parse: Callable[[str], Any], allowed: str) -> Any:
        """The parsed value of the first variable that is set; None if none is set, or if the value is invalid."""
        name = next(filter(self.given, names), "")
        if not name:
            return None
        try:
            return parse(self.given(name))
        except ValueError:
            return self.ignore(name, self.given(name), allowed)

    def endpoint(self, protocol: str) -> str | None:
        """The endpoint: the variable for traces unchanged, or the one for all signals with the path for traces."""
        own, common = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
        name = own if self.given(own) else common
        text = self.given(name)
        if not text:
            return None
        self.where = name
        if not re.fullmatch(_ENDPOINT[protocol], text):
            self.ignore(name, text, "give a URL, such as http://localhost:4318")
            return None
        if protocol == "grpc":
            return text
        if name == common:
            return f"{text.rstrip('/')}/v1/traces"
        return text if urlsplit(text).path else f"{text}/"

    def ignore(self, name: str, given: str, allowed: str) -> None:
        self.problems.append(f'{name} is "{given:.60}" and is ignored: {allowed}')


def _protocol(text: str) -> str:
    if text not in _DEFAULT_ENDPOINTS:
        raise ValueError(text)
    return text


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number / 1000 if number >= _MILLISECONDS_FROM else number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise ValueError(text)
    return int(text)


# --- The table of variables --------------------------------------------------------------------------------------------


class Variable(NamedTuple):
    """An environment variable of OpenTelemetry.

    Attributes:
        name: Its name; with ``*`` at the end, all names with this prefix.
        does: Its effect in Sidelight, or what to use instead.
        is_supported: Whether it has an effect.
        agreeing: Values of an unsupported variable that match what Sidelight does.
    """

    name: str
    does: str
    is_supported: bool = True
    agreeing: frozenset[str] = frozenset()


_METRICS = "Prometheus scrapes `metrics.path`, or the sidecar pushes the metrics (`collector.metrics`)"
_LOGS = "Sidelight writes logs to stdout"
_SDK = "read by OpenTelemetry's SDK"
_NOTHING_ELSE = frozenset({"none"})

VARIABLES = (
    Variable("OTEL_SDK_DISABLED", "`true` turns Sidelight off, as `enabled: false` does"),
    Variable("OTEL_SERVICE_NAME", "`service.name`"),
    Variable(
        "OTEL_RESOURCE_ATTRIBUTES",
        "`service.name`, `service.version`, `service.environment` (`deployment.environment.name`), and all others as "
        "`service.attributes`: labels of `target_info`, attributes of spans, fields of log lines",
    ),
    Variable("OTEL_TRACES_EXPORTER", "`otlp` sends traces, to localhost if no endpoint is set; `none` sends none"),
    Variable("OTEL_EXPORTER_OTLP_ENDPOINT", "`tracing.endpoint`; `/v1/traces` is added for http/protobuf"),
    Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "`tracing.endpoint`, unchanged"),
    Variable("OTEL_EXPORTER_OTLP_PROTOCOL", "`tracing.protocol`: `http/protobuf` or `grpc`"),
    Variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "same as `OTEL_EXPORTER_OTLP_PROTOCOL`, with precedence over it"),
    Variable("OTEL_EXPORTER_OTLP_TIMEOUT", "`tracing.timeout_seconds`; values of 1000 or more are milliseconds"),
    Variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "same as `OTEL_EXPORTER_OTLP_TIMEOUT`, with precedence over it"),
    *(
        Variable(f"OTEL_EXPORTER_OTLP_{signal}{part}", "read by OpenTelemetry's exporter")
        for part in ("HEADERS", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "INSECURE")
        for signal in ("", "TRACES_")
    ),
    Variable("OTEL_TRACES_SAMPLER", "the sampler, instead of `tracing.sample_ratio`"),
    Variable("OTEL_TRACES_SAMPLER_ARG", "the argument of `OTEL_TRACES_SAMPLER`"),
    Variable("OTEL_PROPAGATORS", "the formats in which traces are propagated; by default `tracecontext,baggage`"),
    Variable("OTEL_BSP_MAX_QUEUE_SIZE", "`tracing.queue_size`"),
    Variable("OTEL_BSP_SCHEDULE_DELAY", "milliseconds between two batches of spans; by default 1000"),
    Variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "the largest number of spans in a batch; by default 512"),
    Variable("OTEL_BSP_EXPORT_TIMEOUT", "use `OTEL_EXPORTER_OTLP_TIMEOUT`", is_supported=False),
    Variable("OTEL_ATTRIBUTE_*", _SDK),
    Variable("OTEL_SPAN_*", _SDK),
    Variable("OTEL_EVENT_*", _SDK),
    Variable("OTEL_LINK_*", _SDK),
    Variable("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", f"{_SDK}, only for spans"),
    Variable(
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "the names of attributes in spans of calls, and of requests with `tracing.instrumentation: contrib`; by default `http`, "
        "the stable ones",
    ),
    Variable("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "headers of requests that become attributes"),
    Variable(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", "headers of responses that become attributes"
    ),
    Variable("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "captured headers whose value is left out"),
    Variable(
        "OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS", "keep unknown methods in spans, instead of `_OTHER`"
    ),
    Variable("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "no spans for these URLs, in addition to the excluded routes"),
    Variable("OTEL_PYTHON_EXCLUDED_URLS", "same as `OTEL_PYTHON_FASTAPI_EXCLUDED_URLS`, if that is not set"),
    Variable("OTEL_PYTHON_*", "read by OpenTelemetry's own packages, if they run"),
    Variable(
        "OTEL_INSTRUMENTATION_*", "read by OpenTelemetry's instrumentation; Sidelight masks the attributes that it adds"
    ),
    Variable("OTEL_METRICS_EXPORTER", _METRICS, is_supported=False, agreeing=frozenset({"none", "prometheus"})),
    Variable(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "set `metrics.exemplars`",
        is_supported=False,
        agreeing=frozenset({"trace_based"}),
    ),
    Variable("OTEL_METRIC_*", _METRICS, is_supported=False),
    Variable("OTEL_EXPORTER_OTLP_METRICS_*", _METRICS, is_supported=False),
    Variable("OTEL_EXPORTER_PROMETHEUS_*", "set `metrics.host` and `metrics.port`", is_supported=False),
    Variable("OTEL_LOGS_EXPORTER", _LOGS, is_supported=False, agreeing=frozenset({"none", "console"})),
    Variable("OTEL_EXPORTER_OTLP_LOGS_*", _LOGS, is_supported=False),
    Variable("OTEL_BLRP_*", _LOGS, is_supported=False),
    Variable("OTEL_LOGRECORD_*", _LOGS, is_supported=False),
    Variable("OTEL_LOG_LEVEL", "set `logging.level`", is_supported=False),
    Variable("OTEL_EXPORTER_ZIPKIN_*", "Sidelight sends traces over OTLP", is_supported=False),
    Variable("OTEL_EXPORTER_JAEGER_*", "Sidelight sends traces over OTLP", is_supported=False),
    Variable("OTEL_CONFIG_FILE", "Sidelight's settings file is `sidelight.yaml`", is_supported=False),
    Variable("OTEL_*", "unknown to Sidelight", is_supported=False),
)
"""All of OpenTelemetry's variables; if several match a name, the first one counts."""


def unsupported(environ: Mapping[str, str]) -> list[str]:
    """The variables that are set but not supported, each with what to use instead."""
    return [
        f"{name} ({row.does})"
        for name in sorted(name for name, value in environ.items() if name.startswith("OTEL_") and value.strip())
        if not (row := _row(name)).is_supported and environ[name].strip().lower() not in row.agreeing
    ]


def _row(name: str) -> Variable:
    return next(
        row for row in VARIABLES if row.name == name or (row.name[-1] == "*" and name.startswith(row.name[:-1]))
    )


def problems(tracing: Tracing, environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable with an invalid value."""
    found = list(read_tracing(tracing, environ).problems)
    given = environ.get("OTEL_SDK_DISABLED", "").strip()
    if given.lower() not in {"", "true", "false"}:
        found.append(f'OTEL_SDK_DISABLED is "{given:.60}" and counts as false: give true or false')
    if environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() and not environ.get("OTEL_TRACES_SAMPLER", "").strip():
        found.append("OTEL_TRACES_SAMPLER_ARG has no effect without OTEL_TRACES_SAMPLER")
    return found
