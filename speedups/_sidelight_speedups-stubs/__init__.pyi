from collections.abc import Mapping

from instrumentation.http.exemplars import HttpExemplars
from instrumentation.http.middleware import ASGIApp, Aside, Listener
from instrumentation.http.recorder import HttpRecorder
from instrumentation.http.routes import Routes
from instrumentation.http.streaming import Streams

REVISION: int

def measuring(
    app: ASGIApp,
    *,
    recorder: HttpRecorder,
    routes: Routes,
    excluded: frozenset[str],
    direct: Mapping[str, ASGIApp],
    other: Mapping[str, ASGIApp],
    aside: Aside | None = None,
    streams: Streams | None = None,
    active_by_route: bool = False,
    exemplars: HttpExemplars | None = None,
    listeners: tuple[Listener, ...] = (),
) -> ASGIApp: ...
def histograms(
    name: bytes, edges: tuple[bytes, ...], rows: list[tuple[tuple[float, ...], bytes, bytes]], /
) -> bytes: ...
