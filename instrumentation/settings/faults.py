"""A settings fault as one sentence: which key, what was given, what is allowed."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from instrumentation.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

_PLAIN = re.compile(r"[\w-]{1,60}", re.ASCII)
_PASSWORD = re.compile(r"(?<=//)[^/@\s]*@")


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Metadata of a field: what the key may hold, as the second half of a fault's sentence."""

    text: str


def fault(allowed: str, *, key: str = "", problem: str = "") -> PydanticCustomError:
    """An error to raise in a validator.

    Args:
        allowed: What to give instead.
        key: The key below the place that is being validated, where the fault is deeper than that place.
        problem: What is wrong, where "got ..." does not say it.
    """
    return PydanticCustomError("sidelight", "{allowed}", {"allowed": allowed, "key": key, "problem": problem})


def raise_all(faults: Iterable[PydanticCustomError]) -> None:
    """Raise all faults that a validator has found, in place of the first.

    Raises:
        ValidationError: There are some.
    """
    details = [InitErrorDetails(type=found, loc=(), input=None) for found in faults]
    if details:
        raise ValidationError.from_exception_data("settings", details)


def as_faults(error: ValidationError, root: type[BaseModel], source: str) -> list[Fault]:
    """Every fault that pydantic found in data for ``root``, in the order of the schema."""
    return [_as_fault(detail, root, source) for detail in error.errors()]


class _Shown(reprlib.Repr):
    """What was given, short enough for a line and quoted as YAML and JSON quote."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60
        self.maxlist = self.maxdict = 4
        self.maxlevel = 3

    def repr_str(self, x: str, level: int) -> str:
        del level
        x = _PASSWORD.sub("***@", x)
        short = x if len(x) <= self.maxstring else x[: self.maxstring - 3] + "..."
        return '"' + short.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'


def shown(value: object) -> str:
    """What was given, for a sentence: short, quoted, on one line, without a password."""
    if isinstance(value, str):
        value = str(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return _Shown().repr(value)


_BY_TYPE = {
    "model_type": "give a mapping of keys",
    "model_attributes_type": "give a mapping of keys",
    "dict_type": "give a mapping of keys",
    "tuple_type": "give a list",
    "string_type": "give a text, in quotes if it looks like a number",
    "int_type": "give a whole number",
    "float_type": "give a number",
    "missing": "give a value",
}


def _as_fault(detail: Any, root: type[BaseModel], source: str) -> Fault:
    """One pydantic error as a fault: its location walked through the sections to find what the key allows."""
    location, context = detail["loc"], detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        return _unknown_key(location, root, source)
    path = ".".join([*_readable(location), *filter(None, [context.get("key")])])
    allowed = context.get("allowed") or _allowed(location, root) or _BY_TYPE.get(detail["type"]) or detail["msg"]
    given = "got nothing" if detail["type"] == "missing" else f"got {shown(_given(detail, context))}"
    return Fault(source=source, path=path, problem=context.get("problem") or given, allowed=allowed)


def _given(detail: Any, context: Mapping[str, Any]) -> object:
    value = detail["input"]
    return value.get(context["key"]) if isinstance(value, dict) and context.get("key") else value


def _readable(location: tuple[int | str, ...]) -> list[str]:
    """The path as it is in the file: pydantic adds ``[key]`` where a mapping's key is at fault, and a union's tag."""
    parts = [str(part) for part in location if not _is_added(part)]
    return [part if _PLAIN.fullmatch(part) else shown(part) for part in parts]


def _is_added(part: int | str) -> bool:
    return part in {"[key]", "[one]", "[several]"}


def _unknown_key(location: tuple[int | str, ...], root: type[BaseModel], source: str) -> Fault:
    section, _ = _walk(location[:-1], root)
    known = [field.alias or name for name, field in section.model_fields.items()] if section else []
    import difflib  # noqa: PLC0415 - only for faults

    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return Fault(
        source=source,
        path=".".join(_readable(location)),
        problem=f"is not a key of Sidelight{hint}",
        allowed=f"give one of {', '.join(known)}",
    )


def _walk(location: tuple[int | str, ...], root: type[BaseModel]) -> tuple[type[BaseModel] | None, Any]:
    """Follow a location through the sections; gives the last section and the last field, where they are found."""
    section: type[BaseModel] | None = root
    field = None
    is_key = False
    for part in location:
        if section is None or isinstance(part, int) or _is_added(part):
            continue
        if is_key:  # of a mapping to sections: any name
            is_key = False
            continue
        names = {known.alias or name: known for name, known in section.model_fields.items()}
        field = names.get(part)
        if field is None:
            return section, None
        section = section_of(field.annotation)
        is_key = section is not None and is_mapping(field.annotation)
    return section, field


def is_mapping(annotation: Any) -> bool:
    """Whether a field holds a mapping from names to sections."""
    return getattr(annotation, "__origin__", None) is dict


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, also as one of a list or beside null."""
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return annotation
    return next(filter(None, map(section_of, getattr(annotation, "__args__", ()))), None)


def _allowed(location: tuple[int | str, ...], root: type[BaseModel]) -> str | None:
    _, field = _walk(location, root)
    return None if field is None else allowed_text(field)


def allowed_text(field: Any) -> str | None:
    """What a field of a settings section may hold, where its type says so; the outermost of nested types counts."""
    for holder in (field, *getattr(field.annotation, "__args__", ())):
        metadata = (*getattr(holder, "metadata", ()), *getattr(holder, "__metadata__", ()))
        texts = [item.text for item in metadata if isinstance(item, Allowed)]
        if texts:
            return str(texts[-1])
    return None
