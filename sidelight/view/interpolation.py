"""Puts the values of variables into PromQL, so that a value can never become anything but a value.

The rules for quoting are those of Grafana's data source for Prometheus: values of a variable with several values are
escaped for a regular expression, all others for a string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.view.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?::[^}]*)?\}|\[\[(\w+)(?::[^\]]*)?\]\]")

_SPECIAL = re.compile(r"[\\^$*{}\[\]+?.()|]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_WORD = re.compile(r"[\w:.]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is chosen of a variable.

    Attributes:
        values: The chosen values.
        everything: The regular expression for all values, if all are chosen.
        several: Whether the variable may have several values, so that it is used in a regular expression.
    """

    values: tuple[str, ...] = ()
    everything: str | None = None
    several: bool = True


def filled(expression: str, choices: Mapping[str, Choice], built_in: Mapping[str, str]) -> str:
    r"""A PromQL expression with the values of all variables.

    Args:
        expression: PromQL with Grafana's variables.
        choices: What is chosen of each variable.
        built_in: Grafana's own variables, such as ``__interval``.

    Raises:
        RequestError: A value cannot be used at the place of its variable.

    >>> filled('up{job=~"$job"}', {"job": Choice(values=('a"b', "c.d"))}, {})
    'up{job=~"(a\\"b|c\\\\.d)"}'
    """
    strings = [match.span() for match in _STRING.finditer(expression)]

    def put(match: re.Match[str]) -> str:
        name = next(filter(None, match.groups()))
        if name in built_in:
            return built_in[name]
        if name not in choices:
            return match[0]
        quote = next((expression[start] for start, end in strings if start <= match.start() < end), "")
        return _written(name, choices[name], quote)

    return VARIABLE.sub(put, expression)


def _written(name: str, choice: Choice, quote: str) -> str:
    if choice.everything is not None:
        return choice.everything
    if quote in {"", "`"}:
        if len(choice.values) != 1 or not _WORD.fullmatch(choice.values[0]):
            message = (
                f"{name}: got {', '.join(choice.values)[:60]!r}, but the dashboard uses {name} outside a quoted string;"
                " give one value of letters, digits, _, : and dots."
            )
            raise RequestError(message, code="view_value_unsafe")
        return choice.values[0]
    values = [_in_string(_in_pattern(value) if choice.several else value, quote) for value in choice.values]
    return values[0] if len(values) == 1 else f"({'|'.join(values)})"


def _in_pattern(value: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", value)


def _in_string(value: str, quote: str) -> str:
    escaped = value.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return escaped.replace("\n", "\\n").replace("\r", "\\r")
