"""The secrets of the audit trail: from the environment, or from a file that it or the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from instrumentation.auditing.chain import Key
from instrumentation.errors import Fault, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings import Settings

KEY_VARIABLE = "SIDELIGHT_AUDIT_KEY"
KEY_FILE_VARIABLE = "SIDELIGHT_AUDIT_KEY_FILE"

_SHORTEST = 32  # bytes, as many as SHA-256 gives
_ALLOWED = "give one of at least 32 that nobody can guess, such as `openssl rand -hex 32` prints"


def audit_keys(settings: Settings, environ: Mapping[str, str], *, file: Path | None = None) -> dict[str, Key]:
    """The keys by their ids, the one that seals now first.

    Each stands on a line of its own; those behind the first were in use before it and only verify.

    Args:
        settings: Names the file, unless the environment does.
        environ: The environment.
        file: The file, whatever settings and environment say.

    Raises:
        SettingsError: There is none, or one that cannot be used.
    """
    if file is not None:
        return _read(str(file), "--key-file", "")
    if KEY_VARIABLE in environ:
        return _keys(environ[KEY_VARIABLE].encode("utf-8", "surrogateescape"), KEY_VARIABLE, "")
    if KEY_FILE_VARIABLE in environ:
        return _read(environ[KEY_FILE_VARIABLE], KEY_FILE_VARIABLE, "")
    if settings.audit.key_file is not None:
        return _read(settings.audit.key_file, "settings", "audit.key_file")
    raise _fault(
        "settings",
        "audit.path",
        "there is no key to seal the audit trail with",
        f"set {KEY_VARIABLE} or {KEY_FILE_VARIABLE}, or name a file in audit.key_file",
    )


def _read(file: str, source: str, path: str) -> dict[str, Key]:
    try:
        return _keys(Path(file).read_bytes(), source, path)
    except OSError as error:
        problem = f"{file} cannot be read ({error.strerror})"
        raise _fault(source, path, problem, "give a file that holds the key") from None


def _keys(text: bytes, source: str, path: str) -> dict[str, Key]:
    secrets = [line.strip() for line in text.strip().splitlines()] or [b""]
    for secret in secrets:
        if len(secret) < _SHORTEST:
            raise _fault(source, path, f"got a key of {len(secret)} bytes", _ALLOWED)
    return {key.id: key for key in map(Key, secrets)}


def _fault(source: str, path: str, problem: str, allowed: str) -> SettingsError:
    return SettingsError([Fault(source=source, path=path, problem=problem, allowed=allowed)])
