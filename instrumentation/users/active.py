"""Active users: how many different people use the service, counted without a list of them.

A HyperLogLog sketch (Flajolet et al. 2007) whose registers are series: each user id is hashed into one of them, and what
is kept is the longest run of zeros seen there. Registers merge by ``max``, over threads, workers, pods and time, so
Prometheus can do it; ``alerts/recording/users.py`` makes a number of users of them. Why, and what it reveals, stands in
docs/decisions/0009-users.md.

A register's slot holds ``64 * window + rank``, so a newer window is a larger number: slots merge by ``max`` too, and
nothing has to be cleared. Even and odd windows have slots of their own, which are the current one and the previous.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import UUID

from instrumentation.catalog import ACTIVE_USER_REGISTER
from instrumentation.errors import Fault, InstrumentationError, SettingsError
from instrumentation.settings import load_settings
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.scrape_callbacks import reading
from instrumentation.users.registers import LocalRegisters, SharedRegisters, home
from instrumentation.warn_once import warn_once

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from instrumentation.settings import Settings
    from instrumentation.store import Series, Store
    from instrumentation.users.registers import Home, Registers

UserId: TypeAlias = str | int | UUID

KEY_VARIABLE = "SIDELIGHT_USERS_KEY"
KEY_FILE_VARIABLE = "SIDELIGHT_USERS_KEY_FILE"

_log = logging.getLogger("instrumentation")
_SHORTEST_KEY = 16  # bytes; a shorter one could be found by trying
_halves = Struct("<II").unpack  # 64 bits: which register, and the bits whose leading zeros are counted
_LARGEST = 33  # the rank of 32 zeros, enough for more users than there are people
_RANKS = 64  # what a newer window adds to a slot, more than any rank


def saw_user(user_id: UserId) -> None:
    """Count a user as active now. It takes about a microsecond, and the id is forgotten at once.

    >>> saw_user("7f3c")

    Args:
        user_id: What is the same for this user in every pod, such as the primary key. 7 and ``"7"`` are one user.
            Anything that is no id, such as None, is logged once and ignored.
    """
    try:
        _default_users().saw(user_id)
    except InstrumentationError as error:
        warn_once(str(error))


class ActiveUsers:
    """Counts the users that this process sees, and shows those that all workers have seen.

    Args:
        home: Where the workers meet; gives None where this process counts alone.
        is_off: Whether counting is turned off.
        clock: Gives seconds since 1970.

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
        """Say how to count: with how many registers, in windows of which length, under which key.

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
        """Forget where the registers are, as a forked child must."""
        self._opening = threading.Lock()
        self._registers = None
        self.saw = self._begin

    def collect(self) -> list[Series]:
        """The registers that are set, with the larger rank of the current and the previous window.

        Register 0 is there in any case, so that a service without users has 0 of them. There are none at all where no
        worker has ever seen a user: such a service does not count them.
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
        """The first user: only now is it known that the service counts them, and which process this is."""
        if self._is_off():
            self.saw = _count_nobody
            return
        try:
            if not self._size:
                self.settle(load_settings())
        except SettingsError as error:  # a request must not fail of it
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
                    "sidelight counts the users of this worker alone, since %s: %s", home.folder, error.strerror
                )
        return LocalRegisters(width)

    @property
    def _suffix(self) -> str:
        """Registers of another number or window mean something else, as where settings change at a reload."""
        return f".users-{self._size}-{self._seconds}"


def _counter(
    registers: Registers, size: int, seconds: int, keyed: blake2b, clock: Callable[[], float]
) -> Callable[[UserId], None]:
    """What ``saw`` is from the first user on: one closure, since it is called with every request."""
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
        # Most users were seen before. A number of a later window is there where the clock was set back.
        if not value <= slots[slot] < later:
            with lock:  # another thread may have written more since
                if not value <= slots[slot] < later:
                    slots[slot] = value

    return saw


def _count_nobody(user_id: UserId) -> None:
    del user_id


def users_of(store: Store) -> ActiveUsers:
    """The counter of a store, made on first use; it settles by itself where nobody has settled it."""
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
    given = "an empty text" if user_id == "" else type(user_id).__name__  # never the value: it may be somebody's
    raise InstrumentationError(
        f"saw_user() got {given}; give the id of the user as a text, a whole number or a UUID, and make no call for "
        "visitors who have none.",
        code="user_id_invalid",
    )


# --- The key ----------------------------------------------------------------------------------------------------------


_GUESSABLE = (
    "sidelight counts users without a secret key: who reads the metrics and can guess ids can tell whether one was active; "
    "set %s to the same secret in every pod"
)


def _keyed(service: str, secret: bytes) -> blake2b:
    """A hash under the key of a service: without the secret nobody can try an id, and no two services can be joined.

    What is in it before the id fills the first block and begins the second, so that a copy of it costs one block less.
    """
    master = blake2b(secret).digest() if secret else b""
    key = blake2b(service.encode("utf-8", "surrogatepass"), key=master, person=b"sidelight.users").digest()
    hashed = blake2b(key=key, digest_size=8)
    hashed.update(b"user:")
    return hashed


def _secret(settings: Settings, environ: Mapping[str, str]) -> bytes:
    """The secret from the variable, else from the file that a variable or ``users.key_file`` names; empty without one."""
    if KEY_VARIABLE in environ:
        return _long_enough(environ[KEY_VARIABLE].encode("utf-8", "surrogateescape"), KEY_VARIABLE, "")
    if KEY_FILE_VARIABLE in environ:
        return _read(environ[KEY_FILE_VARIABLE], KEY_FILE_VARIABLE, "")
    named = settings.users.key_file
    return b"" if named is None else _read(named, "settings", "users.key_file")


def _read(file: str, source: str, path: str) -> bytes:
    try:
        return _long_enough(Path(file).read_bytes(), source, path)
    except OSError as error:
        raise _fault(
            source, path, f"{file} cannot be read ({error.strerror})", "give a file that holds the key"
        ) from None


def _long_enough(text: bytes, source: str, path: str) -> bytes:
    secret = text.strip()
    if len(secret) < _SHORTEST_KEY:
        raise _fault(
            source,
            path,
            f"got a key of {len(secret)} bytes",
            f"give at least {_SHORTEST_KEY} that nobody can guess, such as `openssl rand -hex 32` prints",
        )
    return secret


def _fault(source: str, path: str, problem: str, allowed: str) -> SettingsError:
    return SettingsError([Fault(source=source, path=path, problem=problem, allowed=allowed)])
