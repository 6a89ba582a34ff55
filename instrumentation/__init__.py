"""The package that a service imports: ``instrument(app)`` and related names.

Everything loads on first use, so ``import instrumentation`` reads no files, no environment and no large library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation.version import __version__

if TYPE_CHECKING:
    from instrumentation.auditing import AuditError, audit, audit_async
    from instrumentation.caches import watch_cache
    from instrumentation.client import instrument_client
    from instrumentation.correlation import correlation_id
    from instrumentation.databases import instrument_database
    from instrumentation.environment import read_environment
    from instrumentation.errors import (
        AppError,
        AuthenticationError,
        ConflictError,
        ExternalServiceError,
        ExternalTimeoutError,
        InstrumentationError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitedError,
        SettingsError,
        SidelightError,
        ValidationError,
    )
    from instrumentation.health.checks import http_check, redis_check, sqlalchemy_check, tcp_check
    from instrumentation.health.migrations import alembic_check
    from instrumentation.health.monitor import health_check
    from instrumentation.http import instrument, uninstrument
    from instrumentation.http.problems import problem_documents
    from instrumentation.http.request_hook import FinishedRequest
    from instrumentation.logs import configure_logging, set_level
    from instrumentation.process import instrument_process
    from instrumentation.queues import queue
    from instrumentation.redaction import Redactor
    from instrumentation.retry import retry_with_backoff
    from instrumentation.settings import Settings, load_settings
    from instrumentation.signals import counter, gauge, histogram, job
    from instrumentation.tasks import instrument_tasks
    from instrumentation.timeouts import time_limit
    from instrumentation.users.active import saw_user
    from instrumentation.workflows import workflow, workflow_created

_HOME = {
    "AppError": "errors",
    "AuditError": "auditing",
    "AuthenticationError": "errors",
    "ConflictError": "errors",
    "ExternalServiceError": "errors",
    "ExternalTimeoutError": "errors",
    "FinishedRequest": "http.request_hook",
    "InstrumentationError": "errors",
    "NotFoundError": "errors",
    "PermissionDeniedError": "errors",
    "RateLimitedError": "errors",
    "Redactor": "redaction",
    "Settings": "settings",
    "SettingsError": "errors",
    "SidelightError": "errors",
    "ValidationError": "errors",
    "alembic_check": "health.migrations",
    "audit": "auditing",
    "audit_async": "auditing",
    "configure_logging": "logs",
    "correlation_id": "correlation",
    "counter": "signals",
    "gauge": "signals",
    "health_check": "health.monitor",
    "histogram": "signals",
    "http_check": "health.checks",
    "instrument": "http",
    "instrument_client": "client",
    "instrument_database": "databases",
    "instrument_process": "process",
    "instrument_tasks": "tasks",
    "job": "signals",
    "load_settings": "settings",
    "problem_documents": "http.problems",
    "queue": "queues",
    "read_environment": "environment",
    "redis_check": "health.checks",
    "retry_with_backoff": "retry",
    "saw_user": "users.active",
    "set_level": "logs",
    "sqlalchemy_check": "health.checks",
    "tcp_check": "health.checks",
    "time_limit": "timeouts",
    "uninstrument": "http",
    "watch_cache": "caches",
    "workflow": "workflows",
    "workflow_created": "workflows",
}

__all__ = [
    "AppError",
    "AuditError",
    "AuthenticationError",
    "ConflictError",
    "ExternalServiceError",
    "ExternalTimeoutError",
    "FinishedRequest",
    "InstrumentationError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitedError",
    "Redactor",
    "Settings",
    "SettingsError",
    "SidelightError",
    "ValidationError",
    "__version__",
    "alembic_check",
    "audit",
    "audit_async",
    "configure_logging",
    "correlation_id",
    "counter",
    "gauge",
    "health_check",
    "histogram",
    "http_check",
    "instrument",
    "instrument_client",
    "instrument_database",
    "instrument_process",
    "instrument_tasks",
    "job",
    "load_settings",
    "problem_documents",
    "queue",
    "read_environment",
    "redis_check",
    "retry_with_backoff",
    "saw_user",
    "set_level",
    "sqlalchemy_check",
    "tcp_check",
    "time_limit",
    "uninstrument",
    "watch_cache",
    "workflow",
    "workflow_created",
]


if not TYPE_CHECKING:  # a type checker would take every name for public
    from importlib import import_module

    def __getattr__(name: str) -> object:
        """Load a public name on first use."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
