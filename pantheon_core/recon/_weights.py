"""Weights of published networks: from the hub's cache, or downloaded when that was asked for."""

from __future__ import annotations

import logging
from pathlib import Path

from ..errors import BackendUnavailableError

__all__ = ["hub_file", "hub_folder"]

_log = logging.getLogger(__name__)


def hub_file(repository: str, name: str, *, title: str, how: str, download: bool) -> Path:
    """One file of a repository of the Hugging Face hub; a broken download goes on.

    Args:
        repository: "owner/name".
        name: of the file.
        title: of the model, for messages.
        how: what the user can do, for messages.
        download: allowed; else only the cache on this machine counts.

    Raises:
        BackendUnavailableError: not there, and no download allowed or possible.
    """
    return _fetch(repository, title, how, download, name)


def hub_folder(repository: str, *, title: str, how: str, download: bool) -> Path:
    """The folder with a repository's JSON and safetensors files; otherwise as `hub_file`."""
    return _fetch(repository, title, how, download, None)


def _fetch(repository: str, title: str, how: str, download: bool, name: str | None) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if download:
        _log.info("%s: fetching %s", title, repository)
    try:
        if name is not None:
            return Path(hf_hub_download(repository, name, local_files_only=not download))
        return Path(
            snapshot_download(
                repository, local_files_only=not download, allow_patterns=["*.json", "*.safetensors"]
            )
        )
    except LocalEntryNotFoundError as error:
        what = f"could not be downloaded: {error}" if download else "has no weights yet"
        raise BackendUnavailableError(f"{title} {what}. {how}") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise BackendUnavailableError(f"{title} could not be downloaded: {error}. {how}") from error
