"""What both clients are made with: the address, the credential, and httpx2's settings."""

from __future__ import annotations

import ipaddress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import msgspec

from web.client.exchange import Request

DEFAULT_TIMEOUT_S = 30.0
USER_AGENT = "celery-platform-client"


class Connection:
    """Where to send requests and as whom; ``credential`` is an API key or an access token."""

    def __init__(self, base_url: str, credential: str | None, timeout_s: float):
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"base_url {base_url!r} is not an address like https://platform.example.org")
        if timeout_s <= 0:
            raise ValueError(f"timeout_s {timeout_s!r} is not above 0")
        self.base_url = base_url.rstrip("/")
        self.credential = credential
        self.timeout_s = timeout_s
        self._is_loopback = _is_loopback(address.hostname)

    def __repr__(self) -> str:
        return f"{self.base_url!r}, {'with' if self.credential else 'without'} a credential"

    def settings(self) -> dict[str, Any]:
        """For httpx2's clients."""
        return {
            "base_url": self.base_url,
            "headers": {"User-Agent": USER_AGENT, "Accept": "application/json"},
            # The bearer says who is asking; a session cookie beside it would only be carried around.
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            # A proxy named by the environment cannot reach this machine's own addresses.
            "trust_env": not self._is_loopback,
        }

    def arguments(self, request: Request, timeout_s: float) -> dict[str, Any]:
        """For ``request()`` of httpx2's clients."""
        headers = dict(request.headers)
        if self.credential:
            headers["Authorization"] = f"Bearer {self.credential}"
        content = None
        if request.body is not None:
            content = msgspec.json.encode(request.body)
            headers.setdefault("Content-Type", "application/json")
        return {
            "method": request.method,
            "url": request.path,
            "params": {name: value for name, value in request.query.items() if value is not None},
            "content": content,
            "headers": headers,
            "timeout": timeout_s,
        }


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
