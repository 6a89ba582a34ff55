"""Customers of the shop: a steady stream of requests that a slow shop does not slow down."""

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
MOST = 200  # requests under way; 50 a second of 1.3 s are 65
TIMEOUT = 10.0  # seconds
CUSTOMERS = 97  # different ones; a prime, so that each meets every route
STOCK, EVENTS = "/stock", "/stock/events"
WATCHED, PAUSE = 3.0, 0.5  # seconds that a customer looks at the stock, and then does not
KEPT = 0  # connections; uvicorn closes some after an answer, and a request on one that is just closing is lost


GONE = "lamp-of-last-year"  # an old link: 404


class Request(NamedTuple):
    """What one customer does."""

    method: str
    path: str
    body: dict[str, object] | None = None


# Nine, which has no factor in common with 25 and 50: so the faults, which come as regularly, meet every route.
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
    """The stream.

    Attributes:
        url: Where the requests go; change it to shift them.
        made: Requests so far.
        lost: Those that got no answer at all, or were given up because too many others waited for theirs.

    Args:
        url: Where the requests go.
        rate: Requests per second.
        transport: How they go; over the network by default.
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
        """End the stream soon; may be called from any thread."""
        self._stopping = True

    async def flow(self) -> None:
        """Make requests until the end, then give up those under way."""
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
        """Each at its moment, however long the requests before take; moments that were missed are made up for."""
        clock = asyncio.get_running_loop().time
        began = clock()
        for number, request in enumerate(cycle(REQUESTS)):
            await asyncio.sleep(began + number / self._rate - clock())
            if self._stopping:
                return
            yield request

    async def _watch(self) -> None:
        """A customer who looks at the stock for a while, again and again."""
        from websockets.asyncio.client import connect  # noqa: PLC0415 - prepare() says first where it is missing
        from websockets.exceptions import WebSocketException  # noqa: PLC0415

        while True:
            url = self.url.replace("http", "ws", 1) + STOCK
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(url, open_timeout=TIMEOUT, proxy=None):
                    await asyncio.sleep(WATCHED)
            await asyncio.sleep(PAUSE)

    async def _listen(self) -> None:
        """A customer who listens to the events of the stock for a while, again and again."""
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
    """Send a stream to a URL, from a thread of its own, until the context ends."""
    load = Load(url)
    with ThreadPoolExecutor(1, "load") as thread:
        done = thread.submit(asyncio.run, load.flow())
        try:
            yield load
        finally:
            load.stop()
    done.result()
