"""Finds the rules, dashboards and collector configurations in files, also those inside other documents."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from instrumentation.errors import SidelightError
from sidelight.checks.finding import Check, Finding, Severity
from sidelight.checks.reading import (
    LARGEST_FILE_BYTES,
    Deadline,
    Place,
    ReadError,
    Source,
    Spot,
    decoded,
    read,
)
from sidelight.checks.suppressions import Suppressions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PARSE = Check(
    name="file/parse",
    severity=Severity.ERROR,
    finds="a file that cannot be read: not valid YAML or JSON, not UTF-8, with a duplicate key, or beyond the limits of "
    "10 MiB, 100 levels, 1,000,000 values and 10 seconds",
    pint="yaml/parse",
)

_SUFFIXES = {".yaml", ".yml", ".json", ".rules"}
_IGNORE = re.compile(r"^#\s*sidelight\s+file/ignore\b", re.MULTILINE)
_OURS = re.compile(r'"?\b(?:groups|panels|templating|PrometheusRule|VMRule)"?\s*:|kind:\s*(?:PrometheusRule|VMRule)')
_TEMPLATE = re.compile(r"\{\{-?\s*(?:\.|if\b|range\b|with\b|include\b|define\b|template\b|end\b|\$|/\*)")
_NOT_FOLLOWED = {"node_modules", "__pycache__"}
_KINDS = {"PrometheusRule", "VMRule", "Dashboard", "OpenTelemetryCollector", "GrafanaDashboard", "ConfigMap"}
_NOTHING = "contains no rules, dashboard or collector configuration"
_NESTED = 3  # how many documents may be inside each other, such as a dashboard in a ConfigMap in a List


class Kind(StrEnum):
    """The kinds of documents that are checked."""

    RULES = "rules"
    DASHBOARD = "dashboard"
    COLLECTOR = "collector"

    def counted(self, number: int) -> str:
        """A number of files of this kind, in words."""
        words = {"rules": "rule file", "dashboard": "dashboard", "collector": "collector configuration"}
        return f"{number} {words[self.value]}{'s' * (number != 1)}"


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document of a file, or a part of one.

    Attributes:
        path: The file.
        kind: The kind.
        data: Its content.
        source: Where its keys, items and strings stand.
        deadline: When it must have been checked.
        suppressions: The comments that disable checks.
        is_resource: Whether it is an object of Kubernetes, whose types are strict.
        is_metricsql: Whether its expressions may be MetricsQL.
        is_embedded: Whether it is inside a string, so that its text cannot be changed in place.
        text: The text of the file.
    """

    path: Path
    kind: Kind
    data: dict[str, Any]
    source: Source
    deadline: Deadline
    suppressions: Suppressions
    is_resource: bool = False
    is_metricsql: bool = False
    is_embedded: bool = False
    text: str = ""

    def line(self, place: Place) -> int:
        """The line of a key or item; if it does not exist, the line of what should contain it."""
        lines = self.source.lines
        while place not in lines:
            place = place[:-1]
        return lines[place]

    def finding(self, check: Check, place: Place, subject: str, message: str, cure: str) -> Finding:
        """A finding at this position."""
        line = self.line(place)
        return Finding(check=check, path=self.path, line=line, subject=subject, message=message, cure=cure)

    def located(self, finding: Finding, place: Place, part: tuple[int, int]) -> Finding:
        """A finding about a part of the string at a place, with the line and column of that part if they are known."""
        spot, value = self.source.spots.get(place), _at(self.data, place)
        if spot is None or not isinstance(value, str) or self.is_embedded:
            return finding
        begin, end = (self._position(spot, value, offset) for offset in part)
        if begin is None or end is None:
            return finding
        return replace(
            finding, line=begin[0], column=begin[1] + 1, end_line=end[0], end_column=end[1] + 1, style=spot.style
        )

    def _position(self, spot: Spot, value: str, offset: int) -> tuple[int, int] | None:
        """The line, from 1, and the column, from 0, of a position in a string; None if it is not known."""
        before = value[:offset]
        lines = self.text.split("\n")
        if spot.style == "|":
            line = spot.line + 1 + before.count("\n")
            first = next((each for each in lines[spot.line :] if each.strip()), "")
            return line, len(first) - len(first.lstrip()) + len(before.rpartition("\n")[2])
        if spot.style == '"':
            column = _column_of_escaped(lines[spot.line - 1], spot.column + 1, offset)
            return None if column is None else (spot.line, column)
        if spot.style == ">" or "\n" in value or (spot.style == "'" and "'" in before):
            return None
        return spot.line, spot.column + len(spot.style) + offset


