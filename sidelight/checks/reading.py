"""Reads YAML and JSON with the position of every value, within limits of time, depth and size."""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = str | int
Place = tuple[Key, ...]

LARGEST_FILE_BYTES = 10 << 20
DEEPEST = 100
MOST_VALUES = 1_000_000
LONGEST_SECONDS = 10.0

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(?:0|[1-9]\d*)")
_FLOAT = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_LONGEST_NUMBER = 1_000  # digits; Python refuses to read 4,300
_CHECKED_EVERY = 1_000  # events between two looks at the clock


class ReadError(Exception):
    """A file that cannot be read, or only beyond the limits.

    Attributes:
        line: The line of the fault, from 1.
        message: What is wrong, as the end of a sentence.
        cure: What to do.
    """

    def __init__(self, line: int, message: str, cure: str) -> None:
        super().__init__(message)
        self.line, self.message, self.cure = line, message, cure


class Deadline:
    """The processor time in which a file must be read, and then checked."""

    def __init__(self, seconds: float = LONGEST_SECONDS) -> None:
        self._end = time.process_time() + seconds

    def check(self) -> None:
        """Do nothing while there is time.

        Raises:
            ReadError: The time is over.
        """
        if time.process_time() > self._end:
            raise ReadError(
                1, f"takes longer than {LONGEST_SECONDS:g} s to check, and is not checked to its end", "split it"
            )


class Spot(NamedTuple):
    """Where a string is written.

    Attributes:
        line: The line of its first character, from 1.
        column: The column of its first character, from 0.
        style: Its quote, ``|`` or ``>``; empty if it is plain.
    """

    line: int
    column: int
    style: str


@dataclass(kw_only=True)
class Source:
    """One document.

    Attributes:
        data: Its content.
        lines: The place of each key and item, and the line on which it stands, from 1.
        spots: The place of each string, and where it is written.
        twice: Keys that a mapping has twice, with their lines.
    """

    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    spots: dict[Place, Spot] = field(default_factory=dict)
    twice: list[tuple[int, str]] = field(default_factory=list)


def decoded(content: bytes) -> str:
    """The text of a file: UTF-8, or what its byte order mark says.

    Raises:
        ReadError: It is in another encoding.
    """
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ReadError(
            line, f"is not UTF-8: byte 0x{content[error.start]:02x} at position {error.start}", "save it as UTF-8"
        ) from None


def read(text: str, deadline: Deadline, *, is_json: bool) -> list[Source]:
    """The documents in a text; one if it is JSON.

    Raises:
        ReadError: It is not valid, or beyond the limits.
    """
    if is_json or text.lstrip()[:1] == "{":
        try:
            return [_Json(text, deadline).read()]
        except ReadError:
            if is_json:
                raise
    return list(_Yaml(text, deadline).read())


