"""Reads the secrets of the audit trail from the environment, or from a file named there or in the settings."""

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

_SHORTEST = 32  # bytes, the output size of SHA-256
_ALLOWED = "give at least 32 random bytes, such as from `openssl rand -hex 32`"


def audit_keys(settings: Settings, environ: Mapping[str, str], *, file: Path | None = None) -> dict[str, Key]:
    """The keys by their ids, starting with the one that seals.

    There is one key per line. Keys after the first are older and only verify.

    Args:
        settings: The settings, which may name the file.
        environ: The environment, which takes precedence.
        file: The file, which takes precedence over settings and environment.

    Raises:
        SettingsError: There is no key, or a key is not valid.
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
        "there is no key for the audit trail",
        f"set {KEY_VARIABLE} or {KEY_FILE_VARIABLE}, or name a file in audit.key_file",
    )


def _read(file: str, source: str, path: str) -> dict[str, Key]:
    try:
        return _keys(Path(file).read_bytes(), source, path)
    except OSError as error:
        problem = f"{file} cannot be read ({error.strerror})"
        raise _fault(source, path, problem, "give a file that contains the key") from None


def _keys(text: bytes, source: str, path: str) -> dict[str, Key]:
    secrets = [line.strip() for line in text.strip().splitlines()] or [b""]
    for secret in secrets:
        if len(secret) < _SHORTEST:
            raise _fault(source, path, f"got a key of {len(secret)} bytes", _ALLOWED)
    return {key.id: key for key in map(Key, secrets)}


def _fault(source: str, path: str, problem: str, allowed: str) -> SettingsError:
    return SettingsError([Fault(source=source, path=path, problem=problem, allowed=allowed)])
