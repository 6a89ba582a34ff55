"""Finds the Grafana folder for the dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboards.grafana.client import Hit, PublishError, folder_uid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEEPEST = 10  # levels; Grafana nests fewer


def existing_folder(named: str, folders: Sequence[Hit]) -> Hit | None:
    """The folder that ``dashboards.folder`` names, nested or not; None if it has to be created.

    Args:
        named: Its title, its path of titles such as ``Platform/Services``, or its uid.
        folders: All visible folders.

    Raises:
        PublishError: ``folder_ambiguous`` if several folders have the title; ``folder_missing`` if a path names a folder
            that does not exist within an existing one.
    """
    by_uid = {folder.uid: folder for folder in folders}
    if folder_uid(named) in by_uid:  # ours, even if its title was changed
        return by_uid[folder_uid(named)]
    found = [folder for folder in folders if named in {folder.title, folder.uid, _path(folder, by_uid)}]
    if len(found) > 1:
        places = ", ".join(f"{_path(folder, by_uid)} (uid {folder.uid})" for folder in found)
        problem = f"dashboards.folder: got {named!r}, which is the title of {len(found)} folders: {places}; give a path or a uid."
        raise PublishError(problem, code="folder_ambiguous")
    parent = named.rpartition("/")[0]
    if not found and parent and any(parent in {folder.title, _path(folder, by_uid)} for folder in folders):
        problem = f"dashboards.folder: got {named!r}, but {parent!r} contains no such folder; create it in Grafana."
        raise PublishError(problem, code="folder_missing")
    return found[0] if found else None


def _path(folder: Hit, by_uid: Mapping[str, Hit]) -> str:
    titles: list[str] = []
    here: Hit | None = folder
    while here is not None and len(titles) < _DEEPEST:
        titles.insert(0, here.title)
        here = by_uid.get(here.folder)
    return "/".join(titles)
