"""The key of a Secret for a file in the settings."""

from __future__ import annotations

import re
from pathlib import PurePosixPath


def secret_key(path: str, *, otherwise: str) -> dict[str, str]:
    """The key of a Secret for a file: the folder is the name of the Secret, the file name is the key.

    The operator mounts what an Alertmanager lists under ``secrets`` at ``/etc/alertmanager/secrets/<name>/<key>``.

    Args:
        path: The file.
        otherwise: The name of the Secret if the file has no folder of its own.

    >>> secret_key("/etc/alertmanager/secrets/slack/url", otherwise="other")
    {'name': 'slack', 'key': 'url'}
    >>> secret_key("/run/secrets/Slack_URL", otherwise="other")
    {'name': 'other', 'key': 'Slack_URL'}
    """
    file = PurePosixPath(path)
    folder = re.sub(r"[^a-z0-9.-]+", "-", file.parent.name.lower()).strip("-.")
    key = re.sub(r"[^\w.-]+", "-", file.name, flags=re.ASCII)
    return {"name": otherwise if folder in {"", "secrets"} else folder, "key": key}
