"""No system: bare LPUSHes of one message, pipelined."""

from bench.systems.work import valkey

DISTRIBUTION = "redis"
#: Where the message is, and the list it goes to.
MESSAGE, LIST = "bench:message", "bench:list"
CHUNK = 500


def submit_many(count: int) -> None:
    message = valkey()[MESSAGE]
    for first in range(0, count, CHUNK):
        with valkey().pipeline(transaction=False) as pipe:
            for _ in range(min(CHUNK, count - first)):
                pipe.lpush(LIST, message)
            pipe.execute()
