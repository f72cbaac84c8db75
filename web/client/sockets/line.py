"""Where a socket connects to, and websockets' settings."""

from __future__ import annotations

from typing import Any

from web.client.connection import USER_AGENT, Connection

#: How long connecting and the server's first frame may take, and the end of a connection, in seconds.
OPEN_S = 10.0
CLOSE_S = 2.0
#: A quiet connection is asked after so many seconds, and given up without an answer after as many more.
PING_S = 20.0
#: The server bounds its messages by its own settings; this is far above any of them.
MAX_MESSAGE_BYTES = 64 * 2**20
#: Events that may wait to be taken before no more are read.
MAX_WAITING = 10_000


class Line:
    """``GET /ws`` of the platform at ``base_url``. ``timeout_s`` is how long answers are waited for."""

    def __init__(self, base_url: str, timeout_s: float):
        connection = Connection(base_url, None, timeout_s)
        self.url = "ws" + connection.base_url.removeprefix("http") + "/ws"
        self.timeout_s = timeout_s
        self._uses_proxy = connection.settings()["trust_env"]

    def settings(self, token: str) -> dict[str, Any]:
        """For ``connect`` of websockets, blocking and asynchronous. The token is not in the address: that is logged."""
        return {
            "additional_headers": {"Authorization": f"Bearer {token}"},
            "user_agent_header": USER_AGENT,
            "proxy": True if self._uses_proxy else None,
            "open_timeout": OPEN_S,
            "close_timeout": CLOSE_S,
            "ping_interval": PING_S,
            "ping_timeout": PING_S,
            "max_size": MAX_MESSAGE_BYTES,
        }
