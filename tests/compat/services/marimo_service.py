"""A notebook as an app."""

from pathlib import Path

import marimo

import instrumentation

notebook = Path("notebook.py")
notebook.write_text("import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n    7\n    return\n")
app = instrumentation.instrument(marimo.create_asgi_app().with_app(path="", root=str(notebook)).build())
