"""Thousands of jobs in one call, their records and messages written together, chunk by chunk.

``submission`` reads the items and sends the chunks, each a ``batch``: one script call, all of it or none. What Celery
makes of a call is made once for each kind of job in a chunk (``template``) and as ever for what is not so simple
(``calls``). ``ids`` names jobs by a key and their places, so that a call can be repeated; ``report`` says what became
of it. ``direct`` publishes where queues are not beside the records.
"""
