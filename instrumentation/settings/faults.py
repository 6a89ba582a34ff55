"""Reports a fault in the settings as one sentence: the key, what was given, and what is allowed."""

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
    """Metadata of a field: the values that are allowed, as the second half of a fault's sentence."""

    text: str


def fault(allowed: str, *, key: str = "", problem: str = "") -> PydanticCustomError:
    """An error to raise in a validator.

    Args:
        allowed: What to give instead.
        key: The key at fault, relative to what is validated; empty if that is at fault itself.
        problem: What is wrong; by default "got ..." with the value.
    """
    return PydanticCustomError("sidelight", "{allowed}", {"allowed": allowed, "key": key, "problem": problem})


def raise_all(faults: Iterable[PydanticCustomError]) -> None:
    """Raise all faults that a validator has found, not only the first.

    Raises:
        ValidationError: There is at least one fault.
    """
    details = [InitErrorDetails(type=found, loc=(), input=None) for found in faults]
    if details:
        raise ValidationError.from_exception_data("settings", details)


def as_faults(error: ValidationError, root: type[BaseModel], source: str) -> list[Fault]:
    """Every fault that pydantic found in data for ``root``, in the order of the schema."""
    return [_as_fault(detail, root, source) for detail in error.errors()]


class _Shown(reprlib.Repr):
    """Formats a given value: short enough for a line, and quoted as in YAML and JSON."""

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
    """A given value for a sentence: short, quoted, on one line, and with passwords masked."""
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
    """Convert an error of pydantic; the location leads to the field, which knows what is allowed."""
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
    """The path in the file, without what pydantic adds: ``[key]`` if the key of a mapping is at fault, and tags of unions."""
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
    """Follow a location through the sections, and return the last section and the last field, or None."""
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
    """The section that a field holds, directly, in a list, or as an alternative to null."""
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return annotation
    return next(filter(None, map(section_of, getattr(annotation, "__args__", ()))), None)


def _allowed(location: tuple[int | str, ...], root: type[BaseModel]) -> str | None:
    _, field = _walk(location, root)
    return None if field is None else allowed_text(field)


def allowed_text(field: Any) -> str | None:
    """The values that a field allows, from the outermost of its nested types; None if none of them says it."""
    for holder in (field, *getattr(field.annotation, "__args__", ())):
        metadata = (*getattr(holder, "metadata", ()), *getattr(holder, "__metadata__", ()))
        texts = [item.text for item in metadata if isinstance(item, Allowed)]
        if texts:
            return str(texts[-1])
    return None
