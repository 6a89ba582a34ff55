"""Masks secrets in values of any nesting."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from instrumentation.lazy_patterns import lazy_pattern
from instrumentation.redaction.options import KEY, LET_THROUGH, PATTERN, checked, is_key, is_let_through, is_pattern
from instrumentation.redaction.patterns import MASK
from instrumentation.redaction.query_strings import KEYS as QUERY_KEYS
from instrumentation.redaction.query_strings import URL_QUERY
from instrumentation.redaction.sensitive_keys import CLEAR, COUNTABLE, FEWER, LONGEST_KEY, Keys
from instrumentation.redaction.text import LONGEST_TEXT, Texts

if TYPE_CHECKING:
    import re

DEEPEST = 20
"""Containers within containers that are read; what is deeper is masked."""

LARGEST = 5_000
"""Items of a value that are read, in all its containers together; a text counts as one for every 50 characters."""

_CHARACTERS = 50
_PAIR = 2
_VALUES = ("value", "input")  # names of what another item names
_NAMES = 2048  # keys that are remembered
_PLAIN = frozenset((NoneType, bool, date, datetime, time, timedelta, UUID))
_NUMBERS = frozenset((int, float))
_SIMPLE = frozenset((str, int, float, bool, NoneType))
_FEW = 1000
_SHORTEST_CARD = 10**12  # as a number

_PLACEHOLDER = lazy_pattern(
    r"%(?:\((?P<name>[^)]*)\))?[#0 +-]*(?P<width>\*?)\d*(?:\.(?P<precision>\*?)\d*)?[hlL]?(?P<kind>[a-zA-Z%])"
)
# Read backwards from a placeholder: what may stand between it and a name, the name, and the words before that.
_NAME_BEFORE = lazy_pattern(
    r"[\"'(\[]{0,2}\s{0,3}(?:(?:si|saw|ot|sa|>?[:=])\s{0,3})?[\"')\]]{0,3}([\w.$-]{1,80})((?: [\w.-]{1,40}){0,2})"
)
_LONGEST_NAME = 200
_LEFT_OUT = "[arguments left out: they do not match the format]"


class _Room:
    """What may still be read of a value, and the containers that are being read."""

    __slots__ = ("inside", "left")

    def __init__(self, largest: int) -> None:
        self.left = largest
        self.inside: set[int] = set()

    def take(self, items: Iterable[Any], size: int) -> Iterator[Any]:
        """As many of the items as there is room for."""
        taken = islice(items, max(0, self.left))
        self.left -= size
        return taken


class Redactor:
    """Masks passwords, tokens, cookies, keys, card numbers and the like; ``table`` says which.

    Args:
        keys: Names of more keys whose value is masked, such as ``diagnosis``.
        allow: Keys and patterns that are let through, by their whole name.
        patterns: Regular expressions, for RE2; what they match is masked.
        queries: Whether query strings of URLs are masked completely, as in log lines; ``url_query`` in ``allow``.
        largest: The items of a value that are read, in place of ``LARGEST``.
        longest: The characters of a text that are read, in place of ``LONGEST_TEXT``.

    Raises:
        InstrumentationError: ``redaction_invalid``; ``redaction_engine_missing`` if there are patterns and RE2 is not
            installed.

    >>> Redactor().value({"user": {"id": 7, "password": "hunter2"}})
    {'user': {'id': 7, 'password': '***'}}
    >>> Redactor().text("login of joe@example.com with password=hunter2")
    'login of *** with password=***'
    """

    def __init__(  # noqa: PLR0913 - each is an option
        self,
        *,
        keys: Iterable[str] = (),
        allow: Iterable[str] = (),
        patterns: Iterable[str] = (),
        queries: bool = False,
        largest: int = LARGEST,
        longest: int = LONGEST_TEXT,
    ) -> None:
        allow = checked("allow", allow, is_let_through, LET_THROUGH)
        keys = checked("keys", keys, is_key, KEY)
        queries = queries and URL_QUERY not in allow
        self._keys = Keys((*keys, *QUERY_KEYS) if queries else keys, allow)
        more = checked("patterns", patterns, is_pattern, PATTERN)
        self._texts = Texts(self._keys, allow, more, queries=queries, longest=longest)
        self._largest = largest
        self._names_secrets = lru_cache(_NAMES)(self._named_secrets)
        self._clear_names: set[str] = set()

    def text(self, text: str) -> str:
        """The text with its secrets masked."""
        return self._texts.masked(text)

    def value(self, value: Any) -> Any:
        """A copy without secrets: containers of the same kind, objects with fields as dicts, other objects as text.

        Circles, and what goes beyond ``DEEPEST``, ``LARGEST`` or ``LONGEST_TEXT``, are masked.
        """
        return self._any(value, _Room(self._largest))

    def is_secret(self, key: str, value: object) -> bool:
        """Whether a value is masked because of its key.

        >>> Redactor().is_secret("password", "hunter2"), Redactor().is_secret("order", "hunter2")
        (True, False)
        """
        return _is_secret(value, self._name(key)[1])

    def message(self, template: str, args: object) -> str:
        """What ``template % args`` says, without secrets; what follows a secret's name, as in ``"password %s"``, is one.

        Args:
            template: As in ``logging``.
            args: As ``LogRecord.args``: a tuple or a mapping; none means that the template is the text.
        """
        if not args:
            return self.text(template)
        try:
            said = self._formatted(template, args)
        except Exception:  # noqa: BLE001 - any object may be among them, and a clumsy line is better than none
            said = f"{template} {_LEFT_OUT}"
        return self.text(said)

    def _formatted(self, template: str, args: object) -> str:
        named = args if isinstance(args, Mapping) else None
        items = args if isinstance(args, tuple) else (args,) if named is None else named.values()
        if (
            _SIMPLE.issuperset(map(type, items))
            and len(template) <= _LONGEST_NAME
            and not self._names_secrets(template)
        ):
            return template % args
        given = iter(args if isinstance(args, tuple) else (args,))
        kept: list[object] = []

        def placed(match: re.Match[str]) -> str:
            if match["kind"] == "%":
                return match[0]
            if match["name"] is not None:
                verdict, items = self._keys.verdict(match["name"]), [(named or {})[match["name"]]]
            else:
                verdict = self._verdict_before(template, match.start())
                items = [next(given) for _ in range(1 + len(match["width"] + (match["precision"] or "")))]
            if _is_secret(items[-1], verdict) or self._hides_itself(items[-1]):
                return MASK
            kept.extend(items)
            return match[0]

        return _PLACEHOLDER.sub(placed, template) % (named or (*kept, *given))

    def _named_secrets(self, template: str) -> bool:
        """Whether any placeholder is a secret's; ``_names_secrets`` remembers it."""
        return any(
            self._keys.verdict(match["name"]) if match["name"] else self._verdict_before(template, match.start())
            for match in _PLACEHOLDER.finditer(template)
        )

    def _verdict_before(self, template: str, at: int) -> int:
        match = _NAME_BEFORE.match(template[max(0, at - _LONGEST_NAME) : at][::-1])
        if match is None:
            return CLEAR
        key, before = match[1][::-1], match[2][::-1].lstrip()
        return self._keys.verdict(key) or (before and self._keys.with_words_before(key, before, quoted=False)) or CLEAR

    # --- Values -------------------------------------------------------------------------------------------------------

    def _any(self, value: Any, room: _Room) -> Any:
        kind = type(value)
        if kind is str:
            return self._string(value, room)
        if kind in _PLAIN or (kind in _NUMBERS and -_SHORTEST_CARD < value < _SHORTEST_CARD):
            return value
        if id(value) in room.inside or len(room.inside) >= DEEPEST or room.left <= 0:
            return MASK
        room.inside.add(id(value))
        try:
            return self._inside(value, room)
        except Exception:  # noqa: BLE001 - any object may come here, and what cannot be read cannot be judged
            return MASK
        finally:
            room.inside.discard(id(value))

    def _string(self, text: str, room: _Room) -> str:
        if len(text) > _CHARACTERS:
            room.left -= len(text) // _CHARACTERS
            if room.left < 0:
                return MASK
        return self._texts.masked(text)

    def _inside(self, value: Any, room: _Room) -> Any:
        if isinstance(value, dict | Mapping):
            return self._mapping(value, room)
        if isinstance(value, str):
            text = str.__str__(value)
            return _unless_changed(value, text, self._string(text, room))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._string(bytes(value).decode(), room)
        if isinstance(value, Sequence | AbstractSet):
            return self._collection(value, room)
        return self._object(value, room)

    def _mapping(self, value: Mapping[Any, Any], room: _Room) -> dict[Any, Any]:
        masked: dict[Any, Any] = {}
        clear, clear_names = self._texts.clear, self._clear_names
        for key, item in room.take(value.items(), len(value)):
            if key in clear_names:  # as most are; no call is made for a short text that was seen before
                kind = type(item)
                is_known = (
                    item in clear if kind is str else kind in _NUMBERS and -_SHORTEST_CARD < item < _SHORTEST_CARD
                )
                masked[key] = item if is_known else self._any(item, room)
            else:
                name, is_secret = self._judged(key, item, value)
                while name in masked:  # two keys may read the same once they are masked
                    name = f"{name}*"
                masked[name] = MASK if is_secret else self._any(item, room)
        if len(masked) < len(value):
            masked[MASK] = MASK
        return masked

    def _collection(self, value: Sequence[Any] | AbstractSet[Any], room: _Room) -> Any:
        if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named tuple
            return type(value)(*self._mapping(dict(zip(value._fields, value, strict=True)), room).values())
        items = [self._any(item, room) for item in room.take(value, len(value))]
        if len(items) < len(value):
            items.append(MASK)
        elif isinstance(value, Sequence) and self._is_named_pair(value):
            items[1] = MASK
        if isinstance(value, set | frozenset):
            with suppress(TypeError):  # objects with fields have become dicts
                return frozenset(items) if isinstance(value, frozenset) else set(items)
        return tuple(items) if isinstance(value, tuple) else items

    def _object(self, value: Any, room: _Room) -> Any:
        if isinstance(value, BaseException):
            return self._string(f"{type(value).__name__}: {value}".removesuffix(": "), room)
        if isinstance(value, Enum):
            return _unless_changed(value, value.value, self._any(value.value, room))
        fields = _fields(value)
        if len(fields) < _PAIR and self._hides_itself(value):
            return MASK
        if fields:
            return self._mapping(fields, room)
        text = str(value)
        return _unless_changed(
            value if isinstance(value, int | float | Decimal) else text, text, self._string(text, room)
        )

    # --- Names --------------------------------------------------------------------------------------------------------

    def _judged(self, key: Any, item: Any, among: Mapping[Any, Any]) -> tuple[Any, bool]:
        """A key with its own secrets masked, and whether its item is one."""
        name, verdict = self._name(key)
        if verdict:
            return name, _is_secret(item, verdict)
        if key in _VALUES:
            return name, self._named_by_another(key, among)
        if name is key and type(key) is str:
            if len(self._clear_names) >= _NAMES:
                self._clear_names.clear()
            self._clear_names.add(key)
        return name, False

    def _name(self, key: Any) -> tuple[Any, int]:
        """A key with its own secrets masked, and whether it names one."""
        if isinstance(key, bytes):
            key = key.decode("latin-1")
        text = str(key)
        verdict = CLEAR
        if isinstance(key, str):  # one that is too long is judged by its ends
            verdict = self._keys.verdict(text[:LONGEST_KEY]) or self._keys.verdict(text[-LONGEST_KEY:])
        return _unless_changed(key, text, self._texts.masked(text)), verdict

    def _is_named_pair(self, value: Sequence[Any]) -> bool:
        """Whether it is a name and a secret, such as a header."""
        if len(value) != _PAIR or not isinstance(value[0], str | bytes):
            return False
        return _is_secret(value[1], self._name(value[0])[1])

    def _named_by_another(self, key: str, among: Mapping[Any, Any]) -> bool:
        """Whether its neighbours make it a secret: ``{"name": "password", "value": ...}``, or an error of pydantic."""
        names = among.get("loc") if key == "input" else [among.get(name) for name in ("name", "key", "header")]
        return any(isinstance(name, str) and self._keys.verdict(name) for name in names or ())

    def _hides_itself(self, value: Any) -> bool:
        """Whether an object is a secret by its class, such as pydantic's SecretStr or Starlette's Secret."""
        return self._keys.verdict(type(value).__name__) != CLEAR and not isinstance(value, BaseException)


def _is_secret(item: Any, verdict: int) -> bool:
    """Whether an item is a secret if its key has this verdict. Empty values, booleans and counts are not."""
    if not verdict or item is None or item is True or item is False:
        return False
    if isinstance(item, int | float):
        return not (verdict == COUNTABLE or (verdict == FEWER and abs(item) < _FEW))
    return True


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass or pydantic model; what its repr leaves out is masked."""
    if isinstance(value, type):
        return {}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) if field.repr else MASK for field in dataclasses.fields(value)}
    known = getattr(type(value), "model_fields", None)
    if not isinstance(known, dict):
        return {}
    fields = {name: getattr(value, name) if field.repr and not field.exclude else MASK for name, field in known.items()}
    return {**fields, **(value.model_extra or {})}


def _unless_changed(value: Any, before: Any, masked: Any) -> Any:
    return value if masked == before else masked