_ESCAPES = {"x": 4, "u": 6, "U": 10}


def _column_of_escaped(line: str, column: int, offset: int) -> int | None:
    r"""The column of a character in a string in double quotes; None if the string continues on the next line.

    >>> _column_of_escaped(r'"a\"b"', 1, 2)
    4
    """
    for _ in range(offset):
        length = _ESCAPES.get(line[column + 1 : column + 2], 2) if line[column : column + 1] == "\\" else 1
        is_pair = length == _ESCAPES["u"] and line[column + 2 : column + 4].lower() in {"d8", "d9", "da", "db"}
        column += 2 * length if is_pair else length
    return column if column < len(line) else None


def _at(data: Any, place: Place) -> Any:
    """What is at a place of a document."""
    for key in place:
        data = data[key]
    return data


@dataclass(frozen=True, kw_only=True)
class Left:
    """A file that was not checked, and why."""

    path: Path
    reason: str


@dataclass(kw_only=True)
class Gathered:
    """What is in the files.

    Attributes:
        documents: What can be checked.
        findings: Files that cannot be read.
        left: Files in folders that are not checked.
        others: How many files in folders are neither YAML nor JSON.
        suppressions: The comments of each file.
    """

    documents: list[Document] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    others: int = 0
    suppressions: dict[Path, Suppressions] = field(default_factory=dict)


def gather(paths: Iterable[Path]) -> Gathered:
    """The documents in files and folders, findings for files that cannot be read, and what is left.

    Raises:
        SidelightError: ``path_missing``.
    """
    found = Gathered()
    for path in paths:
        if not path.exists():
            raise SidelightError(f"{path}: there is no such file or folder.", code="path_missing")
        if path.is_dir():
            for file in _files(path):
                if file.suffix.lower() in _SUFFIXES:
                    _add(found, file, is_named=False)
                else:
                    found.others += 1
        else:
            _add(found, path, is_named=True)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") or part in _NOT_FOLLOWED for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path


def _add(found: Gathered, path: Path, *, is_named: bool) -> None:
    """Add a file to what is found: its documents, a finding, or that it is left."""
    text = ""
    try:
        text = _text(path)
        if not is_named and _IGNORE.search(text):
            found.left.append(Left(path=path, reason="it has the comment `sidelight file/ignore`"))
            return
        documents, reasons = _documents(path, text, found)
    except ReadError as error:
        is_template = bool(_TEMPLATE.search(text)) and error.message.startswith(("not valid YAML", "has a key"))
        reason = "is a template, which can only be read after it is rendered" if is_template else error.message
        is_ours = not text or (_OURS.search(text) is not None and not is_template)
        if is_named or is_ours:
            found.findings.append(
                _fault(path, error.line, reason, "check what it renders" if is_template else error.cure)
            )
        else:
            found.left.append(Left(path=path, reason=reason))
        return
    except Exception as error:  # noqa: BLE001 - one file must not end the run
        reason = f"cannot be read, because of a fault in sidelight check: {type(error).__name__}: {error}"
        found.findings.append(_fault(path, 1, reason, "report it with the file"))
        return
    found.documents += documents
    if not documents:
        reason = [*reasons, _NOTHING][0]
        if is_named:
            found.findings.append(_fault(path, 1, reason, "give a file that contains one"))
        else:
            found.left.append(Left(path=path, reason=reason))


