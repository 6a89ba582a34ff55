"""How an app is observed without becoming another: it keeps its identity, its attributes and the name of its class.

It gets a class of its own, below the one that it had, through which each request goes into the layer first. What can have
no such class, such as a function, comes back wrapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import new_class
from typing import TYPE_CHECKING, Any

from prometheus_client.registry import REGISTRY

from instrumentation.errors import InstrumentationError
from instrumentation.http.sizes import MARK
from instrumentation.http.wsgi import SEEN, as_asgi, as_wsgi
from instrumentation.store import default_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client.registry import CollectorRegistry

    from instrumentation.asgi import ASGIApp, Receive, Scope, Send
    from instrumentation.http.interfaces import Interface
    from instrumentation.http.users import FindUser
    from instrumentation.http.wsgi import Environ, StartResponse
    from instrumentation.settings import Settings
    from instrumentation.store import Store

    Layer = Callable[[ASGIApp], ASGIApp]

_OBSERVED = "_sidelight_observed"
"""The attribute of a class that names the app it was made for."""
_UNDO, _BUILT = "_sidelight_undo", "_sidelight_built"
"""The attributes of a class that revert the changes to its app, and hold the former middleware stack of the app."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What ``instrument()`` was given beside the app; it is done again where the app is unpickled.

    Attributes:
        settings: How.
        store: Where requests are counted; None for the process's own.
        registry: Whose metrics the page shows; None for that of prometheus_client.
        user_id: Gives the id of a request's user.
        interface: Which interface the app speaks.
        instrument: ``instrument()`` itself, which imports this module.
    """

    settings: Settings
    store: Store | None
    registry: CollectorRegistry | None
    user_id: FindUser | None
    interface: Interface
    instrument: Callable[..., Any]

    def again(self, app: Any) -> Any:
        """Instrument an app that was unpickled."""
        options = {name: value for name, value in vars(self).items() if value is not None and name != "instrument"}
        return self.instrument(app, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what another process can use.

        Raises:
            InstrumentationError: ``app_not_picklable``.
        """
        if self.store not in {None, default_store()} or self.registry not in {None, REGISTRY}:
            raise InstrumentationError(
                "An app that was instrumented with a store or a registry cannot be pickled, since both belong to this "
                "process; instrument it without them, or where it is unpickled.",
                code="app_not_picklable",
            )
        return _given, (self.settings, self.user_id, self.interface, self.instrument)


def _given(settings: Settings, user_id: FindUser | None, interface: Interface, instrument: Callable[..., Any]) -> Given:
    return Given(
        settings=settings, store=None, registry=None, user_id=user_id, interface=interface, instrument=instrument
    )


def is_observed(app: Any) -> bool:
    """Whether an app is observed already."""
    return isinstance(app, ObservedApp) or getattr(type(app), _OBSERVED, None) is app


def leave(app: Any) -> Any:
    """Revert ``observe``; an app that is not observed does not change.

    Returns:
        The app with its former class; for an ``ObservedApp``, the inner app.
    """
    if isinstance(app, ObservedApp):
        app.undo()
        return app.app
    if is_observed(app):
        own = type(app)
        vars(own)[_UNDO]()
        object.__setattr__(app, "__class__", own.__bases__[0])
        if _BUILT in vars(own):
            app.middleware_stack = vars(own)[_BUILT]  # a stack that was built meanwhile is built anew
    return app


def observe(app: Any, layer: Layer, given: Given, undo: Callable[[], None]) -> Any:
    """Put a layer outside of everything in an app.

    Args:
        app: The app.
        layer: Wraps an ASGI app; called once the app has been built, or is called for the first time.
        given: With what it is done again where the app is unpickled.
        undo: Reverts the other changes to the app.

    Returns:
        The app itself; an ``ObservedApp`` in its place where it cannot be changed.
    """
    if hasattr(app, "build_middleware_stack"):
        _in_stack(app, layer, given, undo)
        return app
    try:
        _by_call(app, layer, given, undo)
    except TypeError:  # a function, or an object of a class that has no others below it
        kind = ObservedWSGIApp if given.interface == "wsgi" else ObservedASGIApp
        return kind(app, layer, given, undo)
    return app


def _in_stack(app: Any, layer: Layer, given: Given, undo: Callable[[], None]) -> None:
    """Wrap what a Starlette app, or whoever else instruments it, sets as ``middleware_stack``, as it is set.

    An added middleware would not see what error handlers answer. A changed ``build_middleware_stack`` would be in the way
    of those who change it too: OpenTelemetry's instrumentation takes apart what it returns, and gives up where that is not
    Starlette's own.
    """
    kind: Any = type(app)

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if name == "middleware_stack" and value is not None and self is app:
            value = layer(value)
        kind.__setattr__(self, name, value)

    built = app.middleware_stack
    app.__class__ = _class_of(app, kind, given, __setattr__=set_attribute, **{_UNDO: undo, _BUILT: built})
    app.middleware_stack = built


