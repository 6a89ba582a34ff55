"""Reads files, with the line number of every key and item."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import yaml

from instrumentation.errors import SidelightError
from sidelight.checks.finding import Check, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PARSE = Check(
    name="file/parse",
    severity=Severity.ERROR,
    finds="a file that is not valid YAML or JSON, or has a duplicate key",
    pint="yaml/parse",
)
Key = str | int
Place = tuple[Key, ...]

_SUFFIXES = {".yaml", ".yml", ".json"}
_LARGEST_FILE_BYTES = 32 << 20
_SURROGATES = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_DISABLE = re.compile(r"#\s*sidelight\s+(?P<whole>file/)?disable\s+(?P<names>[\w/, -]+)")
_IGNORE = re.compile(r"^#\s*sidelight\s+file/ignore\b", re.MULTILINE)
_NOT_FOLLOWED = {"node_modules", "__pycache__"}


class Kind(StrEnum):
    """The kinds of files that are checked."""

    RULES = "rules"
    DASHBOARD = "dashboard"
    COLLECTOR = "collector"


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document of a file.

    Attributes:
        path: The file.
        kind: The kind.
        data: Its content.
        lines: Path of keys to the line of that key or item, from 1.
        disabled: Line to the checks that a comment there disables; line 0 means the whole file.
    """

    path: Path
    kind: Kind
    data: dict[str, Any]
    lines: dict[Place, int]
    disabled: dict[int, frozenset[str]] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of a key or item; if it does not exist, the line of what should contain it."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]

    def finding(self, check: Check, place: Place, subject: str, message: str, cure: str) -> Finding:
        """A finding at this position."""
        line = self.line(place)
        return Finding(check=check, path=self.path, line=line, subject=subject, message=message, cure=cure)

    def allows(self, finding: Finding, first: int = 0, last: int = 0) -> bool:
        """Whether no comment disables the finding: for the whole file, on its line, or on the given lines."""
        lines = {0, finding.line, *range(first, last + 1)}
        return not any(finding.check.name in names for line, names in self.disabled.items() if line in lines)


def gather(paths: Iterable[Path]) -> tuple[list[Document], list[Finding]]:
    """The documents in files and folders, and findings for files that cannot be read.

    Raises:
        SidelightError: ``path_missing``, ``file_unreadable``.
    """
    documents: list[Document] = []
    findings: list[Finding] = []
    for path in paths:
        if not path.exists():
            raise SidelightError(f"{path}: there is no such file or folder.", code="path_missing")
        named = path.is_file()
        for file in [path] if named else _files(path):
            text = _text(file)
            if not named and not _may_be_checked(text):
                continue
            found, faults = _documents(file, text)
            documents += found
            findings += faults
            if named and not found and not faults:
                findings.append(
                    _fault(
                        file,
                        1,
                        "contains no rules, dashboard or collector configuration",
                        "give a file that contains one",
                    )
                )
    return documents, findings


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") or part in _NOT_FOLLOWED for part in path.relative_to(folder).parts)
        if path.suffix in _SUFFIXES and path.is_file() and not hidden:
            yield path


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise SidelightError(f"{path}: is larger than 32 MiB; give a smaller one.", code="file_unreadable")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SidelightError(f"{path}: cannot be read ({reason}).", code="file_unreadable") from None


def _may_be_checked(text: str) -> bool:
    """Whether a file in a folder can be recognised as one to check; Helm templates cannot until they are rendered."""
    is_template = "{{-" in text or "{{ ." in text
    keys = re.search(r'^\s*"?(groups|receivers|panels|templating)"?\s*:|^kind:\s*PrometheusRule', text, re.MULTILINE)
    return keys is not None and not is_template and not _IGNORE.search(text)


def _documents(path: Path, text: str) -> tuple[list[Document], list[Finding]]:
    try:
        roots = list(yaml.compose_all(_readable(path, text), Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return [], [_fault(path, line, f"not valid YAML: {error.problem}", "fix the syntax")]
    except yaml.YAMLError as error:
        return [], [_fault(path, 1, f"not valid YAML: {error}", "fix the syntax")]
    documents, findings = [], []
    for root in roots:
        reader = _Reader(path)
        data = reader.read(root) if root is not None else None
        kind = _kind(data)
        if kind is not None:
            documents.append(Document(path=path, kind=kind, data=data, lines=reader.lines, disabled=_disabled(text)))
            findings += reader.findings
    return documents, findings


def _readable(path: Path, text: str) -> str:
    """JSON in a form that the YAML parser accepts, with unchanged line numbers."""
    if path.suffix != ".json":
        return text
    return _SURROGATES.sub(lambda pair: json.loads(f'"{pair[0]}"'), text.replace("\t", "  "))


def _kind(data: object) -> Kind | None:
    if not isinstance(data, dict):
        return None
    if data.get("kind") == "PrometheusRule" or isinstance(data.get("groups"), list):
        return Kind.RULES
    if isinstance(data.get("panels"), list) or "templating" in data:
        return Kind.DASHBOARD
    service = data.get("service")
    return Kind.COLLECTOR if isinstance(service, dict) and "pipelines" in service else None


class _Reader:
    """Reads data and line numbers of one document."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self.findings: list[Finding] = []
        self._scalars = yaml.CSafeLoader("")

    def read(self, node: yaml.Node, place: Place = ()) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return {key: self.read(value, (*place, key)) for key, value in self._pairs(node, place)}
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*place, index)) for index, item in enumerate(node.value)]
        return self._scalars.construct_object(node)

    def _pairs(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, yaml.Node]]:
        seen = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                self.findings.append(_fault(self.path, line, f"has the key {name!r} twice", "remove one of them"))
            seen.add(name)
            self.lines[(*place, name)] = line
            yield name, value


def _disabled(text: str) -> dict[int, frozenset[str]]:
    """Line to the checks disabled by a comment; a comment on its own line applies to the next line."""
    found: dict[int, frozenset[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if comment := _DISABLE.search(line):
            names = frozenset(re.findall(r"[\w/-]+", comment["names"]))
            about = 0 if comment["whole"] else number + line.lstrip().startswith("#")
            found[about] = found.get(about, frozenset()) | names
    return found


def _fault(path: Path, line: int, message: str, cure: str) -> Finding:
    return Finding(check=PARSE, path=path, line=line, subject="", message=message, cure=cure)
