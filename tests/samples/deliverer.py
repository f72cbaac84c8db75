"""A program that delivers 100 versions of each of 20 documents, shuffled, until somebody kills it.

``python -m tests.samples.deliverer SEED``; the store's URL, which holds a password, is in STREAMS_URL.
"""

from __future__ import annotations

import os
import random
import sys

import redis

import tasks  # noqa: F401 - first: it makes `platform` complete
from platform.settings import Settings
from platform.streams.delivery import Streams
from tests.changes import entry

DOCUMENTS = [f"d{number}" for number in range(20)]
VERSIONS = range(1, 101)
CHANGES = [(id, version) for version in VERSIONS for id in DOCUMENTS]


def main(seed: int) -> None:
    with redis.Redis.from_url(os.environ["STREAMS_URL"], decode_responses=True) as client:
        streams = Streams(client, Settings())
        shuffled = random.Random(seed).sample(CHANGES, len(CHANGES))
        for start in range(0, len(shuffled), 10):
            streams.deliver([entry(version, id=id) for id, version in shuffled[start : start + 10]])


if __name__ == "__main__":
    main(int(sys.argv[1]))
