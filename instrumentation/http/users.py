"""Finds the user of each request, and counts them as active."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, TypeAlias

from instrumentation.asgi import Scope
from instrumentation.errors import InstrumentationError
from instrumentation.users.active import UserId

if TYPE_CHECKING:
    from instrumentation.http.middleware import Key, Listener
    from instrumentation.users.active import ActiveUsers

FindUser: TypeAlias = Callable[[Scope], UserId | None]

_log = logging.getLogger("instrumentation")


def seeing_users(find: FindUser, users: ActiveUsers) -> Listener:
    """A listener that counts the user of each request.

    Args:
        find: Gives the user's id from the ASGI scope, once the app has answered, so that ``scope["user"]`` and
            ``scope["state"]`` hold what the app's authentication put there; None or an empty text for nobody.
        users: Where to count.

    Raises:
        InstrumentationError: ``user_id_finder_invalid``.
    """
    if not callable(find) or iscoroutinefunction(find):
        given = "an async function" if callable(find) else type(find).__name__
        raise InstrumentationError(
            f"user_id: got {given}; give a plain function of the ASGI scope that returns the id of the user, or None.",
            code="user_id_finder_invalid",
        )
    failed = False

    def listener(scope: Scope, key: Key, seconds: float) -> None:
        nonlocal failed
        del key, seconds
        try:
            user_id = find(scope)
            if user_id is not None and user_id != "":
                users.saw(user_id)
        except BaseException as error:  # noqa: BLE001 - an error in the function must not fail the request, nor end the service
            if not failed:
                failed = True
                # Without the text of the error and its traceback, which may contain the id.
                kind = type(error).__name__
                _log.warning(
                    "sidelight could not count the user of a request because of %s; later failures are not logged", kind
                )

    return listener
