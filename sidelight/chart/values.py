"""The chart's values, each with default, comment and schema, written as values.yaml, JSON Schema and a table."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from instrumentation.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WIDTH = 110  # characters per line of a comment


class ChartError(SidelightError):
    """The settings cannot be represented in the chart."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One value that users can set.

    Attributes:
        key: Its name.
        default: Its default.
        schema: Its JSON Schema.
        note: Its comment.
        optional: Whether null removes it.
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
    """Values under one key, without further keys.

    Attributes:
        key: Its name; empty for the whole file.
        members: Its values and blocks.
        note: Its comment.
        unset: Keys without a default, with their schema.
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
        """Its rows of a table; the first is its own if it has a comment."""
        own = f"{path}{self.key}"
        if self.note:
            yield own, "", self.note
        for member in self.members:
            yield from member.rows(f"{own}.")

    @property
    def schema(self) -> dict[str, object]:
        """Its JSON Schema."""
        return {
            "type": "object",
            "additionalProperties": False,
            "required": [member.key for member in self.members if not member.optional],
            "properties": {**self.unset, **{member.key: _described(member) for member in self.members}},
        }


def to_values_file(values: Block) -> str:
    """The text of values.yaml: all defaults with their comments."""
    paragraphs = ["\n".join(lines) for lines in (_comment(values.note, ""), *(part.lines() for part in values.members))]
    return "\n\n".join(paragraphs) + "\n"


def to_schema_file(values: Block, **definitions: object) -> str:
    """The text of values.schema.json, with further definitions that values refer to with ``may_be``."""
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


# --- Schemas of values -----------------------------------------------------------------------------------------------

_LABEL_VALUE = "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"
_QUALIFIED_NAME = "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"


# Patterns are Go regular expressions, which have no lookahead. patternProperties is used instead of propertyNames, for
# which Helm 4.3 reports the wrong path.
def _of(required: tuple[str, ...], **properties: object) -> dict[str, object]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


_TEXT, _SECRET = {"$ref": "#/definitions/text"}, {"$ref": "#/definitions/secretKey"}


def _list(name: str) -> dict[str, object]:
    return {"type": "array", "items": {"$ref": f"#/definitions/{name}"}}


def _preferences(term: str, required: object, key: str) -> dict[str, object]:
    """The required terms of an affinity, and the preferred terms with their weights."""
    weighted = _of(
        ("weight", key), weight={"$ref": "#/definitions/percent"}, **{key: {"$ref": f"#/definitions/{term}"}}
    )
    return _of(
        (),
        requiredDuringSchedulingIgnoredDuringExecution=required,
        preferredDuringSchedulingIgnoredDuringExecution={"type": "array", "items": weighted},
    )


DEFINITIONS: Mapping[str, Mapping[str, object]] = {
    "flag": {"type": "boolean"},
    "text": {"type": "string", "minLength": 1},
    "count": {"type": "integer", "minimum": 1},
    "number": {"type": "number"},
    "positive": {"type": "number", "exclusiveMinimum": 0},
    "percent": {"type": "integer", "minimum": 1, "maximum": 100},
    "quantity": {"type": ["string", "number"]},  # the templates check the format and explain it
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
        # alertname is fixed, severity is a separate value, sidelight names the release
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
    "reference": _of(("name",), name=_TEXT),
    "toleration": _of(
        (),
        key=_TEXT,
        operator={"enum": ["Exists", "Equal"]},
        value={"type": "string"},
        effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
        tolerationSeconds={"type": "integer"},
    ),
    "affinity": _of(
        (),
        nodeAffinity=_preferences(
            "nodeTerm", _of(("nodeSelectorTerms",), nodeSelectorTerms=_list("nodeTerm")), "preference"
        ),
        podAffinity=_preferences("podTerm", _list("podTerm"), "podAffinityTerm"),
        podAntiAffinity=_preferences("podTerm", _list("podTerm"), "podAffinityTerm"),
    ),
    "nodeTerm": _of((), matchExpressions=_list("nodeExpression"), matchFields=_list("nodeExpression")),
    "nodeExpression": _of(
        ("key", "operator"),
        key=_TEXT,
        operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]},
        values=_list("text"),
    ),
    "podTerm": _of(
        ("topologyKey",),
        topologyKey=_TEXT,
        labelSelector={"$ref": "#/definitions/selector"},
        namespaceSelector={"$ref": "#/definitions/selector"},
        namespaces=_list("text"),
        matchLabelKeys=_list("text"),
        mismatchLabelKeys=_list("text"),
    ),
    "authorization": {
        "description": "What Prometheus sends as Authorization; the Secret is in the release's namespace.",
        **_of((), type=_TEXT, credentials=_SECRET),
    },
    "secretOrConfigMap": _of((), secret=_SECRET, configMap=_SECRET),
    "tlsConfig": _of(
        (),
        ca={"$ref": "#/definitions/secretOrConfigMap"},
        cert={"$ref": "#/definitions/secretOrConfigMap"},
        keySecret=_SECRET,
        serverName=_TEXT,
        insecureSkipVerify={"type": "boolean"},
    ),
    "relabeling": _of(
        (),
        sourceLabels=_list("text"),
        separator={"type": "string"},
        targetLabel=_TEXT,
        regex={"type": "string"},
        modulus={"type": "integer", "minimum": 1},
        replacement={"type": "string"},
        action={
            "enum": [
                "replace",
                "keep",
                "drop",
                "hashmod",
                "labelmap",
                "labeldrop",
                "labelkeep",
                "lowercase",
                "uppercase",
                "keepequal",
                "dropequal",
            ]
        },
    ),
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
    """JSON Schema definitions by name."""
    return {"$ref": f"#/definitions/{name}"}


def flag(key: str, *, default: bool = True) -> Value:
    """A switch."""
    return Value(key=key, default=default, schema=may_be("flag"))


def annotated(key: str, note: str = "") -> Value:
    """Annotations of an object; none by default."""
    return Value(key=key, default={}, schema=may_be("annotations"), note=note)


def every(key: str, item: str, note: str = "") -> Value:
    """A list whose items all have the same definition; empty by default."""
    return Value(key=key, default=[], schema={"type": "array", "items": may_be(item)}, note=note)


def labels(key: str, note: str = "") -> Value:
    """The value with the labels of an object; empty by default."""
    return Value(key=key, default={}, schema=may_be("labels"), note=note)
