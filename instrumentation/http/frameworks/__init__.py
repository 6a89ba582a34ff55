"""Finds the frameworks whose apps answer behind whatever is called; nothing is imported that the service has not loaded."""

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
    "starlette.Router": "starlette.Starlette",
    "starlette.Starlette": "starlette.Starlette",
}
"""Package and name of an app's class, to the module and class here that know it."""

STARLETTE = "starlette.Starlette"
"""What ``framework_of`` says of Starlette and FastAPI."""

_INNER = ("app", "application", "asgi_app", "wsgi_app", "other_asgi_app", "callback")
"""Where an app has others: middleware, and what dispatches by path or protocol."""
_MOST = 500  # objects that are looked at


class Placed(NamedTuple):
    """An app of a framework, and where it is.

    Attributes:
        framework: Tells of the app.
        prefix: What stands before its paths: empty, or the template of a mount.
    """

    framework: Framework
    prefix: str

    def routes(self) -> Iterator[Route]:
        """Every route of the app, behind the prefix."""
        for route in self.framework.routes():
            template = route.template and self.prefix + route.template
            yield route._replace(template=template, path=self.prefix + route.path) if self.prefix else route

    def chosen(self, scope: Scope) -> str:
        """As ``Framework.chosen``, behind the prefix."""
        template = self.framework.chosen(scope)
        return template and self.prefix + template

    def match(self, scope: Scope, path: str) -> str:
        """As ``Framework.match``, behind the prefix."""
        if not path.startswith(self.prefix):
            return UNMATCHED
        template = self.framework.match(scope, path[len(self.prefix) :] or "/")
        return template and self.prefix + template


def find(app: Any, prefix: str = "") -> list[Placed]:
    """The apps of known frameworks that answer behind an app: itself, or what it wraps or dispatches to.

    Args:
        app: Any app.
        prefix: What stands before its paths.
    """
    found: list[Placed] = []
    seen: set[int] = set()
    queue = deque([(prefix, app)])
    while queue and len(seen) < _MOST:
        prefix, each = queue.popleft()
        if id(each) not in seen:
            seen.add(id(each))
            name = framework_of(each)
            if name is not None:
                found.append(Placed(_adapted(name, each), prefix))
            queue.extend((prefix + at.rstrip("/"), inner) for at, inner in _within(each, is_known=name is not None))
    return found


def _adapted(name: str, app: Any) -> Framework:
    module, _, adapter = name.partition(".")
    framework: Framework = getattr(import_module(f"{__name__}.{module}"), adapter)(app)
    return framework


class Mounted:
    """The apps that an app mounts, each looked for once."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Any, list[Placed]]] = {}

    def behind(self, mount: Any, app: Any, prefix: str) -> list[Placed]:
        """The apps of known frameworks behind a mount.

        Args:
            mount: What is mounted where.
            app: What it leads to.
            prefix: The template of the mount.
        """
        known = self._found.get(id(mount))
        if known is None or known[0] is not mount:
            known = self._found[id(mount)] = mount, find(app, prefix)
        return known[1]

    def chosen(self, scope: Scope) -> str:
        """As ``Framework.chosen``, of the mounted apps."""
        chosen = (each.chosen(scope) for _, found in self._found.values() for each in found)
        return next(filter(None, chosen), UNMATCHED)


def framework_of(app: Any) -> str | None:
    """Which module and class here knows an app; None where none does."""
    for kind in type(app).__mro__:
        known = _FRAMEWORKS.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
        if known is not None:
            return known
    return None


def _within(each: Any, *, is_known: bool) -> Iterator[tuple[str, Any]]:
    """What an object holds that may be an app, behind which prefix; it is looked at without running any of its code."""
    for key, value in _held(each, is_known=is_known):
        kind = type(value)
        is_app = callable(value) or issubclass(kind, dict | list | tuple) or getattr_static(value, "callback", None)
        if is_app and not issubclass(kind, type):
            yield (key if isinstance(key, str) and key.startswith("/") else ""), value


def _held(each: Any, *, is_known: bool) -> Iterable[tuple[object, Any]]:
    kind = type(each)
    if issubclass(kind, dict):
        return tuple(each.items())
    if issubclass(kind, list | tuple):
        return enumerate(each)
    if kind is FunctionType:
        return enumerate((*_closed_over(each), *vars(each).values()))
    if kind is MethodType:
        return (("", each.__self__),)
    if issubclass(kind, partial):
        return enumerate((each.func, *each.args, *each.keywords.values()))
    own = _own(each)
    return tuple((name, own[name]) for name in _INNER if name in own) if is_known else tuple(own.items())


def _closed_over(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # nothing in it yet
            yield cell.cell_contents


def _own(each: Any) -> dict[str, Any]:
    """The attributes that an object has itself; none where it keeps them elsewhere."""
    try:
        own = object.__getattribute__(each, "__dict__")
    except AttributeError:
        return {}
    return own if isinstance(own, dict) else {}
