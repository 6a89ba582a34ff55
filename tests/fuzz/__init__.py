"""Fuzzes the parsers that read what others write: clients, other people's files, and those who can write to the audit trail's folder."""

_AUDIT = ("instrumentation.auditing",)
_REDACTION = ("instrumentation.redaction",)

PARTS = {
    "settings": ("instrumentation.settings",),
    "negotiation": ("instrumentation.exposition", "instrumentation.http.page"),
    "merged_page": ("instrumentation.exposition", "instrumentation.http.merged_page"),
    "request": ("instrumentation.http.server", "instrumentation.http.connections", "instrumentation.http.page"),
    "correlation": ("instrumentation.correlation", "instrumentation.http.correlation"),
    "retry_after": ("instrumentation.retry",),
    "traced_request": ("instrumentation.tracing", "opentelemetry.instrumentation.asgi", "opentelemetry.baggage"),
    "redaction_of_text": _REDACTION,
    "redaction_of_data": _REDACTION,
    "audit_file": _AUDIT,
    "audit_head": _AUDIT,
    "promql": ("alerts.promql",),
    "checked_file": ("sidelight.checks", "alerts.promql"),
    "objectives": ("sidelight.objectives", "sidelight.checks.reading"),
}
"""The modules of each target in which the fuzzer looks for new paths."""
