"""Which interface an app speaks, ASGI or WSGI; what speaks neither is refused in one sentence."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any, Literal, NoReturn

from instrumentation.errors import InstrumentationError

Interface = Literal["asgi", "wsgi"]

_ASGI, _WSGI = 3, 2  # how many arguments each is called with


def interface_of(app: Any, given: str | None = None) -> Interface:
    """Tell ASGI from WSGI by how an app is called.

    Args:
        app: What is to be instrumented.
        given: What the caller says; it is asked for where the app does not tell.

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
    if inspect.isclass(app) and not hasattr(app, "__await__"):  # Starlette's endpoints are awaited: an ASGI app each
        _refuse(f"the class {app.__name__}; give an app that is made of it.")
    return given or _told_by_call(app)  # type: ignore[return-value]


def _told_by_call(app: Any) -> Interface:
    if type(app).__name__ == "APIRouter":
        _refuse('an APIRouter; give the app that includes it, or interface="asgi" where it is served by itself.')
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        _ask(_named(app))
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    called = f"{_named(app)}{inspect.Signature(bare)}"
    takes = [number for number in range(_ASGI + 1) if _fits(signature, number)]
    if _is_async(app) and _ASGI in takes:
        return "asgi"
    if takes == [0]:
        _refuse(f"{called}, which takes nothing; call it, and give the app that it returns.")
    if _is_async(app) or not {_ASGI, _WSGI} & {*takes}:
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
        f'instrument() cannot tell whether {called} is an ASGI or a WSGI app; say interface="asgi" or interface="wsgi".',
        code="interface_unclear",
    )
