"""The load: thousands of sockets in one process, ``python -m bench.systems.sockets_client DIALECT PORT``.

It is asked and answers as ``bench.systems.driver`` is, and reads its sockets all the while. Every socket that reads is
to get every event. Times are nanoseconds of ``time.monotonic_ns``, which all processes of a machine share.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from typing import Any

from bench.systems.dialects import DIALECTS, Dialect
from bench.systems.frames import CLOSE, PING, PONG, handshake, masked, split
from bench.systems.listening import asked

#: Connections on their way into the room at a time.
CONNECTING = 32
PATIENCE_S = 100
READ_BYTES = 262_144
#: Texts from this size on are events, of a socket that is in the room; everything else is shorter.
EVENT_BYTES = 250
NEVER = sys.maxsize
#: Of sockets that will stop reading: the kernel may keep little for them.
SMALL_BUFFER_BYTES = 4_096


class Device:
    """One socket: which step of its dialect is next, how many events it got, and when the last."""

    __slots__ = ("at", "got", "rest", "sock", "step")

    def __init__(self, sock: socket.socket):
        self.sock, self.rest = sock, b""
        self.step, self.got, self.at = -1, 0, 0


class Load:
    """Its public methods are what ``do`` may name."""

    def __init__(self, dialect: Dialect, port: int):
        self._dialect, self._port = dialect, port
        self._steps = len(dialect.steps)
        self._selector = selectors.DefaultSelector()
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._devices: dict[int, Device] = {}  # those that read, by their descriptors
        self._stalled: list[Device] = []
        self._joined = self._gone = self._goal = self._lacking = 0
        self._cpu_s = 0.0

    # -- what is asked

    def connect(self, jobs: int) -> dict[str, float]:
        """Seconds until so many more sockets are in the room, 32 at a time on their way."""
        began = time.monotonic()
        self._connect(jobs)
        return {"seconds": time.monotonic() - began}

    def connect_stalled(self, jobs: int) -> dict[str, int]:
        """Bring so many more into the room that read nothing from then on."""
        before = set(self._devices)
        self._connect(jobs, SMALL_BUFFER_BYTES)
        for number in set(self._devices) - before:
            device = self._devices.pop(number)
            self._selector.unregister(device.sock)
            self._stalled.append(device)
        return {"stalled": len(self._stalled)}

    def expect(self, jobs: int) -> dict[str, int]:
        """From now on so many events will come to each socket that reads."""
        self._goal += jobs
        self._lacking = len(self._devices)
        self._cpu_s = time.process_time()
        return {"sockets": self._lacking}

    def arrivals(self, jobs: int) -> dict[str, Any]:
        """When the last of the expected events came to each, once it has; and the CPU seconds that took here."""
        deadline = time.monotonic() + PATIENCE_S
        while self._lacking > 0:
            self._insist(self._gone == 0 and time.monotonic() < deadline, f"{self._lacking} lack events")
            self._pump(1)
        at = [device.at for device in self._devices.values()]
        return {"at": at, "cpu_s": time.process_time() - self._cpu_s}

    def leave(self, jobs: int) -> dict[str, int]:
        """Close all sockets."""
        for device in self._devices.values():
            self._selector.unregister(device.sock)
        for device in [*self._devices.values(), *self._stalled]:
            device.sock.close()
        self._devices.clear()
        self._stalled.clear()
        return {}

    # -- the loop

    def pump_until(self, file: Any) -> None:
        """Serve the sockets until the file can be read."""
        self._selector.register(file, selectors.EVENT_READ)
        while not self._pump(None):
            continue
        self._selector.unregister(file)

    def _pump(self, timeout: float | None) -> bool:
        """One turn; whether anything but a socket was ready."""
        others = False
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                others = True
            else:
                self._read(key.data)
        return others

    def _read(self, device: Device) -> None:
        kept = len(device.rest)
        try:
            if kept:
                self._buffer[:kept] = device.rest
                size = device.sock.recv_into(self._buffer[kept:])
            else:
                size = device.sock.recv_into(self._buffer)
        except ConnectionError:
            size = 0
        if not size:
            self._lose(device)
        elif device.step < 0:
            self._shake_hands(device, bytes(self._buffer[: kept + size]))
        else:
            self._take(device, self._buffer[: kept + size])

    def _take(self, device: Device, data: memoryview) -> None:
        is_in = device.step == self._steps
        events, others, used = split(data, EVENT_BYTES if is_in else NEVER)
        device.rest = bytes(data[used:]) if used < len(data) else b""
        if events:
            device.got += events
            if device.got >= self._goal:
                device.at = time.monotonic_ns()
                self._lacking -= 1
                self._insist(device.got == self._goal, "an event came twice")
        for opcode, payload in others:
            self._hear(device, opcode, payload)

    def _hear(self, device: Device, opcode: int, payload: bytes) -> None:
        steps = self._dialect.steps
        if opcode == PING:
            device.sock.sendall(masked(payload, PONG))
        elif opcode == CLOSE:
            self._lose(device)
        elif answer := self._dialect.answers.get(payload):
            device.sock.sendall(answer)
        elif device.step < len(steps) and steps[device.step][0] in payload:
            device.sock.sendall(steps[device.step][1])
            device.step += 1
            self._joined += device.step == len(steps)

    # -- connections

    def _connect(self, count: int, buffer_bytes: int = 0) -> None:
        opened, before, deadline = 0, self._joined, time.monotonic() + PATIENCE_S
        while self._joined - before < count:
            while opened < count and opened - (self._joined - before) < CONNECTING:
                self._open(buffer_bytes)
                opened += 1
            is_well = self._gone == 0 and time.monotonic() < deadline
            self._insist(is_well, f"{self._joined - before} of {count} came into the room")
            self._pump(1)

    def _open(self, buffer_bytes: int) -> None:
        sock = socket.socket()
        if buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.connect(("127.0.0.1", self._port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(handshake(self._dialect.path, self._port))
        device = self._devices[sock.fileno()] = Device(sock)
        device.got = self._goal
        self._selector.register(sock, selectors.EVENT_READ, device)

    def _shake_hands(self, device: Device, data: bytes) -> None:
        head, end, rest = data.partition(b"\r\n\r\n")
        device.rest = b"" if end else data
        if not end:
            return
        self._insist(b" 101 " in head.partition(b"\r\n")[0], f"the handshake was answered {head[:200]!r}")
        device.step = 0
        if self._dialect.greeting:
            device.sock.sendall(self._dialect.greeting)
        if rest:
            self._take(device, memoryview(rest))

    def _lose(self, device: Device) -> None:
        self._gone += 1
        self._devices.pop(device.sock.fileno())
        self._selector.unregister(device.sock)
        device.sock.close()

    def _insist(self, is_so: bool, otherwise: str) -> None:
        """Raises RuntimeError."""
        if not is_so:
            raise RuntimeError(f"{otherwise}; {len(self._devices)} sockets are open, {self._gone} were closed to us")


def main() -> None:
    load = Load(DIALECTS[sys.argv[1]], int(sys.argv[2]))
    print("{}", flush=True)
    for question in asked(load.pump_until):
        print(json.dumps(getattr(load, question["do"])(question["jobs"])), flush=True)


if __name__ == "__main__":
    main()
