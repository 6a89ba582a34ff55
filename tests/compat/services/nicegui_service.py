"""Pages of NiceGUI within a FastAPI app."""

from fastapi import FastAPI
from nicegui import ui

import instrumentation

app = FastAPI()


@ui.page("/")
def index() -> None:
    ui.label("index")


@ui.page("/rooms/{room}")
def show(room: str) -> None:
    ui.label(room)


ui.run_with(app)
instrumentation.instrument(app)
