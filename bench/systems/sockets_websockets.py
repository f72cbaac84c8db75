"""The websockets library: its asyncio server and ``broadcast()`` on uvloop, with a listener on Redis pub/sub."""

import asyncio
import json
import os
import sys
from collections import defaultdict

import redis.asyncio
from websockets.asyncio.server import ServerConnection, broadcast, serve

from bench.systems.work import valkey

DISTRIBUTIONS = ("websockets", "uvloop")
URL = os.environ["BENCH_VALKEY_URL"]

rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)


def publish(room: str, text: str) -> None:
    valkey().publish(f"room:{room}", text)


async def handle(connection: ServerConnection) -> None:
    joined: set[str] = set()
    try:
        async for message in connection:
            room = json.loads(message)["room"]
            joined.add(room)
            rooms[room].add(connection)
            await connection.send('{"type":"subscribed"}')
    finally:
        for room in joined:
            rooms[room].discard(connection)


async def listen() -> None:
    async with redis.asyncio.Redis.from_url(URL, decode_responses=True).pubsub() as heard:
        await heard.psubscribe("room:*")
        async for message in heard.listen():
            if message["type"] == "pmessage":
                broadcast(rooms[message["channel"].removeprefix("room:")], message["data"])


async def main() -> None:
    listening = asyncio.create_task(listen())
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=4096):
        await listening


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
