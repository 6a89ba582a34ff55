"""Reads the settings file and the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping  # noqa: TC003 - for typing.get_type_hints
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError, create_model

from instrumentation.errors import Fault, SettingsError
from instrumentation.settings.faults import as_faults, shown
from instrumentation.settings.model import Settings
from instrumentation.settings.opentelemetry import read_attributes, read_tracing
from instrumentation.settings.service import RESOURCE_KEYS, Service

DEFAULT_FILE = "sidelight.yaml"
FILE_VARIABLE = "SIDELIGHT_CONFIG"
SIMILAR_FILES = ("sidelight.yml", ".sidelight.yaml", "sidelight.yaml.yml", "sidelight.toml", "sidelight.json")


def load_settings(path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file and the environment.

    Args:
        path: The file. By default the file named by SIDELIGHT_CONFIG, otherwise ``sidelight.yaml`` if it exists, otherwise
            no file.
        environ: The environment; by default the process's own.

    Raises:
        SettingsError: With every fault of file and environment, one line each.
    """
    environ = os.environ if environ is None else environ
    file = _chosen_file(path, environ)
    source = DEFAULT_FILE if file is None else str(file)
    service, attributes, faults = _service_from(environ)
    data: dict[str, Any] = {}
    place: Callable[[Fault], Fault] = _unplaced
    if file is not None:
        from instrumentation.settings.files import read_file  # noqa: PLC0415 - it loads PyYAML
        from instrumentation.settings.included import placed, with_included  # noqa: PLC0415 - as above

        data, places, found = with_included(read_file(file), file)
        faults += found
        place = partial(placed, places=places)
    try:
        settings = validated(data)
        if not faults:
            given = settings.service
            merged = Service.model_validate(given.model_dump() | service) if service else given
            more = {"attributes": merged.attributes | attributes}
            tracing = read_tracing(settings.tracing, environ).tracing
            settings = settings.model_copy(update={"service": merged.model_copy(update=more), "tracing": tracing})
    except ValidationError as error:
        faults += [place(found) for found in as_faults(error, Settings, source)]
    if faults:
        raise SettingsError(faults)
    return settings


def settings_source(path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Which file `load_settings` reads with the same arguments, or why it reads none.

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
        settings = validated(data)
    except ValidationError as error:
        raise SettingsError(as_faults(error, Settings, source)) from None
    if settings.include:
        allowed = "give the signals themselves; only a settings file can include others"
        raise SettingsError(
            [Fault(source=source, path="include", problem=f"got {shown(settings.include)}", allowed=allowed)]
        )
    return settings


def _unplaced(fault: Fault) -> Fault:
    """Return a fault unchanged, because there is no file."""
    return fault


def validated(data: object) -> Settings:
    """Validate data; only the sections that it contains are validated.

    pydantic builds the validator of a section on first use. Building all of them takes longer than importing the rest of the
    package, and most services set only a few keys.

    Raises:
        ValidationError: With every fault.
    """
    if not isinstance(data, dict):
        return Settings.model_validate(data)
    fields = Settings.model_fields
    absent = {name: field.get_default() for name, field in fields.items() if (field.alias or name) not in data}
    if len(absent) == len(fields) and not data:
        return Settings.model_construct()
    as_they_are: dict[str, Any] = {name: (Any, value) for name, value in absent.items()}
    given = create_model("Settings", __base__=Settings, **as_they_are)
    found = given.model_validate(data)
    return Settings.model_construct(
        _fields_set=found.model_fields_set, **{name: getattr(found, name) for name in fields}
    )


def _chosen_file(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path or environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.exists() else None


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
