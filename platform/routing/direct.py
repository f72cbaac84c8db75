"""Messages to one device, whatever processes its connections are on. Nothing keeps them: who is away misses them."""

from __future__ import annotations

from typing import Any

from platform import store
from platform.routing.subscriptions import Subscriptions, subscriptions
from platform.streams.event import as_json, other_frame
from platform.streams.names import socket_channel


def device_channel(app_id: str, user_id: str, device_id: str) -> str:
    """The channel that a socket process joins for a device connected to it."""
    return f"app:{app_id}:user:{user_id}:device:{device_id}"


def send(
    app_id: str, user_id: str, device_id: str, event: str, data: Any, registry: Subscriptions | None = None
) -> int:
    """Tell a device's connections something; returns how many socket processes have one, 0 if it is away.

    They hear ``{"frame":{"event","data"},"channel","groups"}``, with no offset. Raises BrokerUnavailable; then it may
    have been told.
    """
    registry = registry or subscriptions()
    channel = device_channel(app_id, user_id, device_id)
    groups = registry.lookup([channel]).groups.get(channel, [])
    processes = sorted({process for group in groups for process in group.processes})
    if not processes:
        return 0
    name, frame = as_json(channel), other_frame(event, as_json(data))
    message = f'[{{"frame":{frame},"channel":{name},"groups":[{name}]}}]'
    with registry.client.pipeline(transaction=False) as pipe:
        for process in processes:
            pipe.publish(socket_channel(registry.prefix, process), message)
        store.insist(pipe.execute, 0)
    return len(processes)
