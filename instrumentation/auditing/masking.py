"""Masks the fields of an audit entry, and lists what was masked, so that nothing disappears from the trail unnoticed."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from instrumentation.auditing.chain import LONGEST_LINE
from instrumentation.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.auditing.chain import Key
    from instrumentation.settings import Settings

_PAIR = 2


class Masked(NamedTuple):
    """Fields without secrets.

    Attributes:
        fields: The fields.
        values: Each value that was masked although its key names no secret: where it is, its length, and its digest.
    """

    fields: Any
    values: list[dict[str, object]]


class Masking:
    """Masks the fields of audit entries.

    E-mail addresses are not masked, because the trail must show whose account it was. Everything that fits into an entry is
    read.

    Args:
        settings: What is masked.
        key: Its key for digests.
    """

    def __init__(self, settings: Settings, key: Key) -> None:
        masked = settings.logging.redaction
        self._key = key
        self._redactor = Redactor(
            keys=masked.keys,
            allow=(*masked.allow, "email"),
            patterns=masked.patterns,
            largest=LONGEST_LINE,
            longest=LONGEST_LINE,
        )

    def __call__(self, fields: Mapping[str, object]) -> Masked:
        """Mask fields that can be written as JSON."""
        masked = self._redactor.value(fields)
        return Masked(masked, [] if masked == fields else list(self._left_out("", fields, masked)))

    def _left_out(self, at: str, given: Any, masked: Any) -> Iterator[dict[str, object]]:
        if type(given) is type(masked) and given == masked:
            return
        if isinstance(given, Mapping) and isinstance(masked, Mapping) and len(given) == len(masked):
            for (key, item), (name, kept) in zip(given.items(), masked.items(), strict=True):
                place = f"{at}.{name}" if at else str(name)
                if name != key:
                    yield self._described(f"{place} (key)", key)
                if not self._redactor.is_secret(str(key), item):
                    yield from self._left_out(place, item, kept)
        elif isinstance(given, list | tuple) and isinstance(masked, list | tuple) and len(given) == len(masked):
            named = len(given) == _PAIR and self._redactor.is_secret(str(given[0]), given[1])  # such as a header
            for number, (item, kept) in enumerate(zip(given[: 1 if named else None], masked, strict=not named)):
                yield from self._left_out(f"{at}[{number}]", item, kept)
        elif not isinstance(given, str | int | float) or self._redactor.value(given) != given:
            yield self._described(
                at, given
            )  # otherwise its neighbour names a secret, as in {"name": ..., "value": ...}

    def _described(self, at: str, given: Any) -> dict[str, object]:
        text = given if isinstance(given, str) else json.dumps(given, separators=(",", ":"))
        return {"at": at, "length": len(text), "digest": digest(self._key, text)}


def digest(key: Key, text: str) -> str:
    """What the trail contains in place of a masked text; only somebody with the key can find out which text it was."""
    return hmac.digest(key.masked, text.encode("utf-8", "surrogatepass"), "sha256").hex()
