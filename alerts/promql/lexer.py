"""Splits a PromQL expression into tokens."""

from __future__ import annotations

import re
from typing import NamedTuple

from alerts.promql.tree import PromqlError

_VARIABLE = r"\$\{\w+(?:\.[\w.]+)?(?::[\w.:,]+)?\}|\$\w+"
_BRACKETED = r"\[\[\w+(?::\w+)?\]\]"
_COMMON = r"""
    (?P<space>[ \t\r\n]+|\#[^\r\n]*)
  | (?P<number>0[xX]_?[0-9a-fA-F_]+(?![\w.])|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<duration>(?:\d+(?:ms|[smhdwy]))+(?!\w))
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
  | (?P<operator>=~|!~|==|!=|<=|>=|</|>/|[-+*/%^<>=(){}\[\],@])
  | (?P<bad>["'`][^\n]*|.)
"""


def _pattern(name_start: str, variable: str) -> re.Pattern[str]:
    inner = f"(?:[{name_start}]|{variable})(?:[\\w:]|{variable})*" if variable else f"[{name_start}][\\w:]*"
    number = f"|(?P<mixed>\\d+(?:{variable})\\w*)" if variable else ""
    return re.compile(f"(?P<name>{inner}){number}|{_COMMON}", re.VERBOSE | re.ASCII | re.DOTALL)


_PLAIN = _pattern("a-zA-Z_:", "")
_GRAFANA = _pattern("a-zA-Z_:", f"{_VARIABLE}|{_BRACKETED}")
_IN_BRACKETS = re.compile(
    rf"(?P<name>[a-zA-Z_]+|(?:{_VARIABLE}|{_BRACKETED})\w*)|(?P<mixed>\d+(?:{_VARIABLE})\w*)|(?P<colon>:)|{_COMMON}",
    re.VERBOSE | re.ASCII | re.DOTALL,
)


class Token(NamedTuple):
    """A token.

    Attributes:
        kind: ``name``, ``number``, ``duration``, ``string``, ``variable``, ``end``, or the operator itself.
        text: As it is written.
        start: The position of its first character.
        end: The position after its last character.
    """

    kind: str
    text: str
    start: int
    end: int


def tokens(text: str, *, variables: bool) -> list[Token]:
    """The tokens of an expression, ending with one of kind ``end``.

    Args:
        text: The expression.
        variables: Whether it may contain Grafana's variables.

    Raises:
        PromqlError: A character cannot begin a token, or a string does not end.
    """
    found: list[Token] = []
    outside = _GRAFANA if variables else _PLAIN
    position, pattern, length = 0, outside, len(text)
    while position < length:
        match = pattern.match(text, position)
        if match is None:  # every character matches the last group
            raise PromqlError(f"unexpected character {text[position]!r}", position)
        kind, piece, start, position = str(match.lastgroup), match[0], position, match.end()
        if kind == "space":
            continue
        if kind == "bad":
            raise _bad(piece, start)
        if kind == "operator":
            kind = piece
            if piece in "[]":
                pattern = _IN_BRACKETS if piece == "[" else outside
        elif "$" in piece and kind != "string":
            if not variables:
                raise PromqlError("unexpected character '$'", start + piece.index("$"))
            kind = "variable"
        elif variables and kind == "name" and "[[" in piece:
            kind = "variable"
        found.append(Token(kind, piece, start, position))
    found.append(Token("end", "", length, length))
    return found


def _bad(token: str, start: int) -> PromqlError:
    if token[0] in "\"'`":
        return PromqlError("unterminated string", start)
    if token[0].isdigit():
        return PromqlError("bad number or duration syntax", start)
    return PromqlError(f"unexpected character {token[0]!r}", start)


_ESCAPE = re.compile(
    r"\\(?:(?P<plain>[abfnrtv\\'\"])|(?P<octal>[0-7]{3})|x(?P<hex>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<bad>.|$))",
    re.DOTALL,
)
_PLAIN_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def unquoted(token: Token) -> str:
    """The value of a string token.

    Raises:
        PromqlError: It contains an escape that Prometheus does not know.
    """
    inside = token.text[1:-1]
    if token.text[0] == "`" or "\\" not in inside:
        return inside

    def value(found: re.Match[str]) -> str:
        if found["plain"]:
            own_quote = found["plain"] in "\"'" and found["plain"] != token.text[0]
            if own_quote:
                raise PromqlError(f"unknown escape sequence {found[0]}", token.start + 1 + found.start())
            return _PLAIN_ESCAPES.get(found["plain"], found["plain"])
        code = int(found["octal"] or "0", 8) or int(found["hex"] or found["short"] or found["long"] or "0", 16)
        if found["bad"] is not None or code > 0x10FFFF or 0xD800 <= code < 0xE000:  # noqa: PLR2004 - Unicode's limits
            raise PromqlError(f"unknown escape sequence {found[0]}", token.start + 1 + found.start())
        return chr(code)

    return _ESCAPE.sub(value, inside)
