"""A Flask service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Flask

import instrumentation

if TYPE_CHECKING:
    from collections.abc import Iterator

app = Flask(__name__)
instrumentation.instrument(app)
instrumentation.instrument(app)
shops = Blueprint("shops", __name__, url_prefix="/shops/<shop>")


@app.get("/items/<int:item>")
def item(item: int) -> str:
    return str(item)


@shops.get("/items/<int:item>")
def item_of_shop(shop: str, item: int) -> str:
    return f"{shop} {item}"


@app.get("/busy")
def busy() -> tuple[str, int]:
    return "busy", 503


@app.get("/broken")
def broken() -> str:
    raise RuntimeError("broken")


@app.get("/conflict")
def conflict() -> str:
    raise instrumentation.ConflictError("taken")


@app.get("/stream")
def stream() -> Iterator[str]:
    return (f"part{number} " for number in range(3))


app.register_blueprint(shops)
