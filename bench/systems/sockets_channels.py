"""Django Channels with daphne, on the faster of the two layers of channels_redis, which uses pub/sub."""

import json
import os
from typing import Any

import django
from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter
from django.conf import settings

DISTRIBUTIONS = ("channels", "channels-redis", "daphne", "django")
LAYER = {
    "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "CONFIG": {"hosts": [os.environ["BENCH_VALKEY_URL"]]},
}

settings.configure(CHANNEL_LAYERS={"default": LAYER}, ALLOWED_HOSTS=["*"])
django.setup()


class Device(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_add(json.loads(text_data or "")["room"], self.channel_name)
        await self.send('{"type":"subscribed"}')

    async def room_message(self, event: dict[str, Any]) -> None:
        await self.send(event["text"])


application = ProtocolTypeRouter({"websocket": Device.as_asgi()})


def publish(room: str, text: str) -> None:
    async_to_sync(get_channel_layer().group_send)(room, {"type": "room.message", "text": text})
