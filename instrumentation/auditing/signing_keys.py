"""Reads the secrets of the audit trail from the environment, or from a file named there or in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation.auditing.chain import Key
from instrumentation.secret import Secret, file_variable, find_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from instrumentation.settings import Settings

KEY_VARIABLE = "SIDELIGHT_AUDIT_KEY"

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
    path = "audit.key_file"
    found = (
        find_secret(KEY_VARIABLE, environ, path=path, setting=settings.audit.key_file)
        if file is None
        else Secret("--key-file", file=str(file))
    )
    if found is None:
        allowed = f"set {KEY_VARIABLE} or {file_variable(KEY_VARIABLE)}, or name a file in {path}"
        raise Secret("settings", "audit.path").fault("there is no key for the audit trail", allowed)
    return _keys(found)


def _keys(found: Secret) -> dict[str, Key]:
    secrets = [line.strip() for line in found.read("the key").splitlines()] or [b""]
    for secret in secrets:
        if len(secret) < _SHORTEST:
            raise found.fault(f"got a key of {len(secret)} bytes", _ALLOWED)
    return {key.id: key for key in map(Key, secrets)}
