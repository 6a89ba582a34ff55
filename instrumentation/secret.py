"""Finds and reads a secret: in an environment variable, or in a file that a variable or a setting names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from instrumentation.errors import Fault, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_FILE = 1 << 20  # bytes; a larger file is not that of a secret


class Secret(NamedTuple):
    """A secret whose source is known. Its errors name the source and the file, and never contain the secret.

    Attributes:
        source: The first part of an error message: the variable, or ``settings``.
        path: The key path in the settings; empty if the source is a variable.
        file: The file that contains the secret; None if the variable itself does.
        text: The content of the variable.
    """

    source: str
    path: str = ""
    file: str | None = None
    text: bytes = b""

    def read(self, name: str) -> bytes:
        """The secret without surrounding white space. A file is read again each time.

        Args:
            name: What the file should contain, for the error message, such as ``the token``.

        Raises:
            SettingsError: The file cannot be read, or is too large.
        """
        if self.file is None:
            return self.text.strip()
        allowed = f"give a file that contains {name}"
        try:
            with Path(self.file).open("rb") as stream:
                text = stream.read(_LARGEST_FILE + 1)
        except OSError as error:
            raise self.fault(f"{self.file} cannot be read ({error.strerror})", allowed) from None
        if len(text) > _LARGEST_FILE:
            raise self.fault(f"{self.file} is too large", allowed)
        return text.strip()

    def fault(self, problem: str, allowed: str) -> SettingsError:
        """An error about this secret; ``problem`` must not contain it."""
        return SettingsError([Fault(source=self.source, path=self.path, problem=problem, allowed=allowed)])


def file_variable(variable: str) -> str:
    """The variable that names a file with the content of another variable.

    >>> file_variable("SIDELIGHT_USERS_KEY")
    'SIDELIGHT_USERS_KEY_FILE'
    """
    return f"{variable}_FILE"


def find_secret(
    variable: str, environ: Mapping[str, str], *, path: str = "", setting: str | None = None
) -> Secret | None:
    """The secret in a variable, otherwise in the file named by a variable, otherwise in the file named by a setting.

    Args:
        variable: The variable that contains the secret.
        environ: The environment.
        path: The key path of the setting.
        setting: The file named by the setting; None if it names none.

    >>> find_secret("TOKEN", {"TOKEN_FILE": "/run/secrets/token"}).file
    '/run/secrets/token'
    """
    if variable in environ:
        return Secret(variable, text=environ[variable].encode("utf-8", "surrogateescape"))
    if (named := file_variable(variable)) in environ:
        return Secret(named, file=environ[named])
    return None if setting is None else Secret("settings", path, setting)
