"""This platform: a message in a room, from Python."""

import json

from tasks import rooms

DISTRIBUTIONS = ("celery-platform",)
AROUND_BYTES = len(
    '{"event":"message","room":"bench","data":,"channel":"app:default:room:bench","offset":1790000000000000}'
)


def publish(room: str, text: str) -> None:
    rooms.publish(room, json.loads(text))
