"""The exceptions of Sidelight: each has a message for people, a code for programs, and details for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - for typing.get_type_hints
from dataclasses import dataclass
from types import MappingProxyType

_MOST_FAULTS = 50  # in a message; any other file can have thousands


class SidelightError(Exception):
    """The base class of all exceptions raised by Sidelight.

    Attributes:
        message: One sentence: what is wrong, where, what was given, what to do.
        code: A stable name for programs, such as ``"settings_invalid"``.
        details: Read-only data for the message.
    """

    def __init__(self, message: str, *, code: str, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details = MappingProxyType(dict(details or {}))


def reason(error: BaseException) -> str:
    r"""What a callback of the service raised, on one line of at most 300 characters, for the log.

    >>> reason(ValueError("no\nroute"))
    'ValueError: no route'
    """
    kind = type(error).__qualname__
    try:
        return " ".join(f"{kind}: {error}".split())[:300]
    except BaseException:  # noqa: BLE001 - its text is the service's code too
        return kind


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault in the settings, printed as one line.

    Attributes:
        source: The file or the environment variable it was found in.
        path: The key path, such as ``thresholds.error_ratio.warning``; empty for the source as a whole.
        problem: What was given or is missing.
        allowed: What to give instead.
    """

    source: str
    path: str
    problem: str
    allowed: str

    def __str__(self) -> str:
        place = f"{self.source}: {self.path}" if self.path else self.source
        return f"{place}: {self.problem}; {self.allowed}."


class SettingsError(SidelightError):
    """The settings are not valid; ``faults`` contains all faults, and the message has one line for each of the first 50."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = [*map(str, self.faults[:_MOST_FAULTS])]
        more = len(self.faults) - len(lines)
        super().__init__(
            "\n".join([*lines, *([f"{more} more faults are not shown."] if more else [])]),
            code="settings_invalid",
            details={"faults": tuple(lines)},
        )


class InstrumentationError(SidelightError):
    """An app cannot be instrumented, or an argument is not valid."""


# --- For the service's own use ----------------------------------------------------------------------------------------


class AppError(SidelightError):
    """Raised by a service to answer a request with an error, as a problem document (RFC 9457).

    >>> raise NotFoundError("There is no order 7.", details={"order": 7})
    Traceback (most recent call last):
    instrumentation.errors.NotFoundError: There is no order 7.

    Args:
        message: One sentence for the client, which is sent to it.
        code: A stable name for programs; use few different codes, because it becomes a label. Each class has a default.
        details: Data for the message; sent to the client for client errors (4xx), otherwise only logged.
        retry_after: Seconds after which the client may retry, sent as Retry-After.

    Attributes:
        status: The HTTP status.
        default_code: The code if none is given.
    """

    status = 500
    default_code = "internal_error"

    def __init__(
        self,
        message: str,
        code: str | None = None,
        details: Mapping[str, object] | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code or self.default_code, details=details)
        self.retry_after = retry_after


class ValidationError(AppError):
    """The request is not valid."""

    status = 400
    default_code = "validation_failed"


class AuthenticationError(AppError):
    """The client is not authenticated."""

    status = 401
    default_code = "authentication_failed"


class PermissionDeniedError(AppError):
    """The client is not allowed to do this."""

    status = 403
    default_code = "permission_denied"


class NotFoundError(AppError):
    """The requested object does not exist."""

    status = 404
    default_code = "not_found"


class ConflictError(AppError):
    """The request conflicts with the current state."""

    status = 409
    default_code = "conflict"


class RateLimitedError(AppError):
    """The client sent too many requests."""

    status = 429
    default_code = "rate_limited"


class ExternalServiceError(AppError):
    """A service that this one depends on failed."""

    status = 503
    default_code = "external_service_failed"


class ExternalTimeoutError(ExternalServiceError):
    """A service that this one depends on took too long."""

    status = 504
    default_code = "external_service_timeout"
