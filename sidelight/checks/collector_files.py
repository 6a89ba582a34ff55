"""Checks of OpenTelemetry Collector configurations, beyond those of ``otelcol validate``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from collector.manifest import COMPONENTS
from instrumentation.redaction.sensitive_keys import SECRET_KEY
from sidelight.checks.finding import Check, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.checks.documents import Document
    from sidelight.checks.finding import Finding
    from sidelight.checks.known_series import KnownSeries
    from sidelight.checks.reading import Place

    Path = tuple[str, ...]


def _check(name: str, finds: str, severity: Severity = Severity.ERROR) -> Check:
    return Check(name=f"collector/{name}", severity=severity, finds=finds)


COMPONENT = _check(
    "component",
    "a component that the collector built by `make tools` does not have",
    Severity.WARNING,
)
REFERENCE = _check(
    "reference", "a pipeline, queue or authenticator that refers to a component that is not defined or not started"
)
UNUSED = _check("unused", "a component that is defined but not used", Severity.WARNING)
PORT = _check("port", "two listeners on one port")
SECRET = _check("secret", "a secret in plain text")
MEMORY = _check("memory-limiter", "a pipeline whose first processor is not a memory_limiter", Severity.WARNING)
TWICE = _check("metrics-twice", "metrics that are sent in two ways and so stored twice")
QUEUE = _check("queue", "an exporter whose queue is lost when the collector restarts", Severity.WARNING)
OPEN = _check("open", "a receiver that listens on all addresses", Severity.WARNING)
DOLLAR = _check(
    "dollar", "a single $ before a name or number, which the collector treats as a variable", Severity.WARNING
)

CHECKS = (COMPONENT, REFERENCE, UNUSED, PORT, SECRET, MEMORY, TWICE, QUEUE, OPEN, DOLLAR)

_SECTIONS = ("receivers", "processors", "exporters", "connectors", "extensions")
_DEFAULT = re.compile(r"\$\{(?:env:)?\w+:-(?P<value>[^}]*)\}")
_REFERENCE = re.compile(r"\$\{(?:env|file|yaml|http|https):[^}]+\}|\$\{\w+\}")
_BARE_DOLLAR = re.compile(r"(?<!\$)(?:\$\$)*\$\w")
_PORT = re.compile(r":(?P<port>\d+)$")
_USER_INFO = re.compile(r"://[^/\s:@$]+:[^/\s@$]+@")
_METRICS_OUT = {
    "otlp",
    "otlp_grpc",
    "otlp_http",
    "otlphttp",
    "prometheus",
    "prometheus_remote_write",
    "prometheusremotewrite",
}
_QUEUED = {"otlp", "otlp_grpc", "otlp_http", "otlphttp"}
_SECRETS = re.compile(SECRET_KEY)
_HARMLESS_KEYS = ("routing_key", "_file", "_key_patterns", "_keys", "token_url", "sampling_key")


def find(document: Document, known: KnownSeries) -> Iterator[Finding]:
    """All findings that no comment disables."""
    del known
    for of in _EACH:
        document.deadline.check()
        yield from filter(document.suppressions.allow, of(document))


def _components(document: Document) -> Iterator[tuple[Path, Any]]:
    for section in _SECTIONS:
        found = document.data.get(section)
        for name, config in found.items() if isinstance(found, dict) else ():
            yield (section, name), config


def _type(name: str) -> str:
    return name.partition("/")[0]


def _pipelines(document: Document) -> Iterator[tuple[Path, dict[str, Any]]]:
    found = document.data["service"].get("pipelines")
    for name, pipeline in found.items() if isinstance(found, dict) else ():
        if isinstance(pipeline, dict):
            yield ("service", "pipelines", name), pipeline


def _leaves(data: object, place: Place = ()) -> Iterator[tuple[Place, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _leaves(value, (*place, key))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _leaves(item, (*place, index))
    elif isinstance(data, str | int) and not isinstance(data, bool):
        yield place, str(data)


def _list(data: object) -> list[str]:
    return [str(item) for item in data] if isinstance(data, list) else []


def _told(document: Document, check: Check, place: Place, message: str, cure: str) -> Finding:
    return document.finding(check, place, ".".join(map(str, place)), message, cure)


def _unknown(document: Document) -> Iterator[Finding]:
    for (section, name), _ in _components(document):
        known = COMPONENTS.get(section, {})
        if _type(name) not in known:
            yield _told(
                document, COMPONENT, (section, name), f"the collector of `make tools` has no {section.removesuffix('s')} {_type(name)}",
                f"use one of {', '.join(sorted(known)) or 'none'}, or a collector that has it",
            )  # fmt: skip


def _references(document: Document) -> Iterator[Finding]:
    defined = {path for path, _ in _components(document)}
    started = _list(document.data["service"].get("extensions"))
    for index, name in enumerate(started):
        if ("extensions", name) not in defined:
            yield _told(
                document,
                REFERENCE,
                ("service", "extensions", index),
                f"starts {name}, which is not defined",
                "define it",
            )
    for place, pipeline in _pipelines(document):
        for section in ("receivers", "processors", "exporters"):
            for index, name in enumerate(_list(pipeline.get(section))):
                if not {(section, name), ("connectors", name)} & defined:
                    yield _told(
                        document, REFERENCE, (*place, section, index), f"refers to {name}, which is not defined",
                        f"define it under {section}",
                    )  # fmt: skip
    for leaf, value in _leaves(document.data):
        if leaf[-1] in {"storage", "authenticator"} and leaf[0] != "extensions":
            yield from _extension(document, leaf, value, defined, started)


def _extension(
    document: Document, place: Place, name: str, defined: set[Path], started: list[str]
) -> Iterator[Finding]:
    if ("extensions", name) not in defined:
        problem = f"refers to {name}, which is not a defined extension"
        yield _told(document, REFERENCE, place, problem, "define it under extensions")
    elif name not in started:
        problem = f"refers to {name}, which is not started"
        yield _told(document, REFERENCE, place, problem, "add it to service.extensions")


def _unused(document: Document) -> Iterator[Finding]:
    used = {("extensions", name) for name in _list(document.data["service"].get("extensions"))}
    for _, pipeline in _pipelines(document):
        for section in ("receivers", "processors", "exporters"):
            for name in _list(pipeline.get(section)):
                used |= {(section, name), ("connectors", name)}
    for component, _ in _components(document):
        if component not in used:
            where = "service.extensions" if component[0] == "extensions" else "a pipeline"
            yield _told(document, UNUSED, component, "is not used", f"add it to {where}, or remove it")


def _listeners(document: Document) -> Iterator[tuple[Place, str]]:
    """Position and address of every listener, with the defaults of variables inserted."""
    for place, value in _leaves(document.data):
        if place[-1] == "endpoint" and place[0] in {"receivers", "extensions"}:
            yield place, _DEFAULT.sub(lambda found: found["value"], value)
    readers: Any = document.data["service"]
    for key in ("telemetry", "metrics", "readers"):
        readers = readers.get(key) if isinstance(readers, dict) else None
    for index, reader in enumerate(readers if isinstance(readers, list) else ()):
        for place, value in _leaves(reader, ("service", "telemetry", "metrics", "readers", index)):
            if place[-1] == "port":
                yield place, ":" + _DEFAULT.sub(lambda found: found["value"], value)


def _ports(document: Document) -> Iterator[Finding]:
    seen: dict[str, Place] = {}
    for place, address in _listeners(document):
        if found := _PORT.search(address):
            port = found["port"]
            if port in seen:
                other = ".".join(map(str, seen[port]))
                yield _told(document, PORT, place, f"listens on port {port}, like {other}", "use different ports")
            seen.setdefault(port, place)


def _open(document: Document) -> Iterator[Finding]:
    for place, address in _listeners(document):
        if place[0] == "receivers" and (address.startswith(("0.0.0.0", "[::]", ":"))):  # noqa: S104
            yield _told(
                document, OPEN, place, f"listens on {address}, so anyone who can reach the pod can send",
                "listen on 127.0.0.1 in a sidecar, and on the pod's address in a gateway",
            )  # fmt: skip


def _secrets(document: Document) -> Iterator[Finding]:
    for place, value in _leaves({key: document.data.get(key) for key in (*_SECTIONS, "service")}):
        key = next((part for part in reversed(place) if isinstance(part, str)), "")
        literal = _REFERENCE.sub("", _DEFAULT.sub("", value)).strip()
        is_secret = _SECRETS.search(key) and not key.endswith(_HARMLESS_KEYS) and literal and not literal.isdecimal()
        if (is_secret and value not in {"true", "false"}) or _USER_INFO.search(value):
            yield _told(document, SECRET, place, "contains a secret in plain text", "write ${env:NAME} or ${file:PATH}")


def _memory_limiters(document: Document) -> Iterator[Finding]:
    for place, pipeline in _pipelines(document):
        processors = _list(pipeline.get("processors"))
        if not processors or _type(processors[0]) != "memory_limiter":
            problem = f"starts with {processors[0]}" if processors else "has no processors"
            cure = "put memory_limiter first, so that data that does not fit into memory is refused"
            yield _told(document, MEMORY, (*place, "processors"), problem, cure)


def _metrics_twice(document: Document) -> Iterator[Finding]:
    ways: dict[str, Place] = {}
    for place, pipeline in _pipelines(document):
        if _type(place[2]) == "metrics":
            for index, name in enumerate(_list(pipeline.get("exporters"))):
                if _type(name) in _METRICS_OUT:
                    ways.setdefault(name, (*place, "exporters", index))
    names = list(ways)
    for name in names[1:]:
        yield _told(document, TWICE, ways[name], f"sends metrics with {name}, and {names[0]} does too", "keep only one")


def _queues(document: Document) -> Iterator[Finding]:
    for path, config in _components(document):
        if path[0] == "exporters" and _type(path[1]) in _QUEUED:
            queue = config.get("sending_queue") if isinstance(config, dict) else None
            if not (isinstance(queue, dict) and queue.get("storage")):
                yield _told(
                    document, QUEUE, (*path, "sending_queue", "storage"), "keeps its queue in memory",
                    "set it to a file_storage extension",
                )  # fmt: skip


def _dollars(document: Document) -> Iterator[Finding]:
    for place, value in _leaves(document.data):
        if _BARE_DOLLAR.search(value):
            yield _told(
                document, DOLLAR, place, "has a single $", "write $$ for a dollar sign, or ${env:NAME} for a variable"
            )


_EACH: tuple[Callable[[Document], Iterator[Finding]], ...] = (
    _unknown,
    _references,
    _unused,
    _ports,
    _open,
    _secrets,
    _memory_limiters,
    _metrics_twice,
    _queues,
    _dollars,
)
