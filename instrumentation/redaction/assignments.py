"""Finds what a text assigns to the name of a secret: ``password=x``, ``"token": "x"``, ``Cookie: x``, ``--secret x``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.redaction.patterns import MASK
from instrumentation.redaction.sensitive_keys import CLEAR, COUNTABLE, takes_whole_line

if TYPE_CHECKING:
    from instrumentation.redaction.sensitive_keys import Keys

# Read backwards, from the sign to the key: a search forwards would try each word of the text as a key.
_BACKWARDS = re.compile(
    r"(?:>=|=:|==?|(?<!:):(?!:))[ \t]{0,3}([\"'\\)\]]{0,6})([\w.$\[-]{1,80})((?: [\w.-]{1,40}){0,4})"
)
_PAIR = re.compile(r"[(\[]b?([\"'][\w.-]{1,80})[\"'],\s{0,2}(?=b?[\"'])")
_OPTION = re.compile(r"(--[A-Za-z][\w.-]{1,60})(?:[\"'],\s{0,2}(?=[\"'])|[ \t]{1,3}(?!--))")
_ELEMENT = re.compile(r"<([\w:.-]{1,80})(?:\s[^<>]{0,200})?>(?:<!\[CDATA\[)?(?=[^<\s])")

_OTHERS = (("',", _PAIR, "quoted"), ('",', _PAIR, "quoted"), ("--", _OPTION, "word"), ("<", _ELEMENT, "element"))

_LEAD = re.compile(
    r"[ \t]*(?:\r?\n(?:[ \t]+|(?![\w.-]{1,80}\s?[:=]|\s)))?"
)  # the next line too, if it is no other key's
_QUOTE = re.compile(r"[bBfFrRuU]{0,2}(?P<escape>\\*)(?P<quote>\"{3}|'{3}|\"|')")
_OPENING = re.compile(r"[\w.]{0,80}[(\[{]")
_BRACKET = re.compile(r"\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)|[()\[\]{}]", re.DOTALL)
_QUOTES = {sign: re.compile(rf"(\\*)({sign}+)") for sign in ("'", '"')}
_CLOSED = r"[\"'](?=\s*[,}\]])|$"
_STOPS = {
    "element": re.compile(r"<"),
    "quoted": re.compile(r"[,}\])\n]"),
    "line": re.compile(rf"\n|{_CLOSED}"),
    "prose": re.compile(rf"\n|,\s{{1,3}}[\w.-]{{1,80}}\s?[:=]|{_CLOSED}"),
    "word": re.compile(r"\s|[&;,](?=[\w.\[\]%-]{1,80}=)|[\"'](?=[\s,;:)\]}>]|$)"),
}
_NOTHING = re.compile(r"(?:None|null|nil|[Tt]rue|[Ff]alse|\*+|)")
_PLACEHOLDER = re.compile(r"(?:\?|\$\d+|%s|%\(\w+\)s)(?=[,;)]*(?:\s|$))")
_NUMBER = re.compile(r"[\d.,_]+")
_CLOSERS = ")]}>\"'.,;"


class _Place(NamedTuple):
    """Where a value begins, what ends it, and whether a number is none."""

    start: int
    stop: str
    countable: bool


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
        if verdict:
            start = len(text) - match.start()
            stop = "line" if takes_whole_line(key[::-1]) else "quoted" if is_quoted else "prose"
            if stop == "prose" and not text[start : start + 1].isspace():
                stop = "word"
            places.append(_Place(start, stop, verdict == COUNTABLE))
    for sign, pattern, stop in _OTHERS:
        if sign in text:
            found = (match for match in pattern.finditer(text) if keys.verdict(match[1].lstrip("\"'-")))
            places += [_Place(match.end(), stop, countable=False) for match in found]
    return places


def _value(text: str, place: _Place) -> tuple[int, int]:
    """From where to where the value goes; the same twice where it is none."""
    lead = _LEAD.match(text, place.start)
    start = lead.end() if lead else place.start
    if _PLACEHOLDER.match(text, start):
        return start, start
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
    if _NOTHING.fullmatch(bare) or (place.countable and _NUMBER.fullmatch(bare)):
        return start, start
    return start, max(searched, start + len(bare.rstrip(_CLOSERS) or bare))


def _closing(text: str, opening: re.Match[str]) -> int:
    """Where a quoted value ends: at a quote that is as deeply escaped as the first and is not doubled; else at the end."""
    escaped, sign = len(opening["escape"]), opening["quote"]
    for match in _QUOTES[sign[0]].finditer(text, opening.end()):
        backslashes, quotes = map(len, match.groups())
        if backslashes % (2 * escaped + 2) == escaped and (quotes % 2 if len(sign) == 1 else quotes >= len(sign)):
            return match.end() - len(sign) - escaped
    return len(text)


def _closed(text: str, opening: int) -> int:
    """Where what a bracket opens has ended; the end of the text where it has not."""
    depth = 0
    for match in _BRACKET.finditer(text, opening):
        depth += (match[0] in "([{") - (match[0] in ")]}")
        if not depth and match[0] in ")]}":
            return match.end()
    return len(text)
