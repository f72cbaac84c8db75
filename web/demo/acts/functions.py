"""Functions called by name: one over the whole folder, then many small ones, each answered while the caller waits."""

from __future__ import annotations

import time

from web.demo.act import Outcome, Stage, duration, percentile

TITLE = "Functions"

SMALL_CALLS = 40


def play(stage: Stage) -> Outcome:
    began = time.monotonic()
    stage.client.call("Files", "statistics", path=str(stage.folder.path))
    times_s = [time.monotonic() - began]
    smallest = sorted(stage.folder.files, key=lambda found: found[1])[:SMALL_CALLS]
    for number, (file, _) in enumerate(smallest, 1):
        sent = time.monotonic()
        stage.client.call("Files", "checksum", path=str(file))
        times_s.append(time.monotonic() - sent)
        stage.report(number, len(smallest), file.name)
    took_s = time.monotonic() - began
    typical = duration(percentile(times_s[1:], 0.5))
    small = f"POST /api/Files/checksum: {typical} there and back, through the broker and a worker"
    return Outcome(
        headline=f"/api/Files/statistics in {duration(times_s[0])}, {len(smallest)} small calls",
        count=len(times_s),
        took_s=took_s,
        times_s=times_s,
        notes=[small],
    )
