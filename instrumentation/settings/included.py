"""Reads the files with signals that a settings file includes, and finds the file and line of each signal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from instrumentation.errors import Fault, SettingsError
from instrumentation.settings.faults import shown
from instrumentation.settings.files import read_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SIGNALS = "signals"


class Place(NamedTuple):
    """The place where a signal is declared: the file, and the index in its list of signals."""

    file: Path
    number: int


def with_included(data: Any, file: Path) -> tuple[Any, tuple[Place, ...], list[Fault]]:
    """Settings with the signals of the files that they include.

    Args:
        data: The content of the settings file.
        file: The settings file; the paths in it are relative to its folder.

    Returns:
        The settings, the place of each signal, and the faults in the included files.
    """
    own, included = data.get(_SIGNALS, []), data.get("include", [])
    if not isinstance(own, list) or not isinstance(included, list):  # validation reports it
        return data, (), []
    signals, faults = list(own), list[Fault]()
    places = [Place(file, index) for index in range(len(own))]
    for name in filter(_is_text, included):
        path = file.parent / name
        try:
            found = _signals(path)
        except SettingsError as error:
            faults += error.faults
            continue
        signals += found
        places += [Place(path, index) for index in range(len(found))]
    return {**data, _SIGNALS: signals}, tuple(places), faults


def placed(fault: Fault, places: Sequence[Place]) -> Fault:
    """Add file, line and index of the signal to a fault about a signal; other faults are returned unchanged."""
    section, _, rest = fault.path.partition(".")
    index, _, key = rest.partition(".")
    if section != _SIGNALS or not index.isdigit() or int(index) >= len(places):
        return fault
    file, own = places[int(index)]
    keys = [_SIGNALS, str(own), *filter(None, key.split("."))]
    return replace(fault, source=f"{file}:{_line(file, keys)}", path=".".join(keys))


def _is_text(name: object) -> bool:
    return isinstance(name, str) and name != ""


def _signals(path: Path) -> list[Any]:
    data: Any = read_file(path)
    for key in data:
        if key != _SIGNALS:
            problem = f"got the key {shown(key)}"
            raise SettingsError(
                [Fault(source=str(path), path="", problem=problem, allowed="give only signals in an included file")]
            )
    found = data.get(_SIGNALS, [])
    if not isinstance(found, list):
        raise SettingsError(
            [Fault(source=str(path), path=_SIGNALS, problem=f"got {shown(found)}", allowed="give a list of signals")]
        )
    return found


def _line(file: Path, keys: Sequence[str]) -> int:
    """The line of a key, or of the deepest key above it that the file has; the first is 1."""
    node: Any = yaml.compose(file.read_text("utf-8-sig"), Loader=yaml.SafeLoader)
    line = 1
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == key), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        else:
            return line
    return line
