"""Reads a service's environment at start-up, and reports everything missing or wrong in one message."""

from __future__ import annotations

import os
from collections.abc import Mapping  # noqa: TC003 - for typing.get_type_hints
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from instrumentation.errors import Fault, SettingsError
from instrumentation.secret import Secret, file_variable, find_secret

_Model = TypeVar("_Model", bound=BaseModel)


def read_environment(model: type[_Model], environ: Mapping[str, str] | None = None) -> _Model:
    """Read variables, and files that variables name, into a pydantic model.

    The field ``database_url`` is read from ``DATABASE_URL``, or from the file that ``DATABASE_URL_FILE`` names. Use
    ``SecretStr`` for secrets, so that no log or error shows them; the messages of this function never show values.

    Args:
        model: The fields; those without a default are required.
        environ: The environment; by default that of the process.

    Raises:
        SettingsError: Contains all faults, one line each.

    >>> from pydantic import SecretStr, create_model
    >>> Environment = create_model("Environment", database_url=(SecretStr, ...), workers=(int, 4))
    >>> read_environment(Environment, {"DATABASE_URL": "postgresql://shop:hunter2@db/shop"})
    Environment(database_url=SecretStr('**********'), workers=4)
    >>> read_environment(Environment, {"WORKERS": "many"})
    Traceback (most recent call last):
    instrumentation.errors.SettingsError: DATABASE_URL: is not set; set it, or DATABASE_URL_FILE to a file that contains it.
    WORKERS: cannot be used; input should be a valid integer, unable to parse string as an integer.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, str] = {}
    faults: list[Fault] = []
    for name, field in model.model_fields.items():
        try:
            value = _value(name.upper(), environ)
        except SettingsError as error:
            faults += error.faults
        else:
            if value is not None:
                given[field.alias or name] = value
    found = {fault.source.removesuffix("_FILE").lower() for fault in faults}
    try:
        made = model.model_validate(given)
    except ValidationError as error:
        names = {field.alias or name: name for name, field in model.model_fields.items()}
        for detail in error.errors(include_input=False, include_url=False):
            name = names.get(str(detail["loc"][0]), "") if detail["loc"] else ""
            if name not in found:
                faults.append(_fault_of(name.upper() or "environment", detail["type"], detail["msg"]))
    if faults:
        raise SettingsError(faults)
    return made


def _value(variable: str, environ: Mapping[str, str]) -> str | None:
    if variable in environ and file_variable(variable) in environ:
        raise Secret(file_variable(variable)).fault(f"is set, and so is {variable}", "set one of the two")
    found = find_secret(variable, environ)
    if found is None:
        return None
    text = found.read("it")
    if found.file is None:
        if not text:
            raise found.fault("is set and empty", "give a value, or remove the variable")
        return environ[variable]
    if not text:
        raise found.fault(f"{found.file} is empty", "give a file that contains it")
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise found.fault(f"{found.file} is not UTF-8", "give a text file") from None


def _fault_of(variable: str, kind: str, said: str) -> Fault:
    if kind == "missing":
        allowed = f"set it, or {variable}_FILE to a file that contains it"
        return Fault(source=variable, path="", problem="is not set", allowed=allowed)
    return Fault(source=variable, path="", problem="cannot be used", allowed=said[:1].lower() + said[1:])
