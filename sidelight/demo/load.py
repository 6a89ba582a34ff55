"""Load on the shop: requests at a constant rate, even if the shop is slow."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

RATE = 50.0  # requests per second
MOST = 200  # requests in progress; 50 per second that take 1.3 s are 65
TIMEOUT = 10.0  # seconds
CUSTOMERS = 97  # different users; a prime, so that each user reaches every route
STOCK, EVENTS = "/stock", "/stock/events"
WATCHED, PAUSE = 3.0, 0.5  # seconds that a customer keeps the stock websocket open, and then pauses
KEPT = 0  # connections; uvicorn may close one after a response, and a request sent on it at that moment is lost


GONE = "lamp-of-last-year"  # an old link: 404


class Request(NamedTuple):
    """What one customer does."""

    method: str
    path: str
    body: dict[str, object] | None = None


# Nine routes: 9 has no common factor with 25 and 50, so the regular faults hit every route.
REQUESTS = (
    Request("GET", "/catalog/items"),
    Request("GET", "/catalog/items/lamp-brass"),
    Request("GET", "/search?q=bulb"),
    Request("GET", "/catalog/items/dimmer"),
    Request("POST", "/checkout", {"lines": [{"sku": "lamp-brass"}, {"sku": "bulb-warm", "quantity": 2}]}),
    Request("GET", f"/catalog/items/{GONE}"),
    Request("GET", "/search?q=lamp"),
    Request("GET", "/catalog/items/cable-red"),
    Request("POST", "/checkout", {"lines": [{"sku": "shade-linen"}]}),
)


class Load:
    """A stream of requests.

    Attributes:
        url: The target; change it to redirect the requests.
        made: The number of requests so far.
        lost: The number of requests without a response, including those not sent because too many were in progress.

    Args:
        url: The target.
        rate: Requests per second.
        transport: The HTTP transport; the network by default.
    """

    def __init__(self, url: str, *, rate: float = RATE, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url
        self.made = 0
        self.lost = 0
        self._rate = rate
        self._transport = transport or httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=MOST, max_keepalive_connections=KEPT)
        )
        self._stopping = False

    def stop(self) -> None:
        """End the stream soon. Thread-safe."""
        self._stopping = True

    async def flow(self) -> None:
        """Send requests until the stream ends, then cancel those in progress."""
        under_way: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT, trust_env=False) as client:
            watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._listen())]
            async for request in self._customers():
                self.made += 1
                if len(under_way) >= MOST:
                    self.lost += 1
                    continue
                task = asyncio.create_task(self._send(client, request, self.made % CUSTOMERS))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            for task in (*watching, *under_way):
                task.cancel()
            await asyncio.gather(*watching, *under_way, return_exceptions=True)

    async def _customers(self) -> AsyncIterator[Request]:
        """Send each request on schedule, however long earlier requests take, and catch up on missed ones."""
        clock = asyncio.get_running_loop().time
        began = clock()
        for number, request in enumerate(cycle(REQUESTS)):
            await asyncio.sleep(began + number / self._rate - clock())
            if self._stopping:
                return
            yield request

    async def _watch(self) -> None:
        """A customer who repeatedly opens the stock websocket for a while."""
        from websockets.asyncio.client import connect  # noqa: PLC0415 - prepare() reports first if it is missing
        from websockets.exceptions import WebSocketException  # noqa: PLC0415

        while True:
            url = self.url.replace("http", "ws", 1) + STOCK
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(url, open_timeout=TIMEOUT, proxy=None):
                    await asyncio.sleep(WATCHED)
            await asyncio.sleep(PAUSE)

    async def _listen(self) -> None:
        """Open the stream of stock events repeatedly, each time for a while, as a customer would."""
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            while True:
                with suppress(httpx.HTTPError, TimeoutError):
                    async with asyncio.timeout(WATCHED), client.stream("GET", f"{self.url}{EVENTS}") as response:
                        async for _ in response.aiter_raw():
                            pass
                await asyncio.sleep(PAUSE)

    async def _send(self, client: httpx.AsyncClient, request: Request, customer: int) -> None:
        headers = {"x-customer": f"customer-{customer}"}
        try:
            await client.request(request.method, f"{self.url}{request.path}", json=request.body, headers=headers)
        except httpx.HTTPError:
            self.lost += 1


@contextmanager
def flowing(url: str) -> Iterator[Load]:
    """Send a stream of requests to a URL from a separate thread until the context ends."""
    load = Load(url)
    with ThreadPoolExecutor(1, "load") as thread:
        done = thread.submit(asyncio.run, load.flow())
        try:
            yield load
        finally:
            load.stop()
    done.result()