def _documents(path: Path, text: str, found: Gathered) -> tuple[list[Document], list[str]]:
    """The documents of a file; if there is none, the reasons."""
    is_json, deadline = path.suffix.lower() == ".json", Deadline()
    sources = read(text, deadline, is_json=is_json)
    suppressions = found.suppressions.setdefault(path, Suppressions.of(text))
    whole = Document(
        path=path, kind=Kind.RULES, data={}, source=Source(), deadline=deadline, suppressions=suppressions, text=text
    )
    reasons: list[str] = []
    documents: list[Document] = []
    for source in sources:
        documents += _Inside(replace(whole, source=source), reasons).find(source.data, (), _NESTED)
        for line, key in source.twice if documents else ():
            found.findings.append(_fault(path, line, f"has the key {key!r} twice", "remove one of them"))
    return documents, reasons


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise ReadError(1, f"is larger than {LARGEST_FILE_BYTES >> 20} MiB", "split it")
        return decoded(path.read_bytes())
    except OSError as error:
        raise ReadError(1, f"cannot be read ({error.strerror})", "check its permissions") from None


# --- What is inside a document ---------------------------------------------------------------------------------------


class _Inside:
    """Finds what can be checked in a document, also in lists, ConfigMaps and strings.

    Attributes:
        whole: The document.
        reasons: What is added for each part that cannot be checked.
    """

    def __init__(self, whole: Document, reasons: list[str]) -> None:
        self.whole, self.reasons = whole, reasons

    def find(self, data: Any, place: Place, depth: int) -> Iterator[Document]:
        """The documents at a place; ``depth`` is how many may be inside each other."""
        if not isinstance(data, dict):
            self.reasons.append(_NOTHING)
            return
        kind = data.get("kind")
        of_kind = getattr(self, f"_{kind}", None) if isinstance(kind, str) and kind in _KINDS else None
        found = list(of_kind(data, place, depth)) if of_kind and depth else []
        if not found and isinstance(kind, str) and kind.endswith("List") and depth:
            for index, item in enumerate(data["items"] if isinstance(data.get("items"), list) else ()):
                found += self.find(item, (*place, "items", index), depth - 1)
        yield from found or self._plain(data, place)

    def _plain(self, data: dict[str, Any], place: Place) -> Iterator[Document]:
        service = data.get("service")
        if _has_rules(data):
            yield self.part(Kind.RULES, data, place)
        elif isinstance(data.get("dashboard"), dict) and _is_dashboard(data["dashboard"]):
            yield self.part(Kind.DASHBOARD, data["dashboard"], (*place, "dashboard"))
        elif _is_dashboard(data):
            yield self.part(Kind.DASHBOARD, data, place)
        elif isinstance(service, dict) and "pipelines" in service:
            yield self.part(Kind.COLLECTOR, data, place)
        else:
            self.reasons.append(_reason(data))

    def part(self, kind: Kind, data: dict[str, Any], place: Place) -> Document:
        """The part of a document at a place, with positions counted from there."""
        if not place:
            return replace(self.whole, kind=kind, data=data)
        depth, source = len(place), self.whole.source
        inside = Source(
            data=data,
            lines={key[depth:]: line for key, line in source.lines.items() if key[:depth] == place},
            spots={key[depth:]: spot for key, spot in source.spots.items() if key[:depth] == place},
        )
        inside.lines.setdefault((), self.whole.line(place))
        return replace(self.whole, kind=kind, data=data, source=inside)

    def _PrometheusRule(self, data: dict[str, Any], place: Place, depth: int) -> Iterator[Document]:  # noqa: N802
        del depth
        if isinstance(data.get("spec"), dict):
            part = self.part(Kind.RULES, data["spec"], (*place, "spec"))
            yield replace(part, is_resource=True, is_metricsql=data["kind"] == "VMRule")

    _VMRule = _PrometheusRule

    def _Dashboard(self, data: dict[str, Any], place: Place, depth: int) -> Iterator[Document]:  # noqa: N802
        del depth
        spec, metadata = data.get("spec"), data.get("metadata")
        if isinstance(spec, dict) and str(data.get("apiVersion", "")).startswith("dashboard.grafana.app"):
            uid = metadata.get("name") if isinstance(metadata, dict) else None
            yield self.part(Kind.DASHBOARD, {"uid": uid, **spec}, (*place, "spec"))

    def _OpenTelemetryCollector(self, data: dict[str, Any], place: Place, depth: int) -> Iterator[Document]:  # noqa: N802
        config = _get(data, "spec", "config")
        if isinstance(config, dict) and isinstance(config.get("service"), dict):
            yield self.part(Kind.COLLECTOR, config, (*place, "spec", "config"))
        elif isinstance(config, str):
            yield from self.embedded(config, (*place, "spec", "config"), depth, is_json=False)

    def _GrafanaDashboard(self, data: dict[str, Any], place: Place, depth: int) -> Iterator[Document]:  # noqa: N802
        text = _get(data, "spec", "json")
        if isinstance(text, str):
            yield from self.embedded(text, (*place, "spec", "json"), depth, is_json=True)

    def _ConfigMap(self, data: dict[str, Any], place: Place, depth: int) -> Iterator[Document]:  # noqa: N802
        entries = data.get("data")
        for name, text in entries.items() if isinstance(entries, dict) else ():
            if isinstance(text, str) and name.endswith(tuple(_SUFFIXES)):
                yield from self.embedded(text, (*place, "data", name), depth, is_json=name.endswith(".json"))

    def embedded(self, text: str, place: Place, depth: int, *, is_json: bool) -> Iterator[Document]:
        """The documents in a string; in a block of lines they have their own lines, elsewhere that of the string."""
        first, spot = self.whole.line(place), self.whole.source.spots.get(place)
        is_block = spot is not None and spot.style == "|"
        try:
            sources = read(text, self.whole.deadline, is_json=is_json)
        except ReadError as error:
            line = first + error.line if is_block else first
            if _OURS.search(text):
                raise ReadError(line, f"{place[-1]}: {error.message}", error.cure) from None
            self.reasons.append(f"{place[-1]}: {error.message}")
            return
        for source in sources:
            lines = {key: first + line if is_block else first for key, line in source.lines.items()}
            moved = replace(self.whole, source=Source(data=source.data, lines=lines), is_embedded=True)
            yield from _Inside(moved, self.reasons).find(source.data, (), depth - 1)


