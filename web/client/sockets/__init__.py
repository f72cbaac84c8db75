"""What happens, pushed to a program: subscriptions that survive reconnects, and what can be asked over a socket.

>>> with Client(url, api_key="pk_…") as client, client.socket() as socket:
...     tasks = socket.subscribe(model="task", filter={"status": "open"})
...     for event in tasks:
...         print(event.event, event.channel, event.data)
"""

from web.client.sockets.awaiting import AsyncSocket, AsyncSubscription
from web.client.sockets.blocking import Socket, Subscription
from web.client.sockets.documents import document_after
from web.client.sockets.errors import (
    CallFailed,
    CallPending,
    OutOfStep,
    Refused,
    SocketClosed,
    SocketTimeout,
    Unsubscribed,
)
from web.client.sockets.events import (
    BatchChanged,
    DocumentEvent,
    Ended,
    Event,
    Gap,
    JobChanged,
    Message,
    ModelCreated,
    ModelDeleted,
    ModelUpdated,
)
from web.client.sockets.position import Position

__all__ = [
    "AsyncSocket",
    "AsyncSubscription",
    "BatchChanged",
    "CallFailed",
    "CallPending",
    "DocumentEvent",
    "Ended",
    "Event",
    "Gap",
    "JobChanged",
    "Message",
    "ModelCreated",
    "ModelDeleted",
    "ModelUpdated",
    "OutOfStep",
    "Position",
    "Refused",
    "Socket",
    "SocketClosed",
    "SocketTimeout",
    "Subscription",
    "Unsubscribed",
    "document_after",
]
