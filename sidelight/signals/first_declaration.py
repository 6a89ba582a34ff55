"""``sidelight signals from``: a first declaration of signals, from a metrics page or from ``prometheus_client`` definitions."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import yaml
from prometheus_client.parser import text_string_to_metric_families

from instrumentation.errors import SettingsError, SidelightError
from instrumentation.settings import parse_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_VALUES = 10
"""A label with more values on a page is declared with a limit instead."""

_TIMEOUT = 10.0
_KINDS = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram"}
_HEAD = """\
# A first declaration: check the values of labels, and for each gauge whether workers and instances add up (sum) or see the
# same (max, min). docs/how-to/declare-signals.md describes all keys.
"""


def signals_from(source: str) -> str:
    """The section ``signals`` as YAML, with a comment for each metric that cannot be declared.

    Args:
        source: The address or the file of a metrics page, or a Python file, or a folder of these.

    Raises:
        SidelightError: ``source_unreadable``, ``source_without_metrics``.
    """
    found = list(_from_code(Path(source)) if _is_code(source) else _from_page(_text(source)))
    if not found:
        raise SidelightError(
            f"{source}: has no metrics; give a metrics page, or Python code that creates Counter, Gauge or Histogram.",
            code="source_without_metrics",
        )
    declared: list[dict[str, Any]] = []
    left: list[str] = []
    for signal in found:
        reason = _reason(signal, declared)
        if reason:
            left.append(f"# Not declared: {signal['name']}: {reason}\n")
        else:
            declared.append(signal)
    body = (
        yaml.safe_dump({"signals": declared}, sort_keys=False, default_flow_style=None, width=110) if declared else ""
    )
    return _HEAD + body + "".join(left)


def _is_code(source: str) -> bool:
    return source.endswith(".py") or Path(source).is_dir()


def _reason(signal: dict[str, Any], declared: list[dict[str, Any]]) -> str:
    """Why a signal cannot be declared beside the others; empty if it can."""
    if signal["kind"] not in _KINDS.values():
        return f"it is of the type {signal['kind']}; count it with a histogram, or keep it as it is."
    try:
        parse_settings({"signals": [*declared, signal]})
    except SettingsError as error:
        fault = error.faults[0]
        return f"{fault.problem}; {fault.allowed}."
    return ""


def _text(source: str) -> str:
    try:
        if source.startswith(("http://", "https://")):
            with urlopen(Request(source, headers={"Accept": "text/plain"}), timeout=_TIMEOUT) as answer:  # noqa: S310 - http only
                return str(answer.read().decode("utf-8"))
        return Path(source).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise SidelightError(
            f"{source}: cannot be read ({error}); give a metrics page, its address, or Python code.",
            code="source_unreadable",
        ) from None


# --- From a page -----------------------------------------------------------------------------------------------------


def _from_page(text: str) -> Iterator[dict[str, Any]]:
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError as error:
        raise SidelightError(f"the metrics page cannot be read: {error}.", code="source_unreadable") from None
    for family in families:
        if family.samples:
            edges = {sample.labels["le"] for sample in family.samples if "le" in sample.labels}
            labels = _labels(sample.labels for sample in family.samples)
            yield _signal(family.name, family.type, family.documentation, labels, sorted(map(float, edges - {"+Inf"})))


def _labels(samples: Iterable[dict[str, str]]) -> dict[str, Any]:
    values: dict[str, dict[str, None]] = {}
    for sample in samples:
        for name, value in sample.items():
            if name not in {"le", "quantile"}:
                values.setdefault(name, {})[value] = None
    return {name: [*seen] if len(seen) <= MOST_VALUES and all(seen) else {"limit": 50} for name, seen in values.items()}


def _signal(name: str, kind: str, text: str, labels: dict[str, Any], edges: list[float]) -> dict[str, Any]:
    signal: dict[str, Any] = {"name": name.removesuffix("_total"), "kind": kind}
    if text.strip():
        signal["help"] = " ".join(text.split())[:200]
    if labels:
        signal["labels"] = labels
    if kind == "gauge":
        signal["combine"] = "sum"
    if kind == "histogram" and edges:
        signal["buckets"] = edges
    return signal


# --- From code -------------------------------------------------------------------------------------------------------


def _from_code(path: Path) -> Iterator[dict[str, Any]]:
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    for file in files:
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError) as error:
            raise SidelightError(f"{file}: cannot be read ({error}).", code="source_unreadable") from None
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (kind := _KINDS.get(ast.unparse(node.func).rpartition(".")[2])):
                yield from _of_call(node, kind)


def _of_call(call: ast.Call, kind: str) -> Iterator[dict[str, Any]]:
    given = dict(zip(("name", "documentation", "labelnames"), map(_literal, call.args), strict=False))
    given |= {keyword.arg: _literal(keyword.value) for keyword in call.keywords if keyword.arg}
    name, text, edges = given.get("name"), given.get("documentation"), given.get("buckets") or ()
    if isinstance(name, str) and isinstance(text, str):
        prefix = "_".join(
            part for part in (given.get("namespace"), given.get("subsystem")) if isinstance(part, str) and part
        )
        labels = {str(label): {"limit": 50} for label in given.get("labelnames") or ()}
        numbers = [float(edge) for edge in edges if isinstance(edge, int | float)]
        yield _signal(f"{prefix}_{name}" if prefix else name, kind, text, labels, numbers)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:  # an expression, whose value only the running code knows
        return None
