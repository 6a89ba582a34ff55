"""Reads the templates in labels and annotations, and finds what Prometheus refuses in them.

Source: https://pkg.go.dev/text/template, and the functions in
https://prometheus.io/docs/prometheus/latest/configuration/template_reference/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_PROMETHEUS = (
    "args externalURL first graphLink humanize humanize1024 humanizeDuration humanizePercentage humanizeTimestamp label match "
    "now parseDuration pathPrefix query reReplaceAll safeHtml sortByLabel stripDomain stripPort strvalue tableLink title "
    "toDuration toLower toTime toUpper urlQueryEscape value"
)
_GO = "and call eq ge gt html index js le len lt ne not or print printf println slice urlquery"
FUNCTIONS = {*_PROMETHEUS.split(), *_GO.split()}
"""The functions that a template may call."""
_KEYWORDS = {"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"}
_CONSTANTS = {"true", "false", "nil"}
_PREDEFINED = {"$", "$labels", "$value", "$externalLabels", "$externalURL"}
_FIELDS = {"Labels", "Value", "ExternalLabels", "ExternalURL"}
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.))')
      | (?P<close>(?:(?<=\s)-)?\}\})
      | (?P<variable>\$\w*)
      | (?P<field>\.[^\W\d]\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<number>[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)i?)
      | (?P<mark>:=|[=|(),.])
      | (?P<bad>.)""",
    re.VERBOSE | re.DOTALL,
)


class Fault(NamedTuple):
    """What Prometheus refuses in a template.

    Attributes:
        message: What is wrong, as the end of a sentence.
        start: Its position, from 0.
    """

    message: str
    start: int


class Token(NamedTuple):
    """A token inside ``{{ ... }}``."""

    kind: str
    text: str
    start: int


@dataclass(kw_only=True)
class Template:
    """What a template reads.

    Attributes:
        faults: What Prometheus refuses; what follows the first fault is not read.
        labels: The labels of the alert that it reads, with their positions.
        printed: The positions at which it shows the value, and whether all its digits.
        queries: The expressions that it evaluates, with their positions.
    """

    faults: list[Fault] = field(default_factory=list)
    labels: list[tuple[str, int]] = field(default_factory=list)
    printed: list[tuple[int, bool]] = field(default_factory=list)
    queries: list[tuple[str, int]] = field(default_factory=list)


class _Block(NamedTuple):
    """An open ``if``, ``range``, ``with``, ``define`` or ``block``; it is closed for another ``else`` behind a plain one."""

    word: str
    start: int
    variables: set[str]
    has_own_dot: bool
    is_closed: bool = False


class _RefusedError(Exception):
    def __init__(self, message: str, start: int) -> None:
        super().__init__(message)
        self.fault = Fault(message, start)


def read(text: str) -> Template:
    """Read a template.

    >>> read("{{ $value | humanise }}").faults
    [Fault(message="calls the function 'humanise', which does not exist", start=12)]
    """
    reader = _Reader(text)
    try:
        reader.read()
    except _RefusedError as refused:
        reader.found.faults.append(refused.fault)
    return reader.found


