"""Finds the apps of known frameworks inside any app, without importing a framework."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import getattr_static
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from instrumentation.http.frameworks.interface import UNMATCHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrumentation.http.frameworks.interface import Framework, Route, Scope

STARLETTE = "starlette.Starlette"
"""The name that ``framework_of`` gives Starlette and FastAPI."""

_FRAMEWORKS = {
    "blacksheep.Application": "blacksheep.BlackSheep",
    "bottle.Bottle": "bottle.Bottle",
    "channels.URLRouter": "channels.Channels",
    "django.BaseHandler": "django.Django",
    "falcon.App": "falcon.Falcon",
    "flask.Flask": "flask.Flask",
    "litestar.Litestar": "litestar.Litestar",
    "quart.Quart": "quart.Quart",
    "sanic.Sanic": "sanic.Sanic",
    "starlette.Router": STARLETTE,
    "starlette.Starlette": STARLETTE,
}
"""Package and class of an app, to the module and class in this folder that handle it."""

_INNER = ("app", "application", "asgi_app", "wsgi_app", "other_asgi_app", "callback")
"""Attributes of a known app that may hold further apps: middleware and dispatchers."""
_MOST = 500  # objects to look at


class PlacedApp(NamedTuple):
    """An app of a framework, and the prefix of its paths.

    Attributes:
        framework: The app.
        prefix: Empty, or the template of a mount.
    """

    framework: Framework
    prefix: str

    def routes(self) -> Iterator[Route]:
        """Every route of the app, with the prefix."""
        for route in self.framework.routes():
            template = route.template and self.prefix + route.template
            yield route._replace(template=template, path=self.prefix + route.path)

    def chosen(self, scope: Scope) -> str:
        """As ``Framework.chosen``, with the prefix."""
        template = self.framework.chosen(scope)
        return template and self.prefix + template

    def match(self, scope: Scope, path: str) -> str:
        """As ``Framework.match``, with the prefix."""
        if not path.startswith(self.prefix):
            return UNMATCHED
        template = self.framework.match(scope, path[len(self.prefix) :] or "/")
        return template and self.prefix + template


class MountedApps:
    """The apps that an app mounts; each mount is searched once."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Any, list[PlacedApp]]] = {}

    def behind(self, mount: Any, app: Any, prefix: str) -> list[PlacedApp]:
        """The apps of known frameworks behind a mount.

        Args:
            mount: The framework's object for the mount.
            app: The mounted app.
            prefix: The template of the mount.
        """
        known = self._found.get(id(mount))
        if known is None or known[0] is not mount:
            known = self._found[id(mount)] = mount, find(app, prefix)
        return known[1]

    def chosen(self, scope: Scope) -> str:
        """As ``Framework.chosen``, of all mounted apps."""
        chosen = (each.chosen(scope) for _, found in self._found.values() for each in found)
        return next(filter(None, chosen), UNMATCHED)


def find(app: Any, prefix: str = "") -> list[PlacedApp]:
    """Find the apps of known frameworks: the app itself, and those that it wraps or dispatches to.

    Args:
        app: Any app.
        prefix: The prefix of its paths.
    """
    found: list[PlacedApp] = []
    seen: set[int] = set()
    queue = deque([(prefix, app)])
    while queue and len(seen) < _MOST:
        prefix, each = queue.popleft()
        if id(each) not in seen:
            seen.add(id(each))
            name = framework_of(each)
            if name is not None:
                found.append(PlacedApp(_adapted(name, each), prefix))
            queue.extend((prefix + at.rstrip("/"), inner) for at, inner in _within(each, is_known=name is not None))
    return found


def framework_of(app: Any) -> str | None:
    """The module and class in this folder that handle an app; None if its framework is not known."""
    for kind in type(app).__mro__:
        known = _FRAMEWORKS.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
        if known is not None:
            return known
    return None


def own_server(app: Any) -> Any:
    """Passes the requests of the framework's own server to the layers; None if the framework has none.

    Only Sanic has a server that does not use ASGI; see ``SanicServer``.
    """
    if framework_of(app) != "sanic.Sanic":
        return None
    from instrumentation.http.sanic_server import SanicServer  # noqa: PLC0415 - only for Sanic

    return SanicServer(app)


def _adapted(name: str, app: Any) -> Framework:
    module, _, adapter = name.partition(".")
    framework: Framework = getattr(import_module(f"{__name__}.{module}"), adapter)(app)
    return framework


def _within(each: Any, *, is_known: bool) -> Iterator[tuple[str, Any]]:
    """The objects in an object that may be apps, each with its prefix; none of the object's own code is run."""
    for key, value in _held(each, is_known=is_known):
        kind = type(value)
        is_app = callable(value) or issubclass(kind, dict | list | tuple) or getattr_static(value, "callback", None)
        if is_app and not issubclass(kind, type):
            yield (key if isinstance(key, str) and key.startswith("/") else ""), value


def _held(each: Any, *, is_known: bool) -> Iterable[tuple[object, Any]]:
    kind = type(each)
    if issubclass(kind, dict):
        return tuple(dict.items(each))
    if issubclass(kind, list | tuple):
        return enumerate(each)
    if kind is FunctionType:
        return enumerate((*_closed_over(each), *vars(each).values()))
    if kind is MethodType:
        return enumerate((each.__self__,))
    if issubclass(kind, partial):
        return enumerate((each.func, *each.args, *each.keywords.values()))
    own = _own(each)
    return tuple((name, own[name]) for name in _INNER if name in own) if is_known else tuple(own.items())


def _closed_over(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # the cell is empty
            yield cell.cell_contents


def _own(each: Any) -> dict[str, Any]:
    """The attributes in an object's ``__dict__``."""
    try:
        own = object.__getattribute__(each, "__dict__")
    except AttributeError:
        return {}
    return own if isinstance(own, dict) else {}
