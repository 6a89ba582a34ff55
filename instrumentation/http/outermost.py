"""Puts the layer around an app in place: the app keeps its identity, its attributes and the name of its class.

The app gets a subclass of its class, whose ``__call__`` passes each request through the layer. An object that cannot have such
a class, such as a function, is wrapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from types import new_class
from typing import TYPE_CHECKING, Any

from prometheus_client.registry import REGISTRY

from instrumentation.errors import InstrumentationError
from instrumentation.http.frameworks import own_server
from instrumentation.http.wsgi import as_asgi, as_wsgi, is_nested
from instrumentation.store import default_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client.registry import CollectorRegistry

    from instrumentation.asgi import ASGIApp, Receive, Scope, Send
    from instrumentation.http.interfaces import Interface
    from instrumentation.http.labels import FindLabel
    from instrumentation.http.request_hook import Hook
    from instrumentation.http.users import FindUser
    from instrumentation.http.wsgi import Environ, StartResponse
    from instrumentation.settings import Settings
    from instrumentation.store import Store

    Layer = Callable[[ASGIApp], ASGIApp]

_OBSERVED = "_sidelight_observed"
"""The attribute of such a subclass that holds its app."""
_UNDO, _BUILT = "_sidelight_undo", "_sidelight_built"
"""The attributes of a class that revert the changes to its app, and hold the former middleware stack of the app."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """The arguments of ``instrument()``, which is called again with them for an unpickled app.

    Attributes:
        settings: The settings.
        store: The store; None for the one of the process.
        registry: The registry; None for that of prometheus_client.
        user_id: The function that returns a request's user.
        on_request: The hook that is called with each finished request.
        labels: Label name to the function that returns its value.
        interface: The interface of the app.
        instrument: ``instrument()`` itself, which imports this module.
    """

    settings: Settings
    store: Store | None
    registry: CollectorRegistry | None
    user_id: FindUser | None
    on_request: Hook | None
    labels: Mapping[str, FindLabel] | None
    interface: Interface
    instrument: Callable[..., Any]

    def again(self, app: Any) -> Any:
        """Instrument an app that was unpickled."""
        options = {name: value for name, value in vars(self).items() if value is not None and name != "instrument"}
        return self.instrument(app, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments that another process can use.

        Raises:
            InstrumentationError: ``app_not_picklable``.
        """
        if self.store not in {None, default_store()} or self.registry not in {None, REGISTRY}:
            raise InstrumentationError(
                "An app that was instrumented with a store or a registry cannot be pickled, since both belong to this "
                "process; leave them out, or call instrument() in the process that unpickles the app.",
                code="app_not_picklable",
            )
        return _given, ({**vars(self), "store": None, "registry": None},)


def _given(arguments: dict[str, Any]) -> Given:
    return Given(**arguments)


def is_observed(app: Any) -> bool:
    """Whether an app is already observed."""
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
            app.middleware_stack = vars(own)[_BUILT]  # a stack built meanwhile is discarded
    return app


def observe(app: Any, layer: Layer, given: Given, undo: Callable[[], None]) -> Any:
    """Put a layer outside of everything in an app.

    Args:
        app: The app.
        layer: Wraps an ASGI app; called once the app has been built, or is called for the first time.
        given: The arguments of ``instrument()``.
        undo: Reverts the other changes to the app.

    Returns:
        The app; an ``ObservedApp`` if it cannot be changed.
    """
    if hasattr(app, "build_middleware_stack"):
        _in_stack(app, layer, given, undo)
        return app
    try:
        _by_call(app, layer, given, undo)
    except TypeError:  # a function, or an object of a class that cannot have subclasses
        kind = ObservedWSGIApp if given.interface == "wsgi" else ObservedASGIApp
        return kind(app, layer, given, undo)
    return app


def _in_stack(app: Any, layer: Layer, given: Given, undo: Callable[[], None]) -> None:
    """Wrap each value that is assigned to a Starlette app's ``middleware_stack``.

    An added middleware would not see the responses of error handlers. A changed ``build_middleware_stack`` would break
    OpenTelemetry's instrumentation, which expects that of Starlette.
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
    """Pass each call of the app through the layer, also if the framework changes the app's class later, as BlackSheep does."""

    async def inner_asgi(scope: Scope, receive: Receive, send: Send) -> None:  # asgiref checks whether it is async
        await type(app).__bases__[0].__call__(app, scope, receive, send)

    def inner_wsgi(environ: Environ, start_response: StartResponse) -> Any:
        return type(app).__bases__[0].__call__(app, environ, start_response)

    is_wsgi = given.interface == "wsgi"
    server = own_server(app)
    within = inner_asgi if server is None else server.within(inner_asgi)
    entrance = _entrance(inner_wsgi if is_wsgi else within, layer, given.interface)

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
        more = {} if server is None else server.methods(kind, entrance)
        own = _class_of(app, kind, given, __setattr__=set_attribute, __call__=call, **{_UNDO: undo}, **more)
        return own

    object.__setattr__(app, "__class__", below(type(app)))


def _entrance(inner: Any, layer: Layer, interface: Interface) -> Callable[..., Any]:
    """The entrance to an app; the layer is made with the first call, when the app has all its routes."""
    made: Callable[..., Any] | None = None
    making = Lock()

    def enter(*arguments: Any) -> Any:
        nonlocal made
        if made is None:
            with making:
                if made is None:
                    made = (
                        layer(inner) if interface == "asgi" else _unless_nested(as_wsgi(layer(as_asgi(inner))), inner)
                    )
        return made(*arguments)

    return enter


def _unless_nested(wsgi: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    """A WSGI app that passes a request to the inner app if an outer app, of WSGI or ASGI, observes it already."""

    def called(environ: Environ, start_response: StartResponse) -> Any:
        return (inner if is_nested(environ) else wsgi)(environ, start_response)

    return called


def _class_of(app: Any, kind: Any, given: Given, **methods: Any) -> Any:
    """A subclass of an app's class, with the same name and layout."""

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
    """An app that is instrumented as soon as pickle sets its state."""

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
    """Wraps an app that cannot be changed; has the attributes of the app.

    Args:
        app: The app.
        layer: Wraps an ASGI app.
        given: The arguments of ``instrument()``.

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
        """Pickle the app, which is instrumented again."""
        return _observed_again, (self.app, self._given)


class ObservedASGIApp(ObservedApp):
    """Wraps an ASGI app."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        await self._enter(scope, receive, send)


class ObservedWSGIApp(ObservedApp):
    """Wraps a WSGI app."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        """Answer the request."""
        return self._enter(environ, start_response)


def _observed_again(app: Any, given: Given) -> Any:
    return given.again(app)
