"""Finds what a text assigns to the name of a secret: ``password=x``, ``"token": "x"``, ``Cookie: x``, ``--secret x``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.lazy_patterns import lazy_pattern
from instrumentation.redaction.patterns import MASK, STATEMENTS
from instrumentation.redaction.sensitive_keys import CLEAR, COUNTABLE, DIGITS, FEWER, SECRET, takes_whole_line

if TYPE_CHECKING:
    from instrumentation.redaction.sensitive_keys import Keys

# Read backwards, from the sign to the key: a search forwards would try each word of the text as a key.
_BACKWARDS = lazy_pattern(
    r"(?:>=|=[:?.+|]{1,3}|==?|(?<!:):(?!:))[ \t]{0,3}([\"'\\)\]]{0,6})([\w.$\[-]{1,80})((?: [\w.-]{1,40}){0,4})"
)
_PAIR = lazy_pattern(r"[(\[]b?([\"'][\w.-]{1,80})[\"'],\s{0,2}(?=b?[\"'])")
_LAST_PAIR = lazy_pattern(r"', b?('[\w.-]{1,80})', (?=b?'[^'\n]{0,2000}'\))")
_OPTION = lazy_pattern(r"(--\w[\w.-]{1,60})(?:[\"'],\s{0,2}(?=[\"'])|[ \t]{1,3}(?!--))")
_ELEMENT = lazy_pattern(r"<([\w:.-]{1,80})(?:\s[^<>]{0,200})?>\s{0,80}(?:<!\[CDATA\[)?(?=[^<\s])")

_OTHERS = (
    ("',", _PAIR, "quoted"),
    ("')", _LAST_PAIR, "quoted"),
    ('",', _PAIR, "quoted"),
    ("--", _OPTION, "word"),
    ("<", _ELEMENT, "element"),
)

_LEAD = lazy_pattern(
    r"[ \t]*(?:\r?\n(?:[ \t]+|(?![\w.-]{1,80}\s?[:=]|\s)))?"
)  # the next line too, unless it begins with another key
_QUOTE = lazy_pattern(r"[bBfFrRuU]{0,2}(?P<escape>\\*)(?P<quote>\"{3}|'{3}|\"|')")
_OPENING = lazy_pattern(r"[\w.]{0,80}[(\[{]")
_BRACKET = lazy_pattern(r"\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)|[()\[\]{}]", re.DOTALL)
_QUOTES = {sign: lazy_pattern(rf"(\\*)({sign}+)") for sign in ("'", '"')}
_CLOSED = r"[\"'](?=\s*[,}\]])|$"
_STOPS = {
    "element": lazy_pattern(r"<"),
    "quoted": lazy_pattern(r"[,}\])\n]"),
    "line": lazy_pattern(rf"\n|{_CLOSED}"),
    "prose": lazy_pattern(rf"\n|,\s{{1,3}}[\w.-]{{1,80}}\s?[:=]|{_CLOSED}"),
    "word": lazy_pattern(r"\s|[&;,](?=[\w.\[\]%-]{1,80}=)|[\"'](?=[\s,;:)\]}>]|$)"),
}
_NOTHING = lazy_pattern(r"(?:[Nn]one|null|nil|[Tt]rue|[Ff]alse|\*+|\{\}|\[\]|\(\)|)")
_STATEMENT = lazy_pattern(rf"(?i:{'|'.join(STATEMENTS)})\b")
_ORDINARY = lazy_pattern(  # a word, a number or a time, a path, or a name with a value
    r"[(\[\"']?(?:[A-Za-z][a-z'-]{0,19}|[A-Z]{1,19}|(?:[A-Z][a-z]+){1,6}|[\d.:/%_-]{1,24}|/[\w./-]{1,80}|[\w.-]{1,40}=[\w./:-]{0,40})"
    r"[)\]\"'.,;:!?]{0,4}"
)
_PORT = lazy_pattern(r"\d{2,5}(?![\w.-])")
_BLOCK = lazy_pattern(r"[|>][+-]?\d?[+-]?[ \t]*(?:#[^\n]*)?\n")  # how YAML begins a text of several lines
_BLANKS = lazy_pattern(r" *")
_LETTERS = lazy_pattern(r"[A-Za-z][A-Za-z ,.'-]*")
_LONGEST_PROSE = 200  # characters; a limit keeps the time linear
_OF_A_PARSER = "detcepxenu"  # backwards
_LOCATED = lazy_pattern(r"\bloc\\*[\"']")
_INPUT = "input"
_PLACEHOLDER = lazy_pattern(r"(?:\?|\$\d+|%s|%\(\w+\)s)(?=[,;)]*(?:\s|$))")
_NUMBERS = {  # under a key with this verdict, with any text after it
    COUNTABLE: lazy_pattern(r"(?:[\d.,_]{1,15}|\d{1,12}_\d{1,12})(?![\w.,-]|[^\s\w]{0,80}[\w%])"),
    FEWER: lazy_pattern(r"\d{1,3}(?![\w-]|[^\s\w]{0,80}[\w%])"),
}
_CLOSERS = ")]}>\"'.,;"


class _Place(NamedTuple):
    """Where a key and its value begin, what ends the value, and the verdict on the key."""

    start: int
    key: int
    stop: str
    verdict: int


def without_assigned(text: str, keys: Keys) -> str:
    """The text with every value masked that a secret's key names."""
    places = _places(text, keys)
    parts, done = [], 0
    for place in sorted(places):
        if place.start >= done:
            start, end = _value(text, place)
            if start < end:
                parts += [text[done:start], MASK]
                done = end
    return "".join([*parts, text[done:]]) if parts else text


