"""Imports OpenSLO documents (openslo/v1) as the section ``slo`` of sidelight.yaml.

Source: the OpenSLO specification, https://github.com/OpenSLO/OpenSLO.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from instrumentation.errors import SidelightError
from instrumentation.settings import parse_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

VERSION = "openslo/v1"
_LARGEST_FILE_BYTES = 1 << 20
_DAYS = re.compile(r"(\d+)([dw])")


class OpenSloError(SidelightError):
    """A document that cannot be imported."""


def imported(paths: Iterable[Path]) -> str:
    """The section ``slo`` with the objectives in the files, as YAML. Each service becomes an override by its ``job``.

    Args:
        paths: YAML files with one or more documents; documents of other kinds than SLO are skipped.

    Raises:
        OpenSloError: A file cannot be read, a document cannot be expressed in ``slo``, or two documents conflict.
        SettingsError: The resulting section is not valid.
    """
    overrides: dict[str, dict[str, Any]] = {}
    periods: dict[str, str] = {}
    for where, spec in _specs(paths):
        periods.setdefault(_period(where, spec), where)
        own = overrides.setdefault(_text(where, spec, "service"), {})
        for kind, value in _objectives(where, spec):
            if kind in own:
                raise _fault(
                    where,
                    "spec.objectives",
                    value,
                    f"{spec['service']} already has an objective for {kind}; give only one",
                )
            own[kind] = value
    if len(periods) != 1:
        raise _fault(
            " and ".join(periods.values()) or "the files",
            "spec.timeWindow",
            ", ".join(periods),
            "use the same period for every SLO" if periods else f"give at least one document of kind SLO and {VERSION}",
        )
    section = {
        "overrides": [{"match": {"job": service}, **own} for service, own in overrides.items()],
        "period": next(iter(periods)),
    }
    parse_settings({"slo": section})
    return yaml.safe_dump({"slo": section}, sort_keys=False)


def _specs(paths: Iterable[Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in paths:
        for document in _documents(path):
            if not isinstance(document, dict) or document.get("kind") != "SLO":
                continue
            metadata = document.get("metadata")
            where = f"{path}: {metadata.get('name') if isinstance(metadata, dict) else 'an SLO without a name'}"
            if document.get("apiVersion") != VERSION:
                raise _fault(where, "apiVersion", document.get("apiVersion"), f"give {VERSION}")
            spec = document.get("spec")
            if not isinstance(spec, dict):
                raise _fault(where, "spec", spec, "give a mapping")
            if (method := spec.get("budgetingMethod", "Occurrences")) != "Occurrences":
                raise _fault(where, "spec.budgetingMethod", method, "give Occurrences, because requests are counted")
            yield where, spec


def _documents(path: Path) -> list[Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE_BYTES + 1)
        if len(content) > _LARGEST_FILE_BYTES:
            raise _fault(str(path), "the file", "more than 1 MiB", "give a file of OpenSLO documents")
        return list(yaml.safe_load_all(content))
    except (OSError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else "invalid YAML"
        raise _fault(str(path), "the file", reason, "give a file of OpenSLO documents") from error


def _period(where: str, spec: Mapping[str, Any]) -> str:
    windows = spec.get("timeWindow")
    window = windows[0] if isinstance(windows, list) and len(windows) == 1 else None
    if not isinstance(window, dict) or window.get("isRolling") is not True:
        raise _fault(where, "spec.timeWindow", windows, "give one rolling window; calendar windows are not supported")
    days = _DAYS.fullmatch(str(window.get("duration")))
    if days is None:
        raise _fault(
            where, "spec.timeWindow[0].duration", window.get("duration"), "give days or weeks, such as 28d or 4w"
        )
    return f"{int(days[1]) * (7 if days[2] == 'w' else 1)}d"


def _objectives(where: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    given = spec.get("objectives")
    if not isinstance(given, list) or not given:
        raise _fault(where, "spec.objectives", given, "give at least one")
    for number, objective in enumerate(given):
        key = f"spec.objectives[{number}]"
        if not isinstance(objective, dict):
            raise _fault(where, key, objective, "give a mapping")
        target = _target(where, key, objective)
        if "value" not in objective:
            yield "availability", target
        elif objective.get("op") in ("lt", "lte"):
            yield "latency", {"ratio": target, "seconds": _seconds(where, f"{key}.value", objective["value"])}
        else:
            raise _fault(
                where, f"{key}.op", objective.get("op"), "give lt or lte, because a value is an upper limit in seconds"
            )


def _target(where: str, key: str, objective: Mapping[str, Any]) -> float:
    percent = "targetPercent" in objective
    name = "targetPercent" if percent else "target"
    target = objective.get(name)
    whole = 100 if percent else 1
    if isinstance(target, bool) or not isinstance(target, (int, float)) or not 0 < target < whole:
        raise _fault(where, f"{key}.{name}", target, f"give a number between 0 and {whole}")
    return round(target / whole, 12)


def _seconds(where: str, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise _fault(where, key, value, "give seconds as a number above 0")
    return float(value)


def _text(where: str, spec: Mapping[str, Any], key: str) -> str:
    text = spec.get(key)
    if not isinstance(text, str) or not text:
        raise _fault(where, f"spec.{key}", text, "give the service's name, which becomes its job")
    return text


def _fault(where: str, key: str, given: object, allowed: str) -> OpenSloError:
    shown = repr(given)[:80]
    return OpenSloError(
        f"{where}: {key}: got {shown}; {allowed}.",
        code="openslo_not_carried_over",
        details={"where": where, "key": key},
    )
