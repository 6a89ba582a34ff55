"""Imports OpenSLO documents as the section ``slo`` of sidelight.yaml, and exports that section as OpenSLO."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.settings import parse_settings
from sidelight.objectives.documents import Objective, OpenSloError, fault, leaving_out, objectives
from sidelight.objectives.rules import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from instrumentation.settings import Objectives, Settings

__all__ = ["OpenSloError", "exported", "imported", "rule_file"]

VERSION = "openslo/v1"
_EVERY_SERVICE = "every-service"
_IN_SECONDS = {"s": 1.0, "ms": 0.001}


def imported(paths: Iterable[Path], unit: str = "", faults: list[OpenSloError] | None = None) -> str:
    """The section ``slo`` with the objectives in the files, as YAML. Each service becomes an override by its ``job``.

    What is not kept is named in comments above the section.

    Args:
        paths: Files of OpenSLO documents.
        unit: The unit of values whose query does not name it: ``s`` or ``ms``.
        faults: Gets the faults of files, documents and objectives, which are then left out; None to raise the first.

    Raises:
        OpenSloError: A file cannot be read, a document cannot be expressed in ``slo``, or two documents conflict.
        SettingsError: The resulting section is not valid.
    """
    found, notes = objectives(paths, faults)
    notes += [note for objective in found for note in _not_kept(objective)]
    kept = [objective for objective in found if not _has_own_rules(objective)]
    section = _section(kept, unit, notes, faults)
    if section is None:
        if found or faults:
            return _comments(notes, faults) + "slo: {}\n"
        raise OpenSloError(f"{notes[-1]}; give at least one.", code="openslo_not_carried_over")
    labels = sorted({"job", *(label for override in section["overrides"] for label in override["match"])})
    parse_settings({"slo": section, "alerting": {"group_by": labels}})
    return _comments(notes, faults) + yaml.safe_dump({"slo": section}, sort_keys=False)


def rule_file(paths: Iterable[Path], faults: list[OpenSloError] | None = None) -> str:
    """A rule file for the objectives whose own queries Prometheus can answer, as YAML.

    Args:
        paths: Files of OpenSLO documents.
        faults: Gets the faults of files, documents and objectives, which are then left out; None to raise the first.

    Raises:
        OpenSloError: A file cannot be read, or a query is not PromQL.
    """
    found, notes = objectives(paths, faults)
    kept = [objective for objective in found if _has_own_rules(objective)]
    notes += [f"{objective.where}: {note}" for objective in kept for note in objective.notes]
    notes += [
        f"{each.where}: has no PromQL query; `sidelight slo import` reads it" for each in found if each not in kept
    ]
    written = yaml.safe_dump(rules(kept, faults), sort_keys=False, width=120)
    return _comments(notes, faults) + written


def _comments(notes: Iterable[str], faults: Iterable[OpenSloError] | None) -> str:
    lines = [*notes, *(f"left out: {each.message}" for each in faults or ())]
    return "".join(f"# {' '.join(line.splitlines())}\n" for line in dict.fromkeys(lines))


def _has_own_rules(objective: Objective) -> bool:
    return "objective" not in objective.own and objective.indicator is not None and objective.indicator.is_promql


def _not_kept(objective: Objective) -> list[str]:
    """What of an objective the section ``slo`` does not keep, one sentence each."""
    if _has_own_rules(objective):
        return [f"{objective.where}: has PromQL queries of its own; `sidelight slo rules` writes rules for it"]
    notes = list(objective.notes)
    if objective.conditions:
        notes.append("its alert policies are not kept: Sidelight's burn-rate alerts take their place")
    if "objective" not in objective.own:
        sources = {
            query.source or "an unnamed source"
            for query in (objective.indicator.queries if objective.indicator else ())
        }
        if sources:
            notes.append(
                f"its query of {', '.join(sorted(sources))} is not kept; it applies to all requests of the job {objective.service}"
            )
        if objective.method != "Occurrences":
            notes.append(f"its method {objective.method} is not kept; requests are counted")
    return [f"{objective.where}: {note}" for note in notes]


def _section(
    found: Iterable[Objective], unit: str, notes: list[str], faults: list[OpenSloError] | None
) -> dict[str, Any] | None:
    """The section; None if no objective is left for it."""
    overrides: dict[str, dict[str, Any]] = {}
    common: dict[str, Any] = {}
    periods: dict[str, str] = {}
    for objective in found:
        with leaving_out(faults):
            kind, value = _kind(objective, unit)
            periods.setdefault(f"{objective.period_days:g}d", objective.where.rpartition(": ")[0])
            match = objective.own.get("match", json.dumps({"job": objective.service}))
            own = common if match == "{}" else overrides.setdefault(match, {"match": json.loads(match)})
            if kind in own:
                notes.append(
                    f"{objective.where}: {objective.service} has several objectives for {kind}, and only the strictest is kept"
                )
            own[kind] = max(own.get(kind, value), value, key=_strictness)
    if len(periods) > 1:
        raise fault(
            " and ".join(periods.values()), "spec.timeWindow", ", ".join(periods), "use the same period for every SLO"
        )
    return {**common, "overrides": list(overrides.values()), "period": next(iter(periods))} if periods else None


def _strictness(value: float | dict[str, float]) -> tuple[float, float]:
    """How strict an objective is: first by its limit in seconds, then by its share."""
    return (-value["seconds"], value["ratio"]) if isinstance(value, dict) else (0, value)


def _kind(objective: Objective, unit: str) -> tuple[str, Any]:
    """The key of an objective in the section, and its value there."""
    own = objective.own
    if own.get("objective") == "latency":
        return "latency", {"ratio": objective.target, "seconds": float(own["seconds"])}
    is_value = objective.limit is not None and not (objective.indicator and objective.indicator.threshold is None)
    if own.get("objective") == "availability" or not is_value:
        return "availability", objective.target
    if objective.op not in {"lt", "lte"}:
        allowed = "give lt or lte, because a value is an upper limit of latency"
        raise fault(objective.where, "op", objective.op, allowed)
    scale = _IN_SECONDS.get(objective.unit or unit)
    limit = objective.limit or 0.0
    if scale is None:
        raise fault(
            objective.where,
            "value",
            limit,
            "give its unit with --unit s or --unit ms, because the document does not name it",
        )
    if limit <= 0:
        raise fault(objective.where, "value", limit, "give a number above 0")
    return "latency", {"ratio": objective.target, "seconds": round(limit * scale, 9)}


def exported(settings: Settings) -> str:
    """The section ``slo`` as OpenSLO documents, which ``imported`` turns into the same section again."""
    slo = settings.slo
    documents = _documents(slo, {}, slo.period)
    for override in slo.overrides:
        documents += _documents(slo.of(override), dict(override.match), slo.period)
    return yaml.safe_dump_all(documents, sort_keys=False, width=120)


def _documents(found: Objectives, match: Mapping[str, str], period: str) -> list[dict[str, Any]]:
    name = HTTP_SERVER_REQUEST_DURATION.name
    selector = ",".join(f'{label}="{value}"' for label, value in match.items())
    edge = f'{selector}{"," if selector else ""}le="{found.latency.seconds:g}"'
    total = f"sum({name}_count{{{selector}}})" if selector else f"sum({name}_count)"
    failed = f'{selector}{"," if selector else ""}error_type!=""'
    return [
        _document(
            ("availability", found.availability), match, period,
            {"bad": f"sum({name}_count{{{failed}}})", "total": total},
        ),
        _document(
            ("latency", found.latency.ratio), match, period, {"good": f"sum({name}_bucket{{{edge}}})", "total": total},
            seconds=found.latency.seconds,
        ),
    ]  # fmt: skip


def _document(
    promise: tuple[str, float], match: Mapping[str, str], period: str, queries: Mapping[str, str], seconds: float = 0
) -> dict[str, Any]:
    kind, target = promise
    service = match.get("job", _EVERY_SERVICE if not match else "-".join(match.values()))
    annotations = {"sidelight/objective": kind, "sidelight/match": json.dumps(dict(match))}
    if seconds:
        annotations["sidelight/seconds"] = f"{seconds:g}"
    metrics = {key: {"metricSource": {"type": "Prometheus", "spec": {"query": text}}} for key, text in queries.items()}
    name = f"{service}-{kind}".lower().replace("_", "-").replace(".", "-")
    return {
        "apiVersion": VERSION,
        "kind": "SLO",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "service": service,
            "indicator": {"metadata": {"name": name}, "spec": {"ratioMetric": {"counter": True, **metrics}}},
            "timeWindow": [{"duration": str(period), "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"displayName": kind, "target": target}],
        },
    }
