"""A Falcon service over ASGI and WSGI."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.asgi

import instrumentation


class Item:
    def on_get(self, _: Any, response: Any, item: int, shop: str = "") -> None:
        response.text = f"{shop} {item}"


class Busy:
    def on_get(self, _: Any, response: Any) -> None:
        response.status = falcon.HTTP_503


class Broken:
    def on_get(self, *_: Any) -> None:
        raise RuntimeError("broken")


class Conflict:
    def on_get(self, *_: Any) -> None:
        raise instrumentation.ConflictError("taken")


class Stream:
    def on_get(self, _: Any, response: Any) -> None:
        response.stream = (f"part{number} ".encode() for number in range(3))


RESOURCES = {
    "/items/{item:int}": Item(),
    "/shops/{shop}/items/{item:int}": Item(),
    "/busy": Busy(),
    "/broken": Broken(),
    "/conflict": Conflict(),
    "/stream": Stream(),
}


class AsyncResource:
    """A resource of WSGI, for ASGI."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource

    async def on_get(self, request: Any, response: Any, **parameters: Any) -> None:
        self._resource.on_get(request, response, **parameters)
        if response.stream is not None:
            parts = tuple(response.stream)

            async def later() -> Any:
                for part in parts:
                    yield part

            response.stream = later()


class Room:
    async def on_websocket(self, _: Any, socket: Any, room: str) -> None:
        await socket.accept()
        await socket.send_text(room)
        await socket.close()


app = falcon.App()
asgi_app = falcon.asgi.App()
asgi_app.add_route("/rooms/{room}", Room())
for template, resource in RESOURCES.items():
    app.add_route(template, resource)
    asgi_app.add_route(template, AsyncResource(resource))
for each in (app, asgi_app):
    instrumentation.instrument(each)
    instrumentation.instrument(each)
