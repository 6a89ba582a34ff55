"""Quart: a signal is sent after a request or a websocket was matched; its rule is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.flask import Flask
from instrumentation.http.frameworks.interface import report, reported

if TYPE_CHECKING:
    from instrumentation.http.frameworks.interface import Scope


class Quart(Flask):
    """A Quart app."""

    def __init__(self, app: Any) -> None:
        from quart import signals  # noqa: PLC0415 - the app has loaded it

        super().__init__(app)
        signals.request_started.connect(self._request, sender=app)
        signals.websocket_started.connect(self._websocket, sender=app)

    def chosen(self, scope: Scope) -> str:
        """The rule that matched, such as ``/items/<int:item>``."""
        return reported(scope, self._app)

    async def _request(self, _: object, **__: object) -> None:
        from quart import request  # noqa: PLC0415 - the app has loaded it

        self._started(request)

    async def _websocket(self, _: object, **__: object) -> None:
        from quart import websocket  # noqa: PLC0415 - the app has loaded it

        self._started(websocket)

    def _started(self, request: Any) -> None:
        if request.url_rule is not None:
            report(request.scope, self._app, request.url_rule.rule)
