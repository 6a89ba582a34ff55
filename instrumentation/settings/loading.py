"""Reads the settings file and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping  # noqa: TC003 - for typing.get_type_hints
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from instrumentation.errors import Fault, SettingsError
from instrumentation.settings.faults import as_faults, shown
from instrumentation.settings.model import Settings
from instrumentation.settings.opentelemetry import read_attributes, read_tracing
from instrumentation.settings.service import RESOURCE_KEYS, Service

DEFAULT_FILE = "sidelight.yaml"
FILE_VARIABLE = "SIDELIGHT_CONFIG"
SIMILAR_FILES = ("sidelight.yml", ".sidelight.yaml", "sidelight.yaml.yml", "sidelight.toml", "sidelight.json")
LARGEST_FILE_BYTES = 1 << 20  # a settings file of more than 1 MiB is some other file


def load_settings(path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file and the environment.

    Args:
        path: The file. By default the one named by SIDELIGHT_CONFIG, otherwise ``sidelight.yaml`` if it exists, otherwise
            only the defaults.
        environ: The environment; by default the process's own.

    Raises:
        SettingsError: With every fault of file and environment, one line each.
    """
    environ = os.environ if environ is None else environ
    file = _chosen_file(path, environ)
    data = {} if file is None else _read(file)
    source = DEFAULT_FILE if file is None else str(file)
    service, attributes, faults = _service_from(environ)
    try:
        settings = Settings.model_validate(data)
        if not faults:
            merged = Service.model_validate(settings.service.model_dump() | service)
            more = {"attributes": merged.attributes | attributes}
            tracing = read_tracing(settings.tracing, environ).tracing
            settings = settings.model_copy(update={"service": merged.model_copy(update=more), "tracing": tracing})
    except ValidationError as error:
        faults += as_faults(error, Settings, source)
    if faults:
        raise SettingsError(faults)
    return settings


def settings_source(path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Say which file `load_settings` reads with the same arguments, or why it reads none.

    Returns:
        The absolute path of the file, or a sentence such as ``defaults, because ...``.
    """
    environ = os.environ if environ is None else environ
    file = _chosen_file(path, environ)
    if file is not None:
        return str(file.absolute())
    expected = Path(DEFAULT_FILE).absolute()
    similar = next((found for name in SIMILAR_FILES if (found := expected.with_name(name)).exists()), None)
    hint = f" ({similar} has another name and is not read)" if similar else ""
    return f"defaults, because {expected} does not exist{hint} and {FILE_VARIABLE} is not set"


def parse_settings(data: object, source: str = "settings") -> Settings:
    """Validate settings that are already in memory, such as a nested dict.

    Raises:
        SettingsError: With every fault, one line each.
    """
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(as_faults(error, Settings, source)) from None


def _chosen_file(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path or environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.exists() else None


class _Loader(yaml.SafeLoader):
    """YAML without the silent loss of a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def _read(file: Path) -> object:
    try:
        with file.open("rb") as stream:
            raw = stream.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(
            file, f"cannot be read ({error.strerror})", "give a file that exists and may be read"
        ) from None
    if len(raw) > LARGEST_FILE_BYTES:
        raise _unreadable(file, "is larger than 1 MiB", "give a settings file, which is a few KiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(file, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    if not text.strip():
        raise _unreadable(file, "is empty", "give settings, or {} for the defaults, or remove the file")
    return _mapping(file, _parse(file, text))


def _parse(file: Path, text: str) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _unreadable(file, f"is not YAML{place} ({error.problem})", "correct the line") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _unreadable(file, f"is not YAML ({str(error).splitlines()[0]})", "give YAML text") from None
    except RecursionError:
        raise _unreadable(file, "is nested too deeply", "give the keys of the reference") from None


def _mapping(file: Path, data: object) -> object:
    if data is None:  # only comments: every default, on purpose
        return {}
    if not isinstance(data, dict):
        raise _unreadable(file, f"holds {_kind(data)}", "give a mapping of sections, such as 'service: {name: shop}'")
    return data


def _unreadable(file: Path, problem: str, allowed: str) -> SettingsError:
    return SettingsError([Fault(source=str(file), path="", problem=problem, allowed=allowed)])


def _service_from(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], list[Fault]]:
    """Name, version and environment of the service, its other attributes, and what is wrong with them."""
    variable = "OTEL_RESOURCE_ATTRIBUTES"
    attributes, strange = read_attributes(environ)
    faults = [_environment_fault(variable, pair, "give key=value pairs with commas between them") for pair in strange]
    service: dict[str, str] = {}
    for key, name in RESOURCE_KEYS.items():
        if key in attributes:
            service.setdefault(name, attributes.pop(key))
    if environ.get("OTEL_SERVICE_NAME"):
        service["name"] = environ["OTEL_SERVICE_NAME"]
    for name, value in service.items():
        if not 1 <= len(value) <= 200:  # noqa: PLR2004 - the bounds of Text
            faults.append(_environment_fault(variable, f"{name}={value}", "give a value of 1 to 200 characters"))
    return service, attributes, faults


def _environment_fault(variable: str, given: str, allowed: str) -> Fault:
    return Fault(source=variable, path="", problem=f"got {shown(given)}", allowed=allowed)


def _kind(value: object) -> str:
    kinds = {
        list: "a list",
        dict: "a mapping",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), type(value).__name__)