def _get(data: Any, *keys: str) -> Any:
    """What is under some keys; None if one of them is missing."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _is_dashboard(data: dict[str, Any]) -> bool:
    if isinstance(data.get("elements"), dict) and isinstance(data.get("layout"), dict):
        return True
    rows = data.get("rows")
    has_rows = isinstance(rows, list) and any(
        isinstance(row, dict) and isinstance(row.get("panels"), list) for row in rows
    )
    return isinstance(data.get("panels"), list) or has_rows or "templating" in data


def _has_rules(data: dict[str, Any]) -> bool:
    """Whether a document is a rule file; other tools have lists of groups too, and Grafana's own alerts a version number."""
    groups = data.get("groups")
    if not isinstance(groups, list) or isinstance(data.get("apiVersion"), int):
        return False
    return not groups or any(isinstance(group, dict) and {"rules", "name"} & set(group) for group in groups)


def _reason(data: dict[str, Any]) -> str:
    version, kind = str(data.get("apiVersion", "")), data.get("kind")
    if version.startswith("openslo/"):
        return "is an OpenSLO document, which `sidelight slo import` reads"
    if isinstance(data.get("apiVersion"), int) and isinstance(data.get("groups"), list):
        return "is a provisioning file of Grafana's own alerts, which are not checked"
    if "tests" in data and "rule_files" in data:
        return "is a test of rules, which promtool runs"
    return f"is a {kind}, and {_NOTHING}" if kind and version else _NOTHING


def counted(documents: Iterable[Document]) -> Counter[Kind]:
    """How many files of each kind there are."""
    return Counter(kind for _, kind in {(document.path, document.kind) for document in documents})


def _fault(path: Path, line: int, message: str, cure: str) -> Finding:
    return Finding(check=PARSE, path=path, line=line, subject="", message=message, cure=cure)
