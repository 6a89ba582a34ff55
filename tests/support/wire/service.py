"""The service whose requests are compared, as text: it runs in a process and with a layer of its own."""

APP = """
import asyncio
import os
import sys
import warnings
from pathlib import Path

if os.environ["LAYER"] == "python":
    sys.modules["_sidelight_speedups"] = None

warnings.simplefilter("ignore")
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.middleware.wsgi import WSGIMiddleware

import instrumentation

FILE = Path(__file__).with_name("file.bin")
FILE.write_bytes(bytes(200_000))


def wsgi(environ, start_response):
    status = "500 Internal Server Error" if environ["PATH_INFO"] == "/fail" else "200 OK"
    start_response(status, [("content-type", "text/plain"), ("content-length", "7")])
    return [b"sev", b"en!!"]


def service():
    app = FastAPI()

    @app.get("/item")
    @app.head("/item")
    async def item():
        return PlainTextResponse("item")

    @app.get("/fail")
    async def fail():
        return PlainTextResponse("no database", 500)

    @app.get("/raise")
    async def broken():
        raise RuntimeError("broken")

    @app.get("/empty")
    async def empty():
        return Response(status_code=204)

    @app.get("/unchanged")
    async def unchanged():
        return Response(status_code=304)

    @app.get("/moved")
    async def moved():
        return RedirectResponse("/item")

    @app.get("/file")
    async def file():
        return FileResponse(FILE)

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(asyncio.sleep, 0.1)
        return "now"

    def parts(*, wait=0.0, end=0.02, fail=False):
        async def parts():
            yield b"first"
            await asyncio.sleep(wait)
            if fail:
                raise RuntimeError("broken off")
            yield b"other"
            await asyncio.sleep(end)  # the last message comes late
        return parts()

    SIZED = {"content-length": "10"}

    @app.get("/sized")
    async def sized():
        return StreamingResponse(parts(), headers=SIZED)

    @app.get("/sized-fail")
    async def sized_fail():
        return StreamingResponse(parts(), 503, headers=SIZED)

    @app.get("/chunked")
    async def chunked():
        return StreamingResponse(parts())

    @app.get("/chunked-fail")
    async def chunked_fail():
        return StreamingResponse(parts(), 503)

    @app.get("/events")
    async def events():
        return StreamingResponse(parts(wait=0.2), media_type="text/event-stream")

    @app.get("/slow")
    async def slow():
        return StreamingResponse(parts(wait=0.4), headers=SIZED)

    @app.get("/slow-chunked")
    async def slow_chunked():
        return StreamingResponse(parts(wait=0.4))

    @app.get("/slow-fail")
    async def slow_fail():
        return StreamingResponse(parts(wait=0.4), 503, headers=SIZED)

    @app.get("/breaks")
    async def breaks():
        return StreamingResponse(parts(fail=True))

    @app.get("/waits")
    async def waits(request: Request):
        for _ in range(20):
            if await request.is_disconnected():  # granian says so to who asks alone
                break
            await asyncio.sleep(0.02)
        return PlainTextResponse("at last")

    @app.get("/waits-to-fail")
    async def waits_to_fail(request: Request):
        await waits(request)
        raise RuntimeError("broken, but nobody hears it")

    @app.post("/upload")
    async def upload(request: Request):
        return PlainTextResponse(str(len(await request.body())))

    app.mount("/wsgi", WSGIMiddleware(wsgi))
    return app


def based():
    app = service()
    for _ in range(3):
        @app.middleware("http")
        async def middleware(request, call_next):
            return await call_next(request)
    return app


async def late(scope, receive, send):
    '''Gives its messages one by one, with a pause before each but the first.'''
    has_body = scope["method"] != "HEAD" and "empty" not in scope["path"]
    status = 503 if "fail" in scope["path"] else 200
    headers = iter([(b"Content-Length", b"0" if "empty" in scope["path"] else b"4")])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in (b"la", b"te") if has_body else ():
        await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await asyncio.sleep(0.02)
    await send({"type": "http.response.body"})


app = service()
app.mount("/based", based())
app.mount("/late", late)
instrumentation.instrument(app)

if os.environ["OUTSIDE"] == "layers that wrap send and receive":
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())  # FastAPI's own telemetry then wraps send outside of Sidelight
    inner = app

    async def app(scope, receive, send):
        async def received():
            return await receive()

        async def sending(message):
            await send(message)

        await inner(scope, received, sending)
"""
