"""Reads a file of settings: YAML with a mapping in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from instrumentation.errors import Fault, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE_BYTES = 1 << 20  # a larger file is not a settings file


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, because YAML would silently drop one value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def read_file(file: Path) -> object:
    """The mapping in a file.

    Raises:
        SettingsError: The file cannot be read, or holds no mapping.
    """
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
    if data is None:  # only comments: all defaults apply
        return {}
    if not isinstance(data, dict):
        raise _unreadable(file, f"holds {_kind(data)}", "give a mapping of sections, such as 'service: {name: shop}'")
    return data


def _unreadable(file: Path, problem: str, allowed: str) -> SettingsError:
    return SettingsError([Fault(source=str(file), path="", problem=problem, allowed=allowed)])


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
