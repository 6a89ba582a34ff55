"""The exceptions Sidelight raises: each has a sentence for people, a code for programs, and details for both."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SidelightError(Exception):
    """The root of every exception that Sidelight raises.

    Attributes:
        message: One sentence: what is wrong, where, what was given, what to do.
        code: A stable name for programs, such as ``"settings_invalid"``.
        details: Read-only data behind the sentence.
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
    """One thing that is wrong in the settings, printed as one line.

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
    """The settings cannot be used; ``faults`` holds every fault found, and the message one line for each."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "\n".join(map(str, self.faults)),
            code="settings_invalid",
            details={"faults": tuple(map(str, self.faults))},
        )


class InstrumentationError(SidelightError):
    """An app cannot be instrumented the way it was asked for."""


# --- For the service's own use ----------------------------------------------------------------------------------------


class AppError(SidelightError):
    """What a service raises to answer a request with an error, as a problem document (RFC 9457).

    >>> raise NotFoundError("There is no order 7.", details={"order": 7})
    Traceback (most recent call last):
    instrumentation.errors.NotFoundError: There is no order 7.

    Args:
        message: One sentence for whoever called; it is shown to them.
        code: A stable name for programs, one of few: it becomes a label. Each class has a default.
        details: Data behind the sentence; shown to the caller where the fault is theirs (4xx), else only logged.
        retry_after: Seconds after which the caller may try again, sent as Retry-After.

    Attributes:
        status: The HTTP status.
        default_code: The code where none is given.
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
    """What was sent cannot be used."""

    status = 400
    default_code = "validation_failed"


class AuthenticationError(AppError):
    """It is not known who asks."""

    status = 401
    default_code = "authentication_failed"


class PermissionDeniedError(AppError):
    """Whoever asks may not do this."""

    status = 403
    default_code = "permission_denied"


class NotFoundError(AppError):
    """There is no such thing."""

    status = 404
    default_code = "not_found"


class ConflictError(AppError):
    """It does not go together with what is there."""

    status = 409
    default_code = "conflict"


class RateLimitedError(AppError):
    """Too much was asked for in too short a time."""

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
