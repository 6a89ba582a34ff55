"""The chart's values: each with its default, its comment and what it may be, as values.yaml, as JSON Schema and as a table."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WIDTH = 110  # characters of a line of comment


class ChartError(SidelightError):
    """The chart cannot hold what it was given."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One value that users may change.

    Attributes:
        key: Its name.
        default: What it is unless changed.
        schema: What it may be, as JSON Schema.
        note: Its comment.
        optional: Whether null may take it away.
    """

    key: str
    default: object
    schema: Mapping[str, object]
    note: str = ""
    optional: bool = False

    def lines(self, indent: str = "") -> Iterator[str]:
        """The lines of values.yaml."""
        yield from _comment(self.note, indent)
        yield f"{indent}{self.key}: {_inline(self.default)}"

    def rows(self, path: str = "") -> Iterator[tuple[str, str, str]]:
        """Its row of a table: key, default, comment."""
        yield f"{path}{self.key}", _inline(self.default), self.note


@dataclass(frozen=True, kw_only=True)
class Block:
    """Values under one key; no other key is allowed there.

    Attributes:
        key: Its name; empty for the whole file.
        members: What it holds.
        note: Its comment.
        unset: Keys that have no default, with what they may be.
    """

    key: str
    members: tuple[Value | Block, ...]
    note: str = ""
    unset: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    optional = False

    def lines(self, indent: str = "") -> Iterator[str]:
        """The lines of values.yaml."""
        yield from _comment(self.note, indent)
        yield f"{indent}{self.key}:"
        for member in self.members:
            yield from member.lines(f"{indent}  ")

    def rows(self, path: str = "") -> Iterator[tuple[str, str, str]]:
        """Its rows of a table, the first its own where it has a comment."""
        own = f"{path}{self.key}"
        if self.note:
            yield own, "", self.note
        for member in self.members:
            yield from member.rows(f"{own}.")

    @property
    def schema(self) -> dict[str, object]:
        """What it may be, as JSON Schema."""
        return {
            "type": "object",
            "additionalProperties": False,
            "required": [member.key for member in self.members if not member.optional],
            "properties": {**self.unset, **{member.key: _described(member) for member in self.members}},
        }


def to_values_file(values: Block) -> str:
    """The text of values.yaml: every default with its comment."""
    paragraphs = ["\n".join(lines) for lines in (_comment(values.note, ""), *(part.lines() for part in values.members))]
    return "\n\n".join(paragraphs) + "\n"


def to_schema_file(values: Block, **definitions: object) -> str:
    """The text of values.schema.json, with further definitions that values name by ``may_be``."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",  # read by Helm 3 and 4
        "$comment": "Written by `sidelight build` from sidelight.yaml; change that file, not this one.",
        **values.schema,
        "definitions": {**DEFINITIONS, **definitions},
    }
    return json.dumps(schema, indent=2) + "\n"


def _comment(note: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(note, _WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _inline(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("...\n").rstrip("\n")


def _described(member: Value | Block) -> dict[str, object]:
    return {"description": member.note, **member.schema} if member.note else dict(member.schema)


# --- What values may be ----------------------------------------------------------------------------------------------

_LABEL_VALUE = "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"
_QUALIFIED_NAME = "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"


# Patterns are for Go's regular expressions, which cannot look ahead. patternProperties rather than propertyNames: for
# the latter Helm 4.3 names another path than the one at fault.
def _of(required: tuple[str, ...], **properties: object) -> dict[str, object]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


_TEXT, _SECRET = {"$ref": "#/definitions/text"}, {"$ref": "#/definitions/secretKey"}
DEFINITIONS: Mapping[str, Mapping[str, object]] = {
    "flag": {"type": "boolean"},
    "text": {"type": "string", "minLength": 1},
    "count": {"type": "integer", "minimum": 1},
    "positive": {"type": "number", "exclusiveMinimum": 0},
    "percent": {"type": "integer", "minimum": 1, "maximum": 100},
    "quantity": {"type": ["string", "number"]},  # the templates say in a sentence what one is
    "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "duration": {
        "type": "string",
        "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
        "allOf": [{"pattern": "[1-9]"}],  # neither empty nor 0
    },
    "objectName": {"type": "string", "maxLength": 63, "pattern": "^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"},
    "labelName": {"type": "string", "pattern": _QUALIFIED_NAME},
    "labelValue": {"type": "string", "pattern": _LABEL_VALUE},
    "labels": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {_QUALIFIED_NAME: {"type": "string", "pattern": _LABEL_VALUE}},
    },
    "annotations": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {_QUALIFIED_NAME: {"type": "string"}},
    },
    "scope": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {
            "^[a-zA-Z_][a-zA-Z0-9_]*$": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/text"}},
        },
    },
    "alertLabels": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^[a-zA-Z_][a-zA-Z0-9_]*$": {"type": "string", "minLength": 1}},
        # alertname is fixed, severity a value beside it, sidelight says whose the alert is
        "properties": {"alertname": False, "severity": False, "sidelight": False},
    },
    "alertAnnotations": {
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^[a-zA-Z_][a-zA-Z0-9_]*$": {"type": "string", "minLength": 1}},
    },
    "selector": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "matchLabels": {"$ref": "#/definitions/labels"},
            "matchExpressions": {"type": "array", "items": {"$ref": "#/definitions/matchExpression"}},
        },
    },
    "matchExpression": {
        "type": "object",
        "additionalProperties": False,
        "required": ["key", "operator"],
        "properties": {
            "key": {"$ref": "#/definitions/labelName"},
            "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
            "values": {"type": "array", "items": {"$ref": "#/definitions/labelValue"}},
        },
    },
    "secretKey": {
        "description": "A key of a Secret or a ConfigMap in the release's namespace.",
        **_of(("name", "key"), name=_TEXT, key=_TEXT),
    },
    "environment": {
        "description": "A variable of a container's environment.",
        **_of(("name",), name=_TEXT, value={"type": "string"}, valueFrom={"$ref": "#/definitions/valueFrom"}),
    },
    "valueFrom": _of((), secretKeyRef=_SECRET, configMapKeyRef=_SECRET, fieldRef=_of(("fieldPath",), fieldPath=_TEXT)),
    "namespaceSelector": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "any": {"type": "boolean"},
            "matchNames": {"type": "array", "items": {"$ref": "#/definitions/text"}},
        },
    },
}


def may_be(name: str) -> Mapping[str, object]:
    """What a value may be, by the name of its definition."""
    return {"$ref": f"#/definitions/{name}"}


def flag(key: str, *, default: bool = True) -> Value:
    """A switch."""
    return Value(key=key, default=default, schema=may_be("flag"))


def labels(key: str, note: str = "") -> Value:
    """Labels of an object; none by default."""
    return Value(key=key, default={}, schema=may_be("labels"), note=note)