class _Values:
    """Counts values, so that a small text cannot become a large document."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline, self.count = deadline, 0

    def add(self, line: int, number: int = 1) -> None:
        self.count += number
        if self.count > MOST_VALUES:
            raise ReadError(line, f"has more than {MOST_VALUES:,} values, counting each use of an alias", "split it")
        if self.count % _CHECKED_EVERY == 0:
            self.deadline.check()

    @staticmethod
    def check_depth(line: int, place: Place) -> None:
        if len(place) > DEEPEST:
            raise ReadError(line, f"is nested more than {DEEPEST} levels deep", "flatten it")


class _Yaml:
    """Builds documents from the events of libyaml, one nesting level of Python per level of the document."""

    def __init__(self, text: str, deadline: Deadline) -> None:
        self.values = _Values(deadline)
        self.text = text

    def read(self) -> Iterator[Source]:
        try:
            self.events = yaml.parse(self.text, Loader=yaml.CSafeLoader)
            for event in self.events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self.source = Source()
                    self.anchors: dict[str, tuple[Any, int] | None] = {}
                    self.source.data = self.value(next(self.events), ())
                    yield self.source
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ReadError(line, f"not valid YAML: {error.problem}", "fix the syntax") from None
        except yaml.YAMLError as error:
            reason = getattr(error, "reason", None) or str(error).partition("\n")[0]
            raise ReadError(1, f"not valid YAML: {reason}", "fix the syntax") from None

    def value(self, event: Any, place: Place) -> Any:
        line = event.start_mark.line + 1
        self.source.lines.setdefault(place, line)
        before = self.values.count
        self.values.add(line)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), line)
        if event.anchor:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            data = self.scalar(event, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            self.values.check_depth(line, place)
            data = self.sequence(place)
        else:
            self.values.check_depth(line, place)
            data = self.mapping(place)
        if event.anchor:
            self.anchors[event.anchor] = data, self.values.count - before
        return data

    def next(self) -> Any:
        return next(self.events)

    def alias(self, name: str, line: int) -> Any:
        if name not in self.anchors:
            raise ReadError(line, f"not valid YAML: the alias *{name} has no anchor", "fix the syntax")
        found = self.anchors[name]
        if found is None:
            raise ReadError(line, f"the alias *{name} contains itself", "remove it")
        data, size = found
        self.values.add(line, size)
        return data

    def scalar(self, event: Any, place: Place) -> Any:
        text = event.value
        if not event.implicit[0]:
            if isinstance(text, str):
                mark = event.start_mark
                self.source.spots[place] = Spot(mark.line + 1, mark.column, event.style or "")
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if text[0] in "+-.0123456789":
            if _INT.fullmatch(text) and len(text) < 20:  # noqa: PLR2004 - longer numbers are kept as text
                return int(text)
            if _FLOAT.fullmatch(text):
                return float(text)
        self.source.spots[place] = Spot(event.start_mark.line + 1, event.start_mark.column, "")
        return text

    def sequence(self, place: Place) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self.value(event, (*place, len(found))))
        return found

    def mapping(self, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                raise ReadError(line, "has a key that is a mapping or a list", "use a string")
            key = event.value if isinstance(event, yaml.ScalarEvent) else str(self.alias(str(event.anchor), line))
            if isinstance(event, yaml.ScalarEvent) and event.anchor:
                self.anchors[event.anchor] = key, 1
            is_merge = key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]
            if key in found and not is_merge:
                self.source.twice.append((line, key))
            self.source.lines[(*place, key)] = line
            value = self.value(next(self.events), (*place, key))
            if is_merge:
                given = value if isinstance(value, list) else [value]
                if not all(isinstance(each, dict) for each in given):
                    raise ReadError(line, "not valid YAML: << needs a mapping or a list of mappings", "fix the syntax")
                merged += given
            else:
                found[key] = value
        for each in merged:
            for key, value in each.items():
                found.setdefault(key, value)
        return found


class _Json:
    """Builds a document from JSON."""

    _TOKEN = re.compile(
        r'[ \t\r\n]*(?:(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<punctuation>[{}\[\],:])'
        r"|(?P<word>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)|(?P<end>$)|(?P<bad>.))",
        re.DOTALL,
    )

    def __init__(self, text: str, deadline: Deadline) -> None:
        self.values = _Values(deadline)
        self.text, self.position, self.start = text, 0, 0
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self.source = Source()

    def read(self) -> Source:
        self.source.data = self.value(self.next(), ())
        if self.next()[0] != "end":
            self.fail("something follows the end of the document")
        return self.source

    def next(self) -> tuple[str, str]:
        found = self._TOKEN.match(self.text, self.position)
        if found is None:
            self.fail("unexpected character")
        kind = str(found.lastgroup)
        self.start, self.position = found.start(kind), found.end()
        return kind, found[kind]

    @property
    def line(self) -> int:
        return bisect_right(self.starts, self.start)

    def fail(self, message: str) -> NoReturn:
        raise ReadError(self.line, f"not valid JSON: {message}", "fix the syntax")

    def string(self, text: str) -> str:
        try:
            return str(json.loads(text, strict=False))
        except ValueError:
            self.fail("a string has an invalid escape")

    def value(self, token: tuple[str, str], place: Place) -> Any:
        kind, text = token
        line = self.line
        self.source.lines.setdefault(place, line)
        self.values.add(line)
        if kind == "string":
            self.source.spots[place] = Spot(line, self.start - self.starts[line - 1], '"')
            return self.string(text)
        if kind == "word":
            if len(text) > _LONGEST_NUMBER:
                self.fail("a number has too many digits")
            return json.loads(text)
        self.values.check_depth(line, place)
        if text == "{":
            return self.mapping(place)
        if text == "[":
            return self.sequence(place)
        return self.fail(f"unexpected {text!r}" if text else "unexpected end")

    def mapping(self, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        token = self.next()
        while token != ("punctuation", "}"):
            if token[0] != "string":
                self.fail("a key is not a string")
            key, line = self.string(token[1]), self.line
            if self.next()[1] != ":":
                self.fail("a colon is missing after a key")
            self.source.lines[(*place, key)] = line
            found[key] = self.value(self.next(), (*place, key))
            token = self.after("}")
        return found

    def sequence(self, place: Place) -> list[Any]:
        found: list[Any] = []
        token = self.next()
        while token != ("punctuation", "]"):
            found.append(self.value(token, (*place, len(found))))
            token = self.after("]")
        return found

    def after(self, end: str) -> tuple[str, str]:
        """What follows a value: the end, or the token after a comma."""
        token = self.next()
        if token == ("punctuation", ","):
            token = self.next()
            if token == ("punctuation", end):
                self.fail("a comma is before the end")
        elif token != ("punctuation", end):
            self.fail("a comma is missing")
        return token
