"""A small HTTP server on loopback that keeps the alerts posted by Alertmanager."""

from __future__ import annotations

from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from sidelight.demo.loopback_server import receiving_posts
from sidelight.demo.timeline import Key, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST_BODY = 1 << 20  # bytes


class Posted(BaseModel):
    """One alert in a notification; it may have further keys."""

    model_config = ConfigDict(frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]


class Notification(BaseModel):
    """A notification of Alertmanager (see webhook_config in its documentation, version 4)."""

    model_config = ConfigDict(frozen=True)

    alerts: tuple[Posted, ...]


class Webhook:
    """The notifications received.

    Args:
        url: The URL of the webhook.
        clock: Returns the seconds since the demo began.
    """

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self.url = url
        self._clock = clock
        self._messages: SimpleQueue[Message] = SimpleQueue()

    def receive(self, body: bytes) -> None:
        """Store a notification.

        Raises:
            ValidationError: The request is not a valid notification.
        """
        at = self._clock()
        for alert in Notification.model_validate_json(body).alerts:
            key = Key(alert.labels.get("alertname", ""), alert.labels.get("severity", ""))
            self._messages.put(Message(key=key, firing=alert.status == "firing", at=at))

    def take(self) -> Iterator[Message]:
        """Return what was received since the last call, oldest first."""
        while True:
            try:
                yield self._messages.get_nowait()
            except Empty:
                return


@contextmanager
def listening(clock: Callable[[], float]) -> Iterator[Webhook]:
    """Listen on a free port of loopback until the context ends."""
    webhook = Webhook("", clock)
    with receiving_posts(lambda _, body: webhook.receive(body), largest=LARGEST_BODY) as url:
        webhook.url = f"{url}/alerts"
        yield webhook