def _places(text: str, keys: Keys) -> list[_Place]:
    places = []
    for match in _BACKWARDS.finditer(text[::-1]):
        closers, key, before = match.groups()
        is_quoted = closers[-1:] in _QUOTES
        verdict = CLEAR if key.isdigit() else keys.verdict_backwards(key)  # such as a number of a line, new each time
        if before and not verdict:
            verdict = keys.with_words_before(key[::-1], before[::-1].lstrip(), quoted=is_quoted)
        if not verdict and closers and key[::-1] == _INPUT and _LOCATED.search(text):
            verdict = SECRET  # in an error of pydantic, whose loc may contain the name of a secret
        start, at = len(text) - match.start(), len(text) - match.end(2)
        if verdict and before[1:].lower().startswith(_OF_A_PARSER):
            verdict = CLEAR
        if verdict and not (keys.is_host(key[::-1], text[max(0, at - 3) : at]) and _PORT.match(text, start)):
            stop = "line" if takes_whole_line(key[::-1]) else "quoted" if is_quoted else "prose"
            if stop == "prose" and not text[start : start + 1].isspace():
                stop = "word"
            places.append(_Place(start, at, stop, verdict))
    for sign, pattern, stop in _OTHERS:
        if sign in text:
            found = (match for match in pattern.finditer(text) if keys.verdict(match[1].lstrip("\"'-")))
            places += [_Place(match.end(), match.start(1), stop, SECRET) for match in found]
    return places


def _value(text: str, place: _Place) -> tuple[int, int]:
    """Start and end of the value; equal if there is no secret."""
    lead = _LEAD.match(text, place.start)
    start = lead.end() if lead else place.start
    if _PLACEHOLDER.match(text, start):
        return start, start
    number = _NUMBERS.get(place.verdict)
    if number and number.match(text, start):
        return start, start
    block = _BLOCK.match(text, start)
    if block:
        return block.end(), _end_of_block(text, place.key, block.end())
    quote = _QUOTE.match(text, start)
    if quote:
        return quote.end(), _closing(text, quote)
    opening = _OPENING.match(text, start)
    searched = _closed(text, opening.end() - 1) if opening else start
    stop = _STOPS[place.stop].search(text, searched)
    while stop and stop[0] in _QUOTES and text.find(stop[0], 0, start) < 0:  # it closes nothing
        stop = _STOPS[place.stop].search(text, stop.end())
    end = stop.start() if stop else len(text)
    bare = text[start:end].rstrip()
    if _NOTHING.fullmatch(bare) or (
        place.stop == "prose" and len(bare) <= _LONGEST_PROSE and _is_prose(bare, place.verdict)
    ):
        return start, start
    return start, max(searched, start + len(bare.rstrip(_CLOSERS) or bare))


def _is_prose(bare: str, verdict: int) -> bool:
    """Whether words after a key and a colon say something about a secret, or about something else, and hold none."""
    if verdict == DIGITS and _LETTERS.fullmatch(bare):
        return True
    words = bare.split()
    is_statement = _STATEMENT.match(bare) is not None
    if len(words) < (2 if is_statement else 3) or (verdict != COUNTABLE and not is_statement):
        return False
    return words[0][:1].isalpha() and all(_ORDINARY.fullmatch(word) for word in words)


def _end_of_block(text: str, key: int, start: int) -> int:
    """Where a block of text ends whose lines are indented as the first, and further than the line of its key."""
    least = _indent(text, text.rfind("\n", 0, key) + 1) + 1
    end = at = start
    is_first = True
    while at < len(text):
        following = text.find("\n", at)
        following = len(text) if following < 0 else following
        indent = _indent(text, at)
        if at + indent < following:  # it is not blank
            if indent < least:
                break
            least, is_first = (indent if is_first else least), False
            end = following
        at = following + 1
    return end


def _indent(text: str, line: int) -> int:
    blanks = _BLANKS.match(text, line)
    return len(blanks[0]) if blanks else 0


def _closing(text: str, opening: re.Match[str]) -> int:
    """Where a quoted value ends: at a quote that is as deeply escaped as the first and is not doubled; else at the end."""
    escaped, sign = len(opening["escape"]), opening["quote"]
    for match in _QUOTES[sign[0]].finditer(text, opening.end()):
        backslashes, quotes = map(len, match.groups())
        if backslashes % (2 * escaped + 2) == escaped and (quotes % 2 if len(sign) == 1 else quotes >= len(sign)):
            return match.end() - len(sign) - escaped
    return len(text)


def _closed(text: str, opening: int) -> int:
    """The position after the matching closing bracket; the end of the text if there is none."""
    depth = 0
    for match in _BRACKET.finditer(text, opening):
        depth += (match[0] in "([{") - (match[0] in ")]}")
        if not depth and match[0] in ")]}":
            return match.end()
    return len(text)
