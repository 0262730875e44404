"""The public door as the world sees it: HTTP to the site's address, carried to the port on this machine where it listens."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

HOST = "127.0.0.1"
# A killed process is back within about 3 s; a provider would go on for hours.
PATIENCE_SECONDS = 60.0
REQUEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    location: str  # empty where there is none
    body: bytes


class Door:
    """One kept connection; not for several threads at once. `site_url` is what mails say, `port` where the web server is."""

    def __init__(self, site_url: str, port: int, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.site_url = site_url.rstrip("/")
        self.port = port
        self.patience_seconds = patience_seconds
        parts = urlsplit(self.site_url)
        self._headers = {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme}
        self._connection: http.client.HTTPConnection | None = None

    def path_of(self, address: str) -> str | None:
        """The path of an address on our site; None for anybody else's: the world is not ours to call."""
        if address != self.site_url and not address.startswith(f"{self.site_url}/"):
            return None
        return address[len(self.site_url) :].partition("#")[0] or "/"

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer. Asks again on a broken connection and on 5xx, as providers and browsers do, until the patience ends.

        Then raises OSError, or gives the last 5xx.
        """
        deadline = time.monotonic() + self.patience_seconds
        pause = 0.05
        while True:
            last_try = time.monotonic() >= deadline
            try:
                answer = self._request_once(method, path, body, headers or {})
                if answer.status < 500 or last_try:
                    return answer
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if last_try:
                    raise OSError(f"{method} got no answer within {self.patience_seconds:.0f} s") from error
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def close(self) -> None:
        """Hangs up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request_once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(HOST, self.port, timeout=REQUEST_SECONDS)
        self._connection.request(method, path, body=body, headers={**self._headers, **headers})
        response = self._connection.getresponse()
        return Answer(response.status, response.headers.get("Location", ""), response.read())