class _Reader:
    """Reads a template action by action."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found = Template()
        self.blocks = [_Block("", 0, set(_PREDEFINED), has_own_dot=False)]

    def read(self) -> None:
        position = 0
        while (start := self.text.find("{{", position)) >= 0:
            position = self.action(start)
        if len(self.blocks) > 1:
            block = self.blocks[-1]
            raise _RefusedError(f"has no {{{{ end }}}} for {{{{ {block.word} }}}}", block.start)

    def action(self, start: int) -> int:
        """Read one action; return where it ends."""
        comment = re.compile(r"\{\{(?:-\s+)?/\*.*?\*/(?:\s+-)?\}\}", re.DOTALL).match(self.text, start)
        if comment:
            return comment.end()
        tokens: list[Token] = []
        position = start + (3 if re.compile(r"\{\{-\s").match(self.text, start) else 2)
        while found := _TOKEN.match(self.text, position):
            kind, position = str(found.lastgroup), found.end()
            if kind == "close":
                self.interpret(tokens, start)
                return position
            if kind == "bad":
                raise _RefusedError(f"has an unexpected {found[0]!r} in {{{{ ... }}}}", found.start())
            if kind != "space":
                tokens.append(Token(kind, found[0], found.start()))
        raise _RefusedError("has an unclosed {{", start)

    def interpret(self, tokens: list[Token], start: int) -> None:
        word = tokens[0].text if tokens and tokens[0].kind == "word" else ""
        if word in _KEYWORDS:
            getattr(self, f"_{word}", self._other)(tokens, start)
        elif not tokens:
            raise _RefusedError("has an empty {{ }}", start)
        else:
            self.pipeline(tokens, is_printed=True)

    def _open(self, tokens: list[Token], start: int) -> None:
        word = tokens[0].text
        self.blocks.append(_Block(word, start, set(), has_own_dot=word != "if"))
        if len(tokens) == 1:
            raise _RefusedError(f"has no condition after {word}", start)
        names = self.declared(tokens[1:], 2 if word == "range" else 1)
        self.blocks[-1] = self.blocks[-1]._replace(has_own_dot=False)
        self.pipeline(tokens[1:], is_printed=False, most=2 if word == "range" else 1)
        self.blocks[-1] = _Block(word, start, names, has_own_dot=word != "if")

    _if = _range = _with = _open

    def _define(self, tokens: list[Token], start: int) -> None:
        if len(tokens) < 2 or tokens[1].kind != "string":  # noqa: PLR2004 - the word and the name
            raise _RefusedError(f"needs a name in quotes after {tokens[0].text}", start)
        if tokens[0].text == "define" and len(self.blocks) > 1:
            raise _RefusedError(f"has a {{{{ define }}}} inside {{{{ {self.blocks[-1].word} }}}}", start)
        self.blocks.append(_Block(tokens[0].text, start, set(), has_own_dot=True))

    _block = _define

    def _else(self, tokens: list[Token], start: int) -> None:
        block = self.blocks[-1]
        if block.word not in {"if", "range", "with"}:
            raise _RefusedError("has {{ else }} outside if, range and with", start)
        if block.is_closed:
            raise _RefusedError("has a second {{ else }}", start)
        self.blocks[-1] = block._replace(has_own_dot=False, is_closed=len(tokens) == 1)
        if len(tokens) > 1:
            if tokens[1].text != block.word or block.word == "range":  # text/template: else if in if, else with in with
                raise _RefusedError(f"has an unexpected {tokens[1].text!r} after else", tokens[1].start)
            self.pipeline(tokens[2:], is_printed=False)
            self.blocks[-1] = self.blocks[-1]._replace(has_own_dot=tokens[1].text == "with")

    def _end(self, tokens: list[Token], start: int) -> None:
        if len(tokens) > 1:
            raise _RefusedError(f"has an unexpected {tokens[1].text!r} after end", tokens[1].start)
        if len(self.blocks) == 1:
            raise _RefusedError("has an {{ end }} without a beginning", start)
        self.blocks.pop()

    def _template(self, tokens: list[Token], start: int) -> None:
        if len(tokens) < 2 or tokens[1].kind != "string":  # noqa: PLR2004 - the word and the name
            raise _RefusedError("needs a name in quotes after template", start)
        self.pipeline(tokens[2:], is_printed=False)

    def _other(self, tokens: list[Token], start: int) -> None:
        if not any(block.word == "range" for block in self.blocks):
            raise _RefusedError(f"has {{{{ {tokens[0].text} }}}} outside range", start)

    def declared(self, tokens: list[Token], most: int = 1) -> set[str]:
        """The variables that a pipeline declares with ``:=``."""
        marks = [number for number, token in enumerate(tokens) if token.text == ":="]
        names = [token for token in tokens[: marks[0]] if token.kind == "variable"] if marks else []
        if len(names) > most:
            raise _RefusedError("declares too many variables", names[most].start)
        return {token.text for token in names}

    def pipeline(self, tokens: list[Token], *, is_printed: bool, most: int = 1) -> None:
        names = self.declared(tokens, most)
        if names and is_printed:
            self.blocks[-1].variables.update(names)
            is_printed = False
        depth = 0
        for number, token in enumerate(tokens):
            before = tokens[number - 1] if number else None
            joined = before is not None and before.start + len(before.text) == token.start
            if before is not None and joined and not _may_touch(before, token):
                raise _RefusedError(f"has an unexpected {token.text!r} behind {before.text}", token.start)
            depth += (token.text == "(") - (token.text == ")")
            if depth < 0:
                raise _RefusedError("has an unexpected ')'", token.start)
            if token.text == "|" and (before is None or before.text == "|"):
                raise _RefusedError("has a pipe without a function", token.start)
            if token.kind == "word" and token.text not in FUNCTIONS | _CONSTANTS:
                raise _RefusedError(f"calls the function {token.text!r}, which does not exist", token.start)
            if token.kind == "variable" and token.text not in names and not self.knows(token.text):
                raise _RefusedError(f"reads the variable {token.text}, which is not defined", token.start)
            if token.kind == "field":
                self.field(token, before if joined else None, tokens, number)
        if depth:
            raise _RefusedError("has an unclosed '('", tokens[0].start)
        self.note(tokens, is_printed=is_printed)

    def knows(self, variable: str) -> bool:
        return any(variable in block.variables for block in self.blocks)

    @property
    def dot_is_alert(self) -> bool:
        return not any(block.has_own_dot for block in self.blocks)

    def field(self, token: Token, before: Token | None, tokens: list[Token], number: int) -> None:
        """Check a field; note it if it is a label of the alert."""
        name = token.text[1:]
        is_root = before is None or (before.kind == "variable" and before.text == "$")
        if is_root and (before is not None or self.dot_is_alert):
            if name not in _FIELDS:
                raise _RefusedError(f"reads .{name}, which is not one of {', '.join(f'.{each}' for each in sorted(_FIELDS))}",
                               token.start)  # fmt: skip
        elif before is not None and before.text == "$labels":
            self.found.labels.append((name, token.start))
        elif before is not None and before.kind == "field" and before.text == ".Labels" and number >= 1:
            owner = tokens[number - 2] if number > 1 else None
            joined = owner is not None and owner.start + len(owner.text) == before.start
            if (joined and owner is not None and owner.text == "$") or (not joined and self.dot_is_alert):
                self.found.labels.append((name, token.start))

    def note(self, tokens: list[Token], *, is_printed: bool) -> None:
        """Note queries, labels read with ``index``, and a value that is shown."""
        for one, two, three in zip(tokens, tokens[1:], [*tokens[2:], None], strict=False):
            if one.text == "query" and two.kind == "string":
                self.found.queries.append((_unquoted(two.text), two.start + 1))
            if one.text == "index" and two.text == "$labels" and three is not None and three.kind == "string":
                self.found.labels.append((_unquoted(three.text), three.start))
        values = [token for token in tokens if token.text in {"$value", ".Value"}]
        if is_printed and values and (values[0].text == "$value" or self.dot_is_alert):
            self.found.printed.append((values[0].start, len(tokens) == 1))


_OPERANDS = {"string", "variable", "field", "word", "number"}


def _may_touch(before: Token, token: Token) -> bool:
    """Whether a token may follow another without a space."""
    is_operand = token.kind in _OPERANDS or token.text in {".", "("}
    if not is_operand or (before.kind not in _OPERANDS and before.text not in {")", "."}):
        return True
    if token.kind != "field":
        return False
    return (
        before.kind in {"variable", "field"}
        or before.text == ")"
        or (before.kind == "word" and before.text not in _CONSTANTS)
    )


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else re.sub(r"\\(.)", r"\1", text[1:-1])
