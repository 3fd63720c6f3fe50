"""The static files of a log: in a folder, or offered by a server."""

from __future__ import annotations

from pathlib import Path

from quantumai.errors import NotFoundError, UnreachableError
from quantumai.provenance.public_log.static_files import LONGEST_FILE, FolderFiles, StaticFiles
from quantumai.services.http_fetch import fetch
from quantumai.services.web_address import check_url

_WITHIN_S = 30.0


class HttpFiles:
    """`StaticFiles` below a URL."""

    def __init__(self, prefix: str, within_s: float = _WITHIN_S) -> None:
        self._prefix = check_url(prefix)
        self._within_s = within_s

    def __str__(self) -> str:
        return self._prefix

    def read(self, path: str) -> bytes:
        """See `StaticFiles.read`. Raises `UnreachableError` where the server does not answer."""
        url = f"{self._prefix}/{path}"
        answer = fetch(url, most_bytes=LONGEST_FILE, within_s=self._within_s)
        if answer.status in (404, 410):
            raise NotFoundError(f"no file {url}")
        if answer.status != 200:
            raise UnreachableError(f"{url} answered with status {answer.status}")
        return answer.body


def open_log_files(place: str) -> StaticFiles:
    """The files in a folder, or below an address that begins with http:// or https://."""
    if place.startswith(("http://", "https://")):
        return HttpFiles(place)
    return FolderFiles(Path(place))
