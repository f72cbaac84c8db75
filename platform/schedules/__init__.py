"""Work on a clock: schedules kept in the record store, and schedulers of which one acts.

``cron`` and ``timing`` say when, ``missed`` what becomes of runs whose time passed while nobody acted; ``definition``
is what people write, checked; ``register`` keeps schedules, each change one script call. ``election`` picks the one
scheduler that acts, ``conductor`` is what that does, ``firing`` one run on its way; ``beat`` makes them Celery beat's
scheduler, and ``entries`` brings the ``beat_schedule`` of modules under the same election. ``acts`` are audited, for
HTTP and terminals.
"""
