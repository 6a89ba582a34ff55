"""Active users: counts distinct users without storing who they are.

This is a HyperLogLog sketch (Flajolet et al. 2007) whose registers are series. Each user id is hashed into one register,
which keeps the longest run of zeros. Registers are merged with ``max`` over threads, workers, pods and time, so Prometheus
can do it; ``alerts/recording/users.py`` turns them into a number of users. docs/decisions/0009-users.md explains why, and
what it reveals.

A register's slot holds ``64 * window + rank``. A newer window is a larger number, so slots can also be merged with ``max``,
and nothing has to be cleared. Even and odd windows have separate slots: the current and the previous window.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import cache, partial
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import UUID

from instrumentation.catalog import ACTIVE_USER_REGISTER
from instrumentation.errors import InstrumentationError, SettingsError
from instrumentation.log_once import warn_once
from instrumentation.secret import find_secret
from instrumentation.settings import load_settings
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.scrape_callbacks import reading
from instrumentation.users.registers import LocalRegisters, SharedRegisters, home

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from instrumentation.settings import Settings
    from instrumentation.store import Series, Store
    from instrumentation.users.registers import Home, Registers

UserId: TypeAlias = str | int | UUID

KEY_VARIABLE = "SIDELIGHT_USERS_KEY"

_log = logging.getLogger("instrumentation")
_SHORTEST_KEY = 16  # bytes; a shorter key could be found by trying
_halves = Struct("<II").unpack  # 64 bits: the register, and the bits whose leading zeros are counted
_LARGEST = 33  # the rank of 32 zeros, enough for more users than people on earth
_RANKS = 64  # added to a slot per window; larger than any rank


def saw_user(user_id: UserId) -> None:
    """Count a user as active now. This takes about a microsecond, and the id is not stored.

    >>> saw_user("7f3c")

    Args:
        user_id: An id that is the same for this user in every pod, such as the primary key. 7 and ``"7"`` are one user.
            A value that is not an id, such as None, is logged once and ignored.
    """
    try:
        _default_users().saw(user_id)
    except InstrumentationError as error:
        warn_once(str(error))


class ActiveUsers:
    """Counts the users seen by this process, and reports those seen by all workers.

    Args:
        home: Returns the folder shared by the workers; None if this process is not one of several workers.
        is_off: Whether counting is turned off.
        clock: Returns seconds since 1970.

    Attributes:
        saw: Counts a user; see ``saw_user``.
    """

    saw: Callable[[UserId], None]
    _registers: Registers | None

    def __init__(
        self,
        home: Callable[[], Home | None] = lambda: None,
        *,
        is_off: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._home = home
        self._is_off = is_off
        self._clock = clock
        self._size = self._seconds = 0
        self.reset()

    def settle(self, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
        """Configure the number of registers, the length of windows and the key.

        Raises:
            SettingsError: The key cannot be used.
        """
        secret = _secret(settings, os.environ if environ is None else environ)
        self._is_guessable = not secret and settings.service.environment != "development"
        self._hash = _keyed(settings.service.name, secret)
        if (self._size, self._seconds) != (settings.users.registers, settings.users_window.seconds):
            self._size, self._seconds = settings.users.registers, settings.users_window.seconds
            self._registers = None
        self.saw = self._begin

    def reset(self) -> None:
        """Drop the registers, in a forked child."""
        self._opening = threading.Lock()
        self._registers = None
        self.saw = self._begin

    def collect(self) -> list[Series]:
        """The registers that are set, with the larger rank of the current and the previous window.

        Register 0 is always included, so that a service without active users has the value 0. If no worker has ever seen a
        user, there are no registers: such a service does not count users.
        """
        if not self._size or (self._registers is None and not self._is_begun_elsewhere()):
            return []
        slots = self._opened().merged()
        ranks = {0: 0.0}
        now = self._clock() // self._seconds
        for window in (now, now - 1):
            first = int(window % 2) * self._size
            for register, value in enumerate(slots[first : first + self._size]):
                if value > window * _RANKS and value % _RANKS > ranks.get(register, 0.0):
                    ranks[register] = value % _RANKS
        return [reading(ACTIVE_USER_REGISTER, rank, (str(register),)) for register, rank in sorted(ranks.items())]

    def _begin(self, user_id: UserId) -> None:
        """Count the first user. Only now is it certain that the service counts users, and in which process."""
        if self._is_off():
            self.saw = _count_nobody
            return
        try:
            if not self._size:
                self.settle(load_settings())
        except SettingsError as error:  # a request must not fail because of it
            _log.error("sidelight does not count users: %s", error)
            self.saw = _count_nobody
            return
        if self._is_guessable:
            self._is_guessable = False
            _log.warning(_GUESSABLE, KEY_VARIABLE)
        self.saw = _counter(self._opened(), self._size, self._seconds, self._hash, self._clock)
        self.saw(user_id)

    def _is_begun_elsewhere(self) -> bool:
        home = self._home()
        return home is not None and any(home.folder.glob(f"*{self._suffix}"))

    def _opened(self) -> Registers:
        with self._opening:
            if self._registers is None:
                self._registers = self._made(self._home(), 2 * self._size)
            return self._registers

    def _made(self, home: Home | None, width: int) -> Registers:
        if home is not None:
            try:
                return SharedRegisters(home, self._suffix, width)
            except OSError as error:
                _log.warning(
                    "sidelight counts only the users of this worker, because of %s: %s", home.folder, error.strerror
                )
        return LocalRegisters(width)

    @property
    def _suffix(self) -> str:
        """The file suffix: registers with another number or window are not compatible, for example after a reload."""
        return f".users-{self._size}-{self._seconds}"


def _counter(
    registers: Registers, size: int, seconds: int, keyed: blake2b, clock: Callable[[], float]
) -> Callable[[UserId], None]:
    """``saw`` after the first user: one closure, because it is called with every request."""
    slots, lock, copy, mask = registers.slots, registers.lock, keyed.copy, size - 1
    window = (0.0, 0.0, 0.0, 0.0, 0)

    def turned(now: float) -> tuple[float, float, float, float, int]:
        number = now // seconds
        base = number * _RANKS
        return number * seconds, (number + 1) * seconds, base + _LARGEST, base + _RANKS, int(number % 2) * size

    def saw(user_id: UserId) -> None:
        nonlocal window
        hashed = copy()
        text = type(user_id) is str and user_id
        hashed.update(text.encode("utf-8", "surrogatepass") if text else _text(user_id))
        which, bits = _halves(hashed.digest())
        now = clock()
        begin, end, largest, later, first = window
        if not begin <= now < end:
            window = begin, end, largest, later, first = turned(now)
        slot = first + (which & mask)
        value = largest - bits.bit_length()
        # Most users were seen before. A later window means that the clock was set back.
        if not value <= slots[slot] < later:
            with lock:  # another thread may have written a larger value since
                if not value <= slots[slot] < later:
                    slots[slot] = value

    return saw


def _count_nobody(user_id: UserId) -> None:
    del user_id


def users_of(store: Store) -> ActiveUsers:
    """The counter of a store, created on first use with default settings unless it is configured."""
    return _users_of(cast("Hashable", store))


@cache
def _users_of(store: Any) -> ActiveUsers:
    users = ActiveUsers(partial(home, store), is_off=lambda: isinstance(store, ProcessStore) and store.is_off)
    store.follow(users)
    if isinstance(store, ProcessStore):
        store.attach(users)
    return users


@cache
def _default_users() -> ActiveUsers:
    return users_of(default_store())


def _text(user_id: object) -> bytes:
    if isinstance(user_id, str | int | UUID) and not isinstance(user_id, bool) and user_id != "":
        return str(user_id).encode("utf-8", "surrogatepass")
    given = (
        "an empty string" if user_id == "" else type(user_id).__name__
    )  # never the value, which may identify somebody
    raise InstrumentationError(
        f"saw_user() got {given}; give the user's id as a string, an integer or a UUID, and do not call it for visitors "
        "without an id.",
        code="user_id_invalid",
    )


# --- The key ----------------------------------------------------------------------------------------------------------


_GUESSABLE = (
    "sidelight counts users without a secret key: someone who reads the metrics and guesses an id can test whether that user "
    "was active; set %s to the same secret in every pod"
)


def _keyed(service: str, secret: bytes) -> blake2b:
    """A hash keyed by the service: without the secret, ids cannot be tested, and two services cannot be linked.

    The data before the id fills the first block and starts the second, so that hashing with a copy takes one block less.
    """
    master = blake2b(secret).digest() if secret else b""
    key = blake2b(service.encode("utf-8", "surrogatepass"), key=master, person=b"sidelight.users").digest()
    hashed = blake2b(key=key, digest_size=8)
    hashed.update(b"user:")
    return hashed


def _secret(settings: Settings, environ: Mapping[str, str]) -> bytes:
    """The secret from the environment or the settings; empty if there is none."""
    found = find_secret(KEY_VARIABLE, environ, path="users.key_file", setting=settings.users.key_file)
    if found is None:
        return b""
    secret = found.read("the key")
    if len(secret) < _SHORTEST_KEY:
        allowed = f"give at least {_SHORTEST_KEY} random bytes, such as from `openssl rand -hex 32`"
        raise found.fault(f"got a key of {len(secret)} bytes", allowed)
    return secret
