"""An app of Gradio within a FastAPI app."""

import gradio
from fastapi import FastAPI

import instrumentation

with gradio.Blocks() as blocks:
    gradio.Textbox()

app = instrumentation.instrument(FastAPI())
app = gradio.mount_gradio_app(app, blocks, path="")
