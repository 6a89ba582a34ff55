"""A Bottle service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bottle import Bottle, HTTPResponse

import instrumentation

if TYPE_CHECKING:
    from collections.abc import Iterator

app = Bottle()
instrumentation.instrument(app)
instrumentation.instrument(app)


@app.get("/items/<item:int>")
def item(item: int) -> str:
    return str(item)


@app.get("/shops/<shop>/items/<item:int>")
def item_of_shop(shop: str, item: int) -> str:
    return f"{shop} {item}"


@app.get("/busy")
def busy() -> HTTPResponse:
    return HTTPResponse("busy", 503)


@app.get("/broken")
def broken() -> str:
    raise RuntimeError("broken")


@app.get("/conflict")
def conflict() -> str:
    raise instrumentation.ConflictError("taken")


@app.get("/stream")
def stream() -> Iterator[str]:
    for number in range(3):
        yield f"part{number} "
