"""Flask-SocketIO in a gevent worker of gunicorn, with the message queue in Redis to which other programs emit."""

import json
import os
from functools import cache

from flask import Flask
from flask_socketio import SocketIO, join_room

DISTRIBUTIONS = ("flask-socketio", "gevent", "gunicorn", "python-socketio")
AROUND_BYTES = len('42["message",]')
URL = os.environ["BENCH_VALKEY_URL"]


def publish(room: str, text: str) -> None:
    """``text`` is JSON: what is emitted is an object."""
    _outside().emit("message", json.loads(text), to=room)


@cache
def _outside() -> SocketIO:
    return SocketIO(message_queue=URL)


def application() -> Flask:
    app = Flask(__name__)
    socketio = SocketIO(app, async_mode="gevent", message_queue=URL)
    socketio.on_event("subscribe", join_room)
    return app
