"""A user's module of a worker that polls: each batch proves that it is alone, and writes down that it was there."""

import os
import time
from pathlib import Path

from tasks import Discard
from tasks.batch import BatchWorker

FOLDER = Path(os.environ["POLLED_FOLDER"])
#: What a batch raises while the file `broken` is there, by what is in it.
ERRORS = {
    "": ValueError("on purpose"),
    "Discard": Discard("not wanted"),
    "MemoryError": MemoryError("no more"),
    "no UTF-8": ValueError("no such file: caf\udce9"),
}


def note(*words):
    with (FOLDER / "diary").open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


class Counter(BatchWorker):
    """Counts, for as long as the file `gate` is there."""

    name = "counter"
    active_s, idle_s = 0.01, 0.3

    def on_startup(self):
        note("up", os.getpid(), self.fence)

    def on_shutdown(self):
        note("down", os.getpid(), self.fence)

    def on_error(self, exc):
        note("error", os.getpid(), type(exc).__name__)

    def process_batch(self):
        if (FOLDER / "broken").exists():
            raise ERRORS[(FOLDER / "broken").read_text()]
        self.alone(lambda: time.sleep(0.02))
        if (FOLDER / "gate").exists():
            note("held", os.getpid(), self.fence)
            while (FOLDER / "gate").exists():
                time.sleep(0.01)
            note("freed", os.getpid(), self.fence)
        return 0 if (FOLDER / "idle").exists() else 1

    def alone(self, work):
        """Two at once would find each other's file; one whose process was killed is taken away by its follower."""
        place = FOLDER / "alone"
        if place.exists() and not Path(f"/proc/{place.read_text()}").exists():
            place.unlink()
        try:
            with place.open("x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            note("TWICE", os.getpid(), self.fence)
            raise
        work()
        place.unlink()
        note("batch", os.getpid(), self.fence)


if __name__ == "__main__":
    Counter.main()
