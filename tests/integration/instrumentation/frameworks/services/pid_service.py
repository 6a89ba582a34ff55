"""A Flask service with the worker's process id in its responses, and long streams."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from flask import Flask, send_file

import instrumentation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Response

instrumentation.configure_logging()  # waitress-serve sets up logging too, and a setup of the service would win
app = Flask(__name__)
instrumentation.instrument(app)


@app.get("/pid")
def pid() -> str:
    return str(os.getpid())


@app.get("/nap")
def nap() -> str:
    time.sleep(0.2)
    return "awake"


@app.get("/slow")
def slow() -> Iterator[str]:
    def parts() -> Iterator[str]:
        for _ in range(3):
            time.sleep(0.1)
            yield "part"

    return parts()


@app.get("/endless")
def endless() -> Iterator[str]:
    def parts() -> Iterator[str]:
        while True:
            time.sleep(0.01)
            yield "part" * 1000

    return parts()


@app.get("/breaks")
def breaks() -> Iterator[str]:
    def parts() -> Iterator[str]:
        yield "part"
        raise RuntimeError("breaks off")

    return parts()


@app.get("/file")
def file() -> Response:
    return send_file(__file__)