def _by_call(app: Any, layer: Layer, given: Given, undo: Callable[[], None]) -> None:
    """Answer calls of the app with the layer.

    A framework that gives its app another class later, as BlackSheep does for mounts, finds the layer outside of that too.
    """

    async def inner_asgi(
        scope: Scope, receive: Receive, send: Send
    ) -> None:  # whoever wraps it asks whether it is async
        await type(app).__bases__[0].__call__(app, scope, receive, send)

    def inner_wsgi(environ: Environ, start_response: StartResponse) -> Any:
        return type(app).__bases__[0].__call__(app, environ, start_response)

    is_wsgi = given.interface == "wsgi"
    entrance = _entrance(inner_wsgi if is_wsgi else inner_asgi, layer, given.interface)

    def below(kind: Any) -> Any:
        def set_attribute(self: Any, name: str, value: Any) -> None:
            kind.__setattr__(self, name, below(value) if name == "__class__" and self is app else value)

        async def call_asgi(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
            is_outermost = self is app and type(self) is own
            await (entrance(scope, receive, send) if is_outermost else kind.__call__(self, scope, receive, send))

        def call_wsgi(self: Any, environ: Environ, start_response: StartResponse) -> Any:
            is_outermost = self is app and type(self) is own
            return entrance(environ, start_response) if is_outermost else kind.__call__(self, environ, start_response)

        call = call_wsgi if is_wsgi else call_asgi
        own = _class_of(app, kind, given, __setattr__=set_attribute, __call__=call, **{_UNDO: undo})
        return own

    object.__setattr__(app, "__class__", below(type(app)))


def _entrance(inner: Any, layer: Layer, interface: Interface) -> Callable[..., Any]:
    """What answers in place of ``inner``; made with the first call, when the app has all its routes."""
    made: Callable[..., Any] | None = None

    def enter(*arguments: Any) -> Any:
        nonlocal made
        if made is None:
            made = layer(inner) if interface == "asgi" else _unless_seen(as_wsgi(layer(as_asgi(inner))), inner)
        return made(*arguments)

    return enter


def _unless_seen(wsgi: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    """A WSGI app behind one that is observed, or behind a bridge from ASGI that is, is seen through that one."""

    def called(environ: Environ, start_response: StartResponse) -> Any:
        is_seen = SEEN in environ or MARK in environ.get("asgi.scope", ())
        return (inner if is_seen else wsgi)(environ, start_response)

    return called


def _class_of(app: Any, kind: Any, given: Given, **methods: Any) -> Any:
    """A class below an app's own, of the same name and layout."""

    def reduce(self: Any, protocol: Any) -> Any:
        if self is not app:
            return kind.__reduce_ex__(self, protocol)
        state = object.__reduce_ex__(self, 2)[2]
        if isinstance(state, dict) and "middleware_stack" in state:
            state = {**state, "middleware_stack": None}
        return _unpickled, (kind,), (state, given)

    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    attributes = {**names, **methods, "__slots__": (), "__reduce_ex__": reduce, _OBSERVED: app}
    return new_class(kind.__name__, (kind,), exec_body=lambda namespace: namespace.update(attributes))


def _unpickled(kind: Any) -> Any:
    """An app without a state yet; it is instrumented once it has one."""

    def set_state(self: Any, state: tuple[Any, Given]) -> None:
        own, given = state
        object.__setattr__(self, "__class__", kind)
        for attributes in own if isinstance(own, tuple) else (own,):
            for name, value in (attributes or {}).items():
                object.__setattr__(self, name, value)
        given.again(self)

    methods = {"__slots__": (), "__setstate__": set_state}
    arriving: Any = new_class(kind.__name__, (kind,), exec_body=lambda namespace: namespace.update(methods))
    return arriving.__new__(arriving)


class ObservedApp:
    """An app that could not be changed, observed; it has the attributes of the app.

    Args:
        app: The app.
        layer: Wraps an ASGI app.
        given: With what the app is instrumented where this is unpickled.

        undo: Reverts the other changes to the app.

    Attributes:
        app: The app.
        undo: As given.
    """

    def __init__(self, app: Any, layer: Layer, given: Given, undo: Callable[[], None]) -> None:
        self.app = app
        self.undo = undo
        self._given = given
        self._enter = _entrance(app, layer, given.interface)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.app, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the app, and instrument it anew."""
        return _observed_again, (self.app, self._given)


class ObservedASGIApp(ObservedApp):
    """An app of ASGI."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self._enter(scope, receive, send)


class ObservedWSGIApp(ObservedApp):
    """An app of WSGI."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        """Answer."""
        return self._enter(environ, start_response)


def _observed_again(app: Any, given: Given) -> Any:
    return given.again(app)
