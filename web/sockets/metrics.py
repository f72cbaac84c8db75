"""What Prometheus is told of the sockets; counted in each process, summed over all of this machine's."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

OPEN = Gauge("platform_sockets", "Open sockets.", multiprocess_mode="livesum")
READERS = Gauge("platform_event_readers", "Readers of server-sent events.", multiprocess_mode="livesum")
FOLLOWED = Gauge("platform_socket_topics", "Different things followed by sockets.", multiprocess_mode="livesum")
WAITING = Gauge("platform_socket_waiting_bytes", "Bytes not yet taken by clients.", multiprocess_mode="livesum")
OPENED = Counter("platform_sockets_opened_total", "Sockets let in.")
CLOSED = Counter("platform_sockets_closed_total", "Sockets closed, by code; lost: without a close frame.", ["code"])
REFUSED = Counter("platform_sockets_refused_total", "Sockets answered 503.")
FRAMES = Counter("platform_socket_frames_total", "Frames of data given to sockets and readers.")
ALL = (OPEN, READERS, FOLLOWED, WAITING, OPENED, CLOSED, REFUSED, FRAMES)
