"""The systems that hold sockets, and how the server of each is started."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench import node
from bench.entrants import PEERS, Entrant, start_web
from bench.footprint import on_core
from bench.measures import BenchmarkFailed, System
from bench.place import Place
from tests.processes import Program, Web, free_port

SERVER_CORE, OTHER_CORE = 0, -1
READY_TIMEOUT_S = 30
PORT = "PORT"


@dataclass(frozen=True)
class Listener(Entrant):
    """``module`` publishes, ``command`` serves; clients speak ``dialect``, and up to ``most`` of them are tried."""

    dialect: str = "plain"
    most: int = 10_000

    def start_server(self, place: Place) -> tuple[Program, Mapping[str, str]]:
        """It listens; and what its clients need to know. Raises BenchmarkFailed."""
        with on_core(SERVER_CORE):
            return _start_platform(self, place) if self.system.is_ours else _start_peer(self, place)


def _start_platform(listener: Listener, place: Place) -> tuple[Program, Mapping[str, str]]:
    web, told = start_web(listener, place)
    try:
        return web, {"BENCH_SOCKET_PORT": str(web.port), "BENCH_TOKEN": socket_token(web, told["BENCH_API_KEY"])}
    except BaseException:
        web.kill_group()
        raise


def socket_token(web: Web, api_key: str) -> str:
    """A token of the key's owner, for sockets. Raises BenchmarkFailed."""
    answer = web.http.post("/session/tokens", headers={"Authorization": f"Bearer {api_key}"}, json={})
    if not answer.is_success:
        raise BenchmarkFailed(f"POST /session/tokens answered {answer.status_code}: {answer.text}")
    return str(answer.json()["token"])


def _start_peer(listener: Listener, place: Place) -> tuple[Program, Mapping[str, str]]:
    port = free_port()
    name, *arguments = [part.replace(PORT, str(port)) for part in listener.command]
    path = name if listener.is_nodes else str(PEERS / name)
    env = listener.environment(place)
    program = Program([path, *arguments], place.log(listener.system.key), env, place.folder)
    try:
        _await_port(port, program)
    except BaseException:
        program.kill_group()
        raise
    return program, {"BENCH_SOCKET_PORT": str(port)}


def _await_port(port: int, program: Program) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if not program.is_alive or time.monotonic() > deadline:
                raise BenchmarkFailed(f"nobody listens; the log ends with:\n{program.tail()}") from None
            time.sleep(0.05)


LISTENERS = (
    Listener(
        System(
            "platform",
            "this platform",
            "each event kept in a stream with its offset, for who was away; one gunicorn worker on gevent; "
            "no limit on connections a second",
            is_ours=True,
        ),
        "bench.systems.sockets_platform",
        (),
        (("PLATFORM_SOCKET_CONNECTS_PER_S", "1000000"),),
        "platform",
    ),
    Listener(
        System("ws", "Node ws", "nothing kept; a subscriber of the redis package"),
        "bench.systems.sockets_ws",
        ("node", str(node.SOURCES / "server.cjs"), PORT),
        (("NODE_PATH", str(node.MODULES)),),
    ),
    Listener(
        System("websockets", "websockets", "nothing kept; broadcast() on uvloop, pings every 20 s"),
        "bench.systems.sockets_websockets",
        ("python", "-m", "bench.systems.sockets_websockets", PORT),
    ),
    Listener(
        System("socketio", "Flask-SocketIO", "nothing kept; one gunicorn worker on gevent, its message queue in Redis"),
        "bench.systems.sockets_socketio",
        (
            *("gunicorn", "--worker-class", "gevent", "--worker-connections", "20000", "--no-control-socket"),
            *("--log-level", "warning", "--bind", f"127.0.0.1:{PORT}", "bench.systems.sockets_socketio:application()"),
        ),
        dialect="socketio",
    ),
    Listener(
        System(
            "channels",
            "Channels, daphne",
            "nothing kept; the pub/sub layer of channels_redis, the faster one; "
            "2 000 sockets, for with more a run would take many minutes",
        ),
        "bench.systems.sockets_channels",
        (
            *("daphne", "--verbosity", "0", "--bind", "127.0.0.1", "--port", PORT),
            "bench.systems.sockets_channels:application",
        ),
        most=2_000,
    ),
)
