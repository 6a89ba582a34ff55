"""Errors as problem documents (RFC 9457): what the caller needs to know, and no internals."""

from __future__ import annotations

import json
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from instrumentation import catalog
from instrumentation.correlation import correlation_id
from instrumentation.errors import AppError, InstrumentationError
from instrumentation.http.frameworks.starlette import answering
from instrumentation.http.problem_document import Document
from instrumentation.log_once import LogOnce
from instrumentation.store import Store, add, default_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from instrumentation.asgi import ASGIApp, Receive, Scope, Send
    from instrumentation.http.routes import Routes

_log = logging.getLogger("instrumentation")
_LARGEST_LIST = 100  # faults that one document names


def problem_documents(app: Any, *, store: Store | None = None) -> None:
    """Answer every error of a Starlette or FastAPI app with a problem document.

    ``instrument()`` does so only for ``AppError``. This adds HTTPException, FastAPI's RequestValidationError, without
    the values that were sent, and unhandled exceptions, which still reach the server. Handlers that the app
    has already stay. Call it before the app answers its first request.

    Args:
        app: The app.
        store: Where errors are counted; the process's own store by default.

    Raises:
        InstrumentationError: ``app_invalid``.
    """
    if not hasattr(app, "add_exception_handler"):
        raise InstrumentationError(
            f"problem_documents() got {type(app).__name__}; give a Starlette or FastAPI app.", code="app_invalid"
        )
    from starlette.exceptions import HTTPException  # noqa: PLC0415 - the app has loaded it

    documents = Documents(store or default_store())
    handlers = {AppError: documents.of_app_error, HTTPException: documents.of_http, Exception: documents.of_unhandled}
    invalid = _validation_error()
    own = _framework_handlers()
    for kind, handler in {**handlers, **({} if invalid is None else {invalid: documents.of_invalid})}.items():
        if app.exception_handlers.get(kind) in own:
            app.add_exception_handler(kind, answering(handler))


def answer_app_errors(routes: Routes, store: Store) -> bool:
    """Answer each ``AppError``, unless the app has a handler for it.

    Returns:
        False if no framework was found; ``logging_app_errors`` is for such an app.
    """
    return routes.handle(AppError, Documents(store).of_app_error)


def logging_app_errors(app: ASGIApp) -> ASGIApp:
    """An ASGI app of an unknown framework: the first ``AppError`` that reaches the server is explained in the log."""
    log_once = LogOnce()

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except AppError:
            log_once("an AppError is not answered: Sidelight does not support the exception handlers of this framework")
            raise

    logged.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return logged


class Documents:
    """Makes the documents, and counts them.

    Args:
        store: Where errors are counted; the process's own store by default.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store or default_store()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the store: another process has its own."""
        return Documents, ()

    def of_app_error(self, error: Any) -> Document:
        """The document of an ``AppError``; one with 5xx is logged with its cause."""
        is_ours = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if is_ours:
            _log.error("%s: %s", error.code, error.message, exc_info=error, extra={"code": error.code})
        shown = {} if is_ours or not error.details else {"details": dict(error.details)}
        headers = {} if error.retry_after is None else {"retry-after": str(math.ceil(error.retry_after))}
        return self._document(error.status, error.code, error.message, shown, headers)

    def of_http(self, error: Any) -> Document:
        """The document of Starlette's HTTPException, with its headers; without one where its status has no body."""
        if error.status_code < HTTPStatus.OK or error.status_code in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            return Document(error.status_code, error.headers or {}, b"")
        is_text = isinstance(error.detail, str)
        detail, shown = (error.detail, {}) if is_text else ("", {"details": error.detail})
        return self._document(error.status_code, f"http_{error.status_code}", detail, shown, error.headers or {})

    def of_invalid(self, error: Any) -> Document:
        """The document of a request that FastAPI refused: where, what and which rule, never the value."""
        faults = [
            {"path": ".".join(map(str, fault["loc"])), "problem": fault["msg"], "rule": fault["type"]}
            for fault in _sequence(error.errors())[:_LARGEST_LIST]
        ]
        return self._document(422, "validation_failed", "What was sent cannot be used.", {"errors": faults}, {})

    def of_unhandled(self, error: Any) -> Document:
        """The document of an exception that nobody handled; Starlette hands the exception on."""
        del error
        return self._document(500, "internal_error", "", {}, {})

    def _document(
        self, status: int, code: str, detail: str, more: Mapping[str, object], headers: Mapping[str, str]
    ) -> Document:
        try:
            add(self._store, catalog.APP_ERRORS, (code,), 1.0)
        except Exception:  # noqa: BLE001 - the caller gets an answer all the same
            _log.exception("sidelight could not count an error; the service continues")
        document = {"type": "about:blank", "title": _phrase(status), "status": status, "detail": detail, "code": code}
        document |= {"correlation_id": correlation_id()}
        document = {key: value for key, value in document.items() if value != ""}
        try:
            text = _json({**document, **more})
        except (TypeError, ValueError):  # keys that are not text, NaN, a circle
            text = _json(document)
        return Document(status, {**headers, "cache-control": "no-store"}, text.encode())


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, default=_unsaid, allow_nan=False)


def _sequence(faults: Any) -> Sequence[Any]:
    return faults if isinstance(faults, list | tuple) else list(faults)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _unsaid(value: object) -> str:
    """A value that JSON cannot express becomes the name of its type, because its text may show internals."""
    return f"<{type(value).__name__}>"


def _validation_error() -> type[Exception] | None:
    try:
        from fastapi.exceptions import RequestValidationError  # noqa: PLC0415 - only if FastAPI is installed
    except ImportError:
        return None
    return RequestValidationError


def _framework_handlers() -> tuple[object, ...]:
    """The handlers that an app has from its framework, and none."""
    try:
        from fastapi import exception_handlers as fastapi  # noqa: PLC0415
    except ImportError:
        return (None,)
    return (None, fastapi.http_exception_handler, fastapi.request_validation_exception_handler)
