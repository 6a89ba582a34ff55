"""Finds out whether an app uses ASGI or WSGI, and refuses anything else."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any, Literal, NoReturn

from instrumentation.errors import InstrumentationError

Interface = Literal["asgi", "wsgi"]

_ASGI, _WSGI = 3, 2  # the number of arguments


def interface_of(app: Any, given: str | None = None) -> Interface:
    """Distinguish ASGI from WSGI by an app's signature.

    Args:
        app: The app to be instrumented.
        given: The interface that the caller passed; needed only if the signature is not clear.

    Raises:
        InstrumentationError: ``app_invalid``, ``interface_unclear``, ``interface_invalid``.
    """
    if given not in {None, "asgi", "wsgi"}:
        raise InstrumentationError(
            f'instrument(): interface: got {given!r:.60}; give "asgi" or "wsgi".', code="interface_invalid"
        )
    if not callable(app):
        what = repr(app) if app is None or isinstance(app, str) else f"an object of {type(app).__name__}"
        _refuse(f"{what:.80}; give the ASGI or WSGI app, such as FastAPI(), Flask(__name__) or get_asgi_application().")
    if inspect.isclass(app) and not hasattr(app, "__await__"):  # Starlette's endpoint classes are ASGI apps
        _refuse(f"the class {app.__name__}; give an instance of it.")
    return given or _by_signature(app)  # type: ignore[return-value]


def _by_signature(app: Any) -> Interface:
    if type(app).__name__ == "APIRouter":
        _refuse('an APIRouter; give the app that includes it, or pass interface="asgi" if the router is the whole app.')
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        _ask(_named(app))
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    called = f"{_named(app)}{inspect.Signature(bare)}"
    takes = [number for number in range(_ASGI + 1) if _fits(signature, number)]
    if _is_async(app) and _ASGI in takes:
        return "asgi"
    is_app = not _is_async(app) and not {_ASGI, _WSGI}.isdisjoint(takes)
    if not is_app and 0 in takes and inspect.isroutine(app):
        _refuse(f"the function {called}; give the app that it returns.")
    if not is_app:
        _refuse(f"{called}; an ASGI app takes (scope, receive, send), a WSGI app (environ, start_response).")
    names = [*signature.parameters, "", ""]
    is_asgi = _ASGI in takes and names[:_ASGI] == ["scope", "receive", "send"]
    is_wsgi = _WSGI in takes and (names[0].startswith("env") or names[1].startswith("start"))
    if is_asgi == is_wsgi:
        _ask(called)
    return "asgi" if is_asgi else "wsgi"


def _fits(signature: inspect.Signature, number: int) -> bool:
    with suppress(TypeError):
        signature.bind(*range(number))
        return True
    return False


def _is_async(app: Any) -> bool:
    return any(inspect.iscoroutinefunction(inspect.unwrap(each)) for each in (app, type(app).__call__))


def _named(app: Any) -> str:
    return str(getattr(app, "__qualname__", type(app).__name__))


def _refuse(sentence: str) -> NoReturn:
    raise InstrumentationError(f"instrument() got {sentence}", code="app_invalid")


def _ask(called: str) -> NoReturn:
    raise InstrumentationError(
        f'instrument() cannot tell whether {called} is an ASGI or a WSGI app; pass interface="asgi" or interface="wsgi".',
        code="interface_unclear",
    )
