"""OpenTelemetry's environment variables: what they set here, and what is said of those that set nothing.

Empty is as good as not set, and a value that cannot be used is left out and said, never a reason not to start
(OpenTelemetry specification, "Environment Variable Specification").
"""

from __future__ import annotations

import logging
import re
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.settings.tracing import Tracing

_log = logging.getLogger("instrumentation")

_DEFAULT_ENDPOINTS = {"grpc": "http://localhost:4317", "http/protobuf": "http://localhost:4318/v1/traces"}
_MILLISECONDS_FROM = 1000.0  # the specification has milliseconds, OpenTelemetry for Python seconds
_ENDPOINT = {"grpc": r"(https?://)?[^\s/]+(/\S*)?", "http/protobuf": r"https?://[^\s/]+(/\S*)?"}


class Read(NamedTuple):
    """What the environment says of traces.

    Attributes:
        tracing: The settings, with what the environment sets.
        set: The keys of it that the environment sets.
        problems: A sentence for each variable that cannot be used.
    """

    tracing: Tracing
    set: frozenset[str]
    problems: tuple[str, ...]


def read_tracing(tracing: Tracing, environ: Mapping[str, str]) -> Read:
    """Take over what the environment sets; it wins over the file.

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
        reader.say("OTEL_TRACES_EXPORTER", exporter, "give otlp or none")
    if found.get("endpoint") and tracing.endpoint is None and find_spec("opentelemetry.sdk") is None:
        del found["endpoint"]
        reader.problems.append(f"{reader.where} names a collector, and no traces are sent: install sidelight[tracing]")
    return Read(tracing.model_copy(update=found), frozenset(found), tuple(reader.problems))


def read_attributes(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The resource attributes of the environment, and what in the variable is no attribute."""
    found: dict[str, str] = {}
    strange: list[str] = []
    for pair in filter(str.strip, environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            found.setdefault(unquote(key.strip()), unquote(value.strip()))
        else:
            strange.append(pair)
    return found, strange


class _Reader:
    """Reads variables, and remembers what cannot be used."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []
        self.where = "OTEL_TRACES_EXPORTER"

    def given(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def read(self, names: tuple[str, ...], parse: Callable[[str], Any], allowed: str) -> Any:
        """The first of several variables that is set, parsed; None where there is none, or it cannot be used."""
        name = next(filter(self.given, names), "")
        if not name:
            return None
        try:
            return parse(self.given(name))
        except ValueError:
            return self.say(name, self.given(name), allowed)

    def endpoint(self, protocol: str) -> str | None:
        """Where spans go: the variable for traces as it is, the one for every signal with the path of traces."""
        own, common = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
        name = own if self.given(own) else common
        text = self.given(name)
        if not text:
            return None
        self.where = name
        if not re.fullmatch(_ENDPOINT[protocol], text):
            self.say(name, text, "give a URL, such as http://localhost:4318")
            return None
        if protocol == "grpc":
            return text
        if name == common:
            return f"{text.rstrip('/')}/v1/traces"
        return text if urlsplit(text).path else f"{text}/"

    def say(self, name: str, given: str, allowed: str) -> None:
        self.problems.append(f'{name} is "{given:.60}" and is left out: {allowed}')


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


# --- Which variables there are --------------------------------------------------------------------------------------------


class Variable(NamedTuple):
    """An environment variable of OpenTelemetry.

    Attributes:
        name: Its name; with ``*`` at its end every name that begins so.
        does: What it does here, or why it does nothing, as the end of a sentence.
        is_heeded: Whether it does something.
        agreeing: Values of one that does nothing with which nothing else was asked for.
    """

    name: str
    does: str
    is_heeded: bool = True
    agreeing: frozenset[str] = frozenset()


_METRICS = "metrics are read at `metrics.path`, or pushed by the sidecar: `collector.metrics`"
_LOGS = "logs are lines on stdout"
_SDK = "read by OpenTelemetry's SDK"
_NOTHING_ELSE = frozenset({"none"})

VARIABLES = (
    Variable("OTEL_SDK_DISABLED", "`true` turns Sidelight off, as `enabled: false` does"),
    Variable("OTEL_SERVICE_NAME", "`service.name`"),
    Variable(
        "OTEL_RESOURCE_ATTRIBUTES",
        "`service.name`, `service.version`, `service.environment` (`deployment.environment.name`), and all others as "
        "`service.attributes`: labels of `target_info`, attributes of spans, keys of log lines",
    ),
    Variable("OTEL_TRACES_EXPORTER", "`otlp` sends traces, to localhost where no endpoint is given; `none` sends none"),
    Variable("OTEL_EXPORTER_OTLP_ENDPOINT", "`tracing.endpoint`; `/v1/traces` is added for http/protobuf"),
    Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "`tracing.endpoint`, as it is"),
    Variable("OTEL_EXPORTER_OTLP_PROTOCOL", "`tracing.protocol`: `http/protobuf` or `grpc`"),
    Variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "as `OTEL_EXPORTER_OTLP_PROTOCOL`, and wins over it"),
    Variable("OTEL_EXPORTER_OTLP_TIMEOUT", "`tracing.timeout_seconds`; from 1000 on it is milliseconds"),
    Variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "as `OTEL_EXPORTER_OTLP_TIMEOUT`, and wins over it"),
    *(
        Variable(f"OTEL_EXPORTER_OTLP_{signal}{part}", "read by OpenTelemetry's exporter")
        for part in ("HEADERS", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "INSECURE")
        for signal in ("", "TRACES_")
    ),
    Variable("OTEL_TRACES_SAMPLER", "which traces are kept, in place of `tracing.sample_ratio`"),
    Variable("OTEL_TRACES_SAMPLER_ARG", "the argument of `OTEL_TRACES_SAMPLER`"),
    Variable("OTEL_PROPAGATORS", "how a trace is passed on; by default `tracecontext,baggage`"),
    Variable("OTEL_BSP_MAX_QUEUE_SIZE", "`tracing.queue_size`"),
    Variable("OTEL_BSP_SCHEDULE_DELAY", "milliseconds that a span waits for others; by default 1000"),
    Variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "spans that are sent at once; by default 512"),
    Variable("OTEL_BSP_EXPORT_TIMEOUT", "use `OTEL_EXPORTER_OTLP_TIMEOUT`", is_heeded=False),
    Variable("OTEL_ATTRIBUTE_*", _SDK),
    Variable("OTEL_SPAN_*", _SDK),
    Variable("OTEL_EVENT_*", _SDK),
    Variable("OTEL_LINK_*", _SDK),
    Variable("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", f"{_SDK}, for spans alone"),
    Variable("OTEL_SEMCONV_STABILITY_OPT_IN", "which names the attributes of spans have; by default `http`"),
    Variable("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "no spans for these URLs, beside the excluded routes"),
    Variable("OTEL_PYTHON_EXCLUDED_URLS", "as `OTEL_PYTHON_FASTAPI_EXCLUDED_URLS`, where that is not set"),
    Variable("OTEL_PYTHON_*", "read by OpenTelemetry's own parts, where they run"),
    Variable("OTEL_INSTRUMENTATION_*", "read by OpenTelemetry's instrumentation; what it adds to spans is masked"),
    Variable("OTEL_METRICS_EXPORTER", _METRICS, is_heeded=False, agreeing=frozenset({"none", "prometheus"})),
    Variable(
        "OTEL_METRICS_EXEMPLAR_FILTER", "set `metrics.exemplars`", is_heeded=False, agreeing=frozenset({"trace_based"})
    ),
    Variable("OTEL_METRIC_*", _METRICS, is_heeded=False),
    Variable("OTEL_EXPORTER_OTLP_METRICS_*", _METRICS, is_heeded=False),
    Variable("OTEL_EXPORTER_PROMETHEUS_*", "set `metrics.host` and `metrics.port`", is_heeded=False),
    Variable("OTEL_LOGS_EXPORTER", _LOGS, is_heeded=False, agreeing=frozenset({"none", "console"})),
    Variable("OTEL_EXPORTER_OTLP_LOGS_*", _LOGS, is_heeded=False),
    Variable("OTEL_BLRP_*", _LOGS, is_heeded=False),
    Variable("OTEL_LOGRECORD_*", _LOGS, is_heeded=False),
    Variable("OTEL_LOG_LEVEL", "set `logging.level`", is_heeded=False),
    Variable("OTEL_EXPORTER_ZIPKIN_*", "traces are sent over OTLP", is_heeded=False),
    Variable("OTEL_EXPORTER_JAEGER_*", "traces are sent over OTLP", is_heeded=False),
    Variable("OTEL_CONFIG_FILE", "the settings file is `sidelight.yaml`", is_heeded=False),
    Variable("OTEL_*", "Sidelight does not know it", is_heeded=False),
)
"""Every variable of OpenTelemetry; of several that fit a name the first counts."""


def unheeded(environ: Mapping[str, str]) -> list[str]:
    """The variables that are set and do nothing here, each with the reason."""
    return [
        f"{name} ({row.does})"
        for name in sorted(name for name, value in environ.items() if name.startswith("OTEL_") and value.strip())
        if not (row := _row(name)).is_heeded and environ[name].strip().lower() not in row.agreeing
    ]


def _row(name: str) -> Variable:
    return next(
        row for row in VARIABLES if row.name == name or (row.name[-1] == "*" and name.startswith(row.name[:-1]))
    )


def problems(tracing: Tracing, environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable whose value cannot be used."""
    found = list(read_tracing(tracing, environ).problems)
    given = environ.get("OTEL_SDK_DISABLED", "").strip()
    if given.lower() not in {"", "true", "false"}:
        found.append(f'OTEL_SDK_DISABLED is "{given:.60}" and counts as false: give true or false')
    if environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() and not environ.get("OTEL_TRACES_SAMPLER", "").strip():
        found.append("OTEL_TRACES_SAMPLER_ARG is set without OTEL_TRACES_SAMPLER and does nothing")
    return found


@cache
def say_once(problems: tuple[str, ...], unheeded: tuple[str, ...]) -> None:
    """Say once in a process what the environment asks for in vain."""
    for problem in problems:
        _log.warning("%s", problem)
    if unheeded:
        _log.info("set in the environment and not heeded: %s", "; ".join(unheeded))
